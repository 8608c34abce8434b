"""Initial values: their spread, their bounds, their seed."""

import math

import numpy as np
import pytest
from tensors import rng

from autograd import Tensor
from nn import Conv2d, FourierFeatures, Linear, SirenLayer, init, manual_seed


def test_normal_initialisations_have_their_spread():
    wide = {
        "linear": (Linear(400, 300, rng=rng()), 3**-0.5 / 20),
        "gain": (Linear(400, 300, gain=0.7, rng=rng()), 0.7 / 20),
        "conv": (Conv2d(40, 60, 5, rng=rng()), math.sqrt(2 / 1.04 / 1000)),
    }
    for name, (layer, std) in wide.items():
        w = layer.weight.data
        assert w.dtype == np.float32 and w.std() == pytest.approx(std, rel=0.02), name
        assert abs(w.mean()) < 5 * std / math.sqrt(w.size)
        assert abs(w).max() > 3.5 * std  # normal, not uniform
        assert not layer.bias.data.any()


def test_uniform_initialisations_have_their_bounds():
    first, later = SirenLayer(2, 4000, 30.0, first=True, rng=rng()), SirenLayer(200, 300, 30.0, rng=rng())
    cases = {
        "siren first": (first.linear.weight, 1 / 2),
        "siren later": (later.linear.weight, math.sqrt(6 / 200) / 30),
        "siren phase": (first.linear.bias, math.pi / 30),
        "fourier": (FourierFeatures(2, 4000, rng=rng()).linear.weight, math.sqrt(9 / 2)),
        "xavier": (Tensor(init.xavier_uniform(rng(), (200, 100), 1.5)), 1.5 * math.sqrt(6 / 300)),
    }
    for name, (weight, bound) in cases.items():
        w = weight.data
        assert w.dtype == np.float32, name
        assert 0.99 * bound < abs(w).max() <= bound * (1 + 1e-6), name
        assert w.std() == pytest.approx(bound / math.sqrt(3), rel=0.03), name


def test_siren_layers_keep_the_spread_of_their_inputs():
    """Section 3.2 of SIREN: through any number of layers the activations are distributed as the sine of a uniform."""
    g = rng(3)
    h = Tensor(g.uniform(-1, 1, (2000, 2)))
    net = [SirenLayer(2, 128, 30.0, True, rng=g), *(SirenLayer(128, 128, 30.0, rng=g) for _ in range(3))]
    for layer in net:
        h = layer(h)
        assert h.data.std() == pytest.approx(math.sqrt(0.5), abs=0.06)


def test_fan_counts_the_window():
    assert init.fan((8, 3)) == (3, 8) and init.fan((8, 3, 4, 5)) == (60, 160)


def test_a_seed_fixes_the_weights():
    a, b, c = Linear(6, 5, rng=rng(3)), Linear(6, 5, rng=rng(3)), Linear(6, 5, rng=rng(4))
    np.testing.assert_array_equal(a.weight.data, b.weight.data)
    assert not np.array_equal(a.weight.data, c.weight.data)
    g = rng(3)
    assert not np.array_equal(Linear(6, 5, rng=g).weight.data, Linear(6, 5, rng=g).weight.data)
    manual_seed(3)
    first, second = Linear(6, 5), SirenLayer(3, 3)
    manual_seed(3)
    np.testing.assert_array_equal(first.weight.data, Linear(6, 5).weight.data)
    np.testing.assert_array_equal(second.linear.weight.data, SirenLayer(3, 3).linear.weight.data)
    np.testing.assert_array_equal(first.weight.data, a.weight.data)
