"""Train a GAN on faces: python -m experiments.celeba

--data names CelebA: a folder of the aligned JPEGs, or img_align_celeba.zip, which is read in place. The images are
cropped and resized once, into a cache that later runs open in seconds. The test images are those of
list_eval_partition.txt if it lies beside them, or else the last tenth by name. Without --data the faces are drawn by a
program: they are not CelebA, and nothing is downloaded.
"""

import argparse
from pathlib import Path
from typing import Any

from experiments.cli import run_main
from experiments.images import add_cache_flags, cache_options
from experiments.parts.flags import add_config_flags, add_run_flags
from experiments.parts.start import start

EXAMPLES = """examples:
  python -m experiments.celeba                              the full ViTGAN on 20,000 drawn faces
  python -m experiments.celeba --size 32 --variant cnn      smaller, and the convolutional baseline
  python -m experiments.celeba --data img_align_celeba.zip  CelebA, the central 140 pixels at 64 × 64
  python -m experiments.celeba --data DIR --crop 178        the whole width; DIR holds the JPEGs or the zip
  python -m experiments.celeba --resume runs/celeba-vitgan-small               continue after Ctrl-C
"""
FACES, TEST_FACES = 20_000, 5_000  # faces to draw; half a minute on one core


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
    data.add_argument("--size", type=int, choices=[32, 64, 128], help="height and width in pixels (default: 64)")
    data.add_argument("--crop", type=int, choices=[140, 178], help="central pixels of a CelebA image (default: 140)")
    data.add_argument("--faces", type=int, metavar="N", help=f"faces to draw without --data (default: {FACES:,})")
    add_cache_flags(data)
    add_run_flags(p)
    add_config_flags(p)
    return p


def load(options: dict[str, Any], split: str = "train") -> Any:
    from minigan.data import draw_faces, load_celeba

    size = options["size"]
    if options["path"] is None:
        n = options["faces"] if split == "train" else min(TEST_FACES, options.get("test_images", TEST_FACES))
        return draw_faces(n, split, options["seed"], size)
    skip = bool(options.get("skip_unreadable"))
    return load_celeba(options["path"], split, size, options["crop"], options["cache"], options["stream"], skip)


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    from minigan.data import describe_celeba
    from minigan.errors import InputError

    if args.data and args.faces is not None:
        raise InputError("--faces is the number of faces to draw, so it does not go with --data")
    for flag in ("crop", "cache", "stream", "skip_unreadable"):
        if not args.data and getattr(args, flag) is not None and not (args.resume or args.config):
            raise InputError(f"--{flag.replace('_', '-')} is for CelebA, so it needs --data")
    size = args.size or 64
    options = {**cache_options(args), "size": size, "seed": args.seed or 0}
    if args.crop:
        options["crop"] = args.crop
    if args.data:
        crop = args.crop or 140
        options |= {"crop": crop, "note": describe_celeba(args.data, size, crop)}
    else:
        options["faces"] = FACES if args.faces is None else args.faces
        options["note"] = "faces drawn by a program, not CelebA"
    return start(args, load, options, "celeba")


def run() -> None:
    """The console script."""
    run_main(main, shared=True)


if __name__ == "__main__":
    run()
