"""Convolution as matrix products with columns (im2col) that stay in the cache. Twin: `autograd.ops.conv`.

The columns of a few windows of all images, (C kh kw) × (windows · N), are written and used before the next ones. All
columns at once, many times the size of the images, would go out to memory and come back. Images are (C, H, W, N) here,
so a window's place in the kernel is one contiguous run of N numbers, whatever the stride.
"""

import numpy as np

from autograd.accelerate.cpu.compiling import loop
from autograd.accelerate.cpu.scalars import F, U
from autograd.accelerate.cpu.threads import in_parts

BLOCK = 2**18  # numbers in the columns that are in use at once, a megabyte, or those of one window


@loop
def im2col(start, stop, x, at, first, across, columns):
    """Rows start … stop of columns (C kh kw, windows, N): window `first` and those after it, `across` of them in a row.

    Row (c, i, j) is channel c of x (C, H, W, N) as the kernel's place (i, j) sees it, 0 outside.
    """
    (kh, kw), (sh, sw), (top, left), (dh, dw) = at
    _, height, width, n = x.shape
    source, target = x.reshape(-1), columns.reshape(-1)
    for k in range(start, stop):
        c, i, j = k // (kh * kw), k // kw % kh, k % kw
        begin = j * dw - left
        row, col = first // across * sh + i * dh - top, begin + first % across * sw
        out = U(k * columns.shape[1] * n)
        for _ in range(columns.shape[1]):
            if 0 <= row < height and 0 <= col < width:
                seen = U(((c * height + row) * width + col) * n)
                for m in range(U(n)):
                    target[out + m] = source[seen + m]
            else:
                for m in range(U(n)):
                    target[out + m] = F(0.0)
            out += U(n)
            col += sw
            if col == begin + across * sw:
                row, col = row + sh, begin


@loop
def col2im(start, stop, columns, at, first, across, y):
    """Channels start … stop of y (C, H, W, N): each number of columns is added where `im2col` would read it."""
    (kh, kw), (sh, sw), (top, left), (dh, dw) = at
    _, height, width, n = y.shape
    source, target = columns.reshape(-1), y.reshape(-1)
    for k in range(start * kh * kw, stop * kh * kw):
        c, i, j = k // (kh * kw), k // kw % kh, k % kw
        begin = j * dw - left
        row, col = first // across * sh + i * dh - top, begin + first % across * sw
        seen = U(k * columns.shape[1] * n)
        for _ in range(columns.shape[1]):
            if 0 <= row < height and 0 <= col < width:
                out = U(((c * height + row) * width + col) * n)
                for m in range(U(n)):
                    target[out + m] += source[seen + m]
            seen += U(n)
            col += sw
            if col == begin + across * sw:
                row, col = row + sh, begin


def conv2d(x, weight, bias, size, at) -> np.ndarray:
    """(out, H', W', N) of x (C, H, W, N); size: (H', W')."""
    out, channels = weight.shape[:2]
    if out < channels and (other := _from_the_other_side(at)):
        return conv_transpose2d(x, _mirrored(weight), bias, size, other)
    w = weight.reshape(out, -1)
    y = np.empty((out, *size, x.shape[-1]), np.float32)
    for span, columns in _columns(x, w.shape[1], size, at):
        written = y.reshape(out, -1)[:, span]
        np.matmul(w, columns, out=written)
        if bias is not None:
            written += bias.reshape(-1, 1)
    return y


def conv_transpose2d(x, weight, bias, size, at) -> np.ndarray:
    """(out, H, W, N) of x (C, H', W', N); size: (H, W). It writes where `conv2d` reads."""
    channels, out = weight.shape[:2]
    if channels < out and (other := _from_the_other_side(at)):
        return conv2d(x, _mirrored(weight), bias, size, other)
    w = weight.reshape(channels, -1)
    y = np.empty((out, *size, x.shape[-1]), np.float32)
    y[...] = 0.0 if bias is None else bias.reshape(-1, 1, 1, 1)
    for first, span, columns in _spans(w.shape[1], x.shape[1:3], x.shape[-1]):
        np.matmul(w.T, x.reshape(channels, -1)[:, span], out=columns.reshape(len(columns), -1))
        in_parts(col2im, out, columns.size, columns, at, first, x.shape[2], y)
    return y


def conv2d_weight(x, u, weight_size, at) -> np.ndarray:
    """(out, C, kh, kw) of x (C, H, W, N) and u (out, H', W', N)."""
    out, channels, kh, kw = weight_size
    if out < channels and (other := _from_the_other_side(at)):
        return _mirrored(conv2d_weight(u, x, (channels, out, kh, kw), other))
    y = np.zeros((channels * kh * kw, out), np.float32)
    for span, columns in _columns(x, len(y), u.shape[1:3], at):
        y += np.matmul(columns, u.reshape(out, -1)[:, span].T)
    return np.ascontiguousarray(y.T).reshape(weight_size)


# With stride 1 a convolution by w is also a transposed convolution by the mirrored w, with another padding. So columns
# are made of the side that has fewer channels.


def _mirrored(weight):
    return np.ascontiguousarray(weight.swapaxes(0, 1)[:, :, ::-1, ::-1])


def _from_the_other_side(at):
    """The windows of the mirrored kernel; None where there are none, or nothing to gain (1 × 1)."""
    rest = tuple(d * (k - 1) - p for k, p, d in zip(at.kernel, at.padding, at.dilation, strict=True))
    return at._replace(padding=rest) if at.stride == (1, 1) != at.kernel and min(rest) >= 0 else None


def _columns(x, rows, counts, at):
    """(span, columns) for all windows of x: columns (rows, windows · N) of the windows · images in `span`."""
    if at.kernel == at.stride == (1, 1) and at.padding == (0, 0):  # the images are their columns
        yield slice(None), x.reshape(len(x), -1)
        return
    for first, span, columns in _spans(rows, counts, x.shape[-1]):
        in_parts(im2col, rows, columns.size, x, at, first, counts[1], columns)
        yield span, columns.reshape(rows, -1)


def _spans(rows, counts, n):
    """Blocks of windows: (first window, span, memory for columns (rows, windows, N), the same for every block)."""
    windows = counts[0] * counts[1]
    wide = max(1, BLOCK // (rows * n))
    room = np.empty(rows * min(wide, windows) * n, np.float32)
    for first in range(0, windows, wide):
        here = min(wide, windows - first)
        yield first, slice(first * n, (first + here) * n), room[: rows * here * n].reshape(rows, here, n)
