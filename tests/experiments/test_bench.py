"""The benchmark: what differs is not compared, sides take turns, arithmetic is counted right, PyTorch is optional."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from autograd import Tensor, grad, ops
from autograd.modes import state
from experiments.bench import __main__ as command
from experiments.bench import case as cases
from experiments.bench import flops, hot_ops, memory, overhead, show, steps
from experiments.bench.case import Case, Measured, Side, alternate, difference, differences, disagreement, measure
from experiments.bench.flops import counted
from experiments.cli import run_main
from minigan.config import resolve

TINY = {
    **{f"{net}_{k}": v for net in "gd" for k, v in {"width": 16, "depth": 1, "heads": 2}.items()},
    **{"latent": 6, "g_head_width": 12, "cnn_width": 4, "batch": 4},
}


@pytest.fixture
def environment(monkeypatch):
    """The command sets the threads for processes it starts: put back afterwards. The peak takes it a while."""
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


def tiny_step(**options):
    make = steps.maker({**TINY, **options})
    return Case("step", "tiny", make, tolerance=steps.TOLERANCE, mostly=steps.mostly(options))


# ---- equality before time


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"variant": "cnn"},
        {"image_size": 32, "channels": 3, "augment": "translation,cutout,brightness,contrast", "augment_p": 0.8}
        | {"bcr": 10.0, "penalty": "none", "loss": "nonsaturating", "g_head": "fourier", "d_position": "sine"},
    ],
    ids=["vitgan", "cnn", "augmented"],
)
def test_the_steps_agree_and_are_timed(torch, options):
    found = measure(tiny_step(**options), "cpu", 0.01, 2, True)
    assert found.differs == ""
    assert {kind: len(s) for kind, s in found.samples.items()} == {"ours": 2, "plain": 2, "best": 2}
    assert min(min(s) for s in found.samples.values()) > 0 and found.flops > 0


def test_tf32_is_timed_and_not_compared():
    seen = set()
    side = Side(lambda: seen.add(("run", state.tf32)), lambda: seen.add(("results", state.tf32)) or {"x": np.ones(1)})
    measure(Case("ops", "x", lambda *_: side, ("ours",)), "cpu", 0, 1, False, tf32=True)
    assert seen == {("results", False), ("run", True)} and not state.tf32


@pytest.mark.parametrize("wrong", ["activation", "scale", "penalty", "average", "update"])
def test_a_wrong_model_is_refused(torch, monkeypatch, wrong):
    from experiments.bench import torch_gan, torch_models

    if wrong == "activation":
        monkeypatch.setitem(torch_models.ACTIVATIONS, "gelu_tanh", torch.nn.functional.silu)
    elif wrong == "scale":
        right = torch_models.scores
        monkeypatch.setattr(torch_models, "scores", lambda q, k, s: 0.5 * right(q, k, s))
    elif wrong == "penalty":
        right = torch_gan.TorchGAN.loss_d
        monkeypatch.setattr(torch_gan.TorchGAN, "loss_d", lambda self, w: right(self, 1.5 * w))
    elif wrong == "average":
        monkeypatch.setattr(torch_gan.TorchGAN, "update_average", lambda self, decay: None)
    else:
        right = torch_gan.TorchGAN.step
        monkeypatch.setattr(torch_gan.TorchGAN, "step", lambda self, d, g, w: right(self, d, 0.5 * g, w))
    found = measure(tiny_step(), "cpu", 0.01, 2, True)
    assert found.differs.startswith("plain: ") and not found.samples
    assert found.ratio("plain") is None and found.record()["ratio"] == {}
    assert "results differ" in show.row(found, 1e9) and "0." not in show.row(found, 1e9).partition("(limit")[0][60:80]


def test_differences_are_measured_against_value_and_spread():
    x = np.array([1.0, -2.0, 0.0])
    assert difference(x, x) == 0 and difference(np.zeros(0), np.zeros(0)) == 0
    assert difference(x + [0, 0, 0.1], x) == pytest.approx(0.1 / np.sqrt(5 / 3))
    assert difference(x[:2], x) == np.inf and difference(x * np.nan, x * np.nan) == np.inf
    signs = np.where(np.arange(100) % 2, 1.0, -1.0)
    turned = signs * np.where(np.arange(100) < 3, -1, 1)
    assert disagreement(turned, signs) == 0.03 and disagreement(0 * signs, signs) == 1
    one = Case("ops", "x", None, tolerance=1e-3, mostly=frozenset({"update"}))
    assert differences(one, {"y": x, "update": turned}, {"y": x, "update": signs}) == ""
    assert "update differs by 1.0e+00" in differences(one, {"y": x, "update": -signs}, {"y": x, "update": signs})
    assert "y differs" in differences(one, {"y": x + 0.01}, {"y": x}) and differences(one, {"y": x}, {"z": x})


# ---- time


def test_sides_take_turns(monkeypatch):
    order = []
    taken = alternate({kind: lambda kind=kind: order.append(kind) or len(order) for kind in "ABC"}, 0.0, 4)
    assert "".join(order) == "ABC" * 4 and taken == {"A": [1, 4, 7, 10], "B": [2, 5, 8, 11], "C": [3, 6, 9, 12]}
    now = iter(range(1000))
    monkeypatch.setattr(cases.time, "perf_counter", lambda: next(now))
    assert len(alternate({"A": lambda: 1.0}, 10, 0)["A"]) == 9  # as many rounds as the seconds last
    assert len(alternate({"A": lambda: 1.0}, 1e9, 3)["A"]) == cases.MOST_ROUNDS


def test_a_side_is_made_ready_between_comparison_and_timing():
    calls = []
    side = Side(
        lambda: calls.append("run"), lambda: calls.append("results") or {"y": 1.0}, lambda: calls.append("ready")
    )
    measure(Case("step", "x", lambda kind, device: side), "cpu", 0.01, 2, False)
    assert calls[:3] == ["results", "run", "ready"] and calls.count("ready") == 1
    assert set(calls[3:]) == {"run"}


def test_a_ratio_is_that_of_rounds():
    found = Measured(Case("step", "x", None), {"ours": [1.0, 2.0, 30.0], "plain": [2.0, 4.0, 40.0]})
    assert found.ratio("plain") == (0.5, 0.5, 0.625) and found.median("ours") == 2 and found.ratio("best") is None
    assert found.record()["samples"] == found.samples
    assert "0.50 (0.50–0.62)" in show.row(found, 1e9) and "2 s" in show.row(found, 1e9)
    found.processor_share = 0.5
    assert show.row(found, 1e9).endswith(cases.MARK)
    assert [show.duration(s) for s in (2, 0.123, 1e-3, 4.56e-6)] == ["2 s", "123 ms", "1 ms", "4.56 µs"]


def test_the_time_is_that_of_one_call():
    side = Side(lambda: sum(range(200_000)), lambda: {"y": np.ones(1)})
    one, many = (measure(Case("ops", "x", lambda *_: side, ("ours",), calls=n), "cpu", 0, 3, False) for n in (1, 100))
    assert 20 < one.median("ours") / many.median("ours") < 500


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
    assert flops_of(ops.attention, q, k, v, wrt=[v]) == (2 * product, product)
    x, w = random(2, 3, 8, 8), random(5, 3, 4, 4)
    product = 2 * (2 * 5 * 4 * 4) * (3 * 16)
    assert flops_of(lambda x, w: ops.conv2d(x, w, None, 2, 1), x, w) == (product, 2 * product)
    x, w = random(2, 5, 4, 4), random(5, 3, 4, 4)
    assert flops_of(lambda x, w: ops.conv_transpose2d(x, w, None, 2, 1), x, w) == (product, 2 * product)
    assert flops_of(ops.gelu, x) == (0, 0)
    with counted() as outer:
        pass
    ops.matmul(random(2, 2), random(2, 2))
    assert outer.flops == 0  # what was replaced is put back


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

    options = {**TINY, "batch": 8, **options}
    ours, theirs = (steps.maker(options)(kind, "cpu") for kind in ("ours", "plain"))
    for side in (ours, theirs):
        side.results()
    with counted() as total:
        ours.run()
    with FlopCounterMode(display=False) as counter:
        theirs.run()
    assert least < total.flops / counter.get_total_flops() < most


# ---- the cases


def test_every_hot_op_of_a_tiny_model_agrees(torch):
    for options in ({}, {"variant": "cnn", "image_size": 32}):
        for hot in hot_ops.hot_ops(resolve(**TINY, **options)):
            one = Case("ops", hot.name, hot_ops.maker(hot, "both"), ("ours", *hot.theirs()))
            results = {kind: one.make(kind, "cpu").results() for kind in one.kinds}
            for kind in one.kinds[1:]:
                assert differences(one, results["ours"], results[kind]) == "", (hot.name, kind)
                assert len(results[kind]) > 1


def test_both_attentions_of_best_agree(torch):
    from experiments.bench import torch_models as t

    q, k, v = torch.randn(3, 2, 3, 5, 4)
    for similarity in ("dot", "l2"):
        expected = t.plain_attention(q, k, v, similarity)
        for f in (t.explicit_attention, t.fused_attention, t.best_attention):
            torch.testing.assert_close(f(q, k, v, similarity), expected)


@pytest.mark.slow
def test_the_figures_of_merit_agree(torch):
    from experiments.bench import distances

    for dimensions in (8, 24):
        fake, real = distances.features(dimensions, 1200)
        for ours, theirs in distances.METRICS.values():
            expected = theirs(torch.tensor(fake), torch.tensor(real))
            one = Case("metrics", "", None, tolerance=1e-3)
            assert differences(one, ours(fake, real), expected) == ""


@pytest.mark.slow
def test_folded_inception_is_the_published_one(torch):
    from experiments.bench.inception import random_tensors
    from experiments.bench.torch_inception import TorchInception

    tensors = random_tensors()
    x = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        a, b = (TorchInception(tensors, folded=folded).features(x).numpy() for folded in (False, True))
    assert difference(b, a) < 1e-3


def test_names_are_clear_and_quick_is_a_part():
    every, remembered = command.chosen(None, False)
    names = [(c.group, c.name) for c in every]
    assert len(set(names)) == len(names) and {c.group for c in every} | {"memory"} == set(command.GROUPS)
    assert remembered == list(steps.STEPS) and max(len(name) for _, name in names) < show.WIDE[0] + 12
    quick, few = command.chosen(None, True)
    assert {c.group for c in quick} == {c.group for c in every} and len(quick) < len(every) and set(few) < {*remembered}
    assert [c.group for c in command.chosen("step", False)[0]] == ["step"] * len(steps.STEPS)
    assert command.chosen("memory,inception", False)[1] == remembered
    some, none = command.chosen("attention l2, tanh forward", False)
    assert {c.group for c in some} == {"ops", "overhead"} and none == []


# ---- the command


def run(tmp_path, *flags):
    return command.main([*flags, "--seconds", "0.001", "--out", str(tmp_path / "out")])


@pytest.mark.slow
def test_table_json_chart_and_page(torch, environment, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "command_line", lambda: "python -m experiments.bench <only>")
    assert run(tmp_path, "--only", "tanh", "--quick", "--json", str(tmp_path / "all.json")) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert "GFLOP/s" in lines[0] and "ours/plain" in lines[2] and lines[3].startswith("tanh forward")
    assert "bench.html" in err and "bench.html" not in out
    record = json.loads((tmp_path / "all.json").read_text())
    assert record == json.loads((tmp_path / "out" / "bench.json").read_text())
    assert record["machine"]["threads"] == 1 and record["machine"]["torch"] and record["machine"]["numpy"]
    assert [m["name"] for m in record["measured"]][:2] == ["tanh forward", "tanh backward"]
    for m in record["measured"]:
        assert m["differs"] is None and set(m["samples"]) == {"ours", "plain"}
        assert len(m["samples"]["ours"]) == len(m["samples"]["plain"]) >= 3
        low, high = m["ratio"]["plain"]["quartiles"]
        assert low <= m["ratio"]["plain"]["median"] <= high
    page = (tmp_path / "out" / "bench.html").read_text()
    assert "&lt;only&gt;" in page and "tanh forward" in page and page.count("<img ") == 1
    assert (tmp_path / "out" / "bench.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_without_pytorch_our_side_is_measured_alone(environment, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert run(tmp_path, "--only", "mul", "--quick", "--json", "-") == 0
    out, err = capsys.readouterr()
    record = json.loads(out)
    assert "PyTorch is not installed" in err and record["machine"]["torch"] is None
    assert all(set(m["samples"]) == {"ours"} and m["ratio"] == {} for m in record["measured"])
    assert not (tmp_path / "out" / "bench.png").exists() and "alone" in (tmp_path / "out" / "bench.html").read_text()


def test_a_difference_is_status_1(torch, environment, tmp_path, capsys, monkeypatch):
    right = overhead.theirs
    monkeypatch.setattr(overhead, "theirs", lambda: {**right(), "mul": lambda x, w: x * w * 1.1})
    assert run(tmp_path, "--only", "mul forward") == 1
    assert "results differ, so nothing is compared: plain: y differs" in capsys.readouterr()[0]
    assert json.loads((tmp_path / "out" / "bench.json").read_text())["measured"][0]["samples"] == {}


def test_an_interrupt_keeps_what_was_measured(environment, tmp_path, monkeypatch):
    done = []

    def once(case, *args):
        if done:
            raise KeyboardInterrupt
        done.append(case)
        return Measured(case, {"ours": [1.0]})

    monkeypatch.setattr(cases, "measure", once)
    assert run(tmp_path, "--only", "overhead") == 130
    assert len(json.loads((tmp_path / "out" / "bench.json").read_text())["measured"]) == 1


@pytest.mark.parametrize(
    "flags",
    [["--tf32"], ["--threads", "0"], ["--seconds", "0"], ["--only", "stepp"], ["--json", "no/such/folder/x.json"]],
)
def test_bad_flags_are_one_sentence_and_status_2(flags, environment, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["bench", *flags, "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as e:
        run_main(command.main)
    err = capsys.readouterr()[1]
    assert e.value.code == 2 and err.startswith("error: ") and err.count("\n") == 1 and flags[-1] in err


@pytest.mark.slow
def test_memory_is_that_of_a_process_of_its_own(environment):
    """The parent may be large: what it holds must not count."""
    ballast = np.ones(400_000_000, np.uint8)
    found = memory.of_process("CNN 28²", "ours", "cpu", 1)
    del ballast
    assert 5 < found["step"] < found["all"] < 350
    with pytest.raises(RuntimeError, match="KeyError: 'nobody'"):
        memory.of_process("nobody", "ours", "cpu", 1)


def test_threads_are_set_before_numpy_is_there():
    script = (
        "import sys; from experiments.bench.__main__ import set_threads, chosen; assert 'numpy' not in sys.modules\n"
        "set_threads(2); import numpy as np, os; a = np.ones((600, 600), 'f4'); a @ a\n"
        "chosen(None, False); assert 'torch' not in sys.modules; print(os.environ['OPENBLAS_NUM_THREADS'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "2\n"
