"""The benchmark's times: sides take turns, are ready before they are timed, and ranks are predicted and timed."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from bench_sides import how
from fake_cuda import fake_cuda

from autograd.modes import state
from experiments.bench import case as cases
from experiments.bench import memory, ranks, show, steps
from experiments.bench.case import Case, Side, alternate


def test_sides_take_turns(monkeypatch):
    order = []
    taken = alternate({kind: lambda kind=kind: order.append(kind) or len(order) for kind in "ABC"}, 0.0, 4)
    assert "".join(order) == "ABC" * 4 and taken == {"A": [1, 4, 7, 10], "B": [2, 5, 8, 11], "C": [3, 6, 9, 12]}
    now = iter(range(1000))
    monkeypatch.setattr(cases.time, "perf_counter", lambda: next(now))
    assert len(alternate({"A": lambda: 1.0}, 10, 0)["A"]) == 9  # as many rounds as the seconds last
    assert len(alternate({"A": lambda: 1.0}, 1e9, 3)["A"]) == cases.MOST_ROUNDS


def test_a_side_is_compared_then_made_ready_then_timed_and_tf32_is_for_the_timing():
    calls = []

    def call(name):
        calls.append((name, state.tf32))
        return {"y": 1.0}

    side = Side(lambda: call("run"), lambda: call("results"), lambda: call("ready"))
    args = how("--tf32", kinds=("ours",))
    assert not Case("step", "x", {"ours": lambda device: side}).measure(args)["differs"] and not state.tf32
    assert calls[:3] == [("results", False), ("run", True), ("ready", True)] and set(calls[3:]) == {("run", True)}


def test_a_ratio_is_that_of_rounds():
    row = Case("step", "x", {}).row({"ours": [1.0, 2.0, 30.0], "plain": [2.0, 4.0, 40.0]}, flops=1e9)
    assert row["ratio"] == {"plain": [0.5, 0.5, 0.625]} and row["median"] == {"ours": 2, "plain": 4}
    for text in ("0.50 (0.50–0.62)", " 2 s ", " 4 s ", "0.5       50%"):
        assert text in show.line(row, 1e9)
    assert show.line({**row, "processor share": 0.5}, 1e9).endswith("busy")
    assert [show.value(s, "s") for s in (2, 0.1234, 1e-3, 4.56e-6)] == ["2 s", "123 ms", "1 ms", "4.56 µs"]
    assert show.value(0.5, "images/s") == "2/s" and show.value(12.3, "MiB") == "12 MiB"


def test_the_time_is_that_of_one_call():
    side = Side(lambda: sum(range(200_000)), lambda: {"y": np.ones(1)})
    args = how(kinds=("ours",))
    one, many = (Case("ops", "x", {"ours": lambda device: side}, n).measure(args)["median"]["ours"] for n in (1, 100))
    assert 20 < one / many < 500


def test_on_a_gpu_the_step_that_is_timed_is_captured_before_it_is_timed():
    """Else the capture falls into the first sample, and every sample is then one step that is waited for."""
    with fake_cuda() as cuda:
        side = steps.our_side({**memory.TINY, "image_size": 8}, "strict")
        side.ready()
        assert cuda.launches == 0
        side.run()
        assert cuda.launches == 1


def test_on_a_gpu_pytorch_has_compiled_before_it_is_timed(monkeypatch):
    """It compiles again when the rounding changes, and records its graph in a later run: no sample may hold that."""
    taken = []
    stub = SimpleNamespace(compiled=True, step=lambda *rates: taken.append(state.tf32))
    monkeypatch.setitem(
        sys.modules, "experiments.pytorch.gan", SimpleNamespace(TorchGAN=lambda gan, best, device: stub)
    )
    side = steps.torch_side(True, {**memory.TINY, "image_size": 8}, "cuda")
    with cases.rounding(True, how("--tf32", kinds=("ours",))):
        side.ready()
    assert taken == [True] * steps.WARM_UP and stub.rng is None
    side.run()
    assert len(taken) == steps.WARM_UP + 1


def test_prediction_of_ranks_follows_the_formulas():
    fixed, each = ranks.line_through({32: 0.043, 16: 0.027, 8: 0.019})
    assert fixed == pytest.approx(0.011) and each == pytest.approx(0.001)
    network = ranks.Network("a", latency=1e-3, bandwidth=4e6)
    assert network.seconds(1_000_000, 1) == 0
    assert network.seconds(1_000_000, 2) == pytest.approx(2e-3 + 1.0)  # 2 latencies, 2 · ½ · 4 MB
    assert network.seconds(1_000_000, 4) == pytest.approx(4e-3 + 1.5)  # 4 latencies, 2 · ¾ · 4 MB
    assert ranks.efficiency(alone=1.0, share=0.5, exchange=0.0, ranks=2) == 1
    assert ranks.efficiency(alone=1.0, share=0.6, exchange=0.025, ranks=2) == pytest.approx(0.8)


def test_steps_are_timed_after_the_warm_up_and_as_many_as_the_first_process_says():
    calls = []
    times = ranks.steps_of(lambda: calls.append(1), 60.0, lambda n: min(n, 5))
    assert len(times) == 5 and len(calls) == ranks.WARM_UP + 1 + len(times)
    calls.clear()
    times = ranks.steps_of(lambda: calls.append(1), 0.0, lambda n: n)  # slower than the time there is
    assert len(times) == ranks.LEAST and len(calls) == 1 + 1 + len(times)


@pytest.mark.slow
def test_distributed_data_parallel_by_two_processes_takes_steps(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    times = ranks.timed("plain", "CNN 28²", 0.1, loops=False)
    assert len(times) >= ranks.LEAST and all(t > 0 for t in times)
