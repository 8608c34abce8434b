"""Convolution: one trilinear form, and its three partial derivatives, each an op.

With y = conv2d(x, w) and any u of y's shape, the number

    T(x, w, u) = Σ u · conv2d(x, w) = Σ w · conv2d_weight(x, u) = Σ x · conv_transpose2d(u, w)

is linear in x, in w and in u. So the gradients of each of the three ops are the other two, to every order.
Each is one matrix product with the columns of x (im2col: Chellapilla et al. 2006), (C kh kw) × (windows).

Layouts are PyTorch's: images (N, C, H, W), weights (out, in, kh, kw), of conv_transpose2d (in, out, kh, kw).
"""

import math

from autograd.operation import op
from autograd.ops.numerics import matmul, plus_bias
from autograd.ops.windows import Windows, check_images, pair, positions, unframe, window_view

BLOCK = 2**23  # most numbers in the columns of one matrix product; larger inputs go through it in blocks of rows


@op
class conv2d:
    """y[n, o, r, t] = b[o] + Σ w[o, c, i, j] x[n, c, r s + i d − p, t s + j d − p]
    ∂L/∂x = conv_transpose2d(g, w),   ∂L/∂w = conv2d_weight(x, g),   ∂L/∂b = Σ g"""

    def forward(xp, x, weight, bias, *, stride=1, padding=0, dilation=1):
        check_images(x, "the input of conv2d")
        check_channels("conv2d", x.shape[1], weight, 1, bias)
        w = weight.reshape(len(weight), math.prod(weight.shape[1:]))
        view = image_windows(xp, x, Windows.of(weight.shape[2:], stride, padding, dilation))  # (C, kh, kw, H', W', N)
        *_, height, width, n = view.shape
        y = None
        for rows in blocks(view.shape):
            seen = view[:, :, :, rows]
            columns = seen.reshape(w.shape[1], math.prod(seen.shape[3:]))
            block = matmul(xp, w, columns).reshape(len(w), *seen.shape[3:])
            if bias is not None:
                block = plus_bias(block, bias.reshape(-1, 1, 1, 1))
            block = block.transpose(3, 0, 1, 2)
            if block.shape[2] == height:  # the only one
                return xp.ascontiguousarray(block)
            if y is None:
                y = xp.empty((n, len(w), height, width), dtype=block.dtype)
            y[:, :, rows] = block
        return y

    def backward(xp, g, x, weight, need, *, stride, padding, dilation):
        at = Windows.of(weight.shape[2:], stride, padding, dilation)
        beyond, where = at.leftover(x.shape[2:]), at.options()
        return (
            conv_transpose2d.inside(xp, g, weight, None, output_padding=beyond, **where) if need[0] else None,
            conv2d_weight.inside(xp, x, g, weight_size=weight.shape, **where) if need[1] else None,
            g.sum(axis=(0, 2, 3)) if need[2] else None,
        )

    def call(apply, input, weight, bias=None, stride=1, padding=0, dilation=1):
        return apply(input, weight, bias, stride=pair(stride), padding=pair(padding), dilation=pair(dilation))


@op
class conv_transpose2d:
    """y[n, o, h, v] = b[o] + Σ w[c, o, i, j] x[n, c, r, t]   over r s + i d − p = h,  t s + j d − p = v
    ∂L/∂x = conv2d(g, w),   ∂L/∂w = conv2d_weight(g, x),   ∂L/∂b = Σ g
    y has (H − 1)s − 2p + d(kh − 1) + 1 + output_padding rows, and columns likewise"""

    def forward(xp, x, weight, bias, *, stride=1, padding=0, output_padding=0, dilation=1):
        check_images(x, "the input of conv_transpose2d")
        check_channels("conv_transpose2d", x.shape[1], weight, 0, bias)
        (n, c, height, width), out = x.shape, weight.shape[1]
        at = Windows.of(weight.shape[2:], stride, padding, dilation)
        size = at.transposed_size((height, width), output_padding)
        framed_size = [m + 2 * p for m, p in zip(size, at.padding, strict=True)]
        w = weight.reshape(c, math.prod(weight.shape[1:]))
        x = x.transpose(1, 2, 3, 0)
        framed = xp.zeros((out, *framed_size, n), dtype=xp.result_type(x, weight))
        view = window_view(xp, framed, 1, at)  # (out, kh, kw, H, W, N)
        for rows in blocks(view.shape):
            part = x[:, rows]
            columns = matmul(xp, w.T, part.reshape(c, math.prod(part.shape[1:])))
            columns = columns.reshape(out, *at.kernel, *part.shape[1:])
            for i, j in positions(at.kernel):
                view[:, i, j, rows] += columns[:, i, j]
        y = xp.ascontiguousarray(unframe(framed.transpose(3, 0, 1, 2), at.padding))
        if bias is not None:
            y = plus_bias(y, bias.reshape(-1, 1, 1))
        return y

    def backward(xp, g, x, weight, need, *, stride, padding, dilation):
        where = {"stride": stride, "padding": padding, "dilation": dilation}
        return (
            conv2d.inside(xp, g, weight, None, **where) if need[0] else None,
            conv2d_weight.inside(xp, g, x, weight_size=weight.shape, **where) if need[1] else None,
            g.sum(axis=(0, 2, 3)) if need[2] else None,
        )

    def call(apply, input, weight, bias=None, stride=1, padding=0, output_padding=0, dilation=1):
        where = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
        return apply(input, weight, bias, **{name: pair(value) for name, value in where.items()})


@op
class conv2d_weight:
    """y[o, c, i, j] = Σ u[n, o, r, t] x[n, c, r s + i d − p, t s + j d − p]       (torch.nn.grad.conv2d_weight)
    ∂L/∂x = conv_transpose2d(u, g),   ∂L/∂u = conv2d(x, g)"""

    def forward(xp, x, u, *, weight_size, stride=1, padding=0, dilation=1):
        out, c, *kernel_size = weight_size
        check_images(x, "the input of conv2d_weight")
        view = image_windows(xp, x, Windows.of(kernel_size, stride, padding, dilation))  # (C, kh, kw, H', W', N)
        expected = (x.shape[0], out, *view.shape[3:5])
        if x.shape[1] != c or u.shape != expected:
            raise ValueError(
                f"conv2d_weight of input {x.shape} and weight_size {tuple(weight_size)}: "
                f"needs {c} channels and grad_output {expected}, not {u.shape}"
            )
        u = u.transpose(1, 2, 3, 0)
        k = c * kernel_size[0] * kernel_size[1]
        y = xp.zeros((k, out), dtype=xp.result_type(x, u))
        for rows in blocks(view.shape):
            part = u[:, rows]
            windows = math.prod(part.shape[1:])
            y += matmul(xp, view[:, :, :, rows].reshape(k, windows), part.reshape(out, windows).T)
        return y.T.reshape(weight_size)

    def backward(xp, g, x, u, need, *, stride, padding, dilation):
        at = Windows.of(g.shape[2:], stride, padding, dilation)
        beyond, where = at.leftover(x.shape[2:]), at.options()
        return (
            conv_transpose2d.inside(xp, u, g, None, output_padding=beyond, **where) if need[0] else None,
            conv2d.inside(xp, x, g, None, **where) if need[1] else None,
        )

    def call(apply, input, weight_size, grad_output, stride=1, padding=0, dilation=1):
        where = {"stride": pair(stride), "padding": pair(padding), "dilation": pair(dilation)}
        return apply(input, grad_output, weight_size=tuple(weight_size), **where)


def check_channels(name, channels, weight, axis, bias):
    """ValueError unless the weight has so many channels along its axis 0 or 1, and the bias fits its other axis."""
    if weight.ndim != 4 or weight.shape[axis] != channels:
        expected = f"({channels}, out, kh, kw)" if axis == 0 else f"(out, {channels}, kh, kw)"
        raise ValueError(f"{name} of {channels} channels needs a weight {expected}, not {weight.shape}")
    if bias is not None and bias.shape != (weight.shape[1 - axis],):
        raise ValueError(f"{name}: bias must have shape ({weight.shape[1 - axis]},), not {bias.shape}")


def image_windows(xp, x, at):
    """The windows of x (N, C, H, W) framed by zeros: a view (C, kh, kw, H', W', N).

    With the batch innermost, copying columns moves runs of N numbers instead of single ones. A 1×1 kernel copies each
    number once anyway, and one image is stored that way already.
    """
    n, c, h, w = x.shape
    ph, pw = at.padding
    at.counts((h, w))
    if at.padding == (0, 0) and (n == 1 or at.kernel == (1, 1)):
        return window_view(xp, x.transpose(1, 2, 3, 0), 1, at)
    framed = xp.zeros((c, h + 2 * ph, w + 2 * pw, n), dtype=x.dtype)
    framed[:, ph : ph + h, pw : pw + w] = x.transpose(1, 2, 3, 0)
    return window_view(xp, framed, 1, at)


def blocks(shape):
    """Slices of the window rows of a view (C, kh, kw, H', W', N), each with columns of at most BLOCK numbers."""
    c, kh, kw, height, width, n = shape
    rows = max(1, BLOCK // max(1, c * kh * kw * width * n))
    return [slice(r, min(r + rows, height)) for r in range(0, height, rows)]
