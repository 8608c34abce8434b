"""Convolution as matrix products with columns (im2col) that stay in the cache. Twin: `autograd.ops.conv`.

The columns of a few images at a time, (C kh kw) × (images · windows), are written and used before the next: by then a
step's columns, many times the images, would have gone out to memory and come back.
"""

import numpy as np

from autograd.loops.jit import F, U, in_parts, loop
from autograd.loops.windows import windows_of

BLOCK = 2**18  # numbers in the columns that are in use at once: a megabyte
WIDE = 256  # columns that make a good matrix product: small images go through it together


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
    of_image = y.reshape(len(x), out, -1)
    for part, span, columns in _columns(x, w.shape[1], size, where):
        written = of_image[part, :, span]
        if len(written) == 1:
            np.matmul(w, columns, out=written[0])
        else:
            written[...] = np.matmul(w, columns).reshape(out, len(written), -1).swapaxes(0, 1)
        if bias is not None:
            written += bias.reshape(-1, 1)
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
    of_image = u.reshape(len(u), out, -1)
    for part, span, columns in _columns(x, rows, u.shape[2:], where):
        y += np.matmul(columns, _side_by_side(of_image[part, :, span]).T)
    return np.ascontiguousarray(y.T).reshape(weight_size)


# With stride 1 a convolution by w is also the transposed convolution by the mirrored w, framed by what is left of the
# kernel. So columns are made of the side that has fewer channels.


def _mirrored(weight):
    return np.ascontiguousarray(weight.swapaxes(0, 1)[:, :, ::-1, ::-1])


def _from_the_other_side(where):
    """`where` for the mirrored kernel; None where there is no such, or nothing to gain (1 × 1)."""
    kernel, stride, padding, dilation = where
    rest = tuple(d * (k - 1) - p for k, p, d in zip(kernel, padding, dilation, strict=True))
    return (kernel, stride, rest, dilation) if stride == (1, 1) != kernel and min(rest) >= 0 else None


def _columns(x, rows, counts, where):
    """(images, windows, columns): slices of both with their columns (rows, images · windows), in memory used again."""
    see = windows_of(x.shape[2:], tuple(counts), where)
    windows = len(see.first)
    parts = blocks(len(x), rows, windows)
    if where[:3] == ((1, 1), (1, 1), (0, 0)):  # the images are their columns
        yield from ((part, slice(0, windows), _side_by_side(x[part])) for part in parts)
        return
    most, wide = parts[0].stop if parts else 0, max(WIDE, BLOCK // rows)
    spans = [slice(t, min(t + wide, windows)) for t in range(0, windows, wide)] if most == 1 else [slice(0, windows)]
    space, frames = (np.empty(most * n, np.float32) for n in (rows * min(wide, windows), x.shape[1] * see.pixels))
    for part in parts:
        framed = see.framed(x[part], frames)
        for span in spans:
            first = see.first[span]
            columns = space[: rows * len(framed) * len(first)].reshape(rows, -1)
            in_parts(im2col, rows, columns.size, framed, see.offsets, first, columns)
            yield part, span, columns


def _side_by_side(images):
    """(N, C, …) as a matrix (C, N · …)."""
    if len(images) == 1:
        return images[0].reshape(images.shape[1], -1)
    return images.swapaxes(0, 1).reshape(images.shape[1], -1)
