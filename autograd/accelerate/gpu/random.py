"""Random arrays drawn on the device. Twins: the routines of `autograd.random`, which give the same numbers.

state: uint64 (2) on the device, {seed, blocks used}, the `memory` of a RandomStream. ahead: how many blocks after the
blocks used the draw begins.
"""

import math
from collections.abc import Sequence
from typing import Any

from autograd.accelerate.gpu import launch

THREADS = 256


def uniform(state: Any, ahead: int, low: float, high: float, size: Sequence[int]) -> Any:
    """Uniform on (low, high), float32."""
    n = math.prod(size)
    y = launch.empty(state, size)
    grid = (launch.ceil_div(n, THREADS),)
    launch.launch("random_uniform", grid, (THREADS,), state, ahead, y, n, low, high - low)
    return y


def normal(state: Any, ahead: int, size: Sequence[int]) -> Any:
    """Standard normals, float32."""
    n = math.prod(size)
    y = launch.empty(state, size)
    launch.launch("random_normal", (launch.ceil_div(n, 2 * THREADS),), (THREADS,), state, ahead, y, n)
    return y


def integers(state: Any, ahead: int, high: int, size: Sequence[int]) -> Any:
    """Integers from 0 to high − 1, int64; high ≤ 2³²."""
    n = math.prod(size)
    y = launch.empty(state, size, "int64")
    launch.launch("random_integers", (launch.ceil_div(n, THREADS),), (THREADS,), state, ahead, y, n, high)
    return y
