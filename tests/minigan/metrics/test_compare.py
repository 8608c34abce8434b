"""All metrics of two sets of features, and the Inception score in known cases."""

import numpy as np
import pytest

from minigan.errors import InputError
from minigan.metrics import Features, frechet_distance
from minigan.metrics.compute import METRICS, compute_metrics
from minigan.metrics.frechet import frechet_infinity
from minigan.metrics.inception_score import inception_score
from minigan.metrics.kid import kid
from minigan.metrics.neighbours import prdc
from minigan.metrics.statistics import Statistics


def features(n, seed, mean=0.0, classes=5):
    rng = np.random.default_rng(seed)
    p = np.exp(2 * rng.normal(size=(n, classes)))
    return Features(rng.normal(size=(n, 6)) + mean, p / p.sum(axis=1, keepdims=True))


@pytest.fixture(scope="module")
def pair():
    return features(300, 1, 0.4), features(200, 2)


# All metrics


def compare(fake, real, **options):
    return compute_metrics(Statistics.of(fake), Statistics.of(real), **options)[0]


def test_each_metric_has_its_name(pair):
    fake, real = pair
    result = compare(fake, real, metrics=METRICS, k=3, seed=4, kid_subsets=7)
    a, b = Statistics.of(fake), Statistics.of(real)
    expected = {"frechet": frechet_distance(a.mean, a.cov, b.mean, b.cov)}
    expected["frechet_infinity"], expected["frechet_infinity_std"] = frechet_infinity(
        fake.values, b.mean, b.cov, seed=4
    )
    expected["kid"], expected["kid_std"] = kid(fake.values, real.values, subsets=7, seed=4)
    expected |= prdc(fake.values, real.values, k=3)
    expected["inception_score"], expected["inception_score_std"] = inception_score(fake.probabilities, seed=4)
    assert result == expected
    assert {type(value) for value in result.values()} == {float}


def test_fake_and_real_are_not_swapped(pair):
    fake, real = pair
    one_way, other = compare(fake, real, metrics=METRICS), compare(real, fake, metrics=METRICS)
    assert one_way["precision"] == other["recall"] != one_way["recall"]
    assert one_way["frechet"] == pytest.approx(other["frechet"], rel=1e-9)
    for name in ("density", "coverage", "frechet_infinity", "inception_score"):
        assert one_way[name] != pytest.approx(other[name], rel=1e-6), name


def test_only_what_is_asked_for_is_computed(pair):
    fake, real = pair
    neighbours = ["precision", "recall", "density", "coverage"]
    assert list(compare(fake, real)) == ["frechet", "kid", "kid_std", *neighbours]
    assert list(compare(fake, real, metrics=["prdc"])) == neighbours
    assert list(compare(fake, real, metrics=("frechet",))) == ["frechet"]
    assert compare(fake, real, metrics=()) == {}
    assert compare(Features(fake.values), real, metrics=("inception_score",)) == {}
    with pytest.raises(InputError, match="unknown metric 'fid': use some of frechet, "):
        compare(fake, real, metrics=("frechet", "fid"))


def test_the_seed_fixes_every_draw():
    fake, real = features(1200, 1, 0.4), features(1100, 2)  # more than a subset of KID

    def run(seed):
        return compare(fake, real, metrics=METRICS, seed=seed, kid_subsets=3)

    first, again, other = run(0), run(0), run(1)
    assert first == again
    drawn = {"frechet_infinity", "frechet_infinity_std", "kid", "kid_std", "inception_score", "inception_score_std"}
    assert {name for name in first if first[name] != other[name]} == drawn


def test_progress_goes_to_stderr_and_only_when_asked_for(pair, capsys, monkeypatch):
    monkeypatch.setattr("minigan.progress.is_terminal", lambda file: True)
    compare(*pair, metrics=METRICS, kid_subsets=3)
    assert capsys.readouterr() == ("", "")
    compare(*pair, metrics=METRICS, kid_subsets=3, progress=True)
    out, err = capsys.readouterr()
    assert out == "" and all(word in err for word in ("KID", "neighbours", "infinity"))


def test_features_of_other_widths_do_not_compare(pair):
    narrow = Features(pair[0].values[:, :3])
    for metric in ("frechet", "frechet_infinity", "kid", "prdc"):
        with pytest.raises(InputError, match="3 numbers cannot be compared with features of 6"):
            compare(narrow, pair[1], metrics=(metric,))


def test_features_are_checked_and_cut():
    both = features(9, 3)
    assert both.values.dtype == both.probabilities.dtype == np.float32 and len(both) == 9
    some = both[np.array([5, 2])]
    np.testing.assert_array_equal(some.values, both.values[[5, 2]])
    np.testing.assert_array_equal(some.probabilities, both.probabilities[[5, 2]])
    assert Features(both.values)[:4].probabilities is None
    for values, probabilities, message in (
        (np.zeros(3), None, r"shape \(N, D\)"),
        (np.zeros((3, 0)), None, r"shape \(N, D\)"),
        ([[np.inf]], None, "finite"),
        (np.zeros((3, 2)), np.ones((4, 1)), r"3 feature vectors need class probabilities of shape \(3, K\)"),
    ):
        with pytest.raises(InputError, match=message):
            Features(np.asarray(values), probabilities)


# Inception score


@pytest.mark.parametrize("k", [2, 10])
def test_score_of_sure_and_even_guesses_is_the_number_of_classes(k):
    mean, std = inception_score(np.eye(k)[np.arange(500 * k) % k], splits=1)
    assert mean == pytest.approx(k, rel=1e-12) and std == 0
    mean, std = inception_score(np.eye(k)[np.sort(np.arange(500 * k) % k)])  # sorted by class, as folders are
    assert mean == pytest.approx(k, rel=0.05) and 0 < std < 0.1


@pytest.mark.parametrize("p", [[0.2, 0.3, 0.5], [0, 1, 0], [1 / 3] * 3])
def test_score_of_equal_guesses_is_one(p):
    assert inception_score(np.tile(np.float32(p), (100, 1))) == pytest.approx((1, 0), abs=1e-12)


def test_score_by_loops():
    p = features(60, 4).probabilities.astype(float)
    shuffled = np.random.default_rng(3).permutation(p)
    scores = []
    for part in (shuffled[:20], shuffled[20:40], shuffled[40:]):
        marginal = part.sum(axis=0) / 20
        divergence = [sum(q * np.log(q / m) for q, m in zip(row, marginal, strict=True)) for row in part]
        scores.append(np.exp(sum(divergence) / 20))
    expected = np.mean(scores), np.sqrt(np.mean((scores - np.mean(scores)) ** 2))
    assert inception_score(p, splits=3, seed=3) == pytest.approx(expected, rel=1e-6)


def test_score_has_ten_splits_of_any_number_of_images():
    p = features(57, 5).probabilities
    assert inception_score(p) == inception_score(p, splits=10) != inception_score(p, splits=9)
    assert inception_score(p, splits=1)[0] == pytest.approx(inception_score(p[::-1], splits=1)[0], rel=1e-12)


def test_what_are_no_probabilities():
    p = features(20, 6).probabilities
    for bad, message in (
        (p[:9], "at least 10 images, not 9"),
        (p * 2, "add up to 1"),
        (np.log(p), "not negative"),
        (p * np.nan, "not negative"),
        (p[0], r"array \(N, K\)"),
    ):
        with pytest.raises(InputError, match=message):
            inception_score(bad)
