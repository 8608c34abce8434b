"""Train a GAN on faces: python -m experiments.celeba

With --data on CelebA: the aligned JPEGs in a folder, or img_align_celeba.zip, read in place. They are cropped and
resized once, into a cache that later runs read in seconds. Without --data it trains on faces drawn by a program, which
stand in for CelebA but are not CelebA; nothing is downloaded.
"""

import argparse
from pathlib import Path
from typing import Any

from experiments.cli import add_config_flags, add_run_flags, run_main, start
from experiments.images import add_cache_flags, cache_options

EXAMPLES = """examples:
  python -m experiments.celeba                              the full ViTGAN on 20,000 drawn faces
  python -m experiments.celeba --size 32 --variant cnn      smaller, and the convolutional baseline
  python -m experiments.celeba --data img_align_celeba.zip  CelebA, the central 140 pixels at 64 × 64
  python -m experiments.celeba --data DIR --crop 178        its whole width; DIR holds the JPEGs or the zip
  python -m experiments.celeba --resume runs/celeba-vitgan-small               go on after Ctrl-C
"""
FACES, TEST_FACES = 20_000, 5_000  # drawn; half a minute on one core


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m experiments.celeba",
        usage="python -m experiments.celeba [flags, all optional]",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    data = p.add_argument_group("data")
    data.add_argument("--data", type=Path, metavar="DIR|ZIP", help="aligned CelebA images (default: drawn faces)")
    data.add_argument("--size", type=int, choices=[32, 64, 128], help="height and width to train at (64)")
    data.add_argument("--crop", type=int, choices=[140, 178], help="of CelebA, the central pixels that are used (140)")
    data.add_argument("--faces", type=int, metavar="N", help=f"how many faces to draw without --data ({FACES:,})")
    add_cache_flags(data)
    add_run_flags(p)
    add_config_flags(p)
    return p


def load(options: dict[str, Any], split: str = "train") -> Any:
    from minigan.data import draw_faces, load_celeba

    size = options["size"]
    if options["path"] is None:
        return draw_faces(options["faces"] if split == "train" else TEST_FACES, split, options["seed"], size)
    return load_celeba(options["path"], split, size, options["crop"], options["cache"], options["stream"])


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    from minigan.data import describe_celeba
    from minigan.errors import InputError

    if args.data and args.faces is not None:
        raise InputError("--faces says how many faces to draw, so it does not go with --data")
    for flag in ("crop", "cache", "stream"):
        if not args.data and getattr(args, flag) is not None and not args.resume:
            raise InputError(f"--{flag} is for CelebA, so it needs --data")
    size, crop, count = args.size or 64, args.crop or 140, FACES if args.faces is None else args.faces
    note = describe_celeba(args.data, size, crop) if args.data else "faces drawn by a program, not CelebA"
    options = {**cache_options(args), "size": size, "seed": args.seed or 0, "note": note}
    options |= {"crop": crop} if args.data else {"faces": count}
    return start(args, load, options, "celeba")


if __name__ == "__main__":
    run_main(main)
