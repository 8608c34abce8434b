"""The benchmark: what differs is not compared, sides take turns, arithmetic is counted right, PyTorch is optional."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fake_cuda import fake_cuda

from autograd import Tensor, grad, ops
from autograd.accelerate.each import Each
from autograd.each import each
from autograd.modes import state
from autograd.registry import TWINS
from experiments.bench import __main__ as command
from experiments.bench import case as cases
from experiments.bench import cases as table
from experiments.bench import flops, memory, ranks, show, steps
from experiments.bench.case import Case, Side, alternate, difference
from experiments.bench.flops import counted
from experiments.cli import run_main

TINY = {
    **{f"{net}_{k}": v for net in "gd" for k, v in {"width": 16, "depth": 1, "heads": 2}.items()},
    **{"latent": 6, "g_head_width": 12, "cnn_width": 4, "batch": 4},
}
AUGMENTED = {
    **{"image_size": 32, "channels": 3, "augment": "translation,cutout,brightness,contrast", "augment_p": 0.8},
    **{"bcr": 10.0, "penalty": "none", "loss": "nonsaturating", "g_head": "fourier", "d_position": "sine"},
}


def how(*flags, kinds=cases.KINDS, rounds=2):
    args = command.parser().parse_args(flags)
    args.kinds, args.seconds, args.rounds = kinds, 0, rounds
    return args


@pytest.fixture
def environment(monkeypatch):
    """The command sets the threads of processes it starts: put back afterwards. The peak takes it a while."""
    monkeypatch.setattr(flops, "peak", lambda *args: 1e11)
    for name in command.THREADS:
        monkeypatch.setenv(name, os.environ.get(name, "1"))


@pytest.fixture
def torch():
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch
    torch.set_num_threads(threads)


# ---- equality before time


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"variant": "cnn"}, AUGMENTED], ids=["vitgan", "cnn", "augmented"])
def test_the_steps_agree_and_are_timed(torch, options):
    row = steps.step_case("tiny", {**TINY, **options}).measure(how())
    assert not row["differs"] and {kind: len(s) for kind, s in row["samples"].items()} == dict.fromkeys(cases.KINDS, 2)
    assert min(min(s) for s in row["samples"].values()) > 0 and row["flops"] > 0


@pytest.mark.parametrize("wrong", ["activation", "scale", "penalty", "average", "update"])
def test_a_wrong_model_is_refused(torch, monkeypatch, wrong):
    from experiments.pytorch import models
    from experiments.pytorch.gan import TorchGAN

    right, step, judge = models.scores, TorchGAN.step, TorchGAN.judge
    if wrong == "activation":
        monkeypatch.setitem(models.ACTIVATIONS, "gelu_tanh", torch.nn.functional.silu)
    elif wrong == "scale":
        monkeypatch.setattr(models, "scores", lambda q, k, s: 0.5 * right(q, k, s))
    elif wrong == "penalty":
        monkeypatch.setattr(TorchGAN, "judge", lambda self, w: judge(self, 1.5 * w))
    elif wrong == "average":
        monkeypatch.setattr(TorchGAN, "update_average", lambda self, share: None)
    else:
        monkeypatch.setattr(TorchGAN, "step", lambda self, d, g, w: step(self, d, 0.5 * g, w))
    row = steps.step_case("tiny", TINY).measure(how())
    assert row["differs"].startswith("plain: ") and row["samples"] == row["ratio"] == {}
    assert "results differ, so nothing is compared" in show.line(row, 1e9) and "ms" not in show.line(row, 1e9)


def test_differences_are_measured_against_value_and_spread():
    x = np.array([1.0, -2.0, 0.0])
    assert difference(x, x) == 0 and difference(np.zeros(0), np.zeros(0)) == 0
    assert difference(x + [0, 0, 0.1], x) == pytest.approx(0.1 / np.sqrt(5 / 3))
    assert difference(x, 0 * x) == difference(x[:2], x) == np.inf and difference(0 * x, x) == pytest.approx(1, abs=0.5)
    assert difference(x * np.nan, x * np.nan) == np.inf
    signs = np.where(np.arange(100) % 2, 1.0, -1.0)
    few, many = (signs * np.where(np.arange(100) < n, -1, 1) for n in (5, 6))  # turned signs: 5 of 100 may be
    one = Case("ops", "x", {}, tolerance=1e-3, rough=("update",))
    assert one.differences({"y": x, "update": few}, {"y": x, "update": signs}) == ""
    assert "update differs by 1.0e+00" in one.differences({"y": x, "update": many}, {"y": x, "update": signs})
    assert "y differs" in one.differences({"y": x + 0.01}, {"y": x}) and one.differences({"y": x}, {"z": x})


# ---- time


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


# ---- arithmetic


def random(*shape):
    return Tensor(np.random.default_rng(0).standard_normal(shape, np.float32), requires_grad=True)


def flops_of(f, *xs, wrt=None):
    """Of f forward, and of the gradients of `wrt` (all)."""
    with counted() as forward:
        y = f(*xs)
    with counted() as backward:
        grad(y, xs if wrt is None else wrt, np.ones(y.shape, np.float32))
    return forward.flops, backward.flops


def test_arithmetic_by_closed_forms():
    x, w, b = random(5, 7, 6), random(4, 6), random(4)
    assert flops_of(ops.linear, x, w, b) == (2 * 35 * 6 * 4, 2 * 2 * 35 * 6 * 4)
    assert flops_of(ops.linear, x, w, b, wrt=[w]) == (2 * 35 * 6 * 4, 2 * 35 * 6 * 4)
    assert flops_of(ops.matmul, random(3, 5, 6), random(6, 2)) == (2 * 3 * 5 * 6 * 2, 2 * 2 * 3 * 5 * 6 * 2)
    q, k, v = random(2, 3, 5, 4), random(2, 3, 7, 4), random(2, 3, 7, 4)
    product = 2 * 6 * 5 * 7 * 4
    assert flops_of(ops.attention, q, k, v) == (2 * product, 4 * product)
    x, w = random(2, 3, 8, 8), random(5, 3, 4, 4)
    product = 2 * (2 * 5 * 4 * 4) * (3 * 16)
    assert flops_of(lambda x, w: ops.conv2d(x, w, None, 2, 1), x, w) == (product, 2 * product)
    x, w = random(2, 5, 4, 4), random(5, 3, 4, 4)
    assert flops_of(lambda x, w: ops.conv_transpose2d(x, w, None, 2, 1), x, w) == (product, 2 * product)
    assert flops_of(ops.gelu, x) == (0, 0)


def test_many_calls_at_once_count_as_one_by_one(monkeypatch):
    class Loop:
        def fits(calls):
            return True

        def forward(xp, calls):
            return (*(x @ w.T for x, w, _ in calls), None)

        def fused(xp, gs, calls, kept, need):
            return [(g @ w, g.T @ x, None) for g, (x, w, _) in zip(gs, calls, strict=True)]

    def both(x, v, w):
        return ops.concatenate(each(ops.linear, [(x, v, None), (x, w, None)]), axis=1)

    arrays = random(5, 6), random(4, 6), random(3, 6)
    one_by_one = flops_of(both, *arrays), flops_of(both, *arrays, wrt=[arrays[2]])
    monkeypatch.setitem(TWINS, np, {"linear.each": Each(ops.linear, Loop)})
    assert (flops_of(both, *arrays), flops_of(both, *arrays, wrt=[arrays[2]])) == one_by_one
    assert one_by_one == ((2 * 30 * 7, 2 * 2 * 30 * 7), (2 * 30 * 7, 2 * 30 * 3))


def test_a_rule_on_tensors_is_counted_by_its_ops():
    a, b = random(3, 4), random(4, 5)
    with counted() as total:
        grad(ops.matmul(a, b).sum(), [a, b], create_graph=True)
    assert total.flops == 3 * 2 * 3 * 4 * 5


def test_the_peak_is_of_this_machine():
    assert 1e7 < flops.peak("cpu", False, size=128, repeats=3) < 1e14


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "least", "most"),
    [({"d_depth": 4}, 0.8, 0.99), ({"variant": "cnn", "image_size": 64, "channels": 3}, 0.95, 1.05)],
    ids=["vitgan", "cnn"],
)
def test_arithmetic_of_a_step_is_what_pytorch_counts(torch, options, least, most):
    """Up to what is left out: σ and power iteration by vectors, and what PyTorch computes needlessly.

    Of the last block of a transformer's D we compute the class token alone, PyTorch all tokens.
    """
    from torch.utils.flop_counter import FlopCounterMode

    case = steps.step_case("tiny", {**TINY, "batch": 8, **options})
    with counted() as total:
        case.sides["ours"]("cpu").run()
    with FlopCounterMode(display=False) as counter:
        case.sides["plain"]("cpu").run()
    assert least < total.flops / counter.get_total_flops() < most


# ---- the cases


def test_every_op_of_the_table_agrees(torch, monkeypatch):
    monkeypatch.setattr(steps, "STEPS", {"tiny": TINY, "CNN": {**TINY, "variant": "cnn", "image_size": 32}})
    monkeypatch.setattr(table, "MODELS", ("tiny", "CNN"))
    made = [*table.overhead(), *table.hot_ops()]
    assert len(made) == 2 * (7 + 9 + 5)
    for case in made:
        results = {kind: make("cpu").results() for kind, make in case.sides.items()}
        assert len(results) == (3 if "attention" in case.name else 2) and len(results["ours"]) > 1
        for kind, found in results.items():
            assert case.differences(results["ours"], found) == "", (case.name, kind)


def test_both_attentions_of_best_agree(torch):
    from experiments.pytorch import models as t

    q, k, v = torch.randn(3, 2, 3, 5, 4)
    for similarity in ("dot", "l2"):
        expected = t.plain_attention(q, k, v, similarity)
        for found in (
            *(t.lean_attention(q, k, v, similarity, f) for f in (0, 1)),
            t.best_attention(q, k, v, similarity),
        ):
            torch.testing.assert_close(found, expected)


@pytest.mark.slow
def test_the_figures_of_merit_agree(torch):
    from experiments.bench import distances

    for dimensions in (8, 24):
        fake, real = distances.features(dimensions, 1200)
        for ours, theirs in distances.METRICS.values():
            expected = theirs(torch.tensor(fake), torch.tensor(real))
            assert Case("metrics", "", {}, tolerance=1e-3).differences(ours(fake, real), expected) == ""


@pytest.mark.slow
def test_folded_inception_is_the_published_one(torch):
    from experiments.bench.inception import random_tensors
    from experiments.pytorch.inception import TorchInception

    tensors = random_tensors()
    x = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        a, b = (TorchInception(tensors, folded=folded).features(x).numpy() for folded in (False, True))
    assert difference(b, a) < 1e-3


def test_names_are_clear_and_quick_is_a_part():
    every = command.chosen("", False)
    names = [(c.section, c.name) for c in every]
    assert len(set(names)) == len(names) and {c.section for c in every} == set(show.SECTIONS)
    assert all(key in command.EXAMPLES for key in show.SECTIONS) and max(len(n) for _, n in names) < show.NAME + 12
    quick = command.chosen("", True)
    assert {c.section for c in quick} == set(show.SECTIONS) and len(quick) < len(every)
    assert [c.name for c in command.chosen("step", False)] == list(steps.STEPS)
    assert {c.section for c in command.chosen("memory,inception", False)} == {"memory", "inception"}
    assert {c.section for c in command.chosen("attention l2, tanh forward", False)} == {"ops", "overhead"}
    both = command.chosen("step+small+batch 32, memory+CNN", False)
    assert [(c.section, c.name) for c in both] == [
        ("step", "small, batch 32"),
        ("memory", "CNN 28²"),
        ("memory", "CNN 64²"),
    ]


# ---- the command


def run(tmp_path, *flags):
    status = command.main([*flags, "--seconds", "0.001", "--out", str(tmp_path)])
    return status, json.loads((tmp_path / "bench.json").read_text()), (tmp_path / "bench.html").read_text()


@pytest.mark.slow
def test_table_json_and_page_have_the_same_rows(torch, environment, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "command_line", lambda: "python -m experiments.bench <only>")
    status, record, page = run(tmp_path, "--only", "tanh forward,tanh backward", "--quick")
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert status == 0 and "numpy" in lines[0] and "ours/plain" in lines[2] and "bench.html" in err
    assert record["machine"]["threads"] == 1 and record["machine"]["torch"] and record["machine"]["peak GFLOP/s"] == 100
    assert [row["name"] for row in record["rows"]] == ["tanh forward", "tanh backward"]
    for row, line in zip(record["rows"], lines[3:5], strict=True):
        assert not row["differs"] and len(row["samples"]["ours"]) == len(row["samples"]["plain"]) >= 3
        median, low, high = row["ratio"]["plain"]
        assert low <= median <= high and show.line(row, 1e11) == line
        assert all(text in page for text in (row["name"], *show.cells(row, 1e11).values()))
    assert "&lt;only&gt;" in page and page.count("<circle") == len(record["rows"])


def test_the_chart_draws_ratios_on_a_logarithmic_axis():
    row = {"ratio": {"plain": [0.5, 0.25, 1.0], "best": [100.0, 2.0, 100.0]}}
    drawn = show.chart(row)
    assert 'cx="-60.0"' in drawn and "M-120.0 -3H0.0" in drawn and 'cx="120.0"' in drawn  # 100 is beyond the axis


@pytest.mark.slow
def test_without_pytorch_our_side_is_measured_alone(environment, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    status, record, page = run(tmp_path, "--only", "mul", "--quick")
    assert status == 0 and "PyTorch is not installed" in capsys.readouterr()[1] and record["machine"]["torch"] is None
    assert all(set(row["samples"]) == {"ours"} and row["ratio"] == {} for row in record["rows"]) and "alone" in page


def test_a_difference_is_status_1(torch, environment, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(table.LIBRARIES["plain"], "mul", lambda x, w: x * w * 1.1)
    status, record, page = run(tmp_path, "--only", "mul forward")
    assert status == 1 and record["rows"][0]["samples"] == {}
    for text in (page, capsys.readouterr()[0]):
        assert "results differ, so nothing is compared: plain: y differs" in text


def test_a_case_that_fails_is_recorded_and_the_others_go_on(environment, tmp_path, capsys, monkeypatch):
    def fails(case, how):
        if case.name == "mul forward":
            raise RuntimeError("out of memory\nmore")
        kept.append((tmp_path / "bench.json").is_file())
        return case.row({"ours": [1.0]})

    kept = []
    monkeypatch.setattr(cases.Case, "measure", fails)
    status, record, page = run(tmp_path, "--only", "mul forward,tanh forward")
    assert status == 1 and kept == [True]  # the record of the first case is there before the second one runs
    assert [row.get("failed", False) for row in record["rows"]] == [True, False]
    out, err = capsys.readouterr()
    assert "Traceback" in err and "in fails" in err  # where, for whoever reads the log of a machine that is gone
    for text in (page, out):
        assert "failed: RuntimeError: out of memory" in text and "more" not in text.split("out of memory")[1][:9]


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


@pytest.mark.slow
def test_the_peak_of_a_gpu_is_timed_by_events_on_large_products(monkeypatch):
    events, asked = [], []

    class Event:
        def record(self):
            events.append(self)

        def synchronize(self):
            assert self is events[-1]

    class Matrix:
        def __matmul__(self, other):
            return self

    def to_device(a, device):
        asked.append((a.shape, device))
        return Matrix()

    cuda = SimpleNamespace(Event=Event, get_elapsed_time=lambda start, end: 2.0)  # milliseconds
    monkeypatch.setattr(flops, "device_module", lambda name: SimpleNamespace(cuda=cuda))
    monkeypatch.setattr(flops, "to_device", to_device)
    assert flops.peak("cuda", with_torch=False, repeats=3) == 2 * 8192**3 / 2e-3
    assert asked == [((8192, 8192), "cuda")] and len(events) == 6


def test_an_interrupt_keeps_what_was_measured(environment, tmp_path, monkeypatch):
    done = []

    def once(case, how):
        if done:
            raise KeyboardInterrupt
        done.append(case)
        return case.row({"ours": [1.0]})

    monkeypatch.setattr(Case, "measure", once)
    status, record, _ = run(tmp_path, "--only", "overhead")
    assert status == 130 and len(record["rows"]) == 1


@pytest.mark.parametrize(
    "flags", [["--tf32"], ["--threads", "0"], ["--seconds", "0"], ["--only", "stepp"], ["--only", "step+tanh"]]
)
def test_bad_flags_are_one_sentence_and_status_2(flags, environment, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["bench", *flags, "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as e:
        run_main(command.main)
    err = capsys.readouterr()[1]
    assert e.value.code == 2 and err.startswith("error: ") and err.count("\n") == 1 and flags[-1] in err


@pytest.mark.slow
def test_memory_is_that_of_a_process_of_its_own(environment):
    """The parent may be large, and may have imported PyTorch: what it holds must not count."""
    case, ballast = memory.MemoryCase("memory", "CNN 28²", {}, unit="MiB"), np.ones(400_000_000, np.uint8)
    row = case.measure(how(kinds=("ours",)))
    del ballast
    (step,) = row["samples"]["ours"]
    assert 5 < step < float(row["note"].split()[-1]) < 350 and f"{step:.0f} MiB" in show.line(row, 1e9)
    with pytest.raises(KeyError, match="nobody"):
        memory.MemoryCase("memory", "nobody", {}).measure(how(kinds=("ours",)))


@pytest.mark.slow
def test_threads_are_set_before_numpy_is_there():
    script = (
        "import os, sys; from experiments.bench import __main__ as command; assert 'numpy' not in sys.modules\n"
        "command.chosen, command.measure_all = print, lambda *args: None\n"
        "command.main(['--threads', '2', '--only', 'step']); print(os.environ['OPENBLAS_NUM_THREADS'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "step False\n2\n"


# ---- ranks


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
