"""The level: images of the averaged generator are as bright as the real ones, and training does not see it."""

import numpy as np
import pytest
from tiny_models import draw_images, networks, tiny, tiny_gan

from autograd import Tensor, no_grad
from minigan import level
from minigan.data.stored import StoredImages, allocate, checksum, open_arrays
from minigan.level import batches, channel_means, find_level
from minigan.sampling import generate, latents

COLOUR = {"channels": 3, "g_level": True}
LABELS = {"classes": 3}


def pixels(generator, n=4096):
    """(n, C, H, W) in [−1, 1], of other latents than the level was found with."""
    z = latents(range(n), generator.latent)
    classes = () if generator.classes is None else (np.eye(3, dtype=np.float32)[np.arange(n) % 3],)
    with no_grad():
        return generator.eval()(Tensor(z), *map(Tensor, classes)).data


@pytest.mark.parametrize(
    "options", [{}, {"g_reach": 1.0, "g_points": 1}, COLOUR, LABELS, {"variant": "vanilla"}], ids=str
)
def test_images_are_as_bright_as_they_should_be(options):
    """Up to twice the standard error of the mean of as many images, and the last half of LIMIT."""
    generator = networks(**options)[0]
    before = pixels(generator)
    wanted = before.mean(axis=(0, 2, 3)) + 0.05 * np.array([1, -1, 0.5])[: before.shape[1]]
    generator.level.data[...] = find_level(generator, wanted)
    after = pixels(generator)
    error = after.mean(axis=(2, 3)).std(axis=0) / 64
    np.testing.assert_array_less(
        np.abs(after.mean(axis=(0, 2, 3)) - wanted), 3 * error + 2 * level.LIMIT / 2**level.HALVINGS
    )


def test_what_no_shift_can_reach_ends_at_the_limit():
    generator = networks(**COLOUR)[0]
    found = find_level(generator, np.array([1.0, -1.0, 1.0]))
    np.testing.assert_allclose(
        found.ravel(), [level.LIMIT, -level.LIMIT, level.LIMIT], rtol=1 / 2 ** (level.HALVINGS - 1)
    )


def test_latents_come_in_pairs_and_classes_by_their_shares():
    generator = networks(**LABELS)[0]
    generator.classes.shares.data[...] = [0.5, 0.375, 0.125]
    inputs = [*batches(generator)]
    for (z, c), (minus, same) in zip(inputs[::2], inputs[1::2], strict=True):
        np.testing.assert_array_equal(z.data, -minus.data)
        np.testing.assert_array_equal(c.data, same.data)
    counts = sum(c.data.sum(axis=0) for _, c in inputs)
    np.testing.assert_array_equal(counts / counts.sum(), [0.5, 0.375, 0.125])


def test_large_images_are_fewer(monkeypatch):
    """What is held at once is bounded, whatever the size of an image."""
    generator = networks()[0]
    image = (generator.grid * generator.patch) ** 2
    monkeypatch.setattr(level, "MOST", 6 * image + 1)
    assert [len(z.data) for (z,) in batches(generator)] == [3, 3]


def test_the_mean_of_real_images(tmp_path, monkeypatch):
    images = draw_images(tiny(channels=3), 6)
    expected = images.mean(axis=(0, 1, 2)) / 127.5 - 1
    np.testing.assert_allclose(channel_means(images), expected, rtol=1e-12)
    np.testing.assert_allclose(channel_means(images[..., 0]), expected[:1], rtol=1e-12)
    allocate(tmp_path, images.shape)
    stored, checksums = open_arrays(tmp_path, "r+")
    stored[...], checksums[...] = images, checksum(0, images)
    monkeypatch.setattr(level, "BATCH", 4)  # so that there are two parts
    np.testing.assert_allclose(channel_means(StoredImages(tmp_path)), expected, rtol=1e-12)


def test_training_does_not_see_the_level():
    """Weights and averages are the same bit for bit; samples of the average are brighter."""
    seen, unseen = tiny_gan(), tiny_gan(g_level=False)
    for k in range(6):
        seen.step()
        unseen.step()
        if k % 2:
            seen.level()
    (mine, _), (others, _) = seen.state(), unseen.state()
    for group, arrays in others.items():
        for name, a in arrays.items():
            np.testing.assert_array_equal(a, mine[group][name], err_msg=f"{group} {name}")
    assert mine["ema"]["level"] == mine["generator"]["level"] != 0
    z = latents(range(50), 6)
    brighter = seen.sample(z).astype(float) - unseen.sample(z)
    assert np.sign(brighter.mean()) == np.sign(mine["ema"]["level"].item())


def test_the_level_outlasts_steps_and_a_checkpoint():
    gan, again = tiny_gan(), tiny_gan()
    gan.step()
    gan.level()
    gan.step()
    again.load_state(*gan.state())
    z = latents(range(5), 6)
    assert gan.ema.model.level.data != 0
    np.testing.assert_array_equal(again.sample(z), gan.sample(z))
    np.testing.assert_array_equal(generate(again.ema.model, z), gan.sample(z))


@pytest.mark.parametrize("theirs, mine", [(False, True), (True, False), (True, True)])
def test_weights_of_another_run_come_without_its_level(theirs, mine):
    other, gan = tiny_gan(g_level=theirs, seed=7), tiny_gan(g_level=mine)
    other.level()
    gan.start_from(other.state()[0], "a run")
    np.testing.assert_array_equal(gan.adam_g.flat.data, other.adam_g.flat.data)
    assert not mine or gan.generator.level.data == gan.ema.model.level.data == 0


def test_a_cnn_has_no_level():
    gan = tiny_gan("cnn")
    gan.level()
    assert gan.means is None and "level" not in gan.state()[0]["ema"]
