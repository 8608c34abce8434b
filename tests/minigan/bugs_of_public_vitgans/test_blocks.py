"""Bugs of public ViTGANs in the blocks of both networks."""

import math

import numpy as np
from tensors import normal
from tiny_models import image_batch, in_float64, latents, layers, networks, shake, tiny

from autograd import Tensor, grad
from autograd.random import RandomStream
from minigan.config import build
from minigan.presets import resolve
from minigan.vitgan import MLP, Block
from nn import Linear, SelfModulatedLayerNorm, styles


def gradients(network, x, seed=1):
    """The network's gradients by name, for a random cotangent."""
    y = network(Tensor(x))
    found = grad(y, network.parameters(), g=normal(*y.shape, seed=seed, dtype=y.dtype.name))
    return dict(zip([name for name, _ in network.named_parameters()], found, strict=True))


def test_mlp_without_a_nonlinearity():
    """Nicolivain/ViTGAN: mlp_layers = [] makes the MLP of every block one linear map."""
    for activation in ("gelu", "gelu_tanh", "relu", "silu"):
        mlp = in_float64(shake(MLP(6, 12, activation, norm=None, rng=RandomStream(0))))
        x, y = normal(4, 6), normal(4, 6, seed=1)
        f = [mlp(Tensor(v)).data for v in (x, y, x + y, np.zeros((4, 6)))]
        assert (abs(f[2] - f[0] - f[1] + f[3]).max(axis=1) > 1e-3).all()
        assert mlp.up.weight.shape == (12, 6) and mlp.down.weight.shape == (6, 12)


def test_output_of_the_mlp_discarded():
    """teodorToshkov/ViTGAN-pytorch: self.feed_forward(h) is computed and dropped, its weights get no gradient."""
    c = tiny(g_depth=2, d_depth=2)
    for network, x in zip(networks(g_depth=2, d_depth=2), (latents(c), image_batch(c)), strict=True):
        found = gradients(network, x)
        mlps = [name for name in found if ".mlp." in name]
        assert len(mlps) == 2 * 4 and all(abs(found[name]).max() > 1e-4 for name in mlps)
        before = network(Tensor(x)).data
        network.blocks[0].mlp.down.bias.data += normal(16, dtype="float32")
        assert abs(network(Tensor(x)).data - before).max() > 1e-3


def test_generator_equation_printed_without_the_mlp():
    """The poster writes h ← SLN(h, w) + h in place of h ← MLP(SLN(h, w)) + h."""
    block = Block(8, 2, 2.0, "gelu", "dot", latent=4, rng=RandomStream(0))
    for branch in (block.attention.out, block.mlp.down):
        branch.weight.data[...] = 0
    h, w = normal(2, 5, 8, dtype="float32"), normal(2, 4, dtype="float32")
    np.testing.assert_array_equal(block(Tensor(h), *styles([block.norm1, block.norm2], Tensor(w))).data, h)


def test_residual_taken_from_the_normalised_tensor():
    """mlpc-ucsd/ViTGAN: x = SLN(x); x = attention(x) + x, which forgets the stream."""
    for latent in (None, 4):
        block = Block(8, 2, 2.0, "gelu", "dot", latent=latent, rng=RandomStream(0))
        w = Tensor(normal(2, 4, dtype="float32"))
        both = () if latent is None else styles([block.norm1, block.norm2], w)
        h, g = normal(2, 5, 8, dtype="float32"), 100 * np.ones((2, 5, 8), "float32")
        small, large = (block(Tensor(x), *both).data - x for x in (h, h + g))
        np.testing.assert_allclose(small, large, atol=2e-4)  # the branches see a normalised h, the stream keeps h


def test_one_modulated_norm_shared_by_both_halves_of_a_block():
    """teodorToshkov/ViTGAN-pytorch: a single SLN before attention and MLP."""
    generator = networks(g_depth=2)[0]
    for block in generator.blocks:
        assert block.norm1 is not block.norm2
        assert not np.array_equal(block.norm1.gamma.weight.data, block.norm2.gamma.weight.data)


def test_gamma_and_beta_are_scalars():
    """wilile26811249/ViTGAN #2, Nicolivain/ViTGAN: γ and β are numbers that multiply w; they must be functions of w."""
    norm = in_float64(shake(SelfModulatedLayerNorm(6, 4, rng=RandomStream(0))))
    h, w = normal(3, 5, 6), normal(3, 4, seed=1)
    centred = h - h.mean(axis=-1, keepdims=True)
    normed = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + norm.eps)
    gamma, beta = (w @ m.weight.data.T + m.bias.data for m in (norm.gamma, norm.beta))
    assert gamma.shape == beta.shape == (3, 6)
    np.testing.assert_allclose(
        norm(Tensor(h), *norm.style(Tensor(w))).data, gamma[:, None] * normed + beta[:, None], rtol=1e-9, atol=1e-12
    )


def test_beta_multiplies():
    """tfwcn/VITGAN-tf2: SLN multiplies by β; it must add, whatever h is."""
    norm = in_float64(SelfModulatedLayerNorm(6, 4, rng=RandomStream(0)))
    w = normal(2, 4)
    flat = norm(Tensor(np.ones((2, 5, 6))), *norm.style(Tensor(w))).data  # nothing to normalise: β alone is left
    np.testing.assert_allclose(flat, np.repeat((w @ norm.beta.weight.data.T)[:, None], 5, axis=1), atol=1e-9)


def test_modulation_normalised_away():
    """songquanpeng/ViTGAN: a second layer norm after SLN takes γ and β away again."""
    generator = in_float64(networks(g_tokens=False, g_style_rate=1.0)[0])
    norm, seen = generator.blocks[0].norm1, []
    attention = generator.blocks[0].attention.forward
    generator.blocks[0].attention.forward = lambda x, first=None: seen.append(x.data) or attention(x, first)
    z = latents(tiny(), dtype="float64")
    generator(Tensor(z))
    h = np.broadcast_to(generator.position().data, (4, 16, 16))
    style = norm.style(generator.mapping(Tensor(z)))
    np.testing.assert_allclose(seen[0], norm(Tensor(h), *style).data, rtol=1e-9)
    assert (seen[0].std(axis=-1) - 1).std() > 1e-3  # not of variance 1


def test_one_latent_per_token():
    """wilile26811249/ViTGAN, Nicolivain/ViTGAN: w is tokens × width (12.6 of 15.9 M weights); it is one vector."""
    generator = networks()[0]
    assert generator.mapping(Tensor(latents(tiny()))).shape == (4, 16)
    assert generator.mapping.count() < 0.1 * generator.count()


def test_weights_from_a_unit_normal():
    """teodorToshkov/ViTGAN-pytorch: N(0, 1) on every linear map, whatever its width."""
    for network in build(resolve(d_norm="none")):
        for layer in layers(network, Linear):
            fan_in = layer.weight.shape[1]
            assert layer.weight.data.std() * math.sqrt(fan_in) < 1.8


def test_dropout_while_sampling_or_training():
    """Nicolivain/ViTGAN: dropout 0.2 in both networks, also while FID is measured; a forward is deterministic here."""
    for variant in ("vitgan", "cnn"):
        c = tiny(variant)
        for network, x in zip(networks(variant), (latents(c), image_batch(c)), strict=True):
            first = network.train()(Tensor(x)).data
            np.testing.assert_array_equal(network(Tensor(x)).data, first)
            np.testing.assert_array_equal(network.eval()(Tensor(x)).data, first)
