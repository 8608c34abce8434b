"""Sliding windows over images: the view that convolution and pooling share; unfold reads it and fold adds into it.

`kernel_size`, `stride`, `padding` and `dilation` are an int or a pair (rows, columns), as in PyTorch. Rows and columns
that no whole window reaches are left out.
"""

import numpy as np

from autograd import operation
from autograd.modes import state
from autograd.operation import op


def pair(v):
    both = tuple(v) if isinstance(v, (tuple, list)) else (v, v)
    if len(both) != 2 or not all(isinstance(n, int) for n in both):
        raise ValueError(f"expected an integer or a pair of integers, not {v!r}")
    return both


def count_windows(size, kernel_size, stride, padding, dilation):
    """How many windows fit, rows and columns: ⌊(n + 2p − d(k−1) − 1)/s⌋ + 1. All arguments are pairs."""
    if min(*kernel_size, *stride, *dilation) < 1 or min(padding) < 0:
        raise ValueError(
            f"kernel_size {kernel_size}, stride {stride} and dilation {dilation} must be at least 1, "
            f"padding {padding} at least 0"
        )
    counts = []
    for n, k, s, p, d in zip(size, kernel_size, stride, padding, dilation, strict=True):
        if d * (k - 1) + 1 > n + 2 * p:
            raise ValueError(
                f"a kernel of size {kernel_size} with dilation {dilation} does not fit into "
                f"an image of size {tuple(size)} with padding {padding}"
            )
        counts.append((n + 2 * p - d * (k - 1) - 1) // s + 1)
    return tuple(counts)


def check_images(x, what):
    if x.ndim != 4:
        raise ValueError(f"{what} must have shape (N, C, H, W), not {x.shape}")


def windows(xp, x, axis, kernel_size, stride, dilation):
    """A view of x with the image axes (axis, axis + 1) replaced by four: kernel row and column, window row and column.

    Nothing is copied, so overlapping windows share their elements; those of one kernel position are distinct, and those
    of one window.
    """
    size, steps = x.shape[axis : axis + 2], x.strides[axis : axis + 2]
    counts = count_windows(size, kernel_size, stride, (0, 0), dilation)
    inner = [n * d for n, d in zip(steps, dilation, strict=True)]
    outer = [n * s for n, s in zip(steps, stride, strict=True)]
    return xp.lib.stride_tricks.as_strided(
        x,
        (*x.shape[:axis], *kernel_size, *counts, *x.shape[axis + 2 :]),
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


def run(xp, op, *inputs, **options):
    """Another op inside a rule: its forward on arrays, or that of its stand-in, or recorded on Tensors."""
    if xp is operation.OPS_NAMESPACE:
        return op.apply(*inputs, **options)
    faster = op.loops if xp is np else op.kernels
    if faster is not None and state.fused and faster.fits(xp, inputs, options):
        op = faster
    return op.forward(xp, *inputs, **options)


@op
class unfold:
    "y[n, (c, i, j), (r, t)] = x[n, c, r s + i d − p, t s + j d − p]      ∂L/∂x = fold(g)       y (N, C kh kw, L)"

    def forward(xp, x, *, kernel_size, dilation=1, padding=0, stride=1):
        check_images(x, "the input of unfold")
        kernel_size, dilation, padding, stride = map(pair, (kernel_size, dilation, padding, stride))
        count_windows(x.shape[2:], kernel_size, stride, padding, dilation)
        y = windows(xp, frame(xp, x, padding), 2, kernel_size, stride, dilation)
        n, c, kh, kw, rows, columns = y.shape
        # copied window by window: fast, and the transpose of y is a matrix whose rows lie in one piece
        return y.transpose(0, 4, 5, 1, 2, 3).reshape(n, rows * columns, c * kh * kw).swapaxes(1, 2)

    def backward(xp, g, shapes, *, kernel_size, dilation, padding, stride):
        where = {"kernel_size": kernel_size, "dilation": dilation, "padding": padding, "stride": stride}
        return run(xp, fold, g, output_size=shapes[0][2:], **where)


@op
class fold:
    """y[n, c, h, v] = Σ x[n, (c, i, j), (r, t)]   over r s + i d − p = h,  t s + j d − p = v
    ∂L/∂x = unfold(g)       x (N, C kh kw, L),  y (N, C, *output_size)"""

    def forward(xp, x, *, output_size, kernel_size, dilation=1, padding=0, stride=1):
        size = pair(output_size)
        kernel_size, dilation, padding, stride = map(pair, (kernel_size, dilation, padding, stride))
        kh, kw = kernel_size
        rows, columns = count_windows(size, kernel_size, stride, padding, dilation)
        if x.ndim != 3 or x.shape[1] % (kh * kw) or x.shape[2] != rows * columns:
            raise ValueError(
                f"the input of fold must have shape (N, C·{kh * kw}, {rows * columns}) for an output of size "
                f"{size}, not {x.shape}"
            )
        n, c = x.shape[0], x.shape[1] // (kh * kw)
        x = x.reshape(n, c, kh, kw, rows, columns)
        framed = xp.zeros((n, c, size[0] + 2 * padding[0], size[1] + 2 * padding[1]), dtype=x.dtype)
        view = windows(xp, framed, 2, kernel_size, stride, dilation)
        if rows * columns < kh * kw:  # the shorter of two loops; neither meets an element twice in one turn
            for r, t in positions((rows, columns)):
                view[..., r, t] += x[..., r, t]
        else:
            for i, j in positions(kernel_size):
                view[:, :, i, j] += x[:, :, i, j]
        return xp.ascontiguousarray(unframe(framed, padding))

    def backward(xp, g, *, kernel_size, dilation, padding, stride):
        return run(xp, unfold, g, kernel_size=kernel_size, dilation=dilation, padding=padding, stride=stride)
