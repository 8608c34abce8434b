"""Build the site: lectures, a page per op, the reference, and the other pages of docs.

A folder that holds anything but a site of this command is left alone. Needs the extra `docs`: pip install -e '.[docs]'.
"""

import argparse
import tempfile
from pathlib import Path

from experiments.cli import run_main

ROOT = Path(__file__).parents[2]
OUT = ROOT / "docs" / "_site"


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser("python -m experiments.docs", description=__doc__)
    p.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="where the site lies (default: docs/_site)")
    p.add_argument("--check", action="store_true", help="build it for its warnings and dead links, and keep nothing")
    return p


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    from experiments.docs.site import build

    if args.check:
        with tempfile.TemporaryDirectory() as place:
            print(f"{build(Path(place, 'site'))} pages, no warning, no dead link")
        return 0
    print(f"{build(args.out)} pages; open {args.out / 'index.html'}")
    return 0


def run() -> None:
    """The command as a console script."""
    run_main(main)


if __name__ == "__main__":
    run()
