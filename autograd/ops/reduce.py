"""Reductions over axes. `axis` is None (all), an int, or a tuple; `keepdims` as in NumPy."""

import math

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from autograd.arrays import array_module
from autograd.operation import op
from autograd.ops.numerics import largest, matmul, sum_products
from autograd.ops.shape import concatenate, getitem, moveaxis, reshape
from autograd.registry import public
from autograd.tensor import Tensor


def over(x, axis):
    """The axis of a reduction of x. Of a number without axes, 0 and −1 name the number itself, as in PyTorch."""
    return () if x.ndim == 0 and axis in (0, -1, (0,), (-1,)) else axis


def spread(g, shape, axis, keepdims):
    """Give a reduced gradient its axes of length 1 back, so that it broadcasts against `shape`."""
    if keepdims or not shape:
        return g
    axes = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    reduced = {a % len(shape) for a in axes}
    return g.reshape(tuple(1 if i in reduced else n for i, n in enumerate(shape)))


def count(shape, axis):
    """How many elements go into each output of a reduction."""
    axes = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return math.prod(shape[a] for a in axes) if shape else 1


def per_degree(a, shape, axis, ddof):
    """a / (n − ddof); ∞ where no degree of freedom is left, as NumPy's variance is."""
    degrees = count(shape, axis) - ddof
    return a / degrees if degrees > 0 else math.inf


def as_rows(a):
    """a (…, D) as a matrix (rows, D), also where it is empty."""
    return a if a.ndim == 2 else a.reshape(-1 if a.size else math.prod(a.shape[:-1]), a.shape[-1])


def column_sums(xp, a, b=None):
    """Σ a, or Σ a b, over all axes but the last. As a product with ones: BLAS is many times faster than sum()."""
    rows = as_rows(a)
    if b is None:
        return matmul(xp, xp.ones(len(rows), rows.dtype), rows)
    return sum_products(xp, "nd,nd->d", rows, b.reshape(rows.shape))


def row_means(xp, a, b=None):
    """The mean of a, or of a b, over the last axis, which stays with length 1. Also as a product with ones."""
    rows, n = as_rows(a), a.shape[-1] or 1
    if b is None:
        means = matmul(xp, rows, xp.full(rows.shape[1], 1 / n, rows.dtype))
    else:
        means = sum_products(xp, "nd,nd->n", rows, b.reshape(rows.shape)) * (1 / n)
    return means.reshape(*a.shape[:-1], 1)


@op
class sum:
    "y = Σ x                    ∂L/∂x = g, spread over the summed axes"

    def forward(xp, x, *, axis=None, keepdims=False):
        return xp.sum(x, axis=over(x, axis), keepdims=keepdims)

    def backward(xp, g, shapes, *, axis, keepdims):
        return xp.broadcast_to(spread(g, shapes[0], axis, keepdims), shapes[0])


@op
class mean:
    "y = Σ x / n                ∂L/∂x = g / n, spread over the averaged axes"

    def forward(xp, x, *, axis=None, keepdims=False):
        return xp.mean(x, axis=over(x, axis), keepdims=keepdims)

    def backward(xp, g, shapes, *, axis, keepdims):
        (shape,) = shapes
        return xp.broadcast_to(spread(g, shape, axis, keepdims) / count(shape, axis), shape)


@op
class max:
    "y = max x                  ∂L/∂x = g [x = y] / (how many reach the maximum)"

    def forward(xp, x, *, axis=None, keepdims=False):
        return xp.max(x, axis=over(x, axis), keepdims=keepdims)

    def backward(xp, g, x, y, *, axis, keepdims):
        return _to_extremes(g, x, y, axis, keepdims)


@op
class min:
    "y = min x                  ∂L/∂x = g [x = y] / (how many reach the minimum)"

    def forward(xp, x, *, axis=None, keepdims=False):
        return xp.min(x, axis=over(x, axis), keepdims=keepdims)

    def backward(xp, g, x, y, *, axis, keepdims):
        return _to_extremes(g, x, y, axis, keepdims)


def _to_extremes(g, x, y, axis, keepdims):
    reached = x == spread(y, x.shape, axis, keepdims)
    return spread(g, x.shape, axis, keepdims) * reached / reached.sum(axis=over(x, axis), keepdims=True).astype(x.dtype)


@op
class var:
    "y = Σ (x − x̄)² / (n − ddof)      ∂L/∂x = g 2 (x − x̄) / (n − ddof)"

    def forward(xp, x, *, axis=None, ddof=0, keepdims=False):
        return xp.var(x, axis=over(x, axis), ddof=ddof, keepdims=keepdims)

    def backward(xp, g, x, *, axis, ddof, keepdims):
        centred = x - x.mean(axis=over(x, axis), keepdims=True)
        return spread(g, x.shape, axis, keepdims) * centred * per_degree(2, x.shape, axis, ddof)


@op
class std:
    "y = √(Σ (x − x̄)² / (n − ddof))     ∂L/∂x = g (x − x̄) / ((n − ddof) y)      (0 where y = 0)"

    def forward(xp, x, *, axis=None, ddof=0, keepdims=False):
        return xp.std(x, axis=over(x, axis), ddof=ddof, keepdims=keepdims)

    def backward(xp, g, x, y, *, axis, ddof, keepdims):
        centred = x - x.mean(axis=over(x, axis), keepdims=True)
        slope = xp.where(y == 0, 0, g) / xp.where(y == 0, 1, y)
        return spread(slope, x.shape, axis, keepdims) * centred * per_degree(1, x.shape, axis, ddof)


@op
class cumsum:
    "yᵢ = x₁ + … + xᵢ            ∂L/∂xᵢ = gᵢ + … + gₙ        along axis"

    def forward(xp, x, *, axis):
        return xp.cumsum(x, axis=axis)

    def backward(xp, g, *, axis):
        return xp.flip(xp.cumsum(xp.flip(g, axis), axis), axis)

    def call(apply, x, axis=None):
        if axis is None or np.ndim(x) == 0:  # as NumPy: of the flattened x
            x, axis = reshape(x, (-1,)), 0
        return apply(x, axis=axis)


@public
def prod(x, axis=None, keepdims=False):
    """y = Π x over axis: halves times halves, again and again. So the gradient, Π of the others, divides by nothing,
    and is right where factors are 0, to any order."""
    x = x if isinstance(x, Tensor) else Tensor(x)
    if x.dtype.kind != "f":
        return Tensor(array_module(x.data).prod(x.data, axis=over(x, axis), keepdims=keepdims))
    axis = over(x, axis)
    reduced = sorted(normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim))
    kept = tuple(n for i, n in enumerate(x.shape) if i not in reduced)
    y = reshape(moveaxis(x, reduced, range(-len(reduced), 0)), (*kept, count(x.shape, tuple(reduced))))
    while (n := y.shape[-1]) > 1:
        half = getitem(y, (..., slice(n // 2))) * getitem(y, (..., slice(n // 2, n - n % 2)))
        y = concatenate([half, getitem(y, (..., slice(n - 1, n)))], axis=-1) if n % 2 else half
    y = reshape(y, kept) if n else sum(y, -1) + 1  # a product of nothing is 1
    return reshape(y, tuple(1 if i in reduced else n for i, n in enumerate(x.shape))) if keepdims else y


@op
class logsumexp:
    "y = ln Σ eˣ                ∂L/∂x = g e^(x − y)"

    def forward(xp, x, *, axis=None, keepdims=False):
        axis = over(x, axis)
        m = largest(x, axis) if x.size else largest(x, axis) - math.inf
        most = float(np.finfo(m.dtype).max)
        finite = xp.minimum(xp.maximum(m, -most), most)  # ∞ − ∞ would be NaN
        y = m + xp.log(xp.maximum(xp.sum(xp.exp(x - finite), axis=axis, keepdims=True), 1))  # at least the term e⁰ = 1
        return y if keepdims else xp.squeeze(y, axis=axis)

    def backward(xp, g, x, y, *, axis, keepdims):
        return spread(g, x.shape, axis, keepdims) * xp.exp(x - spread(y, x.shape, axis, keepdims))
