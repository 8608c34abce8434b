"""The report of a failed gradcheck: what is wrong with a wrong gradient, in words.

One function for each kind of mistake compares the analytic gradient with the whole numeric one, and returns a
sentence, or None if its mistake was not made. `name` says in which order they are tried.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np

from autograd.gradcheck import atoms
from autograd.gradcheck.case import Case

ROWS = 5  # of the table of worst elements
MANY = 8  # elements: what holds for them all is believed even where nothing can be measured at other points


UNNAMED = "no simple pattern: compare the formula term by term"


def name(case: Case, elsewhere: Callable[[], Sequence[Case]] = tuple) -> str | None:
    """The mistake in words; None if it is none of the known ones.

    elsewhere: the same gradient at other points, computed when asked for. A few numbers fit many formulas by chance,
    so what is said must hold there too.
    """
    if found := not_finite(case) or rounded(case):  # these speak of this point
        return found
    for pattern in (proportional, transposed, swapped, one_slice, atoms.orders, *AT_PLACES, atoms.factors, *OTHERS):
        said = None
        for sentence in _said(pattern, case):
            said = [_said(pattern, c) for c in elsewhere()] if said is None else said
            if (said or case.x.size >= MANY) and all(sentence in t or pattern is one_side and t for t in said):
                return sentence
    return in_part(case)


def _said(pattern: Callable, c: Case) -> list[str]:
    found = pattern(c)
    return [found] if isinstance(found, str) else list(found or ())


def report(case: Case, found: str | None) -> str:
    """The diagnosis of a wrong gradient, and a table of its worst elements."""
    lines = []
    if case.y is None and case.wrong.any():
        lines.append("  the first order is right, the second order is wrong:")
        lines.append("  something in the rule was treated as a constant (raw .data?)")
    lines.append(f"  {found or UNNAMED}")
    count = case.wrong.sum()
    lines += [f"  {count} of {case.wrong.size} elements {'is' if count == 1 else 'are'} wrong, the worst:", ""]
    return "\n".join([*lines, *_table(case)])


def not_finite(c: Case) -> str | None:
    bad = ~np.isfinite(c.analytic)
    return f"analytic is NaN or infinite in {bad.sum()} of {bad.size} elements" if bad.any() else None


def rounded(c: Case) -> str | None:
    """The check failed, yet every element alone is within tolerance."""
    if c.wrong.any():
        return None
    return "right to about six digits, element by element: the rule, or f, loses digits (look for 1 − y with y near 1)"


def proportional(c: Case) -> str | None:
    return _multiple(c, np.ones(c.x.shape, dtype=bool), " everywhere")


def transposed(c: Case) -> str | None:
    if c.x.ndim < 2 or c.x.shape[-1] != c.x.shape[-2]:
        return None
    if c.near(c.analytic, np.swapaxes(c.numeric, -1, -2)).all():
        return "analytic equals the numeric gradient transposed: swap the last two axes"
    return None


def swapped(c: Case) -> str | None:
    for name, numeric in c.others.items():
        if c.near(c.analytic, numeric).all():
            return f"analytic is the gradient of {name}: are the two swapped in the rule?"
    return None


def one_slice(c: Case) -> str | None:
    """x was broadcast, and the rule returns one slice of g where the sum over the slices belongs."""
    if c.y is None or c.x.shape == c.y.shape:
        return None
    extra = c.y.ndim - c.x.ndim
    if extra < 0 or any(n not in (1, m) for n, m in zip(c.x.shape, c.y.shape[extra:], strict=True)):
        return None
    for axis, m in enumerate(c.y.shape):
        stretched = m > 1 and (axis < extra or c.x.shape[axis - extra] == 1)
        for i, part in enumerate(np.moveaxis(c.parts, axis, 0) if stretched else ()):
            if c.near(c.analytic, part.sum(axis=tuple(range(c.y.ndim - 1)))).all():
                where = f"y[{':, ' * axis}{i}]"
                return f"analytic is the gradient through {where} alone: look for a missing sum over axis {axis} of g"
    return None


def along_axis(c: Case) -> str | None:
    """As in a wrong normalisation: along one axis the error is constant, or a multiple of x or of y."""
    error = c.analytic - c.numeric
    one = np.ones_like(c.x)
    constant = ("constant", "a missing or wrong mean or sum over that axis", [one])
    of_x = (f"a multiple of {c.name}", f"a missing or wrong sum over that axis that is multiplied by {c.name}", [c.x])
    candidates = [constant, of_x]
    if c.y is not None and c.y.shape == c.x.shape:
        of_y = ("a multiple of y", "a missing or wrong y Σ g y or y mean(g y) over that axis", [c.y])
        of_both = ("a + b y", "both a mean of g and a y mean(g y) over that axis, missing or wrong", [one, c.y])
        candidates = [constant, of_y, of_x, of_both]
    for words, look, basis in candidates:
        axes = [a for a, n in enumerate(c.x.shape) if n > len(basis) and c.near(_fit(error, basis, a), error).all()]
        if axes:
            where = " and ".join(map(str, axes))
            return f"the error is {words} along axis {where}: look for {look}"
    return None


def one_side(c: Case) -> str | None:
    """The gradient is right on one side of a threshold, for several values: a single one is right by chance."""
    for name, key in ((c.name, c.x), (f"|{c.name}|", abs(c.x))) if _in_part(c) else ():
        bad, good = key[c.wrong], key[~c.wrong]
        for lower, upper, order in ((good, bad, "<"), (bad, good, ">")):
            if lower.max() < upper.min() and np.unique(good).size > 1:
                bound = 0 if lower.max() <= 0 <= upper.min() else _between(lower.max(), upper.min())
                return f"right only where {name} {order} {bound:.3g}{_there(c)}"
    return None


def some_indices(c: Case) -> str | None:
    for axis, n in enumerate(c.x.shape) if _in_part(c) else ():
        rest = tuple(a for a in range(c.x.ndim) if a != axis)
        if (c.wrong.all(axis=rest) == c.wrong.any(axis=rest)).all():
            at = ", ".join(map(str, np.flatnonzero(c.wrong.all(axis=rest))))
            return f"wrong only at index {at} of axis {axis}, whose length is {n}: look at the ends{_there(c)}"
    return None


def in_part(c: Case) -> str | None:
    return f"right in part{_there(c)}" if _in_part(c) else None


def _in_part(c: Case) -> bool:
    return 0 < c.wrong.mean() < 0.85  # a few may be right by chance


def _there(c: Case) -> str:
    how = _multiple(c, c.wrong, " there")
    return f"; {how}" if how else ""


AT_PLACES = (one_side, some_indices)
OTHERS = (along_axis, atoms.terms)


def _table(c: Case) -> list[str]:
    """The elements with the largest errors, as lines of text in columns."""
    error = np.where(np.isfinite(c.analytic), abs(c.analytic - c.numeric), np.inf)
    rows = [("index", c.name, "analytic", "numeric", "analytic / numeric")]
    for i in np.argsort(-error, axis=None, kind="stable")[: min(ROWS, c.wrong.sum() or 1)]:
        index = ", ".join(str(n) for n in np.unravel_index(i, c.x.shape))
        a, n = c.analytic.flat[i], c.numeric.flat[i]
        ratio = f"{a / n + 0.0:.4g}" if n else "–"  # + 0.0 turns −0 into 0
        rows.append((f"[{index}]", f"{c.x.flat[i]:.5g}", f"{a:.7g}", f"{n:.7g}", ratio))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["    " + "   ".join(s.rjust(w) for s, w in zip(row, widths, strict=True)) for row in rows]


def _multiple(c: Case, mask: np.ndarray, where: str) -> str | None:
    """A sentence if, under the mask, analytic is one and the same multiple of numeric."""
    a, n = c.analytic[mask], c.numeric[mask]
    if not a.any():
        return f"analytic is zero{where}"
    if not n.any():
        return None
    ratio = float(a @ n / (n @ n))
    if not np.where(mask, c.near(c.analytic, ratio * c.numeric), True).all():
        return None
    if abs(ratio + 1) < 1e-6:
        return f"sign flipped: analytic = −1 × numeric{where}"
    if len(a) == 1 < c.x.size:  # one element is always a multiple of another
        return None
    return f"analytic = {ratio:.6g} × numeric{where}: look for a missing factor{_origin(ratio, c)}"


def _origin(ratio: float, c: Case) -> str:
    """Where a factor may come from: the length of an axis, or a simple fraction."""
    for what, shape in ((c.name, c.x.shape), ("y", c.y.shape if c.y is not None else ())):
        for axis, n in enumerate(shape):
            for value, words in ((1 / n, "mean where a sum belongs"), (n, "sum where a mean belongs")):
                if n > 2 and math.isclose(ratio, value, rel_tol=1e-6):
                    return f" ({n} is the length of axis {axis} of {what}: a {words}?)"
    simple = Fraction(1 / ratio).limit_denominator(12)
    return f" {simple}" if simple and math.isclose(ratio, 1 / simple, rel_tol=1e-6) else ""


def _fit(error: np.ndarray, basis: Sequence[np.ndarray], axis: int) -> np.ndarray:
    """The least-squares fit of error by the basis, with separate coefficients for each line along the axis."""
    lines = [np.moveaxis(b, axis, -1).reshape(-1, b.shape[axis]) for b in (error, *basis)]
    fit = np.empty_like(lines[0])
    for i, (target, *columns) in enumerate(zip(*lines, strict=True)):
        b = np.stack(columns, axis=1)
        fit[i] = b @ np.linalg.lstsq(b, target, rcond=None)[0]
    moved = np.moveaxis(error, axis, -1).shape
    return np.moveaxis(fit.reshape(moved), -1, axis)


def _between(a: float, b: float) -> float:
    """A short decimal in [a, b]."""
    for digits in range(17):
        n = round((a + b) / 2, digits)
        if a <= n <= b:
            return n
    return b
