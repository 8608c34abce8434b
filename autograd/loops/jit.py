"""What the loops share: how they are compiled, a few functions of one number, and how rows are shared among threads."""

import contextlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

from autograd.backend import LEAST_EXPONENT

F = np.float32
U = np.uintp  # an index that cannot be negative, for arrays that are read as one row of numbers


# A loop releases Python's lock, and may add in any order: only so can a sum use all lanes of the processor. Innermost
# loops count from 0, or by U: an index that might be negative counts from the end in Python, and the test for it costs
# more than half of the speed.
def loop(f: Callable) -> Callable:
    how: Any = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}
    try:
        return numba.njit(cache=True, **how)(f)
    except RuntimeError:  # there is no place to keep it
        return numba.njit(**how)(f)


# A loop calls no other loop: one that came from the disk could not become part of it, and a sum in another order ends
# in other last digits. A function of one number is never kept alone, and becomes part of the loop that calls it. It is
# computed in the order in which it is written, and NaN stays NaN, so that a training that fails is seen to fail.
each = numba.njit(error_model="numpy", fastmath={"contract", "nsz"})


def forget_stale(here: Path = Path(__file__).parent) -> None:
    """numba keeps compiled loops in __pycache__, by the date of their own file: drop those of before the last change to
    any file here, or to `backend.py`, whose constants are compiled in. (Not where NUMBA_CACHE_DIR keeps them.)"""
    with contextlib.suppress(OSError):  # another process was faster, or nothing may be written here
        changed = max(path.stat().st_mtime for path in [*here.glob("*.py"), here.parent / "backend.py"])
        for kept in (here / "__pycache__").glob("*.nb[ic]"):
            if kept.stat().st_mtime < changed:
                kept.unlink()


@intrinsic
def _bits(typing, x):
    """The bits of a float32 as an int32."""
    return numba.int32(numba.float32), lambda context, builder, signature, args: builder.bitcast(
        args[0], ir.IntType(32)
    )


@intrinsic
def _from_bits(typing, i):
    """The float32 of 32 bits."""
    return numba.float32(numba.int32), lambda context, builder, signature, args: builder.bitcast(
        args[0], ir.FloatType()
    )


@intrinsic
def larger(typing, a, b):
    """The larger of two numbers, any number if one is NaN: so a maximum may be taken in all lanes at once."""

    def build(context, builder, signature, args):
        flags = ("nnan", "nsz")
        return builder.select(builder.fcmp_ordered(">", *args, flags=flags), *args, flags=flags)

    return numba.float32(numba.float32, numba.float32), build


LEAST = F(LEAST_EXPONENT)  # below it exp and sigmoid are 0


@each
def exp(x):
    """eˣ = 2ⁿ eʳ, |r| ≤ ½ ln 2: a polynomial (Cephes, expf), and n straight into the exponent. Within 1e-7 of eˣ."""
    small = x < LEAST
    x = LEAST if small else x
    x = F(88.0) if x > F(88.0) else x
    shifted = x * F(1.44269504) + F(12582912.0)  # 1.5 · 2²³: its last bits now hold the nearest integer n
    n = shifted - F(12582912.0)
    r = x - n * F(0.693359375)
    r = r - n * F(-2.12194440e-4)
    p = F(1.9875691500e-4)
    p = p * r + F(1.3981999507e-3)
    p = p * r + F(8.3334519073e-3)
    p = p * r + F(4.1665795894e-2)
    p = p * r + F(1.6666665459e-1)
    p = p * r + F(5.0000001201e-1)
    p = p * r * r + r + F(1.0)
    return F(0.0) if small else p * _from_bits((_bits(shifted) + np.int32(127)) << np.int32(23))


@each
def sigmoid(x):
    s = F(1.0) / (F(1.0) + exp(-x))
    return F(0.0) if x < LEAST else s


TOGETHER = 256  # rows whose gradients of one weight are added up before those sums are


def matrix(a: np.ndarray) -> np.ndarray:
    """The rows along the last axis."""
    return a.reshape(-1, a.shape[-1])


_set = os.environ.get("OPENBLAS_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS") or "1"
THREADS = int(_set.split(",")[0])  # what matrix products were told to use; one where they were told nothing
SMALLEST = 2**16  # numbers that are worth waking another thread
_pool: list[ThreadPoolExecutor] = []


def in_parts(f: Callable, n: int, size: int, *args: Any) -> None:
    """f(start, stop, *args) over 0 … n, shared among the threads. size: how many numbers it is in all."""
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
