"""Exercises that answer: python -m experiments.learn

Copies small wrong programs into ./exercises and watches them: mend one in your editor and save it, and it is checked,
and told what is wrong. Hints come in steps: the diagnosis always, the line of the mistake after a second failure, the
edit that mends it after a third. Without a terminal it looks once, and says where the course stands.
"""

import argparse
import math
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.cli import run_main
from experiments.learn import LIMIT

if TYPE_CHECKING:
    from experiments.learn.course import Exercise
    from experiments.learn.runner import Verdict

EPILOG = """keys:
  h  one hint more            n  the next exercise that is not solved     l  the list of exercises
  r  (twice) the start again  q  quit; the same command goes on

examples:
  python -m experiments.learn                                    the course, in ./exercises
  python -m experiments.learn 14                                 begin with 14-bug-swish
  python -m experiments.learn --seed ada                         ada's own formulas and bugs, in ./exercises/ada
  python -m experiments.learn --grade DIR --json results.json    grade DIR/01-square.py and so on
  python -m experiments.learn --grade DIR --seed ada             grade ada's own exercises
  python -m experiments.learn --exercises mine --new cube-root   begin an exercise in the folder mine
  python -m experiments.learn --validate mine                    do its starts fail as stated, its solutions pass?
  python -m experiments.learn --exercises mine                   learn from it

An answer runs in a process of its own with a time limit. That is no sandbox: it can read, write and send what its user
can, and a program made for it can forge its own verdict. Grade in a container what others hand in, as Gradescope does.
"""


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m experiments.learn",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("name", nargs="?", help="the exercise to begin with, or how its name begins (default: the next)")
    p.add_argument("--out", type=Path, metavar="DIR", help="your folder (default: exercises, or exercises/NAME)")
    p.add_argument("--seed", metavar="NAME", help="exercises made from a name: each student gets different ones")
    p.add_argument("--exercises", type=Path, metavar="DIR", help="exercises of your own, in place of the course")
    p.add_argument("--limit", type=float, default=LIMIT, metavar="SECONDS", help=f"time for an answer ({LIMIT:g})")
    lecturers = p.add_argument_group("for lecturers")
    lecturers.add_argument(
        "--grade", type=Path, metavar="DIR", help="grade the answers in DIR; exit status 1 if one is wrong"
    )
    lecturers.add_argument("--json", metavar="FILE", help="with --grade: write what Gradescope reads; - for stdout")
    lecturers.add_argument(
        "--validate",
        nargs="?",
        type=Path,
        const=True,
        metavar="DIR",
        help="check that starts fail with the stated words and solutions pass, of the course or of DIR",
    )
    lecturers.add_argument("--new", metavar="NAME", help="with --exercises DIR: write an exercise there, to be changed")
    return p


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    from experiments.learn.authoring import new, validate
    from experiments.learn.course import SHIPPED, read_course
    from experiments.learn.grading import grade_main

    check(args)
    if args.new:
        return new(args.new, args.exercises)
    with tempfile.TemporaryDirectory() as made:
        directory = args.validate if isinstance(args.validate, Path) else args.exercises or SHIPPED
        if args.seed:
            from experiments.learn.seeds import write_exercises

            directory = Path(made)
            write_exercises(args.seed, directory)
        course = read_course(directory)
        if args.validate:
            return validate(course, args.limit)
        if args.grade:
            return grade_main(course, args.grade, args.limit, args.json)
        own = args.seed or (args.exercises.resolve().name if args.exercises else "")
        return learn(course, args.out or Path("exercises", own), args.limit, args.name)


def check(args: argparse.Namespace) -> None:
    """InputError for flags that do not go together, or name what is not there."""
    from minigan.errors import InputError

    if not 0 < args.limit < math.inf:
        raise InputError(f"--limit must be greater than 0 and finite, not {args.limit}")
    if args.name and (args.grade or args.validate or args.new):
        raise InputError(
            f"{args.name} names an exercise to learn from: it does not go with --grade, --validate or --new"
        )
    if sum(bool(x) for x in (args.grade, args.validate, args.new, args.out)) > 1:
        raise InputError("give one of --grade, --validate, --new and --out")
    if args.new and not args.exercises:
        raise InputError("--new needs --exercises DIR, the folder that the exercise goes to")
    if args.seed and (args.exercises or args.new or isinstance(args.validate, Path)):
        raise InputError("--seed makes its own exercises, so it goes with no folder of exercises and not with --new")
    if args.exercises and isinstance(args.validate, Path):
        raise InputError("--validate DIR names the folder already, so it does not go with --exercises")
    if args.seed is not None and not re.fullmatch(r"\w[\w.@+-]{0,99}", args.seed):
        raise InputError("--seed NAME: at most 100 letters, digits and . _ - + @, and a letter or digit first")
    if args.json and not args.grade:
        raise InputError("--json is for --grade")
    if args.json and args.json != "-" and (Path(args.json).is_dir() or not Path(args.json).absolute().parent.is_dir()):
        raise InputError(f"--json {args.json} must be a file in an existing directory")
    if args.grade and not args.grade.is_dir():
        raise InputError(f"--grade {args.grade} is no folder")


def learn(course: list["Exercise"], directory: Path, limit: float, name: str | None) -> int:
    """What a student sees: the course until q, or one look at it where there is no terminal."""
    from experiments.learn.course import Desk, named
    from experiments.learn.keyboard import is_terminal, keys
    from experiments.learn.runner import run
    from experiments.learn.session import Session
    from experiments.learn.watch import look_once, watch

    def announced(exercise: "Exercise", answer: Path, limit: float, steps: int) -> "Verdict":
        print(f"checking {answer.name} …", flush=True)  # it may loop until the limit
        return run(exercise, answer, limit, steps)

    begin = course.index(named(course, name)) if name else None
    session = Session(Desk(directory, course), limit, announced if is_terminal() else run)
    if begin is not None:
        session.current = begin
    if is_terminal():
        with keys() as read_key:
            watch(session, read_key, draw)
    else:
        look_once(session, print, chosen=begin is not None)
    return 0


def draw(text: str) -> None:
    """Put the text on an empty screen."""
    sys.stdout.write(f"\x1b[2J\x1b[H{text}\n")
    sys.stdout.flush()


def run() -> None:
    """The console script."""
    run_main(main)


if __name__ == "__main__":
    run()
