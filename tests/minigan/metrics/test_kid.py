"""KID against double loops, against its expectation in closed form, and the draw of its subsets."""

import itertools

import numpy as np
import pytest

from minigan.errors import InputError
from minigan.metrics import kid as module
from minigan.metrics.kid import kid, squared_mmd


def normal(n, d, seed, mean=0.0):
    return (np.random.default_rng(seed).normal(size=(n, d)) + mean).astype(np.float32)


def by_loops(x, y):
    """The unbiased MMD², pair by pair, in extended precision."""

    def kernel(a, b):
        return (sum(np.longdouble(p) * np.longdouble(q) for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3

    within = [[kernel(a, b) for a, b in itertools.permutations(z, 2)] for z in (x, y)]
    between = [kernel(a, b) for a in x for b in y]
    return float(sum(sum(k) / len(k) for k in within) - 2 * sum(between) / len(between))


@pytest.mark.parametrize(("m", "n", "d"), [(7, 11, 4), (2, 2, 1), (9, 3, 6)])
def test_kid_of_whole_sets_by_double_loops(m, n, d):
    fake, real = normal(m, d, 1, 0.4), normal(n, d, 2)
    mean, std = kid(fake, real, subsets=3)
    assert mean == pytest.approx(by_loops(fake, real), rel=1e-12)
    assert std == 0  # every subset is all there is
    assert kid(real, fake, subsets=1)[0] == pytest.approx(mean, rel=1e-12)  # symmetric


def test_kid_keeps_its_digits_where_features_are_large():
    fake, real = normal(12, 5, 3, 30), normal(12, 5, 4, 30)  # k ≈ 10⁹, the distance 10⁻³ of it
    assert kid(fake, real, subsets=1)[0] == pytest.approx(by_loops(fake, real), rel=1e-9)


def test_expectation_is_zero_for_one_distribution_and_not_biased_by_few_images():
    x = normal(400 * 2 * 10, 3, 5).reshape(400, 2, 10, 3)
    estimates = np.array([squared_mmd(a, b) for a, b in x])
    assert abs(estimates.mean()) < 3 * estimates.std() / 20  # with i = j among the pairs it would be some 20 σ off
    assert (estimates < 0).mean() > 0.3  # nothing is clamped


@pytest.mark.slow
def test_expectation_of_shifted_normal_numbers():
    """In one dimension (xy + 1)³ compares moments: MMD² = 3 Δ₁² + 3 Δ₂² + Δ₃², here of ½, ¼ and 13/8."""
    expected = 3 * 0.5**2 + 3 * 0.25**2 + 1.625**2
    mean, std = kid(normal(20_000, 1, 6, 0.5), normal(20_000, 1, 7), subsets=30)
    assert mean == pytest.approx(expected, rel=0.08) and 0.05 * expected < std < 0.4 * expected


@pytest.mark.slow
def test_equal_distributions_are_at_zero_within_the_std():
    real = normal(3000, 16, 9)
    mean, std = kid(normal(3000, 16, 8), real, subsets=20)
    assert abs(mean) < std < 0.01
    assert kid(normal(3000, 16, 8, 0.3), real, subsets=20)[0] > 20 * std


def test_subsets_are_as_many_and_as_large_as_asked_without_repetition_and_from_all_images(monkeypatch):
    drawn = []
    monkeypatch.setattr(module, "squared_mmd", lambda x, y: drawn.append((x[:, 0], y[:, 0])) or 0.0)
    fake, real = np.arange(3000.0)[:, None], np.arange(700.0)[:, None]
    kid(fake, real)
    assert [(len(x), len(y)) for x, y in drawn] == [(1000, 700)] * 100
    assert all(len(np.unique(x)) == 1000 and len(np.unique(y)) == 700 for x, y in drawn)
    assert np.bincount(np.concatenate([x for x, _ in drawn]).astype(int), minlength=3000).min() > 10
    drawn.clear()
    kid(fake, real, subsets=3, subset_size=5)
    assert [(len(x), len(y)) for x, y in drawn] == [(5, 5)] * 3
    assert not np.array_equal(drawn[0][0], drawn[1][0]) and not np.array_equal(drawn[0][0], drawn[0][1])


def test_the_seed_fixes_the_subsets():
    fake, real = normal(200, 4, 10), normal(200, 4, 11)
    first = kid(fake, real, subsets=5, subset_size=50)
    assert kid(fake, real, subsets=5, subset_size=50) == first == kid(fake, real, subsets=5, subset_size=50, seed=0)
    assert kid(fake, real, subsets=5, subset_size=50, seed=1) != first


def test_what_cannot_be_compared():
    x = normal(5, 4, 12)
    for fake, real, message in (
        (x, x[:, :3], "4 numbers cannot be compared with features of 3"),
        (x[:1], x, "at least 2 images, not 1 and 5"),
        (x, x * np.nan, "finite"),
        (x[0], x, r"shape \(N, D\)"),
    ):
        with pytest.raises(InputError, match=message):
            kid(fake, real)
