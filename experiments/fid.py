"""Compare generated images with real ones: python -m experiments.fid A B

A is the set of images to judge, B the set of real images to compare with. One forward pass over each set gives the
Fréchet distance (FID), KID, the Inception score, precision and recall, density and coverage.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.cli import command_line, run_main
from experiments.parts.device import choose_device
from experiments.parts.flags import add_skip_flag

if TYPE_CHECKING:
    from minigan.metrics.comparison import Comparison
    from minigan.metrics.image_set import ImageSet

EPILOG = """A and B are each one of
  a folder of PNG, JPEG and other images, with its sub-folders, or a zip or tar of them; sizes may differ
  a folder of MNIST, EMNIST or CIFAR-10 files, or mnist.npz: their test images, else the training images
  a folder of CelebA: all of its pictures, training images too, whole and not cropped as for training
  an IDX or a CSV file, plain or gzipped; an HDF5, npz or npy file of uint8 images, such as samples.h5 of a run
  a training checkpoint, which generates --num images, or the directory of a run: its best.h5, else its checkpoint.h5
  a statistics file: from --save-stats, or another tool's npz with mu and sigma; it gives the Fréchet distance,
  and the other metrics if it was saved with --save-features
  stroke-digits or faces: --num images drawn by a program, which no run was trained on

The distance is named after its features, because distances of different features do not compare:
  FID         2048 features of the Inception network, with --inception; with --tap 64 it is FID-64, and so on
  digit-FID   64 features of the shipped digit classifier
  random-FID  256 features of a fixed, untrained network

examples:
  python -m experiments.fid runs/mnist-vitgan-small stroke-digits
  python -m experiments.fid samples/ celeba.h5 --inception inception.h5 --num 10000 --json fid.json
  python -m experiments.fid celeba.h5 --inception inception.h5 --save-stats celeba-stats.h5
  python -m experiments.fid samples/ celeba-stats.h5 --inception inception.h5

Inception runs at about 5 images per second and core on a CPU, and on one core unless you set OPENBLAS_NUM_THREADS.
"""

METRICS = {"fid": "frechet", "kid": "kid", "is": "inception_score", "prdc": "prdc"}

# key of a value: (its name if the distance is FID, what it means); the number after ± has the key with _std
ROWS = {
    "frechet": ("FID", "lower is better: 0 for the same statistics"),
    "frechet_infinity": ("FID∞", "lower is better: extrapolated to infinitely many images of A; ± of the fit"),
    "kid": ("KID", "lower is better: about 0 for the same distribution; ± of one subset"),
    "inception_score": ("IS", "higher is better: A alone, clear and various classes"),
    "precision": ("precision", "higher is better: share of A that lies among B, quality"),
    "recall": ("recall", "higher is better: share of B that lies among A, variety"),
    "density": ("density", "higher is better: how densely B lies around A, 1 for the same distribution"),
    "coverage": ("coverage", "higher is better: share of B that has some of A beside it"),
}


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m experiments.fid",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("a", metavar="A", help="generated images, to be judged")
    p.add_argument(
        "b", metavar="B", nargs="?", help="real images, to compare with (may be left out for --save-stats of A)"
    )
    what = p.add_argument_group("what is measured")
    what.add_argument(
        "--features",
        default="auto",
        choices=["auto", "inception", "digits", "random"],
        help="auto: inception with --inception, digits if both sets are 28 × 28 and grey, else random",
    )
    what.add_argument(
        "--inception",
        dest="weights",
        metavar="FILE",
        help="Inception weights of python -m experiments.export_inception",
    )
    what.add_argument(
        "--mode",
        choices=["tf", "torch", "clean"],
        help="resize for Inception as TTUR and StyleGAN (tf, the default), pytorch-fid (torch) or clean-fid (clean)",
    )
    what.add_argument("--tap", type=int, choices=[64, 192, 768, 2048], help="which Inception features (default: 2048)")
    what.add_argument(
        "--metrics", default="fid,kid,is,prdc", metavar="LIST", help="some of fid,kid,is,prdc (default: all)"
    )
    what.add_argument("--fid-inf", action="store_true", help="also extrapolate to infinitely many images of A")
    what.add_argument(
        "--k", type=int, default=5, help="neighbours for precision, recall, density and coverage (default: 5)"
    )
    which = p.add_argument_group("which images, and how")
    which.add_argument(
        "--num",
        type=int,
        metavar="N",
        help="use N images of each set, drawn by the seed (default: all; generators and drawing programs make 10,000)",
    )
    which.add_argument("--seed", type=int, default=0, help="of every random choice (default: 0)")
    which.add_argument(
        "--batch", type=int, metavar="N", help="images per forward pass (default: 64 for inception, else 250)"
    )
    which.add_argument(
        "--device", default="auto", choices=["cpu", "cuda", "auto"], help="auto: the GPU if there is one"
    )
    which.add_argument("--cache", metavar="DIR", help="keep features in DIR, and reuse them for the same images")
    which.add_argument("--subset", metavar="NAME", help="which set of a folder with several (emnist-digits, …)")
    add_skip_flag(which)
    out = p.add_argument_group("what is written")
    out.add_argument(
        "--save-stats",
        type=Path,
        metavar="FILE",
        help="statistics of B, or of A if it is alone: HDF5, or .npz for other tools",
    )
    out.add_argument("--save-features", action="store_true", help="save the features too, for all other metrics")
    out.add_argument("--json", metavar="OUT", help="write everything as JSON to a file, or to stdout if OUT is -")
    return p


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    import numpy as np

    from minigan.errors import NumericalError

    check(args)
    args.device = choose_device(args.device)
    try:
        return statistics_alone(args) if args.b is None else compare(args)
    except (NumericalError, np.linalg.LinAlgError) as e:
        print(f"error: the computation failed: {e}", file=sys.stderr)
        return 3


def check(args: argparse.Namespace) -> None:
    """Find wrong flags before hours of work."""
    from minigan.errors import InputError

    args.metrics = [name.strip() for name in args.metrics.split(",")]
    if unknown := [name for name in args.metrics if name not in METRICS]:
        raise InputError(f"--metrics {unknown[0]}: use some of {','.join(METRICS)}")
    for flag in ("num", "batch", "k"):
        if vars(args)[flag] is not None and vars(args)[flag] < 1:
            raise InputError(f"--{flag} must be at least 1, not {vars(args)[flag]}")
    if not 0 <= args.seed < 2**32:
        raise InputError(f"--seed must be in 0 … 2³² − 1, not {args.seed}")
    if args.b is None and not args.save_stats:
        raise InputError("give two image sets, A to judge and B to compare with, or one with --save-stats FILE")
    if args.save_features and (not args.save_stats or args.save_stats.suffix == ".npz"):
        raise InputError("--save-features goes with --save-stats FILE, and not with an npz file")
    outputs = [] if args.save_stats is None else [args.save_stats]
    if args.json and args.json != "-":
        outputs.append(Path(args.json))
    used = [Path(name) for name in (args.a, args.b, args.weights) if name]
    for path in outputs:
        if (path.exists() and not path.is_file()) or not path.absolute().parent.is_dir():
            raise InputError(f"{path} must be a file in an existing directory")
        if any(path.resolve() == other.resolve() for other in used):
            raise InputError(f"{path} would be overwritten: write to another file")
        used.append(path)


def compare(args: argparse.Namespace) -> int:
    from minigan.errors import InputError
    from minigan.metrics.comparison import compare_images
    from minigan.metrics.formats import detect_kind

    if args.save_stats and detect_kind(args.b) == "statistics":
        raise InputError(f"--save-stats: {args.b} is a statistics file already")
    metrics = [METRICS[name] for name in args.metrics]
    if args.fid_inf:
        metrics.append("frechet_infinity")
    result = compare_images(
        args.a,
        args.b,
        features=args.features,
        weights=args.weights,
        mode=args.mode,
        tap=args.tap,
        metrics=metrics,
        num=args.num,
        k=args.k,
        seed=args.seed,
        batch=args.batch,
        cache=args.cache,
        keep_features=args.save_features,
        device=args.device,
        skip=bool(args.skip_unreadable),
        subset=args.subset,
        progress=True,
    )
    if args.json != "-":
        print(table(result), flush=True)
    for warning in result.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    write_json({"command": command_line(), **result.record()}, args.json)
    save(args, result.real)
    return 0


def statistics_alone(args: argparse.Namespace) -> int:
    from minigan.errors import InputError
    from minigan.metrics.cache import FeatureCache
    from minigan.metrics.image_set import ImageSet, choose_extractor, measure, open_image_set

    opened = open_image_set(args.a, args.num, args.seed, args.device, bool(args.skip_unreadable), args.subset)
    if isinstance(opened, ImageSet):
        raise InputError(f"{args.a} is a statistics file already")
    extractor = choose_extractor([opened], args.features, args.weights, args.mode, args.tap, args.device, args.batch)
    assert extractor is not None  # there is one for images
    cache = FeatureCache(args.cache) if args.cache else None
    images = measure(opened, extractor, args.save_features, cache, "A")
    if args.json != "-":
        print(f"A  {describe(images)}", flush=True)
    write_json({"command": command_line(), **images.record(), "features": images.statistics.extractor}, args.json)
    save(args, images)
    return 0


def save(args: argparse.Namespace, images: "ImageSet") -> None:
    """Write the file of --save-stats."""
    from dataclasses import replace

    from minigan.metrics.statistics import save_statistics

    if args.save_stats:
        kept = images.statistics if args.save_features else replace(images.statistics, features=None)
        save_statistics(args.save_stats, kept, images.record())
        print(f"wrote {args.save_stats}: statistics of {images.name}", file=sys.stderr)


def write_json(record: dict[str, Any], out: str | None) -> None:
    import json

    from minigan.files import write_bytes

    text = json.dumps(record, indent=2, ensure_ascii=False)
    if out == "-":
        print(text)
    elif out:
        write_bytes(out, text.encode(errors="replace") + b"\n")  # file names may hold bytes that are not text


def table(result: "Comparison") -> str:
    """The text for people: both sets, a line for each number with its full name, and what was left out."""
    from minigan.numbers import deviation

    before, after = result.label.split("FID")
    counts = "/".join(short(images.statistics.count) for images in (result.fake, result.real))
    mode = (result.settings["features"] or {}).get("mode")
    where = f"[{mode}, {counts}]" if mode else f"[{counts}]"
    rows = []
    for key, (name, meaning) in ROWS.items():
        if key in result.values:
            std = result.values.get(f"{key}_std")
            value = number(result.values[key]) + deviation(std)
            rows.append((f"{before}{name}{after}{where}", value, meaning if std else meaning.partition("; ±")[0]))
    wide = [max((len(row[i]) for row in rows), default=0) for i in range(2)]
    lines = [f"A  {describe(result.fake)}", f"B  {describe(result.real)}", ""]
    lines += [f"{name:{wide[0]}}  {value:{wide[1]}}  {meaning}" for name, value, meaning in rows]
    for reason in dict.fromkeys(result.left_out.values()):
        names = [name_of(key) for key, why in result.left_out.items() if why == reason]
        lines.append(f"left out: {', '.join(names)} ({reason})")
    return "\n".join(lines)


def name_of(metric: str) -> str:
    return "precision, recall, density, coverage" if metric == "prdc" else ROWS[metric][0]


def number(value: float) -> str:
    if abs(value) < 1e-7:  # rounding of 0
        return "0"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def short(count: int | None) -> str:
    """10000 → 10k, 2500 → 2500."""
    if count is None:
        return "?"
    return f"{count // 1000}k" if count >= 1000 and count % 1000 == 0 else str(count)


def describe(images: "ImageSet") -> str:
    """An image set in one line."""
    from minigan.metrics.formats import DRAWN

    loader, count = images.loader, images.statistics.count
    counted = f"{count:,} images" if count is not None else "an unknown number of images"
    if loader is None:
        return f"{images.name}: statistics of {counted}"
    (height, width, *channels), *others = loader.shapes
    size = "of several sizes" if others else f"{width}×{height} {'RGB' if channels else 'grey'}"
    parts = [counted, size]
    if loader.facts.get("step") is not None:
        parts.append(f"made by {loader.facts['checkpoint']}, step {loader.facts['step']:,}")
    elif images.name in DRAWN:
        parts.append(DRAWN[images.name])
    return f"{images.name}: {', '.join(parts)}"


def run() -> None:
    """The console script."""
    run_main(main)


if __name__ == "__main__":
    run()
