"""CUDA kernels run on the CPU, with checks that a GPU does not make.

The text of the kernels is compiled by g++ against shim.h, which gives CUDA's words a meaning, and linked with
runtime.cpp, which runs every thread of a block as a fiber, in an order drawn from `seed`. An `EmulationError` says:

- out of bounds: a read or write outside the arrays that were passed, or misaligned;
- read of shared memory that nothing was written to in this block;
- race: two threads touch the same four bytes, one of them writes, and no barrier stands between them, whatever the
  values. As on a GPU, __syncthreads orders the memory of a block, __syncwarp that of a warp, and a shuffle none;
- threads of a block at different barriers, lanes of a warp at different shuffles, or gone: on a GPU, a deadlock.

Floating-point functions are the C library's, and a · b + c is rounded twice: results differ from a GPU's in the last
digits. Not covered: speed, memory limits, and what nvcc makes of the text.
"""

import ctypes
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from autograd.accelerate.gpu.launch import BY_VALUE, Kernel, by_value

HERE = Path(__file__).parent
AVAILABLE = sys.platform == "linux" and shutil.which("g++") is not None
COMPILE = ["g++", "-std=c++17", "-O1", "-fPIC", "-ffp-contract=off", "-w", f"-I{HERE}"]
INSTRUMENT = ["-fsanitize=thread", "--param", "tsan-instrument-func-entry-exit=0"]


class EmulationError(RuntimeError):
    """What a GPU would have let pass, or crashed on."""


class Emulator:
    """The kernels of one CUDA source, compiled in `directory`; a runner for `launch.RUNNERS`."""

    def __init__(self, source: str, kernels: dict[str, Kernel], directory: Path):
        code = re.sub(r"extern __shared__ (\w+) (\w+)\[\];", r"\1* \2 = (\1*)emu_dynamic_shared();", source)
        wrappers = "\n".join(_wrapper(k) for k in kernels.values())
        (directory / "kernels.cpp").write_text(
            f'#include "shim.h"\nnamespace {{\n{code}\n}}\n{wrappers}\n', encoding="utf-8"
        )
        # the runtime is neither instrumented nor linked with the sanitizer's library: it defines what that calls
        builds = [(HERE / "runtime.cpp", []), (directory / "kernels.cpp", INSTRUMENT)]
        running = [
            subprocess.Popen([*COMPILE, *flags, "-c", str(path), "-o", str(directory / f"{path.stem}.o")])
            for path, flags in builds
        ]
        if any([process.wait() for process in running]):
            raise RuntimeError("g++ cannot compile the emulated kernels")
        objects = [str(directory / f"{path.stem}.o") for path, _ in builds]
        subprocess.run(["g++", "-shared", "-o", str(directory / "kernels.so"), *objects], check=True)
        self.library = ctypes.CDLL(str(directory / "kernels.so"))
        self.library.emu_run.restype = ctypes.c_char_p
        self.seed = 0
        self.dropped = 0  # how often the last kernel met the barrier that drop_barrier names

    def drop_barrier(self, file: str, line: int) -> None:
        """From now on the barrier at that line does nothing; line 0 restores it."""
        self.library.emu_drop_barrier(file.encode(), line)

    def __call__(self, kernel: Kernel, grid: tuple, block: tuple, shared: int, values: list) -> None:
        held, begins, names = [], [], []
        for p, value in zip(kernel.parameters, values, strict=True):
            if p.c_type in BY_VALUE:
                held.append(by_value(p, value))
                arrays = [(i, v) for i, v in enumerate(value) if isinstance(v, np.ndarray)]
                begins += [v for _, v in arrays]
                names += [f"{p.name}[{i}]".encode() for i, _ in arrays]
            elif p.pointer:
                held.append(np.array(0 if value is None else value.ctypes.data, np.uintp))
                if value is not None:
                    begins.append(value)
                    names.append(p.name.encode())
            else:
                held.append(np.array(value))
        n, pointers = len(begins), ctypes.c_void_p * len(begins)
        found = ctypes.c_int()
        message = self.library.emu_run(
            ctypes.cast(self.library[f"emu_call_{kernel.name}"], ctypes.c_void_p),
            (ctypes.c_void_p * len(held))(*(h.ctypes.data for h in held)),
            (ctypes.c_uint * 6)(*grid, *block),
            ctypes.c_size_t(shared),
            n,
            (ctypes.c_char_p * n)(*names),
            pointers(*(a.ctypes.data for a in begins)),
            (ctypes.c_size_t * n)(*(a.nbytes for a in begins)),
            self.seed,
            ctypes.byref(found),
        )
        self.dropped = found.value
        if message:
            raise EmulationError(f"{kernel.name}: {message.decode()}")


def _wrapper(kernel: Kernel) -> str:
    """A function that takes the arguments as an array of addresses, as a launch on a GPU does."""
    types = [p.c_type + "*" * p.pointer for p in kernel.parameters]
    args = ", ".join(f"*({t}*)args[{i}]" for i, t in enumerate(types))
    return (
        f'extern "C" __attribute__((no_sanitize_thread)) void emu_call_{kernel.name}(void** args) '
        f"{{ {kernel.name}({args}); }}"
    )
