"""Statistics files come back as they were saved, say what they do not allow, and are refused where they do not fit."""

import re
from dataclasses import replace

import h5py
import numpy as np
import pytest
from fid_sets import ALL, FAKE, REAL, Counting, run
from slow import slow_but_the_first

from experiments import fid
from minigan.errors import InputError
from minigan.metrics.comparison import compare_images
from minigan.metrics.features import Features
from minigan.metrics.statistics import Statistics, load_statistics, save_statistics


def test_statistics_come_back_as_they_were_saved(tmp_path):
    measured = compare_images(FAKE, REAL, features="digits").real.statistics
    save_statistics(tmp_path / "with.h5", measured)
    found = load_statistics(tmp_path / "with.h5")
    for name in ("mean", "cov"):
        np.testing.assert_array_equal(getattr(found, name), getattr(measured, name))
    assert (found.count, found.content, found.extractor) == (120, measured.content, measured.extractor)
    np.testing.assert_array_equal(found.features.values, measured.features.values)
    np.testing.assert_array_equal(found.features.probabilities, measured.features.probabilities)


def test_statistics_of_features_that_nobody_described_come_back_too(tmp_path):
    measured = Statistics.of(Features(np.random.default_rng(0).standard_normal((30, 5)).astype("float32")))
    save_statistics(tmp_path / "s.h5", measured)
    found = load_statistics(tmp_path / "s.h5")
    np.testing.assert_array_equal(found.cov, measured.cov)
    assert found.extractor is None and found.count == 30
    warnings = compare_images(tmp_path / "s.h5", tmp_path / "s.h5", metrics=("frechet",)).warnings
    assert any(w.startswith("A: the file does not name its network") for w in warnings)


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
