"""A stand-in for a GPU, for machines that have none: device "strict", whose arrays keep to themselves.

    from strict_device import strict

    x = strict.asarray(host)              # or to_device(host, "strict"), or Generator(0, device="strict")
    with strict.step():                   # what must hold while a training step is captured as a CUDA graph
        loss = model(Tensor(x)).mean()    # float(loss), `if loss > 0`, copies to or from the host: StrictError
    loss.item()                           # outside it is allowed

Anywhere, mixing with a NumPy array or NumPy scalar is a TypeError that names the function, and so is a function that
CuPy does not have (see FUNCTIONS). Python numbers are welcome. The arithmetic is NumPy's, so results can be compared
bit for bit. Importing this module registers the device.
"""

import contextlib
import operator
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from autograd.arrays import DEVICES, MODULES
from autograd.ops import numerics

# NumPy's functions that CuPy has too, by the same name. An op that needs another: look into CuPy's reference first.
FUNCTIONS = set(
    """
    abs absolute add all amax amin any arange arccos arcsin arctan arctan2 argmax argmin argpartition argsort around
    array_equal atleast_1d atleast_2d bincount bitwise_and bitwise_or bitwise_xor broadcast_arrays broadcast_to ceil
    clip column_stack concatenate copysign cos cosh count_nonzero cumprod cumsum diag diagonal diff digitize divide dot
    einsum empty empty_like equal exp exp2 expand_dims expm1 eye flip floor floor_divide fmax fmin full full_like
    greater greater_equal hypot identity inner interp invert isclose isfinite isinf isnan kron left_shift less
    less_equal linspace log log10 log1p log2 logaddexp logical_and logical_not logical_or logical_xor matmul max
    maximum mean median meshgrid min minimum mod moveaxis multiply nan_to_num nansum ndim negative not_equal ones
    ones_like outer pad partition percentile positive power prod ptp quantile ravel reciprocal remainder repeat reshape
    result_type right_shift rint roll rollaxis rot90 round searchsorted shape sign sin sinh size sort split sqrt square
    squeeze stack std subtract sum swapaxes take take_along_axis tan tanh tensordot tile trace transpose tri tril
    triu true_divide trunc var vdot vstack hstack where zeros zeros_like ascontiguousarray copyto may_share_memory
    shares_memory
    """.split()
)
WAITING = {"nonzero", "flatnonzero", "argwhere", "unique", "extract", "array2string"}  # their results need the host
CREATION = {"asarray", "array", "asanyarray"}  # these take host data
DTYPES = set("float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool_ dtype newaxis pi".split())
JOINING = {"concatenate", "stack", "vstack", "hstack", "column_stack"}
MOST_JOINED = 8  # arrays: of more, CuPy copies the addresses to the device before it joins them
ELEMENTWISE = {"where", "clip"}  # no ufuncs, and yet their operands are arrays and Python numbers only


class StrictError(RuntimeError):
    """Inside strict.step(), something waited for the device or copied to or from the host."""


class StrictArray:
    """An array of device "strict". It has ndarray's methods, each under the rules of the module's functions."""

    __slots__ = ("_host", "__weakref__")
    __hash__ = None  # type: ignore[assignment]  # as ndarray

    def __init__(self, host: np.ndarray):
        self._host = host

    # What a NumPy function or operator asks for when it meets one.
    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise TypeError("implicit copy of a device array to a NumPy array; use asnumpy")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        raise TypeError(f"numpy.{ufunc.__name__} was called on a device array, or mixes one with a NumPy array")

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        raise TypeError(f"numpy.{func.__name__} was called on a device array")

    def __getitem__(self, index: Any) -> "StrictArray":
        lowered = _index("getitem", index)
        if any(getattr(i, "dtype", None) == np.bool_ for i in _parts(lowered)):
            strict.waits("a boolean mask as index")
        return strict.work(lambda: self._host[lowered], [self._host], name="getitem")

    def __setitem__(self, index: Any, value: Any) -> None:
        lowered, value = _index("setitem", index), _operand("setitem", value)
        name = "copy" if isinstance(value, np.ndarray) else "fill"
        strict.work(lambda: self._host.__setitem__(lowered, value), writes=[self._host], name=name)

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Iterator["StrictArray"]:
        return (self[i] for i in range(len(self)))


def _parts(index: Any) -> tuple:
    return index if isinstance(index, tuple) else (index,)


def _index(name: str, index: Any) -> Any:
    """An index with its device arrays unwrapped; a list or a NumPy array in it is refused."""
    for i in _parts(index):
        if isinstance(i, (list, np.ndarray)):
            raise TypeError(f"{name}: the index holds a {type(i).__name__}; index arrays must be on the device")
        if isinstance(i, slice) and any(isinstance(v, StrictArray) for v in (i.start, i.stop, i.step)):
            strict.waits("a slice bound on the device")
    return tuple(_unwrap(i) for i in index) if isinstance(index, tuple) else _unwrap(index)


def _unwrap(x: Any) -> Any:
    return x._host if isinstance(x, StrictArray) else x


def _operand(name: str, x: Any) -> Any:
    """A device array or a Python number, unwrapped; everything else is refused."""
    if isinstance(x, StrictArray):
        return x._host
    if isinstance(x, (np.ndarray, np.generic)):
        raise TypeError(f"{name}: mixes a device array with a host {type(x).__module__}.{type(x).__name__}")
    if not isinstance(x, (bool, int, float, complex)) and x is not None:
        raise TypeError(f"{name}: takes device arrays and Python numbers, not {type(x).__name__}")
    return x


def _argument(name: str, x: Any) -> Any:
    """As `_operand`, for functions whose arguments may also be shapes, axes, dtypes or lists of arrays."""
    if isinstance(x, (tuple, list)):
        return type(x)(_argument(name, v) for v in x)
    if isinstance(x, (str, type, np.dtype, slice)) or x is Ellipsis:
        return x
    return _operand(name, x)


def _wrap(x: Any) -> Any:
    """Results go back to the device; where NumPy gives scalars there are arrays without axes, as in CuPy."""
    if isinstance(x, (np.ndarray, np.generic)):
        return StrictArray(np.asarray(x))
    if isinstance(x, (tuple, list)):
        return type(x)(_wrap(v) for v in x)
    return x


class StrictModule:
    """NumPy's functions on StrictArrays. `step()` opens a stretch in which nothing may wait for the device."""

    ndarray = StrictArray
    inf, nan = float("inf"), float("nan")

    def __init__(self) -> None:
        self._depth = 0
        self.recorder: Any = None  # a capture of fake_cuda.py
        self.watcher: Any = None  # a count of node_count.py

    def __repr__(self) -> str:
        return "<array module of device strict>"

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def work(
        self, run: Callable[[], Any], reads: Sequence = (), writes: Sequence[np.ndarray] = (), name: str = "kernel"
    ) -> Any:
        """What the device does comes through here: `run`, on host arrays. `reads`: arrays that a result may be a view
        of; `writes`: arrays that it writes into; `name`: NumPy's of what is done, or "kernel" or "product"."""
        result = _wrap(run()) if self.recorder is None else self.recorder.record(run, reads, writes)
        if self.watcher is not None:
            self.watcher(name, result, reads, writes)
        return result

    def waits(self, what: str) -> None:
        """Every operation that needs the host comes through here."""
        if self._depth:
            raise StrictError(f"{what} inside a step: the host would have to wait for the device")

    def asnumpy(self, a: Any) -> np.ndarray:
        """A host copy."""
        self.waits("asnumpy")
        return np.array(_unwrap(a))

    @property
    def lib(self) -> Any:
        tricks = SimpleNamespace(as_strided=_Function("as_strided", np.lib.stride_tricks.as_strided))
        return SimpleNamespace(stride_tricks=tricks)

    @property
    def linalg(self) -> Any:
        return SimpleNamespace(eigh=self._eigh)

    def _eigh(self, a: Any) -> tuple[StrictArray, StrictArray]:
        self.waits("eigh")  # a call of cuSOLVER: it is kept out of what is captured
        host = _operand("eigh", a)
        return self.work(lambda: tuple(np.linalg.eigh(host)), name="eigh")

    def __getattr__(self, name: str) -> Any:
        if name in DTYPES:
            return getattr(np, name)
        if name not in FUNCTIONS | WAITING | CREATION:
            raise AttributeError(
                f"device strict has no {name}: if CuPy has it, add it to FUNCTIONS in strict_device.py"
            )
        return _Function(name, getattr(np, name))

    # What numerics.py asks a module for before it looks into CuPy
    def erf(self, x: Any) -> StrictArray:
        host = _operand("erf", x)
        return self.work(lambda: numerics.erf(np, host), name="erf")


class _Function:
    """One of NumPy's functions, on device arrays."""

    def __init__(self, name: str, run: Any):
        self.__name__ = name
        self.run = run
        self.operands = isinstance(self.run, np.ufunc) or name in ELEMENTWISE

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name = self.__name__
        if name in CREATION:
            if not isinstance(args[0], StrictArray):
                strict.waits(f"{name} of host data")
            args = (_unwrap(args[0]), *args[1:])
            return strict.work(lambda: self.run(*args, **kwargs), args, name=name)
        if name in WAITING or (name == "where" and len(args) == 1):
            strict.waits(name)
        if name in JOINING and len(args[0]) > MOST_JOINED:
            strict.waits(f"{name} of {len(args[0])} arrays")
        lower = _operand if self.operands else _argument
        out = kwargs.get("out")
        args = tuple(lower(name, a) for a in args)
        kwargs = {key: _argument(name, value) for key, value in kwargs.items()}
        writes = [out._host] if isinstance(out, StrictArray) else args[:1] if name == "copyto" else ()
        result = strict.work(lambda: self.run(*args, **kwargs), [*args, *kwargs.values()], writes, name)
        return out if isinstance(out, StrictArray) else result

    def at(self, a: StrictArray, index: Any, x: Any) -> None:
        """ufunc.at, in place."""
        name = f"{self.__name__}.at"
        host, index, x = a._host, _index(name, index), _operand(name, x)
        strict.work(lambda: self.run.at(host, index, x), [x], [host], name)


strict: Any = StrictModule()
MODULES[StrictArray] = strict
DEVICES["strict"] = strict


# ndarray's operators, methods and properties

BINARY = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "true_divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "power",
    "matmul": "matmul",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "left_shift",
    "rshift": "right_shift",
}
COMPARISONS = {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
}
UNARY = {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}
METHODS = """all any argmax argmin argsort astype clip copy cumsum diagonal dot fill flatten max mean min prod ravel
    repeat reshape round squeeze std sum swapaxes take trace transpose var view""".split()
WAITING_METHODS = (
    "item tolist tobytes nonzero __bool__ __int__ __float__ __index__ __complex__ __repr__ __str__".split()
)
PROPERTIES = "shape dtype ndim size itemsize nbytes strides flags".split()


def _equip() -> None:
    """Give StrictArray what ndarray has."""

    def set_binary(short: str, f: _Function) -> None:
        setattr(StrictArray, f"__{short}__", lambda self, other: f(self, other))
        if short not in COMPARISONS:
            setattr(StrictArray, f"__r{short}__", lambda self, other: f(other, self))
            setattr(StrictArray, f"__i{short}__", lambda self, other: f(self, other, out=self))

    def set_unary(short: str, f: _Function) -> None:
        setattr(StrictArray, f"__{short}__", lambda self: f(self))

    def set_method(name: str) -> None:
        def method(self, *args, **kwargs):
            args = [_argument(name, a) for a in args]
            kwargs = {key: _argument(name, value) for key, value in kwargs.items()}
            writes = [self._host] if name == "fill" else ()
            return strict.work(lambda: getattr(self._host, name)(*args, **kwargs), [self._host], writes, name)

        setattr(StrictArray, name, method)

    def set_waiting(name: str) -> None:
        def method(self, *args):
            strict.waits(f"{name.strip('_')}()")
            return getattr(self._host, name)(*args)

        setattr(StrictArray, name, method)

    for short, name in {**BINARY, **COMPARISONS}.items():
        set_binary(short, getattr(strict, name))
    for short, name in UNARY.items():
        set_unary(short, getattr(strict, name))
    for name in METHODS:
        set_method(name)
    for name in WAITING_METHODS:
        set_waiting(name)
    for name in PROPERTIES:
        setattr(StrictArray, name, property(operator.attrgetter(f"_host.{name}")))
    StrictArray.data = property(lambda self: SimpleNamespace(ptr=self._host.ctypes.data))  # type: ignore[attr-defined]
    StrictArray.base = property(lambda self: _wrap(self._host.base))  # type: ignore[attr-defined]
    StrictArray.T = property(lambda self: StrictArray(self._host.T))  # type: ignore[attr-defined]


_equip()
