"""The peak memory of some training steps, each side in a process of its own: python -m experiments.bench.memory.

"step" is what a process holds at its peak beyond what it held before the networks were made, "all" counts the
libraries too. In `ru_maxrss` a process inherits the high-water mark of its parent (Linux keeps it over an exec), so
where /proc is, VmHWM is read, which is its own.
"""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autograd import accelerate
from autograd.arrays import device_module

if TYPE_CHECKING:
    from experiments.bench.case import Side

MIB = 2**20
STATUS = Path("/proc/self/status")
NUMBER_OF_STEPS = 4  # the first two are those of the comparison
TINY = {f"{net}_{key}": n for net in "gd" for key, n in (("width", 24), ("depth", 1))}
TINY |= {"batch": 2, "latent": 8, "g_head_width": 8, "cnn_width": 4}


def cases() -> list[str]:
    from experiments.bench.steps import STEPS

    return list(STEPS)


def of_process(name: str, kind: str, device: str, threads: int) -> dict[str, float]:
    """MiB by "step" and "all", of a fresh process that takes the steps; RuntimeError where it fails."""
    command = [sys.executable, "-m", "experiments.bench.memory", name, kind, device, str(threads)]
    command += ["loops"] if accelerate.in_use("cpu") else []
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
    if done.returncode:
        raise RuntimeError(f"{name}, {kind}: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    return json.loads(done.stdout)


def peak_and_now() -> tuple[float, float]:
    """Bytes: the most this process ever held, and what it holds; without /proc both are the most."""
    if STATUS.exists():
        lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if line.startswith("Vm"))
        return tuple(1024.0 * int(lines[key].split()[0]) for key in ("VmHWM", "VmRSS"))  # type: ignore[return-value]
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1.0 if sys.platform == "darwin" else 1024.0)
    return most, most


def main(name: str, kind: str, device: str, threads: str, *loops: str) -> None:
    from experiments.bench.steps import STEPS, our_side, torch_side

    def make(options: dict[str, Any]) -> "Side":
        return our_side(options, device) if kind == "ours" else torch_side(options, kind, device)

    accelerate.use("cpu" if loops else None)
    if kind != "ours":
        import torch

        torch.set_num_threads(int(threads))
    make({**STEPS[name], **TINY}).results()  # libraries bring code into memory where it is first called
    _, before = peak_and_now()
    side = make(STEPS[name])
    side.results()
    for _ in range(NUMBER_OF_STEPS - 2):
        side.run()
    most, _ = peak_and_now()
    if device == "cuda":
        most = before + _on_gpu(kind)
    print(json.dumps({"step": (most - before) / MIB, "all": most / MIB}))


def _on_gpu(kind: str) -> float:
    """Bytes that were allocated at the peak: of CuPy's pool, which does not shrink, or by PyTorch."""
    if kind == "ours":
        return float(device_module("cuda").get_default_memory_pool().total_bytes())
    import torch

    return float(torch.cuda.max_memory_allocated())


if __name__ == "__main__":
    main(*sys.argv[1:])
