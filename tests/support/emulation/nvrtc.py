"""CUDA sources to machine code without a GPU: NVIDIA's run-time compiler from the wheel nvidia-cuda-nvrtc."""

import contextlib
import ctypes
import importlib.util
import re
from pathlib import Path
from typing import NamedTuple

# What CuPy 14 passes for a RawModule, and a report from the assembler on each kernel.
CUPY_OPTIONS = ["--std=c++17", "-ftz=true", "--device-as-default-execution-space", "-Xptxas=-v"]


class Resources(NamedTuple):
    """What a kernel takes of a GPU: registers of a thread, bytes spilled to memory, bytes of the block's static shared
    memory, bytes of local stack."""

    registers: int
    spilled: int
    shared: int
    stack: int


def library() -> ctypes.CDLL | None:
    """libnvrtc, if there is one: as CuPy finds it, or out of its wheel."""
    with contextlib.suppress(ImportError, RuntimeError):  # no pathfinder, or nothing that it can find
        from cuda.pathfinder import load_nvidia_dynamic_lib

        return ctypes.CDLL(load_nvidia_dynamic_lib("nvrtc").abs_path)
    spec = importlib.util.find_spec("nvidia")
    for directory in spec.submodule_search_locations or [] if spec else []:
        for path in sorted(Path(directory).glob("*/lib/libnvrtc.so*")):
            for builtins in path.parent.glob("libnvrtc-builtins.so*"):
                ctypes.CDLL(str(builtins))  # libnvrtc asks for it by name, and does not look beside itself
            return ctypes.CDLL(str(path))
    return None


def compile_cuda(nvrtc: ctypes.CDLL, source: str, arch: int) -> dict[str, Resources]:
    """Compile for sm_`arch`; what each kernel takes. RuntimeError with the compiler's words if it does not compile."""
    program = ctypes.c_void_p()
    options = [o.encode() for o in [f"--gpu-architecture=sm_{arch}", *CUPY_OPTIONS]]
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None)
    failed = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    if failed:
        raise RuntimeError(log.value.decode())
    return _read_report(log.value.decode())


def _read_report(log: str) -> dict[str, Resources]:
    found = {}
    for part in log.split("Compiling entry function '")[1:]:
        numbers = [_number(part, r"Used (\d+) registers"), _number(part, r"(\d+) bytes spill stores")]
        numbers += [_number(part, r"(\d+) bytes smem"), _number(part, r"(\d+) bytes stack frame")]
        found[part.split("'")[0]] = Resources(*numbers)
    return found


def _number(text: str, pattern: str) -> int:
    match = re.search(pattern, text)
    return int(match[1]) if match else 0
