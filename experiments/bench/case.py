"""What is measured, and how: sides that do the same thing, first checked equal, then timed one after the other."""

import contextlib
import gc
import importlib.util
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd import use_tf32
from autograd.arrays import device_module

KINDS = ("ours", "plain", "best")
SAMPLE = 0.02  # seconds that a sample should take at least: shorter runs are repeated within it
MOST_ROUNDS = 100
BUSY, MARK = 0.9, "busy"  # below this share of a core, times are those of other processes too


@dataclass
class Side:
    """One way to do it. `results` by name are compared before `run` is timed; they may change the state that it has."""

    run: Callable[[], Any]
    results: Callable[[], dict[str, Any]]
    ready: Callable[[], Any] = lambda: None  # called once, after the comparison and before the first sample


@dataclass
class Case:
    """A thing to time. `make(kind, device)` builds a side; `plain` and `best` may import PyTorch, `ours` may not."""

    group: str
    name: str
    make: Callable[[str, str], Side]
    kinds: tuple[str, ...] = KINDS
    calls: int = 1  # what one run does so many times: the time is that of one
    rate: str = ""  # "images/s": shown as a rate
    tolerance: float = 1e-4  # of `difference`
    mostly: frozenset = frozenset()  # results of which few elements may differ (see `disagreement`)
    quick: bool = False  # in the quick look too


@dataclass
class Measured:
    """Seconds of every sample by side, paired by round; `differs` says why there are none to compare."""

    case: Case
    samples: dict[str, list[float]]
    differs: str = ""
    flops: float = 0.0
    processor_share: float = 1.0  # processor time over the time that passed

    def median(self, kind: str) -> float | None:
        return statistics.median(self.samples[kind]) if self.samples.get(kind) else None

    def ratio(self, kind: str) -> tuple[float, float, float] | None:
        """Our time over that of `kind`: median and quartiles of the ratios, round by round."""
        if not self.samples.get("ours") or not self.samples.get(kind) or kind == "ours":
            return None
        ratios = [a / b for a, b in zip(self.samples["ours"], self.samples[kind], strict=True)]
        low, median, high = np.quantile(ratios, [0.25, 0.5, 0.75])
        return float(median), float(low), float(high)

    def record(self) -> dict[str, Any]:
        ratios = {k: r for k in self.samples if (r := self.ratio(k))}
        return {
            "group": self.case.group,
            "name": self.case.name,
            "seconds": {k: self.median(k) for k in self.samples},
            "ratio": {k: {"median": m, "quartiles": [low, high]} for k, (m, low, high) in ratios.items()},
            "differs": self.differs or None,
            "flops": self.flops or None,
            "processor share": round(self.processor_share, 3),
            "samples": self.samples,
        }


def has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None


def difference(found: Any, expected: Any) -> float:
    """The largest |a − b| / (|b| + rms b); infinity for other shapes and for what is not finite."""
    a, b = (np.asarray(x, np.float64) for x in (found, expected))
    if a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return np.inf
    scale = np.abs(b) + np.sqrt(np.square(b).mean() if b.size else 0.0)
    apart = np.abs(a - b)
    return float(np.max(apart / np.where(scale > 0, scale, 1), initial=0.0))


def disagreement(found: Any, expected: Any) -> float:
    """The share of elements that differ by more than a tenth of the rms, for what rounding may turn round.

    Adam without momentum moves every weight by the sign of its gradient, which rounding decides where it is about 0.
    """
    a, b = (np.asarray(x, np.float64) for x in (found, expected))
    if a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return np.inf
    return float((np.abs(a - b) > 0.1 * np.sqrt(np.square(b).mean())).mean())


LIMIT = 0.05  # of `disagreement`


def differences(case: Case, found: dict[str, Any], expected: dict[str, Any]) -> str:
    """ "" where the results agree, else the worst of them in words."""
    if found.keys() != expected.keys() or not found:
        return f"the results are {', '.join(found)} and {', '.join(expected)}"
    worst = {}
    for name in found:
        rough = name in case.mostly
        by = (disagreement if rough else difference)(found[name], expected[name])
        limit = LIMIT if rough else case.tolerance
        if not by <= limit:
            worst[name] = (by / limit, f"{name} differs by {by:.1e} (limit {limit:g})")
    return max(worst.values())[1] if worst else ""


def synchronise(device: str, kind: str) -> None:
    """Wait until a GPU has done what it was told."""
    if device == "cuda" and kind == "ours":
        device_module(device).cuda.get_current_stream().synchronize()
    elif device == "cuda":
        import torch

        torch.cuda.synchronize()


def timed(run: Callable[[], Any], times: int, wait: Callable[[], None]) -> float:
    wait()
    start = time.perf_counter()
    for _ in range(times):
        run()
    wait()
    return (time.perf_counter() - start) / times


def alternate(samplers: dict[str, Callable[[], float]], seconds: float, fewest: int) -> dict[str, list[float]]:
    """Samples by side, taken A B A B …, until `seconds` have passed, `fewest` of each at least."""
    samples: dict[str, list[float]] = {kind: [] for kind in samplers}
    start, rounds = time.perf_counter(), 0
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        while rounds < fewest or (time.perf_counter() - start < seconds and rounds < MOST_ROUNDS):
            for kind, sampler in samplers.items():
                samples[kind].append(sampler())
            rounds += 1
    finally:
        if collecting:
            gc.enable()
    return samples


@contextlib.contextmanager
def rounding(tf32: bool, with_torch: bool) -> Iterator[None]:
    """Inside, both sides multiply matrices on a GPU in TF32, or neither does."""
    if with_torch:
        import torch

        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    with use_tf32(tf32):
        yield


def measure(case: Case, device: str, seconds: float, fewest: int, with_torch: bool, tf32: bool = False) -> Measured:
    """Build the sides, compare what they compute with ours, and time those of a case that agree, in TF32 if it is asked
    for: the comparison is exact."""
    from experiments.bench.flops import counted

    kinds = [k for k in case.kinds if k == "ours" or with_torch]
    with rounding(False, with_torch):
        sides = {kind: case.make(kind, device) for kind in kinds}
        results = {kind: side.results() for kind, side in sides.items()}
    for kind in kinds[1:]:
        if why := differences(case, results["ours"], results[kind]):
            return Measured(case, {}, f"{kind}: {why}")
    results.clear()
    with rounding(tf32, with_torch):
        with counted() as total:
            sides["ours"].run()
        for side in sides.values():
            side.ready()
        samplers = {kind: sampler(side.run, device, kind) for kind, side in sides.items()}
        wall, processor = time.perf_counter(), time.process_time()
        samples = alternate(samplers, seconds, fewest)
    share = 1.0 if device == "cuda" else (time.process_time() - processor) / (time.perf_counter() - wall)
    samples = {kind: [t / case.calls for t in taken] for kind, taken in samples.items()}
    return Measured(case, samples, flops=total.flops / case.calls, processor_share=min(1.0, share))


def sampler(run: Callable[[], Any], device: str, kind: str) -> Callable[[], float]:
    """A function that takes a sample: seconds of one run, averaged over as many as a sample should have."""

    def wait() -> None:
        synchronise(device, kind)

    once = timed(run, 1, wait)  # a warm-up too
    times = max(1, round(SAMPLE / max(once, 1e-9)))
    return lambda: timed(run, times, wait)
