"""Numerical derivatives with an error estimate."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

EPS = float(np.finfo(np.float64).eps)
TINY = 1e-100  # replaces a zero in a denominator
FIRST_STEP = 0.03
STEPS = 10  # at most; with smaller steps, the rounding of intermediate results shows as stairs
RATIO = 3.7  # of two successive steps; not a power of two, so that their rounding errors differ


class Slope(NamedTuple):
    """dφ/dt at t = 0 for every element of φ, and how well it is known. All fields have the shape of φ."""

    value: np.ndarray
    error: np.ndarray  # estimate of |value − truth|
    left: np.ndarray  # one-sided derivatives at the last step
    right: np.ndarray
    kinked: np.ndarray  # bool: left and right disagree, and a smaller step does not bring them closer


def slope(phi: Callable[[float], np.ndarray], typical: np.ndarray) -> Slope:
    """The derivative of t ↦ φ(t) ∈ Rⁿ at 0, by fourth-order central differences.

    The step shrinks by RATIO until the error estimate (the change since the step before, plus rounding) is small, or
    until a smaller step would only add rounding. Every element keeps the step that is best for it.
    typical: how large each element of φ would be if nothing cancelled.
    """
    near = np.stack([phi(i * 1e-6) for i in range(7)])
    y, noise = near[0], _noise(near, typical)
    value, error, quality = np.zeros_like(y), np.full_like(y, np.inf), np.full_like(y, np.inf)
    second = fourth = None  # the differences of second and of fourth order at the latest step
    gaps: list = []  # |right − left| at every step: it shrinks with the step, unless there is a kink
    for h in (FIRST_STEP / RATIO**i for i in range(STEPS)):
        up, down = phi(h), phi(-h)
        left, right = (y - down) / h, (up - y) / h
        gaps.append(abs(right - left))
        last_second, second = second, (up - down) / (2 * h)
        if last_second is None:
            continue
        last_fourth, fourth = fourth, (RATIO**2 * second - last_second) / (RATIO**2 - 1)  # the h² terms cancel
        if last_fourth is None:
            continue
        rounding = (noise + EPS * abs(fourth)) / h
        change = abs(fourth - last_fourth) + rounding
        relative = change / np.maximum(abs(fourth) + 1e-3 * typical, TINY)
        better = relative < quality  # False where φ left its domain: NaN
        value, error = np.where(better, fourth, value), np.where(better, change, error)
        quality = np.where(better, relative, quality)
        if ((quality <= 1e-9) | (rounding > error)).all():
            break
    kinked = (gaps[-1] > 1e-4 * (abs(left) + abs(right))) & (gaps[-1] * h > 1e3 * noise)
    for coarse, fine in zip(gaps[-3:], gaps[-2:], strict=False):
        kinked &= (0.6 * coarse < fine) & (fine < 1.6 * coarse)
    return Slope(value, error, left, right, kinked)


def _noise(near: np.ndarray, typical: np.ndarray) -> np.ndarray:
    """The rounding error of each element of φ, estimated from seven close values of φ, an array (7, n).

    Their fourth differences cancel every smooth part, and enlarge independent rounding errors by √70.
    """
    measured = abs(np.diff(near, 4, axis=0)).max(axis=0) / math.sqrt(70)
    return EPS * (abs(near[0]) + typical) + np.where(np.isfinite(measured), measured, 0)
