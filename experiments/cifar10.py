"""Train a GAN on CIFAR-10: python -m experiments.cifar10 --data DIR --download

DIR holds cifar-10-python.tar.gz (170 MB, which --download fetches), its unpacked files, or the binary version. The
pickles are read without executing them.
"""

import argparse
from pathlib import Path
from typing import Any

from experiments.cli import run_main
from experiments.parts.flags import add_config_flags, add_run_flags
from experiments.parts.start import start

EXAMPLES = """examples:
  python -m experiments.cifar10 --data cifar --download     fetch CIFAR-10 into the folder cifar, and check it
  python -m experiments.cifar10 --data cifar --variant cnn  the convolutional baseline
  python -m experiments.cifar10 --data cifar-10-python.tar.gz
  python -m experiments.cifar10 --resume runs/cifar10-vitgan-small             continue after Ctrl-C
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m experiments.cifar10",
        usage="python -m experiments.cifar10 --data DIR [flags]",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    data = p.add_argument_group("data")
    data.add_argument("--data", type=Path, metavar="DIR|TAR", help="CIFAR-10, as a tar or a folder")
    data.add_argument("--download", action="store_true", help="fetch it into --data first, and check it (170 MB)")
    add_run_flags(p)
    add_config_flags(p)
    return p


def load(options: dict[str, Any], split: str = "train") -> Any:
    from minigan.data import load_cifar10

    return load_cifar10(options["path"], split)


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    from minigan.data import download
    from minigan.errors import InputError
    from minigan.ranks import world

    if not (args.data or args.resume or args.config):
        raise InputError("CIFAR-10 is missing: give --data DIR, or --data DIR --download to fetch it (170 MB)")
    if args.download:
        if not args.data:
            raise InputError("--download needs --data DIR, the folder to fetch into")
        world().first_alone(lambda: download("cifar-10", args.data))
    path = None if args.data is None else str(args.data.resolve())
    return start(args, load, {"path": path, "seed": args.seed or 0, "note": None}, "cifar10")


def run() -> None:
    """The console script."""
    run_main(main, shared=True)


if __name__ == "__main__":
    run()
