"""Moving elements without changing them: each gradient moves them back."""

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from autograd.arrays import array_module, with_shape
from autograd.operation import op
from autograd.ops import numerics
from autograd.registry import public
from autograd.tensor import plain_index


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
        axes = axes if np.iterable(axes) else (axes,)
        n = len(axes)
        return xp.transpose(g, sorted(range(n), key=lambda i: axes[i] % n))


@op
class swapaxes:
    "y = x with two axes exchanged              ∂L/∂x = g with the same two exchanged"

    def forward(xp, x, *, axis1, axis2):
        return xp.swapaxes(x, axis1, axis2)

    def backward(xp, g, *, axis1, axis2):
        return xp.swapaxes(g, axis1, axis2)


@public
def moveaxis(x, source, destination):
    """NumPy's moveaxis: x with the axes of `source` at the places of `destination`, a `transpose`.

    ValueError unless there are as many places as axes.
    """
    x = with_shape(x)
    source, destination = (normalize_axis_tuple(axes, x.ndim) for axes in (source, destination))
    if len(source) != len(destination):
        raise ValueError(f"moveaxis of {len(source)} axes to {len(destination)} places")
    order = [a for a in range(x.ndim) if a not in source]
    for place, a in sorted(zip(destination, source, strict=True)):
        order.insert(place, a)
    return transpose(x, tuple(order))


@public
def squeeze(x, axis=None):
    """x without its axes of length 1, or without those of `axis`: ValueError unless these have length 1."""
    x = with_shape(x)
    ones = [i for i, n in enumerate(x.shape) if n == 1]
    gone = ones if axis is None else normalize_axis_tuple(axis, x.ndim)
    if not {*gone} <= {*ones}:
        raise ValueError(f"squeeze of axis {axis} of {tuple(x.shape)}: only an axis of length 1 can be left out")
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in gone))


@public
def expand_dims(x, axis):
    """x with a new axis of length 1 at each place of `axis`, counted in the result."""
    x = with_shape(x)
    ndim = x.ndim + np.size(axis)
    new, lengths = normalize_axis_tuple(axis, ndim), iter(x.shape)
    return reshape(x, tuple(1 if i in new else next(lengths) for i in range(ndim)))


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
    return (slice(None),) * normalize_axis_index(axis, ndim) + (index,)


@public
def split(x, indices_or_sections, axis=0):
    """NumPy's split: a list of pieces of x along axis, each a `getitem`, so each gradient lands in its own stretch.

    ValueError for sections that cannot be equal, and for an axis that x has not.
    """
    x = with_shape(x)
    n = x.shape[normalize_axis_index(axis, x.ndim)]
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

    def call(apply, x, index):
        return apply(x, index=plain_index(index))


@op
class scatter_add:
    "y = zeros(shape);  y[index] += x           ∂L/∂x = g[index]"

    def forward(xp, x, *, index, shape):
        return numerics.scatter_add(xp, x, index, shape)

    def backward(xp, g, *, index):
        return g[index]

    def call(apply, x, index, shape):
        return apply(x, index=plain_index(index), shape=shape)


@public
def take(x, indices, axis=None):
    """NumPy's take: x[..., indices, ...] along axis (of the flattened x if None).

    ValueError for an axis that x has not.
    """
    x = with_shape(x)
    if axis is None or x.ndim == 0:
        x, axis = reshape(x, (-1,)), axis or 0
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

    def call(apply, x, pad_width, constant_values=0.0):
        if isinstance(pad_width, dict):  # of some axes: {-1: (1, 2)}
            widths = [(0, 0)] * with_shape(x).ndim
            for axis, width in pad_width.items():
                widths[normalize_axis_index(axis, len(widths))] = tuple(np.broadcast_to(width, 2).tolist())
            pad_width = tuple(widths)
        return apply(x, pad_width=pad_width, constant_values=constant_values)


@op
class flip:
    "y = x reversed along axis                  ∂L/∂x = g reversed along axis"

    def forward(xp, x, *, axis=None):
        return xp.flip(x, axis)

    def backward(xp, g, *, axis):
        return xp.flip(g, axis)


@op
class roll:
    "y = x pushed on by shift, round the end    ∂L/∂x = g pushed back"

    def forward(xp, x, *, shift, axis=None):
        return xp.roll(x, shift, axis)

    def backward(xp, g, *, shift, axis):
        return xp.roll(g, tuple(-int(s) for s in shift) if np.iterable(shift) else -int(shift), axis)


@public
def repeat(x, repeats, axis=None):
    """Each element of x `repeats` times in a row (a number, or one for each), along axis or of the flattened x."""
    x = with_shape(x)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    xp = array_module(getattr(x, "data", x))
    return take(x, xp.repeat(xp.arange(x.shape[normalize_axis_index(axis, x.ndim)]), repeats), axis)


@public
def tile(x, reps):
    """x beside itself, `reps` times along each axis; fewer reps than axes are those of the last axes."""
    x, reps = with_shape(x), tuple(reps) if np.iterable(reps) else (reps,)
    ndim = max(x.ndim, len(reps))
    shape, reps = ((1,) * (ndim - len(t)) + t for t in (tuple(x.shape), reps))
    pairs = [k for rep, n in zip(reps, shape, strict=True) for k in (rep, n)]  # each axis after its repetitions
    y = broadcast_to(reshape(x, tuple(k for n in shape for k in (1, n))), tuple(pairs))
    return reshape(y, tuple(rep * n for rep, n in zip(reps, shape, strict=True)))
