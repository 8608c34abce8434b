"""Train a GAN on handwritten digits: python -m experiments.mnist

Without --data it trains on drawn pen strokes that look like MNIST but are not MNIST; nothing is downloaded.
"""

import argparse
from pathlib import Path
from typing import Any

from experiments.cli import add_config_flags, add_run_flags, run_main, start

EXAMPLES = """examples:
  python -m experiments.mnist                               the full ViTGAN on drawn digits, about ten minutes
  python -m experiments.mnist --variant cnn                 the convolutional baseline
  python -m experiments.mnist --data DIR                    MNIST, Fashion-MNIST, KMNIST or EMNIST files (IDX)
  python -m experiments.mnist --data DIR --download mnist   fetch MNIST into DIR first
  python -m experiments.mnist --data DIR --size 32          a folder of PNG or JPEG images, cropped and resized
  python -m experiments.mnist --d-similarity dot --d-norm none --steps 2000    change what you like
  python -m experiments.mnist --resume runs/mnist-vitgan-small                 go on after Ctrl-C
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
        "--data", type=Path, metavar="DIR", help="IDX files or a folder of images (default: drawn digits)"
    )
    data.add_argument(
        "--download", choices=["mnist", "fashion-mnist", "kmnist"], help="fetch this set into --data first, checksummed"
    )
    data.add_argument("--subset", metavar="NAME", help="which set, where a folder holds several (emnist-digits, …)")
    data.add_argument("--size", type=int, metavar="PIXELS", help="crop to squares and resize to this many pixels")
    add_run_flags(p)
    add_config_flags(p)
    return p


def load(options: dict[str, Any], split: str = "train") -> Any:
    from minigan.data import load_data

    path = options["path"]
    n = 60_000 if split == "train" else 7_500  # of drawn digits; files have their own number
    return load_data(path and Path(path), split=split, size=options["size"], n=n, subset=options["subset"])


def digit_figures(options: dict[str, Any], data: Any, device: str) -> Any:
    """digit-FID and its company, for 28 × 28 grey images of ten classes; None for others."""
    from minigan.metrics.digits import digit_reference, evaluate_digits, load_classifier

    if data.images.shape[1:] != (28, 28) or (data.labels is not None and data.classes != 10):
        return None
    classifier: Any = load_classifier().to(device)
    reference = digit_reference(load(options, "test").images, classifier)
    return lambda samples: evaluate_digits(samples, reference, classifier)


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    if args.download:
        from minigan.data import download
        from minigan.errors import InputError

        if not args.data:
            raise InputError("--download needs --data DIR, the folder to fetch into")
        download(args.download, args.data)
    note = "procedurally drawn pen strokes, not MNIST" if args.data is None else None
    path = None if args.data is None else str(args.data)
    options = {"path": path, "size": args.size, "subset": args.subset, "note": note}
    return start(args, load, digit_figures, options, "mnist")


if __name__ == "__main__":
    run_main(main)
