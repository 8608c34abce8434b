"""The generator and its parts, each against its formula."""

import numpy as np
import pytest
from tensors import normal
from tiny_models import VARIANTS, in_float64, latents, layers, networks, shake, tiny

from autograd import Tensor, grad
from autograd.random import RandomStream
from minigan.config import build
from minigan.vitgan import Blend, Block, Generator, ImplicitPatch, LinearPatch, Mapping, Position, clamp, unpatchify
from nn import LayerNorm, SelfModulatedLayerNorm


def test_unpatchify_puts_every_pixel_where_it_belongs():
    grid, patch, channels = 3, 2, 3
    x = normal(2, grid**2, patch**2, channels)
    image = unpatchify(Tensor(x), grid, patch).data
    assert image.shape == (2, channels, grid * patch, grid * patch)
    for b, r, s, c, i, j in np.ndindex(2, grid, grid, channels, patch, patch):
        assert image[b, c, r * patch + i, s * patch + j] == x[b, r * grid + s, i * patch + j, c]


@pytest.mark.parametrize("grid, patch, overlap", [(3, 4, 1), (2, 7, 3), (4, 7, 2)])
def test_overlapping_patches_are_blended_with_weights_that_sum_to_one(grid, patch, overlap):
    """A pixel is the mean of the patches that reach it, each weighted by how far the pixel lies from its edges."""
    blend, kernel, size = Blend(grid, patch, overlap), patch + 2 * overlap, grid * patch
    x = normal(2, grid**2, kernel**2, 3)
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
    x, g = Tensor(np.array([-2.0, -1.0, 0.3, 1.5]), requires_grad=True), normal(4)
    y = clamp(x)
    np.testing.assert_array_equal(y.data, [-1, -1, 0.3, 1])
    np.testing.assert_array_equal(grad(y, [x], g=g)[0], g)


def test_black_and_white_are_within_reach():
    images = [build(tiny(g_reach=reach))[0] for reach in (1.0, 1.3)]
    for generator in images:
        generator.head.out.bias.data[...] = 3
    z = Tensor(latents(tiny()))
    assert images[0](z).data.max() < 1 == images[1](z).data.max()


@pytest.mark.parametrize("overlap", [0, 2])
@pytest.mark.parametrize("head", ["siren", "linear"])
def test_a_pixel_is_the_mean_of_its_points(head, overlap):
    """A generator of images three times as large, with the same weights, draws the points alone."""
    points = build(tiny(g_head=head, g_points=1, image_size=84, g_patch=21, g_overlap=3 * overlap))[0]
    pixels = build(tiny(g_head=head, g_points=3, g_overlap=overlap))[0]
    pixels.load_state_dict(shake(points).state_dict())
    z = Tensor(latents(tiny()))
    drawn = points(z).data.reshape(-1, 1, 28, 3, 28, 3)
    assert drawn.std(axis=(3, 5)).max() > 0.1
    np.testing.assert_allclose(pixels(z).data, drawn.mean(axis=(3, 5)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("points", [0, -1])
def test_a_pixel_without_points_is_refused(points):
    with pytest.raises(ValueError, match=f"points must be at least 1, not {points}"):
        Generator(points=points, rng=RandomStream(0))


def test_the_style_rate_slows_the_maps_of_w_alone():
    """γ and β differ from 1 and 0 by a tenth of what they would, and so do their gradients."""
    fast, slow = (build(tiny(g_style_rate=rate, g_tokens=False))[0] for rate in (1.0, 0.1))
    w = Tensor(normal(4, 16).astype("float32"))
    for a, b in zip(fast.norms, slow.norms, strict=True):
        (gamma, beta), (gamma_slow, beta_slow) = a.style(w), b.style(w * 0.1)
        np.testing.assert_allclose(gamma_slow.data - 1, (gamma.data - 1) / 10, rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(beta_slow.data, beta.data / 10, rtol=1e-4, atol=1e-7)
    z = Tensor(latents(tiny()))
    assert fast(z).data.std(axis=0).mean() > 3 * slow(z).data.std(axis=0).mean()


def test_mapping_is_linear_layers_with_leaky_relus_between():
    mapping = shake(Mapping(6, 5, 3, rng=RandomStream(0)))
    z = normal(4, 6).astype("float32")
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
    h = Tensor(normal(2, 3, 16).astype("float32"))
    for norm in norms:
        ws = (Tensor(normal(2, 16, seed=s).astype("float32")) for s in (1, 2))
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
    h = Tensor(normal(2, 5, 8).astype("float32"))
    middle = h + block.attention(block.norm1(h))
    np.testing.assert_array_equal(block(h).data, (middle + block.mlp(block.norm2(middle))).data)
    for branch in (block.attention.out, block.mlp.down):
        branch.weight.data[...] = 0
        branch.bias.data[...] = 0
    np.testing.assert_array_equal(block(h).data, h.data)


@pytest.mark.parametrize("fourier", [False, True])
def test_an_implicit_patch_is_its_formula_and_depends_on_the_coordinates(fourier):
    head = in_float64(shake(ImplicitPatch(6, 4, 3, 10, 5.0, fourier=fourier, rng=RandomStream(0))))
    y = normal(2, 9, 6)
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
    y = normal(2, 9, 6)
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
