"""Every CUDA kernel equals its NumPy twin, emulated and on a GPU, needs its barriers, and compiles for four GPUs."""

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from emulation import nvrtc
from emulation.emulator import EmulationError
from kernel_checks import CHECKS, check_adam, run
from slow import slow_but_the_first

from autograd.accelerate.gpu import adam as adam_kernel
from autograd.accelerate.gpu import launch
from autograd.accelerate.gpu import random as random_kernel
from autograd.accelerate.gpu.layer_norm import layer_norm
from autograd.accelerate.gpu.softmax import softmax
from autograd.arrays import to_device, to_host


@pytest.mark.parametrize("seed", slow_but_the_first([0, 1]))
@pytest.mark.parametrize("name", CHECKS)
def test_kernel_equals_its_twin(name, seed, device):
    CHECKS[name](device, np.random.default_rng(seed))


def test_philox_known_answer(device):
    """Random123's first: counter and key zero. Integers below 2³² are the words themselves."""
    state = to_device(np.zeros(2, np.uint64), device)
    words = to_host(random_kernel.integers(state, 0, 2**32, (4,)))
    assert [f"{w:08x}" for w in words] == ["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]


def test_a_large_array_goes_round_the_grid_more_than_once(device, monkeypatch):
    monkeypatch.setattr(adam_kernel, "BLOCKS", 2)  # 2 · 256 threads of four parameters each, for 5063
    check_adam(device, np.random.default_rng(0))


def test_empty_batches(device):
    y, mean, _ = run(device, layer_norm, np.zeros((0, 3, 8), np.float32), *np.ones((2, 8), np.float32))
    assert y.shape == (0, 3, 8) and mean.shape == (0, 3)
    assert run(device, softmax, np.zeros((0, 8), np.float32)).shape == (0, 8)


# Barriers: each one is needed, and the emulator says so when it is gone


def barriers() -> list[tuple[str, int]]:
    found = []
    for path in sorted(path for folder in launch.FOLDERS for path in folder.glob("*.cu*")):
        for i, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
            if re.search(r"__sync(threads|warp)\(", line.split("//")[0]):
                found.append((path.name, i + 1))
    return found


@pytest.mark.parametrize("file, line", [pytest.param(*b, id=f"{b[0]}:{b[1]}") for b in barriers()])
def test_a_removed_barrier_is_noticed(file, line, emulator, monkeypatch):
    monkeypatch.setitem(launch.RUNNERS, np, emulator)
    checks = CHECKS.values() if file.endswith(".cuh") else [CHECKS[file.removesuffix(".cu")]]
    emulator.drop_barrier(file, line)
    try:
        with pytest.raises(EmulationError, match="race|which nothing was written to"):
            for check in checks:
                check("cpu", np.random.default_rng(0))
        assert emulator.dropped
    finally:
        emulator.drop_barrier("", 0)


# Machine code, without a GPU


def test_the_source_is_ascii():
    """CuPy writes it in the encoding of the locale, and an ASCII locale refuses a Σ in a comment."""
    assert launch.source().isascii() and "?" in launch.source()
    files = [path.read_text(encoding="utf-8") for folder in launch.FOLDERS for path in folder.glob("*.cu*")]
    assert not all(text.isascii() for text in files)
    assert all(line.partition("//")[0].isascii() for text in files for line in text.splitlines())  # only comments


ARCHITECTURES = (80, 90, 100, 120)
MOST_REGISTERS = 64  # of a thread: the 65,536 that there are then serve any block


@pytest.mark.slow
def test_kernels_compile_for_every_architecture():
    library = nvrtc.library()
    if library is None:
        pytest.skip("needs the wheel nvidia-cuda-nvrtc")
    with ThreadPoolExecutor(2) as pool:
        compiled = list(pool.map(lambda arch: nvrtc.compile_cuda(library, launch.source(), arch), ARCHITECTURES))
    for arch, kernels in zip(ARCHITECTURES, compiled, strict=True):
        assert kernels.keys() == launch.kernels().keys()
        for name, used in kernels.items():
            assert used.spilled == 0, f"{name} on sm_{arch} spills {used.spilled} bytes of registers"
            assert used.registers <= MOST_REGISTERS, f"{name} on sm_{arch} takes {used.registers} registers"
            assert used.shared <= 8 * 1024 and used.stack <= 32, f"{name} on sm_{arch}: {used}"


def test_the_compiler_says_what_is_wrong():
    library = nvrtc.library()
    if library is None:
        pytest.skip("needs the wheel nvidia-cuda-nvrtc")
    with pytest.raises(RuntimeError, match='identifier "y" is undefined'):
        nvrtc.compile_cuda(library, 'extern "C" __global__ void k(float* x) { x[0] = y; }', 90)


def test_the_compiler_is_looked_for_as_cupy_does_and_else_in_its_wheel(tmp_path, monkeypatch):
    """libnvrtc asks for its builtins by name, and in a wheel nobody but us looks beside it."""
    loaded = []
    monkeypatch.setattr(nvrtc.ctypes, "CDLL", lambda path: loaded.append(Path(path).name) or path)
    pathfinder = ModuleType("cuda.pathfinder")
    pathfinder.load_nvidia_dynamic_lib = lambda name: SimpleNamespace(abs_path=f"/found/lib{name}.so")
    monkeypatch.setitem(sys.modules, "cuda", ModuleType("cuda"))
    monkeypatch.setitem(sys.modules, "cuda.pathfinder", pathfinder)
    assert nvrtc.library() == "/found/libnvrtc.so"

    def not_found(name):
        raise RuntimeError("DynamicLibNotFoundError")

    pathfinder.load_nvidia_dynamic_lib = not_found
    (tmp_path / "cu13" / "lib").mkdir(parents=True)
    for name in ("libnvrtc-builtins.so.13.0", "libnvrtc.so.13"):
        (tmp_path / "cu13" / "lib" / name).touch()
    wheel = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(nvrtc.importlib.util, "find_spec", lambda name: wheel)
    del loaded[:]
    assert nvrtc.library().endswith("libnvrtc.so.13")
    assert loaded == ["libnvrtc-builtins.so.13.0", "libnvrtc.so.13"]
