"""Numerical derivatives that know how good they are."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

EPS = float(np.finfo(np.float64).eps)
TINY = 1e-100  # in the place of a zero to divide by
RATIO = 3.7  # of two steps; no power of two, so that rounding errors differ from step to step


class Slope(NamedTuple):
    """dφ/dt at t = 0 for every element of φ, and how well it is known."""

    value: np.ndarray
    error: np.ndarray  # estimate of |value − truth|
    left: np.ndarray  # one-sided derivatives at the last step
    right: np.ndarray
    kinked: np.ndarray  # bool: they disagree, and smaller steps do not help


def slope(phi: Callable[[float], np.ndarray], typical: np.ndarray) -> Slope:
    """The derivative of t ↦ φ(t) ∈ Rⁿ at 0 by fourth-order central differences.

    Steps shrink by RATIO until the error estimate (the change since the last step, and rounding) is small or smaller
    steps would only add rounding; every element keeps its own best step. typical: how large the elements of φ would
    be if nothing cancelled.
    """
    near = np.stack([phi(i * 1e-6) for i in range(7)])
    y, noise = near[0], abs(np.diff(near, 4, axis=0)).max(axis=0) / math.sqrt(70)  # smooth parts cancel
    noise = EPS * (abs(y) + typical) + np.where(np.isfinite(noise), noise, 0)
    value, error, quality = np.zeros_like(y), np.full_like(y, np.inf), np.full_like(y, np.inf)
    second = fourth = None  # the latest differences of second and of fourth order
    bends: list = []  # |right − left| at every step: shrinks with the step, unless there is a kink
    for h in (0.03 / RATIO**i for i in range(10)):  # still finer ones see the stairs of rounded intermediates
        up, down = phi(h), phi(-h)
        left, right = (y - down) / h, (up - y) / h
        bends.append(abs(right - left))
        last_second, second = second, (up - down) / (2 * h)
        if last_second is None:
            continue
        last_fourth, fourth = fourth, (RATIO**2 * second - last_second) / (RATIO**2 - 1)  # the h² terms cancel
        if last_fourth is None:
            continue
        rounding = (noise + EPS * abs(fourth)) / h
        change = abs(fourth - last_fourth) + rounding
        relative = change / np.maximum(abs(fourth) + 1e-3 * typical, TINY)
        better = relative < quality  # not so where φ left its domain: NaN
        value, error = np.where(better, fourth, value), np.where(better, change, error)
        quality = np.where(better, relative, quality)
        if ((quality <= 1e-9) | (rounding > error)).all():
            break
    kinked = (bends[-1] > 1e-4 * (abs(left) + abs(right))) & (bends[-1] * h > 1e3 * noise)
    for coarse, fine in zip(bends[-3:], bends[-2:], strict=False):
        kinked &= (0.6 * coarse < fine) & (fine < 1.6 * coarse)
    return Slope(value, error, left, right, kinked)
