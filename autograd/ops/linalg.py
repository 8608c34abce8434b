"""Matrix products. Leading axes are batches, as in NumPy."""

import math
import string

import numpy as np

from autograd.arrays import with_shape
from autograd.operation import op
from autograd.ops import numerics
from autograd.ops.elementwise import mul
from autograd.ops.reduce import as_rows, column_sums, over, spread
from autograd.ops.selection import diagonal
from autograd.ops.shape import expand_dims, reshape, squeeze
from autograd.registry import Namespace, ops, public


@op
class matmul:
    "Y = A B                    ∂L/∂A = G Bᵀ,   ∂L/∂B = Aᵀ G"

    def forward(xp, a, b):
        if a.ndim < 2 or b.ndim < 2:
            raise ValueError("matmul takes matrices and vectors; a number times an array is a * b")
        if a.shape[-1] != b.shape[-2]:
            raise ValueError(f"{a.shape[-1]} columns meet {b.shape[-2]} rows{_hint(a, b)}")
        return numerics.matmul(xp, a, b)

    def backward(xp, g, a, b, need):
        return (
            numerics.matmul(xp, g, xp.swapaxes(b, -1, -2)) if need[0] else None,
            numerics.matmul(xp, xp.swapaxes(a, -1, -2), g) if need[1] else None,
        )

    def call(apply, a, b):
        a, b = with_shape(a), with_shape(b)
        if (row := a.ndim == 1) | (column := b.ndim == 1):  # as NumPy: the axis of length 1 goes away again
            y = apply(expand_dims(a, 0) if row else a, expand_dims(b, 1) if column else b)
            return squeeze(y, (-2,) * row + (-1,) * column)
        return apply(a, b)


def _hint(a, b):
    """What to try where a @ b does not fit."""
    return "; is one of them transposed?" if {*a.shape[-2:]} & {*b.shape[-2:]} else ""


@op
class linear:
    "Y = X Wᵀ + b               ∂L/∂X = G W,   ∂L/∂W = Gᵀ X,   ∂L/∂b = Σ G       X (…, in), W (out, in), b (out)"

    def forward(xp, x, weight, bias):
        if weight.ndim != 2 or x.ndim == 0 or x.shape[-1] != weight.shape[1]:
            wanted = f"(out, {x.shape[-1]})" if x.ndim else "(out, in) and an x (…, in)"
            raise ValueError(f"linear of x {x.shape} needs a weight {wanted}, not {weight.shape}{_hint(x, weight.T)}")
        if bias is not None and bias.shape != weight.shape[:1]:
            raise ValueError(f"linear with a weight {weight.shape} takes a bias {weight.shape[:1]}, not {bias.shape}")
        y = numerics.matmul(xp, as_rows(x), weight.T)
        if bias is not None:
            y = numerics.plus_bias(y, bias)
        return y.reshape(x.shape[:-1] + weight.shape[:1])

    def backward(xp, g, x, weight, need):
        g = as_rows(g)
        return (
            numerics.matmul(xp, g, weight).reshape(x.shape) if need[0] else None,
            numerics.matmul(xp, g.T, as_rows(x)) if need[1] else None,
            g.sum(axis=0) if need[2] else None,
        )

    def fused(xp, g, x, weight, need):
        g = as_rows(g)
        return (
            numerics.matmul(xp, g, weight).reshape(x.shape) if need[0] else None,
            numerics.matmul(xp, g.T, as_rows(x)) if need[1] else None,
            column_sums(xp, g) if need[2] else None,
        )

    def call(apply, x, weight, bias=None):
        return apply(x, weight, bias)


@public
def dot(a, b):
    """NumPy's dot: a · b of vectors, a @ b of matrices; the last axis of a meets the last but one of b, or its only."""
    a, b = with_shape(a), with_shape(b)
    if not a.ndim or not b.ndim:
        return mul(a, b)
    if b.ndim <= 2:
        return matmul(a, b)
    of_a, of_b = string.ascii_lowercase[: a.ndim - 1], string.ascii_uppercase[: b.ndim - 2]
    return einsum(f"{of_a}y,{of_b}yz->{of_a}{of_b}z", a, b)


@public
def outer(a, b):
    """a bᵀ of vectors, (len a, len b); arrays of other shapes are flattened."""
    return mul(reshape(a, (-1, 1)), reshape(b, (1, -1)))


@op
class norm:
    "y = √Σ x²                  ∂L/∂x = g x / y         (0 where y = 0)"

    def forward(xp, x, *, axis=None, keepdims=False):
        return xp.sqrt(xp.sum(numerics.real(x) ** 2, axis=over(x, axis), keepdims=keepdims))

    def backward(xp, g, x, y, *, axis, keepdims):
        slope = xp.where(y == 0, 0, g) / xp.where(y == 0, 1, y)
        return spread(slope, x.shape, axis, keepdims) * x

    def call(apply, x, ord=None, axis=None, keepdims=False):
        x = with_shape(x)
        vectors = x.ndim <= 1 if axis is None else np.size(axis) == 1
        if ord is None or ord == "fro" or ord == 2 and vectors:
            return apply(x, axis=axis, keepdims=keepdims)
        if not vectors or ord not in (1, math.inf):
            raise ValueError(f"norm of order {ord!r}: of vectors there is 1, 2 and inf, of matrices None")
        return (ops.sum if ord == 1 else ops.max)(ops.abs(x), axis=axis, keepdims=keepdims)


ops.linalg = Namespace()  # a rule writes xp.linalg.norm
ops.linalg.norm = norm


@op
class einsum:
    """Y = Σ A B … by subscripts  ∂L/∂A = the same product with g in the place of A
    subscripts: NumPy's, also with "..." and without the output; a letter twice in one operand is its diagonal"""

    def forward(xp, *operands, subscripts):
        return xp.einsum(subscripts, *operands, optimize=len(operands) > 2)

    def backward(xp, g, operands, shapes, need, *, subscripts):
        inputs, output = subscripts.split("->")
        terms = inputs.split(",")
        grads = []
        for i, wanted in enumerate(need):
            if not wanted:
                grads.append(None)
                continue
            others = [t for j, t in enumerate(terms) if j != i]
            rest = [x for j, x in enumerate(operands) if j != i]
            long = [c for c, n in zip(terms[i], shapes[i], strict=True) if n != 1]  # an axis of length 1 was stretched
            reachable = "".join(c for c in long if c in output or any(c in t for t in others))
            gi = xp.einsum(",".join([output, *others]) + "->" + reachable, g, *rest)
            sizes = dict(zip(reachable, gi.shape, strict=True))
            keep = tuple(sizes.get(c, 1) for c in terms[i])
            grads.append(xp.broadcast_to(gi.reshape(keep), shapes[i]))  # letters summed away alone: spread g
        return tuple(grads)

    def call(apply, subscripts, *operands):
        operands = list(map(with_shape, operands))
        terms, output = _spelled_out(subscripts.replace(" ", ""), [x.ndim for x in operands])
        for n, term in enumerate(terms):
            for c in sorted({*term}):
                while terms[n].count(c) > 1:
                    first = terms[n].index(c)
                    second = terms[n].index(c, first + 1)
                    if operands[n].shape[first] != operands[n].shape[second]:
                        raise ValueError(f"einsum {subscripts!r}: {c} has two lengths in {operands[n].shape}")
                    operands[n] = diagonal(operands[n], 0, first, second)  # its last axis
                    terms[n] = terms[n].replace(c, "", 2) + c
        return apply(*operands, subscripts=",".join(terms) + "->" + output)


def _spelled_out(subscripts, ndims):
    """The letters of each operand and of the output: "..." as letters of its own, the output as NumPy implies it."""
    inputs, arrow, output = subscripts.partition("->")
    terms = inputs.split(",")
    if len(terms) != len(ndims):
        raise ValueError(f"einsum {subscripts!r} is of {len(terms)} operands, and there are {len(ndims)}")
    if not arrow:
        once = [c for c in sorted({*inputs} - {*".,"}) if inputs.count(c) == 1]
        output = "..." * ("..." in inputs) + "".join(once)
    widths = [ndim - len(t.replace("...", "")) for t, ndim in zip(terms, ndims, strict=True)]
    if any(width < 0 or width and "..." not in t for t, width in zip(terms, widths, strict=True)):
        raise ValueError(f"einsum {subscripts!r} does not fit operands with {', '.join(map(str, ndims))} axes")
    dots = "".join([c for c in string.ascii_letters if c not in subscripts][: max(widths)])
    if dots and "..." not in output:
        raise ValueError(f"einsum {subscripts!r}: the axes of ... belong to the output too")
    terms = [t.replace("...", dots[len(dots) - width :]) for t, width in zip(terms, widths, strict=True)]
    output = output.replace("...", dots)
    if len({*output}) < len(output) or not {*output} <= {*"".join(terms)}:
        raise ValueError(f"einsum {subscripts!r}: the output names letters of the operands, each once")
    return terms, output
