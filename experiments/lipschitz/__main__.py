"""What the Lipschitz tools of D are for: python -m experiments.lipschitz

Trains the same generator against five discriminators (plain, L2 attention, ISN, both, a bound with L2) at growing
learning rates of D, and in two games without gradient penalty, several seeds each. It measures the distance over its
floor, σ and stable rank of every layer of D, and D's slope at images. A run diverges if a loss or the norm of a
gradient is no longer a finite number. That is a result too, worse than any distance. Call it again to go on: runs that
have finished or diverged are not repeated, unless their directories are deleted. lipschitz.html claims only what holds
between all seeds.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.cli import command_line, run_main
from experiments.parts.device import choose_device

if TYPE_CHECKING:
    from experiments.lipschitz.plan import Size

GAMES = ("default", "poster", "paper")
EXAMPLES = """examples:
  python -m experiments.lipschitz --dry-run                          every run, and how long all of them take
  python -m experiments.lipschitz --games default --rates 1 5        the learning rate alone, at two of its values
  python -m experiments.lipschitz --steps 200 --width 32 --seeds 2   small: whether anything separates
  python -m experiments.lipschitz --page-only                        the page from the runs that are there
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m experiments.lipschitz",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--steps", type=int, default=1000, metavar="N", help="steps of a run (1000)")
    p.add_argument("--width", type=int, default=64, metavar="N", help="features of a token, in G and in D (64)")
    p.add_argument("--seeds", type=int, default=3, metavar="N", help="seeds of each D, rate and game (3)")
    p.add_argument("--rates", type=int, nargs="+", metavar="N", help="multiples of D's learning rate (1 2 5 10 20)")
    p.add_argument("--games", nargs="+", choices=GAMES, help="default: all rates; poster and paper: the first rate")
    p.add_argument("--out", type=Path, metavar="DIR", help="where runs and page go (runs/lipschitz-STEPS-WIDTH)")
    p.add_argument("--jobs", type=int, default=1, metavar="N", help="runs at once (1)")
    p.add_argument("--device", default="auto", choices=["cpu", "cuda", "auto"], help="auto: the GPU if there is one")
    p.add_argument("--page-only", action="store_true", help="train nothing: write the page from what is there")
    p.add_argument("--dry-run", action="store_true", help="list the runs and the time they take, and stop")
    return p


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    from experiments.lipschitz.plan import RATES, Size, plan
    from experiments.parts.forecast import forecast
    from experiments.parts.holding import hold_directory, stopped_by_signals
    from experiments.parts.runner import Runner
    from experiments.parts.settings import configuration, refuse_changed
    from minigan.errors import InputError

    for flag in ("steps", "width", "seeds", "jobs"):
        if not 1 <= getattr(args, flag) <= 1 << 20:
            raise InputError(f"--{flag} must be at least 1 and at most {1 << 20:,}, not {getattr(args, flag)}")
    rates = tuple(dict.fromkeys(args.rates or RATES))
    if not all(1 <= rate <= 1000 for rate in rates):
        raise InputError(f"--rates must be whole numbers from 1 to 1000, not {' '.join(map(str, rates))}")
    if args.seeds > 100:
        raise InputError(f"--seeds must be at most 100, not {args.seeds}")
    size = Size(args.steps, args.width, args.seeds, rates, tuple(dict.fromkeys(args.games or GAMES)))
    jobs = plan(size)
    configuration(jobs[0])  # a width that the heads do not divide fails here, before anything is written
    out = args.out or Path("runs") / f"lipschitz-{args.steps}-{args.width}"
    command = command_line().replace(" --page-only", "")
    if args.page_only:
        if not out.is_dir():
            raise InputError(f"{out} does not exist: there is nothing to show yet")
        return write_page(jobs, out, size, command)
    device = choose_device(args.device)
    for job in jobs:
        refuse_changed(job, out)
    if args.dry_run:
        return forecast(jobs, out, args.jobs, device)
    with hold_directory(out) as lock, stopped_by_signals():
        print(f"{len(jobs)} runs, {args.jobs} at once, on {device}; writing to {out}", flush=True)
        runner = Runner(jobs, out, args.jobs, device, lock)
        runner.run()
        write_page(jobs, out, size, command)
    return runner.sum_up(diverging_fails=False)


def write_page(jobs: list, out: Path, size: "Size", command: str) -> int:
    """Write lipschitz.html and lipschitz.png from the runs that are there."""
    from experiments.lipschitz.page import page, rates_figure
    from experiments.parts.jobs import look
    from minigan.charts import png
    from minigan.files import write_bytes

    results = {job.name: look(job, out) for job in jobs}
    if figure := rates_figure(results, size):
        write_bytes(out / "lipschitz.png", png(figure))
    write_bytes(out / "lipschitz.html", page(results, size, command).encode())
    print(f"look at {out / 'lipschitz.html'}")
    return 0


def run() -> None:
    """The command as a console script."""
    run_main(main)


if __name__ == "__main__":
    run()
