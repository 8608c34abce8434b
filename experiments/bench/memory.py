"""The peak memory of some training steps, each side in a process of its own.

It is what the process holds at its peak beyond what it held before the networks were made. On Linux a process inherits
the `ru_maxrss` of its parent, so its own peak is read from /proc.
"""

import argparse
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from autograd import accelerate
from autograd.arrays import device_module
from experiments.bench.case import Case, Side
from experiments.bench.steps import QUICK, STEPS, step_case
from minigan.errors import InputError

MIB = 2**20
STATUS = Path("/proc/self/status")
TINY = {f"{net}_{key}": n for net in "gd" for key, n in (("width", 32), ("depth", 1))}
TINY |= {"batch": 2, "latent": 8, "g_head_width": 8, "cnn_width": 4}


def cases() -> list[Case]:
    return [MemoryCase("memory", name, {}, unit="MiB", quick=name in QUICK) for name in STEPS]


class MemoryCase(Case):
    """The step of the same name; the note of its row has the whole processes, libraries included."""

    def measure(self, how: argparse.Namespace) -> dict[str, Any]:
        found = {}
        for kind in how.kinds:
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                arguments = self.name, kind, how.device, how.threads, accelerate.in_use("cpu")
                found[kind] = process.submit(peak, *arguments).result()
        whole = " / ".join(f"{most:.0f}" for _, most in found.values())
        return self.row({kind: [step] for kind, (step, _) in found.items()}, note=f"with libraries {whole}")


def peak(name: str, kind: str, device: str, threads: int, loops: bool) -> tuple[float, float]:
    """MiB of some steps, and of the whole process, which must be a fresh one."""
    accelerate.use("cpu" if loops else None)
    if kind != "ours":
        import torch

        torch.set_num_threads(threads)
    tiny, real = (step_case(name, {**STEPS[name], **more}).sides[kind] for more in (TINY, {}))
    take_steps(tiny(device))  # libraries bring code into memory when it is first called
    before, _ = held_and_most()
    take_steps(real(device))
    _, most = held_and_most()
    if device == "cuda" and kind == "ours":
        most = before + device_module(device).get_default_memory_pool().total_bytes()  # the pool never shrinks
    elif device == "cuda":
        most = before + torch.cuda.max_memory_allocated()
    return (most - before) / MIB, most / MIB


def take_steps(side: Side) -> None:
    for _ in range(4):
        side.run()


def held_and_most() -> tuple[float, float]:
    """Bytes that this process holds, and the most it ever held; without /proc both are the most.

    InputError where the system does not tell (Windows).
    """
    if STATUS.exists():
        lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if line.startswith("Vm"))
        return 1024 * int(lines["VmRSS"].split()[0]), 1024 * int(lines["VmHWM"].split()[0])
    try:
        import resource
    except ImportError:
        raise InputError("this system does not tell how much memory a process has held") from None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return most, most
