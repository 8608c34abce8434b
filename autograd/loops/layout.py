"""The order of numbers in memory. Loops over images keep them as (C, H, W, N): what belongs to one pixel is a long run.

Shapes stay (N, C, H, W), only the strides tell: NumPy keeps them through all that goes number by number.
"""

import numpy as np

from autograd.loops.jit import U, in_parts, loop

TILE = 16  # rows and columns that turn together: reads and writes both meet whole cache lines


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
    """x (N, C, H, W) as (C, H, W, N) in one piece: a view where the images lie so already."""
    turned = x.transpose(1, 2, 3, 0)
    if turned.flags.c_contiguous:
        return turned
    if x.strides[0] == x.itemsize:  # part of such a batch: runs already
        return np.ascontiguousarray(turned)
    x = np.ascontiguousarray(x)
    y = np.empty(turned.shape, np.float32)
    in_parts(turn, -(-x[0].size // TILE), x.size, x.reshape(len(x), -1), y.reshape(-1, len(x)))
    return y


def batch_first(x: np.ndarray) -> np.ndarray:
    """The same images as (N, C, H, W), a view."""
    return x.transpose(3, 0, 1, 2)


def alike(x: np.ndarray, like: np.ndarray) -> np.ndarray:
    """x in the order of `like`, which np.empty_like made: their `ravel("K")` go through memory side by side."""
    if x.strides != like.strides:
        y = np.empty_like(like)
        y[...] = x
        return y
    return x
