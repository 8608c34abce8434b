"""Normalisations: softmax and its relatives, layer norm, batch norm."""

import numpy as np

from autograd.arrays import array_module, is_array, with_shape
from autograd.operation import op
from autograd.ops.numerics import REAL, largest, matmul, plus_bias, real
from autograd.ops.reduce import column_sums, count, over, row_means
from autograd.registry import public
from autograd.tensor import Tensor
from autograd.writes import WRITES


@op
class softmax:
    "y = eˣ / Σ eˣ              ∂L/∂x = y (g − Σ g y)"

    def forward(xp, x, *, axis=-1):
        axis = over(x, axis)
        y = xp.asarray(x - largest(x, axis))
        xp.exp(y, out=y)
        y /= y.sum(axis=axis, keepdims=True)
        return y

    def backward(xp, g, y, *, axis):
        return y * (g - (g * y).sum(axis=axis, keepdims=True))


@op
class log_softmax:
    "y = x − ln Σ eˣ            ∂L/∂x = g − e^y Σ g"

    def forward(xp, x, *, axis=-1):
        axis = over(x, axis)
        y = xp.asarray(x - largest(x, axis))
        if y.size:
            y -= xp.log(xp.sum(xp.exp(y), axis=axis, keepdims=True))
        return y

    def backward(xp, g, y, *, axis):
        return g - xp.exp(y) * g.sum(axis=axis, keepdims=True)


@op
class cross_entropy:
    "y = mean over rows of (ln Σ eˣ − x[target])     ∂L/∂x = g (softmax(x) − onehot(target)) / rows"

    def forward(xp, x, target):
        of_target = _of_target(xp, x, target)
        m = largest(x, 1)
        logs = xp.log(xp.sum(xp.exp(x - m), axis=1)) + m[:, 0]
        return xp.mean(logs - of_target)

    def backward(xp, g, x, target):
        e = xp.exp(x - x.max(axis=1, keepdims=True))
        return (g / x.shape[0]) * (e / e.sum(axis=1, keepdims=True) - _one_hot(target, x)), None


def _of_target(xp, x, target):
    """x[target] of each row. The host refuses a number outside the classes; a device would have to wait for that, so
    there its x is NaN."""
    if x.ndim != 2 or getattr(target, "shape", ()) != x.shape[:1]:
        raise ValueError(
            f"cross_entropy takes logits (rows, classes) and a target for each row, (rows,), not {x.shape} and "
            f"{getattr(target, 'shape', ())}: reshape (B, T, V) to (B·T, V), and its targets (B, T) to (B·T,)"
        )
    if target.dtype.kind not in "iu":
        raise TypeError(f"targets are the numbers of the classes, integers, not {target.dtype}")
    rows, classes = x.shape
    if xp is not np:
        known = (target >= 0) & (target < classes)
        return xp.where(known, x[xp.arange(rows), xp.where(known, target, 0)], xp.nan)
    if rows and not 0 <= target.min() <= target.max() < classes:
        wrong = target[(target < 0) | (target >= classes)]
        raise ValueError(f"target {wrong[0]} is none of the {classes} classes, 0 to {classes - 1}")
    return x[xp.arange(rows), target]


def _one_hot(target, x):
    target = target.data if isinstance(target, Tensor) else target
    return (target[:, None] == array_module(target).arange(x.shape[1])).astype(x.dtype)


@op
class normalize:
    """x̂ = (x − μ)/σ,  y = x̂ w + b       ∂L/∂x = (h − mean h − x̂ mean(h x̂))/σ,  h = g w
    ∂L/∂w = g x̂,   ∂L/∂b = g              μ, v = mean and variance over `axes`,  σ = √(v + ε)"""

    residuals = ("normed", "rstd")

    def forward(xp, x, weight, bias, *, axes, eps):
        x = real(x)
        normed = x - _means(xp, x, axes)
        rstd = 1 / xp.sqrt(_means(xp, normed, axes, normed) + eps)
        normed *= rstd
        y = normed if weight is None else normed * weight
        if bias is not None:
            y = y + bias if weight is None else plus_bias(y, bias)
        return y, normed, rstd

    def backward(xp, g, x, weight, need, *, axes, eps):
        centred = x - x.mean(axis=axes, keepdims=True)
        rstd = 1 / xp.sqrt((centred * centred).mean(axis=axes, keepdims=True) + eps)
        normed = centred * rstd
        h = g if weight is None else g * weight
        gx = (h - h.mean(axis=axes, keepdims=True) - normed * (h * normed).mean(axis=axes, keepdims=True)) * rstd
        return gx, g * normed if need[1] else None, g

    def fused(xp, g, x, weight, normed, rstd, need, shapes, *, axes):
        gx = gw = gb = None
        if need[0]:
            h = g if weight is None else g * weight
            gx = normed * -_means(xp, h, axes, normed)
            gx += h
            gx -= _means(xp, h, axes)
            gx *= rstd
        if need[1]:
            gw = column_sums(xp, g, normed) if shapes[1] == g.shape[-1:] and g.shape == x.shape else g * normed
        if need[2]:
            gb = column_sums(xp, g) if shapes[2] == g.shape[-1:] else g
        return gx, gw, gb


def is_layer_norm(x, weight, bias, *, axes, eps):
    """Whether `normalize` is a layer norm over the last axis, with one weight and bias for all rows or each sample."""
    one_each = (x.shape[0], *(1,) * (x.ndim - 2), x.shape[-1])
    pair = weight is not None and bias is not None and weight.shape == bias.shape
    fit = axes in ((-1,), (x.ndim - 1,)) and pair and weight.shape in (x.shape[-1:], one_each)
    return fit and isinstance(eps, REAL)


def _means(xp, a, axes, b=None):
    """The mean of a, or of a b, over `axes`, which stay with length 1."""
    if axes in (-1, (-1,)) and (b is None or a.shape == b.shape):
        return row_means(xp, a, b)
    return (a if b is None else a * b).mean(axis=axes, keepdims=True)


@public
def layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Layer norm (Ba et al., 1607.06450): `normalize` over the last axes, those of `normalized_shape`.

    weight and bias may have any shape that broadcasts against x: with one row per sample, functions of a latent w,
    it is the self-modulated layer norm of ViTGAN. ValueError if x does not end in `normalized_shape`.
    """
    x = with_shape(x)
    shape = tuple(normalized_shape) if np.iterable(normalized_shape) else (normalized_shape,)
    if tuple(x.shape[len(x.shape) - len(shape) :]) != shape:
        raise ValueError(f"layer_norm over {shape} does not fit x of shape {tuple(x.shape)}")
    return normalize(x, weight, bias, axes=tuple(range(-len(shape), 0)), eps=eps)


@public
def batch_norm(x, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    """Batch norm (Ioffe & Szegedy, 1502.03167) of x (N, C, …): `normalize` over all axes but the channels.

    In training the batch's mean and variance are used, and the running arrays (C,) move towards them in place by
    `momentum` (the variance with n − 1, as in PyTorch); otherwise the running arrays are used. ValueError if they are
    missing outside training, if only one of the two is given, if an array does not have the C channels of x, or if a
    channel has a single value in training. TypeError for running values that are no arrays.
    """
    if not training and (running_mean is None or running_var is None):
        raise ValueError("batch_norm outside training needs running_mean and running_var")
    if (running_mean is None) != (running_var is None):
        raise ValueError("batch_norm takes running_mean and running_var together, or None for both")
    x = x if isinstance(x, Tensor) else Tensor(x)
    running_mean, running_var = (a.data if isinstance(a, Tensor) else a for a in (running_mean, running_var))
    if running_mean is not None and not (is_array(running_mean) and is_array(running_var)):
        raise TypeError("batch_norm takes running_mean and running_var as arrays, which training changes in place")
    weight, bias = (None if p is None else with_shape(p) for p in (weight, bias))
    for a in (running_mean, running_var, weight, bias):
        if a is not None and a.shape != x.shape[1:2]:
            raise ValueError(f"batch_norm of {a.size} channels does not fit x of shape {tuple(x.shape)}")
    channels = (1, -1) + (1,) * (len(x.shape) - 2)
    axes = (0, *range(2, len(x.shape)))
    w, b = (None if p is None else p.reshape(channels) for p in (weight, bias))
    if training:
        data = x.data
        n = count(data.shape, axes)
        if n == 1:
            raise ValueError(f"batch_norm in training needs more than one value for each channel, x is {x.shape}")
        if running_mean is not None:
            running_mean += momentum * (data.mean(axis=axes) - running_mean)
            running_var += momentum * (data.var(axis=axes) * (n / max(n - 1, 1)) - running_var)
            WRITES.note(running_mean, running_var)
        return normalize(x, w, b, axes=axes, eps=eps)
    xp = array_module(running_mean)
    y = (x - running_mean.reshape(channels)) * (1 / xp.sqrt(running_var + eps)).reshape(channels)
    y = y if w is None else y * w
    return y if b is None else y + b


@op
class spectral_normalize:
    "Y = c W,  c = σ₀/σ,  σ = uᵀ W v         ∂L/∂W = c (G − ⟨G, W⟩/σ · u vᵀ)       no gradient through u, v, σ₀"

    residuals = ("sigma",)

    def forward(xp, weight, u, v, target):
        sigma = matmul(xp, matmul(xp, u, weight), v)
        return weight * (target / sigma), sigma

    def backward(xp, g, weight, u, v, target):
        sigma = ((u.reshape(-1, 1) * weight).sum(axis=0) * v).sum()
        inner = (g * weight).sum()
        return (target / sigma) * (g - inner / sigma * (u.reshape(-1, 1) * v)), None, None, None

    def fused(xp, g, weight, u, v, target, sigma):
        c = target / sigma
        gw = u.reshape(-1, 1) * (v * (-c * matmul(xp, g.reshape(-1), weight.reshape(-1)) / sigma))
        gw += g * c
        return gw, None, None, None
