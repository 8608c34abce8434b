"""The ops that have loops, all of them, and the inputs for which they run: float32 arrays of NumPy that `fits` names.

Each class stands in for the op above it, as in `autograd.kernels.ops`: formula and rule stay the op's own, so second
derivatives, other inputs and float64 go the readable way. `use_fused(False)` leaves only that (Adam, its average and
Philox keep their loops).
"""

from collections.abc import Callable

import numpy as np

from autograd import ops
from autograd.loops import attention, conv, gelu, jit, leaky_relu, pool, rows, spectral
from autograd.loops.layout import batch_first, batch_innermost
from autograd.operation import Op, stand_in
from autograd.ops.conv import check_channels, transposed_size
from autograd.ops.norm import is_layer_norm
from autograd.ops.pool import check_pool
from autograd.ops.resample import check_shuffle, check_unshuffle
from autograd.ops.windows import check_images, count_windows, pair

jit.forget_stale()
contiguous = np.ascontiguousarray
MANY = 8  # images in a batch from which on runs of as many numbers are worth while
STAND_INS: dict[Op, Op] = {}


def switch(on: bool) -> None:
    """Let the ops run as loops, or as they stand."""
    for op, loops in STAND_INS.items():
        op.loops = loops if on else None


def loops_of(op: Op) -> Callable[[type], Op]:
    """Class decorator: `fits(inputs, *, options)`, `forward` and `fused` of an op by loops."""

    def attach(cls: type) -> Op:
        STAND_INS[op] = stand_in(op, cls)
        return STAND_INS[op]

    return attach


@loops_of(ops.softmax)
class softmax_loops:
    def fits(x, *, axis):
        return axis in (-1, x.ndim - 1)

    def forward(xp, x, *, axis=-1):
        return rows.softmax(x)

    def fused(xp, g, y):
        return rows.softmax_grad(g, y)


@loops_of(ops.normalize)
class layer_norm_loops:
    residuals = ("mean", "rstd")
    fits = is_layer_norm

    def forward(xp, x, weight, bias, *, axes, eps):
        return rows.layer_norm(*map(contiguous, (x, weight, bias)), eps)

    def fused(xp, g, x, weight, mean, rstd):
        return rows.layer_norm_grad(*map(contiguous, (g, x, weight)), mean, rstd)


@loops_of(ops.bias_gelu)
class bias_gelu_loops:
    def fits(x, bias, *, approximate):
        return bias is not None and bias.shape == x.shape[-1:]

    def forward(xp, x, bias, *, approximate="none"):
        return gelu.bias_gelu(contiguous(x), contiguous(bias), approximate)

    def fused(xp, g, x, bias, *, approximate):
        return gelu.bias_gelu_backward(*map(contiguous, (g, x, bias)), approximate)


@loops_of(ops.gelu)
class gelu_loops:
    def fits(x, *, approximate):
        return True

    def forward(xp, x, *, approximate="none"):
        return gelu.bias_gelu(contiguous(x), np.zeros(x.shape[-1], np.float32), approximate)

    def fused(xp, g, x, *, approximate):
        return gelu.bias_gelu_backward(contiguous(g), contiguous(x), np.zeros(x.shape[-1], np.float32), approximate)[0]


@loops_of(ops.leaky_relu)
class leaky_relu_loops:
    def fits(x, *, negative_slope):
        return True

    def forward(xp, x, *, negative_slope=0.01):
        return leaky_relu.leaky_relu(x, negative_slope)

    def fused(xp, g, x, *, negative_slope):
        return leaky_relu.leaky_relu_backward(g, x, negative_slope)


@loops_of(ops.attention)
class attention_loops:
    residuals = ("p",)

    def fits(q, k, v, *, similarity, scale):
        alike = q.ndim == 4 and q.shape[:2] == k.shape[:2] == v.shape[:2] and q.shape[3] == k.shape[3]
        return similarity in ("dot", "l2") and alike and k.shape[2] == v.shape[2]

    def forward(xp, q, k, v, *, similarity="dot", scale=None):
        return attention.attention(q, k, v, similarity, scale)

    def fused(xp, g, q, k, v, p, *, similarity, scale):
        return attention.attention_backward(g, q, k, v, p, similarity, scale)


@loops_of(ops.spectral_normalize)
class spectral_normalize_loops:
    residuals = ("sigma",)

    def fits(weight, u, v, target):
        return weight.flags.c_contiguous

    forward = ops.spectral_normalize.forward

    def fused(xp, g, weight, u, v, target, sigma):
        return spectral.spectral_gradient(g, weight, u, v, target, sigma), None, None, None


@loops_of(ops.conv2d)
class conv2d_loops:
    def fits(x, weight, bias, *, stride, padding, dilation):
        return len(x) >= MANY

    def forward(xp, x, weight, bias, *, stride=1, padding=0, dilation=1):
        check_images(x, "the input of conv2d")
        check_channels("conv2d", x.shape[1], weight, 1, bias)
        where = _where(weight.shape, stride, padding, dilation)
        size = count_windows(x.shape[2:], *where)
        return batch_first(conv.conv2d(batch_innermost(x), contiguous(weight), bias, size, where))

    def fused(xp, g, x, weight, need, *, stride, padding, dilation):
        g, weight, size = batch_innermost(g), contiguous(weight), x.shape[2:]
        where = _where(weight.shape, stride, padding, dilation)
        return (
            batch_first(conv.conv_transpose2d(g, weight, None, size, where)) if need[0] else None,
            conv.conv2d_weight(batch_innermost(x), g, weight.shape, where) if need[1] else None,
            g.reshape(len(g), -1).sum(axis=1) if need[2] else None,
        )


@loops_of(ops.conv_transpose2d)
class conv_transpose2d_loops:
    def fits(x, weight, bias, *, stride, padding, output_padding, dilation):
        return len(x) >= MANY

    def forward(xp, x, weight, bias, *, stride=1, padding=0, output_padding=0, dilation=1):
        check_images(x, "the input of conv_transpose2d")
        check_channels("conv_transpose2d", x.shape[1], weight, 0, bias)
        size = transposed_size(x.shape[2:], weight.shape[2:], stride, padding, output_padding, dilation)
        where = _where(weight.shape, stride, padding, dilation)
        return batch_first(conv.conv_transpose2d(batch_innermost(x), contiguous(weight), bias, size, where))

    def fused(xp, g, x, weight, need, *, stride, padding, dilation):
        g, weight, size = batch_innermost(g), contiguous(weight), x.shape[2:]
        where = _where(weight.shape, stride, padding, dilation)
        return (
            batch_first(conv.conv2d(g, weight, None, size, where)) if need[0] else None,
            conv.conv2d_weight(g, batch_innermost(x), weight.shape, where) if need[1] else None,
            g.reshape(len(g), -1).sum(axis=1) if need[2] else None,
        )


@loops_of(ops.conv2d_weight)
class conv2d_weight_loops:
    def fits(x, u, *, weight_size, stride, padding, dilation):
        if len(x) < MANY or x.ndim != 4 or len(weight_size) != 4 or x.shape[1] != weight_size[1]:
            return False
        try:
            windows = count_windows(x.shape[2:], *_where(weight_size, stride, padding, dilation))
        except ValueError:  # the op says what is wrong
            return False
        return u.shape == (x.shape[0], weight_size[0], *windows)

    def forward(xp, x, u, *, weight_size, stride=1, padding=0, dilation=1):
        where = _where(weight_size, stride, padding, dilation)
        return conv.conv2d_weight(batch_innermost(x), batch_innermost(u), weight_size, where)


@loops_of(ops.pixel_shuffle)
class pixel_shuffle_loops:
    def fits(x, *, upscale_factor):
        return x.ndim == 4 and len(x) >= MANY

    def forward(xp, x, *, upscale_factor):
        r = check_shuffle(x, upscale_factor)
        x = batch_innermost(x)
        c, h, w, n = x.shape
        x = x.reshape(c // r**2, r, r, h, w, n).transpose(0, 3, 1, 4, 2, 5)
        return batch_first(x.reshape(c // r**2, h * r, w * r, n))


@loops_of(ops.pixel_unshuffle)
class pixel_unshuffle_loops:
    def fits(x, *, downscale_factor):
        return x.ndim == 4 and len(x) >= MANY

    def forward(xp, x, *, downscale_factor):
        r = check_unshuffle(x, downscale_factor)
        x = batch_innermost(x)
        c, h, w, n = x.shape
        x = x.reshape(c, h // r, r, w // r, r, n).transpose(0, 2, 4, 1, 3, 5)
        return batch_first(x.reshape(c * r**2, h // r, w // r, n))


@loops_of(ops.avg_pool2d)
class avg_pool2d_loops:
    def fits(x, *, kernel_size, stride, padding):
        return len(x) >= MANY

    def forward(xp, x, *, kernel_size, stride=None, padding=0):
        return _pooled(pool.average, x, kernel_size, stride, padding)


@loops_of(ops.max_pool2d)
class max_pool2d_loops:
    def fits(x, *, kernel_size, stride, padding):
        return len(x) >= MANY

    def forward(xp, x, *, kernel_size, stride=None, padding=0):
        return _pooled(pool.maximum, x, kernel_size, stride, padding)


def _pooled(over, x, kernel_size, stride, padding):
    where = *check_pool(x, kernel_size, stride, padding), (1, 1)
    return batch_first(pool.pool2d(over, batch_innermost(x), count_windows(x.shape[2:], *where), where))


def _where(weight_size, stride, padding, dilation):
    return tuple(weight_size[2:]), pair(stride), pair(padding), pair(dilation)
