"""From a Python call to a CUDA kernel: the signature read from its source, every argument checked and cast.

CuPy passes a Python int as long long and a float as double. It takes any array, of any dtype, contiguous or not, as a
pointer, and a kernel then reads nonsense. So every kernel is run through `launch`.

The same call runs a kernel on a GPU (CuPy arrays) and, in the tests, in an emulator on the CPU (NumPy arrays).
The CuPy half has been compiled but not run: no GPU has been at hand.
"""

import functools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from autograd.arrays import array_module

FOLDERS = [Path(__file__).parent]  # where kernels lie; a package with kernels of its own adds its folder

C_TYPES: dict[str, Any] = {
    "float": np.float32,
    "float4": np.float32,  # four neighbours at once
    "double": np.float64,
    "int": np.int32,
    "unsigned int": np.uint32,
    "long long": np.int64,
    "unsigned long long": np.uint64,
    "unsigned char": np.uint8,
}
MOST_BLOCKS = (2**31 - 1, 65_535, 65_535)  # along the axes of a grid
LEAST_SHARED = 99 * 1024  # bytes of shared memory that a block may ask for on every GPU since sm_80
MOST_ARRAYS = 64  # of one parameter `Arrays` or `Ints`, which common.cuh defines
BY_VALUE = {  # a kernel's parameter of this type takes a list: of float32 arrays (None: a null pointer), or of ints
    "Arrays": np.dtype([("at", np.uint64, MOST_ARRAYS)]),
    "Ints": np.dtype([("at", np.int32, MOST_ARRAYS)]),
}


class Parameter(NamedTuple):
    name: str
    c_type: str
    pointer: bool

    @property
    def dtype(self) -> Any:
        return C_TYPES[self.c_type]

    @property
    def alignment(self) -> int:
        """What the address of the array must be a multiple of, in bytes."""
        return 16 if self.c_type == "float4" else np.dtype(self.dtype).itemsize


class Kernel(NamedTuple):
    """One `extern "C" __global__` function."""

    name: str
    parameters: tuple[Parameter, ...]

    def cast(self, args: Sequence[Any]) -> list:
        """Each argument as its parameter wants it: an array of that dtype, None (a null pointer), or a NumPy scalar.

        TypeError or ValueError for arguments that do not fit.
        """
        if len(args) != len(self.parameters):
            raise TypeError(f"kernel {self.name} takes {len(self.parameters)} arguments, got {len(args)}")
        return [self._cast(p, a) for p, a in zip(self.parameters, args, strict=True)]

    def _cast(self, p: Parameter, a: Any) -> Any:
        if p.c_type in BY_VALUE:
            if len(a) > MOST_ARRAYS:
                raise ValueError(f"kernel {self.name}: {p.name} takes at most {MOST_ARRAYS} values, got {len(a)}")
            pointer, c_type = p.c_type == "Arrays", "float" if p.c_type == "Arrays" else "int"
            return [self._cast(Parameter(f"{p.name}[{i}]", c_type, pointer), v) for i, v in enumerate(a)]
        if not p.pointer:
            if not isinstance(a, (int, float, np.generic)) or np.dtype(p.dtype).kind in "iu" and a != int(a):
                raise TypeError(f"kernel {self.name}: {p.name} is {np.dtype(p.dtype)}, not {a!r}")
            return p.dtype(a)  # OverflowError for an int that does not fit
        if a is None:
            return None
        if not hasattr(a, "flags") or a.dtype != p.dtype:
            found = getattr(a, "dtype", type(a).__name__)
            raise TypeError(f"kernel {self.name}: {p.name} is an array of {np.dtype(p.dtype)}, not {found}")
        if not a.flags.c_contiguous:
            raise ValueError(f"kernel {self.name}: {p.name} is not contiguous")
        if address(a) % p.alignment:
            raise ValueError(f"kernel {self.name}: the address of {p.name} is not a multiple of {p.alignment} bytes")
        return a


def address(a: Any) -> int:
    return a.ctypes.data if isinstance(a, np.ndarray) else a.data.ptr


def source() -> str:
    """All kernels as one program; each `#include "…"` is replaced by that file, the first time it is met.

    In ASCII, because CuPy writes it in the encoding of the locale; only comments have other letters.
    """
    return _joined(tuple(FOLDERS))


@functools.cache
def _joined(folders: tuple[Path, ...]) -> str:
    paths = {path.name: path for folder in folders for path in sorted(folder.glob("*.cu*"))}
    seen: set[str] = set()

    def expand(name: str) -> str:
        def include(match: re.Match) -> str:
            if match[1] in seen:
                return ""
            seen.add(match[1])
            line = text[: match.start()].count("\n") + 2
            return f'{expand(match[1])}\n#line {line} "{name}"'

        text = paths[name].read_text(encoding="utf-8").replace("#pragma once\n", "\n")
        return f'#line 1 "{name}"\n' + re.sub(r'#include "([^"]+)"', include, text)

    text = "\n".join(expand(name) for name in paths if name.endswith(".cu"))
    return text.encode("ascii", "replace").decode()


def kernels() -> dict[str, Kernel]:
    """Every kernel by name."""
    return parse(source())


@functools.cache
def parse(text: str) -> dict[str, Kernel]:
    """The kernels of a CUDA source by name."""
    found = re.findall(r'extern "C" __global__ void (\w+)\(([^)]*)\)', text)
    return {name: Kernel(name, tuple(map(_parameter, parameters.split(",")))) for name, parameters in found}


def _parameter(text: str) -> Parameter:
    words, name = text.replace("const ", "").split(), text.split()[-1]
    c_type = " ".join(words[:-1])
    return Parameter(name, c_type.rstrip("*"), c_type.endswith("*"))


Runner = Callable[[Kernel, tuple, tuple, int, list], None]
RUNNERS: dict[Any, Runner] = {}  # array module -> a function that runs a kernel on its arrays, in place of CuPy


def launch(name: str, grid: Sequence[int], block: Sequence[int], *args: Any, shared: int = 0) -> None:
    """Run a kernel over `grid` blocks of `block` threads, with `shared` bytes of shared memory for each block.

    TypeError or ValueError for arguments that do not fit, and for grids and blocks that no GPU has.
    """
    kernel = kernels()[name]
    values = kernel.cast(args)
    if any(n > most for n, most in zip(grid, MOST_BLOCKS, strict=False)):
        raise ValueError(f"kernel {name}: a grid of {tuple(grid)} blocks is larger than {MOST_BLOCKS}")
    if math.prod(block) % 32 or math.prod(block) > 1024:
        raise ValueError(f"kernel {name}: a block of {tuple(block)} threads is not made of at most 32 whole warps")
    if 0 in grid:  # nothing to do
        return
    modules = {array_module(v) for v in flattened(values) if hasattr(v, "flags") and not isinstance(v, np.generic)}
    if len(modules) > 1:
        raise TypeError(f"kernel {name}: some arrays are on the host and some on the device")
    xp = modules.pop()
    if shared > (most := most_shared(xp)):
        raise ValueError(f"kernel {name}: {shared} bytes of shared memory are more than the {most} of a block")
    if xp is np and np not in RUNNERS:
        raise TypeError(f"kernel {name} runs on a GPU, and these are NumPy arrays: call the op, which runs on both")
    run = RUNNERS.get(xp, _run_cupy)
    run(kernel, _three(grid), _three(block), shared, values)


@functools.cache
def most_shared(xp: Any) -> int:
    """Bytes of shared memory that a block may ask for: 227 KiB on an H100, 99 KiB where there is no GPU to ask."""
    if not hasattr(getattr(xp, "cuda", None), "runtime"):
        return LEAST_SHARED
    return xp.cuda.runtime.getDeviceProperties(xp.cuda.Device().id)["sharedMemPerBlockOptin"]


def flattened(values: Sequence[Any]) -> Iterator[Any]:
    """The values, and those in their lists."""
    for v in values:
        yield from v if isinstance(v, list) else [v]


def by_value(p: Parameter, values: Sequence[Any]) -> np.ndarray:
    """The struct of a parameter `Arrays` or `Ints`, as CuPy takes it: an array of one element."""
    struct = np.zeros(1, BY_VALUE[p.c_type])
    struct["at"][0, : len(values)] = [0 if v is None else address(v) if p.c_type == "Arrays" else v for v in values]
    return struct


def _three(sizes: Sequence[int]) -> tuple[int, int, int]:
    return (*sizes, *(1,) * (3 - len(sizes)))  # type: ignore[return-value]


def _run_cupy(kernel: Kernel, grid: tuple, block: tuple, shared: int, values: list) -> None:
    function = _cupy_function(kernel.name, shared > 48 * 1024)
    args = [by_value(p, v) if p.c_type in BY_VALUE else v for p, v in zip(kernel.parameters, values, strict=True)]
    function(grid, block, tuple(np.uint64(0) if v is None else v for v in args), shared_mem=shared)


@functools.cache
def _cupy_module(code: str) -> Any:
    import cupy

    return cupy.RawModule(code=code, options=("--std=c++17",))


@functools.cache
def _cupy_function(name: str, large: bool) -> Any:
    function = _cupy_module(source()).get_function(name)
    if large:  # beyond 48 KiB of shared memory a kernel has to be allowed to ask
        import cupy

        function.max_dynamic_shared_size_bytes = most_shared(cupy)
    return function


# What the launchers share


def empty(like: Any, shape: Sequence[int] | int, dtype: str = "float32") -> Any:
    """A new array on the device of `like`, for a kernel to fill."""
    return array_module(like).empty(shape, dtype=dtype)


def rows(x: Any) -> int:
    """How many rows there are along the last axis."""
    return math.prod(x.shape[:-1])


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def require(condition: bool, message: str) -> None:
    """ValueError with the message unless the condition holds."""
    if not condition:
        raise ValueError(message)
