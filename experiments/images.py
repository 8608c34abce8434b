"""Train a GAN on any pictures: python -m experiments.images DIR --size 64

The pictures are PNG, JPEG, WebP and other files in a folder and its sub-folders, or in a zip or a tar, which is read
in place. Each picture is cropped to its central square and resized once, into a cache that later runs open in seconds.
Transparent pixels become white.
"""

import argparse
from pathlib import Path
from typing import Any

from experiments.cli import run_main
from experiments.parts.flags import add_config_flags, add_run_flags, add_skip_flag
from experiments.parts.look import look
from experiments.parts.start import start

EXAMPLES = """examples:
  python -m experiments.images DIR --look                   what there is, before a training begins
  python -m experiments.images DIR                          a folder of pictures, at 64 × 64
  python -m experiments.images pictures.zip --size 32 --variant cnn
  python -m experiments.images DIR --holdout 0.1            evaluate with a tenth that is not trained on
  python -m experiments.images DIR --stream                 read from the disk while training, to save memory
  python -m experiments.images --resume runs/images-vitgan-small               continue after Ctrl-C
"""


def add_cache_flags(group: Any) -> None:
    group.add_argument(
        "--cache", type=Path, metavar="DIR", help="directory for resized images (default: ~/.cache/minigan)"
    )
    add_skip_flag(group)
    group.add_argument(
        "--stream",
        action=argparse.BooleanOptionalAction,
        help="read batches from the disk while training (default: if the images need over half of the free memory)",
    )


def cache_options(args: argparse.Namespace) -> dict[str, Any]:
    """The values of --data and the flags above for the checkpoint; absolute paths, so that a run resumes anywhere."""
    options: dict[str, Any] = {"path": args.data, "cache": args.cache, "stream": args.stream}
    options["skip_unreadable"] = bool(args.skip_unreadable)
    for name in ("path", "cache"):
        if options[name] is not None:
            options[name] = str(options[name].resolve())
    return options


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m experiments.images",
        usage="python -m experiments.images DIR [flags]",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    data = p.add_argument_group("data")
    data.add_argument("pictures", nargs="?", type=Path, metavar="DIR|ZIP|TAR", help="the pictures")
    data.add_argument("--data", type=Path, metavar="DIR|ZIP|TAR", help="the same, as the other commands have it")
    data.add_argument("--size", type=int, metavar="PIXELS", help="height and width in pixels (default: 64)")
    data.add_argument(
        "--holdout",
        type=float,
        metavar="SHARE",
        help="keep this share of the pictures for the evaluation, 0.1 for example, and train on the others",
    )
    data.add_argument(
        "--look",
        action="store_true",
        help="train nothing: show what was found, sizes, classes, a hundred images, and what cannot be read",
    )
    add_cache_flags(data)
    add_run_flags(p)
    add_config_flags(p)
    return p


def load(options: dict[str, Any], split: str = "train") -> Any:
    from minigan.data import load_pictures

    skip = bool(options.get("skip_unreadable"))
    holdout = options.get("holdout", 0.0)
    return load_pictures(options["path"], split, options["size"], options["cache"], options["stream"], skip, holdout)


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    from minigan.errors import InputError

    if args.pictures and args.data:
        raise InputError(f"give the pictures once: {args.pictures} or --data {args.data}")
    args.data, args.pictures = args.data or args.pictures, None
    if not (args.data or args.resume or args.config):
        raise InputError("give the pictures: a folder, a zip or a tar")
    if args.holdout is not None and not 0 < args.holdout < 1:
        raise InputError(f"--holdout must be between 0 and 1, not {args.holdout:g}")
    size = 64 if args.size is None else args.size
    if args.look:
        if not args.data or args.resume or args.config:
            raise InputError("--look is for pictures: give a folder, a zip or a tar, and no run")
        return look(args.data, size, args.cache, args.out)
    note = f"the central squares of the pictures, resized to {size} × {size}"
    options = {**cache_options(args), "size": size, "seed": args.seed or 0, "note": note}
    options["holdout"] = args.holdout or 0.0
    return start(args, load, options, "images")


def run() -> None:
    """The console script."""
    run_main(main, shared=True)


if __name__ == "__main__":
    run()
