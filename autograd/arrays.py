"""NumPy or CuPy: which module works on an array, which device a name means, and copies between host and device.

The engine asks `array_module` once per op call and hands the answer to the op as `xp`;
op authors never import CuPy. CuPy is imported the first time a CUDA device is asked for.
"""

import ctypes
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

MODULES: dict[type, ModuleType | Any] = {np.ndarray: np}  # array type -> the module that works on it
DEVICES: dict[str, ModuleType | Any] = {"cpu": np}  # device name -> the same modules


class DeviceError(RuntimeError):
    """The device asked for cannot be used here; the message says why in one sentence."""


def use_cuda() -> None:
    """Load CuPy and register its arrays; raises DeviceError where there is no CuPy or no GPU."""
    if "cuda" in DEVICES:
        return
    try:
        import cupy
    except ImportError as e:
        raise DeviceError(
            "device cuda needs CuPy: pip install -e '.[cuda13]' (or '.[cuda12]' for a CUDA 12 driver)"
        ) from e
    if not cupy.cuda.is_available():
        raise DeviceError("device cuda: CuPy is installed, but it finds no usable NVIDIA GPU on this machine")
    try:
        cupy.ones((2, 2)) @ cupy.ones((2, 2))
    except Exception as e:
        raise DeviceError(f"device cuda: CuPy finds a GPU but cannot use it ({e})") from e
    MODULES[cupy.ndarray] = cupy
    DEVICES["cuda"] = cupy


def device_module(device: str) -> Any:
    """The array module of a device name: `cpu`, or `cuda` where there is one; DeviceError for others."""
    if device == "cuda":
        use_cuda()
    if device not in DEVICES:
        raise DeviceError(f"unknown device {device!r}: use one of {', '.join(sorted(DEVICES))} or cuda")
    return DEVICES[device]


def best_device() -> str:
    """`cuda` where CuPy and a GPU are there, else `cpu`."""
    try:
        use_cuda()
    except DeviceError:
        return "cpu"
    return "cuda"


def array_module(*arrays: Any) -> Any:
    """The module of the first array on a device other than the host; NumPy if there is none."""
    for a in arrays:
        xp = MODULES.get(type(a), np)
        if xp is not np:
            return xp
    return np


def is_array(x: Any) -> bool:
    return type(x) in MODULES


def to_host(a: Any) -> np.ndarray:
    """A NumPy array with the values of `a`; from a GPU this copies and waits."""
    xp = array_module(a)
    return np.asarray(a) if xp is np else xp.asnumpy(a)


def to_device(a: np.ndarray, device: str) -> Any:
    """A host array on `device`, dtype kept."""
    return device_module(device).asarray(a)


class Numbers:
    """A few numbers that change between training steps: Python floats on the CPU, an array on another device.

    A captured step is replayed with the same arguments, but it reads its arrays anew. So such numbers lie in an array.
    """

    def __init__(self, n: int, xp: Any):
        self.host = [0.0] * n
        self.array = None if xp is np else xp.zeros(n, dtype="float32")

    def set(self, *values: float) -> None:
        """Write new values, before a step and never in it. Only changed values are copied to the device."""
        for i, value in enumerate(values):
            if self.array is not None and value != self.host[i]:
                self.array[i] = value
        self.host = list(values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.host if self.array is None else [self.array[i] for i in range(len(self.host))])


def keep_freed_memory() -> None:
    """Make the C library keep what NumPy frees, for the whole process, as CuPy's pool does on a GPU.

    A training step frees and takes the same memory over and over. By default glibc hands much of it back to the system,
    and a step of small networks then spends up to a third of its time on fresh pages. Other C libraries ignore this.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or Windows
        return
    mallopt(_MMAP_THRESHOLD, 2**30)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # from malloc.h


def with_shape(x: Any) -> Any:
    """x itself where it has a shape, as arrays and Tensors have, else as `host_array`, whose TypeError it raises."""
    return x if hasattr(x, "shape") else host_array(x)


def host_array(x: Any) -> np.ndarray:
    """A NumPy array of numbers, a list of them, or anything with `__array__` or `__dlpack__`; TypeError for others."""
    foreign = hasattr(x, "__dlpack__") and not hasattr(x, "__array__")
    try:
        a = np.from_dlpack(x) if foreign else np.asarray(x)
    except ValueError as e:  # lists of different lengths
        raise TypeError(f"{type(x).__name__} is not an array of numbers: {e}") from None
    if a.dtype.kind not in "fiubc":
        raise TypeError(f"{type(x).__name__} is not an array of numbers: its elements are {a.dtype}")
    return a
