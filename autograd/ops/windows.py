"""Sliding windows over images: one view that convolution and pooling share. `unfold` reads it, `fold` adds into it.

`kernel_size`, `stride`, `padding` and `dilation` are an int or a pair (rows, columns), as in PyTorch. Rows and columns
that no whole window reaches are left out.
"""

from typing import NamedTuple

import numpy as np

from autograd.operation import op


def pair(v):
    """v as (rows, columns); an integer counts for both. ValueError for anything else."""
    both = tuple(v) if isinstance(v, (tuple, list)) else (v, v)
    if len(both) != 2 or not all(isinstance(n, (int, np.integer)) for n in both):
        raise ValueError(f"expected an integer or a pair of integers, not {v!r}")
    return both


class Windows(NamedTuple):
    """The geometry of a convolution or a pooling, each field as (rows, columns).

    ValueError for sizes below 1 and negative padding, and for images that they do not fit.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)

    @classmethod
    def of(cls, kernel_size, stride=1, padding=0, dilation=1):
        """From integers or pairs, checked."""
        new = cls(*map(pair, (kernel_size, stride, padding, dilation)))
        if min(*new.kernel, *new.stride, *new.dilation) < 1 or min(new.padding) < 0:
            raise ValueError(
                f"kernel_size {new.kernel}, stride {new.stride} and dilation {new.dilation} must be at least 1, "
                f"padding {new.padding} at least 0"
            )
        return new

    def counts(self, size):
        """How many windows fit into an image of `size`, down and across: ⌊(n + 2p − d(k−1) − 1)/s⌋ + 1."""
        counts = []
        for n, k, s, p, d in zip(size, *self, strict=True):
            if d * (k - 1) + 1 > n + 2 * p:
                raise ValueError(
                    f"a kernel of size {self.kernel} with dilation {self.dilation} does not fit into "
                    f"an image of size {tuple(size)} with padding {self.padding}"
                )
            counts.append((n + 2 * p - d * (k - 1) - 1) // s + 1)
        return tuple(counts)

    def leftover(self, size):
        """How many rows and columns at the end of the framed image no window reaches."""
        each = zip(size, self.counts(size), *self, strict=True)
        return tuple(n + 2 * p - (m - 1) * s - d * (k - 1) - 1 for n, m, k, s, p, d in each)

    def transposed_size(self, counts, output_padding):
        """The size of the image in which so many windows fit, with `output_padding` rows and columns left over."""
        beyond = pair(output_padding)
        if any(not 0 <= b < s for b, s in zip(beyond, self.stride, strict=True)):
            raise ValueError(f"output_padding {beyond} must be at least 0 and smaller than stride {self.stride}")
        framed = [(m - 1) * s + d * (k - 1) + 1 + b for m, b, k, s, _, d in zip(counts, beyond, *self, strict=True)]
        if any(m <= 2 * p for m, p in zip(framed, self.padding, strict=True)):
            raise ValueError(f"padding {self.padding} leaves nothing of an output of size {tuple(framed)}")
        return tuple(m - 2 * p for m, p in zip(framed, self.padding, strict=True))

    def options(self):
        """The options of `conv2d` and its relatives."""
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}


def check_images(x, what):
    """ValueError unless x is (N, C, H, W); `what` names it."""
    if x.ndim != 4:
        raise ValueError(f"{what} must have shape (N, C, H, W), not {x.shape}")


def window_view(xp, x, axis, at):
    """A view of x with the image axes (axis, axis + 1) replaced by four: kernel row and column, window row and column.

    x is framed already: the padding of `at` plays no part. Nothing is copied, so overlapping windows share elements.
    The elements of one kernel position are distinct, and so are the elements of one window.
    """
    size, steps = x.shape[axis : axis + 2], x.strides[axis : axis + 2]
    counts = at._replace(padding=(0, 0)).counts(size)
    inner = [n * d for n, d in zip(steps, at.dilation, strict=True)]
    outer = [n * s for n, s in zip(steps, at.stride, strict=True)]
    return xp.lib.stride_tricks.as_strided(
        x,
        (*x.shape[:axis], *at.kernel, *counts, *x.shape[axis + 2 :]),
        (*x.strides[:axis], *inner, *outer, *x.strides[axis + 2 :]),
    )


def positions(size):
    """Every (row, column) of a kernel, or of the windows, row by row."""
    return [(i, j) for i in range(size[0]) for j in range(size[1])]


def frame(xp, x, padding, value=0.0):
    """x (N, C, H, W) with `padding` rows and columns of a constant around each image."""
    ph, pw = padding
    if not (ph or pw):
        return x
    return xp.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), mode="constant", constant_values=value)


def unframe(y, padding):
    """The images inside the frame, as a view."""
    ph, pw = padding
    return y[..., ph : y.shape[-2] - ph, pw : y.shape[-1] - pw]


@op
class unfold:
    "y[n, (c, i, j), (r, t)] = x[n, c, r s + i d − p, t s + j d − p]      ∂L/∂x = fold(g)       y (N, C kh kw, L)"

    def forward(xp, x, *, kernel_size, dilation=1, padding=0, stride=1):
        check_images(x, "the input of unfold")
        at = Windows.of(kernel_size, stride, padding, dilation)
        at.counts(x.shape[2:])
        y = window_view(xp, frame(xp, x, at.padding), 2, at)
        n, c, kh, kw, rows, columns = y.shape
        # Copying window by window is fast, and makes the transpose of y a contiguous matrix.
        return y.transpose(0, 4, 5, 1, 2, 3).reshape(n, rows * columns, c * kh * kw).swapaxes(1, 2)

    def backward(xp, g, shapes, *, kernel_size, dilation, padding, stride):
        where = {"kernel_size": kernel_size, "dilation": dilation, "padding": padding, "stride": stride}
        return fold.inside(xp, g, output_size=shapes[0][2:], **where)


@op
class fold:
    """y[n, c, h, v] = Σ x[n, (c, i, j), (r, t)]   over r s + i d − p = h,  t s + j d − p = v
    ∂L/∂x = unfold(g)       x (N, C kh kw, L),  y (N, C, *output_size)"""

    def forward(xp, x, *, output_size, kernel_size, dilation=1, padding=0, stride=1):
        size, at = pair(output_size), Windows.of(kernel_size, stride, padding, dilation)
        (kh, kw), (ph, pw), (rows, columns) = at.kernel, at.padding, at.counts(size)
        if x.ndim != 3 or x.shape[1] % (kh * kw) or x.shape[2] != rows * columns:
            raise ValueError(
                f"the input of fold must have shape (N, C·{kh * kw}, {rows * columns}) for an output of size "
                f"{size}, not {x.shape}"
            )
        n, c = x.shape[0], x.shape[1] // (kh * kw)
        x = x.reshape(n, c, kh, kw, rows, columns)
        framed = xp.zeros((n, c, size[0] + 2 * ph, size[1] + 2 * pw), dtype=x.dtype)
        view = window_view(xp, framed, 2, at)
        if rows * columns < kh * kw:  # the shorter of two loops; neither meets an element twice in one turn
            for r, t in positions((rows, columns)):
                view[..., r, t] += x[..., r, t]
        else:
            for i, j in positions(at.kernel):
                view[:, :, i, j] += x[:, :, i, j]
        return xp.ascontiguousarray(unframe(framed, at.padding))

    def backward(xp, g, *, kernel_size, dilation, padding, stride):
        return unfold.inside(xp, g, kernel_size=kernel_size, dilation=dilation, padding=padding, stride=stride)
