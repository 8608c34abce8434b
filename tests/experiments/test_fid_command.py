"""`python -m experiments.fid`: every kind of image set, one pass over each, and numbers with unmistakable names."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest
import strict_device  # noqa: F401  (registers a device that refuses silent copies)
from image_files import folder, hdf5
from PIL import Image
from slow import slow_but_the_first
from tiny_runs import write_run

from experiments import fid
from experiments.cli import run_main
from minigan.data import stroke_digits
from minigan.errors import InputError
from minigan.metrics import comparison, compute, extractors, image_set
from minigan.metrics.comparison import compare_images
from minigan.metrics.compute import compute_metrics
from minigan.metrics.extractors import Extractor, make_extractor
from minigan.metrics.features import Features
from minigan.metrics.frechet import Moments, frechet_distance
from minigan.metrics.statistics import Statistics, load_statistics, save_statistics

SEED = 10**12
DIGITS, LABELS = stroke_digits(240, SEED)
FAKE, REAL = DIGITS[:120], DIGITS[120:]
ALL = ("frechet", "frechet_infinity", "kid", "prdc", "inception_score")


class Counting(Extractor):
    """The corner pixels of images, and three classes by their brightness; it remembers what went through it."""

    name, label, key, dimensions, digest, batch = "corners", "corner-FID", "corner_fid", 4, "c" * 64, 32
    describe = {"features": "corners", "dimensions": 4}

    def __init__(self):
        self.seen: list[bytes] = []

    def extract(self, images):
        self.seen += [image.tobytes() for image in images]
        grey = [image if image.ndim == 2 else image.mean(axis=2) for image in images]
        values = np.array([[x[13, 13], x[13, 14], x[14, 13], x.mean()] for x in grey], np.float32) / 255
        p = np.stack([values[:, 3], values[:, 0] / 2, 2 - values[:, 3] - values[:, 0] / 2], axis=1)
        return values, p / 2


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    directory = tmp_path_factory.mktemp("files")
    folder(directory / "fake", FAKE)
    hdf5(directory / "real.h5", images=REAL)
    np.save(directory / "colour.npy", np.random.default_rng(0).integers(0, 256, (40, 16, 12, 3), dtype=np.uint8))
    return directory


def run(*arguments, capsys):
    """(status, stdout, stderr) of the command."""
    with pytest.raises(SystemExit) as exit, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["fid", "--device", "cpu", *map(str, arguments)])
        run_main(fid.main)
    printed = capsys.readouterr()
    return exit.value.code, printed.out, printed.err


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


# Statistics files


def test_statistics_come_back_as_they_were_saved(tmp_path):
    measured = compare_images(FAKE, REAL, features="digits").real.statistics
    save_statistics(tmp_path / "with.h5", measured)
    found = load_statistics(tmp_path / "with.h5")
    for name in ("mean", "cov"):
        np.testing.assert_array_equal(getattr(found, name), getattr(measured, name))
    assert (found.count, found.content, found.extractor) == (120, measured.content, measured.extractor)
    np.testing.assert_array_equal(found.features.values, measured.features.values)
    np.testing.assert_array_equal(found.features.probabilities, measured.features.probabilities)


def test_a_statistics_file_allows_the_distance_and_says_what_it_does_not(tmp_path, files, capsys):
    status, out, _ = run(files / "fake", files / "real.h5", "--save-stats", tmp_path / "s.h5", capsys=capsys)
    assert status == 0
    whole = compare_images(files / "fake", files / "real.h5")
    result = compare_images(files / "fake", tmp_path / "s.h5", metrics=ALL)
    assert result.values["frechet"] == pytest.approx(whole.values["frechet"], rel=1e-9)
    assert result.values.keys() == {
        "frechet", "frechet_infinity", "frechet_infinity_std", "inception_score", "inception_score_std"
    }  # fmt: skip
    assert result.left_out == dict.fromkeys(("kid", "prdc"), "B is a statistics file without features")
    _, out, _ = run(tmp_path / "s.h5", files / "real.h5", capsys=capsys)
    assert "left out: KID, precision, recall, density, coverage, IS (A is a statistics file without features)" in out
    _, out, _ = run(tmp_path / "s.h5", tmp_path / "s.h5", capsys=capsys)
    assert re.search(r"digit-FID\[120/120\] +0 ", out) and "(A and B are statistics files without features)" in out


def test_statistics_with_features_allow_everything(tmp_path, files, capsys):
    stats = ["--save-stats", tmp_path / "s.h5", "--save-features"]
    status, out, err = run(files / "real.h5", *stats, capsys=capsys)
    assert status == 0 and "120 images, 28×28 grey" in out and "wrote" in err
    result = compare_images(files / "fake", tmp_path / "s.h5")
    assert result.values == pytest.approx(compare_images(files / "fake", files / "real.h5").values, rel=1e-6)


def test_statistics_of_other_tools_are_taken_with_a_warning(tmp_path, files):
    status = fid.main([str(files / "real.h5"), "--save-stats", str(tmp_path / "ours.npz"), "--device", "cpu"])
    assert status == 0
    with np.load(tmp_path / "ours.npz") as ours:
        assert sorted(ours.files) == ["mu", "sigma"]
        np.savez(tmp_path / "others.npz", mu=ours["mu"].astype(np.float32), sigma=ours["sigma"])
    for name in ("ours.npz", "others.npz"):
        result = compare_images(files / "fake", tmp_path / name, features="digits")
        whole = compare_images(files / "fake", files / "real.h5", metrics=("frechet",))
        assert result.values["frechet"] == pytest.approx(whole.values["frechet"], rel=1e-4)
        assert any(w.startswith("B: the file does not name its network") for w in result.warnings)
        assert result.record()["real"]["count"] is None
    with pytest.raises(InputError, match="others.npz holds statistics of 64 features.*256"):
        compare_images(files / "fake", tmp_path / "others.npz", features="random")
    with pytest.raises(InputError, match="inception features need weights"):  # nothing else is likely
        compare_images(files / "fake", tmp_path / "others.npz")


def test_statistics_of_another_extractor_are_refused(tmp_path):
    measured = compare_images(FAKE, REAL, features="digits", metrics=("frechet",)).real.statistics
    save_statistics(tmp_path / "digits.h5", measured)
    with pytest.raises(InputError, match=r"digits\.h5 holds statistics of digit-FID .*compare with random-FID"):
        compare_images(FAKE, tmp_path / "digits.h5", features="random")
    measured.extractor["digest"] = "0" * 64
    save_statistics(tmp_path / "old.h5", measured)
    with pytest.raises(
        InputError, match=r"digits\.h5 holds statistics of digit-FID .*compare with digit-FID .*00000000"
    ):
        compare_images(tmp_path / "old.h5", tmp_path / "digits.h5")


def test_statistics_of_somebodys_own_extractor(tmp_path):
    evaluated = compare_images(FAKE, REAL, features=Counting(), metrics=("frechet",))
    save_statistics(tmp_path / "s.h5", evaluated.real.statistics)
    assert compare_images(tmp_path / "s.h5", tmp_path / "s.h5").label == "corners-FID"
    with pytest.raises(InputError, match="statistics of corners-FID .*compare with digit-FID"):
        compare_images(FAKE, tmp_path / "s.h5", features="digits")


def test_one_wrong_bit_in_a_statistics_file_is_noticed(tmp_path):
    statistics = compare_images(FAKE, REAL, features="digits", metrics=("frechet",)).real.statistics
    for name in ("s.h5", "s.npz"):
        save_statistics(tmp_path / name, statistics)
        data = (tmp_path / name).read_bytes()
        wrong = data.index(statistics.cov.max().tobytes())
        (tmp_path / name).write_bytes(data[:wrong] + bytes([data[wrong] ^ 1]) + data[wrong + 1 :])
        with pytest.raises(InputError, match="not a readable statistics file"):
            load_statistics(tmp_path / name)


def spoil(path, **changes):
    """Change arrays of a file as an older version wrote it, without a SHA-256."""
    with h5py.File(path, "r+") as f:
        del f.attrs["sha256"]
        for name, value in changes.items():
            del f[name]
            if value is not None:
                f[name] = value


def test_statistics_that_do_not_say_of_what_are_refused(tmp_path):
    measured = compare_images(FAKE, REAL, features="digits", metrics=("frechet",)).real.statistics
    for name in ("features", "dimensions", "digest"):
        extractor = {key: value for key, value in measured.extractor.items() if key != name}
        save_statistics(tmp_path / "s.h5", replace(measured, extractor=extractor))
        with pytest.raises(InputError, match=f"does not give the {name} of its extractor"):
            load_statistics(tmp_path / "s.h5")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    slow_but_the_first(
        [
            ({"mu": None}, "not a readable statistics file"),
            ({"mu": "text"}, "not a readable statistics file"),
            ({"mu": np.zeros(63)}, "are not a mean"),
            ({"mu": np.full(64, np.nan)}, "must be finite"),
            ({"sigma": np.triu(np.ones((64, 64)))}, "not a covariance"),
            ({"sigma": -np.eye(64)}, "not a covariance"),
            ({"features": np.zeros((5, 64))}, "features do not fit"),
        ]
    ),
)
def test_damaged_statistics_are_refused(tmp_path, changes, sentence):
    measured = compare_images(FAKE, REAL, features="digits").real.statistics
    measured.features = Features(measured.features.values)
    save_statistics(tmp_path / "s.h5", measured)
    spoil(tmp_path / "s.h5", **changes)
    with pytest.raises(InputError, match=sentence):
        compare_images(FAKE, tmp_path / "s.h5")


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
    assert "KID uses subsets of 120 images" in warned(FAKE, REAL, features=Counting())
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


# The command


def test_the_table_names_every_number(files, capsys):
    status, out, err = run(files / "fake", files / "real.h5", "--fid-inf", capsys=capsys)
    assert status == 0
    lines = out.splitlines()
    assert lines[0] == f"A  {files / 'fake'}: 120 images, 28×28 grey"
    names = [line.split("[120/120]")[0] for line in lines[3:]]
    assert names == [
        f"digit-{n}" for n in ("FID", "FID∞", "KID", "IS", "precision", "recall", "density", "coverage")
    ]  # fmt: skip
    assert all("lower is better" in line for line in lines[3:6]) and all("higher" in line for line in lines[6:])
    assert "A: 100%" in err and "B: 100%" in err and "warning: few images" in err and "warning" not in out


def test_too_few_for_a_distance_at_infinity_cost_no_other_number(files, capsys):
    status, out, _ = run(files / "fake", files / "real.h5", "--fid-inf", "--num", "15", capsys=capsys)
    assert status == 0 and "digit-FID[15/15]" in out and "left out: FID∞ (it needs 20 images)" in out


@pytest.mark.slow
def test_a_terminal_without_all_letters_and_names_that_are_no_text(files, tmp_path):
    name = os.fsencode(tmp_path / "fake") + b"\xff"
    shutil.copytree(os.fsencode(files / "fake"), name)
    command = [sys.executable, "-m", "experiments.fid", name, files / "real.h5", "--json", tmp_path / "out.json"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*command, "--metrics", "fid,kid"], capture_output=True, env=environment)
    assert done.returncode == 0 and b"28?28 grey" in done.stdout, done.stderr
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["fake"]["name"].endswith("fake?")


def test_random_features_have_their_own_name_and_no_classes(files, capsys):
    _, out, _ = run(files / "fake", files / "colour.npy", capsys=capsys)
    assert "random-FID[120/40]" in out and "random-KID[120/40]" in out and "\nFID" not in out
    assert "left out: IS (these features come without class probabilities)" in out


@pytest.mark.parametrize(("metrics", "count"), [("fid", 1), ("kid,fid", 2), ("prdc", 4), ("is", 1)])
def test_metrics_are_chosen(files, capsys, metrics, count):
    _, out, _ = run(files / "fake", files / "real.h5", "--metrics", metrics, capsys=capsys)
    assert out.count("better") == count


def test_json_holds_everything(files, tmp_path, capsys):
    status, out, _ = run(files / "fake", files / "real.h5", "--json", "-", "--seed", "3", "--num", "100", capsys=capsys)
    record = json.loads(out)
    result = compare_images(files / "fake", files / "real.h5", seed=3, num=100)
    assert record["metrics"]["digit_fid"] == pytest.approx(result.values["frechet"], rel=1e-9)
    assert record["metrics"].keys() == {
        "digit_fid", "kid", "kid_std", "precision", "recall", "density", "coverage",
        "inception_score", "inception_score_std",
    }  # fmt: skip
    assert record["label"] == "digit-FID" and record["features"]["features"] == "digits"
    assert record["features"]["weights_sha256"] == make_extractor("digits").describe["weights_sha256"]
    assert (record["seed"], record["k"], record["num"], record["device"]) == (3, 5, 100, "cpu")
    settings = ("kid_subsets", "kid_subset_size", "inception_score_splits")
    assert [record[name] for name in settings] == [100, 1000, 10]
    assert record["fake"]["count"] == record["real"]["count"] == 100 and record["real"]["kind"] == "hdf5"
    assert record["fake"]["content"] == result.fake.statistics.content != record["real"]["content"]
    assert record["warnings"] == result.warnings and record["seconds"] > 0 and record["images_per_second"] > 0
    assert {"python", "numpy", "h5py", "pillow"} <= record["versions"].keys() and "command" in record
    run(files / "fake", files / "real.h5", "--json", tmp_path / "out.json", capsys=capsys)
    assert json.loads((tmp_path / "out.json").read_text())["metrics"].keys() == record["metrics"].keys()


def test_skipped_pictures_are_recorded_and_the_cache_knows_the_images_that_are_left(files, tmp_path, capsys):
    """The features are those of the readable images: kept for them, and not for the folder."""
    shutil.copytree(files / "fake", tmp_path / "a")
    first, *_, last = sorted((tmp_path / "a").rglob("*.png"))
    kept = [first.read_bytes(), last.read_bytes()]
    first.write_bytes(b"text")
    last.write_bytes(kept[1][:-30])  # its head is whole
    compared = [tmp_path / "a", files / "real.h5", "--json", "-", "--cache", tmp_path / "cache"]
    status, _, err = run(*compared, capsys=capsys)
    assert status == 2 and f"{first.name} is not a readable image" in err and "; --skip-unreadable goes on" in err
    status, out, err = run(*compared, "--skip-unreadable", capsys=capsys)
    record = json.loads(out)
    assert status == 0 and f"2 unreadable pictures of {tmp_path / 'a'} are left out" in err
    assert (record["fake"]["unreadable"], record["fake"]["count"]) == (2, 118) and "unreadable" not in record["real"]
    first.unlink()
    last.unlink()
    alone = json.loads(run(*compared, capsys=capsys)[1])
    assert alone["fake"]["content"] == record["fake"]["content"] and alone["metrics"] == record["metrics"]
    assert alone["images_per_second"] is None  # all features were in the cache
    first.write_bytes(kept[0])
    more = json.loads(run(*compared, "--skip-unreadable", capsys=capsys)[1])
    assert more["fake"]["content"] != record["fake"]["content"] and more["fake"]["unreadable"] == 0
    statistics = [tmp_path / "a", "--save-stats", tmp_path / "s.h5", "--json", tmp_path / "j", "--skip-unreadable"]
    last.write_bytes(b"text")
    assert run(*statistics, capsys=capsys)[0] == 0
    assert json.loads((tmp_path / "j").read_text())["unreadable"] == 1


def test_a_checkpoint_and_a_run_are_image_sets(trained, files, tmp_path, capsys):
    _, out, _ = run(trained, files / "real.h5", "--num", "60", "--json", tmp_path / "j", capsys=capsys)
    assert f"A  {trained}: 60 images, 28×28 grey, made by best.h5, step 20" in out and "digit-FID[60/60]" in out
    record = json.loads((tmp_path / "j").read_text())
    assert record["fake"]["kind"] == "run" and record["fake"]["step"] == 20 and record["fake"]["sampling_seed"] == 0
    assert any("best.h5 was chosen by such a distance" in w for w in record["warnings"])
    _, out, _ = run(trained / "checkpoint.h5", trained / "checkpoint.h5", "--num", "60", capsys=capsys)
    assert "made by checkpoint.h5, step 10" in out and re.search(r"digit-FID\[60/60\] +0 ", out)


def test_a_generator_on_a_device_makes_the_same_comparison(trained, files):
    expected = compare_images(trained, files / "real.h5", num=30, metrics=("frechet",), features="digits")
    found = compare_images(trained, files / "real.h5", num=30, metrics=("frechet",), features="digits", device="strict")
    assert found.values["frechet"] == pytest.approx(expected.values["frechet"], rel=1e-2)  # a pixel may round otherwise


def test_bad_input_is_a_sentence_and_status_2(files, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    folder(tmp_path / "broken", FAKE[:5])
    (tmp_path / "broken" / "2.png").write_bytes(b"no picture")
    np.save(tmp_path / "one.npy", FAKE[:1])
    (tmp_path / "weights.h5").write_bytes(b"no weights")
    os.mkfifo(tmp_path / "pipe")
    real = files / "real.h5"
    cases = [
        ([tmp_path / "empty", real], "holds no picture files"),
        ([tmp_path / "broken", real], "2.png is not a readable"),
        ([tmp_path / "one.npy", real], "gives one image"),
        ([real, real, "--num", "1"], "gives one image"),
        ([tmp_path / "nowhere", real], "does not exist"),
        ([files / "fake", real, "--inception", tmp_path / "weights.h5"], "not a readable file of Inception weights"),
        ([files / "fake", real, "--inception", tmp_path / "none.h5"], "there is no such file"),
        ([files / "fake", real, "--features", "inception"], "need weights"),
        ([files / "fake", real, "--mode", "clean"], "belong to inception features, not to digits features"),
        ([files / "colour.npy", real, "--features", "digits"], "28×28 grey images"),
        ([real], "give two image sets"),
        ([real, real, "--metrics", "fid,ppl"], "--metrics ppl: use some of fid,kid,is,prdc"),
        ([real, real, "--num", "0"], "--num must be at least 1"),
        ([real, real, "--k", "0"], "--k must be at least 1"),
        ([real, real, "--save-features"], "--save-features goes with"),
        ([real, real, "--json", tmp_path / "no" / "where"], "must be a file in an existing directory"),
        ([real, real, "--save-stats", tmp_path], "must be a file in an existing directory"),
        ([real, real, "--json", tmp_path / "pipe"], "must be a file in an existing directory"),
        ([files / "fake", real, "--save-stats", real], "real.h5 would be overwritten"),
        ([real, "--save-stats", tmp_path / "x.h5", "--json", tmp_path / "x.h5"], "x.h5 would be overwritten"),
    ]
    for arguments, sentence in cases:
        status, out, err = run(*arguments, capsys=capsys)
        errors = [line for line in err.splitlines() if line.startswith("error: ")]
        assert (status, out, len(errors)) == (2, "", 1), (arguments, out, err)
        assert sentence in errors[0]
    fid.main([str(real), "--save-stats", str(tmp_path / "s.h5"), "--device", "cpu"])
    for arguments in ([tmp_path / "s.h5", "--save-stats", tmp_path / "t.h5"], [real, tmp_path / "s.h5"]):
        status, _, err = run(*arguments, "--save-stats", tmp_path / "t.h5", capsys=capsys)
        assert status == 2 and "s.h5 is a statistics file already" in err
    assert not (tmp_path / "t.h5").exists()


def test_numbers_that_came_out_wrong_are_status_3(files, capsys, monkeypatch):
    monkeypatch.setattr(extractors.DigitExtractor, "extract", lambda self, x: (np.full((len(x), 64), np.inf), None))
    status, out, err = run(files / "fake", files / "real.h5", capsys=capsys)
    assert (status, out) == (3, "") and "error: the computation failed: digits features" in err
    monkeypatch.undo()

    def diverges(*args):
        raise np.linalg.LinAlgError("Eigenvalues did not converge")

    monkeypatch.setattr(compute, "frechet_distance", diverges)
    assert run(files / "fake", files / "real.h5", capsys=capsys)[0] == 3


def test_help_is_quick():
    code = "import sys; from experiments import fid\ntry: fid.main(['--help'])\nfinally: print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "digit-FID" in done.stdout and not {"'numpy'", "'h5py'", "'PIL'"} & set(
        done.stdout.split("[")[-1].split(", ")
    )
