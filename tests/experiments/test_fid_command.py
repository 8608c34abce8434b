"""`python -m experiments.fid`: every kind of image set, numbers with unmistakable names, and sentences on bad input."""

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import strict_device  # noqa: F401  (registers a device that refuses silent copies)
from fid_sets import FAKE, run
from image_files import folder
from tiny_runs import write_run

from experiments import fid
from minigan.metrics import compute, extractors
from minigan.metrics.comparison import compare_images
from minigan.metrics.extractors import make_extractor


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"))


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
    assert lines[4].count("±") == 2 and lines[4].endswith("± of the fit"), "explained where there is one"
    assert "±" not in lines[5], "every subset of KID is the whole set"
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
    record = json.loads(run(trained / "best.h5", files / "real.h5", "--num", "60", "--json", "-", capsys=capsys)[1])
    assert record["fake"]["kind"] == "checkpoint"
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
