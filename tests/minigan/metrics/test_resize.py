"""Images are resized for Inception as the libraries do it that the modes are named after."""

import numpy as np
import pytest
from other_resizers import MODES, pictures, pillow_resize, tensorflow_resize, torch_resize
from strict_device import strict

from autograd.arrays import to_host
from minigan.errors import InputError
from minigan.metrics.resize import MATRICES, matrix, resize


@pytest.mark.parametrize("n", [1, 2, 3, 28, 32, 64, 218, 299, 300, 512, 1000])
@pytest.mark.parametrize("m", [299, 64])
def test_clean_is_pillows_bicubic(n, m):
    image = np.random.default_rng(n).integers(0, 256, (n, n + n // 3))
    ours = matrix("clean", n, m) @ image.astype(np.float32) @ matrix("clean", n + n // 3, m).T
    np.testing.assert_allclose(ours, pillow_resize(image, m), atol=2e-4)  # of 255


@pytest.mark.parametrize("n", [1, 2, 28, 32, 64, 218, 299, 300, 1000])
def test_tf_is_tensorflows_loop_and_torch_is_interpolate(n):
    image = np.random.default_rng(n).integers(0, 256, (n, n + n // 3))
    by = {mode: matrix(mode, n, 299) @ image.astype("f4") @ matrix(mode, n + n // 3, 299).T for mode in MATRICES}
    np.testing.assert_allclose(by["tf"], tensorflow_resize(image, 299), atol=1e-3)  # of 255
    torch = pytest.importorskip("torch")
    np.testing.assert_allclose(by["torch"], torch_resize(torch, image, 299), atol=5e-3)


@pytest.mark.parametrize("mode", MODES)
def test_resizing_keeps_what_is_flat_and_its_scale(mode):
    for shape in [(28, 28), (40, 57, 3), (400, 310, 3)]:
        for value in (0, 3, 128, 255):
            y = resize(np.full((2, *shape), value, np.uint8), mode)
            assert y.dtype == np.float32 and y.shape == (2, 3, 299, 299) and y.flags.c_contiguous
            np.testing.assert_allclose(y, value / 127.5 - 1 if mode == "torch" else value / 128 - 1, atol=1e-5)


def test_grey_is_three_equal_channels_and_colour_keeps_its_order():
    grey = pictures((28, 28))
    colour = np.stack([grey, grey // 2, grey // 4], axis=-1)
    y = resize(grey, "tf")
    np.testing.assert_array_equal(y[:, 0], y[:, 1])
    np.testing.assert_array_equal(y[:, 0], y[:, 2])
    for c, plane in enumerate(np.moveaxis(colour, -1, 0)):
        np.testing.assert_allclose(resize(colour, "tf")[:, c], resize(plane, "tf")[:, 0], atol=1e-5)


def test_the_modes_differ_and_clean_is_clipped():
    images = np.where(pictures((64, 64), seed=3) > 127, 255, 0).astype(np.uint8)
    y = {mode: resize(images, mode) for mode in MODES}
    assert np.abs(y["tf"] - y["torch"]).mean() > 0.01 and np.abs(y["clean"] - y["torch"]).mean() > 0.01
    assert y["clean"].min() == -1 and y["clean"].max() == np.float32(127 / 128)
    with pytest.raises(InputError, match="torch, tf, clean"):
        resize(images, "nearest")


def test_resizing_stays_on_the_device():
    for mode, images in zip(MODES, [pictures((28, 28)), pictures((40, 57, 3)), pictures((64, 64, 3))], strict=True):
        on_device = resize(strict.asarray(images), mode, 75, strict)
        np.testing.assert_array_equal(to_host(on_device), resize(images, mode, 75))
