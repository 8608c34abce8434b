"""Convolution as matrix products with columns (im2col) that stay in the cache. Twin: `autograd.ops.conv`.

The columns of a few images at a time, (C kh kw) × (images · windows), are written and used before the next: by then a
step's columns, many times the images, would have gone out to memory and come back.
"""

import functools
from typing import NamedTuple

import numpy as np

from autograd.loops.jit import F, U, in_parts, loop

BLOCK = 2**17  # numbers in the columns that are in use at once: half a megabyte
WIDE = 256  # columns that make a good matrix product: small images go through it together


@loop
def frame(start, stop, x, top, left, framed):
    """Planes start … stop of x (planes, H, W), zeros around them."""
    _, height, width = x.shape
    source, target = x.reshape(-1), framed.reshape(-1)
    rows, cols = framed.shape[1:]
    for n in range(start, stop):
        plane = U(n * rows * cols)
        for t in range(U(rows * cols)):
            target[plane + t] = F(0.0)
        for r in range(height):
            out, row = U((n * rows + r + top) * cols + left), U((n * height + r) * width)
            for t in range(U(width)):
                target[out + t] = source[row + t]


@loop
def im2col(start, stop, framed, offsets, first, columns):
    """Rows start … stop of columns (C · places, images, windows) of framed images (images, C, H, W).

    Row (c, place) is channel c seen from a place of the kernel: `offsets` (places) from the first number of each
    window, which stands at `first` (windows) in the plane.
    """
    images, channels, height, width = framed.shape
    windows = len(first)
    source, target = framed.reshape(-1), columns.reshape(-1)
    for k in range(start, stop):
        c, place = k // len(offsets), k % len(offsets)
        for n in range(images):
            seen, out = U((n * channels + c) * height * width + offsets[place]), U((k * images + n) * windows)
            for t in range(U(windows)):
                target[out + t] = source[seen + first[t]]


@loop
def col2im(start, stop, columns, offsets, first, framed):
    """Channels start … stop of framed images: each number of columns is added where `im2col` would read it."""
    images, channels, height, width = framed.shape
    windows = len(first)
    source, target = columns.reshape(-1), framed.reshape(-1)
    for c in range(start, stop):
        for n in range(images):
            plane = U((n * channels + c) * height * width)
            for t in range(U(height * width)):
                target[plane + t] = F(0.0)
            for place in range(len(offsets)):
                out, row = plane + U(offsets[place]), U(((c * len(offsets) + place) * images + n) * windows)
                for t in range(U(windows)):
                    target[out + first[t]] += source[row + t]


class Windows(NamedTuple):
    """The windows of a framed image, as numbers to add to the place where its plane begins."""

    top: int
    left: int
    size: tuple[int, int]  # of the framed image
    offsets: np.ndarray  # of the places of a kernel, from the first
    first: np.ndarray  # the first place of each window

    @property
    def pixels(self) -> int:
        return self.size[0] * self.size[1]

    def framed(self, x: np.ndarray, space: np.ndarray) -> np.ndarray:
        """x (images, C, H, W) in zeros, written into `space`."""
        planes = x.shape[0] * x.shape[1]
        framed = space[: planes * self.pixels].reshape(planes, *self.size)
        in_parts(frame, planes, framed.size, x.reshape(planes, *x.shape[2:]), self.top, self.left, framed)
        return framed.reshape(*x.shape[:2], *self.size)


@functools.lru_cache(256)
def windows_of(size: tuple[int, int], counts: tuple[int, int], where: tuple) -> Windows:
    """For images of `size` and counts: (H', W') of windows; where: (kernel, stride, padding, dilation), pairs."""
    (kh, kw), (sh, sw), (top, left), (dh, dw) = where
    height, width = size[0] + 2 * top, size[1] + 2 * left
    offsets = np.add.outer(np.arange(kh) * dh * width, np.arange(kw) * dw).reshape(-1)
    first = np.add.outer(np.arange(counts[0]) * sh * width, np.arange(counts[1]) * sw).reshape(-1)
    return Windows(top, left, (height, width), offsets.astype(np.uintp), first.astype(np.uintp))


def blocks(images: int, rows: int, windows: int) -> list[slice]:
    """The images in groups whose columns are wide enough and yet stay in the cache."""
    together = max(1, min(-(-WIDE // max(windows, 1)), BLOCK // max(1, rows * windows)))
    return [slice(n, min(n + together, images)) for n in range(0, images, together)]


def conv2d(x, weight, bias, size, where) -> np.ndarray:
    """(N, out, H', W') of x (N, C, H, W); size: (H', W'), where: (kernel, stride, padding, dilation), pairs."""
    out, channels = weight.shape[:2]
    if out < channels and (other := _from_the_other_side(where)):
        return conv_transpose2d(x, _mirrored(weight), bias, size, other)
    w = weight.reshape(out, -1)
    y = np.empty((len(x), out, *size), np.float32)
    for part, columns in _columns(x, w.shape[1], size, where):
        if part.stop - part.start == 1:
            np.matmul(w, columns, out=y[part.start].reshape(out, -1))
        else:
            y[part] = np.matmul(w, columns).reshape(out, -1, *size).swapaxes(0, 1)
        if bias is not None:
            y[part] += bias.reshape(-1, 1, 1)
    return y


def conv_transpose2d(x, weight, bias, size, where) -> np.ndarray:
    """(N, out, H, W) of x (N, C, H', W'); size: (H, W), where as of `conv2d`, which reads where this writes."""
    channels, out = weight.shape[:2]
    if channels < out and (other := _from_the_other_side(where)):
        return conv2d(x, _mirrored(weight), bias, size, other)
    w = weight.reshape(channels, -1)
    see = windows_of(tuple(size), x.shape[2:], where)
    parts = blocks(len(x), w.shape[1], len(see.first))
    y = np.empty((len(x), out, *size), np.float32)
    space = np.empty((parts[0].stop if parts else 0, out, *see.size), np.float32)
    for part in parts:
        columns, framed = np.matmul(w.T, _side_by_side(x[part])), space[: part.stop - part.start]
        in_parts(col2im, out, columns.size, columns, see.offsets, see.first, framed)
        y[part] = framed[:, :, see.top : see.top + size[0], see.left : see.left + size[1]]
        if bias is not None:
            y[part] += bias.reshape(-1, 1, 1)
    return y


def conv2d_weight(x, u, weight_size, where) -> np.ndarray:
    """(out, C, kh, kw) of x (N, C, H, W) and u (N, out, H', W')."""
    out, channels, kh, kw = weight_size
    if out < channels and (other := _from_the_other_side(where)):
        return _mirrored(conv2d_weight(u, x, (channels, out, kh, kw), other))
    rows = channels * kh * kw
    y = np.zeros((rows, out), np.float32)
    for part, columns in _columns(x, rows, u.shape[2:], where):
        y += np.matmul(columns, _side_by_side(u[part]).T)
    return np.ascontiguousarray(y.T).reshape(weight_size)


# With stride 1 a convolution by w is also the transposed convolution by the mirrored w, framed by what is left of the
# kernel. So columns are made of the side that has fewer channels.


def _mirrored(weight):
    return np.ascontiguousarray(weight.swapaxes(0, 1)[:, :, ::-1, ::-1])


def _from_the_other_side(where):
    """`where` for the mirrored kernel; None where there is no such."""
    kernel, stride, padding, dilation = where
    rest = tuple(d * (k - 1) - p for k, p, d in zip(kernel, padding, dilation, strict=True))
    return (kernel, stride, rest, dilation) if stride == (1, 1) and min(rest) >= 0 else None


def _columns(x, rows, counts, where):
    """Each group of images with its columns (rows, images · windows), in memory that the next group uses again."""
    see = windows_of(x.shape[2:], tuple(counts), where)
    parts = blocks(len(x), rows, len(see.first))
    most = parts[0].stop if parts else 0
    space, frames = (np.empty(most * n, np.float32) for n in (rows * len(see.first), x.shape[1] * see.pixels))
    for part in parts:
        images = part.stop - part.start
        columns = space[: rows * images * len(see.first)].reshape(rows, -1)
        in_parts(im2col, rows, columns.size, see.framed(x[part], frames), see.offsets, see.first, columns)
        yield part, columns


def _side_by_side(images):
    """(N, C, H, W) as a matrix (C, N H W)."""
    if len(images) == 1:
        return images.reshape(images.shape[1], -1)
    return images.swapaxes(0, 1).reshape(images.shape[1], -1)
