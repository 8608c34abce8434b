"""Compare generated images with real ones: python -m experiments.fid A B

A is judged, B is the measure. One forward pass over each side gives the Fréchet distance (FID), KID, the Inception
score, precision and recall, density and coverage.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.cli import command_line, run_main

if TYPE_CHECKING:
    from minigan.metrics.pair import Result, Side

EPILOG = """A and B, each one of
  a folder of PNG and JPEG images, with its sub-folders, or a zip or tar of them; sizes may differ
  an IDX file, plain or gzipped; an HDF5, npz or npy file of uint8 images, as a run's samples.h5
  a checkpoint of training, which makes --num images, or the directory of a run: its best.h5, else checkpoint.h5
  a statistics file: one of --save-stats, or the npz with mu and sigma of another tool; it allows the Fréchet distance
  stroke-digits or faces: --num images drawn by a program, others than a run is trained on

The distance is called by its features, as their scales have nothing in common:
  FID         2048 features of the Inception network, with --inception; FID-64, -192, -768 at another --tap
  digit-FID   64 features of the digit classifier that is shipped
  random-FID  256 features of a fixed network that learned nothing

examples:
  python -m experiments.fid runs/mnist-vitgan-small stroke-digits
  python -m experiments.fid samples/ celeba.h5 --inception inception.h5 --num 10000 --json fid.json
  python -m experiments.fid celeba.h5 --inception inception.h5 --save-stats celeba-stats.h5
  python -m experiments.fid samples/ celeba-stats.h5 --inception inception.h5

Inception on a CPU: about 5 images a second and core, and one core unless OPENBLAS_NUM_THREADS=8, say, is set.
"""

METRICS = {"fid": "frechet", "kid": "kid", "is": "inception_score", "prdc": "prdc"}

# key of a value: (its name with FID for the distance, what it says); ± is its key with _std
ROWS = {
    "frechet": ("FID", "lower is better: 0 for the same statistics"),
    "frechet_infinity": ("FID∞", "lower is better: the same for infinitely many of A; ± of the fit"),
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
    p.add_argument("a", metavar="A", help="the images to judge, generated ones")
    p.add_argument("b", metavar="B", nargs="?", help="the images to compare with, real ones (none: --save-stats of A)")
    what = p.add_argument_group("what is measured")
    what.add_argument(
        "--features",
        default="auto",
        choices=["auto", "inception", "digits", "random"],
        help="auto: inception with --inception, digits where both sides are 28 × 28 and grey, else random",
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
        help="how Inception's images are resized: as TTUR and StyleGAN (tf, the default), pytorch-fid, or clean-fid",
    )
    what.add_argument("--tap", type=int, choices=[64, 192, 768, 2048], help="which Inception features (default: 2048)")
    what.add_argument("--metrics", default="fid,kid,is,prdc", metavar="LIST", help="of fid,kid,is,prdc (default: all)")
    what.add_argument("--fid-inf", action="store_true", help="the distance at infinitely many images of A, too")
    what.add_argument("--k", type=int, default=5, help="neighbours, of precision and its company (default: 5)")
    which = p.add_argument_group("which images, and how")
    which.add_argument(
        "--num", type=int, metavar="N", help="images of each side, drawn by the seed (default: all; 10,000 are made)"
    )
    which.add_argument("--seed", type=int, default=0, help="of samples, choices and subsets (default: 0)")
    which.add_argument("--batch", type=int, metavar="N", help="images at a time (default: 64 for inception, else 250)")
    which.add_argument(
        "--device", default="auto", choices=["cpu", "cuda", "auto"], help="auto: the GPU if there is one"
    )
    which.add_argument("--cache", metavar="DIR", help="keep features there, by the content of the images, and use them")
    out = p.add_argument_group("what is written")
    out.add_argument(
        "--save-stats", type=Path, metavar="FILE", help="statistics of B, or of A alone: HDF5; for others .npz"
    )
    out.add_argument("--save-features", action="store_true", help="the features too: then all metrics can be taken")
    out.add_argument("--json", metavar="OUT", help="everything as JSON, to a file or - for stdout")
    return p


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    import numpy as np

    from autograd.arrays import best_device
    from minigan import accelerate
    from minigan.errors import NumericalError

    check(args)
    if args.device == "auto":
        args.device = best_device()
    accelerate.use(args.device)
    try:
        return statistics_alone(args) if args.b is None else compare(args)
    except (NumericalError, np.linalg.LinAlgError) as e:
        print(f"error: the computation failed: {e}", file=sys.stderr)
        return 3


def check(args: argparse.Namespace) -> None:
    """What can be known to be wrong before hours of work."""
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
        raise InputError("name two sides, A to judge and B to compare with; or one and --save-stats FILE")
    if args.save_features and (not args.save_stats or args.save_stats.suffix == ".npz"):
        raise InputError("--save-features goes with --save-stats FILE, and not with an npz")
    kept = [Path(name) for name in (args.a, args.b, args.weights) if name]
    for path in (args.save_stats, args.json and args.json != "-" and Path(args.json)):
        if not path:
            continue
        if path.exists() and not path.is_file() or not path.absolute().parent.is_dir():
            raise InputError(f"{path} must be a file in a directory that is there")
        if any(path.resolve() == other.resolve() for other in kept):
            raise InputError(f"{path} would be overwritten: write to another file")
        kept.append(path)


def compare(args: argparse.Namespace) -> int:
    from minigan.errors import InputError
    from minigan.metrics.containers import sniff
    from minigan.metrics.pair import evaluate_pair

    if args.save_stats and sniff(args.b) == "statistics":
        raise InputError(f"--save-stats: {args.b} is a statistics file already")
    result = evaluate_pair(
        args.a,
        args.b,
        features=args.features,
        weights=args.weights,
        mode=args.mode,
        tap=args.tap,
        metrics=[*(METRICS[name] for name in args.metrics), *(["frechet_infinity"] if args.fid_inf else [])],
        num=args.num,
        k=args.k,
        seed=args.seed,
        batch=args.batch,
        cache=args.cache,
        keep_features=args.save_features,
        device=args.device,
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
    from minigan.metrics.sides import Side, choose_extractor, measure, open_side

    opened = open_side(args.a, args.num, args.seed, args.device)
    if isinstance(opened, Side):
        raise InputError(f"{args.a} is a statistics file already")
    extractor = choose_extractor([opened], args.features, args.weights, args.mode, args.tap, args.device, args.batch)
    assert extractor is not None  # there is one for images
    side = measure(opened, extractor, args.save_features, FeatureCache(args.cache) if args.cache else None, "A")
    if args.json != "-":
        print(f"A  {describe(side)}", flush=True)
    write_json({"command": command_line(), **side.record(), "features": side.statistics.extractor}, args.json)
    save(args, side)
    return 0


def save(args: argparse.Namespace, side: "Side") -> None:
    """--save-stats."""
    from dataclasses import replace

    from minigan.metrics.statistics import save_statistics

    if args.save_stats:
        kept = side.statistics if args.save_features else replace(side.statistics, features=None)
        save_statistics(args.save_stats, kept, side.record())
        print(f"wrote {args.save_stats}: statistics of {side.name}", file=sys.stderr)


def write_json(record: dict[str, Any], out: str | None) -> None:
    import json

    from minigan.figures import write_bytes

    text = json.dumps(record, indent=2, ensure_ascii=False)
    if out == "-":
        print(text)
    elif out:
        write_bytes(out, text.encode(errors="replace") + b"\n")  # a file's name may be no text


def table(result: "Result") -> str:
    """What a person reads: both sides, a line for each number with its full name, and what is missing."""
    before, after = result.label.split("FID")
    counts = "/".join(short(side.statistics.count) for side in (result.fake, result.real))
    mode = result.settings["features"] and result.settings["features"].get("mode")
    where = f"[{mode}, {counts}]" if mode else f"[{counts}]"
    rows = []
    for key, (name, meaning) in ROWS.items():
        if key in result.values:
            std = result.values.get(f"{key}_std")
            value = number(result.values[key]) + ("" if std is None else f" ± {std:.2g}")
            rows.append((f"{before}{name}{after}{where}", value, meaning))
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
    if abs(value) < 1e-7:  # rounding
        return "0"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def short(count: int | None) -> str:
    """10000 → 10k, 2500 → 2500."""
    if count is None:
        return "?"
    return f"{count // 1000}k" if count >= 1000 and count % 1000 == 0 else str(count)


def describe(side: "Side") -> str:
    """A side in one line."""
    from minigan.metrics.containers import DRAWN

    source, count = side.source, side.statistics.count
    images = f"{count:,} images" if count is not None else "an unknown number of images"
    if source is None:
        return f"{side.name}: statistics of {images}"
    (height, width, *channels), *others = source.shapes
    size = "of several sizes" if others else f"{width}×{height} {'RGB' if channels else 'grey'}"
    step = source.facts.get("step")
    made = f"made by {source.facts['checkpoint']}, step {step:,}" if step is not None else DRAWN.get(side.name, "")
    return f"{side.name}: {images}, {size}{made and ', ' + made}"


if __name__ == "__main__":
    run_main(main)
