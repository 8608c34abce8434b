"""Layers against their formulas."""

import numpy as np
import pytest
from tensors import normal, rng

from autograd import Tensor
from nn import (
    BatchNorm2d,
    FourierFeatures,
    GroupNorm,
    LayerNorm,
    MultiHeadAttention,
    RMSNorm,
    SelfModulatedLayerNorm,
    SirenLayer,
    pixel_coordinates,
)


def test_sine_layers_are_their_formula():
    x = normal(5, 3, dtype="float32")
    for layer, omega in ((SirenLayer(3, 4, 7.0, rng=rng()), 7.0), (FourierFeatures(3, 4, rng=rng()), 1.0)):
        w, b = layer.linear.weight.data, layer.linear.bias.data
        assert b.any()
        np.testing.assert_allclose(layer(Tensor(x)).data, np.sin(omega * (x @ w.T + b)), atol=1e-5)


def test_pixel_coordinates_are_centres_row_by_row():
    found = pixel_coordinates(2, 4)
    assert found.dtype == np.float32
    x, y = [-0.75, -0.25, 0.25, 0.75], [-0.5, 0.5]
    np.testing.assert_array_equal(found, [(a, b) for b in y for a in x])


def test_self_modulation_starts_as_a_plain_layer_norm_for_w_0():
    layer = SelfModulatedLayerNorm(6, 4, rng=rng())
    h = normal(2, 5, 6, dtype="float32")
    plain = LayerNorm(6)(Tensor(h)).data
    np.testing.assert_array_equal(layer(Tensor(h), *layer.style(Tensor(np.zeros((2, 4), "float32")))).data, plain)


@pytest.mark.parametrize("channels", [1, 8])  # one channel would be broadcast
@pytest.mark.parametrize(
    "make, shape, message",
    [
        (lambda: LayerNorm(4), (2, 3, -1), r"layer_norm over \(4,\)"),
        (lambda: RMSNorm(4), (2, 3, -1), "RMSNorm of 4 features"),
        (lambda: GroupNorm(1, 4), (2, -1, 5), "GroupNorm of 4 channels"),
        (lambda: BatchNorm2d(4), (2, -1, 5, 5), "batch_norm of 4 channels"),
        (lambda: BatchNorm2d(4).eval(), (2, -1, 5, 5), "batch_norm of 4 channels"),
    ],
)
def test_a_norm_refuses_another_number_of_channels(make, shape, message, channels):
    layer, shape = make(), tuple(channels if n < 0 else n for n in shape)
    before = layer.state_dict()
    with pytest.raises(ValueError, match=rf"{message} does not fit x of shape \({', '.join(map(str, shape))}\)"):
        layer(Tensor(normal(*shape, dtype="float32")))
    for name, a in layer.state_dict().items():
        np.testing.assert_array_equal(a, before[name])


def test_distances_tie_queries_and_keys_unless_told_otherwise():
    for similarity, tied in {"dot": False, "l2": True, "l1": True, "l2_printed": True}.items():
        names = [n for n, _ in MultiHeadAttention(4, 2, similarity, rng=rng()).named_parameters()]
        assert ("key.weight" not in names) == tied
        assert {"query.weight", "value.weight", "out.weight", "out.bias"} <= set(names)
    with pytest.raises(ValueError, match="6 features cannot be shared by 4 heads"):
        MultiHeadAttention(6, 4)


def test_heads_do_not_mix_before_the_output():
    layer = MultiHeadAttention(6, 3, rng=rng())
    layer.out.weight.data[...] = np.eye(6)
    x = normal(1, 4, 6, dtype="float32")
    before = layer(Tensor(x)).data
    layer.query.weight.data[2:4] += 1  # the second head's
    change = abs(layer(Tensor(x)).data - before).max(axis=(0, 1))
    assert (change[2:4] > 1e-4).all() and not change[[0, 1, 4, 5]].any()
