"""The discriminator: what it sees of an image, and how it judges."""

import numpy as np
import pytest
from tensors import normal
from tiny_models import image_batch, in_float64, layers, networks, shake, tiny

from autograd import Tensor, grad, ops
from minigan.config import build
from minigan.vitgan import unpatchify
from nn import SpectralNorm


def test_patches_of_the_discriminator_undo_unpatchify():
    grid, patch, channels = 4, 7, 3
    x = normal(2, grid**2, patch**2, channels)
    c = tiny(channels=channels, d_overlap=0, background=0.0)
    found = build(c)[1].patches(unpatchify(Tensor(x), grid, patch)).data  # channel by channel
    np.testing.assert_array_equal(found.reshape(2, grid**2, channels, patch**2), x.swapaxes(2, 3))


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


@pytest.mark.parametrize("similarity", ops.SIMILARITIES)
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
