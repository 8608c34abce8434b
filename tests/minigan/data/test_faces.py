"""The drawn faces: what stands in for CelebA where there is none."""

import time

import numpy as np
import pytest

from minigan.data.faces import faces


@pytest.fixture(scope="module")
def drawn():
    return faces(300, seed=3)


@pytest.mark.slow
def test_faces_have_the_form_of_celeba(drawn):
    assert drawn.shape == (300, 64, 64, 3) and drawn.dtype == np.uint8
    assert 90 < drawn.mean() < 140 and 40 < drawn.std() < 70
    assert (np.ptp(drawn.reshape(300, -1), axis=1) > 120).all()
    assert len(np.unique(drawn.reshape(300, -1), axis=0)) == 300


@pytest.mark.slow
def test_a_face_is_a_function_of_the_seed_and_its_number_alone(drawn):
    for n in (1, 5, 241):
        assert np.array_equal(faces(n, seed=3), drawn[:n])
    for other in (4, 3 + 2**32):
        assert not (faces(8, seed=other) == drawn[:8]).all(axis=(1, 2, 3)).any()


@pytest.mark.slow
def test_a_face_is_the_same_at_every_size(drawn):
    small = drawn[:8].reshape(8, 32, 2, 32, 2, 3).mean((2, 4))
    assert abs(faces(8, seed=3, size=32) - small).max() <= 1  # rounded twice
    large = faces(8, seed=3, size=128).reshape(8, 64, 2, 64, 2, 3).mean((2, 4))
    assert large.shape == (8, 64, 64, 3) and abs(large - drawn[:8]).mean() < 5
    assert faces(2, size=48).shape == (2, 48, 48, 3)


def test_the_middle_is_skin_and_the_eyes_are_where_eyes_are(drawn):
    """On the mean face: warm, symmetric, with a dark spot for each eye and the mouth redder than the chin."""
    mean = drawn.mean(0)
    assert np.corrcoef(mean.ravel(), mean[:, ::-1].ravel())[0, 1] > 0.97
    red, green, blue = mean[28:52, 20:44].mean((0, 1))
    assert red > green + 15 > blue + 20
    brightness = mean.mean(-1)
    eyes, nose, cheeks = (
        brightness[28:31, [22, 23, 40, 41]],
        brightness[28:31, 31:33],
        brightness[37:42, [22, 23, 40, 41]],
    )
    assert eyes.mean() < min(nose.mean(), cheeks.mean()) - 7
    redness = mean[..., 0] / mean[..., 1]
    assert redness[47:51, 29:35].mean() > redness[[42, 43, 54, 55], 29:35].mean() + 0.05


def test_faces_vary_in_every_way_that_is_told(drawn):
    """Skin, hair and background each span dark to light, and heads turn to both sides."""
    forehead, wall = drawn[:, 26:28, 28:36].mean((1, 2, 3)), drawn[:, 2:6, 2:6].mean((1, 2, 3))
    hair = drawn[:, 12:16, 28:36].mean((1, 2, 3))
    for part in (forehead, wall, hair):
        assert np.ptp(np.percentile(part, [5, 95])) > 60
    face = drawn[:, 30:50, 16:48].mean(-1).reshape(300, -1)
    face -= face.mean(0)
    spectrum = np.linalg.eigvalsh(face @ face.T)[::-1]
    assert spectrum[0] / spectrum.sum() < 0.75 and (spectrum.cumsum() / spectrum.sum() < 0.95).sum() > 20


def test_drawing_is_quick_and_silent_when_short(capfd):
    start = time.process_time()  # other programs do not count
    faces(40)
    assert time.process_time() - start < 2  # 0.05 s on one core
    assert capfd.readouterr().err == ""
