"""Train a GAN on handwritten digits: python -m experiments.mnist

Without --data it trains on pen strokes drawn by a program. They look like MNIST but are not MNIST, and nothing is
downloaded.
"""

import argparse
from pathlib import Path
from typing import Any

from experiments.cli import run_main
from experiments.parts.flags import add_config_flags, add_run_flags, add_skip_flag
from experiments.parts.start import start

EXAMPLES = """examples:
  python -m experiments.mnist                               the full ViTGAN on drawn digits, in minutes
  python -m experiments.mnist --variant cnn                 the convolutional baseline
  python -m experiments.mnist --data DIR                    MNIST, Fashion-MNIST, KMNIST or EMNIST files (IDX)
  python -m experiments.mnist --data mnist_train.csv        the same as lines of numbers, with mnist_test.csv beside it
  python -m experiments.mnist --data DIR --download mnist   fetch MNIST into DIR first
  python -m experiments.mnist --data DIR --size 32          a folder of PNG or JPEG images, cropped and resized
  python -m experiments.mnist --d-similarity dot --d-norm none --steps 2000    change what you like
  python -m experiments.mnist --resume runs/mnist-vitgan-small                 go on after Ctrl-C
  python -m experiments.mnist --resume RUN --steps 12000    a longer run, its schedules laid over all of it
  python -m experiments.mnist --config RUN --seed 1         a run again, with another seed
  python -m experiments.mnist --init RUN --data DIR         other images, from the weights of a run
  mpiexec -n 2 python -m mpi4py -m experiments.mnist        by two processes (pip install -e '.[mpi]')
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m experiments.mnist",
        usage="python -m experiments.mnist [flags, all optional]",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    data = p.add_argument_group("data")
    data.add_argument(
        "--data", type=Path, metavar="DIR", help="IDX files, a CSV file or a folder of images (default: drawn digits)"
    )
    data.add_argument(
        "--download", choices=["mnist", "fashion-mnist", "kmnist"], help="fetch this set into --data first, checksummed"
    )
    data.add_argument("--subset", metavar="NAME", help="which set of a folder with several (emnist-digits, …)")
    data.add_argument("--digits", type=int, metavar="N", help="how many digits to draw without --data (60,000)")
    data.add_argument("--size", type=int, metavar="PIXELS", help="crop to squares and resize to this many pixels")
    add_skip_flag(data)
    add_run_flags(p)
    add_config_flags(p)
    return p


def load(options: dict[str, Any], split: str = "train") -> Any:
    from minigan.data import load_data

    path = options["path"]
    n = options.get("digits", 60_000)  # how many digits to draw, if they are drawn
    n = n if split == "train" else min(10_000, options.get("test_images", 10_000))
    skip = bool(options.get("skip_unreadable"))
    return load_data(path and Path(path), split, options["size"], options["seed"], n, options["subset"], skip)


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    from minigan.errors import InputError

    if args.digits is not None and args.data:
        raise InputError("--digits says how many digits to draw, so it does not go with --data")
    if args.skip_unreadable and not (args.data or args.resume or args.config):
        raise InputError("--skip-unreadable is for pictures, so it needs --data")
    if args.subset is not None and not (args.data or args.resume or args.config):
        raise InputError("--subset is a set of a folder with several, so it needs --data")
    if args.download:
        from minigan.data import download
        from minigan.ranks import world

        if not args.data:
            raise InputError("--download needs --data DIR, the folder to fetch into")
        world().first_alone(lambda: download(args.download, args.data))
    note = "procedurally drawn pen strokes, not MNIST" if args.data is None else None
    path = None if args.data is None else str(args.data.resolve())  # so that a run resumes from anywhere
    options = {"path": path, "size": args.size, "subset": args.subset, "seed": args.seed or 0, "note": note}
    options["skip_unreadable"] = bool(args.skip_unreadable)
    options["digits"] = 60_000 if args.digits is None else args.digits
    return start(args, load, options, "mnist")


def run() -> None:
    """The command as a console script."""
    run_main(main, shared=True)


if __name__ == "__main__":
    run()
