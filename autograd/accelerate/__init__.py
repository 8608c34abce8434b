"""Faster twins of ops and routines, registered from outside: compiled loops on a CPU, kernels on a GPU.

Nothing below knows of this package. An op or a routine is written once, readable, in its own place. A twin stands in
for it by name, for the arrays of one module, after `use` has put it into `autograd.registry.TWINS`.
"""

import contextlib
import importlib.util
import warnings
from collections.abc import Callable

import numpy as np

from autograd.accelerate.twin import CPU, GPU
from autograd.arrays import DEVICES, device_module
from autograd.registry import TWINS


def use(device: str | None) -> bool:
    """From now on run what has a faster twin by that twin; returns whether there are twins for the device.

    "cpu": loops compiled by numba. False where numba is not installed (pip install -e '.[fast]'). A loop is compiled
    when it first runs, which takes some seconds for all of a training step, and it is kept on disk.
    "cuda": CUDA kernels and our own handle of cuBLAS. Raises DeviceError where there is no CuPy or no GPU.
    None: NumPy alone again, on the CPU.
    """
    if device == "cuda":
        xp = device_module("cuda")
        import autograd.accelerate.gpu.twins  # noqa: F401 - fills GPU

        TWINS[xp] = GPU
        return True
    TWINS.pop(np, None)
    if device is None or importlib.util.find_spec("numba") is None:
        return False
    try:
        import numba  # noqa: F401
    except ImportError as e:  # it is installed, but not for this NumPy
        warnings.warn(f"numba cannot be used, so NumPy runs alone: {e}", RuntimeWarning, stacklevel=2)
        return False
    import autograd.accelerate.cpu.twins  # noqa: F401 - fills CPU

    TWINS[np] = CPU
    return True


def in_use(device: str) -> bool:
    """Whether the twins for a device are in use."""
    return DEVICES.get(device) in TWINS


def when_compiling(say: Callable[[], object]) -> contextlib.AbstractContextManager[None]:
    """Inside, `say()` is called once, before the first loop that is compiled; never where no loops are in use."""
    if not in_use("cpu"):
        return contextlib.nullcontext()
    from autograd.accelerate.cpu import compiling

    return compiling.when_compiling(say)
