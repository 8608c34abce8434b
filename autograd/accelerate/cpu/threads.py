"""How the rows of an array are shared among threads."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numpy as np

TOGETHER = 256  # rows whose gradients of one weight are added up before those sums are


def matrix(a: np.ndarray) -> np.ndarray:
    """The rows along the last axis."""
    return a.reshape(-1, a.shape[-1])


_set = os.environ.get("OPENBLAS_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS") or "1"
THREADS = int(_set.split(",")[0])  # as many as BLAS was told to use, or one
SMALLEST = 2**16  # numbers that are worth waking another thread
_pool: list[ThreadPoolExecutor] = []


def in_parts(f: Callable, n: int, size: int, *args: Any) -> None:
    """f(start, stop, *args) over 0 … n, shared among the threads. size: how many numbers there are in all."""
    threads = min(THREADS, n, size // SMALLEST)
    if threads < 2:
        f(0, n, *args)
        return
    if not _pool:
        _pool.append(ThreadPoolExecutor(THREADS - 1))
    bounds = [n * i // threads for i in range(threads + 1)]
    others = [_pool[0].submit(f, a, b, *args) for a, b in zip(bounds[1:], bounds[2:], strict=False)]
    f(0, bounds[1], *args)
    wait(others)
    for other in others:
        other.result()
