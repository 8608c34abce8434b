"""The poster's runs, its figures and an ablation on one page: python -m experiments.poster

Trains what the poster shows: full ViTGAN, vanilla ViT, ReLU variant and CNN on digits, and full ViTGAN on faces. Then
it trains an ablation with three seeds for each row. Several runs go on at once. Call it again to go on: runs that have
finished or diverged are not repeated. Without --data and --faces the digits and the faces are drawn; they are neither
MNIST nor CelebA. With --data the full ViTGAN is also trained on the same images at the poster's 32 × 32, and on drawn
digits.
"""

import argparse
from pathlib import Path

from experiments.cli import command_line, run_main
from experiments.parts.device import choose_device, cores

SCALES = ("quick", "cpu", "gpu")

EXAMPLES = """examples:
  python -m experiments.poster                              takes an hour and a half on two cores
  python -m experiments.poster --scale cpu                  longer runs: a night
  python -m experiments.poster --data DIR --faces DIR       MNIST and any pictures of faces, beside drawn digits
  python -m experiments.poster --scale gpu --data DIR --faces img_align_celeba.zip --inception inception.h5
                                                            as the poster, with FID
  python -m experiments.poster --dry-run                    what would run, and how long it takes
  python -m experiments.poster --only figures               no ablation; also cnn, faces, ablation/sn, 'ablation/*-0'
  python -m experiments.poster --page-only                  the page from what is there
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m experiments.poster",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--scale", choices=SCALES, default="quick", help="how far the runs go (quick)")
    p.add_argument("--out", type=Path, metavar="DIR", help="where the runs and the page go (runs/poster-SCALE)")
    p.add_argument("--jobs", type=int, metavar="N", help="runs at once (default: one for each core, one on a GPU)")
    p.add_argument("--only", nargs="+", metavar="NAME", help="train only these: figures, ablation, or names of runs")
    p.add_argument("--no-ablation", action="store_true", help="train the figures alone")
    p.add_argument("--data", type=Path, metavar="DIR", help="digits as experiments.mnist takes them (default: drawn)")
    p.add_argument(
        "--faces",
        type=Path,
        metavar="DIR|ZIP|TAR",
        help="CelebA under its own names, or any pictures of faces (default: drawn faces)",
    )
    p.add_argument("--inception", type=Path, metavar="FILE", help="weights of experiments.export_inception: FID")
    p.add_argument("--device", default="auto", choices=["cpu", "cuda", "auto"], help="auto: the GPU if there is one")
    p.add_argument("--redo", action="store_true", help="set runs of other settings aside and train them again")
    p.add_argument("--page-only", action="store_true", help="train nothing: write the page from what is there")
    p.add_argument("--dry-run", action="store_true", help="list the runs and the time they take, and stop")
    return p


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    from experiments.parts.forecast import forecast
    from experiments.parts.holding import hold_directory, stopped_by_signals
    from experiments.parts.runner import Runner
    from experiments.poster import plan
    from minigan.data.load import how_to_fetch
    from minigan.errors import InputError

    if args.jobs is not None and args.jobs < 1:
        raise InputError(f"--jobs must be at least 1, not {args.jobs}")
    for flag in ("data", "faces", "inception"):
        path = getattr(args, flag)
        if path is not None and not path.exists():
            raise InputError(f"--{flag} {path} does not exist{how_to_fetch(path)}")
    device = choose_device(args.device)
    at_once = args.jobs or (1 if device == "cuda" else cores())
    out = args.out or Path("runs") / f"poster-{args.scale}"
    every = plan.plan(plan.SCALES[args.scale], args.data, args.faces, args.inception)
    jobs = plan.chosen(every, args.only, not args.no_ablation)
    shown = plan.chosen(every, None, not args.no_ablation)
    command = command_line().replace(" --page-only", "")
    if args.dry_run:
        return forecast(jobs, out, at_once, device)
    if args.page_only:
        if not out.is_dir():
            raise InputError(f"{out} does not exist: there is nothing to show yet")
        return write_page(shown, out, args.scale, command)
    with hold_directory(out) as lock, stopped_by_signals():
        set_aside(jobs, out, args.redo)
        print(f"{len(jobs)} runs, {at_once} at once, on {device}; writing to {out}", flush=True)
        runner = Runner(jobs, out, at_once, device, lock)
        runner.run()
        write_page(shown, out, args.scale, command)
    return runner.sum_up()


def set_aside(jobs: list, out: Path, redo: bool) -> None:
    """InputError if a run in `out` has other settings than its job; with `redo`, its directory is renamed."""
    from experiments.parts.jobs import look
    from experiments.parts.settings import differences
    from minigan.directories import free_directory
    from minigan.errors import InputError

    changed = [(result, what) for result in (look(job, out) for job in jobs) if (what := differences(result))]
    if changed and not redo:
        result, what = changed[0]
        others = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise InputError(
            f"{result.directory}{others} was trained with other settings ({'; '.join(what[:3])}): "
            "choose another --out, or --redo to set it aside and train it again"
        )
    for result, _ in changed:
        aside = free_directory(result.directory.with_name(f"{result.directory.name}-old"))
        result.directory.rename(aside)
        print(f"{result.job.name} was trained with other settings; that run is now {aside}")


def write_page(jobs: list, out: Path, scale: str, command: str) -> int:
    """Write poster.html, poster.png and ablation.png from the runs that are there."""
    from experiments.parts.jobs import look
    from experiments.poster.page import page
    from experiments.poster.picture import ablation_picture, poster_picture
    from minigan.files import write_bytes

    results = [look(job, out) for job in jobs]
    pictures = {"poster.png": poster_picture(results), "ablation.png": ablation_picture(results)}
    for name, data in pictures.items():
        if data:
            write_bytes(out / name, data)
    write_bytes(out / "poster.html", page(results, scale, command).encode())
    print(f"look at {out / 'poster.html'}")
    return 0


def run() -> None:
    """The command as a console script."""
    run_main(main)


if __name__ == "__main__":
    run()
