"""Precision, recall, density and coverage by loops over their definitions, in known cases, and in little memory."""

import math
import tracemalloc

import numpy as np
import pytest

from minigan.errors import InputError
from minigan.metrics.neighbours import prdc


def normal(n, d, seed, mean=0.0):
    return (np.random.default_rng(seed).normal(size=(n, d)) + mean).astype(np.float32)


def by_loops(fake, real, k):
    """The definitions of Kynkäänniemi et al. (2019) and Naeem et al. (2020), vector by vector."""

    def radius(i, x):
        return sorted(math.dist(x[i], other) for j, other in enumerate(x) if j != i)[k - 1]

    fake, real = fake.tolist(), real.tolist()
    fake_radii = [radius(j, fake) for j in range(len(fake))]
    real_radii = [radius(i, real) for i in range(len(real))]
    d = [[math.dist(x, y) for y in fake] for x in real]
    rows, columns = range(len(real)), range(len(fake))
    return {
        "precision": sum(any(d[i][j] <= real_radii[i] for i in rows) for j in columns) / len(fake),
        "recall": sum(any(d[i][j] <= fake_radii[j] for j in columns) for i in rows) / len(real),
        "density": sum(d[i][j] <= real_radii[i] for i in rows for j in columns) / (k * len(fake)),
        "coverage": sum(min(d[i]) <= real_radii[i] for i in rows) / len(real),
    }


@pytest.mark.parametrize("block", [1024, 16, 7, 1])
@pytest.mark.parametrize(("m", "n", "d", "k"), [(60, 40, 3, 5), (25, 50, 8, 1), (33, 33, 2, 3)])
def test_all_four_by_loops_for_any_block(m, n, d, k, block):
    fake, real = normal(m, d, 1, 0.9) * 0.7, normal(n, d, 2)
    expected = by_loops(fake, real, k)
    assert len({round(value, 6) for value in expected.values()}) == 4  # a mix-up shows
    assert prdc(fake, real, k=k, block=block) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("offset", [300.0, -5000.0])
def test_features_far_from_zero(offset):
    fake, real = normal(50, 6, 3, offset), normal(70, 6, 4, offset)
    assert prdc(fake, real, block=32) == pytest.approx(by_loops(fake, real, 5), abs=1e-12)
    fake = np.concatenate([normal(50, 6, 5), fake])  # now some of the fakes are far away, and then all of them
    assert prdc(fake, real - offset, block=32) == pytest.approx(by_loops(fake, real - offset, 5), abs=1e-12)
    assert prdc(fake[50:], real - offset) == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}


def test_order_does_not_matter():
    fake, real = normal(300, 5, 5), normal(200, 5, 6, 0.3)
    expected = prdc(fake, real, block=64)
    rng = np.random.default_rng(7)
    assert prdc(rng.permutation(fake), rng.permutation(real), block=64) == expected


def test_duplicates_are_at_distance_zero():
    """A ball that holds k copies of its centre has the radius 0, and still holds a fake that is another copy."""
    far = np.full((1, 6), 40, np.float32) + normal(1, 6, 8)
    real, fake = np.concatenate([normal(30, 6, 9), far.repeat(9, 0)]), np.concatenate([normal(20, 6, 10), far])
    assert prdc(fake, real, block=16) == pytest.approx(by_loops(fake, real, 5), abs=1e-12)
    assert prdc(real[30:], real) == pytest.approx(
        {"precision": 1, "recall": 9 / 39, "density": 9 / 5, "coverage": 9 / 39}
    )


def test_copies_are_found_among_rounded_distances():
    x, rng = normal(40, 2048, 14, 3), np.random.default_rng(15)
    figures = prdc(rng.permutation(x), rng.permutation(x.repeat(7, 0)), block=33)  # every real radius is 0
    assert figures == pytest.approx({"precision": 1, "recall": 1, "density": 7 / 5, "coverage": 1}, rel=1e-12)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_a_set_against_itself(offset):
    x = normal(300, 64, 11, offset)
    figures = prdc(x, x, block=77)
    assert [figures[name] for name in ("precision", "recall", "coverage")] == [1, 1, 1]
    assert 1 <= figures["density"] <= 6 / 5  # the k-th neighbours lie on the rim, where rounding decides
    same = prdc(x[:1].repeat(20, 0), x[:1].repeat(30, 0))
    assert same == {"precision": 1, "recall": 1, "density": 30 / 5, "coverage": 1}


def test_expectations_for_one_distribution():
    """Density 1, and coverage 1 − Π (N − i)/(M + N − i), i = 1 … k, of any density (Naeem et al., lemma 2)."""
    m, n, k = 1500, 1000, 3
    figures = prdc(normal(m, 4, 12), normal(n, 4, 13), k=k)
    coverage = 1 - math.prod((n - i) / (m + n - i) for i in range(1, k + 1))
    assert figures["density"] == pytest.approx(1, abs=0.05)
    assert figures["coverage"] == pytest.approx(coverage, abs=0.03)  # 0.936; 0.840 if a vector counted as its neighbour


@pytest.fixture(scope="module")
def modes():
    """Real images in four modes; fakes of the same."""
    centres = 20 * np.eye(4, 8, dtype=np.float32)
    real = np.concatenate([normal(150, 8, 20 + i) + c for i, c in enumerate(centres)])
    fake = np.concatenate([normal(150, 8, 30 + i) + c for i, c in enumerate(centres)])
    return fake, real


def test_dropped_modes_lower_recall_and_coverage_only(modes):
    fake, real = modes
    whole, dropped = prdc(fake, real), prdc(fake[:150], real)
    assert whole["recall"] > 0.85 and whole["coverage"] > 0.9
    assert dropped["recall"] < 0.3 and dropped["coverage"] < 0.3
    assert dropped["precision"] > whole["precision"] - 0.1 and dropped["density"] > 0.8


def test_noise_outside_lowers_precision_and_density_only(modes):
    fake, real = modes
    whole, noisy = prdc(fake, real), prdc(np.concatenate([fake, normal(600, 8, 40) - 30]), real)
    assert whole["precision"] > 0.85
    assert noisy["precision"] == pytest.approx(whole["precision"] / 2)
    assert noisy["density"] == pytest.approx(whole["density"] / 2, rel=1e-3)
    assert noisy["recall"] == whole["recall"] and noisy["coverage"] == whole["coverage"]


def test_an_outlier_among_the_real_images_flatters_precision_not_density(modes):
    fake, real = modes
    noise = normal(600, 8, 40) - 10
    figures = prdc(noise, np.concatenate([real, noise[:1] - 100]))
    assert figures["precision"] == 1 and figures["density"] < 0.25


# Memory


def peak(count, d, block):
    fake, real = normal(count, d, 1), normal(count, d, 2)
    tracemalloc.start()
    prdc(fake, real, block=block)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return used


def bound(count, d, block):
    """Bytes beyond the features: some blocks of distances and of vectors, and a few numbers an image."""
    return 6 * 4 * block**2 + 4 * 4 * block * d + count * (100 + d) + 2**18


@pytest.mark.slow
def test_memory_grows_with_the_block_and_not_with_the_square_of_the_images():
    for count, d, block in ((500, 16, 128), (3000, 16, 128), (1000, 256, 128), (1500, 16, 512)):
        used = peak(count, d, block)
        assert used < bound(count, d, block), (count, d, block)
    assert peak(3000, 16, 128) < 3000**2 / 8  # bytes; one matrix of distances has 4 × 3000²
    features = 2 * 50_000 * 2048 * 4
    assert features + bound(50_000, 2048, 1024) < 2**30


def test_what_cannot_be_compared_and_few_images():
    x = normal(4, 3, 50)
    assert prdc(x, x[:3] + 0.1) == prdc(x, x[:3] + 0.1, k=2)
    with pytest.raises(InputError, match="3 numbers cannot be compared with features of 2"):
        prdc(x, x[:, :2])
    with pytest.raises(InputError, match="at least 2 images"):
        prdc(x, x[:1])
