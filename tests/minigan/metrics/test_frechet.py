"""The Fréchet distance at the sizes and ranks it meets, its bias, and the distance with the bias removed.

Closed forms in few dimensions are in test_metrics.py.
"""

import numpy as np
import pytest

from minigan.errors import InputError
from minigan.metrics import Moments, frechet, frechet_distance
from minigan.metrics.frechet import frechet_floor, frechet_infinity


def features(n, d, seed, rank=None, decay=8.0):
    """Like those of a network: not negative, of a mean far from 0, with variances that fall fast."""
    rng = np.random.default_rng(seed)
    rank = rank or d
    mixed = rng.normal(size=(n, rank)) * np.exp(-np.arange(rank) / decay)
    return np.maximum(mixed @ np.random.default_rng(99).normal(size=(rank, d)) + 2, 0).astype(np.float32)


def distance(x, y):
    a, b = Moments().update(x), Moments().update(y)
    return frechet_distance(a.mean, a.cov, b.mean, b.cov)


@pytest.mark.parametrize(("n1", "n2", "d"), [(200, 300, 20), (12, 300, 20), (300, 12, 20), (9, 12, 20), (40, 60, 128)])
@pytest.mark.filterwarnings("ignore")  # scipy says that a singular matrix may have no root
def test_distance_agrees_with_scipys_matrix_root(n1, n2, d):
    linalg = pytest.importorskip("scipy.linalg")
    x, y = features(n1, d, 1), features(n2, d, 2) + 0.1
    s1, s2 = np.cov(x.T.astype(float)), np.cov(y.T.astype(float))
    root = linalg.sqrtm(s1 @ s2 + 0j)
    delta = x.mean(axis=0, dtype=float) - y.mean(axis=0, dtype=float)
    expected = delta @ delta + np.trace(s1) + np.trace(s2) - 2 * np.trace(root).real
    assert distance(x, y) == pytest.approx(expected, rel=1e-5 if min(n1, n2) <= d else 1e-9)


@pytest.mark.parametrize(("n1", "n2"), [(30, 400), (400, 30), (30, 50), (400, 500)])
def test_distance_agrees_with_the_nuclear_norm_of_the_features(n1, n2):
    """Tr (Σ₁Σ₂)^½ is the sum of the singular values of A₁A₂ᵀ, A the centred features over √(n − 1): no covariance."""
    x, y = (z.astype(float) for z in (features(n1, 200, 3), features(n2, 200, 4)))
    a, b = ((z - z.mean(axis=0)) / np.sqrt(len(z) - 1) for z in (x, y))
    nuclear = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    expected = np.square(x.mean(axis=0) - y.mean(axis=0)).sum() + np.square(a).sum() + np.square(b).sum() - 2 * nuclear
    assert distance(x, y) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("sizes", [[1] * 600, [599, 1], [7, 0, 200, 393]])
def test_the_number_depends_neither_on_batches_nor_on_the_order(sizes):
    x, y = features(600, 40, 5), features(600, 40, 6)
    expected = distance(x, y)
    b = Moments().update(y)
    shuffled = np.random.default_rng(7).permutation(x)
    batches = [Moments().update(batch) for batch in np.split(shuffled, np.cumsum(sizes)[:-1])]
    a = Moments()
    for batch in reversed(batches):
        a.merge(batch)
    assert frechet_distance(a.mean, a.cov, b.mean, b.cov) == pytest.approx(expected, rel=1e-10)


def test_a_large_array_is_added_in_chunks():
    x = np.random.default_rng(8).normal(size=(2 * frechet.CHUNK + 5, 3)) + 1000
    moments = Moments().update(x)
    assert moments.count == len(x)
    np.testing.assert_allclose(moments.mean, x.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(moments.cov, np.cov(x.T), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("rank", [1, 5])
def test_features_that_never_vary(rank):
    """Dead features, and a generator of one image: variances of exactly 0."""
    x, y = features(300, 10, 9, rank), features(300, 10, 10)
    x[:, 3] = y[:, 3] = 0
    assert 0 <= distance(x, x) < 1e-6 and distance(x, y) > 0
    one = np.repeat(x[:1], 300, 0)
    expected = np.square(one[0] - y.mean(axis=0, dtype=float)).sum() + np.trace(np.cov(y.T.astype(float)))
    assert distance(one, y) == pytest.approx(expected, rel=1e-9) == distance(y, one)


def test_gaussians_in_planes_at_right_angles():
    """Tr (Σ₁Σ₂)^½ is 0, and what a product of such matrices leaves is rounding of either sign."""
    q = np.linalg.qr(np.random.default_rng(17).normal(size=(20, 20)))[0]
    s1, s2 = 1e3 * q[:, :9] @ q[:, :9].T, 1e-3 * q[:, 9:] @ q[:, 9:].T
    assert frechet_distance(np.zeros(20), s1, np.zeros(20), s2) == pytest.approx(9e3 + 11e-3, rel=1e-6)
    assert frechet_distance(np.zeros(20), s2, np.zeros(20), s1) == pytest.approx(9e3 + 11e-3, rel=1e-6)


def test_what_is_no_covariance_is_not_clamped_away():
    mean, cov, bad = np.zeros(4), np.diag([1.0, 2.0, 3.0, 4.0]), np.diag([1.0, 2.0, 3.0, -1.0])
    flat, hidden = np.diag([1.0, 2.0, 3.0, 0.0]), np.diag([1.0, 2.0, 3.0, -0.1])  # flat never sees the last axis
    for first, second in ((cov, bad), (bad, cov), (bad, bad), (cov, -cov), (-cov, cov), (hidden, flat)):
        with pytest.raises(InputError, match="positive semidefinite"):
            frechet_distance(mean, first, mean, second)
    with pytest.raises(InputError, match="must be symmetric"):
        frechet_distance(mean, cov + np.triu(np.ones((4, 4)), 1), mean, cov)
    noisy = flat - 1e-6 * np.eye(4) + 1e-7 * np.triu(np.ones((4, 4)))  # as float32 leaves it
    assert 0 <= frechet_distance(mean, noisy, mean, flat) < 1e-5
    assert frechet_distance(mean, flat, mean, noisy) == pytest.approx(0, abs=1e-5)
    skew = cov + 1e-3 * np.triu(np.ones((4, 4)), 1)
    assert frechet_distance(mean, skew, mean, bad**2) == frechet_distance(mean, skew.T, mean, bad**2)


def test_the_bias_falls_as_one_over_n():
    """N · FID of two samples of one Gaussian hardly depends on N: so distances compare at equal N only."""
    rng = np.random.default_rng(11)
    scaled = [n * np.mean([distance(*rng.normal(size=(2, n, 16))) for _ in range(8)]) for n in (200, 800, 3200)]
    assert max(scaled) < 1.15 * min(scaled)


# At infinity


@pytest.mark.parametrize("scale", [1.0, 1.2])
def test_infinity_is_nearer_to_the_truth(scale):
    reference, true = (np.zeros(16), np.eye(16)), 16 * (scale - 1) ** 2  # the reference has infinitely many images
    samples = [np.random.default_rng(seed).normal(size=(1000, 16)) * scale for seed in range(8)]
    finite = np.mean([frechet_distance(x.mean(axis=0), np.cov(x.T), *reference) for x in samples])
    infinite = np.mean([frechet_infinity(x, *reference)[0] for x in samples])
    assert finite - true > 0.05
    assert abs(infinite - true) < 0.3 * (finite - true)


def test_infinity_is_the_intercept_of_a_line_through_seeded_subsets(monkeypatch):
    lines = []
    fit = np.polyfit
    monkeypatch.setattr(
        np, "polyfit", lambda x, y, *args, **options: lines.append((x, np.array(y))) or fit(x, y, *args, **options)
    )
    x, y = features(500, 6, 12), features(400, 6, 13)
    reference = Moments().update(y)
    for seed in (0, 0, 1):
        frechet_infinity(x, reference.mean, reference.cov, seed=seed)
    (inverse, distances), again, other = lines
    np.testing.assert_allclose(1 / inverse, np.linspace(50, 500, 15).astype(int))
    assert distances[-1] == pytest.approx(distance(x, y), rel=1e-9)  # all the fakes, in any order
    assert len(set(distances.tolist())) == 15
    np.testing.assert_array_equal(distances, again[1])
    assert (distances[:-1] != other[1][:-1]).all()


def test_infinity_is_a_least_squares_fit(monkeypatch):
    """The intercept and its standard error by the textbook formulas, from distances near a line."""
    near = iter(3 + 70 / np.linspace(10, 100, 15).astype(int) + 0.1 * np.random.default_rng(14).normal(size=15))
    drawn = []
    monkeypatch.setattr(frechet, "_distance", lambda *args: drawn.append(next(near)) or drawn[-1])
    value, error = frechet_infinity(features(100, 6, 12), np.zeros(6), np.eye(6))
    x, y = 1 / np.linspace(10, 100, 15).astype(int), np.array(drawn)
    spread = np.square(x - x.mean()).sum()
    slope = ((x - x.mean()) * y).sum() / spread
    intercept = y.mean() - slope * x.mean()
    variance = np.square(y - intercept - slope * x).sum() / (15 - 2)
    assert value == pytest.approx(intercept) and abs(value - 3) < 0.2
    assert error == pytest.approx(np.sqrt(variance * (1 / 15 + x.mean() ** 2 / spread)))


def test_infinity_of_one_image_again_and_again():
    x = np.ones((40, 3))
    value, error = frechet_infinity(x, np.zeros(3), np.eye(3))
    assert value == pytest.approx(6) and error == pytest.approx(0, abs=1e-9)


def test_infinity_of_too_few_or_other_features():
    moments = Moments().update(features(50, 4, 15))
    reference = moments.mean, moments.cov
    with pytest.raises(InputError, match="at least 20 fakes.*not 19"):
        frechet_infinity(features(19, 4, 16), *reference)
    with pytest.raises(InputError, match="5 numbers cannot be compared with features of 4"):
        frechet_infinity(features(30, 5, 16), *reference)


# The floor


def clusters(n, seed, d=64, kinds=10):
    """Features of `kinds` classes far apart, of a class drawn for each image: how many of each is chance."""
    rng = np.random.default_rng(seed)
    centres = 4 * np.random.default_rng(99).normal(size=(kinds, d))
    return centres[rng.integers(kinds, size=n)] + rng.normal(size=(n, d))


def test_the_floor_is_the_mean_distance_of_fresh_sets_and_no_matter_of_luck():
    n, others = 200, 300
    fresh = np.array([distance(clusters(n, 2 * i), clusters(others, 2 * i + 1)) for i in range(400)])
    floors, stds = np.array([frechet_floor(clusters(n + others, 10_000 + i), n) for i in range(20)]).T
    error = np.hypot(fresh.std() / 20, floors.std() / 20**0.5)
    assert abs(floors.mean() - fresh.mean()) < 4 * error and error < 0.02 * fresh.mean()
    assert floors.std() < fresh.std() / 3, "50 splits vary far less than one"
    # A deviation of 50 distances is off by 1/√100, so the mean of 20 by 2 %; that of the 400 by 1/√800, 4 %.
    assert stds.mean() == pytest.approx(fresh.std(), rel=0.15)


def test_a_floor_takes_fewer_splits_of_more_features_and_every_image_each_time(monkeypatch):
    parts = []
    update = Moments.update
    monkeypatch.setattr(frechet.Moments, "update", lambda self, x: parts.append(x) or update(self, x))
    for d, total, splits in [(64, None, 50), (128, None, 25), (128, 100, 1)]:
        monkeypatch.setattr(frechet, "SPLITS", total or frechet.SPLITS)
        x = np.arange(6.0)[:, None] + np.zeros(d)
        parts.clear()
        frechet_floor(x, 2)
        pairs = list(zip(parts[::2], parts[1::2], strict=True))
        assert len(pairs) == splits
        for some, rest in pairs:
            assert len(some) == 2 and sorted([*some[:, 0], *rest[:, 0]]) == [0, 1, 2, 3, 4, 5]
    x = features(50, 64, 1)
    assert frechet_floor(x, 20) == frechet_floor(x, 20, seed=0) != frechet_floor(x, 20, seed=1)
    assert frechet_floor(features(50, 128, 1), 20)[1] == 0, "one split has no deviation"


@pytest.mark.parametrize("n", [-1, 0, 1, 5, 6, 7])
def test_a_floor_needs_two_images_in_either_part(n):
    with pytest.raises(InputError, match=f"6 are split into {n} and {6 - n}"):
        frechet_floor(features(6, 64, 1), n)


def test_a_floor_is_the_mean_and_the_deviation_of_its_distances(monkeypatch):
    distances = np.arange(50.0) ** 3  # far from symmetric
    made = iter(distances)
    monkeypatch.setattr(frechet, "frechet_distance", lambda *gaussians: next(made))
    assert frechet_floor(features(50, 64, 1), 20) == pytest.approx((distances.mean(), distances.std()))


@pytest.mark.parametrize("broken", [np.full((6, 64), np.nan), np.zeros(6), np.zeros((6, 2, 2))])
def test_a_floor_is_of_vectors_of_finite_numbers(broken):
    with pytest.raises(InputError):
        frechet_floor(broken, 3)
