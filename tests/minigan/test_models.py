"""The networks and the configuration: what they are made of, what they see, what reaches every parameter."""

import argparse
import dataclasses

import numpy as np
import pytest
from tiny_models import TINY, VARIANTS, image_batch, in_float64, latents, layers, networks, shake, tiny, tiny_gan

from autograd import Tensor, grad, no_grad, ops
from autograd.random import RandomStream
from experiments.parts.flags import add_config_flags, given_options
from minigan.config import BEFORE, PRESETS, Config, build, check, resolve, saved_config
from minigan.errors import InputError
from minigan.losses import LOSSES, gradient_penalty
from minigan.vitgan import (
    Blend,
    Block,
    Discriminator,
    Generator,
    ImplicitPatch,
    LinearPatch,
    Mapping,
    Position,
    clamp,
    unpatchify,
)
from nn import LayerNorm, Linear, SelfModulatedLayerNorm, SpectralNorm

SIMILARITIES = ["l2", "dot", "l1", "l2_printed"]
SHAPES = [(28, 7, 1), (32, 8, 3), (32, 4, 1), (64, 16, 3)]  # image size, patch, channels


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


# ---- sizes


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size, patch, channels", SHAPES)
def test_every_variant_draws_and_judges_images_of_every_size(variant, size, patch, channels):
    c = tiny(variant, image_size=size, channels=channels, g_patch=patch, d_patch=patch, d_overlap=patch // 2)
    generator, discriminator = build(c)
    with no_grad():
        x = generator(Tensor(latents(c)))
        logits = discriminator(x)
    assert x.shape == (4, channels, size, size) and x.dtype == np.float32
    assert np.isfinite(x.data).all() and abs(x.data).max() <= 1
    assert logits.shape == (4,) and logits.dtype == np.float32 and np.isfinite(logits.data).all()


@pytest.mark.slow
def test_the_poster_has_about_30_million_parameters():
    c = resolve(preset="poster", d_norm="none")  # a spectral norm has none, and its SVDs take seconds
    generator, discriminator = build(c)
    assert 27e6 < generator.count() + discriminator.count() < 33e6
    assert (c.g_depth, c.d_depth, c.g_heads, c.d_heads) == (4, 4, 4, 4)


def test_the_paper_has_its_sizes():
    c = resolve(preset="paper", image_size=32, channels=3)
    assert (c.g_width, c.d_width, c.g_depth, c.d_depth, c.g_heads, c.d_heads) == (384, 384, 4, 4, 6, 6)
    generator, discriminator = build(dataclasses.replace(c, g_depth=1, d_depth=1, d_norm="none"))
    assert generator.blocks[0].mlp.up.weight.shape == discriminator.blocks[0].mlp.up.weight.shape == (1536, 384)
    assert generator.grid == 8 and (discriminator.patch, discriminator.kernel) == (4, 8)
    assert discriminator.position().shape == (1, 64, 384)
    tied = 3 * 384**2 + 384 + 2 * 384 * 1536 + 1536 + 384 + 4 * 384  # projections, MLP, two layer norms
    assert discriminator.blocks[0].count() == tied
    assert generator.blocks[0].count() == tied - 4 * 384 + 384**2 + 4 * (384 + 1) * 384  # a key weight and two SLNs


def test_the_small_preset_is_small():
    generator, discriminator = build(resolve())
    assert generator.count() + discriminator.count() < 1e6


def test_spectral_norm_adds_no_parameters():
    for variant in ("vitgan", "cnn"):
        counts = {build(tiny(variant, d_norm=norm))[1].count() for norm in ("bound", "isn", "sn", "none")}
        assert len(counts) == 1


# ---- every parameter counts

OPTIONS = {
    "vitgan": {},
    "vanilla": {"variant": "vanilla"},
    "as in the paper": {"variant": "vanilla-paper"},
    "relu": {"variant": "relu"},
    "cnn": {"variant": "cnn"},
    "batch norm": {"variant": "cnn", "cnn_batch_norm": True},
    "deep": {"g_depth": 2, "d_depth": 2, "g_mapping": 3},
    "fourier, sine positions": {"g_head": "fourier", "g_position": "sine", "d_position": "sine"},
    "linear head": {"g_head": "linear", "channels": 3},
    "silu, dot, plain SN": {"activation": "silu", "d_similarity": "dot", "d_norm": "sn"},
    "l1": {"d_similarity": "l1"},
    "l2_printed": {"d_similarity": "l2_printed"},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_every_parameter_receives_a_gradient(options):
    """In float64, so that one that is 0 but for rounding (a key bias under dot attention, say) is found."""
    c = tiny(**options)
    for network, x in zip(networks(**options), (latents(c, 8), image_batch(c, 8)), strict=True):
        y = in_float64(network)(Tensor(x.astype("float64")))
        gradients = grad(y, network.parameters(), g=random(*y.shape))
        for (name, p), g in zip(network.named_parameters(), gradients, strict=True):
            assert g is not None, name
            if c.cnn_batch_norm and name in ("convs.0.bias", "convs.1.bias"):  # batch norm takes them away again
                assert abs(g).max() < 1e-12
                continue
            assert abs(g).max() > 1e-5, name
            alive = abs(g) > 1e-9
            assert alive.mean() > (0.2 if "relu" in (c.activation, c.variant) else 0.9), name
            if name.endswith(("position.table", "class_token")):
                assert alive.reshape(-1, p.shape[-1]).any(axis=1).all(), f"{name}: some tokens count for nothing"


CONSTANTS = ["norm.bias", "head.bias"]  # they add the same number to the logit of every image


def test_the_relativistic_loss_moves_all_of_d_but_what_is_common_to_all_logits():
    c = tiny()
    discriminator = in_float64(networks()[1])
    real, fake = (Tensor(image_batch(c, dtype="float64", seed=seed)) for seed in (1, 2))
    loss = LOSSES["relativistic"].discriminator(discriminator(real), discriminator(fake))
    names = [name for name, _ in discriminator.named_parameters()]
    found = dict(zip(names, grad(loss, discriminator.parameters()), strict=True))
    assert all(abs(found.pop(name)).max() < 1e-15 for name in CONSTANTS)
    assert all(abs(g).max() > 1e-6 for g in found.values())


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_latent_number_changes_the_image(variant):
    c = tiny(variant)
    generator = in_float64(networks(variant, g_reach=1.0)[0])  # no pixel is clipped
    z = latents(c, 1, "float64")
    x = generator(Tensor(np.concatenate([z, *(z + 0.5 * row for row in np.eye(c.latent))]))).data
    change = abs(x[1:] - x[0]).reshape(c.latent, -1)
    assert (change.max(axis=1) > 1e-4).all()
    if variant != "cnn":  # and every patch of it, of every image
        each_patch = change.reshape(c.latent, 4, 7, 4, 7).max(axis=(2, 4))
        assert (each_patch > 1e-6).all()


def test_images_of_a_batch_do_not_mix():
    for variant in VARIANTS:
        c = tiny(variant)
        for network, x in zip(networks(variant), (latents(c), image_batch(c)), strict=True):
            network, x = in_float64(network), x.astype("float64")
            together = network(Tensor(x)).data
            alone = np.concatenate([network(Tensor(x[i : i + 1])).data for i in range(len(x))])
            np.testing.assert_allclose(together, alone, rtol=1e-10, atol=1e-12)


# ---- the generator


def test_unpatchify_puts_every_pixel_where_it_belongs():
    grid, patch, channels = 3, 2, 3
    x = random(2, grid**2, patch**2, channels)
    image = unpatchify(Tensor(x), grid, patch).data
    assert image.shape == (2, channels, grid * patch, grid * patch)
    for b, r, s, c, i, j in np.ndindex(2, grid, grid, channels, patch, patch):
        assert image[b, c, r * patch + i, s * patch + j] == x[b, r * grid + s, i * patch + j, c]


@pytest.mark.parametrize("grid, patch, overlap", [(3, 4, 1), (2, 7, 3), (4, 7, 2)])
def test_overlapping_patches_are_blended_with_weights_that_sum_to_one(grid, patch, overlap):
    """A pixel is the mean of the patches that reach it, each weighted by how far the pixel lies from its edges."""
    blend, kernel, size = Blend(grid, patch, overlap), patch + 2 * overlap, grid * patch
    x = random(2, grid**2, kernel**2, 3)
    total, weight = np.zeros((2, 3, size, size)), np.zeros((size, size))

    def fade(i):
        return min(1, (i + 0.5) / (2 * overlap), (kernel - i - 0.5) / (2 * overlap))

    for r, s, i, j in np.ndindex(grid, grid, kernel, kernel):
        row, column = r * patch - overlap + i, s * patch - overlap + j
        if 0 <= row < size and 0 <= column < size:
            total[:, :, row, column] += fade(i) * fade(j) * x[:, r * grid + s, i * kernel + j]
            weight[row, column] += fade(i) * fade(j)
    np.testing.assert_allclose(blend(Tensor(x)).data, total / weight, rtol=1e-5, atol=1e-6)  # float32 weights
    even = blend(Tensor(np.ones((1, grid**2, kernel**2, 1)))).data
    np.testing.assert_allclose(even, 1, rtol=1e-6)


def test_clamped_pixels_keep_the_gradient_of_the_unclamped():
    x, g = Tensor(np.array([-2.0, -1.0, 0.3, 1.5]), requires_grad=True), random(4)
    y = clamp(x)
    np.testing.assert_array_equal(y.data, [-1, -1, 0.3, 1])
    np.testing.assert_array_equal(grad(y, [x], g=g)[0], g)


def test_black_and_white_are_within_reach():
    images = [build(tiny(g_reach=reach))[0] for reach in (1.0, 1.3)]
    for generator in images:
        generator.head.out.bias.data[...] = 3
    z = Tensor(latents(tiny()))
    assert images[0](z).data.max() < 1 == images[1](z).data.max()


def test_the_style_rate_slows_the_maps_of_w_alone():
    """γ and β differ from 1 and 0 by a tenth of what they would, and so do their gradients."""
    fast, slow = (build(tiny(g_style_rate=rate, g_tokens=False))[0] for rate in (1.0, 0.1))
    w = Tensor(random(4, 16).astype("float32"))
    for a, b in zip(fast.norms, slow.norms, strict=True):
        (gamma, beta), (gamma_slow, beta_slow) = a.style(w), b.style(w * 0.1)
        np.testing.assert_allclose(gamma_slow.data - 1, (gamma.data - 1) / 10, rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(beta_slow.data, beta.data / 10, rtol=1e-4, atol=1e-7)
    z = Tensor(latents(tiny()))
    assert fast(z).data.std(axis=0).mean() > 3 * slow(z).data.std(axis=0).mean()


def test_patches_of_the_discriminator_undo_unpatchify():
    grid, patch, channels = 4, 7, 3
    x = random(2, grid**2, patch**2, channels)
    c = tiny(channels=channels, d_overlap=0, background=0.0)
    found = build(c)[1].patches(unpatchify(Tensor(x), grid, patch)).data  # channel by channel
    np.testing.assert_array_equal(found.reshape(2, grid**2, channels, patch**2), x.swapaxes(2, 3))


def test_mapping_is_linear_layers_with_leaky_relus_between():
    mapping = shake(Mapping(6, 5, 3, rng=RandomStream(0)))
    z = random(4, 6).astype("float32")
    w = z
    for k, layer in enumerate(mapping.layers):
        w = (np.where(w > 0, w, 0.2 * w) if k else w) @ layer.weight.data.T + layer.bias.data
    np.testing.assert_allclose(mapping(Tensor(z)).data, w, rtol=1e-5, atol=1e-6)
    assert len(mapping.layers) == 3 and w.shape == (4, 5)


def test_self_modulation_depends_on_w():
    generator, _ = networks(g_depth=2)
    norms = layers(generator, SelfModulatedLayerNorm)
    assert len(norms) == 2 * 2 + 1 and len({id(n.gamma.weight) for n in norms}) == 5  # one pair each, none shared
    assert not layers(generator, LayerNorm)
    h = Tensor(random(2, 3, 16).astype("float32"))
    for norm in norms:
        ws = (Tensor(random(2, 16, seed=s).astype("float32")) for s in (1, 2))
        first, second = (norm(h, *norm.style(w)).data for w in ws)
        assert (abs(first - second).max(axis=(0, 1)) > 1e-4).all()  # every feature follows w


def test_without_modulation_w_enters_as_tokens():
    generator, _ = networks("vanilla")
    assert not layers(generator, SelfModulatedLayerNorm) and len(layers(generator, LayerNorm)) == 3
    assert generator.tokens.weight.shape == (16 * 16, 16)


def test_the_vanilla_transformer_of_the_paper_adds_one_w_to_all_tokens():
    generator, discriminator = networks("vanilla-paper", d_overlap=0)
    assert generator.tokens.weight.shape == (16, 16) and isinstance(generator.head, LinearPatch)
    assert generator.blend is None and discriminator.kernel == discriminator.patch == 7
    seen, w = [], generator.mapping(Tensor(latents(tiny())))
    generator.blocks[0].forward = lambda h, *styles: seen.append(h.data) or h
    generator(Tensor(latents(tiny())))
    shift = seen[0] - generator.position().data  # (B, N, D)
    np.testing.assert_allclose(shift, np.broadcast_to(generator.tokens(w).data[:, None], shift.shape), atol=1e-6)


def test_a_block_adds_to_the_stream():
    """h + MSA(N(h)), then h + MLP(N(h)): with both branches silenced the stream passes unchanged."""
    block = shake(Block(8, 2, 2.0, "gelu", "dot", rng=RandomStream(0)))
    h = Tensor(random(2, 5, 8).astype("float32"))
    middle = h + block.attention(block.norm1(h))
    np.testing.assert_array_equal(block(h).data, (middle + block.mlp(block.norm2(middle))).data)
    for branch in (block.attention.out, block.mlp.down):
        branch.weight.data[...] = 0
        branch.bias.data[...] = 0
    np.testing.assert_array_equal(block(h).data, h.data)


@pytest.mark.parametrize("fourier", [False, True])
def test_an_implicit_patch_is_its_formula_and_depends_on_the_coordinates(fourier):
    head = in_float64(shake(ImplicitPatch(6, 4, 3, 10, 5.0, fourier=fourier, rng=RandomStream(0))))
    y = random(2, 9, 6)
    found = head(Tensor(y)).data  # (B, N, P², C)
    lin = head.encode.linear
    for b, n, i, j in np.ndindex(2, 9, 4, 4):
        p = (2 * np.array([j, i]) + 1) / 4 - 1  # the pixel's centre, as (x, y)
        e = np.sin((1.0 if fourier else 5.0) * (lin.weight.data @ p + lin.bias.data))
        m = head.modulate.weight.data @ y[b, n] + head.modulate.bias.data
        np.testing.assert_allclose(
            found[b, n, 4 * i + j], head.out.weight.data @ (m * e) + head.out.bias.data, rtol=1e-10, atol=1e-12
        )
    assert (found.std(axis=2) > 1e-3).all()  # within every patch and channel the pixels differ
    head.coordinates.data[...] = 0
    assert (head(Tensor(y)).data.std(axis=2) < 1e-12).all()


def test_a_linear_patch_is_one_linear_map():
    head = in_float64(shake(LinearPatch(6, 4, 3, rng=RandomStream(0))))
    y = random(2, 9, 6)
    expected = (y @ head.out.weight.data.T + head.out.bias.data).reshape(2, 9, 16, 3)
    np.testing.assert_allclose(head(Tensor(y)).data, expected, rtol=1e-12, atol=1e-13)


def test_generated_images_begin_at_the_background():
    for variant in VARIANTS:
        for background in (-1.0, 0.25):
            generator = build(tiny(variant, background=background))[0]
            last = generator.out if variant == "cnn" else generator.head.out
            np.testing.assert_array_equal(last.bias.data, np.float32(background))


def test_positions():
    learned, sine = (Position(3, 8, kind, 0.5, rng=RandomStream(0)) for kind in ("learned", "sine"))
    assert [n for n, _ in learned.named_parameters()] == ["table"]
    assert [n for n, _ in sine.named_parameters()] == ["encode.linear.weight", "encode.linear.bias"]
    centres = np.array([(x, y) for y in (-2, 0, 2) for x in (-2, 0, 2)]) / 3
    w = sine.encode.linear
    np.testing.assert_allclose(sine().data[0], np.sin(centres @ w.weight.data.T + w.bias.data), atol=1e-5)
    for position in (learned, sine):
        table = position().data
        assert table.shape == (1, 9, 8)
        assert all(abs(table[0, a] - table[0, b]).max() > 0.01 for a in range(9) for b in range(a))


# ---- the discriminator

PATCHES = [(28, 7, 3), (28, 7, 0), (28, 4, 2), (28, 14, 7), (32, 8, 4), (32, 4, 2), (32, 4, 3), (32, 16, 1)]


@pytest.mark.parametrize("size, patch, overlap", PATCHES)
def test_the_discriminator_sees_every_pixel(size, patch, overlap):
    c = tiny(image_size=size, g_patch=size, d_patch=patch, d_overlap=overlap, channels=3)
    discriminator = in_float64(shake(build(c)[1]))
    x = Tensor(image_batch(c, 2, "float64"), requires_grad=True)
    (seen,) = grad(discriminator(x).sum(), [x])
    assert (abs(seen) > 1e-9).all()


def test_the_convolutional_discriminator_sees_every_pixel():
    for size in (28, 32, 64):
        c = tiny("cnn", image_size=size)
        discriminator = in_float64(shake(build(c)[1]))
        x = Tensor(image_batch(c, 2, "float64"), requires_grad=True)
        (seen,) = grad(discriminator(x).sum(), [x])
        assert (abs(seen) > 1e-9).all()


@pytest.mark.parametrize("size, patch, overlap", PATCHES)
def test_patches_are_windows_of_the_image_in_a_frame_of_zeros(size, patch, overlap):
    c = tiny(image_size=size, g_patch=size, d_patch=patch, d_overlap=overlap, channels=3, background=-0.5)
    discriminator = build(c)[1]
    x = image_batch(c, 2, "float64")
    found = discriminator.patches(Tensor(x)).data
    kernel, grid = patch + 2 * overlap, size // patch
    framed = np.zeros((2, 3, size + 2 * overlap, size + 2 * overlap))
    framed[:, :, overlap : overlap + size, overlap : overlap + size] = x + 0.5
    assert found.shape == (2, grid**2, 3 * kernel**2)
    for r, s in np.ndindex(grid, grid):
        window = framed[:, :, r * patch : r * patch + kernel, s * patch : s * patch + kernel]
        np.testing.assert_array_equal(found[:, r * grid + s], window.reshape(2, -1))


def test_an_image_of_the_background_is_like_its_frame():
    """Both discriminators subtract the background before they add zeros around the image."""
    blank = Tensor(np.full((1, 1, 28, 28), -0.5, "float32"))
    discriminator = build(tiny(background=-0.5))[1]
    assert not discriminator.patches(blank).data.any()
    discriminator, seen = build(tiny("cnn", background=-0.5))[1], []
    forward = discriminator.downs[0].forward
    discriminator.downs[0].forward = lambda x: seen.append(x.data) or forward(x)
    discriminator(blank)
    assert not seen[0].any()


def test_the_logit_takes_both_signs():
    c = tiny()
    logits = np.concatenate(
        [build(tiny(seed=seed))[1](Tensor(image_batch(c, 8, seed=seed))).data for seed in range(10)]
    )
    assert logits.min() < -0.1 and logits.max() > 0.1


def test_the_logit_is_read_from_the_class_token():
    discriminator = networks(d_norm="none")[1]
    for layer in (discriminator.blocks[0].attention.out, discriminator.blocks[0].mlp.down):
        layer.weight.data[...] = 0  # no token hears of another
        layer.bias.data[...] = 0
    expected = discriminator.head(discriminator.norm(discriminator.class_token[0])).data
    np.testing.assert_allclose(discriminator(Tensor(image_batch(tiny()))).data, np.full(4, expected), rtol=1e-5)


def test_the_class_token_collects_from_all_tokens():
    """Position and class token are of their own; the order of the patches counts."""
    discriminator = networks()[1]
    x = image_batch(tiny(), 2)
    swapped = x.copy()
    swapped[:, :, :14], swapped[:, :, 14:] = x[:, :, 14:], x[:, :, :14]
    assert abs(discriminator(Tensor(x)).data - discriminator(Tensor(swapped)).data).min() > 1e-4
    assert discriminator.class_token.shape == (1, 1, 16) and discriminator.position().shape == (1, 16, 16)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_tied_attention_has_no_key_weight(similarity):
    generator, discriminator = build(tiny(d_similarity=similarity))
    keys = [name for name, _ in discriminator.named_parameters() if ".key." in name]
    assert bool(keys) == (similarity == "dot")
    assert discriminator.blocks[0].attention.similarity == similarity
    assert generator.blocks[0].attention.similarity == "dot" and generator.blocks[0].attention.key is not None


@pytest.mark.parametrize("norm", ["isn", "sn"])
@pytest.mark.parametrize("variant", ["vitgan", "cnn"])
def test_spectral_norm_is_on_every_weight_of_the_discriminator(variant, norm):
    generator, discriminator = build(tiny(variant, d_norm=norm))
    linear_maps = [m for m in discriminator.modules() if getattr(m, "weight", None) is not None and m.weight.ndim > 1]
    assert len(linear_maps) == (7 if variant == "vitgan" else 4)
    assert all(m.spectral.improved == (norm == "isn") for m in linear_maps)
    assert not layers(generator, SpectralNorm)
    assert not layers(build(tiny(variant, d_norm="none"))[1], SpectralNorm)


# ---- R1 through the whole discriminator


def derivative(f, step=1e-6):
    """f'(0), by fourth-order differences; the step is short, so that no kink lies within."""
    values = [f(k * step) for k in (-2, -1, 1, 2)]
    return (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)


CRITICS = [{"d_similarity": s, "d_norm": n} for s, n in zip(SIMILARITIES, ["isn", "sn", "isn", "none"], strict=True)]
CRITICS += [{"variant": "relu"}, {"variant": "cnn"}]


@pytest.mark.parametrize("options", CRITICS, ids=lambda o: "-".join(o.values()))
def test_r1_is_the_squared_slope_and_its_gradient_is_right(options):
    c = tiny(**options, d_depth=2)
    discriminator = in_float64(networks(**options, d_depth=2)[1])
    x, parameters = image_batch(c, 2, "float64"), discriminator.parameters()
    rng = np.random.default_rng(3)

    # the slope itself, along a direction, beside differences of logits
    leaf, direction = Tensor(x, requires_grad=True), rng.standard_normal(x.shape)
    (slope,) = grad(discriminator(leaf).sum(), [leaf])
    numeric = derivative(lambda s: discriminator(Tensor(x + s * direction)).data.sum())
    np.testing.assert_allclose((slope * direction).sum(), numeric, rtol=1e-6, atol=3e-9)  # logits round to 1e-16
    penalty = gradient_penalty(discriminator, x)
    np.testing.assert_allclose(penalty.item(), (slope**2).sum() / 2, rtol=1e-10)

    # its gradient, along a direction in the space of the parameters, beside differences of penalties
    directions = [rng.standard_normal(p.shape) for p in parameters]
    gradients = grad(penalty, parameters)

    def moved(step):
        for p, d in zip(parameters, directions, strict=True):
            p.data += step * d
        value = gradient_penalty(discriminator, x).item()
        for p, d in zip(parameters, directions, strict=True):
            p.data -= step * d
        return value

    found = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True) if g is not None)
    np.testing.assert_allclose(found, derivative(moved), rtol=1e-5)
    for (name, _), g in zip(discriminator.named_parameters(), gradients, strict=True):
        flat = name.endswith("bias") if c.variant == "cnn" else name in CONSTANTS  # the CNN is piecewise linear
        assert (g is None) == flat


# ---- the configuration


def test_flags_win_over_the_variant_which_wins_over_the_preset():
    assert Config() == resolve()
    poster = resolve(preset="poster")
    assert poster.activation == PRESETS["poster"]["activation"] == "gelu" and poster.g_width == 512
    assert resolve(preset="poster", variant="relu").activation == "relu"
    assert resolve(preset="poster", variant="relu", activation="silu").activation == "silu"
    assert resolve(preset="poster", variant="vanilla").d_similarity == "dot"
    assert resolve(variant="vanilla", d_similarity="l1").d_similarity == "l1"
    assert resolve(preset="poster", g_width=64).g_width == 64
    assert resolve(preset="poster", g_width=None).g_width == 512  # None: not given
    colour = resolve(channels=3, image_size=64)
    assert (colour.background, colour.r1, colour.r2, colour.penalty_end, colour.g_patch) == (0, 2, 2, 1, 16)
    assert resolve(channels=3, variant="cnn").r1 == resolve(variant="cnn").r1 == 3  # variant and preset come after
    assert resolve(channels=3, r1=5.0).r1 == 5 and resolve(channels=1).background == -1
    c = resolve(g_modulated=False, r1=0.0, augment="")  # given, though false
    assert (c.g_modulated, c.r1, c.augment) == (False, 0.0, "")
    assert (c.variant, c.preset) == ("vitgan", "small")
    with pytest.raises(TypeError, match="g_widht"):
        resolve(g_widht=64)


def test_every_field_is_a_flag_with_help_but_what_the_data_decide():
    parser = argparse.ArgumentParser()
    add_config_flags(parser)
    flags = {a.dest: a for a in parser._actions if a.dest != "help"}
    fields = [f for f in dataclasses.fields(Config) if f.name not in ("image_size", "channels", "classes")]
    assert list(flags) == [f.name for f in fields]
    assert given_options(parser.parse_args([])) == {}
    for f in fields:
        assert f.metadata["help"] and flags[f.name].default is None
        if f.type is bool:
            words, value = [f"--no-{f.name.replace('_', '-')}"], False
        else:
            value = (f.metadata["choices"] or [f.type(3)])[-1]
            words = [f"--{f.name.replace('_', '-')}", str(value)]
        assert given_options(parser.parse_args(words)) == {f.name: value}
        assert type(value) is f.type


@pytest.mark.parametrize(
    "options, message",
    [
        ({"d_mlp_ratio": 0.0}, "--d-mlp-ratio must be greater than 0, not 0.0"),
        ({"beta2": 1.0}, "--beta2 must be less than 1, not 1.0"),
        ({"g_width": 18, "g_heads": 4}, "--g-width 18 must be a multiple of --g-heads 4"),
        ({"d_width": 18, "d_heads": 4}, "--d-width 18 must be a multiple of --d-heads 4"),
        ({"g_patch": 5}, "--g-patch 5 does not divide the image size 28"),
        ({"image_size": 30, "g_patch": 5, "d_patch": 7}, "--d-patch 7 does not divide the image size 30"),
    ],
)
def test_configurations_that_cannot_be_trained_are_refused(options, message):
    with pytest.raises(InputError, match=message) as e:
        resolve(**{**TINY, **options})
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    "field, name, bound",
    [
        (f.name, n, b)
        for f in dataclasses.fields(Config)
        for n, b in f.metadata["bounds"].items()
        if f.name != "image_size"
    ],
)
def test_a_value_beyond_its_bound_is_refused(field, name, bound):
    beyond = {"least": bound - 1, "above": bound, "most": bound + 1, "below": bound}[name]
    says = f"--{field.replace('_', '-')} must be .* {bound}, not {beyond}"
    if field == "image_size":  # it has no flag
        says = f"images of {beyond} × {beyond} pixels cannot be trained on: the networks take 4 to 4096"
    with pytest.raises(InputError, match=says):
        resolve(**{field: beyond})


@pytest.mark.parametrize("size", [0, 3, 4097])
def test_a_size_that_no_network_takes_is_refused_without_a_flag_nobody_gave(size):
    with pytest.raises(InputError, match=f"images of {size}.* pixels") as e:
        resolve(image_size=size)
    assert "--image-size" not in str(e.value)


def test_every_number_has_bounds_or_choices():
    numbers = [f for f in dataclasses.fields(Config) if f.type in (int, float)]
    free = [f.name for f in numbers if not f.metadata["bounds"] and not f.metadata["choices"]]
    assert free == ["background", "augment_p"]  # Augment checks its probability


def test_fields_that_a_file_lacks_mean_what_they_did_when_it_was_written():
    old = dataclasses.asdict(resolve(seed=3, d_norm="isn", d_overlap=3))
    for name in BEFORE:
        del old[name]
    found = saved_config({"config": old}, "old.h5")
    assert found == resolve(seed=3, d_norm="isn", d_overlap=3, **BEFORE)
    assert (found.g_tokens, found.g_style_rate, found.g_overlap, found.g_reach) == (False, 1.0, 0, 1.0)


def test_overlaps_follow_the_patch_unless_they_are_given():
    sizes = {size: (c.g_overlap, c.d_overlap) for size in (8, 28, 64) for c in [resolve(image_size=size)]}
    assert sizes == {8: (0, 1), 28: (2, 6), 64: (2, 6)}
    assert [resolve(variant="cnn", channels=n).penalty_end for n in (1, 3)] == [0.25, 1.0]
    assert resolve(image_size=8, d_overlap=3, g_overlap=1).d_overlap == 3
    assert (resolve(preset="paper").d_overlap, resolve(preset="poster").g_overlap) == (2, 0)


def test_the_convolutional_gan_does_not_mind_about_patches():
    c = check(resolve(variant="cnn", image_size=64, g_patch=7, d_heads=3))
    assert build(dataclasses.replace(c, cnn_width=4))[0](Tensor(latents(c, 1))).shape == (1, 1, 64, 64)
    with pytest.raises(InputError, match="the convolutional GAN draws images of 28, 32, 64 pixels, not 30"):
        build(resolve(variant="cnn", image_size=30))


def test_networks_refuse_what_they_do_not_know():
    with pytest.raises(TypeError):
        Generator(spectral=True, rng=RandomStream(0))
    with pytest.raises(TypeError):
        Discriminator(mlp_params={}, rng=RandomStream(0))
    with pytest.raises(ValueError, match="head 'mlp': use siren, fourier or linear"):
        Generator(width=8, depth=1, head="mlp", rng=RandomStream(0))
    with pytest.raises(ValueError, match="position '2d': use learned or sine"):
        Position(4, 8, "2d", 1.0, rng=RandomStream(0))
    with pytest.raises(ValueError, match="patches of 6 pixels do not tile an image of 28"):
        Discriminator(patch=6, rng=RandomStream(0))


def test_a_seed_fixes_both_networks_and_they_differ():
    def weights(seed):
        return [network.state_dict() for network in build(tiny(seed=seed))]

    a, b, c = weights(1), weights(1), weights(2)
    for left, right, other in zip(a, b, c, strict=True):
        assert all(np.array_equal(left[name], right[name]) for name in left)
        assert not np.array_equal(left["blocks.0.mlp.up.weight"], other["blocks.0.mlp.up.weight"])
    g, d = (state["blocks.0.mlp.up.weight"] for state in a)
    assert not np.array_equal(g, d)
    linears = [m.weight.data.ravel()[:16] for network in build(tiny()) for m in layers(network, Linear)]
    assert all(abs(x[: len(y)] - y[: len(x)]).max() > 1e-3 for i, x in enumerate(linears) for y in linears[:i])


def test_activations_are_what_their_names_say():
    x = random(3, 16).astype("float32")
    outputs = {}
    for activation in ("gelu", "gelu_tanh", "relu", "silu"):
        mlp = networks(activation=activation)[0].blocks[0].mlp
        hidden = x @ mlp.up.weight.data.T + mlp.up.bias.data
        expected = {
            "gelu": lambda h: ops.gelu(Tensor(h)).data,
            "gelu_tanh": lambda h: 0.5 * h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3))),
            "relu": lambda h: np.maximum(h, 0),
            "silu": lambda h: h / (1 + np.exp(-h)),
        }[activation](hidden)
        outputs[activation] = mlp(Tensor(x)).data
        np.testing.assert_allclose(
            outputs[activation], expected @ mlp.down.weight.data.T + mlp.down.bias.data, rtol=1e-4, atol=1e-5
        )
    assert abs(outputs["relu"] - outputs["silu"]).max() > 1e-3


# ---- the schedules of a run


def test_learning_rates_rise_over_the_warmup_and_follow_the_decay():
    gan = tiny_gan(steps=20, warmup=4, decay="constant", g_lr=0.001, d_lr=0.002)
    for factor in (0.25, 0.5, 0.75, 1.0, 1.0):
        gan.step()
        assert (gan.adam_g.lr, gan.adam_d.lr) == pytest.approx((0.001 * factor, 0.002 * factor))
    gan = tiny_gan(steps=4, warmup=1, decay="cosine", g_lr=0.001, d_lr=0.002)
    rates = []
    for _ in range(4):
        gan.step()
        rates.append((gan.adam_g.lr, gan.adam_d.lr))
    assert rates[0] == pytest.approx((0.001, 0.002)) and (np.diff(rates, axis=0) < 0).all()


def test_penalties_rise_along_a_geometric_curve():
    gan = tiny_gan(steps=40, penalty_start=0.01, penalty_ramp=0.5)
    weights = []
    for gan.steps_done in range(40):
        weights.append(gan.penalty_weight())
    np.testing.assert_allclose(weights[:21], 0.01 ** (1 - np.arange(21) / 20))
    assert all(type(w) is float and 0 < w <= 1 for w in weights)


@pytest.mark.parametrize("name", ["variant", "preset", "loss", "penalty", "activation", "d_similarity", "decay"])
def test_unknown_choices_are_one_sentence(name):
    with pytest.raises(InputError, match=f"--{name.replace('_', '-')} nonsense: use one of"):
        resolve(**{name: "nonsense"})
