"""Run every check that needs a GPU, into one record and one page: python -m experiments.gpu_check OUT

Every kernel loaded, the tests that need a GPU, a training step of each preset timed in float32 and TF32, the default
trained to its end, the benchmark beside PyTorch, where the time goes, and compute-sanitizer: one stage after the other,
each a process with a limit of its own. OUT/record.json and OUT/log.txt are written after each stage. Call it again to
go on: stages that passed are kept. In the end there are OUT/gpu.html and OUT/table.md. Without a GPU every stage says
what it would show.
"""

import argparse
import math
import sys
from pathlib import Path

from experiments.cli import command_line, run_main

EXAMPLES = """examples:
  python -m experiments.gpu_check runs/gpu                       nine minutes; again: what is left, or failed
  python -m experiments.gpu_check runs/gpu --minutes 25          all of it at once
  python -m experiments.gpu_check runs/gpu --only step,training  stages by parts of their names
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m experiments.gpu_check",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("out", type=Path, metavar="OUT", help="directory of the record and the page")
    p.add_argument("--minutes", type=float, default=9.0, metavar="M", help="for all stages together (9)")
    p.add_argument("--only", default="", metavar="LIST", help="stages, by parts of their names")
    return p


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    from experiments.gpu_check.page import write_page
    from experiments.gpu_check.runner import DONE, Runner
    from experiments.gpu_check.stages import every_stage
    from experiments.parts.holding import hold_directory, stopped_by_signals
    from minigan.errors import InputError

    if not 0 < args.minutes < math.inf:
        raise InputError(f"--minutes must be greater than 0 and finite, not {args.minutes:g}")
    stages = every_stage()
    words = [word.strip().lower() for word in args.only.split(",") if word.strip()]
    for word in words:
        if not any(word in stage.name.lower() for stage in stages):
            names = ", ".join(stage.name for stage in stages)
            raise InputError(f"--only {word}: no stage has it in its name; they are {names}")
    chosen = [s for i, s in enumerate(stages) if i == 0 or not words or any(word in s.name.lower() for word in words)]
    with hold_directory(args.out):
        runner = Runner(args.out, 60 * args.minutes, command_line())
        try:
            with stopped_by_signals():
                runner.run(chosen)
        finally:
            write_page(runner.out, runner.record, stages)
            print(f"look at {args.out / 'gpu.html'}", file=sys.stderr)
    return 0 if all(runner.entries[stage.name]["status"] in DONE for stage in chosen) else 1


def run() -> None:
    """The console script."""
    run_main(main)


if __name__ == "__main__":
    run()
