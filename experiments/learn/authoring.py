"""For lecturers: a new exercise, and whether the exercises of a folder hold what they promise."""

import re
from pathlib import Path

from experiments.learn.course import Exercise, write_text
from experiments.learn.runner import run
from minigan.errors import InputError

TASK = """# y = x³

Write the rule of y = x³: the gradient ∂L/∂x from g = ∂L/∂y.

## Hint

Look at `backward`: the derivative of a power.

## Hint

∂L/∂x = 3 x² g.
"""
PROGRAM = """from autograd import op


@op
class cube:
    "y = x³"

    def forward(xp, x):
        return x**3

    def backward(xp, g, x):
        return {factor}x * x * g
"""
CHECK = """from experiments.learn.checking import check_rule, normal

START_FAILS_WITH = "the gradient of x is wrong"  # words of the message that the start gets


def check(answer):
    check_rule(answer.cube, lambda x: x**3, normal(3, 4))
"""


def new(name: str, directory: Path) -> int:
    """Write an exercise that works and is to be changed: the rule of y = x³."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        raise InputError(f"--new {name}: name it by small letters, digits and hyphens, as in cube-root")
    numbers = [int(m[1]) for path in directory.glob("*") if (m := re.match(r"(\d+)-", path.name))]
    folder = directory / f"{max(numbers, default=0) + 1:02}-{name}"
    programs = {"start.py": PROGRAM.format(factor=""), "solution.py": PROGRAM.format(factor="3 * ")}
    for file, text in {"task.md": TASK, "check.py": CHECK, **programs}.items():
        write_text(folder / file, text)
    print(f"wrote {folder}: the rule of y = x³, to be changed. Then: --validate {directory}")
    return 0


def validate(course: list[Exercise], limit: float) -> int:
    """Say for each exercise whether its solution passes and its start fails with the stated words; 0 if all do."""
    failed = 0
    for exercise in course:
        faults = list(find_faults(exercise, limit))
        failed += bool(faults)
        print(f"{'wrong' if faults else 'ok':<6} {exercise.name:<26} {exercise.title}", flush=True)
        for fault in faults:
            print("       " + fault.replace("\n", "\n       "), flush=True)
    print(f"{len(course) - failed} of {len(course)} exercises are as they should be")
    return 1 if failed else 0


def find_faults(exercise: Exercise, limit: float):
    """What is wrong with an exercise, in words."""
    if not exercise.task.startswith("# "):
        yield "task.md begins with no heading"
    if len(exercise.hints) < 2:
        yield 'task.md has no two hints, each under a heading "## Hint"'
    solved = run(exercise, exercise.folder / "solution.py", limit)
    if not solved.passed:
        yield f"the solution does not pass: {solved.text}"
    start = run(exercise, exercise.folder / "start.py", limit)
    if start.passed:
        yield "the start passes"
    elif start.kind == "crashed":
        yield f"the start is not a wrong formula: it fails otherwise: {start.text}"
    elif not start.start or start.start not in start.text:
        yield f"the start should be told {start.start!r}, and is told: {start.text}"
