"""The measurements as a table in text, as a record, and the machine they were taken on."""

import os
import platform
from pathlib import Path
from typing import Any

import numpy as np

from experiments.bench.case import BUSY, KINDS, MARK, Measured

TITLES = {
    "overhead": "engine overhead, an op on two elements",
    "step": "a whole training step of both networks",
    "ops": "the hot ops at the shapes of these steps",
    "inception": "Inception features",
    "metrics": "the figures of merit",
    "memory": "peak memory of the steps, beyond the libraries",
}
WIDE = (46, 10)  # of the name, and of a value
HEAD = ["ours", "plain", "best", "ours/plain", "ours/best", "GFLOP/s", "of peak"]


def heading(group: str) -> str:
    columns = "".join(f"{title:>{WIDE[1] + 8 * (title.startswith('ours/'))}}" for title in HEAD)
    return f"\n{TITLES[group]:<{WIDE[0]}}{columns}"


def row(m: Measured, peak: float) -> str:
    """A line of the table; where the results differ it says so, and there is neither time nor ratio."""
    name = f"{m.case.name:<{WIDE[0]}}"
    if m.differs:
        return f"{name}  results differ, so nothing is compared: {m.differs}"
    cells = [f"{value(m, kind):>{WIDE[1]}}" for kind in KINDS]
    cells += [f"{ratio(m.ratio(kind)):>{WIDE[1] + 8}}" for kind in KINDS[1:]]
    cells += [f"{text:>{WIDE[1]}}" for text in arithmetic(m, peak)]
    return (name + "".join(cells)).rstrip() + (f"  {MARK}" if m.processor_share < BUSY else "")


def value(m: Measured, kind: str) -> str:
    seconds = m.median(kind)
    if seconds is None:
        return "–"
    return f"{1 / seconds:.3g}/s" if m.case.rate else duration(seconds)


def duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}" if seconds < 100 * size else f"{seconds / size:,.0f} {unit}"
    return f"{seconds * 1e6:.3g} µs"


def ratio(r: tuple[float, float, float] | None) -> str:
    """0.71 (0.69–0.74): the median, and the quartiles between which half of the rounds lie."""
    return "–" if r is None else f"{r[0]:.2f} ({r[1]:.2f}–{r[2]:.2f})"


def arithmetic(m: Measured, peak: float) -> tuple[str, str]:
    seconds = m.median("ours")
    if not m.flops or seconds is None or m.case.group == "overhead":
        return "", ""
    return f"{m.flops / seconds / 1e9:.3g}", f"{m.flops / seconds / peak:.0%}"


def memory_row(name: str, found: dict[str, dict[str, float]]) -> str:
    cells = [f"{found[k]['step']:.0f} MiB" if k in found else "–" for k in KINDS]
    both = [(found["ours"]["step"] / found[k]["step"]) if k in found else None for k in KINDS[1:]]
    ratios = ["–" if r is None else f"{r:.2f}" for r in both]
    everything = " / ".join(f"{found[k]['all']:.0f}" for k in KINDS if k in found)
    return (
        f"{name:<{WIDE[0]}}"
        + "".join(f"{cell:>{WIDE[1]}}" for cell in cells)
        + "".join(f"{cell:>{WIDE[1] + 8}}" for cell in ratios)
        + f"   with libraries {everything}"
    )


def machine(device: str, threads: int, with_torch: bool) -> dict[str, Any]:
    """What a time depends on."""
    facts: dict[str, Any] = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "device": device,
        "system": platform.system(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": _blas(),
        "torch": None,
    }
    if with_torch:
        import torch

        facts["torch"] = torch.__version__
        facts["torch threads"] = torch.get_num_threads()
    if device == "cuda":
        from autograd.arrays import device_module

        cupy = device_module(device)
        facts["gpu"] = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
        facts["cupy"] = cupy.__version__
    return facts


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), platform.machine())


def _blas() -> str:
    build: Any = np.show_config(mode="dicts")
    found = build.get("Build Dependencies", {}).get("blas", {})
    return f"{found.get('name', '?')} {found.get('version', '')}".strip()
