"""What a training step begins from: images that fit, random streams of its own, the state of another run."""

import numpy as np
import pytest
from tiny_models import draw_images, tiny, tiny_gan

from autograd.random import RandomStream
from minigan import config
from minigan.data import Dataset
from minigan.data.stored import StoredImages, allocate, block_slices, checksum, open_arrays
from minigan.errors import InputError
from minigan.presets import resolve
from minigan.showing import Showing
from minigan.step import GAN

WRONG = {
    "too large": np.zeros((4, 32, 32), np.uint8),
    "colour": np.zeros((4, 28, 28, 3), np.uint8),
    "a channel of its own": np.zeros((4, 28, 28, 1), np.uint8),
    "none": np.zeros((0, 28, 28), np.uint8),
    "floats": np.zeros((4, 28, 28), np.float32),
    "one image": np.zeros((28, 28), np.uint8),
}


@pytest.mark.parametrize("name", WRONG)
def test_images_that_do_not_fit_are_one_sentence(name):
    with pytest.raises(InputError, match=r"takes images uint8 \(N, 28, 28\), at least one, not \w+ \(") as e:
        GAN(tiny(), WRONG[name])
    assert "\n" not in str(e.value)


def test_stored_images_that_do_not_fit_are_one_sentence(tmp_path):
    allocate(tmp_path, (4, 16, 16, 3))
    images, checksums = open_arrays(tmp_path, "r+")
    for block, rows in enumerate(block_slices(images.shape)):
        checksums[block] = checksum(block, images[rows])
    with pytest.raises(InputError, match=r"takes images uint8 \(N, 28, 28, 3\).*not uint8 \(4, 16, 16, 3\)"):
        GAN(tiny(channels=3), StoredImages(tmp_path))


def streams(monkeypatch, seed):
    """The seeds of all random streams of a run of this seed, in the order in which they begin."""
    found, init = [], RandomStream.__init__

    def noted(self, seed=0, device="cpu"):
        found.append(seed)
        init(self, seed, device)

    with monkeypatch.context() as patch:
        patch.setattr(RandomStream, "__init__", noted)
        c = tiny(seed=seed, classes=2)
        images, labels = draw_images(c), np.arange(16) % 2
        gan = GAN(c, images, labels=labels)
        Showing(gan, Dataset(images, labels, "noise", 2)).samples(4)
    return found


def test_no_two_streams_of_any_two_runs_are_one(monkeypatch):
    first, last = streams(monkeypatch, 0), streams(monkeypatch, config.SEEDS - 1)
    apart = sorted({(a, b) for a, b in zip(first, last, strict=True) if a != b})
    g, *others = apart
    assert g == (0, 2 * config.SEEDS - 2) and others[0] == (1, 2 * config.SEEDS - 1)  # one is even, the other odd
    assert len(others) == 5  # D, training, batches, latents shown, labels shown
    for (_, end), (start, _) in zip(others, others[1:], strict=False):
        assert end < start


def test_a_run_by_shampoo_and_lookahead_goes_on_as_the_unbroken_one():
    """Between two roots of its factors, and two steps back: the state holds the roots and the slow weights."""

    def gan_of_roots():
        gan = tiny_gan(optimizer="shampoo", lookahead=4, g_width=32, d_width=32)
        gan.adam_g.every = gan.adam_d.every = 2
        return gan

    whole, first, again = gan_of_roots(), gan_of_roots(), gan_of_roots()
    for _ in range(8):
        whole.step()
    for _ in range(3):
        first.step()
    again.load_state(*first.state())
    for _ in range(5):
        again.step()
    assert {"factor_32x64", "inverse_root_32x64"} <= again.state()[0]["adam_d"].keys()
    for group, arrays in whole.state()[0].items():
        for name, a in arrays.items():
            np.testing.assert_array_equal(a, again.state()[0][group][name], err_msg=f"{group} {name}")


def test_weights_from_another_run_are_where_lookahead_goes_back_to():
    gan, other = tiny_gan(lookahead=4), tiny_gan(seed=7)
    gan.start_from(other.state()[0], "a run")
    np.testing.assert_array_equal(gan.lookahead["generator"].slow.data, other.adam_g.flat.data)
    np.testing.assert_array_equal(gan.lookahead["discriminator"].slow.data, other.adam_d.flat.data)


def test_a_configuration_made_by_hand_is_checked():
    with pytest.raises(InputError, match="32 to 256 features, not of --g-width 16: use --optimizer adam"):
        GAN(config.Config(g_width=16), np.zeros((8, 28, 28), np.uint8))


@pytest.mark.parametrize("flag, width", [("g_width", 16), ("d_width", 28), ("g_width", 512)])
def test_shampoo_with_hardly_a_matrix_to_whiten_is_one_sentence(flag, width):
    with pytest.raises(InputError, match=f"32 to 256 features, not of --{flag[0]}-width {width}: use --optimizer adam"):
        resolve(optimizer="shampoo", **{flag: width})
