"""The sides of the benchmark compute the same, and what differs is not compared."""

import numpy as np
import pytest
from bench_sides import TINY, how

from experiments.bench import case as cases
from experiments.bench import cases as table
from experiments.bench import show, steps
from experiments.bench.case import Case, difference

AUGMENTED = {
    **{"image_size": 32, "channels": 3, "augment": "translation,cutout,brightness,contrast", "augment_p": 0.8},
    **{"bcr": 10.0, "penalty": "none", "loss": "nonsaturating", "g_head": "fourier", "d_position": "sine"},
}
SHAMPOO = {"optimizer": "shampoo", "lookahead": 2, "g_width": 32, "d_width": 32}


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{}, {"variant": "cnn"}, AUGMENTED, SHAMPOO], ids=["vitgan", "cnn", "augmented", "shampoo"]
)
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
