"""A comparison makes one pass over each set, gives the right numbers, keeps features, and warns of what spoils them."""

import h5py
import numpy as np
import pytest
from fid_sets import ALL, DIGITS, FAKE, REAL, SEED, Counting
from image_files import hdf5
from PIL import Image
from slow import slow_but_the_first

from minigan.data import stroke_digits
from minigan.errors import InputError
from minigan.metrics import comparison, image_set
from minigan.metrics.comparison import compare_images
from minigan.metrics.compute import compute_metrics
from minigan.metrics.frechet import Moments, frechet_distance
from minigan.metrics.statistics import Statistics, save_statistics

# The numbers


def test_one_pass_over_each_set_gives_every_metric():
    extractor = Counting()
    result = compare_images(FAKE, REAL, features=extractor, metrics=ALL)
    assert sorted(extractor.seen) == sorted(image.tobytes() for image in DIGITS)
    a, b = Statistics.of(extractor(FAKE)), Statistics.of(extractor(REAL))
    expected, _ = compute_metrics(a, b, metrics=ALL, seed=0)
    assert result.values.keys() == expected.keys() and not result.left_out
    for key in ("frechet", "precision", "recall", "density", "coverage"):
        assert result.values[key] == pytest.approx(expected[key], rel=1e-9)
    for key in ("frechet_infinity", "kid", "inception_score"):  # draws in another order
        assert result.values[key] == pytest.approx(expected[key], rel=1e-9, abs=3 * expected[f"{key}_std"])


@pytest.mark.parametrize("metrics", [("frechet",), ALL])
def test_numbers_depend_neither_on_the_batch_nor_on_the_order(metrics):
    expected = compare_images(FAKE, REAL, features="digits", metrics=metrics).values
    for order, batch in ((np.arange(120), 7), (np.random.default_rng(0).permutation(120), 120)):
        values = compare_images(FAKE[order], REAL[order[::-1]], features="digits", metrics=metrics, batch=batch).values
        assert values == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"batch": 0}, "batch must be at least 1, not 0"),
        ({"batch": -1}, "batch must be at least 1, not -1"),
        ({"k": 0}, "k must be at least 1, not 0"),
        ({"metrics": "kid"}, r"metrics are a list of names, such as \['kid'\]"),
        ({"metrics": "frechet"}, r"metrics are a list of names, such as \['frechet'\]"),
    ],
)
def test_options_that_mean_nothing_are_one_sentence(options, sentence):
    with pytest.raises(InputError, match=sentence):
        compare_images(FAKE, REAL, features="digits", **options)


def test_streamed_moments_are_those_of_all_features(monkeypatch):
    monkeypatch.setattr(image_set, "ROWS", 50)
    extractor = Counting()
    a, b = (Moments().update(extractor(x).values) for x in (FAKE, REAL))
    expected = frechet_distance(a.mean, a.cov, b.mean, b.cov)
    for metrics in (("frechet",), ("frechet", "prdc")):
        result = compare_images(FAKE, REAL, features=extractor, metrics=metrics)
        assert result.values["frechet"] == pytest.approx(expected, rel=1e-9)
        assert (result.fake.statistics.features is None) == (metrics == ("frechet",))


def test_a_is_judged_and_b_is_the_measure():
    """Few kinds of good images: all precise, little recalled."""
    images, labels = stroke_digits(600, SEED + 1)
    ones = images[300:][labels[300:] < 2]
    right = compare_images(ones, images[:300], features="digits", metrics=("prdc",)).values
    wrong = compare_images(images[:300], ones, features="digits", metrics=("prdc",)).values
    assert right["precision"] > 0.8 and right["recall"] < 0.5 and right["coverage"] < 0.5
    assert wrong["precision"] < 0.5 and wrong["recall"] > 0.8


def test_the_inception_score_is_of_a():
    extractor = Counting()
    dark = np.zeros_like(FAKE)
    assert compare_images(dark, REAL, features=extractor).values["inception_score"] == pytest.approx(1)
    assert compare_images(REAL, dark, features=extractor).values["inception_score"] > 1.01


def test_the_seed_and_only_the_seed_decides_draws():
    values = [
        compare_images(DIGITS, REAL, features="digits", metrics=("kid",), num=100, seed=s).values for s in (0, 0, 1)
    ]
    assert values[0] == values[1] != values[2]


# Which features


@pytest.mark.parametrize(
    ("a", "b", "name"),
    slow_but_the_first(
        [
            (FAKE, REAL, "digits"),
            (FAKE[..., None].repeat(3, axis=3), REAL, "digits"),
            (FAKE, np.pad(REAL, ((0, 0), (2, 2), (2, 2))), "random"),
            (np.random.default_rng(0).integers(0, 256, (10, 28, 28, 3), dtype=np.uint8), REAL, "random"),
        ]
    ),
)
def test_auto_takes_digits_where_both_sets_are_28_by_28_and_grey(a, b, name):
    assert compare_images(a, b, metrics=("frechet",)).settings["features"]["features"] == name


@pytest.mark.slow
def test_auto_takes_what_a_statistics_file_was_made_with(tmp_path):
    for name in ("digits", "random"):
        made = compare_images(FAKE, REAL, features=name, metrics=("frechet",))
        save_statistics(tmp_path / "s.h5", made.real.statistics)
        again = compare_images(FAKE, tmp_path / "s.h5")
        assert again.label == f"{name.removesuffix('s')}-FID"
        assert again.values["frechet"] == pytest.approx(made.values["frechet"], rel=1e-6)


# The cache


@pytest.mark.slow
def test_the_cache_answers_for_the_same_content_and_for_no_other(tmp_path, files):
    extractor = Counting()

    def extracted(a, features=extractor):
        before = len(extractor.seen)
        result = compare_images(a, files / "real.h5", features=features, cache=tmp_path / "cache")
        return len(extractor.seen) - before, result.values

    count, first = extracted(files / "fake")
    assert count == 240
    assert extracted(files / "fake") == (0, first)
    hdf5(tmp_path / "renamed.h5", images=FAKE[::-1])
    assert extracted(tmp_path / "renamed.h5") == (0, first)  # other names, container and order
    changed = FAKE.copy()
    changed[3, 4, 5] ^= 1
    hdf5(tmp_path / "renamed.h5", images=changed)
    count, second = extracted(tmp_path / "renamed.h5")  # the same name
    assert count == 120 and second != first
    other = Counting()
    other.digest = "d" * 64
    compare_images(files / "fake", files / "real.h5", features=other, cache=tmp_path / "cache")
    assert len(other.seen) == 240


def test_a_damaged_entry_is_made_again_and_nothing_half_is_left(tmp_path):
    def values(extractor):
        return compare_images(FAKE, REAL, features=extractor, cache=tmp_path).values

    expected = values(Counting())
    entries = sorted(tmp_path.iterdir())
    assert len(entries) == 2 and all(entry.suffix == ".h5" for entry in entries)
    entries[0].write_bytes(entries[0].read_bytes()[:-200])
    with h5py.File(entries[1], "r+") as f:
        f.attrs["content"] = "another"
    extractor = Counting()
    assert values(extractor) == expected and len(extractor.seen) == 240
    extractor = Counting()
    assert values(extractor) == expected and not extractor.seen


def test_a_cache_that_cannot_be_written_costs_no_result(tmp_path, monkeypatch):
    def full(*args):
        raise InputError("no space left")

    monkeypatch.setattr(image_set.FeatureCache, "save", full)
    result = compare_images(FAKE, REAL, features=Counting(), cache=tmp_path)
    assert "A: the features could not be kept in the cache (no space left)" in result.warnings
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be a cache directory"):
        compare_images(FAKE, REAL, features=Counting(), cache=tmp_path / "file")


# Warnings


def warned(a, b, **options):
    return "\n".join(compare_images(a, b, **options).warnings)


@pytest.mark.slow
def test_few_images_and_unequal_numbers_are_said():
    a, b = np.resize(FAKE, (2100, 28, 28)), np.resize(REAL, (60, 28, 28))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, "compute_metrics", lambda *args, **options: ({}, {}))
        sentences = warned(a, b, features="digits")
        assert "no more images (B 60) than features (64)" in sentences and "unequal numbers" in sentences
        assert "A: 1,980 images occur more than once" in sentences
        assert "few images (A 120 and B 120)" in warned(FAKE, REAL, features="digits", metrics=("frechet",))
        assert "fewer than 10,000 images (A 2,100 and B 2,100)" in warned(a, a, features="digits", metrics=("frechet",))
    sentences = warned(FAKE, REAL, features=Counting())
    assert "KID uses subsets of 120 images, not 1,000, so it has no ±" in sentences
    many = np.resize(FAKE, (1100, 28, 28))  # subsets of these vary
    assert "subsets of 120 images, not 1,000: its ± says little" in warned(many, REAL, features=Counting())
    assert "precision and density can be high" in sentences
    assert "Inception score uses parts of 12 images" in warned(FAKE, REAL, features="digits")
    assert "at infinity: below 640 generated" in warned(FAKE, REAL, features="digits", metrics=["frechet_infinity"])
    assert "k = 3" in warned(FAKE, REAL[:4], features=Counting())
    assert "A has 120 of the 500 images asked for" in warned(FAKE, REAL, features=Counting(), num=500)


@pytest.mark.slow
def test_what_makes_images_unlike_is_said(tmp_path, files):
    (tmp_path / "jpegs").mkdir()
    for i, image in enumerate(FAKE[:6]):
        Image.fromarray(image).resize((28, 20 + 4 * (i % 2))).save(tmp_path / "jpegs" / f"{i}.jpg")
    sentences = warned(tmp_path / "jpegs", files / "colour.npy")
    assert "A: 2 different sizes, 28×20 to 28×24" in sentences and "A: 6 JPEG files" in sentences
    assert "A: grey images, repeated" in sentences and "B: grey" not in sentences
    assert "A is 28×28 and B 12×16" in warned(FAKE, files / "colour.npy")
    assert "A and B share 120 images" in warned(DIGITS, REAL, features="digits")
    noise = np.random.default_rng(0).integers(0, 256, (40, 28, 28), dtype=np.uint8)
    assert "B: the classifier is sure of" in warned(FAKE, noise)
    assert "are they digits" not in warned(FAKE, REAL)
