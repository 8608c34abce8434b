"""The ops and routines that have loops, all of them, and the inputs for which the loops run.

A loop reads float32 arrays. Each class stands in for the op above it: see `autograd.accelerate.twin`.
"""

import math

import numpy as np

from autograd import ops
from autograd.accelerate.cpu import adam, attention, conv, gelu, leaky_relu, philox, pool, rows, spectral
from autograd.accelerate.cpu.layout import batch_first, batch_innermost
from autograd.accelerate.twin import CPU
from autograd.ops.conv import check_channels
from autograd.ops.gelu import APPROXIMATIONS
from autograd.ops.normalization import is_layer_norm
from autograd.ops.numerics import REAL
from autograd.ops.pool import check_pool
from autograd.ops.resample import check_shuffle, check_unshuffle
from autograd.ops.windows import Windows, check_images
from autograd.random import box_muller, random_uniform
from autograd.registry import OPS

contiguous = np.ascontiguousarray
MANY = 8  # images in a batch: with fewer, runs of as many numbers gain nothing


@CPU.of(ops.softmax)
class softmax_loops:
    def fits(x, *, axis):
        return axis in (-1, x.ndim - 1)

    def forward(xp, x, *, axis=-1):
        return rows.softmax(x)

    def fused(xp, g, y):
        return rows.softmax_grad(g, y)


@CPU.of(ops.normalize)
class layer_norm_loops:
    residuals = ("mean", "rstd")
    fits = is_layer_norm

    def forward(xp, x, weight, bias, *, axes, eps):
        return rows.layer_norm(*map(contiguous, (x, weight, bias)), eps)

    def fused(xp, g, x, weight, mean, rstd):
        return rows.layer_norm_grad(*map(contiguous, (g, x, weight)), mean, rstd)


@CPU.of(ops.bias_gelu)
class bias_gelu_loops:
    def fits(x, bias, *, approximate):
        return bias is not None and bias.shape == x.shape[-1:] and approximate in APPROXIMATIONS

    def forward(xp, x, bias, *, approximate="none"):
        return gelu.bias_gelu(contiguous(x), contiguous(bias), approximate)

    def fused(xp, g, x, bias, *, approximate):
        return gelu.bias_gelu_backward(*map(contiguous, (g, x, bias)), approximate)


@CPU.of(ops.gelu)
class gelu_loops:
    def fits(x, *, approximate):
        return approximate in APPROXIMATIONS

    def forward(xp, x, *, approximate="none"):
        return gelu.bias_gelu(contiguous(x), np.zeros(x.shape[-1], np.float32), approximate)

    def fused(xp, g, x, *, approximate):
        return gelu.bias_gelu_backward(contiguous(g), contiguous(x), np.zeros(x.shape[-1], np.float32), approximate)[0]


@CPU.of(ops.leaky_relu)
class leaky_relu_loops:
    def fits(x, *, negative_slope):
        return isinstance(negative_slope, REAL)

    def forward(xp, x, *, negative_slope=0.01):
        return leaky_relu.leaky_relu(x, negative_slope)

    def fused(xp, g, x, *, negative_slope):
        return leaky_relu.leaky_relu_backward(g, x, negative_slope)


@CPU.of(ops.attention)
class attention_loops:
    residuals = ("p",)

    def fits(q, k, v, *, similarity, scale, mask):
        alike = q.ndim == 4 and q.shape[:2] == k.shape[:2] == v.shape[:2] and q.shape[3] == k.shape[3]
        one_number = scale is None or isinstance(scale, REAL)
        return mask is None and similarity in ("dot", "l2") and one_number and alike and k.shape[2] == v.shape[2]

    def forward(xp, q, k, v, *, similarity="dot", scale=None, mask=None):
        return attention.attention(q, k, v, similarity, scale)

    def fused(xp, g, q, k, v, p, *, similarity, scale):
        return attention.attention_backward(g, q, k, v, p, similarity, scale)


@CPU.of(ops.spectral_normalize)
class spectral_normalize_loops:
    residuals = ("sigma",)

    def fits(weight, u, v, target):
        return weight.flags.c_contiguous and target.ndim == 0

    forward = OPS["spectral_normalize"].forward

    def fused(xp, g, weight, u, v, target, sigma):
        return spectral.spectral_gradient(g, weight, u, v, target, sigma), None, None, None


@CPU.of(ops.conv2d)
class conv2d_loops:
    def fits(x, weight, bias, *, stride, padding, dilation):
        return len(x) >= MANY

    def forward(xp, x, weight, bias, *, stride=1, padding=0, dilation=1):
        check_images(x, "the input of conv2d")
        check_channels("conv2d", x.shape[1], weight, 1, bias)
        at = Windows.of(weight.shape[2:], stride, padding, dilation)
        size = at.counts(x.shape[2:])
        return batch_first(conv.conv2d(batch_innermost(x), contiguous(weight), bias, size, at))

    def fused(xp, g, x, weight, need, *, stride, padding, dilation):
        g, weight, size = batch_innermost(g), contiguous(weight), x.shape[2:]
        at = Windows.of(weight.shape[2:], stride, padding, dilation)
        return (
            batch_first(conv.conv_transpose2d(g, weight, None, size, at)) if need[0] else None,
            conv.conv2d_weight(batch_innermost(x), g, weight.shape, at) if need[1] else None,
            g.reshape(len(g), -1).sum(axis=1) if need[2] else None,
        )


@CPU.of(ops.conv_transpose2d)
class conv_transpose2d_loops:
    def fits(x, weight, bias, *, stride, padding, output_padding, dilation):
        return len(x) >= MANY

    def forward(xp, x, weight, bias, *, stride=1, padding=0, output_padding=0, dilation=1):
        check_images(x, "the input of conv_transpose2d")
        check_channels("conv_transpose2d", x.shape[1], weight, 0, bias)
        at = Windows.of(weight.shape[2:], stride, padding, dilation)
        size = at.transposed_size(x.shape[2:], output_padding)
        return batch_first(conv.conv_transpose2d(batch_innermost(x), contiguous(weight), bias, size, at))

    def fused(xp, g, x, weight, need, *, stride, padding, dilation):
        g, weight, size = batch_innermost(g), contiguous(weight), x.shape[2:]
        at = Windows.of(weight.shape[2:], stride, padding, dilation)
        return (
            batch_first(conv.conv2d(g, weight, None, size, at)) if need[0] else None,
            conv.conv2d_weight(g, batch_innermost(x), weight.shape, at) if need[1] else None,
            g.reshape(len(g), -1).sum(axis=1) if need[2] else None,
        )


@CPU.of(ops.conv2d_weight)
class conv2d_weight_loops:
    def fits(x, u, *, weight_size, stride, padding, dilation):
        if len(x) < MANY or x.ndim != 4 or len(weight_size) != 4 or x.shape[1] != weight_size[1]:
            return False
        try:
            counts = Windows.of(weight_size[2:], stride, padding, dilation).counts(x.shape[2:])
        except ValueError:  # the op says what is wrong
            return False
        return u.shape == (x.shape[0], weight_size[0], *counts)

    def forward(xp, x, u, *, weight_size, stride=1, padding=0, dilation=1):
        at = Windows.of(weight_size[2:], stride, padding, dilation)
        return conv.conv2d_weight(batch_innermost(x), batch_innermost(u), weight_size, at)


@CPU.of(ops.pixel_shuffle)
class pixel_shuffle_loops:
    def fits(x, *, upscale_factor):
        return x.ndim == 4 and len(x) >= MANY

    def forward(xp, x, *, upscale_factor):
        r = check_shuffle(x, upscale_factor)
        x = batch_innermost(x)
        c, h, w, n = x.shape
        x = x.reshape(c // r**2, r, r, h, w, n).transpose(0, 3, 1, 4, 2, 5)
        return batch_first(x.reshape(c // r**2, h * r, w * r, n))


@CPU.of(ops.pixel_unshuffle)
class pixel_unshuffle_loops:
    def fits(x, *, downscale_factor):
        return x.ndim == 4 and len(x) >= MANY

    def forward(xp, x, *, downscale_factor):
        r = check_unshuffle(x, downscale_factor)
        x = batch_innermost(x)
        c, h, w, n = x.shape
        x = x.reshape(c, h // r, r, w // r, r, n).transpose(0, 2, 4, 1, 3, 5)
        return batch_first(x.reshape(c * r**2, h // r, w // r, n))


@CPU.of(ops.avg_pool2d)
class avg_pool2d_loops:
    def fits(x, *, kernel_size, stride, padding):
        return len(x) >= MANY

    def forward(xp, x, *, kernel_size, stride=None, padding=0):
        return _pooled(pool.average, x, kernel_size, stride, padding)


@CPU.of(ops.max_pool2d)
class max_pool2d_loops:
    def fits(x, *, kernel_size, stride, padding):
        return len(x) >= MANY

    def forward(xp, x, *, kernel_size, stride=None, padding=0):
        return _pooled(pool.maximum, x, kernel_size, stride, padding)


def _pooled(over, x, kernel_size, stride, padding):
    at = check_pool(x, kernel_size, stride, padding)
    return batch_first(pool.pool2d(over, batch_innermost(x), at.counts(x.shape[2:]), at))


@CPU.routine("nn.optim.adam_update")
def adam_update(xp, flat, grads, m, v, numbers, betas, eps, max_norm, scales=None):
    """Each parameter is updated from its own gradient, so nothing is gathered."""
    if flat.data.dtype != np.float32:
        return NotImplemented
    plain = scales is None
    factors = [1.0 if plain or part.start == part.stop else float(scales[part.start]) for part in flat.parts]
    squares = sum(c * c * np.vdot(g, g) for c, g in zip(factors, grads, strict=True) if g is not None)
    norm = np.sqrt(np.asarray(squares, np.float32))
    clip = 1.0 if max_norm is None else min(max_norm / (float(norm) + 1e-12), 1.0)
    rate, root = numbers
    given = [np.zeros_like(w) if g is None else g for w, g in zip(flat.views, grads, strict=True)]
    each = zip(flat.parts, given, factors, strict=True)
    adam.adam([(flat.data[p], g, m[p], v[p], c) for p, g, c in each], clip, betas, rate, root, eps)
    return norm


@CPU.routine("nn.optim.move_average")
def move_average(xp, average, weights, share):
    (move,) = share
    return adam.average(average.data, weights.data, move) if average.data.dtype == np.float32 else NotImplemented


@CPU.routine("nn.spectral.power_iterations")
def power_iterations(xp, layers):
    spectral.power_iterations(layers)


@CPU.routine("nn.spectral.limit_weights")
def limit_weights(xp, layers):
    spectral.limit_weights(layers)


@CPU.routine("autograd.random.random_words")
def random_words(xp, stream, ahead, n):
    return philox.words(stream.seed, stream.start + ahead, -(-n // 4))[:n]


@CPU.routine("autograd.random.random_normal_part")
def random_normal_part(xp, stream, ahead, shape, dtype, part):
    """Two groups of rows share their pairs of uniforms, so a part of both takes a part of the pairs."""
    half, odd = divmod(math.prod(shape), 2)
    if part.groups != 2 or odd:
        return NotImplemented
    n = half // part.parts

    def uniforms(first):
        skipped = first % 4  # words of the block in which they begin
        u = random_uniform(xp, stream, ahead + first // 4, 0.0, 1.0, (n + skipped,), dtype)
        return u[skipped:]

    first = part.index * n
    pairs = box_muller(xp, uniforms(first), uniforms(half + first))
    return pairs.reshape(-1, *shape[1:])
