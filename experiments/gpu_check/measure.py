"""Measurements that no other command makes, for stages: python -m experiments.gpu_check.measure FOLDER WHAT [ARGUMENTS]

Writes FOLDER/found.json. Its list "wrong" has a sentence for everything that must not be; then the exit status is 1.
"""

import contextlib
import gc
import importlib.metadata
import importlib.util
import json
import math
import re
import shutil
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from experiments.gpu_check.stages import STEPS

ROOT = Path(__file__).parents[2]
PACKAGES = "numpy cupy-cuda12x cupy-cuda13x nvidia-cublas nvidia-cuda-nvrtc nvidia-nccl-cu12 nvidia-nccl-cu13 "
PACKAGES += "cuda-pathfinder mpi4py mpich torch triton pytest numba"
MIB = 2**20
GROWN = 1000  # steps over which memory may not grow
SECONDS = 20.0  # fewer steps, if so many take longer
HOLD = 0.3  # seconds for which the device is held up while steps are started
HOLDER = r"""
extern "C" __global__ void hold(unsigned long long nanoseconds) {
    unsigned long long start, now;
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(start));
    do asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now)); while (now - start < nanoseconds);
}
"""


def environment(folder: Path) -> dict[str, Any]:
    """The machine, and what other stages may need and would not find here. Runs without a GPU too."""
    lacking = missing()
    names = [n for n in PACKAGES.split() if any(True for _ in importlib.metadata.distributions(name=n))]
    found = {"missing": lacking, "versions": {n: importlib.metadata.version(n) for n in names}}
    if "gpu" in lacking:
        return found
    import cupy

    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(["nvidia-smi"], timeout=15)  # into the log
    runtime, device = cupy.cuda.runtime, cupy.cuda.Device()
    properties = runtime.getDeviceProperties(device.id)
    found |= {
        "gpu": properties["name"].decode(),
        "compute capability": device.compute_capability,
        "multiprocessors": properties["multiProcessorCount"],
        "memory, MiB": properties["totalGlobalMem"] // MIB,
        "shared memory of a block, KiB": properties["sharedMemPerBlockOptin"] // 1024,
        "driver": runtime.driverGetVersion(),
        "runtime": runtime.runtimeGetVersion(),
    }
    return found | {"libraries": libraries()}


def missing() -> dict[str, str]:
    """What is not here: name → why, in words."""
    from autograd.arrays import DeviceError, use_cuda
    from minigan.ranks import mpiexec

    lacking = {}
    try:
        use_cuda()
    except DeviceError as e:
        lacking["gpu"] = str(e)
    if not (ROOT / "tests").is_dir():
        lacking["tests"] = "the tests lie in the checkout, and this is an installed copy"
    elif not importlib.util.find_spec("pytest"):
        lacking["tests"] = "pytest is not installed (pip install -e '.[test]')"
    if not importlib.util.find_spec("torch"):
        lacking["torch"] = "PyTorch is not installed (pip install -e '.[torch]')"
    else:
        try:
            import torch

            if not torch.cuda.is_available():
                lacking["torch"] = "this PyTorch finds no GPU"
        except Exception as e:
            lacking["torch"] = f"PyTorch is installed, but cannot be used ({e})"
    if "gpu" not in lacking and len(counts()) < 2:
        lacking["GPUs"] = "there is one GPU, and ranks share a step only among several"
    if not importlib.util.find_spec("mpi4py") or not mpiexec():
        lacking["MPI"] = "mpi4py or mpiexec is not installed (pip install -e '.[mpi]')"
    if not shutil.which("compute-sanitizer"):
        lacking["compute-sanitizer"] = "compute-sanitizer is not there (it comes with the CUDA toolkit)"
    return lacking


def counts() -> list[int]:
    """1, 2, 4 … GPUs, as many as there are."""
    import cupy

    return [2**k for k in range(cupy.cuda.runtime.getDeviceCount().bit_length())]


def libraries() -> dict[str, str]:
    """Where each library of CUDA was found, or why not."""
    paths = {}
    for name in ("cublas", "nvrtc", "cudart"):
        try:
            from cuda.pathfinder import load_nvidia_dynamic_lib

            paths[name] = str(load_nvidia_dynamic_lib(name).abs_path)
        except Exception as e:
            paths[name] = f"not found: {e}"
    return paths


def kernels(folder: Path) -> dict[str, Any]:
    """Registers, stack and shared memory of every kernel as loaded; attention of 100 and of 250 tokens, 63 and 152 KiB.

    A block may always ask for 48 KiB of shared memory; for more a kernel must be allowed to. What no block may ask for
    runs on matrix products.
    """
    from autograd import Tensor, grad, ops
    from autograd.accelerate.gpu import launch
    from autograd.arrays import to_device, to_host
    from minigan import accelerate

    accelerate.use("cuda")
    module = launch._cupy_module(launch.source())
    loaded, names = {}, ("num_regs", "local_size_bytes", "shared_size_bytes", "max_threads_per_block")
    for name in launch.kernels():
        function = module.get_function(name)
        loaded[name] = {attribute: getattr(function, attribute) for attribute in names}
    errors = {}
    for tokens in (100, 250):
        rng, sides = np.random.default_rng(0), []
        arrays = [rng.standard_normal((2, 4, tokens, 64), np.float32) for _ in range(3)]
        for device in ("cpu", "cuda"):
            xs = [Tensor(to_device(a, device), requires_grad=True) for a in arrays]
            y = ops.attention(xs[0], xs[1], xs[2], similarity="l2")
            sides.append([to_host(a) for a in (y.data, *grad((y * y).sum(), xs))])
        worst = max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in zip(*sides, strict=True))
        errors[f"{tokens} tokens"] = worst
    wrong = [f"attention of {name} differs by {error:.1e}" for name, error in errors.items() if not error <= 1e-4]
    return {"kernels": loaded, "error of attention": errors, "wrong": wrong}


def gan_of(name: str, graph: bool, world: Any = None) -> Any:
    """The GAN of a configuration in STEPS, on noise."""
    from minigan import accelerate
    from minigan.presets import resolve
    from minigan.step import GAN

    accelerate.use("cuda")
    c = resolve(**STEPS[name])
    shape = (2048, c.image_size, c.image_size) + ((3,) if c.channels == 3 else ())
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return GAN(c, images, "cuda", graph=graph, world=world)


def step(folder: Path, name: str, rounding: str) -> dict[str, Any]:
    """A captured and an eager step: what it takes, what it holds, whether anything waits, what grows."""
    import cupy

    from autograd import use_tf32

    found: dict[str, Any] = {}
    with use_tf32(rounding == "TF32"):
        gan, started = gan_of(name, graph=True), time.perf_counter()
        captured, _ = gan.capture()
        found["capture, s"] = time.perf_counter() - started
        found["nodes"] = len(set(re.findall(r"graph_\d+_node_\d+", captured.graph.debug_dot_str(0)))) or None
        found["memory of the graph, MiB"] = captured.pool.total_bytes() / MIB
        for _ in range(10):
            gan.step()
        stats = cupy.asnumpy(gan.stats)  # of the first steps: noise is no data to train on for long
        found["captured"] = timed(gan, 200)
        found["waits"] = waits(gan)
        write(folder, found)  # what comes now takes longest
        found |= grown(gan, found["captured"]["ms"])
        del gan, captured
        gc.collect()
        cupy.get_default_memory_pool().free_all_blocks()
        found["eager"] = timed(gan_of(name, graph=False), 20)
        found["memory of eager steps, MiB"] = cupy.get_default_memory_pool().total_bytes() / MIB
    wrong = ["a captured step waits for the device"] if found["waits"] else []
    if found["grown by, MiB"] > 1:
        wrong.append(f"memory grew by {found['grown by, MiB']:.0f} MiB in {found['steps']:,} steps")
    if not np.isfinite(stats).all():
        wrong.append("a loss or a gradient is not a finite number")
    return found | {"wrong": wrong}


def timed(gan: Any, steps: int) -> dict[str, float]:
    """Milliseconds of a step by the device's clock, and of starting one by the host's."""
    import cupy

    for _ in range(5):
        gan.step()
    start, end = cupy.cuda.Event(), cupy.cuda.Event()
    cupy.cuda.Device().synchronize()
    host = time.perf_counter()
    start.record()
    for _ in range(steps):
        gan.step()
    host = time.perf_counter() - host
    end.record()
    end.synchronize()
    return {"ms": cupy.cuda.get_elapsed_time(start, end) / steps, "host ms": 1e3 * host / steps}


def waits(gan: Any) -> bool:
    """Whether starting three steps, roots of Shampoo included, waits for the device, which a kernel holds up."""
    import cupy

    hold, held = cupy.RawKernel(HOLDER, "hold"), cupy.cuda.Event()
    hold((1,), (1,), (np.uint64(0),))  # compiles it
    cupy.cuda.Device().synchronize()
    hold((1,), (1,), (np.uint64(HOLD * 1e9),))
    held.record()
    with roots_every(gan, 1):
        for _ in range(3):
            gan.step()
    waited = bool(held.done)
    cupy.cuda.Device().synchronize()
    return waited


@contextlib.contextmanager
def roots_every(gan: Any, steps: int) -> Iterator[None]:
    """Shampoo computes its roots after every so many steps. Adam, which has none, is not changed."""
    optimisers = [o for o in (gan.adam_d, gan.adam_g) if hasattr(o, "every")]
    before = [o.every for o in optimisers]
    for o in optimisers:
        o.every = steps
    try:
        yield
    finally:
        for o, every in zip(optimisers, before, strict=True):
            o.every = every


def grown(gan: Any, ms: float) -> dict[str, float]:
    """By how much the memory in use on the device grows over GROWN steps, or as many as fit into SECONDS."""
    import cupy

    steps = min(GROWN, math.ceil(1e3 * SECONDS / ms))
    cupy.cuda.Device().synchronize()
    free, _ = cupy.cuda.runtime.memGetInfo()
    for _ in range(steps):
        gan.step()
    cupy.cuda.Device().synchronize()
    return {"steps": steps, "grown by, MiB": (free - cupy.cuda.runtime.memGetInfo()[0]) / MIB}


def ranks(folder: Path, name: str) -> dict[str, Any]:
    """A captured step shared by 1, 2, 4 … GPUs: `share` in as many processes, for each number."""
    from minigan.ranks import mpiexec

    found: dict[str, Any] = {"ms": {}, "wrong": []}
    for n in counts():
        place = folder / f"{n}"
        place.mkdir(exist_ok=True)
        program = [sys.executable, "-m", "mpi4py", "-m", "experiments.gpu_check.measure", str(place), "share", name]
        ended = subprocess.run([mpiexec() or "mpiexec", "-n", f"{n}", *program]).returncode
        said = place / "found.json"
        part = json.loads(said.read_text(encoding="utf-8")) if said.is_file() else {}
        if "ms" in part:
            found["ms"][f"{n}"] = part["ms"]
        found["wrong"] += [f"{n} GPUs: {wrong}" for wrong in part.get("wrong", [])]
        if ended and not part.get("wrong"):
            found["wrong"].append(f"{n} GPUs: exit status {ended}")
        write(folder, found)
    return found


def share(folder: Path, name: str) -> dict[str, Any]:
    """One of the ranks of `ranks`: the time of a captured step, and whether all ranks have the same weights after."""
    from autograd.arrays import device_module, to_host
    from minigan.errors import InputError
    from minigan.ranks import join

    world = join()
    world.one_gpu()
    world.use_nccl(device_module("cuda"))
    gan, wrong = gan_of(name, graph=True, world=world), []
    world.barrier()
    times = timed(gan, 100)
    try:
        world.check_equal([np.asarray(to_host(adam.flat.data)) for adam in (gan.adam_d, gan.adam_g)], "the weights")
    except InputError as e:
        wrong.append(str(e))
    return {**times, "wrong": wrong}


def profile(folder: Path, name: str, rounding: str) -> dict[str, Any]:
    """µs of each kernel in a replay. PyTorch's profiler sees every kernel of the process."""
    import cupy
    import torch

    from autograd import use_tf32

    replays, path = 5, folder / "trace.json"
    torch.cuda.init()
    with use_tf32(rounding == "TF32"):
        gan = gan_of(name, graph=True)
        for _ in range(replays):
            gan.step()
        cupy.cuda.Device().synchronize()
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
            for _ in range(replays):
                gan.step()
            cupy.cuda.Device().synchronize()
    profiler.export_chrome_trace(str(path))
    return summed(json.loads(path.read_text(encoding="utf-8"))["traceEvents"], replays)


def summed(events: list[dict[str, Any]], replays: int) -> dict[str, Any]:
    """The events of a trace by kernel: (name, µs in a replay, launches in a replay), the longest first."""
    events = [e for e in events if e.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset")]
    if not events:
        return {"wrong": ["the profiler saw no kernel"]}
    total: Counter[str] = Counter()
    for e in events:
        total[e["name"]] += e["dur"] / replays
    launches = Counter(e["name"] for e in events)
    span = max(e["ts"] + e["dur"] for e in events) - min(e["ts"] for e in events)
    rows = [(kernel, us, launches[kernel] / replays) for kernel, us in total.most_common()]
    return {"µs busy": sum(total.values()), "µs in all": span / replays, "kernels": rows}


MEASURES: dict[str, Callable[..., dict[str, Any]]] = {
    "environment": environment,
    "kernels": kernels,
    "step": step,
    "ranks": ranks,
    "share": share,
    "profile": profile,
}


def write(folder: Path, found: dict[str, Any]) -> None:
    from minigan.files import write_bytes

    write_bytes(folder / "found.json", json.dumps(found, indent=1, ensure_ascii=False).encode())


def main(argv: list[str]) -> int:
    from minigan.ranks import leave, world

    folder, what, *args = argv
    try:
        found = MEASURES[what](Path(folder), *args)
    except Exception:
        traceback.print_exc()
        leave(1, failed=True)  # a rank ends the others with its error; a process alone goes on to the next line
        return 1
    if world().first:
        write(Path(folder), found)
    with contextlib.suppress(UnicodeEncodeError):
        print(json.dumps(found, ensure_ascii=False))
    return 1 if found.get("wrong") else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
