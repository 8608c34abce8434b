"""Pooling, a plane at a time. Twins: `autograd.ops.avg_pool2d` and `max_pool2d`, whose rules stay."""

import numpy as np

from autograd.loops.jit import F, U, in_parts, loop
from autograd.loops.windows import windows_of


@loop
def average(start, stop, framed, offsets, first, y):
    """Planes start … stop of y (planes, windows)."""
    source, scale = framed.reshape(-1), F(1.0) / F(len(offsets))
    for n in range(start, stop):
        out = y[n]
        out[:] = F(0.0)
        for place in range(len(offsets)):
            seen = U(n * framed.shape[1]) + offsets[place]
            for t in range(len(out)):
                out[t] += source[seen + first[t]]
        for t in range(len(out)):
            out[t] *= scale


@loop
def maximum(start, stop, framed, offsets, first, y):
    """Planes start … stop of y (planes, windows); a NaN in a window is its maximum, as NumPy has it."""
    source = framed.reshape(-1)
    for n in range(start, stop):
        out = y[n]
        for t in range(len(out)):
            out[t] = source[U(n * framed.shape[1]) + first[t]]
        for place in range(1, len(offsets)):
            seen = U(n * framed.shape[1]) + offsets[place]
            for t in range(len(out)):
                new = source[seen + first[t]]
                out[t] = out[t] if out[t] >= new or out[t] != out[t] else new


def pool2d(over, x: np.ndarray, size: tuple[int, int], where: tuple, frame: float) -> np.ndarray:
    """`average` or `maximum` over the windows of x (N, C, H, W), framed by a value; size and where as of `conv2d`."""
    see, planes = windows_of(x.shape[2:], size, where), x.shape[0] * x.shape[1]
    framed = see.framed(x, np.empty(planes * see.pixels, np.float32), frame).reshape(planes, -1)
    y = np.empty((planes, len(see.first)), np.float32)
    in_parts(over, planes, framed.size, framed, see.offsets, see.first, y)
    return y.reshape(*x.shape[:2], *size)
