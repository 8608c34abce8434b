"""Between images and the columns of a convolution. Twins: `autograd.ops.unfold` and `fold`."""

import math
from typing import Any, NamedTuple

from autograd.kernels import launch

THREADS = 256
MOST = 2**31 - THREADS  # threads that a kernel may count, by an int


class Windows(NamedTuple):
    """Where the windows of an image lie, as (rows, columns), in the order in which the kernels take them."""

    size: tuple[int, int]  # of the image
    kernel: tuple[int, int]
    counts: tuple[int, int]  # windows down and across
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]

    def numbers(self) -> list[int]:
        return [n for pair in self for n in pair]


def im2col(x: Any, at: Windows) -> Any:
    """x (N, C, H, W) -> (C kh kw, N, windows): with the batch inside, all images are one matrix."""
    images, channels = x.shape[:2]
    launch.require(x.shape[2:] == at.size, f"im2col: x {x.shape} beside windows of {at.size}")
    rows, windows = channels * math.prod(at.kernel), math.prod(at.counts)
    launch.require(images * windows <= MOST, f"im2col: {images * windows:,} windows in one call, {MOST:,} are the most")
    columns = launch.empty(x, (rows, images, windows))
    grid = (rows * launch.ceil_div(images * windows, THREADS),)
    launch.launch("im2col", grid, (THREADS,), x, columns, images, channels, *at.numbers())
    return columns


def col2im(columns: Any, bias: Any, at: Windows) -> Any:
    """columns (N, C kh kw, windows), bias (C) or None -> (N, C, H, W): the sum of all that lies on a pixel."""
    (images, rows, windows), area = columns.shape, math.prod(at.kernel)
    fits = rows % area == 0 and windows == math.prod(at.counts)
    launch.require(fits, f"col2im: columns {columns.shape} beside {at.counts} windows of {at.kernel}")
    channels = rows // area
    launch.require(bias is None or bias.shape == (channels,), f"col2im: a bias for each of {channels} channels")
    pixels = images * channels * math.prod(at.size)
    launch.require(pixels <= MOST, f"col2im: {pixels:,} pixels in one call, {MOST:,} are the most")
    y = launch.empty(columns, (images, channels, *at.size))
    grid = (launch.ceil_div(y.size, THREADS),)
    launch.launch("col2im", grid, (THREADS,), columns, bias, y, images, channels, *at.numbers())
    return y
