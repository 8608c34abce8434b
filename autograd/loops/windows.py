"""The windows of an image as places in memory. Twin: `autograd.ops.windows`."""

import functools
from typing import NamedTuple

import numpy as np

from autograd.loops.jit import F, U, in_parts, loop


@loop
def frame(start, stop, x, top, left, value, framed):
    """Planes start … stop of x (planes, H, W), in a frame of `value`."""
    _, height, width = x.shape
    source, target = x.reshape(-1), framed.reshape(-1)
    rows, cols = framed.shape[1:]
    for n in range(start, stop):
        plane = U(n * rows * cols)
        for t in range(U(rows * cols)):
            target[plane + t] = value
        for r in range(height):
            out, row = U((n * rows + r + top) * cols + left), U((n * height + r) * width)
            for t in range(U(width)):
                target[out + t] = source[row + t]


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

    def framed(self, x: np.ndarray, space: np.ndarray, value: float = 0.0) -> np.ndarray:
        """x (images, C, H, W) in a frame of `value`, written into `space`."""
        planes = x.shape[0] * x.shape[1]
        framed = space[: planes * self.pixels].reshape(planes, *self.size)
        in_parts(frame, planes, framed.size, x.reshape(planes, *x.shape[2:]), self.top, self.left, F(value), framed)
        return framed.reshape(*x.shape[:2], *self.size)


@functools.lru_cache(256)
def windows_of(size: tuple[int, int], counts: tuple[int, int], where: tuple) -> Windows:
    """For images of `size` and counts: (H', W') of windows; where: (kernel, stride, padding, dilation), pairs."""
    (kh, kw), (sh, sw), (top, left), (dh, dw) = where
    height, width = size[0] + 2 * top, size[1] + 2 * left
    offsets = np.add.outer(np.arange(kh) * dh * width, np.arange(kw) * dw).reshape(-1)
    first = np.add.outer(np.arange(counts[0]) * sh * width, np.arange(counts[1]) * sw).reshape(-1)
    return Windows(top, left, (height, width), offsets.astype(np.uintp), first.astype(np.uintp))
