"""Layers beside PyTorch: values and gradients."""

import math

import numpy as np
import pytest
from tensors import normal, rng
from tiny_models import in_float64, shake

from autograd import Tensor, grad
from nn import (
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    LayerNorm,
    Linear,
    Module,
    MultiHeadAttention,
    SelfModulatedLayerNorm,
)

torch = pytest.importorskip("torch")
F = torch.nn.functional
torch.set_num_threads(1)  # the arrays are tiny


def check_beside_torch(layer, function, x, rtol=1e-10):
    """Values and gradients of a float64 layer, for x and every parameter, beside `function(x, *parameters)`."""
    parameters = layer.parameters()
    theirs = [torch.tensor(p.data.copy(), requires_grad=True) for p in parameters]
    tx = torch.tensor(x, requires_grad=True)
    expected = function(tx, *theirs)
    g = normal(*expected.shape, seed=11)
    gradients = torch.autograd.grad(expected, [tx, *theirs], torch.tensor(g))
    ours = Tensor(x, requires_grad=True)
    y = layer(ours)
    assert y.dtype == np.float64
    np.testing.assert_allclose(y.data, expected.detach().numpy(), rtol=rtol, atol=rtol)
    for a, b in zip(grad(y, [ours, *parameters], g=g), gradients, strict=True):
        assert abs(b.numpy()).max() > 1e-6
        np.testing.assert_allclose(a, b.numpy(), rtol=rtol, atol=rtol * 10)


def prepared(layer):
    return shake(in_float64(layer), std=0.3)


@pytest.mark.parametrize("shape", [(5, 3), (2, 4, 3), (3,)])
def test_linear_is_torchs(shape):
    check_beside_torch(prepared(Linear(3, 6, rng=rng())), F.linear, normal(*shape))
    check_beside_torch(prepared(Linear(3, 6, bias=False, rng=rng())), F.linear, normal(*shape))


@pytest.mark.parametrize(
    "options", [{}, {"stride": 2, "padding": 1}, {"padding": (0, 2), "dilation": (2, 1)}, {"bias": False}]
)
def test_conv2d_is_torchs(options):
    layer = prepared(Conv2d(3, 4, (3, 2), rng=rng(), **options))
    options = {k: v for k, v in options.items() if k != "bias"}
    check_beside_torch(layer, lambda x, *p: F.conv2d(x, *p, **options), normal(2, 3, 7, 6))


@pytest.mark.parametrize(
    "options", [{}, {"stride": 2, "padding": 1}, {"stride": (2, 3), "output_padding": (1, 2)}, {"bias": False}]
)
def test_conv_transpose2d_is_torchs(options):
    layer = prepared(ConvTranspose2d(3, 4, (4, 3), rng=rng(), **options))
    options = {k: v for k, v in options.items() if k != "bias"}
    check_beside_torch(layer, lambda x, *p: F.conv_transpose2d(x, *p, **options), normal(2, 3, 4, 5))


def test_layer_norm_is_torchs():
    layer = prepared(LayerNorm(6, eps=1e-3))
    check_beside_torch(layer, lambda x, w, b: F.layer_norm(x, (6,), w, b, 1e-3), normal(2, 4, 6))


def test_batch_norm_is_torchs_in_training_and_after():
    layer = prepared(BatchNorm2d(3, momentum=0.3))
    mean, var = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)

    def function(training):
        return lambda x, w, b: F.batch_norm(x, mean, var, w, b, training, 0.3)

    for seed in range(3):
        check_beside_torch(layer, function(True), normal(4, 3, 5, 2, seed=seed) * 2 + 1)
        np.testing.assert_allclose(layer.running_mean.data, mean.numpy(), rtol=1e-12)
        np.testing.assert_allclose(layer.running_var.data, var.numpy(), rtol=1e-12)
    layer.eval()
    check_beside_torch(layer, function(False), normal(4, 3, 5, 2, seed=9))
    np.testing.assert_allclose(layer.running_mean.data, mean.numpy(), rtol=1e-12)


def test_self_modulated_layer_norm_is_gamma_and_beta_of_w_around_torchs():
    layer = prepared(SelfModulatedLayerNorm(6, 4, rng=rng()))
    w = normal(2, 4, seed=3)
    tw = torch.tensor(w, requires_grad=True)

    def function(h, gw, gb, bw, bb):
        gamma, beta = tw @ gw.T + gb, tw @ bw.T + bb
        return gamma[:, None] * F.layer_norm(h, (6,)) + beta[:, None]

    check_beside_torch(modulated_by(layer, Tensor(w)), function, normal(2, 5, 6))
    h, g = normal(2, 5, 6), normal(2, 5, 6, seed=8)
    latent = Tensor(w, requires_grad=True)
    (found,) = grad(layer(Tensor(h), *layer.style(latent)), [latent], g=g)
    theirs = [torch.tensor(p.data) for p in layer.parameters()]
    (expected,) = torch.autograd.grad(function(torch.tensor(h), *theirs), tw, torch.tensor(g))
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-10, atol=1e-10)


def modulated_by(layer, w):
    """A self-modulated layer norm of h alone."""

    class Partial(Module):
        def __init__(self):
            self.layer = layer

        def forward(self, x):
            return layer(x, *layer.style(w))

    return Partial()


# ---- attention


def torch_attention(layer, heads, similarity):
    """softmax(S) V by PyTorch: SDPA for dot, explicit distances for the others; tied if there is no key weight."""
    tied = layer.key is None

    def function(x, *p):
        wq, wk, wv, wo, bo = (p[0], p[0], *p[1:]) if tied else p
        batch, tokens, features = x.shape
        q, k, v = (F.linear(x, w).reshape(batch, tokens, heads, -1).transpose(1, 2) for w in (wq, wk, wv))
        scale = 1 / math.sqrt(features // heads)
        if similarity == "dot":
            y = F.scaled_dot_product_attention(q, k, v)
        else:
            difference = q[:, :, :, None] - k[:, :, None]  # (B, H, N, N, d)
            if similarity == "l2":
                scores = -scale * difference.square().sum(-1)
            elif similarity == "l1":
                scores = -scale * torch.cdist(q, k, p=1.0)
            else:
                scores = scale * torch.cdist(q, k, p=2.0)
            y = torch.softmax(scores, -1) @ v
        return F.linear(y.transpose(1, 2).reshape(batch, tokens, features), wo, bo)

    return function


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("similarity", ["dot", "l2", "l1", "l2_printed"])
def test_attention_is_torchs(similarity, tied):
    layer = prepared(MultiHeadAttention(6, 2, similarity, tied, rng=rng()))
    assert (layer.key is None) == tied
    check_beside_torch(layer, torch_attention(layer, 2, similarity), normal(2, 5, 6), rtol=1e-8)
