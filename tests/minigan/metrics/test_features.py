"""Extractors: what they promise of any image, and that random features rank damage by its degree."""

import numpy as np
import pytest
import strict_device  # noqa: F401  (registers a device that refuses silent copies)
from PIL import Image, ImageFilter

from autograd.random import RandomStream
from minigan.data import stroke_digits
from minigan.data.faces import faces
from minigan.errors import InputError, NumericalError
from minigan.metrics import extractors
from minigan.metrics.compute import compute_metrics
from minigan.metrics.extractors import RandomNetwork, make_extractor, orthogonal
from minigan.metrics.features import Features
from minigan.metrics.inception import TAPS
from minigan.metrics.resize import resize
from minigan.metrics.statistics import Statistics

SEED = 10**12  # images that no network was trained on
N = 300  # images a set, of the calibration


@pytest.fixture(scope="module")
def random():
    return make_extractor("random")


@pytest.fixture(scope="module")
def digits():
    return make_extractor("digits")


def noise_images(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


# What holds for every extractor


@pytest.mark.parametrize("name", ["digits", "random"])
def test_features_do_not_depend_on_the_batch(name, request):
    extractor = request.getfixturevalue(name)
    images = stroke_digits(10, SEED)[0]
    whole = extractor(images)
    assert whole.values.shape == (10, extractor.dimensions) and whole.values.dtype == np.float32
    extractor.batch = 3
    np.testing.assert_allclose(extractor(images).values, whole.values, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(extractor(list(images)).values, whole.values, rtol=1e-4, atol=1e-4)
    extractor.batch = 250
    assert len(extractor(images[:0])) == 0
    if whole.probabilities is not None:
        np.testing.assert_allclose(whole.probabilities.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", ["digits", "random"])
def test_grey_is_three_equal_channels(name, request):
    extractor = request.getfixturevalue(name)
    images = stroke_digits(4, SEED)[0]
    np.testing.assert_allclose(
        extractor(images[..., None].repeat(3, axis=3)).values, extractor(images).values, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("name", ["digits", "random"])
def test_features_on_a_device_are_those_of_the_host(name, request):
    extractor, images = make_extractor(name, device="strict"), stroke_digits(3, SEED)[0]
    expected = request.getfixturevalue(name)(images).values
    for given in (images, list(images)):
        np.testing.assert_allclose(extractor(given).values, expected, rtol=1e-4, atol=1e-4)
    assert extractor.digest == request.getfixturevalue(name).digest


@pytest.mark.parametrize("bad", [noise_images(2, 28, 28) / 255, noise_images(2, 28), noise_images(2, 28, 28, 4)])
def test_images_are_uint8_grey_or_rgb(random, bad):
    with pytest.raises(InputError, match=r"uint8 images \(H, W\) or \(H, W, 3\)"):
        random(bad)
    with pytest.raises(InputError, match=r"uint8 images"):
        random(list(bad))


def test_features_that_are_not_finite_are_a_failure_and_no_bad_input(digits):
    weight = digits.classifier.hidden.weight.data
    before = weight.copy()
    weight[0, 0] = np.nan
    with pytest.raises(NumericalError, match="not finite"):
        digits(noise_images(3, 28, 28))
    weight[...] = before


def test_names_and_options():
    with pytest.raises(InputError, match="unknown features 'vgg'"):
        make_extractor("vgg")
    with pytest.raises(InputError, match="export_inception"):
        make_extractor("inception")


# Digits


def test_digit_features_are_of_digits_only(digits):
    with pytest.raises(InputError, match="not 31×30"):
        digits([noise_images(28, 28), noise_images(30, 31)])
    with pytest.raises(InputError, match="not colour"):
        digits(noise_images(2, 28, 28, 3))


# Random features


def test_the_seed_decides_the_random_features(random, monkeypatch):
    images = noise_images(3, 20, 30, 3)
    same = make_extractor("random")
    monkeypatch.setattr(RandomNetwork, "SEED", 1)
    other = make_extractor("random")
    np.testing.assert_array_equal(same(images).values, random(images).values)
    assert np.abs(other(images).values - same(images).values).max() > 0.1
    assert same.digest == random.digest != other.digest and other.describe["features_seed"] == 1


def test_random_features_of_known_images(random):
    """The recipe behind the digest: another one needs another digest."""
    known = [[-0.1639586, -0.3333593, 0.0929748], [-1.2859013, 0.0740701, -0.1594594]]
    values = random(noise_images(2, 28, 28)).values
    np.testing.assert_allclose(values[:, [0, 100, 255]], known, atol=2e-4)


@pytest.mark.parametrize("shape", [(6, 4, 3, 3), (4, 6), (7, 7), (9, 2, 1)])
def test_orthogonal_weights(shape):
    w = orthogonal(RandomStream(3), shape).reshape(shape[0], -1).astype(np.float64)
    np.testing.assert_allclose(np.linalg.norm(w, axis=1), 1, rtol=1e-6)
    if shape[0] <= w.shape[1]:
        np.testing.assert_allclose(w @ w.T, np.eye(shape[0]), atol=1e-6)


def blurred(images, radius):
    return np.stack([np.asarray(Image.fromarray(x).filter(ImageFilter.GaussianBlur(radius))) for x in images])


def noisy(images, sigma):
    noise = np.random.default_rng(0).normal(0, sigma, images.shape)
    return (images + noise).round().clip(0, 255).astype(np.uint8)


def cropped(images, share):
    size = images.shape[1]
    edge = round(size * share)
    box = (edge, edge, size - edge, size - edge)
    return np.stack(
        [np.asarray(Image.fromarray(x).resize((size, size), Image.Resampling.BICUBIC, box)) for x in images]
    )


DAMAGE = {
    "noise": (noisy, (30, 70)),
    "blur": (blurred, (2, 5)),
    "crop": (cropped, (0.06, 0.14)),
}


@pytest.fixture(scope="module")
def sets(random):
    """Features of real images, other images like them, and the distance between the two: the floor."""
    known = {"digits": stroke_digits(2 * N, SEED)[0], "faces": faces(2 * N, SEED)}
    found = {}
    for kind, images in known.items():
        real, others = Statistics.of(random(images[:N])), images[N:]
        found[kind] = real, others, distance(random, others, real)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("kind", ["digits", "faces"])
def test_random_fid_grows_with_damage(random, kind, damage, sets):
    real, others, floor = sets[kind]
    degrade, levels = DAMAGE[damage]
    near, far = (distance(random, degrade(others, level), real) for level in levels)
    assert 1.15 * floor < near and 1.5 * near < far, (floor, near, far)


@pytest.mark.slow
def test_random_fid_grows_with_missing_classes(random, sets):
    real, _, floor = sets["digits"]
    images, labels = stroke_digits(4 * N, SEED + 1)
    near, far = (distance(random, images[labels >= gone][:N], real) for gone in (2, 6))
    assert 1.15 * floor < near and 1.3 * near < far, (floor, near, far)


def distance(extractor, images, real):
    return compute_metrics(Statistics.of(extractor(images)), real, metrics=("frechet",))[0]["frechet"]


# Inception: the network and its resizing have tests of their own; here is what goes in and what comes out


class Network:
    """In place of 24 million weights: the mean of each channel, over and over."""

    digest, source_sha256 = "d" * 64, "6726825d" + "0" * 56

    def features(self, x, tap=2048):
        assert x.shape[1:] == (3, 299, 299) and x.dtype == np.float32
        return np.resize(x.mean(axis=(2, 3)), (len(x), tap))

    def features_and_logits(self, x):
        return self.features(x), np.tile(np.arange(1008, dtype=np.float32), (len(x), 1))


@pytest.fixture
def inception(monkeypatch):
    monkeypatch.setattr(extractors, "load_inception", lambda path, device: Network())
    return lambda **options: make_extractor("inception", weights="weights.h5", **options)


def test_inception_sees_what_its_mode_makes_of_each_image(inception):
    images = [noise_images(20, 30, seed=1), noise_images(31, 9, 3, seed=2), noise_images(20, 30, seed=3)]
    means = {}
    for mode in ("tf", "torch", "clean"):
        extractor = inception(mode=mode)
        means[mode] = np.concatenate([resize(x[None], mode).mean(axis=(2, 3)) for x in images])
        np.testing.assert_allclose(extractor(images).values[:, :3], np.resize(means[mode], (3, 2048))[:, :3], rtol=1e-5)
        assert (extractor.label, extractor.key, extractor.describe["mode"]) == ("FID", "fid", mode)
    assert np.abs(means["tf"] - means["torch"]).max() > 1e-3


def test_inception_probabilities_come_with_the_last_features_only(inception):
    images = noise_images(5, 32, 32)
    result = inception()(images)
    assert isinstance(result, Features) and result.probabilities.shape == (5, 1008)
    np.testing.assert_allclose(result.probabilities[:, -1], 1 - np.exp(-1), rtol=1e-5)
    for tap in TAPS[:-1]:
        extractor = inception(tap=tap)
        assert extractor(images).probabilities is None and extractor(images).values.shape == (5, tap)
        assert (extractor.label, extractor.key, extractor.dimensions) == (f"FID-{tap}", f"fid_{tap}", tap)


def test_the_digest_of_inception_changes_with_all_that_changes_features(inception, monkeypatch):
    digests = [inception(mode=mode, tap=tap).digest for mode in ("tf", "torch", "clean") for tap in TAPS]
    monkeypatch.setattr(Network, "digest", "e" * 64)
    digests.append(inception().digest)
    assert len(set(digests)) == 13
    assert inception().warnings == ()
    monkeypatch.setattr(Network, "source_sha256", "")
    assert "do not compare with published FIDs" in inception().warnings[0]
    for options in ({"mode": "friendly"}, {"tap": 100}):
        with pytest.raises(InputError, match="friendly|100"):
            inception(**options)
