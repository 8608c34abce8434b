"""The ops that have kernels, all of them, and the inputs for which they run: float32 on a GPU, and what `fits` says.

Each class stands in for the op above it: its `forward` and `fused` are launches. Formula and rule stay the op's own, so
second derivatives, other inputs, float64 and the CPU go the readable way. `use_fused(False)` leaves only that.

Tested on the CPU in an emulator of CUDA; not run on a GPU yet.
"""

import math
from collections.abc import Callable

from autograd import ops
from autograd.kernels import attention, bias_activation, conv, im2col, launch, layer_norm, softmax
from autograd.kernels.im2col import Windows
from autograd.operation import Op, stand_in
from autograd.ops.norm import is_layer_norm
from autograd.ops.windows import count_windows, pair


def kernels_of(op: Op) -> Callable[[type], Op]:
    """Class decorator: `fits(inputs, *, options)`, `forward` and `fused` of an op by kernels, where there is a GPU."""

    def attach(cls: type) -> Op:
        kernels = op.kernels = stand_in(op, cls)
        fits = kernels.fits
        kernels.fits = lambda xp, arrays, options: launch.runs_on(xp) and fits(xp, arrays, options)
        return kernels

    return attach


@kernels_of(ops.softmax)
class softmax_kernels:
    def fits(x, *, axis):
        return axis in (-1, x.ndim - 1)

    def forward(xp, x, *, axis=-1):
        return softmax.softmax(xp.ascontiguousarray(x))

    def fused(xp, g, y):
        return softmax.softmax_backward(xp.ascontiguousarray(g), y)


@kernels_of(ops.normalize)
class layer_norm_kernels:
    residuals = ("mean", "rstd")

    fits = is_layer_norm

    def forward(xp, x, weight, bias, *, axes, eps):
        return layer_norm.layer_norm(*map(xp.ascontiguousarray, (x, weight, bias)), eps)

    def fused(xp, g, x, weight, mean, rstd):
        g, x, weight = map(xp.ascontiguousarray, (g, x, weight))
        return layer_norm.layer_norm_backward(g, x, weight, mean, rstd)


@kernels_of(ops.gelu)
class gelu_kernels:
    def fits(x, *, approximate):
        return True

    def forward(xp, x, *, approximate="none"):
        return bias_activation.bias_gelu(xp.ascontiguousarray(x), None, approximate)

    def fused(xp, g, x, *, approximate):
        return bias_activation.bias_gelu_backward(*map(xp.ascontiguousarray, (g, x)), None, approximate)[0]


@kernels_of(ops.bias_gelu)
class bias_gelu_kernels:
    def fits(x, bias, *, approximate):
        return bias is not None and bias.shape == x.shape[-1:]

    def forward(xp, x, bias, *, approximate="none"):
        return bias_activation.bias_gelu(*map(xp.ascontiguousarray, (x, bias)), approximate)

    def fused(xp, g, x, bias, *, approximate):
        return bias_activation.bias_gelu_backward(*map(xp.ascontiguousarray, (g, x, bias)), approximate)


@kernels_of(ops.bias_sine)
class bias_sine_kernels:
    def fits(x, bias, *, omega):
        return bias.shape == x.shape[-1:]

    def forward(xp, x, bias, *, omega=1.0):
        return bias_activation.bias_sine(*map(xp.ascontiguousarray, (x, bias)), omega)

    def fused(xp, g, x, bias, *, omega):
        return bias_activation.bias_sine_backward(*map(xp.ascontiguousarray, (g, x, bias)), omega)


@kernels_of(ops.attention)
class attention_kernels:
    residuals = ("lse",)

    def fits(q, k, v, *, similarity, scale):
        """Dot products or L2, every token asks every token, and one head fits into the shared memory of a block."""
        return similarity in ("dot", "l2") and q.shape == k.shape == v.shape and attention.fits(*q.shape[2:])

    def forward(xp, q, k, v, *, similarity="dot", scale=None):
        y, lse = attention.attention(*_tokens_first(xp, q, k, v), similarity, scale)
        return y.swapaxes(1, 2), lse

    def fused(xp, g, q, k, v, lse, *, similarity, scale):
        grads = attention.attention_backward(*_tokens_first(xp, g, q, k, v), lse, similarity, scale)
        return tuple(x.swapaxes(1, 2) for x in grads)


def _tokens_first(xp, *arrays):
    """(B, H, N, d) as (B, N, H, d), as the projections wrote it: then nothing is copied."""
    return [xp.ascontiguousarray(x.swapaxes(1, 2)) for x in arrays]


def _windows(size, *options):
    """The windows over an image of that size, by kernel_size, stride, padding and dilation; None where there are none:
    then the op says what is wrong."""
    try:
        size, kernel, stride, padding, dilation = map(pair, (size, *options))
        return Windows(size, kernel, count_windows(size, kernel, stride, padding, dilation), stride, padding, dilation)
    except ValueError:
        return None


def _transposed(x, weight, stride, padding, output_padding, dilation):
    """The windows over the output of conv_transpose2d."""
    each = zip(x.shape[2:], weight.shape[2:], *map(pair, (stride, padding, output_padding, dilation)), strict=True)
    size = tuple((n - 1) * s + d * (k - 1) + 1 + b - 2 * p for n, k, s, p, b, d in each)
    return _windows(size, weight.shape[2:], stride, padding, dilation) if min(size) > 0 else None


@kernels_of(ops.conv2d)
class conv2d_kernels:
    def fits(x, weight, bias, *, stride, padding, dilation):
        match = x.ndim == weight.ndim == 4 and x.shape[1] == weight.shape[1] and x.size and weight.size
        fit = match and (bias is None or bias.shape == weight.shape[:1])
        return fit and _windows(x.shape[2:], weight.shape[2:], stride, padding, dilation) is not None

    def forward(xp, x, weight, bias, *, stride=1, padding=0, dilation=1):
        at = _windows(x.shape[2:], weight.shape[2:], stride, padding, dilation)
        return conv.conv2d(xp.ascontiguousarray(x), weight, bias, at)


@kernels_of(ops.conv_transpose2d)
class conv_transpose2d_kernels:
    def fits(x, weight, bias, *, stride, padding, output_padding, dilation):
        match = x.ndim == weight.ndim == 4 and x.shape[1] == weight.shape[0] and x.size and weight.size
        fit = match and (bias is None or bias.shape == weight.shape[1:2])
        at = _transposed(x, weight, stride, padding, output_padding, dilation) if fit else None
        return at is not None and at.counts == x.shape[2:]

    def forward(xp, x, weight, bias, *, stride=1, padding=0, output_padding=0, dilation=1):
        bias = None if bias is None else xp.ascontiguousarray(bias)
        return conv.conv_transpose2d(x, weight, bias, _transposed(x, weight, stride, padding, output_padding, dilation))


@kernels_of(ops.conv2d_weight)
class conv2d_weight_kernels:
    def fits(x, u, *, weight_size, stride, padding, dilation):
        at = _windows(x.shape[2:], weight_size[2:], stride, padding, dilation) if x.ndim == 4 and x.size else None
        fit = at is not None and x.shape[1] == weight_size[1] and u.size
        return fit and u.shape == (len(x), weight_size[0], *at.counts)

    def forward(xp, x, u, *, weight_size, stride=1, padding=0, dilation=1):
        at = _windows(x.shape[2:], weight_size[2:], stride, padding, dilation)
        return conv.conv2d_weight(xp.ascontiguousarray(x), u, at)


@kernels_of(ops.unfold)
class unfold_kernels:
    def fits(x, *, kernel_size, dilation, padding, stride):
        return x.ndim == 4 and x.size and _windows(x.shape[2:], kernel_size, stride, padding, dilation) is not None

    def forward(xp, x, *, kernel_size, dilation=1, padding=0, stride=1):
        at = _windows(x.shape[2:], kernel_size, stride, padding, dilation)
        return im2col.im2col(xp.ascontiguousarray(x), at).transpose(1, 0, 2)


@kernels_of(ops.fold)
class fold_kernels:
    def fits(x, *, output_size, kernel_size, dilation, padding, stride):
        at = _windows(output_size, kernel_size, stride, padding, dilation)
        fit = at is not None and x.ndim == 3 and x.size
        return fit and x.shape[1] % math.prod(at.kernel) == 0 and x.shape[2] == math.prod(at.counts)

    def forward(xp, x, *, output_size, kernel_size, dilation=1, padding=0, stride=1):
        at = _windows(output_size, kernel_size, stride, padding, dilation)
        return im2col.col2im(xp.ascontiguousarray(x), None, at)
