"""Bugs of public ViTGANs between tokens and pixels."""

import numpy as np
from tensors import normal
from tiny_models import image_batch, in_float64, latents, layers, networks, tiny, tiny_gan

from autograd import Tensor, grad
from minigan.config import build
from minigan.vitgan import unpatchify
from nn import BatchNorm2d


def test_tokens_are_rows_of_pixels():
    """wilile26811249/ViTGAN, Nicolivain/ViTGAN: each token draws an image row; it must draw a square patch."""
    generator = networks(g_overlap=0, g_points=1)[0]
    y = np.zeros((1, 16, 16), "float32")
    y[0, 6] = normal(16, dtype="float32")  # row 1, column 2 of the grid
    blank = unpatchify(generator.head(Tensor(0 * y)), 4, 7).data
    changed = abs(unpatchify(generator.head(Tensor(y)), 4, 7).data - blank)[0, 0] > 1e-6
    expected = np.zeros((28, 28), bool)
    expected[7:14, 14:21] = True
    assert not changed[~expected].any() and changed[expected].mean() > 0.9


def test_channels_scrambled_by_view():
    """wilile26811249/ViTGAN, Nicolivain/ViTGAN: view(B, C, H, W) of (B, H, C·W) mixes channels and rows."""
    grid, patch, channels = 2, 3, 3
    image = normal(1, channels, 6, 6)
    tokens = image.reshape(1, channels, grid, patch, grid, patch).transpose(0, 2, 4, 3, 5, 1)
    np.testing.assert_array_equal(unpatchify(Tensor(tokens.reshape(1, 4, 9, channels)), grid, patch).data, image)
    head = networks(channels=3, g_overlap=0, g_points=1)[0].head
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
    generator = in_float64(networks(g_overlap=0, g_points=1)[0])
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
