"""Elements picked by their place, by a mask, or by their order: each is a `getitem` or a `where`."""

from numpy.lib.array_utils import normalize_axis_index

from autograd.arrays import array_module, with_shape
from autograd.ops.constants import argsort
from autograd.ops.elementwise import where
from autograd.ops.shape import getitem, moveaxis, reshape
from autograd.registry import public
from autograd.tensor import Tensor


def raw(x):
    """The array of a Tensor; anything else as it is."""
    return x.data if isinstance(x, Tensor) else x


@public
def masked_fill(x, mask, value):
    """x, but `value` where the mask is True; the mask broadcasts against x."""
    return where(raw(mask), value, x)


@public
def tril(x, k=0):
    """The lower triangles of the matrices x (…, M, N): 0 above diagonal k."""
    x = with_shape(x)
    return where(_triangle(x, k), x, 0)


@public
def triu(x, k=0):
    """The upper triangles of the matrices x (…, M, N): 0 below diagonal k."""
    x = with_shape(x)
    return where(~_triangle(x, k - 1), x, 0)


def _triangle(x, k):
    rows, columns = x.shape[-2:] if len(x.shape) > 1 else x.shape * 2
    return array_module(raw(x)).tri(rows, columns, k, dtype=bool)


@public
def take_along_axis(x, indices, axis=-1):
    """NumPy's take_along_axis: y[i, j, k] = x[i, indices[i, j, k], k] for axis 1; indices broadcast against x.

    With axis None x counts as flat. ValueError unless both have the same number of axes.
    """
    x, indices = with_shape(x), with_shape(raw(indices))
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    if len(indices.shape) != len(x.shape):
        raise ValueError(f"take_along_axis: x has {len(x.shape)} axes, and indices {len(indices.shape)}")
    return _along_axis(x, indices, axis, x.shape)


@public
def gather(x, dim, index):
    """PyTorch's gather: y has the shape of index, and y[i, j, k] = x[i, index[i, j, k], k] for dim 1.

    ValueError unless both have the same number of axes.
    """
    x, index = with_shape(x), with_shape(raw(index))
    if len(index.shape) != len(x.shape):
        raise ValueError(f"gather: x has {len(x.shape)} axes, and index {len(index.shape)}")
    return _along_axis(x, index, dim, index.shape)


def _along_axis(x, indices, axis, lengths):
    """x at `indices` along axis, and at 0, 1, … below `lengths` along the others."""
    xp, n = array_module(indices), len(x.shape)
    if n == 0:  # a number: its one element
        return getitem(reshape(x, (1,)), indices)
    places = [xp.arange(k).reshape([-1 if i == a else 1 for i in range(n)]) for a, k in enumerate(lengths)]
    places[normalize_axis_index(axis, n)] = indices
    return getitem(x, tuple(places))


@public
def sort(x, axis=-1):
    """x in rising order along axis (of the flattened x if None), NaN last. Each gradient goes back to its element."""
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    return take_along_axis(x, argsort(x, axis), axis)


@public
def diagonal(x, offset=0, axis1=0, axis2=1):
    """The diagonals of x over two axes: they become the last axis."""
    x = moveaxis(x, (axis1, axis2), (-2, -1))
    rows, columns = x.shape[-2:]
    i = array_module(raw(x)).arange(max(0, min(rows + min(offset, 0), columns - max(offset, 0))))
    return getitem(x, (..., i - min(offset, 0), i + max(offset, 0)))


@public
def trace(x, offset=0, axis1=0, axis2=1):
    """The sum of each diagonal of x."""
    return diagonal(x, offset, axis1, axis2).sum(-1)
