"""Several runs on one page: python -m experiments.compare RUN RUN …

A RUN is the directory of a run, or a directory with runs in it. What else a wildcard such as runs/* names is left out.
The page has a table that sorts by a click, the curves over steps and over minutes, the samples, and the settings in
which the runs differ. It needs no network.
"""

import argparse
from pathlib import Path

from experiments.cli import run_main

EXAMPLES = """examples:
  python -m experiments.compare runs/mnist-vitgan-small runs/mnist-cnn-small
  python -m experiments.compare runs --out all.html          every run below runs
  python -m experiments.compare runs/mnist-*                 those whose names begin so
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m experiments.compare",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="the directory of a run, or one with runs in it")
    p.add_argument("--out", type=Path, default=Path("compare.html"), metavar="FILE", help="the page (compare.html)")
    return p


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    import sys

    from minigan.errors import InputError
    from minigan.report.runs import find_runs, write_page

    directories: list[Path] = []
    others: list[Path] = []  # places without a run, which a wildcard names too
    for place in args.runs:
        if not place.exists():
            raise InputError(f"{place} does not exist")
        found = find_runs(place)
        directories += [path for path in found if path not in directories]
        if not found:
            others.append(place)
    if not directories:
        place = others[0]
        raise InputError(f"{place} holds no run" if place.is_dir() else f"{place} is not the directory of a run")
    if args.out.is_dir():
        raise InputError(f"--out {args.out} is a directory: name the file of the page")
    if others:
        print(f"left out, because they hold no run: {', '.join(map(str, others))}", file=sys.stderr)
    unread = write_page(args.out, directories, "Runs compared")
    for sentence in unread:
        print(f"left out: {sentence}", file=sys.stderr)
    shown = len(directories) - len(unread)
    print(f"{shown} {'run' if shown == 1 else 'runs'}; look at {args.out}")
    return 0


def run() -> None:
    """The console script."""
    run_main(main)


if __name__ == "__main__":
    run()
