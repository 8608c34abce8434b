"""Pooling, a channel at a time. Twins: `autograd.ops.avg_pool2d` and `max_pool2d`; they keep their own rules."""

import numpy as np

from autograd.accelerate.cpu.compiling import loop
from autograd.accelerate.cpu.scalars import F, U
from autograd.accelerate.cpu.threads import in_parts
from autograd.ops.windows import Windows


@loop
def average(start, stop, x, at, y):
    """Channels start … stop of y (C, H', W', N), of x (C, H, W, N) with zeros around it."""
    (kh, kw), (sh, sw), (top, left), _ = at
    _, height, width, n = x.shape
    _, rows, cols, _ = y.shape
    source, target, scale = x.reshape(-1), y.reshape(-1), F(1.0) / F(kh * kw)
    for window in range(start * rows * cols, stop * rows * cols):
        c, r, q = window // (rows * cols), window // cols % rows * sh - top, window % cols * sw - left
        out = U(window * n)
        for m in range(U(n)):
            target[out + m] = F(0.0)
        for i in range(max(r, 0), min(r + kh, height)):
            for j in range(max(q, 0), min(q + kw, width)):
                seen = U(((c * height + i) * width + j) * n)
                for m in range(U(n)):
                    target[out + m] += source[seen + m]
        for m in range(U(n)):
            target[out + m] *= scale


@loop
def maximum(start, stop, x, at, y):
    """Channels start … stop of y (C, H', W', N); a NaN in a window is its maximum, as NumPy has it."""
    (kh, kw), (sh, sw), (top, left), _ = at
    _, height, width, n = x.shape
    _, rows, cols, _ = y.shape
    source, target = x.reshape(-1), y.reshape(-1)
    for window in range(start * rows * cols, stop * rows * cols):
        c, r, q = window // (rows * cols), window // cols % rows * sh - top, window % cols * sw - left
        out = U(window * n)
        for m in range(U(n)):
            target[out + m] = F(-np.inf)
        for i in range(max(r, 0), min(r + kh, height)):
            for j in range(max(q, 0), min(q + kw, width)):
                seen = U(((c * height + i) * width + j) * n)
                for m in range(U(n)):
                    old, new = target[out + m], source[seen + m]
                    target[out + m] = old if old >= new or old != old else new


def pool2d(over, x: np.ndarray, size: tuple[int, int], at: Windows) -> np.ndarray:
    """`average` or `maximum` over the windows of x (C, H, W, N), size (H', W')."""
    y = np.empty((len(x), *size, x.shape[-1]), np.float32)
    in_parts(over, len(x), x.size, x, at, y)
    return y
