"""The level: images of the averaged generator are as bright as the real ones, and training does not see it."""

import numpy as np
import pytest
import strict_device  # noqa: F401 - device "strict"
from tiny_models import draw_images, networks, tiny, tiny_gan

from autograd import Tensor, no_grad
from autograd.arrays import to_host
from experiments.parts.reuse import networks as networks_of
from minigan import checkpoint, level
from minigan.data import Dataset
from minigan.data.stored import StoredImages, allocate, checksum, open_arrays
from minigan.level import batches, channel_means, find_level, thinning
from minigan.presets import BEFORE, resolve
from minigan.sampling import generate, latents
from minigan.train import Run

COLOUR = {"channels": 3, "g_level": True}
LABELS = {"classes": 3}
FEW = {"eval_samples": 200}  # so that a level is found quickly
LAST = level.LIMIT / 2**level.HALVINGS  # the last step of the search


def pixels(generator, n=2048):
    """(n, C, H, W) in [−1, 1], of other latents than the level was found with."""
    z = latents(range(n), generator.latent)
    classes = () if generator.classes is None else (np.eye(3, dtype=np.float32)[np.arange(n) % 3],)
    with no_grad():
        return generator.eval()(Tensor(z), *map(Tensor, classes)).data


@pytest.mark.parametrize(
    "options", [{}, {"g_reach": 1.0, "g_points": 1}, COLOUR, LABELS, {"variant": "vanilla"}], ids=str
)
def test_images_are_as_bright_as_they_should_be(options):
    """Up to four standard errors of the difference of two means of 2,048 images, and the last step of the search."""
    generator = networks(**options)[0]
    before = pixels(generator)
    wanted = before.mean(axis=(0, 2, 3)) + 0.05 * np.array([1, -1, 0.5])[: before.shape[1]]
    generator.level.data[...] = find_level(generator, wanted, 1024)
    after = pixels(generator)
    off, error = np.abs(after.mean(axis=(0, 2, 3)) - wanted), after.mean(axis=(2, 3)).std(axis=0) / 32
    np.testing.assert_array_less(off, 4 * error + LAST)
    np.testing.assert_array_less(off, 0.0125)  # at most half of the least that was asked for


def test_what_no_shift_can_reach_ends_at_the_limit():
    generator = networks(**COLOUR)[0]
    found = find_level(generator, np.array([1.0, -1.0, 1.0]), 64)
    np.testing.assert_allclose(found.ravel(), [level.LIMIT, -level.LIMIT, level.LIMIT], rtol=0, atol=1.01 * LAST)


def test_latents_come_in_pairs_and_classes_by_their_shares():
    generator = networks(**LABELS)[0]
    generator.classes.shares.data[...] = [0.5, 0.375, 0.125]
    inputs = [*batches(generator, 200)]
    for (z, c), (minus, same) in zip(inputs[::2], inputs[1::2], strict=True):
        np.testing.assert_array_equal(z.data, -minus.data)
        np.testing.assert_array_equal(c.data, same.data)
    counts = sum(c.data.sum(axis=0) for _, c in inputs)
    np.testing.assert_array_equal(counts / counts.sum(), [0.5, 0.375, 0.125])


def test_large_images_are_as_many_and_thinned():
    """What is held at once is bounded, whatever the size of an image, and every column is looked at."""
    for side in (28, 56, 64, 256):
        every = thinning(side, 2 * level.PAIRS)
        assert 2 * level.PAIRS * side**2 / every <= level.HELD
        assert {k % side for k in range(0, side**2, every)} == set(range(side))


def test_some_of_the_points_tell_the_mean_of_all(monkeypatch):
    """Every 9th point of images whose points are not alike."""
    generator = networks(g_width=64, latent=16)[0]
    wanted = pixels(generator).mean(axis=(0, 2, 3)) - 0.02
    monkeypatch.setattr(level, "HELD", 2048 * 56**2 // 9 + 1)
    assert thinning(56, 2048) == 9
    some = find_level(generator, wanted, 1024)
    monkeypatch.setattr(level, "HELD", 1 << 40)
    assert thinning(56, 2048) == 1
    np.testing.assert_allclose(some, find_level(generator, wanted, 1024), rtol=0, atol=2 * LAST)


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
    seen, unseen = tiny_gan(**FEW), tiny_gan(**FEW, g_level=False)
    for k in range(6):
        seen.step()
        unseen.step()
        if k % 2:
            seen.set_level()
    (mine, _), (others, _) = seen.state(), unseen.state()
    for group, arrays in others.items():
        for name, a in arrays.items():
            np.testing.assert_array_equal(a, mine[group][name], err_msg=f"{group} {name}")
    assert mine["ema"]["level"] == mine["generator"]["level"] != 0
    z = latents(range(50), 6)
    brighter = seen.sample(z).astype(float) - unseen.sample(z)
    assert np.sign(brighter.mean()) == np.sign(mine["ema"]["level"].item())


@pytest.mark.parametrize("options", [{}, LABELS, {"g_points": 1}], ids=str)
def test_on_a_device_that_refuses_the_host(options):
    """The level is that of the CPU."""
    host, device = tiny_gan(**FEW, **options), tiny_gan(device="strict", **FEW, **options)
    for gan in (host, device):
        gan.means = lambda: np.array([-0.9])
        gan.set_level()
    found = to_host(device.ema.model.level.data).item()
    assert found == pytest.approx(host.ema.model.level.data.item(), abs=2 * LAST)
    assert 4 * LAST < abs(found) < level.LIMIT - 4 * LAST


def test_the_level_outlasts_steps_and_a_checkpoint():
    gan, again = tiny_gan(**FEW), tiny_gan(**FEW)
    gan.step()
    gan.set_level()
    gan.step()
    again.load_state(*gan.state())
    z = latents(range(5), 6)
    assert gan.ema.model.level.data != 0
    np.testing.assert_array_equal(again.sample(z), gan.sample(z))
    np.testing.assert_array_equal(generate(again.ema.model, z), gan.sample(z))


@pytest.mark.parametrize("theirs, mine", [(False, True), (True, False), (True, True)])
def test_weights_of_another_run_come_without_its_level(theirs, mine):
    other, gan = tiny_gan(**FEW, g_level=theirs, seed=7), tiny_gan(**FEW, g_level=mine)
    other.set_level()
    gan.start_from(other.state()[0], "a run")
    np.testing.assert_array_equal(gan.adam_g.flat.data, other.adam_g.flat.data)
    assert not mine or gan.generator.level.data == gan.ema.model.level.data == 0


@pytest.mark.parametrize("samples, pairs", [(20, 40), (5000, level.PAIRS)])
def test_the_level_is_as_fine_as_an_evaluation_can_see(samples, pairs, monkeypatch):
    asked = []
    monkeypatch.setattr("minigan.step.find_level", lambda *given: asked.append(given[2]) or np.zeros((1, 1, 1)))
    tiny_gan(eval_samples=samples).set_level()
    assert asked == [pairs]


def test_a_cnn_has_no_level():
    gan = tiny_gan("cnn", g_level=True)
    gan.set_level()
    assert "level" not in gan.state()[0]["ema"]


# ---- in a run


def a_run(directory, monkeypatch, levels):
    """A run of 12 steps that is evaluated every 5, finds these levels, and notes those of its evaluations."""
    found = iter(levels)
    monkeypatch.setattr("minigan.step.find_level", lambda *_: np.full((1, 1, 1), next(found), np.float32))
    gan, seen = tiny_gan(steps=12, eval_every=5, eval_samples=4), []

    def evaluate(samples):
        seen.append((gan.steps_done, gan.ema.model.level.data.item()))
        return {}

    return Run(gan, directory, Dataset(gan.images, None, "noise", None), "a command", evaluate), seen


def test_the_level_is_found_anew_for_each_evaluation(tmp_path, monkeypatch):
    run, seen = a_run(tmp_path, monkeypatch, [0.25, 0.125, 0.5])
    run.train()
    assert seen == [(5, 0.25), (10, 0.125), (12, 0.5)]
    assert checkpoint.load(tmp_path / "checkpoint.h5")[0]["ema"]["level"] == 0.5


def test_a_run_that_is_stopped_is_levelled_and_goes_on_as_if_it_were_not(tmp_path, monkeypatch):
    """Its checkpoint draws with the level of its last step. From the next step on it has that of the evaluation."""
    run, _ = a_run(tmp_path, monkeypatch, [0.25, 0.125])
    step = run.gan.step

    def stopped():
        step()
        if run.gan.steps_done == 7:
            run._stop(15, None)

    monkeypatch.setattr(run.gan, "step", stopped)
    run.train()
    arrays, meta = checkpoint.load(tmp_path / "checkpoint.h5")
    assert meta["steps_done"] == 7 and arrays["ema"]["level"] == 0.125
    again = tiny_gan(steps=12)
    again.load_state(arrays, meta)
    assert again.ema.model.level.data == 0.125
    again.step()
    assert again.ema.model.level.data == 0.25


def test_which_runs_have_a_level():
    """Not those in colour, where it was not tried, nor the CNN, which has none, nor where the paper is followed."""
    without = [{"channels": 3}, {"variant": "cnn"}, {"preset": "poster"}, {"preset": "paper"}]
    assert [resolve(**options).g_level for options in without] == [False] * 4
    assert [resolve(**options).g_level for options in ({}, {"variant": "vanilla"}, {"optimizer": "adam"})] == [True] * 3
    assert BEFORE["g_level"] is False  # of older files, whose networks hold none
    assert "g_level" not in networks_of(resolve(g_level=False))  # what --init takes from another run
