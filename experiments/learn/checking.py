"""What the checks of exercises are written with. A check raises `Wrong` with words that help, or returns.

def check(answer):
    check_rule(answer.square, lambda x: x**2, normal(3, 4))
"""

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from autograd import Tensor, gradcheck
from autograd.operation import Op


class Wrong(AssertionError):
    """The answer is wrong; the message says what is wrong with it."""


def wrong(message: str) -> NoReturn:
    raise Wrong(message)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal numbers, float64."""
    return np.random.default_rng(seed).standard_normal(shape)


def positive(*shape: int, seed: int = 0) -> np.ndarray:
    """Numbers between 0.5 and 2, float64."""
    return np.random.default_rng(seed).uniform(0.5, 2.0, shape)


def check_rule(op: Any, formula: Callable, *xs: np.ndarray, order: int = 2) -> None:
    """The value of an op against `formula`, which NumPy computes, and its rule against differences, to second order."""
    if not isinstance(op, Op):
        wrong(f"{getattr(op, '__name__', op)} is no op: keep the class with @op above it")
    same(f"the value of {op.name}", op(*xs), formula(*xs))
    gradcheck(op, *xs, order=order)


def same(what: str, found: Any, right: Any, rtol: float = 1e-9) -> None:
    """Wrong, with what distinguishes them, unless `found` equals `right` up to rounding.

    rtol: of the largest element. 1e-9 is far above what float64 rounds in a few hundred operations.
    """
    found = found.data if isinstance(found, Tensor) else found
    right = np.asarray(right.data if isinstance(right, Tensor) else right, float)
    if found is None:
        wrong(f"{what} is None: does the function return it?")
    try:
        a = np.asarray(found, float)
    except (TypeError, ValueError):
        wrong(f"{what} is not an array of numbers, but {type(found).__name__}")
    if a.shape != right.shape:
        wrong(f"{what} has shape {a.shape}, and should have shape {right.shape}")
    if not np.isfinite(a).all():
        wrong(f"{what} is NaN or infinite in {np.count_nonzero(~np.isfinite(a))} of {a.size} elements")
    tolerance = rtol * abs(right).max(initial=0) + 1e-300
    bad = abs(a - right) > tolerance
    if bad.any():
        i = np.unravel_index(int(np.argmax(abs(a - right))), a.shape)
        index = f" at index [{', '.join(map(str, i))}]" if i else ""
        wrong(f"{what} is wrong{_pattern(a, right, tolerance)}:{index} it is {a[i]:.6g}, and should be {right[i]:.6g}")


def _pattern(a: np.ndarray, right: np.ndarray, tolerance: float) -> str:
    """How all of `a` differs from what is right, if that is simple."""
    if not a.any():
        return " (it is zero everywhere)"
    if a.size == 1:
        return f" ({a.item() / right.item():.6g} times the right one)" if right.any() else ""
    ratio = float((a * right).sum() / (right * right).sum()) if right.any() else 0.0
    if ratio and (abs(a - ratio * right) <= tolerance * max(1, abs(ratio))).all():
        return " (its sign is flipped)" if abs(ratio + 1) < 1e-9 else f" ({ratio:.6g} times the right one everywhere)"
    if np.ptp(a - right) <= tolerance:
        return f" (off by {(a - right).flat[0]:.6g} everywhere)"
    if a.ndim == 2 and a.shape[0] == a.shape[1] and (abs(a.T - right) <= tolerance).all():
        return " (it is the right one transposed)"
    share = np.count_nonzero(abs(a - right) > tolerance)
    return f" in {share} of {a.size} elements"
