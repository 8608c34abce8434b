"""Bugs of other people's public ViTGAN repositories, one test each: none of them can happen here.

The repositories: mlpc-ucsd/ViTGAN (the authors'), Nicolivain/ViTGAN (behind the poster), teodorToshkov/ViTGAN-pytorch,
wilile26811249/ViTGAN, YouvaADDAD/ViTGAN (in full: ViTGAN-Training-GANs-with-Vision-Transformers_), tfwcn/VITGAN-tf2,
songquanpeng/ViTGAN.
"""

import json
import math

import numpy as np
import pytest
from tiny_models import image_batch, in_float64, latents, layers, networks, shake, tiny, tiny_gan

from autograd import Tensor, grad, ops
from autograd.random import RandomStream
from minigan.config import build, resolve
from minigan.data import Dataset
from minigan.losses import LOSSES
from minigan.step import STATS
from minigan.train import Run
from minigan.vitgan import MLP, Block, Discriminator, Generator, unpatchify
from nn import (
    Adam,
    BatchNorm2d,
    Linear,
    MultiHeadAttention,
    SelfModulatedLayerNorm,
    SpectralNorm,
    power_iteration,
    styles,
)


def random(*shape, seed=0, dtype="float64"):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def row(gan, k=0):
    """What step k has logged."""
    return dict(zip(STATS, gan.stats[k].tolist(), strict=True))


def gradients(network, x, seed=1):
    """The network's gradients by name, for a random cotangent."""
    y = network(Tensor(x))
    found = grad(y, network.parameters(), g=random(*y.shape, seed=seed, dtype=y.dtype.name))
    return dict(zip([name for name, _ in network.named_parameters()], found, strict=True))


# ---- attention


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
    q = 3 * random(6, 4)
    p = probabilities(q, q, "l2")
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (p.argmax(axis=1) == np.arange(6)).all()  # a token is nearest to itself
    order = squared_distances(q, q).argsort(axis=1)
    assert (np.diff(np.take_along_axis(p, order, axis=1), axis=1) <= 1e-12).all()


def test_l2_attention_with_distances_not_squared():
    """teodorToshkov/ViTGAN-pytorch, wilile26811249/ViTGAN: torch.cdist, whose root is not Lipschitz in the softmax."""
    q, k = random(5, 4), random(7, 4, seed=1)
    np.testing.assert_allclose(probabilities(q, k, "l2"), softmax(-squared_distances(q, k) / 2), rtol=1e-10)


def test_l2_attention_that_mixes_means_and_sums():
    """mlpc-ucsd/ViTGAN #8: mean(q²) + mean(k²) − 2 Σ q k, a distance of nothing: equal tokens must be at distance 0."""
    q = np.tile(2 * random(1, 8), (3, 1))
    q[1:] += 0.5 * np.eye(8)[:2]
    np.testing.assert_allclose(probabilities(q, q, "l2"), softmax(-squared_distances(q, q) / math.sqrt(8)), rtol=1e-10)
    shift = 5 * random(1, 8, seed=2)  # and distances do not change when everything moves
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
    constant = np.ones((1, 5, 1)) * random(1, 1, 8)
    np.testing.assert_allclose(layer(Tensor(constant)).data, constant, rtol=1e-10)


def test_attention_scaled_by_all_heads_together():
    """Nicolivain/ViTGAN: the scale of n_head · head_dim in place of the head's own √d."""
    layer = in_float64(MultiHeadAttention(8, 2, rng=RandomStream(0)))
    layer.out.weight.data[...] = np.eye(8)
    x = random(1, 5, 8)
    q, k, v = (x[0] @ m.weight.data.T for m in (layer.query, layer.key, layer.value))
    expected = [softmax(q[:, h] @ k[:, h].T / math.sqrt(4)) @ v[:, h] for h in (slice(0, 4), slice(4, 8))]
    np.testing.assert_allclose(layer(Tensor(x)).data[0], np.concatenate(expected, axis=1), rtol=1e-9)


def test_l1_attention_that_is_a_dot_product():
    """Nicolivain/ViTGAN: _l1att is einsum(q, k)."""
    q, k = random(5, 4), random(7, 4, seed=1)
    expected = softmax(-abs(q[:, None] - k[None]).sum(-1) / 2)
    np.testing.assert_allclose(probabilities(q, k, "l1"), expected, rtol=1e-10)


def test_infinite_slope_where_a_token_meets_itself():
    """Eq. 6 as printed takes a root that is 0 on the whole diagonal: its gradient is finite here, to second order."""
    for similarity in ("l2", "l1", "l2_printed"):
        discriminator = in_float64(networks(d_similarity=similarity)[1])
        x = Tensor(np.zeros((2, 1, 28, 28)), requires_grad=True)
        (slope,) = grad(discriminator(x).sum(), [x], create_graph=True)
        for g in grad((slope * slope).sum(), discriminator.parameters()):
            assert g is None or np.isfinite(g).all()


# ---- spectral normalisation


def test_isn_option_swallowed():
    """Nicolivain/ViTGAN: spectral_scaling=True vanishes in **kwargs, and every run trains without ISN."""
    discriminator = Discriminator(width=8, depth=2, heads=2, norm="isn", rng=RandomStream(0))
    linears = layers(discriminator, Linear)
    assert len(linears) == 2 * 5 + 2 and all(m.spectral.improved for m in linears)
    for wrong in ({"spectral_scaling": True}, {"spectral_rescaling": True}, {"mapping_mlp_params": {}}):
        for network in (Generator, Discriminator):
            with pytest.raises(TypeError):
                network(**wrong, rng=RandomStream(0))
        with pytest.raises(TypeError):
            Linear(2, 2, **wrong)
        with pytest.raises(TypeError):
            resolve(**wrong)


def test_isn_commented_out_of_attention():
    """tfwcn/VITGAN-tf2: projections of the attention go without; here no linear map of D escapes, and all are used."""
    discriminator = networks()[1]
    for layer in layers(discriminator, MultiHeadAttention):
        assert layer.query.spectral and layer.value.spectral and layer.out.spectral
    x = Tensor(image_batch(tiny()))
    before = discriminator(x).data
    for spectral in layers(discriminator, SpectralNorm):  # each one counts in the forward
        spectral.sigma_init.data *= 2
        assert abs(discriminator(x).data - before).max() > 1e-4
        spectral.sigma_init.data /= 2


def test_isn_with_the_ratio_inverted():
    """Nicolivain/ViTGAN until February 2022: σ/σ₀, which doubles the growth that it should undo."""
    layer = Linear(6, 5, norm="isn", rng=RandomStream(0))
    first = layer.spectral(layer.weight).data
    layer.weight.data *= 3
    power_iteration(layer)
    np.testing.assert_allclose(layer.spectral(layer.weight).data, first, rtol=1e-5)


def test_isn_detaches_the_weights_from_the_optimiser():
    """wilile26811249/ViTGAN, Nicolivain/ViTGAN: a new nn.Parameter per forward, while Adam updates the old one."""
    discriminator = networks()[1]
    parameters, arrays = discriminator.parameters(), [p.data for p in discriminator.parameters()]
    adam = Adam(parameters, lr=0.01)
    arrays = [p.data for p in parameters]
    x = Tensor(image_batch(tiny()))
    for _ in range(2):
        power_iteration(discriminator)
        before = discriminator(x).data
        adam.step(grad(discriminator(x).sum(), parameters))
        for p, q, a in zip(parameters, discriminator.parameters(), arrays, strict=True):
            assert p is q and p.data is a and np.shares_memory(a, adam.flat.data)
        assert (discriminator(x).data != before).all()


def test_singular_vectors_forgotten_after_every_forward():
    """mlpc-ucsd/ViTGAN, teodorToshkov/ViTGAN-pytorch: u and v are locals, so one iteration starts anew each time."""
    layer = Linear(20, 30, norm="isn", rng=RandomStream(0))
    spectral, matrix = layer.spectral, layer.weight.data
    exact = np.linalg.svd(matrix, compute_uv=False)[0]
    spectral.u.data[...] = 30**-0.5
    power_iteration(layer)
    once = spectral.u.data @ matrix @ spectral.v.data
    for _ in range(100):
        power_iteration(layer)
    assert once < 0.95 * exact
    assert spectral.u.data @ matrix @ spectral.v.data == pytest.approx(exact, rel=1e-3)
    kept = spectral.u.data.copy(), spectral.v.data.copy()
    for _ in range(3):
        layer(Tensor(random(2, 20, dtype="float32")))
    np.testing.assert_array_equal(spectral.u.data, kept[0])
    np.testing.assert_array_equal(spectral.v.data, kept[1])


def test_power_iteration_never_called():
    """The estimates follow the weights: every spectral norm of D iterates as often in each step, whatever it judges."""
    gan = tiny_gan(bcr=1.0)
    calls = []
    for spectral in layers(gan.discriminator, SpectralNorm):
        iterate = spectral.power_iteration
        spectral.power_iteration = lambda weight, iterate=iterate: calls.append(weight) or iterate(weight)
    before = gan.discriminator.embed.spectral.u.data.copy()
    gan.step()
    once = len(calls)
    assert once in (7, 14)  # before each update of D, or of D and of G
    gan.step()
    assert len(calls) == 2 * once
    assert {id(w) for w in calls} <= {id(p) for p in gan.discriminator.parameters()}
    assert not np.array_equal(before, gan.discriminator.embed.spectral.u.data)


def test_singular_vectors_and_scale_not_in_the_state():
    """mlpc-ucsd/ViTGAN: the multiplier is a plain attribute, lost with every checkpoint."""
    a, b = networks()[1], networks(seed=1)[1]
    for spectral in layers(a, SpectralNorm):
        spectral.sigma_init.data *= 1.5
    assert sum(name.endswith(("spectral.u", "spectral.v", "sigma_init")) for name in a.state_dict()) == 3 * 7
    b.load_state_dict(a.state_dict())
    x = Tensor(image_batch(tiny()))
    np.testing.assert_array_equal(a(x).data, b(x).data)


def test_svd_in_every_forward(monkeypatch):
    """wilile26811249/ViTGAN, Nicolivain/ViTGAN: 48 SVDs per forward of D; here one per weight when it is made."""
    calls = []
    svd = np.linalg.svd
    monkeypatch.setattr(np.linalg, "svd", lambda *args, **options: calls.append(1) or svd(*args, **options))
    gan = tiny_gan()
    assert len(calls) == 7
    gan.step()
    gan.sample(latents(gan.config))
    assert len(calls) == 7


def test_spectral_norm_takes_the_weight_out_of_the_parameters():
    """mlpc-ucsd/ViTGAN #5: after the first forward G has fewer parameters than its average."""
    gan = tiny_gan(g_depth=2)
    for _ in range(2):
        for network in (gan.generator, gan.discriminator):
            assert network.count() == sum(p.size for p in network.parameters())
        mine, average = gan.generator.state_dict(), gan.ema.model.state_dict()
        assert {n: a.shape for n, a in mine.items()} == {n: a.shape for n, a in average.items()}
        gan.step()
    assert gan.discriminator.count() == build(gan.config)[1].count()


# ---- blocks


def test_mlp_without_a_nonlinearity():
    """Nicolivain/ViTGAN: mlp_layers = [] makes the MLP of every block one linear map."""
    for activation in ("gelu", "gelu_tanh", "relu", "silu"):
        mlp = in_float64(shake(MLP(6, 12, activation, norm=None, rng=RandomStream(0))))
        x, y = random(4, 6), random(4, 6, seed=1)
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
        network.blocks[0].mlp.down.bias.data += random(16, dtype="float32")
        assert abs(network(Tensor(x)).data - before).max() > 1e-3


def test_generator_equation_printed_without_the_mlp():
    """The poster writes h ← SLN(h, w) + h in place of h ← MLP(SLN(h, w)) + h."""
    block = Block(8, 2, 2.0, "gelu", "dot", latent=4, rng=RandomStream(0))
    for branch in (block.attention.out, block.mlp.down):
        branch.weight.data[...] = 0
    h, w = random(2, 5, 8, dtype="float32"), random(2, 4, dtype="float32")
    np.testing.assert_array_equal(block(Tensor(h), *styles([block.norm1, block.norm2], Tensor(w))).data, h)


def test_residual_taken_from_the_normalised_tensor():
    """mlpc-ucsd/ViTGAN: x = SLN(x); x = attention(x) + x, which forgets the stream."""
    for latent in (None, 4):
        block = Block(8, 2, 2.0, "gelu", "dot", latent=latent, rng=RandomStream(0))
        w = Tensor(random(2, 4, dtype="float32"))
        both = () if latent is None else styles([block.norm1, block.norm2], w)
        h, g = random(2, 5, 8, dtype="float32"), 100 * np.ones((2, 5, 8), "float32")
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
    h, w = random(3, 5, 6), random(3, 4, seed=1)
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
    w = random(2, 4)
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


# ---- pixels


def test_tokens_are_rows_of_pixels():
    """wilile26811249/ViTGAN, Nicolivain/ViTGAN: each token draws an image row; it must draw a square patch."""
    generator = networks(g_overlap=0)[0]
    y = np.zeros((1, 16, 16), "float32")
    y[0, 6] = random(16, dtype="float32")  # row 1, column 2 of the grid
    blank = unpatchify(generator.head(Tensor(0 * y)), 4, 7).data
    changed = abs(unpatchify(generator.head(Tensor(y)), 4, 7).data - blank)[0, 0] > 1e-6
    expected = np.zeros((28, 28), bool)
    expected[7:14, 14:21] = True
    assert not changed[~expected].any() and changed[expected].mean() > 0.9


def test_channels_scrambled_by_view():
    """wilile26811249/ViTGAN, Nicolivain/ViTGAN: view(B, C, H, W) of (B, H, C·W) mixes channels and rows."""
    grid, patch, channels = 2, 3, 3
    image = random(1, channels, 6, 6)
    tokens = image.reshape(1, channels, grid, patch, grid, patch).transpose(0, 2, 4, 3, 5, 1)
    np.testing.assert_array_equal(unpatchify(Tensor(tokens.reshape(1, 4, 9, channels)), grid, patch).data, image)
    head = networks(channels=3, g_overlap=0)[0].head
    head.out.bias.data[...] = [5, 6, 7]
    head.out.weight.data[...] = 0
    pixels = unpatchify(head(Tensor(np.zeros((1, 16, 16), "float32"))), 4, 7).data
    assert [np.unique(plane).tolist() for plane in pixels[0]] == [[5], [6], [7]]


def test_patches_of_colour_images_scrambled():
    """Nicolivain/ViTGAN: RGB patches of D viewed without a permutation, so that a token sees pieces of many patches."""
    discriminator = networks(channels=3)[1]
    x = image_batch(tiny(channels=3), 1)
    changed = x.copy()
    changed[0, 1, 13, 13] += 1  # one channel of a pixel in the middle of the seams: in 4 windows of 13 × 13
    tokens = abs(discriminator.patches(Tensor(changed)).data - discriminator.patches(Tensor(x)).data)[0].sum(axis=1) > 0
    assert tokens.nonzero()[0].tolist() == [5, 6, 9, 10]


def test_pixels_drawn_without_coordinates():
    """wilile26811249/ViTGAN, Nicolivain/ViTGAN: f(y) alone, a plain MLP of sines; E(coordinates) must matter."""
    generator = in_float64(networks(g_overlap=0)[0])
    z = Tensor(latents(tiny(), dtype="float64"))
    before = generator(z).data
    generator.head.coordinates.data[...] = generator.head.coordinates.data[::-1]
    after = generator(z).data
    turned = before.reshape(4, 4, 7, 4, 7)[:, :, ::-1, :, ::-1].reshape(4, 1, 28, 28)
    np.testing.assert_allclose(after, turned, rtol=0, atol=1e-12)  # a row of a product rounds by where it lies
    assert abs(after - before).max() > 0.01


def test_all_patches_are_the_same():
    """wilile26811249/ViTGAN #1: "patches are the same"."""
    x = (
        networks(g_reach=1.0)[0](Tensor(latents(tiny())))
        .data.reshape(4, 4, 7, 4, 7)
        .transpose(0, 1, 3, 2, 4)
        .reshape(4, 16, 49)
    )
    for image in x:
        assert all(abs(image[a] - image[b]).max() > 1e-3 for a in range(16) for b in range(a))


def test_border_that_the_discriminator_never_sees():
    """Nicolivain/ViTGAN: stride (32 − 12)//8 + 1 = 3 leaves the right and lower border to noise in every sample."""
    for size, patch, overlap in ((32, 8, 2), (32, 4, 2), (28, 7, 3)):
        c = tiny(image_size=size, g_patch=patch, d_patch=patch, d_overlap=overlap)
        discriminator = build(c)[1]
        x = Tensor(image_batch(c, 1), requires_grad=True)
        (seen,) = grad(discriminator(x).sum(), [x])
        assert (seen != 0).all()


def test_overlap_without_padding():
    """teodorToshkov/ViTGAN-pytorch: kernel 2P, stride P and no padding, 7 × 7 tokens of an image of 8 × 8 patches."""
    discriminator = build(tiny(image_size=32, g_patch=4, d_patch=4, d_overlap=2))[1]
    assert discriminator.patches(Tensor(np.zeros((1, 1, 32, 32), "float32"))).shape == (1, 64, 8 * 8)


def test_grid_hard_coded():
    """mlpc-ucsd/ViTGAN: token_width = 8 in the forward of G, whatever the image."""
    for size, patch in ((28, 7), (28, 4), (32, 4), (64, 16)):
        c = tiny(image_size=size, g_patch=patch, d_patch=patch)
        assert build(c)[0](Tensor(latents(c, 1))).shape == (1, 1, size, size)


def test_images_in_another_range_than_the_output():
    """teodorToshkov/ViTGAN-pytorch: images in [0, 1] beside an unbounded output; both are in [−1, 1] here."""
    gan = tiny_gan()
    gan.images = np.array([[[0, 255] * 14] * 28], np.uint8)
    gan.prepare()
    assert np.unique(gan.real_batch().data).tolist() == [-1, 1]
    x = gan.generator(Tensor(100 * latents(gan.config))).data
    assert x.min() >= -1 and x.max() <= 1
    assert gan.sample(latents(gan.config)).dtype == np.uint8


def test_batch_norm_in_the_patch_embedding():
    """YouvaADDAD/ViTGAN: the logit of an image depends on the others of its batch, which voids R1."""
    for variant in ("vitgan", "vanilla", "relu", "cnn"):
        discriminator = networks(variant)[1]
        assert not layers(discriminator, BatchNorm2d)
        x = Tensor(image_batch(tiny(variant)), requires_grad=True)
        (of_the_first,) = grad(discriminator(x)[0], [x])
        assert of_the_first[0].any() and not of_the_first[1:].any()


# ---- the logit and the losses


def test_gelu_after_the_logit():
    """teodorToshkov/ViTGAN-pytorch: a final GELU, so that D never says less than −0.17."""
    for variant in ("vitgan", "vanilla", "relu", "cnn"):
        discriminator = networks(variant, d_norm="none")[1]
        x = Tensor(image_batch(tiny(variant)))
        before = discriminator(x).data
        for p in (discriminator.head.weight, discriminator.head.bias):
            p.data *= -1000
        np.testing.assert_allclose(discriminator(x).data, -1000 * before, rtol=1e-3, atol=1e-2)


def test_relu_run_stuck_at_ln_2():
    """Nicolivain/ViTGAN, MNIST_ReLU; teodorToshkov/ViTGAN-pytorch #5: losses of exactly 0.6931 for all epochs."""
    gan = tiny_gan("relu", loss="nonsaturating", penalty="none", steps=50, log_every=50, g_lr=2e-3, d_lr=2e-3)
    for _ in range(6):
        gan.step()
    logged = [row(gan, k) for k in range(6)]
    assert all(abs(r["loss_g"] - math.log(2)) > 1e-3 and r["grad_norm_g"] > 1e-3 for r in logged)
    assert len({r["loss_d"] for r in logged}) == 6


def test_sigmoid_before_the_cross_entropy():
    """wilile26811249/ViTGAN: log(sigmoid(a)) is −∞ and its gradient NaN for a logit of −200."""
    for name, loss in LOSSES.items():
        real, fake = (Tensor(np.array([a], "float32"), requires_grad=True) for a in (-200.0, 200.0))
        for value in (loss.discriminator(real, fake), loss.generator(real, fake)):
            assert np.isfinite(value.data)
        found = grad(loss.discriminator(real, fake), [real, fake])
        assert [float(g[0]) for g in found] == pytest.approx([-1, 1]), name  # and still full slope


def test_logits_that_broadcast_into_all_pairs():
    """teodorToshkov/ViTGAN-pytorch #4: logits (B, 1) beside (B,) compare everything with everything."""
    for variant in ("vitgan", "cnn"):
        assert networks(variant)[1](Tensor(image_batch(tiny(variant)))).shape == (4,)
    with pytest.raises(ValueError, match="must be equal"):
        LOSSES["relativistic"].discriminator(Tensor(np.zeros((4, 1))), Tensor(np.zeros(4)))


def test_fakes_not_detached_in_the_step_of_d():
    """wilile26811249/ViTGAN: D's loss flows into G."""
    gan = tiny_gan()
    seen = {}
    discriminator_loss = gan.discriminator_loss
    gan.discriminator_loss = lambda real, fake: seen.update(fake=fake) or discriminator_loss(real, fake)
    flat = gan.adam_g.flat.data.copy()
    fake, *_ = gan.judge()
    assert seen["fake"].node is None and fake.node is not None
    np.testing.assert_array_equal(gan.adam_g.flat.data, flat)
    loss, *_ = discriminator_loss(gan.real_batch(), seen["fake"])
    assert set(grad(loss, gan.generator.parameters())) == {None}


def test_step_of_g_changes_d():
    """The other way round: G's loss must not move D."""
    gan = tiny_gan()
    fake, on_real, *_ = gan.judge()
    before = gan.discriminator.state_dict()
    gan.fool(fake, on_real)
    for name, a in gan.discriminator.state_dict().items():
        np.testing.assert_array_equal(a, before[name])
    assert on_real.node is None


def test_consistency_loss_overwritten():
    """YouvaADDAD/ViTGAN: d_loss = (real + fake)/2 in the next line throws bCR away."""

    def loss(bcr):
        gan = tiny_gan(bcr=bcr, penalty="none")
        gan.step()
        return row(gan)["loss_d"], gan.discriminator.state_dict()["blocks.0.mlp.up.weight"]

    (without, w0), (one, w1), (two, _) = (loss(bcr) for bcr in (0.0, 1.0, 2.0))
    assert one > without + 1e-3
    assert two - without == pytest.approx(2 * (one - without), rel=1e-3)  # and it has its weight
    assert not np.array_equal(w0, w1)


def test_consistency_averaged_over_real_and_fake():
    """The paper's bCR is a mean over real images plus a mean over fakes, not the mean of both."""
    gan = tiny_gan(bcr=3.0, penalty="none", loss="relativistic")
    gan.discriminator.forward = lambda x: Tensor(np.repeat([0, 1], 8).astype("float32") * 2**0.5)
    loss, *_ = gan.discriminator_loss(gan.real_batch(), gan.real_batch())
    assert loss.item() == pytest.approx(math.log(2) + 3 * (2 + 2))


def test_penalty_without_effect():
    """The same for R1 and R2, in both forms."""
    for penalty in ("fd", "exact"):
        penalties = []
        for which in ("r1", "r2"):
            rows = []
            for gamma in (0.0, 4.0):
                gan = tiny_gan(penalty=penalty, **{"r1": 0.0, "r2": 0.0, which: gamma})
                gan.step()
                rows.append((row(gan), gan.adam_d.flat.data.copy()))
            (none, w0), (some, w1) = rows
            assert none["penalty"] == 0 < some["penalty"]
            assert some["loss_d"] - none["loss_d"] == pytest.approx(some["penalty"], rel=1e-3)
            assert not np.array_equal(w0, w1)
            penalties.append(some["penalty"])
        assert penalties[0] != pytest.approx(penalties[1], rel=1e-3)  # of real, of generated images


def test_fakes_not_augmented_for_g():
    """YouvaADDAD/ViTGAN: D learns on augmented images and then judges plain ones for G."""
    gan = tiny_gan(augment="cutout,brightness", loss="nonsaturating")
    fake, on_real, *_ = gan.judge()
    seen = []
    forward = gan.discriminator.forward
    gan.discriminator.forward = lambda x: seen.append(x) or forward(x)
    state = gan.rng.state
    gradients, _ = gan.fool(fake, on_real)
    gan.rng.state = state
    expected = gan.augment.apply(fake, gan.augment.draw(gan.rng, fake.shape)).data
    np.testing.assert_array_equal(seen[0].data, expected)
    assert abs(expected - fake.data).max() > 0.01
    (through,) = grad(seen[0].sum(), [gan.generator.head.out.bias])
    assert through.any() and all(g.any() for g in gradients)  # and the gradient goes back through the augmentation


def test_real_and_fake_not_augmented_alike_for_d():
    """Augmenting the real images alone would teach D the augmentation."""
    gan = tiny_gan(augment="cutout", augment_p=1.0, penalty="none", background=0.0)
    seen = []
    forward = gan.discriminator.forward
    gan.discriminator.forward = lambda x: seen.append(x.data) or forward(x)
    gan.judge()
    assert seen[0].shape == (8, 1, 28, 28)
    assert ((seen[0] == 0).sum(axis=(1, 2, 3)) >= 49).all()  # every image of the eight has its hole


# ---- logs, averages, evaluation


def test_fake_loss_logs_the_real_one():
    """Nicolivain/ViTGAN: train_disc_fake_loss is the loss on real images."""
    gan = tiny_gan(penalty="none")
    seen = []
    judge = gan.judge

    def watched():
        state, weights = gan.rng.state, gan.discriminator.copy()
        out = judge()
        after, gan.rng.state = gan.rng.state, state
        seen.append((weights, gan.real_batch(), out[0]))
        gan.rng.state = after
        return out

    gan.judge = watched
    gan.step()
    [(discriminator, real, fake)] = seen
    on_real, on_fake = discriminator(real).data, discriminator(fake).data
    logged = row(gan)
    assert logged["d_real"] == pytest.approx(on_real.mean(), rel=1e-4)
    assert logged["d_fake"] == pytest.approx(on_fake.mean(), rel=1e-4)
    assert abs(logged["d_real"] - logged["d_fake"]) > 1e-3
    assert logged["loss_d"] == pytest.approx(np.log1p(np.exp(on_fake - on_real)).mean(), rel=1e-4)
    now = gan.discriminator(fake).data  # G is judged by the new D
    assert logged["loss_g"] == pytest.approx(np.log1p(np.exp(on_real - now)).mean(), rel=1e-4)


def test_logged_numbers_divided_by_the_wrong_count(tmp_path):
    """Nicolivain/ViTGAN: what is logged as FID is FID/len(dataloader); a line of the log is the mean of its steps."""
    gan = tiny_gan(steps=7, log_every=5)
    run = Run(gan, tmp_path, Dataset(gan.images, None, "", None), "")
    run.seconds, rows = 1.0, []
    for k in range(7):
        gan.step()
        rows.append(gan.stats[k % 5].copy())
        if k in (4, 6):
            run._log()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    for line, part in zip(lines, (rows[:5], rows[5:]), strict=True):
        np.testing.assert_allclose([line[name] for name in STATS], np.mean(part, axis=0), atol=1e-5)


def test_fid_of_a_mean_that_is_not_squared():
    """The poster prints |μ₁ − μ₂|; the distance has its square, and is 0 for equal sets, in any number of batches."""
    from minigan.metrics.frechet import Moments, frechet_distance

    x = random(50, 3)
    whole = Moments().update(x)
    parts = Moments().update(x[:17]).update(x[17:])
    np.testing.assert_allclose([*parts.mean, *parts.cov.ravel()], [*whole.mean, *whole.cov.ravel()], atol=1e-12)
    assert frechet_distance(whole.mean, whole.cov, parts.mean, parts.cov) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(whole.mean + [3, 0, 4], whole.cov, whole.mean, whole.cov) == pytest.approx(25)


def test_fid_of_a_handful_of_samples(tmp_path):
    """Nicolivain/ViTGAN: at most 20 random batches; here as many samples as asked for, always of the same z."""
    gan = tiny_gan(eval_samples=37)
    counts = []
    run = Run(
        gan, tmp_path, Dataset(gan.images, None, "", None), "", evaluate=lambda samples: counts.append(samples) or {}
    )
    run.finish()
    run.finish()
    assert counts[0].shape == (37, 28, 28)
    assert not any(m.training for m in gan.ema.model.modules())
    np.testing.assert_array_equal(counts[0], counts[1])


def test_average_of_g_never_used_for_samples():
    """teodorToshkov/ViTGAN-pytorch: an EMA is kept, and samples come from the raw generator."""
    gan = tiny_gan()
    for _ in range(3):
        gan.step()
    z = latents(gan.config)
    for p in gan.generator.parameters():
        p.data[...] = np.nan
    images = gan.sample(z)
    expected = ((gan.ema.model(Tensor(z)).data[:, 0] + 1) * 127.5 + 0.5).astype("uint8")
    np.testing.assert_array_equal(images, expected)


def test_average_of_g_never_updated():
    """teodorToshkov/ViTGAN-pytorch: the EMA iterates over an exhausted generator of parameters, so over nothing."""
    gan = tiny_gan(ema=0.9, ema_ramp=1e-3)
    gan.step()
    for p, q in zip(gan.ema.model.parameters(), gan.generator.parameters(), strict=True):
        np.testing.assert_array_equal(p.data, q.data)  # the first step: all of G
    for _ in range(2):
        before = [p.data.copy() for p in gan.ema.model.parameters()]
        gan.step()
        for p, q, old in zip(gan.ema.model.parameters(), gan.generator.parameters(), before, strict=True):
            np.testing.assert_allclose(p.data, 0.9 * old + 0.1 * q.data, rtol=1e-4, atol=1e-6)


def test_average_with_its_weights_swapped():
    """wilile26811249/ViTGAN: add_(1 − alpha, x) in the old argument order."""
    gan = tiny_gan(ema=0.999, ema_ramp=1e-3)
    gan.step()
    start = gan.ema.model.state_dict()["head.out.weight"]
    gan.generator.head.out.weight.data += 1
    gan.ema.step(gan.adam_g.flat, 0.001)
    np.testing.assert_allclose(gan.ema.model.state_dict()["head.out.weight"] - start, 0.001, rtol=0.01)
