"""A Tensor among other libraries' arrays: NumPy's functions of a Tensor are ours, and DLPack gives and takes arrays.

np.exp(t) is ops.exp(t), np.mean(t, axis=0) is ops.mean(t, axis=0), and array + t is ops.add(array, t). What ops lacks
is refused by name. This file registers itself on Tensor from outside.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autograd.arrays import DEVICES, device_module
from autograd.registry import ops
from autograd.tensor import Tensor

BOOLEAN = {  # their results carry no gradient: plain arrays, as of t < 0
    np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal,
    np.logical_and, np.logical_or, np.logical_xor, np.logical_not,
    np.isnan, np.isinf, np.isfinite,
}  # fmt: skip
ATTRIBUTES = {np.shape, np.ndim}
# Names of arguments in NumPy, where ours differ
RENAMED = {"a_min": "min", "a_max": "max", "newshape": "shape", "x": "a", "y": "b"}


def array_ufunc(tensor: Tensor, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
    """What NumPy calls for ufunc(…, tensor, …); TypeError, with the cure, for what has no gradient here."""
    if method != "__call__":
        raise _refused(f"{ufunc.__name__}.{method}")
    if "out" in options:
        raise TypeError("an array is not written to by what is computed from a Tensor: instead of a += t, a = a + t")
    if options:
        raise _refused(ufunc.__name__, options)
    if ufunc in BOOLEAN:
        return ufunc(*(x.data if isinstance(x, Tensor) else x for x in inputs))
    f = vars(ops).get(ufunc.__name__)
    if f is None:
        raise _refused(ufunc.__name__)
    return f(*inputs)


def array_function(tensor: Tensor, func: Callable, types: Sequence, args: tuple, options: dict[str, Any]) -> Any:
    """What NumPy calls for its other functions; TypeError, with the cure, for what has no gradient here."""
    name, module = func.__name__, getattr(func, "__module__", "")
    if func in ATTRIBUTES:
        return getattr(tensor, name)
    f = vars({"numpy": ops, "numpy.linalg": ops.linalg}.get(module, tensor.__class__)).get(name)
    if f is None or module not in ("numpy", "numpy.linalg"):
        raise _refused(f"{module.removeprefix('numpy.')}.{name}" if module.startswith("numpy.") else name)
    ours = inspect.signature(f).parameters
    if names := _names(func):  # all but the first by name: the order is not always ours
        options = {**dict(zip(names, args, strict=False)), **options}
        args = (options.pop(names[0]),)
        options = {RENAMED.get(k, k): v for k, v in options.items()}
        options = {k: v for k, v in options.items() if k in ours or not (v is None or (k, v) == ("mode", "constant"))}
        if unknown := options.keys() - ours.keys():
            raise _refused(name, unknown)
        for option in getattr(f, "defaults", {}).keys() & options.keys():
            if isinstance(options[option], Tensor):
                raise TypeError(f"{option} holds a Tensor, and no gradient flows through an option: give its .data")
    return f(*args, **options)


@functools.cache
def _names(func: Callable) -> list[str]:
    """The arguments of a function of NumPy, or nothing where it does not say or takes any number of them."""
    try:
        parameters = inspect.signature(func).parameters.values()
    except ValueError:
        return []
    return [] if any(p.kind is p.VAR_POSITIONAL for p in parameters) else [p.name for p in parameters]


def _refused(name: str, options: Any = ()) -> TypeError:
    if options:
        return TypeError(f"np.{name} of a Tensor takes no {', '.join(sorted(options))}: see help(ops.{name})")
    return TypeError(
        f"np.{name} of a Tensor is not differentiated here: use functions of autograd.ops, or t.data for the array"
    )


class _OfTheType:
    """NumPy looks array_ufunc up on the type. CuPy asks the instance, and None leaves `array + t` to `Tensor.__radd__`:
    see _should_use_rop in cupy/_core/core.pyx."""

    def __get__(self, instance: Any, owner: type) -> Any:
        return array_ufunc if instance is None else None


def dlpack(tensor: Tensor, **options: Any) -> Any:
    """The array by DLPack: other libraries share its memory. BufferError if the Tensor requires gradients."""
    if tensor.requires_grad:
        raise BufferError("a Tensor that requires gradients is not given away: give x.detach()")
    return tensor.data.__dlpack__(**options)


def dlpack_device(tensor: Tensor) -> tuple[int, int]:
    return tensor.data.__dlpack_device__()


def from_dlpack(x: Any) -> Tensor:
    """A Tensor on the memory of another library's array (anything with `__dlpack__`), on the CPU or a GPU."""
    on_cuda = x.__dlpack_device__()[0] == 2  # kDLCUDA
    return Tensor((device_module("cuda") if on_cuda else DEVICES["cpu"]).from_dlpack(x))


Tensor.__array_ufunc__ = _OfTheType()  # type: ignore[assignment]
Tensor.__array_function__ = array_function  # type: ignore[attr-defined]
Tensor.__dlpack__, Tensor.__dlpack_device__ = dlpack, dlpack_device  # type: ignore[attr-defined]
