"""Between images and the columns of a convolution. Twins: `autograd.ops.unfold` and `fold`."""

import math
from collections.abc import Sequence
from typing import Any

from autograd.accelerate.gpu import launch
from autograd.ops.windows import Windows

THREADS = 256
MOST = 2**31 - THREADS  # threads that a kernel may count, by an int


def numbers(at: Windows, size: Sequence[int]) -> list[int]:
    """The windows over an image of `size`, as the kernels take them."""
    return [*size, *at.kernel, *at.counts(size), *at.stride, *at.padding, *at.dilation]


def im2col(x: Any, at: Windows) -> Any:
    """x (N, C, H, W) -> (C kh kw, N, windows): with the batch inside, all images are one matrix."""
    images, channels = x.shape[:2]
    rows, windows = channels * math.prod(at.kernel), math.prod(at.counts(x.shape[2:]))
    launch.require(images * windows <= MOST, f"im2col: {images * windows:,} windows in one call, {MOST:,} are the most")
    columns = launch.empty(x, (rows, images, windows))
    grid = (rows * launch.ceil_div(images * windows, THREADS),)
    launch.launch("im2col", grid, (THREADS,), x, columns, images, channels, *numbers(at, x.shape[2:]))
    return columns


def col2im(columns: Any, bias: Any, size: tuple[int, int], at: Windows) -> Any:
    """columns (N, C kh kw, windows), bias (C) or None -> (N, C, *size): the sum of all that lies on a pixel."""
    (images, rows, windows), area = columns.shape, math.prod(at.kernel)
    fits = rows % area == 0 and windows == math.prod(at.counts(size))
    launch.require(fits, f"col2im: columns {columns.shape} beside {at.counts(size)} windows of {at.kernel}")
    channels = rows // area
    launch.require(bias is None or bias.shape == (channels,), f"col2im: a bias for each of {channels} channels")
    pixels = images * channels * math.prod(size)
    launch.require(pixels <= MOST, f"col2im: {pixels:,} pixels in one call, {MOST:,} are the most")
    y = launch.empty(columns, (images, channels, *size))
    grid = (launch.ceil_div(y.size, THREADS),)
    launch.launch("col2im", grid, (THREADS,), columns, bias, y, images, channels, *numbers(at, size))
    return y
