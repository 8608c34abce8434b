"""A case: sides that do the same work. Their results are compared first; sides that agree are timed in turns."""

import argparse
import contextlib
import statistics
import time
import timeit
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd import use_tf32
from autograd.arrays import device_module
from experiments.bench.flops import counted

KINDS = ("ours", "plain", "best")
SAMPLE = 0.02  # seconds: a shorter run is repeated until a sample takes as long
MOST_ROUNDS = 100
ROUGH = (0.95, 0.05)  # the share of the elements of a rough result that must agree, and their tolerance


@dataclass
class Side:
    """One way to do the work. `results` are compared by name before `run` is timed; they may change its state."""

    run: Callable[[], Any]
    results: Callable[[], dict[str, Any]]
    ready: Callable[[], Any] = lambda: None  # called once, after the comparison and before the first sample


@dataclass
class Case:
    """A line of the benchmark. `sides[kind](device)` builds a side; "ours" must run without PyTorch."""

    section: str
    name: str
    sides: Mapping[str, Callable[[str], Side]]
    calls: int = 1  # in one run: the time shown is that of one call
    unit: str = "s"  # of the medians in the table: s, images/s, or MiB; samples are seconds or MiB
    tolerance: float = 1e-4  # the largest relative difference between results that agree
    rough: tuple[str, ...] = ()  # results of which rounding may turn a few elements: see ROUGH
    quick: bool = False  # part of --quick

    def measure(self, how: argparse.Namespace) -> dict[str, Any]:
        """The row of the case, measured as the flags of the command say. TF32 is for the timing only."""
        with rounding(False, how):
            sides = {kind: make(how.device) for kind, make in self.sides.items() if kind in how.kinds}
            results = {kind: side.results() for kind, side in sides.items()}
        for kind in results:
            if why := self.differences(results["ours"], results[kind]):
                return self.row({}, differs=f"{kind}: {why}")
        del results
        wait = device_module("cuda").cuda.runtime.deviceSynchronize if how.device == "cuda" else lambda: None
        with rounding(how.tf32, how):
            with counted() as total:
                sides["ours"].run()
            for side in sides.values():
                side.ready()
            samplers = {kind: sampler(side.run, wait) for kind, side in sides.items()}
            elapsed, busy = time.perf_counter(), time.process_time()
            samples = alternate(samplers, how.seconds, how.rounds)
        share = (time.process_time() - busy) / (time.perf_counter() - elapsed) if how.device == "cpu" else 1.0
        samples = {kind: [seconds / self.calls for seconds in taken] for kind, taken in samples.items()}
        return self.row(samples, flops=total.flops / self.calls, **{"processor share": round(share, 3)})

    def differences(self, found: dict[str, Any], expected: dict[str, Any]) -> str:
        """The worst difference in words, or "" where the results agree."""
        if found.keys() != expected.keys() or not found:
            return f"the results are {', '.join(found)} and {', '.join(expected)}"
        worst = []
        for name in found:
            share, limit = ROUGH if name in self.rough else (1.0, self.tolerance)
            by = difference(found[name], expected[name], share)
            if not by <= limit:
                worst.append((by / limit, f"{name} differs by {by:.1e} (limit {limit:g})"))
        return max(worst)[1] if worst else ""

    def row(self, samples: dict[str, list[float]], **more: Any) -> dict[str, Any]:
        """What was measured: a line of the table, of the page and of the record.

        samples: seconds or MiB by side; those of a round belong together. ratio: the median and the quartiles of
        ours/theirs, round by round. flops: operations in one call. processor share: processor time over elapsed time.
        """
        ratios = {kind: np.divide(samples["ours"], samples[kind]) for kind in samples if kind != "ours"}
        return {
            **{"section": self.section, "name": self.name, "unit": self.unit, "differs": None, "flops": 0.0},
            **{"processor share": 1.0, "note": ""},
            "median": {kind: statistics.median(taken) for kind, taken in samples.items()},
            "ratio": {kind: np.quantile(each, [0.5, 0.25, 0.75]).tolist() for kind, each in ratios.items()},
            "samples": samples,
            **more,
        }


def difference(found: Any, expected: Any, share: float = 1.0) -> float:
    """|a − b| / (|b| + rms b): the largest, or the quantile that `share` of the elements do not exceed.

    Infinity for different shapes and for numbers that are not finite.
    """
    a, b = (np.asarray(x, np.float64) for x in (found, expected))
    if a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return np.inf
    gap, scale = np.abs(a - b), np.abs(b) + np.sqrt(np.square(b).sum() / max(b.size, 1))
    with np.errstate(divide="ignore", invalid="ignore"):  # where b is 0 everywhere, any difference is infinite
        apart = np.where(gap > 0, gap / scale, 0.0)
    at = int(share * (b.size - 1))
    return float(np.partition(apart, at, axis=None)[at]) if b.size else 0.0


def alternate(samplers: dict[str, Callable[[], float]], seconds: float, rounds: int) -> dict[str, list[float]]:
    """Samples by side, taken A B A B … until `seconds` have passed and there are at least `rounds` of each."""
    samples: dict[str, list[float]] = {kind: [] for kind in samplers}
    start, done = time.perf_counter(), 0
    while done < rounds or (time.perf_counter() - start < seconds and done < MOST_ROUNDS):
        for kind, sample in samplers.items():
            samples[kind].append(sample())
        done += 1
    return samples


def sampler(run: Callable[[], Any], wait: Callable[[], Any]) -> Callable[[], float]:
    """A function that takes a sample: the mean seconds of a run, over as many runs as fill `SAMPLE`."""

    def sample(times: int) -> float:
        def runs() -> None:
            for _ in range(times):
                run()
            wait()

        return timeit.timeit(runs, setup=wait, number=1) / times  # without the garbage collector

    times = max(1, round(SAMPLE / max(sample(1), 1e-9)))  # the first run warms up too
    return lambda: sample(times)


@contextlib.contextmanager
def rounding(tf32: bool, how: argparse.Namespace) -> Iterator[None]:
    """Inside, both sides multiply matrices on a GPU in TF32, or neither does."""
    if len(how.kinds) > 1:
        import torch

        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    with use_tf32(tf32):
        yield
