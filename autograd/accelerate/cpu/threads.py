"""How the rows of an array are shared among threads."""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numpy as np

TOGETHER = 256  # rows whose gradients of one weight are added up before those sums are


def matrix(a: np.ndarray) -> np.ndarray:
    """The rows along the last axis."""
    return a.reshape(-1, a.shape[-1])


def told(environment: Mapping[str, str]) -> int:
    """As many threads as BLAS was told to use; one where it was told no number."""
    number = (environment.get("OPENBLAS_NUM_THREADS") or environment.get("OMP_NUM_THREADS") or "1").split(",")[0]
    return int(number) if number.strip().isdecimal() else 1


THREADS = told(os.environ)
SMALLEST = 2**16  # numbers that are worth waking another thread
_pool: list[ThreadPoolExecutor] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.clear)  # the threads stay with the parent, so the child makes its own


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
