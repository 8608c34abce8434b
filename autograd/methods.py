"""Methods of a Tensor that only call an op: under ndarray's names, and under PyTorch's where they differ."""

import math
import operator
from typing import Any, TypeVar

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from autograd.arrays import DEVICES, array_module, to_device, to_host
from autograd.registry import ops

Same = TypeVar("Same", bound="ArrayMethods")


class ArrayMethods:
    """What Tensor inherits. argmax, argmin and argsort record nothing."""

    __slots__ = ()

    data: Any
    node: Any
    requires_grad: Any

    # one number
    def __int__(self) -> int:
        return int(self.data)

    def __index__(self) -> int:
        return operator.index(self.data)

    def tolist(self) -> Any:
        """Nested lists of Python numbers; from a GPU this copies and waits."""
        return to_host(self.data).tolist()

    # reductions
    def std(self: Same, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Same:
        return ops.std(self, axis=axis, ddof=ddof, keepdims=keepdims)

    def prod(self: Same, axis: Any = None, keepdims: bool = False) -> Same:
        return ops.prod(self, axis, keepdims)

    def cumsum(self: Same, axis: Any = None) -> Same:
        return ops.cumsum(self, axis)

    def argmax(self: Same, axis: Any = None, keepdims: bool = False) -> Same:
        return ops.argmax(self, axis, keepdims)

    def argmin(self: Same, axis: Any = None, keepdims: bool = False) -> Same:
        return ops.argmin(self, axis, keepdims)

    def argsort(self: Same, axis: int | None = -1) -> Same:
        return ops.argsort(self, axis)

    def any(self, axis: Any = None, keepdims: bool = False) -> Any:
        return self.data.any(axis=axis, keepdims=keepdims)

    def all(self, axis: Any = None, keepdims: bool = False) -> Any:
        return self.data.all(axis=axis, keepdims=keepdims)

    # products
    def dot(self: Same, b: Any) -> Same:
        return ops.dot(self, b)

    def trace(self: Same, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Same:
        return ops.trace(self, offset, axis1, axis2)

    def diagonal(self: Same, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Same:
        return ops.diagonal(self, offset, axis1, axis2)

    # shapes and places
    def view(self: Same, *shape: Any) -> Same:
        """PyTorch's view: the same elements in another shape, as `reshape`."""
        return ops.reshape(self, shape=several(shape))

    def flatten(self: Same, start_dim: int = 0, end_dim: int = -1) -> Same:
        """All axes as one, or those from start_dim to end_dim as one; ValueError for axes that do not go so."""
        shape = self.data.shape or (1,)
        first, last = (normalize_axis_index(d, len(shape)) for d in (start_dim, end_dim))
        if first > last:
            raise ValueError(f"flatten from axis {start_dim} to axis {end_dim}, which stands before it")
        return ops.reshape(self, shape=(*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))

    def ravel(self: Same) -> Same:
        return ops.reshape(self, shape=(-1,))

    def permute(self: Same, *dims: Any) -> Same:
        return ops.transpose(self, several(dims))

    def squeeze(self: Same, axis: Any = None) -> Same:
        return ops.squeeze(self, axis)

    def unsqueeze(self: Same, dim: int) -> Same:
        return ops.expand_dims(self, dim)

    def repeat(self: Same, repeats: Any, axis: int | None = None) -> Same:
        """ndarray's repeat: each element in a row. PyTorch's repeat is `ops.tile`."""
        return ops.repeat(self, repeats, axis)

    def take(self: Same, indices: Any, axis: int | None = None) -> Same:
        return ops.take(self, indices, axis)

    # element by element
    def exp(self: Same) -> Same:
        return ops.exp(self)

    def log(self: Same) -> Same:
        return ops.log(self)

    def sqrt(self: Same) -> Same:
        return ops.sqrt(self)

    def tanh(self: Same) -> Same:
        return ops.tanh(self)

    def abs(self: Same) -> Same:
        return ops.abs(self)

    # copies and devices
    def clone(self: Same) -> Same:
        """A copy that gradients flow through."""
        return ops.astype(self, dtype=self.data.dtype)

    copy = clone

    @property
    def device(self) -> str:
        xp = array_module(self.data)
        return next(name for name, module in DEVICES.items() if module is xp)

    def to(self: Same, device: Any) -> Same:
        """This Tensor on a device ("cpu", "cuda"), itself where it lies there already; or in a dtype, as `astype`.

        A copy to another device is not recorded: what requires gradients is moved before it is used, by its module.
        RuntimeError for any other Tensor on the tape.
        """
        if not isinstance(device, str) or device not in ("cpu", "cuda", *DEVICES):
            return ops.astype(self, dtype=device)
        if device == self.device:
            return self
        moved = to_device(to_host(self.data), device)
        if self.node is not None:
            raise RuntimeError("a copy between devices is not on the tape: move x.detach(), or the module by .to()")
        return type(self)(moved)  # type: ignore[call-arg]

    def cpu(self: Same) -> Same:
        return self.to("cpu")

    def cuda(self: Same) -> Same:
        return self.to("cuda")

    def requires_grad_(self: Same, requires_grad: bool = True) -> Same:
        """Make this leaf one that wants a gradient (or no longer), and return it."""
        self.requires_grad = requires_grad
        return self


def several(numbers: tuple) -> Any:
    """(2, 3) of f(2, 3) and of f((2, 3))."""
    return numbers[0] if len(numbers) == 1 and not isinstance(numbers[0], (int, np.integer)) else numbers
