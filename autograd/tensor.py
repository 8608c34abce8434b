"""Tensor: an array and its place in the graph. Operators and methods mirror NumPy's ndarray."""

import copy
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from autograd.arrays import host_array, is_array, to_host
from autograd.methods import ArrayMethods, several
from autograd.modes import state
from autograd.registry import ops
from autograd.writes import NUMBERS, WRITES


class Seen(NamedTuple):
    """What debug mode remembers of an op that was run: more than its rule needs."""

    site: str  # the line that ran it
    scope: tuple  # the layers that were running, outermost first: see modes.scope
    inputs: tuple  # arrays and numbers
    y: Any  # the output, an array
    seal: dict[str, Any]  # checksums of what is saved


class Node:
    """One op that was run. It holds arrays and parent nodes, never a Tensor. So there are no reference cycles,
    and the whole tape is freed the moment the last Tensor that needs it dies."""

    __slots__ = ("op", "parents", "saved", "options", "shape", "dtype", "xp", "id", "grad", "seen", "__weakref__")

    def __init__(self, op: Any, parents: tuple, saved: dict[str, Any], options: dict[str, Any], y: Any, xp: Any):
        self.op = op  # None for a leaf
        self.parents = parents
        self.saved = saved  # what the rules of op name, by name
        self.options = options
        self.shape, self.dtype = y.shape, y.dtype
        self.xp = xp
        self.id = next(NUMBERS)
        self.grad: Any = None  # filled by backward(), in leaves only
        self.seen: Seen | None = None  # in debug mode

    def fit(self, data: Any) -> None:
        """This leaf now has another array."""
        if data.shape != self.shape:
            self.grad = None  # it was the gradient of the old array
        self.shape, self.dtype = data.shape, data.dtype


class Tensor(ArrayMethods):
    """An array (NumPy or CuPy) that records what is done with it if `requires_grad`.

    `data` is the array. `node` is its place on the tape, None where nothing is recorded. Python numbers and lists
    become NumPy arrays by NumPy's rules. Comparisons return plain boolean arrays: they carry no gradient. The tape
    keeps the arrays themselves. If one is written to between an op and `grad`, the rule raises RuntimeError where the
    write went through a Tensor, an optimiser or a Module; a write by NumPy alone (`x.data[0] = 1`) is noticed only
    inside `debug()`.
    """

    __slots__ = ("_data", "node", "_frozen", "__weakref__")
    __array_ufunc__: Any  # see interchange.py
    __array_priority__ = 1000

    _data: Any
    node: Any
    _frozen: Any  # of a leaf that required gradients once, and does not now: its node
    backward: Callable[..., None]  # see engine.py

    def __init__(self, data: Any, *, node: Any = None, requires_grad: bool = False):
        if isinstance(data, Tensor):
            data = data._data
        self._data = data if is_array(data) else host_array(data)
        self.node = node
        if requires_grad:
            self.requires_grad = True

    def _set_data(self, value: Any) -> None:
        if value is self._data:  # tensor.data -= …
            WRITES.note(value)
            return
        value = value if is_array(value) else host_array(value)
        node = self.node
        if node is not None and node.op is None:
            if value.dtype.kind != "f":
                raise TypeError(f"this Tensor requires gradients, so its data cannot become {value.dtype}")
            node.fit(value)
        self._data = value

    data: Any = property(operator.attrgetter("_data"), _set_data)  # no Python runs where it is read

    @property
    def requires_grad(self) -> bool:
        """Whether what is done with it is recorded. A leaf that is frozen for a while has its .grad again afterwards,
        and tapes from before still lead to it."""
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and self._data.dtype.kind != "f":
            raise TypeError(f"only floating-point Tensors can require gradients, this one is {self.dtype}")
        if self.node is not None and self.node.op is not None:
            if not value:
                raise RuntimeError(f"this is a result of {self.node.op.name}, which stays recorded: use x.detach()")
        elif value and self.node is None:
            self.node = getattr(self, "_frozen", None) or Node(None, (), {}, {}, self._data, None)
            self.node.fit(self._data)
        elif not value and self.node is not None:
            self._frozen, self.node = self.node, None

    @property
    def grad(self) -> Any:
        """The array that backward() added up for this leaf, or None."""
        return None if self.node is None else self.node.grad

    @grad.setter
    def grad(self, value: Any) -> None:
        node = self.node or (getattr(self, "_frozen", None) if value is None else None)
        if node is None and value is None:
            return
        if node is None or node.op is not None:
            raise ValueError("only a leaf with requires_grad=True has a .grad")
        value = _raw(value)
        if value is not None and getattr(value, "shape", None) != self.shape:
            raise ValueError(f"the gradient of a leaf of shape {self.shape} is an array of this shape, or None")
        node.grad = value

    @property
    def shape(self) -> tuple[int, ...]:
        return self._data.shape

    @property
    def ndim(self) -> int:
        return self._data.ndim

    @property
    def size(self) -> int:
        return self._data.size

    @property
    def dtype(self) -> Any:
        return self._data.dtype

    @property
    def T(self) -> "Tensor":
        return ops.transpose(self)

    def detach(self) -> "Tensor":
        """The same array, off the tape."""
        return Tensor(self._data)

    def numpy(self) -> np.ndarray:
        """The values on the host; from a GPU this copies and waits."""
        return to_host(self._data)

    def item(self) -> float:
        """The one value as a Python number; from a GPU this waits."""
        return self._data.item()

    def __repr__(self) -> str:
        made = "" if self.node is None else f", op={self.node.op.name}" if self.node.op else ", requires_grad=True"
        return f"{type(self).__name__}({np.array2string(self.numpy(), separator=', ', threshold=20)}{made})"

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self._data)

    def __float__(self) -> float:
        return float(self._data)

    def __format__(self, spec: str) -> str:
        """The one value by a format, as in f"{loss:.3f}": from a GPU this waits."""
        return format(self.item(), spec) if spec else str(self)

    def __copy__(self) -> "Tensor":
        """The same array at the same place on the tape."""
        new = type(self).__new__(type(self))
        new._data, new.node = self._data, self.node
        new._take(self._beside())
        return new

    def __deepcopy__(self, memo: dict) -> "Tensor":
        data, requires_grad, beside = self.__getstate__()
        new = type(self).__new__(type(self))
        new.__setstate__((data.copy(), requires_grad, copy.deepcopy(beside, memo)))
        return new

    def __getstate__(self) -> tuple[Any, bool, dict]:
        """What a pickle holds, no more than a deep copy: no node and no .grad."""
        self._refuse_result()
        return self._data, self.requires_grad, self._beside()

    def __setstate__(self, state: tuple[Any, bool, dict]) -> None:
        """The node is made here, because another process counts its nodes otherwise: a node must be older than what is
        computed from it."""
        (self._data, requires_grad, beside), self.node = state, None
        self.requires_grad = requires_grad
        self._take(beside)

    def _beside(self) -> dict:
        """The attributes that a subclass without `__slots__` keeps beside the array."""
        return getattr(self, "__dict__", {})

    def _take(self, beside: dict) -> None:
        for name, value in beside.items():
            setattr(self, name, value)

    def _refuse_result(self) -> None:
        if self.node is not None and self.node.op is not None:
            raise TypeError(f"only leaves are copied, and this is a result of {self.node.op.name}: copy x.detach()")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("a Tensor is not turned into an array silently: use .data (as it is) or .numpy() (on the host)")

    def __setitem__(self, index: Any, value: Any) -> None:
        recorded = state.recording and isinstance(value, Tensor) and value.node is not None
        if self.node is not None or recorded:
            why = (
                "this Tensor is recorded, so it cannot be assigned to in place"
                if self.node is not None
                else "the value is recorded, and no gradient flows through an assignment in place"
            )
            raise RuntimeError(
                f"{why}: build a new Tensor with ops.where(mask, new, old), ops.stack([...]), ops.scatter_add(...) or "
                "ops.concatenate([...])"
            )
        self._data[plain_index(index)] = _raw(value)
        WRITES.note(self._data)

    # ndarray's operators
    def __add__(self, other: Any) -> "Tensor":
        return ops.add(self, other)

    def __radd__(self, other: Any) -> "Tensor":
        return ops.add(other, self)

    def __sub__(self, other: Any) -> "Tensor":
        return ops.sub(self, other)

    def __rsub__(self, other: Any) -> "Tensor":
        return ops.sub(other, self)

    def __mul__(self, other: Any) -> "Tensor":
        return ops.mul(self, other)

    def __rmul__(self, other: Any) -> "Tensor":
        return ops.mul(other, self)

    def __truediv__(self, other: Any) -> "Tensor":
        return ops.div(self, other)

    def __rtruediv__(self, other: Any) -> "Tensor":
        return ops.div(other, self)

    def __pow__(self, other: Any) -> "Tensor":
        return ops.power(self, other)

    def __rpow__(self, other: Any) -> "Tensor":
        return ops.power(other, self)

    def __matmul__(self, other: Any) -> "Tensor":
        return ops.matmul(self, other)

    def __rmatmul__(self, other: Any) -> "Tensor":
        return ops.matmul(other, self)

    def __pos__(self) -> "Tensor":
        return self

    def __neg__(self) -> "Tensor":
        return ops.neg(self)

    def __abs__(self) -> "Tensor":
        return ops.abs(self)

    def __getitem__(self, index: Any) -> "Tensor":
        return ops.getitem(self, index)

    def __lt__(self, other: Any) -> Any:
        return self._data < _raw(other)

    def __le__(self, other: Any) -> Any:
        return self._data <= _raw(other)

    def __gt__(self, other: Any) -> Any:
        return self._data > _raw(other)

    def __ge__(self, other: Any) -> Any:
        return self._data >= _raw(other)

    def __eq__(self, other: Any) -> Any:
        return self._data == _raw(other)

    def __ne__(self, other: Any) -> Any:
        return self._data != _raw(other)

    __hash__ = object.__hash__

    # ndarray's methods
    def sum(self, axis: Any = None, keepdims: bool = False) -> "Tensor":
        return ops.sum(self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> "Tensor":
        return ops.mean(self, axis=axis, keepdims=keepdims)

    def var(self, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> "Tensor":
        return ops.var(self, axis=axis, ddof=ddof, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> "Tensor":
        return ops.max(self, axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> "Tensor":
        return ops.min(self, axis=axis, keepdims=keepdims)

    def reshape(self, *shape: Any) -> "Tensor":
        return ops.reshape(self, shape=several(shape))

    def transpose(self, *axes: Any) -> "Tensor":
        return ops.transpose(self, several(axes) if axes else None)

    def swapaxes(self, axis1: int, axis2: int) -> "Tensor":
        return ops.swapaxes(self, axis1, axis2)

    def astype(self, dtype: Any) -> "Tensor":
        return ops.astype(self, dtype=dtype)

    def clip(self, min: Any = None, max: Any = None) -> "Tensor":
        return ops.clip(self, min, max)


def _raw(x: Any) -> Any:
    return x._data if isinstance(x, Tensor) else x


def plain_index(index: Any) -> Any:
    """An index without Tensors: their arrays, for no gradient flows through an index."""
    if type(index) is tuple:
        return tuple([plain_index(i) for i in index])
    return _raw(index)
