"""A small grid of runs, and one page over them: python -m experiments.sweep FILE

The first line of FILE is a training command with the flags that all runs share. Each other line is a flag with the
values that it takes. Every combination is trained, in processes of their own:

    mnist --steps 1000 --eval-every 250
    --d-norm isn none
    --g-modulated --no-g-modulated
    --seed 0 1 2

A line of flags alone takes one of them at a time. What follows a # is a comment. Call the same command again to go on:
runs that have finished or diverged are not repeated, and stopped ones are resumed. The page is index.html beside the
runs.
"""

import argparse
import importlib
import itertools
import re
import shlex
from pathlib import Path
from typing import Any, NoReturn

from experiments.cli import run_main
from experiments.parts.device import choose_device
from experiments.parts.jobs import Job, counted
from experiments.parts.settings import COMMANDS

MOST = 1000  # runs of a sweep
REFUSED = ("--out", "--resume", "--device", "--dry-run", "--minutes", "--epochs")  # what the sweep decides itself
EXAMPLES = """examples:
  python -m experiments.sweep norms.txt --dry-run      the runs, and the command of each
  python -m experiments.sweep norms.txt --jobs 2       two at a time, into runs/norms
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m experiments.sweep",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("file", type=Path, metavar="FILE", help="the grid")
    p.add_argument("--out", type=Path, metavar="DIR", help="where the runs go (default: runs/ and the name of FILE)")
    p.add_argument("--jobs", type=int, default=1, metavar="N", help="runs at once (1)")
    p.add_argument("--device", default="auto", choices=["cpu", "cuda", "auto"], help="auto: the GPU if there is one")
    p.add_argument("--dry-run", action="store_true", help="list the runs, and stop")
    return p


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    from experiments.parts.holding import hold_directory, stopped_by_signals
    from experiments.parts.runner import Runner
    from minigan.errors import InputError
    from minigan.report.runs import write_page

    if args.jobs < 1:
        raise InputError(f"--jobs must be at least 1, not {args.jobs}")
    jobs = read_grid(args.file)
    out = args.out or Path("runs") / args.file.stem
    check(jobs, args.file, out)
    if args.dry_run:
        for job in jobs:
            print(f"{job.name:40} {shlex.join(['python', '-m', f'experiments.{job.command}', *job.flags])}")
        print(f"{counted(jobs)}, {sum(job.steps for job in jobs):,} steps, into {out}")
        return 0
    device = choose_device(args.device)
    with hold_directory(out) as lock, stopped_by_signals():
        print(f"{counted(jobs)}, {args.jobs} at once, on {device}; writing to {out}", flush=True)
        runner = Runner(jobs, out, args.jobs, device, lock)
        runner.run()
        if there := [out / job.name for job in jobs if (out / job.name / "log.jsonl").is_file()]:
            write_page(out / "index.html", there, args.file.stem)
            print(f"look at {out / 'index.html'}")
    return runner.sum_up()


def read_grid(path: Path) -> list[Job]:
    """The runs of a grid; InputError, with the line, where it is none."""
    from minigan.errors import InputError

    try:
        text = path.read_text(encoding="utf-8")
        lines = [(n, shlex.split(line, comments=True)) for n, line in enumerate(text.splitlines(), 1)]
    except (OSError, ValueError) as e:  # UnicodeDecodeError is a ValueError, and so is a quote that does not end
        raise InputError(f"{path} cannot be read as a grid: {getattr(e, 'strerror', None) or e}") from e
    lines = [(n, words) for n, words in lines if words]
    if not lines or lines[0][1][0] not in COMMANDS:
        raise InputError(f"{path}: its first line must be a command with flags, one of {', '.join(COMMANDS)}")
    (first, (command, *shared)), *rest = lines
    told = given(command, shared, f"{path}, line {first}")
    if "--steps" not in told:
        raise InputError(f"{path}: its first line must have --steps N, so that it is known when a run is finished")
    if taken := told.keys() - {"--steps"}:
        raise InputError(f"{path}: {min(taken)} has no place in a grid")
    axes, count = [], 1
    for n, words in rest:
        if not words[0].startswith("--") or len(words) < 2:
            raise InputError(f"{path}, line {n}: a flag and its values are expected, such as --seed 0 1 2")
        flag, *values = words
        alone = all(word.startswith("--") for word in words)
        axes.append([(word,) for word in words] if alone else [(flag, value) for value in values])
        count *= len(axes[-1])
        if count > MOST:
            raise InputError(f"{path}: more than {MOST:,} runs")
        for setting in axes[-1]:
            if varied := given(command, [*shared, *setting], f"{path}, line {n}").items() - told.items():
                raise InputError(f"{path}, line {n}: {min(varied)[0]} is not a flag to vary")
    jobs = []
    for choice in itertools.product(*axes):
        name = ",".join("-".join(words).removeprefix("--") for words in choice) or command
        jobs.append(Job(re.sub(r"[^\w.,=+-]", "_", name), command, (*shared, *itertools.chain(*choice))))
    return jobs


def given(command: str, flags: list[str], where: str) -> dict[str, Any]:
    """Those of --steps and the refused flags that a command finds among its flags, shortened or as --out=DIR too.

    InputError, which begins with `where`, for a flag that the command does not take, or not with this value.
    """
    from minigan.errors import InputError

    def refuse(message: str) -> NoReturn:
        raise InputError(f"{where}: {message}")

    if "-h" in flags or "--help" in flags:
        raise InputError(f"{where}: --help has no place in a grid")
    names = {flag.removeprefix("--").replace("-", "_"): flag for flag in (*REFUSED, "--steps")}
    unset = argparse.Namespace(**dict.fromkeys(names, REFUSED))  # a default is laid only where there is no value
    parser = importlib.import_module(f"experiments.{command}").parser()
    parser.error = refuse
    found = parser.parse_args(flags, unset)
    return {flag: getattr(found, name) for name, flag in names.items() if getattr(found, name) is not REFUSED}


def check(jobs: list[Job], path: Path, out: Path) -> None:
    """InputError if two runs have one name, a flag is wrong, or a run in `out` has other settings than its job."""
    from experiments.parts.settings import configuration, refuse_changed
    from minigan.errors import InputError

    names = [job.name for job in jobs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"{path}: the run {twice} is there twice")
    for job in jobs:
        try:
            configuration(job)
        except InputError as e:
            raise InputError(f"{path}, run {job.name}: {e}") from e
        refuse_changed(job, out)


def run() -> None:
    """The console script."""
    run_main(main)


if __name__ == "__main__":
    run()
