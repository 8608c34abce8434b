"""The memory layout of images. The loops keep a batch as (C, H, W, N), so the numbers of one pixel are contiguous.

Shapes stay (N, C, H, W); only the strides differ. NumPy keeps this layout through elementwise functions.
"""

import numpy as np

from autograd.accelerate.cpu.compiling import loop
from autograd.accelerate.cpu.scalars import U
from autograd.accelerate.cpu.threads import in_parts

TILE = 16  # rows and columns of a tile: reads and writes both use whole cache lines


@loop
def turn(start, stop, x, y):
    """Tiles of columns start … stop of x (rows, columns), as rows of y (columns, rows)."""
    rows, cols = x.shape
    source, target = x.reshape(-1), y.reshape(-1)
    for tile in range(start, stop):
        first, last = tile * TILE, min(tile * TILE + TILE, cols)
        for top in range(0, rows, TILE):
            for r in range(top, min(top + TILE, rows)):
                seen, out = U(r * cols + first), U(first * rows + r)
                for c in range(U(last - first)):
                    target[out + c * U(rows)] = source[seen + c]


def batch_innermost(x: np.ndarray) -> np.ndarray:
    """x (N, C, H, W) as a contiguous (C, H, W, N): a view where the images lie so already."""
    turned = x.transpose(1, 2, 3, 0)
    if turned.flags.c_contiguous:
        return turned
    if x.strides[0] == x.itemsize:  # part of such a batch: its runs are contiguous already
        return np.ascontiguousarray(turned)
    x = np.ascontiguousarray(x)
    y = np.empty(turned.shape, np.float32)
    in_parts(turn, -(-x[0].size // TILE), x.size, x.reshape(len(x), -1), y.reshape(-1, len(x)))
    return y


def batch_first(x: np.ndarray) -> np.ndarray:
    """The same images as (N, C, H, W), a view."""
    return x.transpose(3, 0, 1, 2)


def alike(x: np.ndarray, like: np.ndarray) -> np.ndarray:
    """x in the memory layout of `like`, so that `ravel("K")` gives the numbers of both in the same order."""
    if x.strides != like.strides:
        y = np.empty_like(like)
        y[...] = x
        return y
    return x
