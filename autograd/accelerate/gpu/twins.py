"""The ops and routines that have kernels, all of them, and the inputs for which the kernels run.

A kernel reads float32 arrays on a GPU. Each class stands in for the op above it: see `autograd.accelerate.twin`.

Tested on the CPU in an emulator of CUDA; not run on a GPU yet.
"""

import math

from autograd import ops
from autograd.accelerate.gpu import (
    activation,
    adam,
    attention,
    bias_activation,
    blas,
    conv,
    copy_arrays,
    im2col,
    launch,
    layer_norm,
    power_iteration,
    random,
    softmax,
    spectral,
)
from autograd.accelerate.twin import GPU
from autograd.arrays import array_module
from autograd.ops import numerics
from autograd.ops.gelu import APPROXIMATIONS
from autograd.ops.normalization import is_layer_norm
from autograd.ops.numerics import REAL
from autograd.ops.windows import Windows, pair


@GPU.of(ops.softmax)
class softmax_kernels:
    def fits(x, *, axis):
        return axis in (-1, x.ndim - 1)

    def forward(xp, x, *, axis=-1):
        return softmax.softmax(xp.ascontiguousarray(x))

    def fused(xp, g, y):
        return softmax.softmax_backward(xp.ascontiguousarray(g), y)


@GPU.of(ops.normalize)
class layer_norm_kernels:
    residuals = ("mean", "rstd")

    fits = is_layer_norm

    def forward(xp, x, weight, bias, *, axes, eps):
        return layer_norm.layer_norm(*map(xp.ascontiguousarray, (x, weight, bias)), eps)

    def fused(xp, g, x, weight, mean, rstd, need):
        g, x, weight = map(xp.ascontiguousarray, (g, x, weight))
        return layer_norm.layer_norm_backward(g, x, weight, mean, rstd, need[1] or need[2])


@GPU.each(ops.spectral_normalize)
class spectral_normalize_kernels:
    def fits(calls):
        if not 0 < len(calls) <= launch.MOST_ARRAYS:
            return False
        for weight, u, v, target in calls:
            number = isinstance(target, int | float)
            arrays = (weight, u, v) if number else (weight, u, v, target)
            if any(a.dtype != "float32" or not a.flags.c_contiguous for a in arrays):
                return False
            if weight.ndim != 2 or (u.size, v.size) != weight.shape or weight.size == 0:
                return False
            if target != 1 if number else target.size != 1:
                return False
        return True

    def forward(xp, calls):
        *inputs, targets = map(list, zip(*calls, strict=True))
        ys, sigmas = spectral.spectral_normalize(*inputs, _pointers(targets))
        return (*ys, sigmas)

    def fused(xp, gs, calls, kept, need):
        *inputs, targets = map(list, zip(*calls, strict=True))
        gs = [xp.ascontiguousarray(g) for g in gs]
        return [(g, None, None, None) for g in spectral.spectral_gradient(gs, *inputs, _pointers(targets), kept)]


def _pointers(targets):
    """A target of 1.0 is a null pointer to the kernels."""
    return [None if isinstance(target, int | float) else target for target in targets]


LARGE = 2**20  # elements of an x whose products take far longer than their launches: then copies would cost more


@GPU.each(ops.linear)
class linear_products:
    """Weights of one shape on the same x, as one batch of products."""

    def fits(calls):
        (x, weight, bias), *others = calls
        if x.ndim < 2 or not 0 < x.size <= LARGE or weight.ndim != 2 or x.shape[-1] != weight.shape[1]:
            return False
        alike = all(a is x and w.shape == weight.shape and (b is None) == (bias is None) for a, w, b in others)
        arrays = [x, *(w for _, w, _ in calls), *(b for *_, b in calls if b is not None)]
        fit = all(b is None or b.shape == weight.shape[:1] for *_, b in calls)
        return bool(others) and alike and fit and all(a.dtype == "float32" for a in arrays)

    def forward(xp, calls):
        x, weight = calls[0][0], _in_a_row(xp, [w for _, w, _ in calls])  # (n, out, in)
        y = numerics.matmul(xp, x.reshape(-1, x.shape[-1]), weight.swapaxes(1, 2))  # (n, rows, out)
        if calls[0][2] is not None:
            y += _in_a_row(xp, [b[None] for *_, b in calls])
        return (*y.reshape(len(calls), *x.shape[:-1], -1), weight)

    def fused(xp, gs, calls, weight, need):
        x, nothing = calls[0][0], [None] * len(calls)
        g = _in_a_row(xp, [g.reshape(-1, g.shape[-1]) for g in gs])  # (n, rows, out)
        of_weights, of_biases = (any(of_call[i] for of_call in need) for i in (1, 2))
        gx, takers = list(nothing), [i for i, of_call in enumerate(need) if of_call[0]]
        if takers:  # the sum goes to the first of them; to some of the calls x may be a constant
            of_calls, (first, *others) = numerics.matmul(xp, g, weight), takers
            of_all = len(takers) == len(calls)
            total = of_calls.sum(axis=0) if of_all else sum((of_calls[i] for i in others), of_calls[first])
            gx[first] = total.reshape(x.shape)
        gw = numerics.matmul(xp, g.swapaxes(1, 2), x.reshape(-1, x.shape[-1])) if of_weights else nothing
        gb = g.sum(axis=1) if of_biases else nothing
        return list(zip(gx, gw, gb, strict=True))


def _in_a_row(xp, arrays):
    """Arrays of one shape as one array with a new first axis: a view where they lie evenly in memory, else a copy."""
    first, bases = arrays[0], [a.base for a in arrays]
    if all(a.flags.c_contiguous for a in arrays) and all(b is not None for b in bases):
        starts = [launch.address(a) for a in arrays]
        step = starts[1] - starts[0]
        even = [starts[0] + i * step for i in range(len(arrays))] == starts and step >= first.nbytes
        if even and len(set(map(launch.address, bases))) == 1:
            strides = (step, *first.strides)
            return xp.lib.stride_tricks.as_strided(first, (len(arrays), *first.shape), strides)
    joined = launch.empty(first, (len(arrays), *first.shape))
    copy_arrays.copy_arrays(list(joined), [xp.ascontiguousarray(a) for a in arrays])
    return joined


@GPU.of(ops.gelu)
class gelu_kernels:
    def fits(x, *, approximate):
        return approximate in APPROXIMATIONS

    def forward(xp, x, *, approximate="none"):
        return bias_activation.bias_gelu(xp.ascontiguousarray(x), None, approximate)

    def fused(xp, g, x, *, approximate):
        return bias_activation.bias_gelu_backward(*map(xp.ascontiguousarray, (g, x)), None, approximate)[0]


@GPU.of(ops.bias_gelu)
class bias_gelu_kernels:
    def fits(x, bias, *, approximate):
        return bias is not None and bias.shape == x.shape[-1:] and approximate in APPROXIMATIONS

    def forward(xp, x, bias, *, approximate="none"):
        return bias_activation.bias_gelu(*map(xp.ascontiguousarray, (x, bias)), approximate)

    def fused(xp, g, x, bias, need, *, approximate):
        arrays = map(xp.ascontiguousarray, (g, x, bias))
        return bias_activation.bias_gelu_backward(*arrays, approximate, need[1])


@GPU.of(ops.softplus)
class softplus_kernels:
    def fits(x):
        return True

    def forward(xp, x):
        return activation.softplus(xp.ascontiguousarray(x))

    def fused(xp, g, x):
        return activation.softplus_backward(*map(xp.ascontiguousarray, (g, x)))


@GPU.of(ops.leaky_relu)
class leaky_relu_kernels:
    def fits(x, *, negative_slope):
        return isinstance(negative_slope, REAL)

    def forward(xp, x, *, negative_slope=0.01):
        return activation.leaky_relu(xp.ascontiguousarray(x), negative_slope)

    def fused(xp, g, x, *, negative_slope):
        return activation.leaky_relu_backward(*map(xp.ascontiguousarray, (g, x)), negative_slope)


@GPU.of(ops.bias_sine)
class bias_sine_kernels:
    def fits(x, bias, *, omega):
        return bias.shape == x.shape[-1:] and isinstance(omega, REAL)

    def forward(xp, x, bias, *, omega=1.0):
        return bias_activation.bias_sine(*map(xp.ascontiguousarray, (x, bias)), omega)

    def fused(xp, g, x, bias, *, omega):
        return bias_activation.bias_sine_backward(*map(xp.ascontiguousarray, (g, x, bias)), omega)


@GPU.of(ops.attention)
class attention_kernels:
    residuals = ("lse",)

    def fits(q, k, v, *, similarity, scale, mask):
        """Dot products or L2, and one head fits into the shared memory of a block."""
        alike = (
            q.ndim == k.ndim == 4 and k.shape == v.shape and (*q.shape[:2], q.shape[3]) == (*k.shape[:2], k.shape[3])
        )
        shared = launch.most_shared(array_module(q))
        plain = mask is None and similarity in ("dot", "l2") and (scale is None or isinstance(scale, REAL))
        return plain and alike and attention.fits(q.shape[2], *k.shape[2:], shared)

    def forward(xp, q, k, v, *, similarity="dot", scale=None, mask=None):
        y, lse = attention.attention(*_tokens_first(xp, q, k, v), similarity, scale)
        return y.swapaxes(1, 2), lse

    def fused(xp, g, q, k, v, lse, *, similarity, scale):
        grads = attention.attention_backward(*_tokens_first(xp, g, q, k, v), lse, similarity, scale)
        return tuple(x.swapaxes(1, 2) for x in grads)


def _tokens_first(xp, *arrays):
    """(B, H, N, d) as (B, N, H, d), as the projections wrote it: then nothing is copied."""
    return [xp.ascontiguousarray(x.swapaxes(1, 2)) for x in arrays]


def _counts(size, kernel_size, stride, padding, dilation):
    """How many windows lie over an image of that size; None where the options are wrong: then the op says how."""
    try:
        return Windows.of(kernel_size, stride, padding, dilation).counts(pair(size))
    except ValueError:
        return None


@GPU.of(ops.conv2d)
class conv2d_kernels:
    def fits(x, weight, bias, *, stride, padding, dilation):
        match = x.ndim == weight.ndim == 4 and x.shape[1] == weight.shape[1]
        fit = match and (bias is None or bias.shape == weight.shape[:1])
        return fit and _counts(x.shape[2:], weight.shape[2:], stride, padding, dilation) is not None

    def forward(xp, x, weight, bias, *, stride=1, padding=0, dilation=1):
        at = Windows.of(weight.shape[2:], stride, padding, dilation)
        return conv.conv2d(xp.ascontiguousarray(x), weight, bias, at)


@GPU.of(ops.conv_transpose2d)
class conv_transpose2d_kernels:
    def fits(x, weight, bias, *, stride, padding, output_padding, dilation):
        match = x.ndim == weight.ndim == 4 and x.shape[1] == weight.shape[0]
        if not match or bias is not None and bias.shape != weight.shape[1:2]:
            return False
        try:
            at = Windows.of(weight.shape[2:], stride, padding, dilation)
            return at.counts(at.transposed_size(x.shape[2:], output_padding)) == x.shape[2:]
        except ValueError:
            return False

    def forward(xp, x, weight, bias, *, stride=1, padding=0, output_padding=0, dilation=1):
        bias = None if bias is None else xp.ascontiguousarray(bias)
        at = Windows.of(weight.shape[2:], stride, padding, dilation)
        return conv.conv_transpose2d(x, weight, bias, at.transposed_size(x.shape[2:], output_padding), at)


@GPU.of(ops.conv2d_weight)
class conv2d_weight_kernels:
    def fits(x, u, *, weight_size, stride, padding, dilation):
        if x.ndim != 4 or x.shape[1] != weight_size[1]:
            return False
        counts = _counts(x.shape[2:], weight_size[2:], stride, padding, dilation)
        return counts is not None and u.shape == (len(x), weight_size[0], *counts)

    def forward(xp, x, u, *, weight_size, stride=1, padding=0, dilation=1):
        at = Windows.of(weight_size[2:], stride, padding, dilation)
        return conv.conv2d_weight(xp.ascontiguousarray(x), u, at)


@GPU.of(ops.unfold)
class unfold_kernels:
    def fits(x, *, kernel_size, dilation, padding, stride):
        return x.ndim == 4 and _counts(x.shape[2:], kernel_size, stride, padding, dilation) is not None

    def forward(xp, x, *, kernel_size, dilation=1, padding=0, stride=1):
        at = Windows.of(kernel_size, stride, padding, dilation)
        return im2col.im2col(xp.ascontiguousarray(x), at).transpose(1, 0, 2)


@GPU.of(ops.fold)
class fold_kernels:
    def fits(x, *, output_size, kernel_size, dilation, padding, stride):
        counts = _counts(output_size, kernel_size, stride, padding, dilation)
        if counts is None or x.ndim != 3:
            return False
        return x.shape[1] % math.prod(pair(kernel_size)) == 0 and x.shape[2] == math.prod(counts)

    def forward(xp, x, *, output_size, kernel_size, dilation=1, padding=0, stride=1):
        at = Windows.of(kernel_size, stride, padding, dilation)
        return im2col.col2im(xp.ascontiguousarray(x), None, pair(output_size), at)


@GPU.routine("autograd.ops.numerics.matmul")
def matmul(xp, a, b, out=None):
    """By our own call of cuBLAS, which a CUDA graph may capture."""
    y = blas.matmul(a, b)
    if out is None:
        return y
    out[...] = y
    return out


@GPU.routine("autograd.ops.numerics.sum_products")
def sum_products(xp, subscripts, a, b):
    """By a product and a sum: CuPy's einsum calls cuBLAS, which may not be captured."""
    letters, output = subscripts.split(",")[0], subscripts.split("->")[1]
    kept = [c for c in letters if c in output]
    sums = (a * b).sum(axis=tuple(i for i, c in enumerate(letters) if c not in output))
    return sums.transpose([kept.index(c) for c in output])


@GPU.routine("autograd.random.random_words")
def random_words(xp, stream, ahead, n):
    return random.integers(stream.memory, ahead, 2**32, (n,)).astype("uint64")


@GPU.routine("autograd.random.random_uniform")
def random_uniform(xp, stream, ahead, low, high, shape, dtype):
    return random.uniform(stream.memory, ahead, low, high, shape) if dtype == "float32" else NotImplemented


@GPU.routine("autograd.random.random_normal")
def random_normal(xp, stream, ahead, shape, dtype):
    return random.normal(stream.memory, ahead, shape) if dtype == "float32" else NotImplemented


@GPU.routine("autograd.random.random_integers")
def random_integers(xp, stream, ahead, high, shape):
    return random.integers(stream.memory, ahead, high, shape)


@GPU.routine("nn.optim.adam_update")
def adam_update(xp, flat, grads, m, v, numbers, betas, eps, max_norm, scales=None):
    if m.dtype != "float32":
        return NotImplemented
    g = xp.empty_like(flat.data)
    copy_arrays.copy_arrays(
        [g[part] for part in flat.parts], [x if x is None else xp.ascontiguousarray(x) for x in grads]
    )
    return adam.adam_step(flat.data, g, m, v, numbers.array, betas, eps, max_norm, scales).reshape(())


@GPU.routine("nn.optim.move_average")
def move_average(xp, average, weights, share):
    if average.data.dtype != "float32":
        return NotImplemented
    adam.move_average(average.data, weights.data, share.array)


@GPU.routine("nn.shampoo.whiten")
def whiten(xp, matrices, grads, beta):
    """Three launches for all matrices of a shape: their gradients side by side, and two batches of products."""
    if any(g is None or g.dtype != "float32" for g in (*grads, matrices.factors)):
        return NotImplemented
    g = xp.empty((len(grads), *grads[0].shape), "float32")
    copy_arrays.copy_arrays(list(g), [xp.ascontiguousarray(x) for x in grads])
    rows = g if matrices.by_columns else g.swapaxes(1, 2)
    blas.accumulate(matrices.factors, rows.swapaxes(1, 2), rows, (1 - beta) / rows.shape[1], beta)
    of_each = (g, matrices.roots) if matrices.by_columns else (matrices.roots, g)
    return list(numerics.matmul(xp, *of_each))


@GPU.routine("nn.spectral.power_iterations")
def power_iterations(xp, layers):
    """One launch for all layers."""
    arrays = [[weight.data, spectral.u.data, spectral.v.data] for weight, spectral in layers]
    if any(a.dtype != "float32" or not a.flags.c_contiguous for of_layer in arrays for a in of_layer):
        return NotImplemented
    return power_iteration.power_iteration(*map(list, zip(*arrays, strict=True)))


@GPU.routine("nn.spectral.limit_weights")
def limit_weights(xp, layers):
    """Two launches for the layers of each bound."""
    arrays = [(w.data.reshape(s.u.size, s.v.size), s.u.data, s.v.data, s.sigma_init.data) for w, s in layers]
    if any(a.dtype != "float32" or not a.flags.c_contiguous for of_layer in arrays for a in of_layer):
        return NotImplemented
    if len(layers) > launch.MOST_ARRAYS or len({s.bound for _, s in layers}) > 1:
        return NotImplemented
    return spectral.spectral_limit(*map(list, zip(*arrays, strict=True)), layers[0][1].bound)
