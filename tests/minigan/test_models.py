"""The networks: their sizes, what reaches every parameter, R1 through the whole discriminator."""

import dataclasses

import numpy as np
import pytest
from tensors import normal
from tiny_models import VARIANTS, image_batch, in_float64, latents, layers, networks, tiny

from autograd import Tensor, grad, no_grad, ops
from autograd.random import RandomStream
from minigan.config import build, check
from minigan.errors import InputError
from minigan.losses import LOSSES, gradient_penalty
from minigan.presets import resolve
from minigan.vitgan import Discriminator, Generator, Position
from nn import Linear

SIMILARITIES = ["l2", "dot", "l1", "l2_printed"]
SHAPES = [(28, 7, 1), (32, 8, 3), (32, 4, 1), (64, 16, 3)]  # image size, patch, channels

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
        gradients = grad(y, network.parameters(), g=normal(*y.shape))
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
    x = normal(3, 16).astype("float32")
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
