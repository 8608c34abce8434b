"""Moving elements without changing them: each gradient moves them back."""

import numpy as np

from autograd.operation import op
from autograd.ops import numerics
from autograd.registry import public
from autograd.tensor import Tensor


@op
class reshape:
    "y = x, same elements in another shape      ∂L/∂x = g, in the shape of x"

    def forward(xp, x, *, shape):
        return x.reshape(shape)

    def backward(xp, g, shapes):
        return g.reshape(shapes[0])


@op
class transpose:
    "y = x with its axes permuted               ∂L/∂x = g with the inverse permutation"

    def forward(xp, x, *, axes=None):
        return xp.transpose(x, axes)

    def backward(xp, g, *, axes):
        if axes is None:
            return xp.transpose(g)
        n = len(axes)
        return xp.transpose(g, sorted(range(n), key=lambda i: axes[i] % n))


@op
class swapaxes:
    "y = x with two axes exchanged              ∂L/∂x = g with the same two exchanged"

    def forward(xp, x, *, axis1, axis2):
        return xp.swapaxes(x, axis1, axis2)

    def backward(xp, g, *, axis1, axis2):
        return xp.swapaxes(g, axis1, axis2)


@op
class broadcast_to:
    "y = x stretched to a shape                 ∂L/∂x = g summed over the stretched axes, by the engine"

    def forward(xp, x, *, shape):
        return xp.broadcast_to(x, shape)

    def backward(xp, g):
        return g


@op
class concatenate:
    "y = [x₁, x₂, …] along axis                 ∂L/∂xᵢ = the i-th stretch of g"

    def forward(xp, *xs, axis=0):
        return xp.concatenate(xs, axis=axis)

    def backward(xp, g, shapes, need, *, axis):
        out, start = [], 0
        for shape, wanted in zip(shapes, need, strict=True):
            stop = start + shape[axis]
            out.append(g[_along(len(shape), axis, slice(start, stop))] if wanted else None)
            start = stop
        return tuple(out)

    def call(apply, arrays, axis=0):
        if axis is None:  # as NumPy: of the flattened arrays
            arrays, axis = [reshape(a, (-1,)) for a in arrays], 0
        return apply(*arrays, axis=axis)


@op
class stack:
    "y = [x₁, x₂, …] along a new axis           ∂L/∂xᵢ = the i-th slice of g"

    def forward(xp, *xs, axis=0):
        return xp.stack(xs, axis=axis)

    def backward(xp, g, shapes, *, axis):
        return tuple(g[_along(len(s) + 1, axis, i)] for i, s in enumerate(shapes))

    def call(apply, arrays, axis=0):
        return apply(*arrays, axis=axis)


def _along(ndim, axis, index):
    """The index that takes `index` along `axis` and everything along the others."""
    return (slice(None),) * (axis % ndim) + (index,)


@public
def split(x, indices_or_sections, axis=0):
    """NumPy's split: a list of pieces of x along axis, each a `getitem`, so each gradient lands in its own stretch."""
    x = x if isinstance(x, Tensor) else Tensor(x)
    n = x.shape[axis]
    if isinstance(indices_or_sections, (int, np.integer)):
        parts = int(indices_or_sections)
        if parts < 1 or n % parts:
            raise ValueError(f"cannot split {n} elements into {parts} equal parts")
        bounds = [i * (n // parts) for i in range(parts + 1)]
    else:
        bounds = [0, *indices_or_sections, n]
    return [getitem(x, _along(x.ndim, axis, slice(a, b))) for a, b in zip(bounds, bounds[1:], strict=False)]


@op
class getitem:
    "y = x[index]               ∂L/∂x = zeros, with g added at index"

    def forward(xp, x, *, index):
        return x[index]

    def backward(xp, g, shapes, *, index):
        return numerics.scatter_add(xp, g, index, shapes[0])


@op
class scatter_add:
    "y = zeros(shape);  y[index] += x           ∂L/∂x = g[index]"

    def forward(xp, x, *, index, shape):
        return numerics.scatter_add(xp, x, index, shape)

    def backward(xp, g, *, index):
        return g[index]


@public
def take(x, indices, axis=None):
    """NumPy's take: x[..., indices, ...] along axis (of the flattened x if None)."""
    x = x if isinstance(x, Tensor) else Tensor(x)
    if axis is None:
        return getitem(reshape(x, (-1,)), indices)
    return getitem(x, _along(x.ndim, axis, indices))


@op
class pad:
    "y = x framed by a constant                 ∂L/∂x = g inside the frame"

    def forward(xp, x, *, pad_width, constant_values=0.0):
        return xp.pad(x, pad_width, mode="constant", constant_values=constant_values)

    def backward(xp, g, shapes, *, pad_width):
        (shape,) = shapes
        # pad_width in any of NumPy's forms: 1, (1, 2), ((1, 2), (3, 4))
        widths = np.broadcast_to(pad_width, (len(shape), 2)).tolist()
        return g[tuple(slice(before, before + n) for (before, _), n in zip(widths, shape, strict=True))]


@op
class flip:
    "y = x reversed along axis                  ∂L/∂x = g reversed along axis"

    def forward(xp, x, *, axis=None):
        return xp.flip(x, axis)

    def backward(xp, g, *, axis):
        return xp.flip(g, axis)
