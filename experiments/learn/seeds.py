"""Exercises made from a name: formulas with constants that are no op of a library, and a bug among their terms.

Each is a folder like those of the course, so everything else works on it unchanged. The same name gives the same
exercises everywhere: the only source of chance is `random.Random.random`, whose sequence Python promises to keep.
"""

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.learn.course import write_text
from experiments.learn.terms import TERMS, Term, on

OP = '''from autograd import op


@op
class own:
    """{doc}"""

    def forward(xp, {inputs}):
        return {value}

    def backward(xp, g, {inputs}):
{rule}
'''
CHECK = """import numpy as xp

from experiments.learn.checking import check_rule, normal

START_FAILS_WITH = "the gradient of {wrong} is wrong"


def check(answer):
    check_rule(answer.own, lambda {inputs}: {value}, {points})
"""


class Chance:
    """Random choices that depend on a name alone."""

    def __init__(self, name: str):
        self.stream = random.Random(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))

    def index(self, n: int) -> int:
        return int(self.stream.random() * n)

    def pick(self, things: Sequence) -> Any:
        return things[self.index(len(things))]

    def some(self, things: Sequence, n: int) -> list:
        """n different ones, in random order."""
        left = list(things)
        return [left.pop(self.index(len(left))) for _ in range(n)]

    def constant(self) -> str:
        """A number that is never 1 or 2, so that no factor can be left out unnoticed."""
        return self.pick([f"{k / 10:.1f}" for k in range(3, 30) if k not in (10, 20)])

    def terms(self, n: int) -> list[Term]:
        """n terms of different kinds, with constants in the place of A and B."""

        def fill(text: str, a: str, b: str) -> str:
            return text.replace("A", a).replace("B", b)

        chosen = []
        for t in self.some(TERMS, n):
            a, b = self.constant(), self.constant()
            text, value, slope, *bugs = (fill(s, a, b) for s in (t.text, t.value, t.slope, *t.bugs))
            chosen.append(Term(text, value, slope, tuple(bugs)))
        return chosen


def write_exercises(name: str, directory: Path) -> None:
    """Write the exercises of a student into `directory`."""
    makers = (formula, product, rows, bug, centred_bug)
    for number, make in enumerate(makers, 1):
        files = make(Chance(f"{name}/{make.__name__}"))
        folder = directory / f"{number:02}-own-{make.__name__.replace('_', '-')}"
        for file, text in files.items():
            write_text(folder / file, text)


def exercise(task: str, doc: str, inputs: str, value: str, right: str, start: str, wrong: str) -> dict[str, str]:
    """The four files of an exercise about one op. wrong: the input whose gradient the start has wrong."""

    def program(rule: str) -> str:
        lines = "\n".join(f"        {line}" for line in rule.splitlines())
        return OP.format(doc=doc, inputs=inputs, value=value, rule=lines)

    points = ", ".join(f"normal(3, 4, seed={i})" for i in range(len(inputs.split(", "))))
    check = CHECK.format(wrong=wrong, inputs=inputs, value=value, points=points)
    return {"task.md": task, "start.py": program(start), "solution.py": program(right), "check.py": check}


def task(title: str, what: str, *hints: str) -> str:
    return "\n\n".join([f"# {title}", what, *(f"## Hint\n\n{hint}" for hint in hints)]) + "\n"


BUG = "One factor, sign or term of the rule is wrong. Find it, and mend it."


def formula(chance: Chance) -> dict[str, str]:
    """y = f(x) + h(x): write the rule."""
    f, h = chance.terms(2)
    text = f"y = {on(f.text, 'x')} + {on(h.text, 'x')}"
    return exercise(
        task(
            "A formula of your own",
            f"Write the rule of\n\n    {text}\n\nelement by element. The start has the slope of one term alone.",
            "∂L/∂x = g dy/dx, and the slope of a sum is the sum of the slopes.",
            f"The slope of the other term is {on(h.slope, 'x')}.",
        ),
        doc=text,
        inputs="x",
        value=f"{on(f.value, 'x')} + {on(h.value, 'x')}",
        right=f"return g * ({on(f.slope, 'x')} + {on(h.slope, 'x')})",
        start=f"return g * ({on(f.slope, 'x')})",
        wrong="x",
    )


def product(chance: Chance) -> dict[str, str]:
    """y = f(a) h(b) + c a b: write both gradients."""
    (f, h), c = chance.terms(2), chance.constant()
    fa, hb = on(f.value, "a"), on(h.value, "b")
    text = f"y = {on(f.text, 'a')} · {on(h.text, 'b')} + {c} a b"
    return exercise(
        task(
            "A product of your own",
            f"Write the rule of\n\n    {text}\n\nelement by element: a tuple of ∂L/∂a and ∂L/∂b.",
            "For ∂L/∂a, b is a constant. The product rule needs the slope of the first factor times the second factor.",
            f"∂L/∂a = g (({on(f.slope, 'a')}) ({hb}) + {c} b), and ∂L/∂b in the same way.",
        ),
        doc=text,
        inputs="a, b",
        value=f"({fa}) * ({hb}) + {c} * a * b",
        right=f"ga = g * (({on(f.slope, 'a')}) * ({hb}) + {c} * b)\n"
        f"gb = g * (({fa}) * ({on(h.slope, 'b')}) + {c} * a)\nreturn ga, gb",
        start=f"ga = g * (({on(f.slope, 'a')}) + {c} * b)\ngb = g * (({on(h.slope, 'b')}) + {c} * a)\nreturn ga, gb",
        wrong="a",
    )


def rows(chance: Chance) -> dict[str, str]:
    """y = (Σ f(x))² / c for each row: write the rule."""
    (f,), c = chance.terms(1), chance.constant()
    total = f"({on(f.value, 'x')}).sum(axis=-1, keepdims=True)"
    text = f"y = (Σ {on(f.text, 'x')})² / {c}, the sum over the last axis, which stays with length 1"
    return exercise(
        task(
            "A sum of your own",
            f"Write the rule of\n\n    {text}\n\nWhat does an element of x do to the sum, and the sum to y?",
            "With s = Σ f(x): ∂L/∂s = g dy/ds has one number for each row, and broadcasts over the row.",
            f"∂L/∂x = g · 2 s / {c} · ({on(f.slope, 'x')}).",
        ),
        doc=text,
        inputs="x",
        value=f"{total} ** 2 / {c}",
        right=f"s = {total}\nreturn g * 2 * s / {c} * ({on(f.slope, 'x')})",
        start=f"return g * ({on(f.slope, 'x')}) / {c}",
        wrong="x",
    )


def bug(chance: Chance) -> dict[str, str]:
    """y = f(x) + h(x) + c x² with one wrong slope: find the bug."""
    parts, c = chance.terms(2), chance.constant()
    text = "y = " + " + ".join(on(t.text, "x") for t in parts) + f" + {c} x²"
    slopes = [on(t.slope, "x") for t in parts] + [f"2 * {c} * x"]
    bugs = [[on(wrong, "x") for wrong in t.bugs] for t in parts] + [[f"{c} * x", "2 * x", f"-2 * {c} * x"]]
    k = chance.index(3)
    wrong = [chance.pick(bugs[k]) if i == k else slope for i, slope in enumerate(slopes)]

    def rule(slopes: list[str]) -> str:
        names = [f"slope{i} = {slope}" for i, slope in enumerate(slopes, 1)]
        return "\n".join([*names, "return g * (slope1 + slope2 + slope3)"])

    return exercise(
        task(
            "A bug of your own",
            f"This is the rule of\n\n    {text}\n\n{BUG}",
            "Take the terms one by one: set the others to zero in forward and in backward, and check again.",
            f"slope{k + 1} is wrong.",
        ),
        doc=text,
        inputs="x",
        value=" + ".join(on(t.value, "x") for t in parts) + f" + {c} * x * x",
        right=rule(slopes),
        start=rule(wrong),
        wrong="x",
    )


def centred_bug(chance: Chance) -> dict[str, str]:
    """y = f(x − mean x) for each row, with a wrong projection: find the bug."""
    (f,) = chance.terms(1)
    centred = "x - x.mean(axis=-1, keepdims=True)"
    text = f"y = {on(f.text, 'u')},  u = x − mean x over the last axis"
    bugs = ("h", "h + h.mean(axis=-1, keepdims=True)", "h - h.sum(axis=-1, keepdims=True)", "h - h.mean()")
    right = f"u = {centred}\nh = g * ({on(f.slope, 'u')})\nreturn "
    value = on(f.value, f"({centred})")
    return exercise(
        task(
            "A bug in a mean of your own",
            f"This is the rule of\n\n    {text}\n\n{BUG}",
            "h = ∂L/∂u is right. Each element of x also moves the mean, and so every u of its row.",
            "∂L/∂x = h − the mean of h over the last axis.",
        ),
        doc=text,
        inputs="x",
        value=value,
        right=right + "h - h.mean(axis=-1, keepdims=True)",
        start=right + chance.pick(bugs),
        wrong="x",
    )
