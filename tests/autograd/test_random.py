"""The counter-based generator: known answers, distributions, and a state that continues the stream."""

import math

import numpy as np
import pytest

from autograd import random
from autograd.random import RandomStream, philox

KNOWN_ANSWERS = [  # Random123 1.09, kat_vectors: philox4x32, 10 rounds
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text: str) -> list[int]:
    return [int(w, 16) for w in text.split()]


@pytest.mark.parametrize("counter, key, answer", KNOWN_ANSWERS)
def test_philox_known_answers(counter, key, answer):
    found = philox([np.array([w], np.uint64) for w in words(counter)], tuple(words(key)))
    assert [int(w[0]) for w in found] == words(answer)


def test_bits_are_the_blocks_of_philox_in_order():
    seed = 0x299F31D0A4093822
    found = RandomStream(seed).bits(10)
    blocks = [philox([np.array([w], np.uint64) for w in (i, 0, 0, 0)], (0xA4093822, 0x299F31D0)) for i in range(3)]
    assert found.dtype == np.uint64 and found.tolist() == [int(w[0]) for block in blocks for w in block][:10]


def test_the_counter_carries_beyond_32_bits():
    a = RandomStream(1)
    a.state = (1, 2**32 - 1)
    a.bits(4)
    high = philox([np.array([w], np.uint64) for w in (0, 1, 0, 0)], (1, 0))
    assert a.bits(4).tolist() == [int(w[0]) for w in high]


def test_moments_of_the_normal():
    z = RandomStream(3).normal(200_000, dtype="float64")
    error = 5 / math.sqrt(z.size)  # five standard errors of a mean of unit variance
    assert abs(z.mean()) < error
    assert abs((z**2).mean() - 1) < error * math.sqrt(2)
    assert abs((z**3).mean()) < error * math.sqrt(15)
    assert abs((z**4).mean() - 3) < error * math.sqrt(96)
    half = z.size // 2
    assert abs((z[:half] * z[half:]).mean()) < error * math.sqrt(2)  # the two that share a radius
    assert abs((z[:-1] * z[1:]).mean()) < error


def test_moments_of_the_uniform():
    u = RandomStream(4).uniform(-1, 3, size=(400, 500), dtype="float64")
    assert u.shape == (400, 500) and -1 < u.min() < -0.999 and 2.999 < u.max() < 3
    error = 5 * math.sqrt(4**2 / 12 / u.size)
    assert abs(u.mean() - 1) < error
    assert abs(u.var() - 4**2 / 12) < 2 * error
    counts = np.bincount(((u + 1) / 4 * 64).astype(int).ravel(), minlength=64)
    chi2 = ((counts - u.size / 64) ** 2 / (u.size / 64)).sum()
    assert 30 < chi2 < 110  # 63 degrees of freedom


def test_the_uniform_never_reaches_its_ends_in_float32(monkeypatch):
    extreme = np.array([0, 2**32 - 1], np.uint64)
    monkeypatch.setattr(random, "random_words", lambda xp, stream, ahead, n: extreme[:n])
    low, high = RandomStream().uniform(size=2).tolist()
    assert 0 < low < 1e-6 and 1 - 1e-6 < high < 1
    assert np.isfinite(RandomStream().normal(1)).all()


def test_integers_cover_their_range_evenly():
    n = RandomStream(5).integers(7, size=(70, 1000))
    assert n.dtype == np.int64 and n.shape == (70, 1000)
    counts = np.bincount(n.ravel())
    assert counts.size == 7 and abs(counts - 10_000).max() < 5 * 100
    assert RandomStream(5).integers(2**32, size=1000).max() > 0.99 * 2**32
    assert set(RandomStream(6).integers(1, size=5).tolist()) == {0}


def test_a_permutation_is_one_and_differs_from_the_next():
    g = RandomStream(6)
    a, b = g.permutation(1000), g.permutation(1000)
    assert a.dtype == np.int64
    assert sorted(a.tolist()) == sorted(b.tolist()) == list(range(1000))
    assert (a == np.arange(1000)).sum() < 10 and (a == b).sum() < 10
    assert g.permutation(1).tolist() == [0] and g.permutation(0).size == 0


@pytest.mark.slow
def test_every_order_of_three_is_as_likely():
    g = RandomStream(7)
    orders = [tuple(g.permutation(3).tolist()) for _ in range(3000)]
    counts = [orders.count(o) for o in set(orders)]
    assert len(counts) == 6 and max(abs(c - 500) for c in counts) < 5 * math.sqrt(500)


def draw(g: RandomStream) -> list:
    return [g.normal((2, 3)), g.uniform(size=5), g.integers(9, size=(4,)), g.permutation(6), g.normal(7)]


def test_a_saved_state_continues_the_same_stream():
    a = RandomStream(11)
    draw(a)
    state = a.state
    expected = draw(a)
    b = RandomStream(0)
    b.state = state
    for x, y in zip(draw(b), expected, strict=True):
        np.testing.assert_array_equal(x, y)
    assert a.state == b.state and all(type(n) is int for n in a.state)  # two plain integers: that is all to save


def test_the_same_seed_gives_the_same_and_another_seed_another():
    assert RandomStream(1).bits(8).tolist() == RandomStream(1).bits(8).tolist()
    streams = [RandomStream(s).bits(1000) for s in (0, 1, 2**32, -1)]
    for i, a in enumerate(streams):
        for b in streams[:i]:
            assert (a == b).sum() <= 1


def test_every_call_starts_a_new_block():
    """Sizes matter: 2 + 2 words are not the first 4, because the rest of a block is dropped."""
    a, b = RandomStream(1), RandomStream(1)
    parts = [a.bits(2), a.bits(2)]
    whole = b.bits(8)
    assert np.concatenate(parts).tolist() == [*whole[:2].tolist(), *whole[4:6].tolist()]
    assert a.state == (1, 2) == b.state
    a.bits(0)
    assert a.state == (1, 2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtypes_and_shapes(dtype):
    g = RandomStream(1)
    for size, shape in (((), ()), (3, (3,)), ((2, 5), (2, 5)), ((0, 4), (0, 4))):
        for a in (g.normal(size, dtype=dtype), g.uniform(-2.0, 2.0, size=size, dtype=dtype)):
            assert a.shape == shape and a.dtype == dtype
    assert g.normal().dtype == g.uniform(0.1, 0.9).dtype == np.float32


@pytest.mark.parametrize("high", [0, -3, 2**32 + 1])
def test_integers_refuse_what_they_cannot_draw(high):
    with pytest.raises(ValueError, match=f"with high from 1 to 2³², not {high}"):
        RandomStream(1).integers(high)


def test_a_negative_seed_is_one_by_state_too():
    a, b = RandomStream(-1), RandomStream(0)
    b.state = (-1, 0)
    np.testing.assert_array_equal(a.bits(4), b.bits(4))


def test_uniform_numbers_between_0_and_1_and_around_0_are_never_the_ends(monkeypatch):
    """The least and the largest word."""
    monkeypatch.setattr("autograd.random.random_words", lambda *args: np.array([0, 2**32 - 1], np.uint64))
    for low in (0.0, -1.0):
        first, last = RandomStream(1).uniform(low, 1.0, 2)
        assert low < first < last < 1
