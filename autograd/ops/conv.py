"""Convolution: one trilinear form, and its three partial derivatives, each an op.

With y = conv2d(x, w) and any u of y's shape, the number

    T(x, w, u) = Σ u · conv2d(x, w) = Σ w · conv2d_weight(x, u) = Σ x · conv_transpose2d(u, w)

is linear in x, in w and in u. So the gradients of each of the three ops are the other two, to every order.
Each is one matrix product with the columns of x (im2col: Chellapilla et al. 2006), (C kh kw) × (windows).

Layouts are PyTorch's: images (N, C, H, W), weights (out, in, kh, kw), of conv_transpose2d (in, out, kh, kw).
"""

from autograd.backend import matmul
from autograd.operation import op
from autograd.ops.windows import check_images, count_windows, pair, positions, run, unframe, windows

BLOCK = 2**23  # most numbers in the columns of one matrix product; larger inputs go through it in blocks of rows


@op
class conv2d:
    """y[n, o, r, t] = b[o] + Σ w[o, c, i, j] x[n, c, r s + i d − p, t s + j d − p]
    ∂L/∂x = conv_transpose2d(g, w),   ∂L/∂w = conv2d_weight(x, g),   ∂L/∂b = Σ g"""

    def forward(xp, x, weight, bias, *, stride=1, padding=0, dilation=1):
        check_images(x, "the input of conv2d")
        check_channels("conv2d", x.shape[1], weight, 1, bias)
        out, kernel_size = weight.shape[0], weight.shape[2:]
        w = weight.reshape(out, -1)
        view = image_windows(xp, x, kernel_size, stride, padding, dilation)  # (C, kh, kw, H', W', N)
        _, _, _, height, width, n = view.shape
        y = None
        for rows in blocks(view.shape):
            block = matmul(xp, w, view[:, :, :, rows].reshape(w.shape[1], -1)).reshape(out, -1, width, n)
            if bias is not None:
                block += bias.reshape(-1, 1, 1, 1)
            block = block.transpose(3, 0, 1, 2)
            if block.shape[2] == height:  # the only one
                return xp.ascontiguousarray(block)
            if y is None:
                y = xp.empty((n, out, height, width), dtype=block.dtype)
            y[:, :, rows] = block
        return y

    def backward(xp, g, x, weight, need, *, stride, padding, dilation):
        where = {"stride": stride, "padding": padding, "dilation": dilation}
        beyond = leftover(x.shape[2:], weight.shape[2:], **where)
        return (
            run(xp, conv_transpose2d, g, weight, None, output_padding=beyond, **where) if need[0] else None,
            run(xp, conv2d_weight, x, g, weight_size=weight.shape, **where) if need[1] else None,
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
        (n, c, height, width), out, kernel_size = x.shape, weight.shape[1], weight.shape[2:]
        size = transposed_size((height, width), kernel_size, stride, padding, output_padding, dilation)
        stride, padding, dilation = map(pair, (stride, padding, dilation))
        framed_size = [m + 2 * p for m, p in zip(size, padding, strict=True)]
        w = weight.reshape(c, -1)
        x = x.transpose(1, 2, 3, 0)
        framed = xp.zeros((out, *framed_size, n), dtype=xp.result_type(x, weight))
        view = windows(xp, framed, 1, kernel_size, stride, dilation)  # (out, kh, kw, H, W, N)
        for rows in blocks(view.shape):
            columns = matmul(xp, w.T, x[:, rows].reshape(c, -1)).reshape(out, *kernel_size, -1, width, n)
            for i, j in positions(kernel_size):
                view[:, i, j, rows] += columns[:, i, j]
        y = xp.ascontiguousarray(unframe(framed.transpose(3, 0, 1, 2), padding))
        if bias is not None:
            y += bias.reshape(-1, 1, 1)
        return y

    def backward(xp, g, x, weight, need, *, stride, padding, dilation):
        where = {"stride": stride, "padding": padding, "dilation": dilation}
        return (
            run(xp, conv2d, g, weight, None, **where) if need[0] else None,
            run(xp, conv2d_weight, g, x, weight_size=weight.shape, **where) if need[1] else None,
            g.sum(axis=(0, 2, 3)) if need[2] else None,
        )

    def call(apply, input, weight, bias=None, stride=1, padding=0, output_padding=0, dilation=1):
        return apply(
            input,
            weight,
            bias,
            stride=pair(stride),
            padding=pair(padding),
            output_padding=pair(output_padding),
            dilation=pair(dilation),
        )


@op
class conv2d_weight:
    """y[o, c, i, j] = Σ u[n, o, r, t] x[n, c, r s + i d − p, t s + j d − p]       (torch.nn.grad.conv2d_weight)
    ∂L/∂x = conv_transpose2d(u, g),   ∂L/∂u = conv2d(x, g)"""

    def forward(xp, x, u, *, weight_size, stride=1, padding=0, dilation=1):
        out, c, kernel_size = weight_size[0], weight_size[1], weight_size[2:]
        check_images(x, "the input of conv2d_weight")
        view = image_windows(xp, x, kernel_size, stride, padding, dilation)  # (C, kh, kw, H', W', N)
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
            y += matmul(xp, view[:, :, :, rows].reshape(k, -1), u[:, rows].reshape(out, -1).T)
        return y.T.reshape(weight_size)

    def backward(xp, g, x, u, need, *, stride, padding, dilation):
        where = {"stride": stride, "padding": padding, "dilation": dilation}
        beyond = leftover(x.shape[2:], g.shape[2:], **where)
        return (
            run(xp, conv_transpose2d, u, g, None, output_padding=beyond, **where) if need[0] else None,
            run(xp, conv2d, x, g, None, **where) if need[1] else None,
        )

    def call(apply, input, weight_size, grad_output, stride=1, padding=0, dilation=1):
        return apply(
            input,
            grad_output,
            weight_size=tuple(weight_size),
            stride=pair(stride),
            padding=pair(padding),
            dilation=pair(dilation),
        )


def check_channels(name, channels, weight, axis, bias):
    if weight.ndim != 4 or weight.shape[axis] != channels:
        expected = f"({channels}, out, kh, kw)" if axis == 0 else f"(out, {channels}, kh, kw)"
        raise ValueError(f"{name} of {channels} channels needs a weight {expected}, not {weight.shape}")
    if bias is not None and bias.shape != (weight.shape[1 - axis],):
        raise ValueError(f"{name}: bias must have shape ({weight.shape[1 - axis]},), not {bias.shape}")


def transposed_size(size, kernel_size, stride, padding, output_padding, dilation):
    """The height and width of what conv_transpose2d makes of images of `size`."""
    stride, padding, beyond, dilation = map(pair, (stride, padding, output_padding, dilation))
    if any(not 0 <= b < s for b, s in zip(beyond, stride, strict=True)):
        raise ValueError(f"output_padding {beyond} must be at least 0 and smaller than stride {stride}")
    framed = [
        (m - 1) * s + d * (k - 1) + 1 + b
        for m, s, d, k, b in zip(size, stride, dilation, kernel_size, beyond, strict=True)
    ]
    if any(m <= 2 * p for m, p in zip(framed, padding, strict=True)):
        raise ValueError(f"padding {padding} leaves nothing of an output of size {tuple(framed)}")
    return tuple(m - 2 * p for m, p in zip(framed, padding, strict=True))


def leftover(size, kernel_size, stride, padding, dilation):
    """The rows and columns at the end of the framed image that no window reaches."""
    stride, padding, dilation = pair(stride), pair(padding), pair(dilation)
    counts = count_windows(size, kernel_size, stride, padding, dilation)
    return tuple(
        n + 2 * p - (m - 1) * s - d * (k - 1) - 1
        for n, p, m, s, d, k in zip(size, padding, counts, stride, dilation, kernel_size, strict=True)
    )


def image_windows(xp, x, kernel_size, stride, padding, dilation):
    """The windows of x (N, C, H, W) framed by zeros: a view (C, kh, kw, H', W', N).

    With the batch innermost, copying columns moves runs of N numbers instead of single ones. A 1×1 kernel copies each
    number once anyway, and one image is stored that way already.
    """
    (ph, pw), stride, dilation = pair(padding), pair(stride), pair(dilation)
    n, c, h, w = x.shape
    count_windows((h, w), kernel_size, stride, (ph, pw), dilation)
    if (ph, pw) == (0, 0) and (n == 1 or tuple(kernel_size) == (1, 1)):
        return windows(xp, x.transpose(1, 2, 3, 0), 1, kernel_size, stride, dilation)
    framed = xp.zeros((c, h + 2 * ph, w + 2 * pw, n), dtype=x.dtype)
    framed[:, ph : ph + h, pw : pw + w] = x.transpose(1, 2, 3, 0)
    return windows(xp, framed, 1, kernel_size, stride, dilation)


def blocks(shape):
    """Slices of the window rows of a view (C, kh, kw, H', W', N) such that the columns of one stay under BLOCK."""
    c, kh, kw, height, width, n = shape
    rows = max(1, BLOCK // max(1, c * kh * kw * width * n))
    return [slice(r, min(r + rows, height)) for r in range(0, height, rows)]
