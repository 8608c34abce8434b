"""Pooling over the windows of each channel. `stride` defaults to `kernel_size`, as in PyTorch."""

import numpy as np

from autograd.arrays import array_module, with_shape
from autograd.operation import op
from autograd.ops.numerics import real
from autograd.ops.windows import Windows, check_images, fold, frame, pair, positions, window_view
from autograd.tensor import Tensor


@op
class avg_pool2d:
    "y = Σ x / (kh kw) over each window         ∂L/∂x = g / (kh kw) for each place in each window, added up"

    def forward(xp, x, *, kernel_size, stride=None, padding=0):
        x = real(x)
        view = pool_windows(xp, x, kernel_size, stride, padding, 0.0)
        y = xp.zeros((*view.shape[:2], *view.shape[4:]), dtype=x.dtype)
        for i, j in positions(view.shape[2:4]):
            y += view[:, :, i, j]
        y /= view.shape[2] * view.shape[3]
        return y

    def backward(xp, g, shapes, *, kernel_size, stride, padding):
        kh, kw = pair(kernel_size)
        n, c, rows, columns = g.shape
        g = (g / (kh * kw)).reshape(n, c, 1, rows * columns)
        spread = xp.broadcast_to(g, (n, c, kh * kw, rows * columns))
        return put_back(xp, spread, shapes[0], kernel_size, stride, padding)

    def call(apply, x, kernel_size, stride=None, padding=0, count_include_pad=True):
        # without the padding's zeros: the mean over the part of each window that lies on the image
        y = apply(x, kernel_size=kernel_size, stride=stride, padding=padding)
        if count_include_pad or not any(pair(padding)):
            return y
        x = x.data if isinstance(x, Tensor) else with_shape(x)
        ones = array_module(x).ones((1, 1, *x.shape[2:]), dtype=x.dtype)
        return y / apply(ones, kernel_size=kernel_size, stride=stride, padding=padding)


@op
class max_pool2d:
    "y = max x over each window      ∂L/∂x = g where the maximum was taken, the first of equals, the last of NaNs"

    def forward(xp, x, *, kernel_size, stride=None, padding=0):
        view = pool_windows(xp, x, kernel_size, stride, padding, lowest(xp, x.dtype))
        y = view[:, :, 0, 0].copy()
        for i, j in positions(view.shape[2:4])[1:]:
            xp.maximum(y, view[:, :, i, j], out=y)
        return y

    def backward(xp, g, x, y, *, kernel_size, stride, padding):
        n, c, rows, columns = g.shape
        taken = g.reshape(n, c, 1, rows * columns) * first_maxima(x, y, kernel_size, stride, padding)
        return put_back(xp, taken, x.shape, kernel_size, stride, padding)

    def call(apply, x, kernel_size, stride=None, padding=0):
        return apply(x, kernel_size=kernel_size, stride=stride, padding=padding)


def lowest(xp, dtype):
    """What no number of a dtype is below."""
    return -xp.inf if dtype.kind == "f" else False if dtype.kind == "b" else xp.iinfo(dtype).min


def pool_windows(xp, x, kernel_size, stride, padding, value):
    """The windows of x, framed by `value`: a view (N, C, kh, kw, H', W')."""
    at = check_pool(x, kernel_size, stride, padding)
    at.counts(x.shape[2:])
    return window_view(xp, frame(xp, x, at.padding, value), 2, at)


def check_pool(x, kernel_size, stride, padding):
    """The windows of a pooling of the images x (N, C, H, W); ValueError if they do not fit."""
    check_images(x, "the input of a pooling")
    at = Windows.of(kernel_size, kernel_size if stride is None else stride, padding)
    if any(2 * p > k for p, k in zip(at.padding, at.kernel, strict=True)):
        raise ValueError(f"padding {at.padding} is more than half of kernel_size {at.kernel}")
    return at


def put_back(xp, g, shape, kernel_size, stride, padding):
    """g (N, C, kh kw, L), one value for each place in each window, added up where the windows lie in x."""
    g = g.reshape(g.shape[0], g.shape[1] * g.shape[2], g.shape[3])
    where = {"kernel_size": kernel_size, "padding": padding, "stride": kernel_size if stride is None else stride}
    return fold.inside(xp, g, output_size=shape[2:], dilation=1, **where)


def first_maxima(x, y, kernel_size, stride, padding):
    """Where in its window each maximum stands: booleans (N, C, kh kw, L), constants of the differentiation."""
    x, y = (a.data if isinstance(a, Tensor) else a for a in (x, y))
    xp = array_module(x)
    view = pool_windows(xp, x, kernel_size, stride, padding, -xp.inf)
    n, c, kh, kw, rows, columns = view.shape
    inside = pool_windows(xp, xp.ones((1, 1, *x.shape[2:]), dtype=bool), kernel_size, stride, padding, False)
    chosen = xp.empty(view.shape, dtype=bool)
    free = xp.ones(y.shape, dtype=bool)
    for i, j in positions((kh, kw)):
        hit = xp.equal(view[:, :, i, j], y)
        hit &= free
        if any(pair(padding)):
            hit &= inside[:, :, i, j]  # where all x are −∞, the frame equals them
        free ^= hit
        chosen[:, :, i, j] = hit
    if xp is not np or xp.isnan(y).any():  # on another device it would have to wait for the answer
        for i, j in reversed(positions((kh, kw))):  # no NaN equals itself
            hit = xp.isnan(view[:, :, i, j])
            hit &= free
            free ^= hit
            chosen[:, :, i, j] |= hit
    return chosen.reshape(n, c, kh * kw, rows * columns)
