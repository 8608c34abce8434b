"""Bugs of public ViTGANs in the attention."""

import math

import numpy as np
from tensors import normal
from tiny_models import in_float64, layers, networks

from autograd import Tensor, grad, ops
from autograd.random import RandomStream
from minigan.config import build
from minigan.presets import resolve
from nn import MultiHeadAttention


def probabilities(q, k, similarity):
    """P of one head, seen through unit vectors as values."""
    return ops.attention(q[None, None], k[None, None], np.eye(len(k))[None, None], similarity=similarity).data[0, 0]


def squared_distances(q, k):
    return np.square(q[:, None] - k[None]).sum(-1)


def softmax(s):
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def test_l2_attention_with_the_wrong_sign():
    """mlpc-ucsd/ViTGAN #8, wilile26811249/ViTGAN, Nicolivain/ViTGAN: +distance, so that far tokens count most."""
    q = 3 * normal(6, 4)
    p = probabilities(q, q, "l2")
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (p.argmax(axis=1) == np.arange(6)).all()  # a token is nearest to itself
    order = squared_distances(q, q).argsort(axis=1)
    assert (np.diff(np.take_along_axis(p, order, axis=1), axis=1) <= 1e-12).all()


def test_l2_attention_with_distances_not_squared():
    """teodorToshkov/ViTGAN-pytorch, wilile26811249/ViTGAN: torch.cdist, whose root is not Lipschitz in the softmax."""
    q, k = normal(5, 4), normal(7, 4, seed=1)
    np.testing.assert_allclose(probabilities(q, k, "l2"), softmax(-squared_distances(q, k) / 2), rtol=1e-10)


def test_l2_attention_that_mixes_means_and_sums():
    """mlpc-ucsd/ViTGAN #8: mean(q²) + mean(k²) − 2 Σ q k, a distance of nothing: equal tokens must be at distance 0."""
    q = np.tile(2 * normal(1, 8), (3, 1))
    q[1:] += 0.5 * np.eye(8)[:2]
    np.testing.assert_allclose(probabilities(q, q, "l2"), softmax(-squared_distances(q, q) / math.sqrt(8)), rtol=1e-10)
    shift = 5 * normal(1, 8, seed=2)  # and distances do not change when everything moves
    np.testing.assert_allclose(probabilities(q + shift, q + shift, "l2"), probabilities(q, q, "l2"), rtol=1e-9)


def test_l2_attention_with_untied_queries_and_keys():
    """wilile26811249/ViTGAN #1, mlpc-ucsd/ViTGAN #8: a key weight of its own, for which no Lipschitz bound holds."""
    discriminator = build(resolve(d_similarity="l2"))[1]
    assert not [name for name, _ in discriminator.named_parameters() if "key" in name]
    assert all(m.key is None for m in layers(discriminator, MultiHeadAttention))


def test_attention_scaled_after_the_softmax():
    """teodorToshkov/ViTGAN-pytorch, wilile26811249/ViTGAN: softmax(energy)/√D, so that rows do not sum to 1."""
    layer = in_float64(MultiHeadAttention(8, 2, rng=RandomStream(0)))
    layer.value.weight.data[...], layer.out.weight.data[...] = np.eye(8), np.eye(8)
    constant = np.ones((1, 5, 1)) * normal(1, 1, 8)
    np.testing.assert_allclose(layer(Tensor(constant)).data, constant, rtol=1e-10)


def test_attention_scaled_by_all_heads_together():
    """Nicolivain/ViTGAN: the scale of n_head · head_dim in place of the head's own √d."""
    layer = in_float64(MultiHeadAttention(8, 2, rng=RandomStream(0)))
    layer.out.weight.data[...] = np.eye(8)
    x = normal(1, 5, 8)
    q, k, v = (x[0] @ m.weight.data.T for m in (layer.query, layer.key, layer.value))
    expected = [softmax(q[:, h] @ k[:, h].T / math.sqrt(4)) @ v[:, h] for h in (slice(0, 4), slice(4, 8))]
    np.testing.assert_allclose(layer(Tensor(x)).data[0], np.concatenate(expected, axis=1), rtol=1e-9)


def test_l1_attention_that_is_a_dot_product():
    """Nicolivain/ViTGAN: _l1att is einsum(q, k)."""
    q, k = normal(5, 4), normal(7, 4, seed=1)
    expected = softmax(-abs(q[:, None] - k[None]).sum(-1) / 2)
    np.testing.assert_allclose(probabilities(q, k, "l1"), expected, rtol=1e-10)


def test_infinite_slope_where_a_token_meets_itself():
    """Eq. 6 as printed takes a root that is 0 on the whole diagonal: its gradient is finite here, to second order."""
    for similarity in ("l2", "l1", "l2_printed"):
        discriminator = in_float64(networks(d_similarity=similarity)[1])
        x = Tensor(np.zeros((2, 1, 28, 28)), requires_grad=True)
        (slope,) = grad(discriminator(x).sum(), [x], create_graph=True)
        parameters = dict(discriminator.named_parameters())
        found = dict(zip(parameters, grad((slope * slope).sum(), [*parameters.values()]), strict=True))
        assert {name for name, g in found.items() if g is None} == {"head.bias", "norm.bias"}  # the slope has neither
        assert all(np.isfinite(g).all() for g in found.values() if g is not None)
