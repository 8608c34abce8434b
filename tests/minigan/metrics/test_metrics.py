"""The Fréchet distance and its moments against closed forms; the digit classifier and its weights."""

import shlex
import struct
from pathlib import Path

import numpy as np
import pytest
from image_files import idx

import minigan.data
from autograd import engine
from experiments import train_digits
from minigan import checkpoint
from minigan.data import stroke_digits
from minigan.errors import InputError
from minigan.metrics import Moments, frechet_distance, load_classifier
from minigan.metrics.digits import WEIGHTS, classify

SEED = 10**12  # digits that neither the classifier nor any generator was trained on


# Moments


def correlated(n, d, seed=0, rank=None):
    rng = np.random.default_rng(seed)
    rank = rank or d
    return rng.normal(size=(n, rank)) @ rng.normal(size=(rank, d)) + 3 * rng.normal(size=d)


@pytest.mark.parametrize("sizes", [[200], [1] * 200, [1, 150, 0, 49], [199, 1]])
def test_moments_do_not_depend_on_the_batches(sizes):
    x = correlated(200, 5)
    moments = Moments()
    for batch in np.split(x, np.cumsum(sizes)[:-1]):
        moments.update(batch)
    assert moments.count == 200
    np.testing.assert_allclose(moments.mean, x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(moments.cov, np.cov(x.T), rtol=1e-11, atol=1e-12)


def test_moments_do_not_depend_on_the_order_of_merging():
    parts = [Moments().update(correlated(n, 4, seed=n)) for n in (3, 50, 7)]
    x = np.concatenate([correlated(n, 4, seed=n) for n in (3, 50, 7)])
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
        merged = Moments()
        for i in order:
            merged.merge(parts[i])
        np.testing.assert_allclose(merged.mean, x.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(merged.cov, np.cov(x.T), rtol=1e-11, atol=1e-12)
    assert [p.count for p in parts] == [3, 50, 7]


def test_a_far_mean_costs_no_digits():
    x = np.random.default_rng(1).normal(size=(1000, 3)).astype(np.float32)
    far = (x.astype(np.float64) + 1e6).reshape(10, 100, 3)
    moments = Moments()
    for batch in far:
        moments.update(batch)
    np.testing.assert_allclose(moments.cov, np.cov(x.T.astype(np.float64)), rtol=1e-7, atol=1e-9)


def test_moments_leave_the_features_alone():
    x = correlated(10, 3)
    before = x.copy()
    Moments().update(x)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((2, 3, 4)), np.zeros((4, 0)), [[1.0, np.nan]], [[np.inf, 0.0]]])
def test_moments_refuse_what_are_no_features(bad):
    with pytest.raises(InputError, match="features must"):
        Moments().update(np.asarray(bad))


def test_moments_refuse_other_widths_and_single_samples():
    with pytest.raises(InputError, match="3 numbers cannot join features of 4"):
        Moments().update(np.zeros((2, 4))).update(np.zeros((2, 3)))
    with pytest.raises(InputError, match="at least 2 samples, not 1"):
        _ = Moments().update(np.ones((1, 4))).cov


# Fréchet distance


def gaussian(d, seed=0, rank=None):
    moments = Moments().update(correlated(4 * d if rank is None else rank + 1, d, seed, rank))
    return moments.mean, moments.cov


def newton_root(a, steps=60):
    """The principal root by the iteration of Denman & Beavers (1976)."""
    y, z = a, np.eye(len(a))
    for _ in range(steps):
        y, z = (y + np.linalg.inv(z)) / 2, (z + np.linalg.inv(y)) / 2
    return y


def test_distance_of_gaussians_in_one_dimension():
    assert frechet_distance([1.0], [[4.0]], [4.0], [[9.0]]) == pytest.approx(9 + 1)  # (μ₁ − μ₂)² + (σ₁ − σ₂)²


def test_distance_of_commuting_covariances():
    rng = np.random.default_rng(2)
    q = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    a, b, m = rng.uniform(0.1, 5, 6), rng.uniform(0.1, 5, 6), rng.normal(size=6)
    expected = (m**2).sum() + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    assert frechet_distance(m, (q * a) @ q.T, np.zeros(6), (q * b) @ q.T) == pytest.approx(expected, rel=1e-12)


def test_distance_agrees_with_a_root_by_newtons_method_and_with_general_eigenvalues():
    (m1, s1), (m2, s2) = gaussian(8, 3), gaussian(8, 4)
    rest = ((m1 - m2) ** 2).sum() + np.trace(s1) + np.trace(s2)
    distance = frechet_distance(m1, s1, m2, s2)
    assert distance == pytest.approx(rest - 2 * np.trace(newton_root(s1 @ s2)), rel=1e-9)
    assert distance == pytest.approx(rest - 2 * np.sqrt(np.linalg.eigvals(s1 @ s2).astype(complex)).sum().real)


@pytest.mark.parametrize(("n1", "n2"), [(5, 9), (9, 5), (5, 100), (100, 5), (2, 2)])
def test_distance_of_rank_deficient_covariances(n1, n2):
    x, y = correlated(n1, 20, 5), correlated(n2, 20, 6)
    a, b = Moments().update(x), Moments().update(y)
    cross = (x - a.mean) @ (y - b.mean).T / np.sqrt((n1 - 1) * (n2 - 1))
    expected = ((a.mean - b.mean) ** 2).sum() + np.trace(a.cov) + np.trace(b.cov)
    expected -= 2 * np.linalg.norm(cross, "nuc")  # Tr (Σ₁Σ₂)^½ is the nuclear norm of A₁ᵀA₂
    assert frechet_distance(a.mean, a.cov, b.mean, b.cov) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("rank", [None, 1, 7])
def test_distance_to_itself_is_zero_and_never_negative(rank):
    mean, cov = gaussian(30, 7, rank)
    assert 0 <= frechet_distance(mean, cov, mean, cov) < 1e-9 * np.trace(cov)
    assert frechet_distance(mean, 0 * cov, mean, 0 * cov) == 0


@pytest.mark.parametrize("rank", [None, 3])
def test_distance_is_symmetric_and_squared_in_the_mean(rank):
    (m1, s1), (m2, s2) = gaussian(12, 8), gaussian(12, 9, rank)
    assert frechet_distance(m1, s1, m2, s2) == pytest.approx(frechet_distance(m2, s2, m1, s1), rel=1e-8)
    shift = np.arange(12.0)
    moved = frechet_distance(m1 + shift, s1, m1, s2) - frechet_distance(m1, s1, m1, s2)
    assert moved == pytest.approx((shift**2).sum())


def test_distance_refuses_what_are_no_gaussians():
    mean, cov = gaussian(3)
    with pytest.raises(InputError, match="3 numbers cannot be compared with features of 2"):
        frechet_distance(mean, cov, mean[:2], cov[:2, :2])
    for m, c in ((mean, cov[:2]), (mean[:2], cov), (mean[None], cov), (np.zeros(0), np.zeros((0, 0)))):
        with pytest.raises(InputError, match=r"a mean \(D,\) and a covariance \(D, D\)"):
            frechet_distance(mean, cov, m, c)
    for m, c in ((mean * np.nan, cov), (mean, cov + np.inf)):
        with pytest.raises(InputError, match="finite"):
            frechet_distance(m, c, mean, cov)


# The digit classifier


@pytest.fixture(scope="module")
def classifier():
    return load_classifier()


@pytest.fixture(scope="module")
def digits():
    return stroke_digits(6000, SEED)


def confident(classifier, images):
    return (classify(classifier, images)[1].max(axis=1) > 0.95).mean()


@pytest.mark.slow
def test_shipped_weights_are_small_and_right(classifier, digits):
    images, labels = digits
    assert WEIGHTS.stat().st_size < 2**20
    _, meta = checkpoint.load(WEIGHTS)
    assert meta["command"].startswith("python -m experiments.train_digits") and meta["test_accuracy"] >= 0.99
    assert meta["mnist_test_accuracy"] >= 0.993 and "--data DIR " in meta["command"]
    features, probabilities = classify(classifier, images[:2000])
    assert features.shape == (2000, 64) and (features >= 0).all() and (features.std(axis=0) > 0).sum() > 40
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (probabilities.argmax(axis=1) == labels[:2000]).mean() >= 0.99


@pytest.mark.slow
def test_real_digits_are_confident_even_shifted_and_noisy(classifier, digits):
    images = digits[0][:1000]
    noise = np.random.default_rng(0).normal(0, 12, images.shape)
    assert confident(classifier, images) > 0.97
    assert confident(classifier, np.roll(images, (1, -1), axis=(1, 2))) > 0.95
    assert confident(classifier, (images + noise).clip(0, 255).astype(np.uint8)) > 0.95


@pytest.mark.slow
def test_what_is_no_digit_is_not_confident(classifier, digits):
    images, labels = digits
    rng = np.random.default_rng(0)
    one, two = images[:500], images[500:1000]
    blends = (one / 2 + two / 2).astype(np.uint8)[labels[:500] != labels[500:1000]]
    assert confident(classifier, blends) < 0.05
    assert confident(classifier, rng.integers(0, 256, (500, 28, 28)).astype(np.uint8)) < 0.02
    plain = np.arange(256, dtype=np.uint8)[:, None, None]
    assert confident(classifier, np.broadcast_to(plain, (256, 28, 28))) < 0.02


@pytest.mark.slow
def test_classification_does_not_depend_on_the_batch_and_records_nothing(classifier, digits):
    images, recorded = digits[0][:30], engine.Node.__init__
    whole = classify(classifier, images)
    try:
        engine.Node.__init__ = None
        parts = classify(classifier, images, batch=7)
    finally:
        engine.Node.__init__ = recorded
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bad", [np.zeros((4, 32, 32), np.uint8), np.zeros((4, 28, 28)), np.zeros((28, 28), np.uint8)])
def test_other_images_are_refused(classifier, bad):
    with pytest.raises(InputError, match="uint8 images of 28x28 grey pixels"):
        classify(classifier, bad)


# Files


def test_damaged_weights_are_one_clear_error(tmp_path):
    good, path = WEIGHTS.read_bytes(), tmp_path / "digits.h5"
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 0x40
    for data in (good[: len(good) // 2], b"not HDF5 at all", b"", bytes(flipped)):
        path.write_bytes(data)
        with pytest.raises(InputError, match="digits.h5"):
            load_classifier(path)
    with pytest.raises(InputError, match="missing.h5"):
        load_classifier(tmp_path / "missing.h5")


def test_other_checkpoints_are_refused(tmp_path):
    arrays, meta = checkpoint.load(WEIGHTS)
    path = tmp_path / "other.h5"
    state = arrays["digit_classifier"]
    cases = [
        ({"generator": state}, meta, "not of the digit classifier"),
        (arrays, {**meta, "architecture": "LeNet-5"}, "not of the digit classifier"),
        ({"digit_classifier": {**state, "head.bias": np.zeros(9)}}, meta, "head.bias"),
        ({"digit_classifier": {**state, "head.bias": np.zeros(10)}}, meta, "SHA-256"),
    ]
    for groups, facts, message in cases:
        checkpoint.save(path, groups, facts)
        with pytest.raises(InputError, match=message):
            load_classifier(path)


@pytest.mark.slow
def test_training_writes_weights_that_load(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(train_digits, "TEST_IMAGES", 500)
    path = tmp_path / "tiny.h5"
    tiny = ["--epochs", "1", "--images", "800", "--batch", "10", "--seed", "3"]
    assert train_digits.main([*tiny, "--out", str(path)]) == 0
    assert "unseen drawn digits right" in capsys.readouterr().out
    assert [p.name for p in tmp_path.iterdir()] == ["tiny.h5"]
    _, meta = checkpoint.load(path)
    assert 0.2 < meta["test_accuracy"] < 1 and "mnist_images" not in meta
    load_classifier(path)
    for split, seed in ("train", SEED), ("t10k", SEED + 1):  # files of MNIST's names and form
        images, labels = stroke_digits(300, seed)
        idx(tmp_path / f"{split}-images-idx3-ubyte", images)
        header = struct.pack(">HBBI", 0, 8, 1, len(labels))
        (tmp_path / f"{split}-labels-idx1-ubyte").write_bytes(header + labels.astype(np.uint8).tobytes())
    assert train_digits.main([*tiny, "--data", str(tmp_path), "--out", str(path)]) == 0
    assert "test images of MNIST right" in capsys.readouterr().out
    _, meta = checkpoint.load(path)
    assert meta["mnist_images"] == 300 and str(tmp_path) not in meta["command"].replace(str(path), "")
    monkeypatch.setattr(minigan.data, "stroke_digits", None)  # what is wrong with --data is said before any is drawn
    idx(tmp_path / "train-images-idx3-ubyte", np.zeros((300, 20, 20), np.uint8))
    for bad in (
        ["--data", str(tmp_path)],
        ["--epochs", "0"],
        ["--seed", "-1"],
        ["--out", str(tmp_path / "nowhere" / "a.h5")],
        ["--out", str(tmp_path)],
    ):
        with pytest.raises(InputError):
            train_digits.main([*tiny, *bad])


def test_the_command_of_a_training_can_be_typed_again():
    """Wherever the data are: a folder of a short name stood for any letters of the command."""
    for data in ("m", "digits", "./a b/", "5"):
        args = train_digits.parser().parse_args(["--dat", data, "--seed", "5", "--out", "my digits.h5"])
        words = shlex.split(train_digits.command(args))
        assert words[:3] == ["python", "-m", "experiments.train_digits"]
        again = train_digits.parser().parse_args(words[3:])
        assert vars(again) == {**vars(args), "data": Path("DIR")}
    assert "--data" not in train_digits.command(train_digits.parser().parse_args([]))


def test_training_is_a_function_of_the_seed():
    images, labels = stroke_digits(60, SEED)
    first, again, other = (train_digits.train(images, labels, 2, 20, seed).state_dict() for seed in (1, 1, 2))
    assert all((first[name] == again[name]).all() for name in first)
    assert any((first[name] != other[name]).any() for name in first)


def test_batches_hold_digits_and_what_are_none():
    from autograd.random import RandomStream

    images, labels = stroke_digits(40, SEED)
    target = np.eye(10, dtype=np.float32)[labels]
    x, y = train_digits.make_batch(RandomStream(5), images.astype(np.float32) * (2 / 255) - 1, target)
    assert x.shape == (52, 28, 28) and y.shape == (52, 10) and x.dtype == y.dtype == np.float32
    assert x.min() >= -1 and x.max() <= 1
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(y[:40], target)
    assert (y[40:].max(axis=1) <= 1).all() and (y[44:] == np.float32(0.1)).all()
