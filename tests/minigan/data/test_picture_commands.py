"""The commands that train on pictures: experiments.celeba and experiments.images."""

import json
import os

import numpy as np
import pytest
from picture_sources import as_tar, there

from experiments import celeba, images
from minigan import checkpoint
from minigan.errors import InputError

TINY = (
    "--g-width 16 --g-depth 1 --d-width 16 --d-depth 1 --g-heads 2 --d-heads 2 --latent 8 --g-head-width 8 --batch 4 "
    "--eval-samples 12 --log-every 2 --features none --device cpu"
).split()


@pytest.mark.slow
def test_the_celeba_command_on_drawn_faces(tmp_path):
    out = tmp_path / "run"
    assert celeba.main([*TINY, "--faces", "12", "--size", "32", "--steps", "2", "--out", str(out)]) == 0
    assert "not CelebA" in (out / "report.html").read_text()
    config = json.loads((out / "config.json").read_text())
    assert config["options"]["image_size"] == 32 and config["options"]["channels"] == 3
    assert config["data"]["faces"] == 12


@pytest.mark.slow
def test_the_celeba_command_streams_and_resumes_from_anywhere(tmp_path, aligned, monkeypatch):
    monkeypatch.chdir(tmp_path)
    common = [*TINY, "--data", "celeba", "--size", "32", "--steps", "4"]
    monkeypatch.setattr("minigan.train.Run.summarise", lambda self: None)
    assert celeba.main([*common, "--stream", "--out", "streamed", "--cache", "kept"]) == 0
    assert celeba.main([*common, "--no-stream", "--out", "held"]) == 0
    assert there(tmp_path / "kept") and there(tmp_path / "home" / "minigan")
    arrays, meta = checkpoint.load(tmp_path / "streamed/checkpoint.h5")
    expected, meta_held = checkpoint.load(tmp_path / "held/checkpoint.h5")
    for name, array in expected["generator"].items():
        np.testing.assert_array_equal(arrays["generator"][name], array)
    assert meta["data_hash"] == meta_held["data_hash"]
    assert meta["data"]["stream"] is True and meta["data"]["crop"] == 140 and "140 × 140" in meta["data"]["note"]
    for key in ("path", "cache"):
        assert os.path.isabs(meta["data"][key])

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    meta["config"]["steps"] = 6
    checkpoint.save(tmp_path / "streamed/checkpoint.h5", arrays, meta)
    assert celeba.main(["--resume", str(tmp_path / "streamed"), "--device", "cpu"]) == 0
    assert checkpoint.load(tmp_path / "streamed/checkpoint.h5")[1]["steps_done"] == 6


def test_the_images_command_takes_any_archive(tmp_path, store, files, monkeypatch):
    monkeypatch.setattr("minigan.train.Run.summarise", lambda self: None)
    source, out = as_tar(tmp_path / "some.tar.gz", files, "w:gz"), tmp_path / "run"
    assert images.main([*TINY, "--data", str(source), "--size", "16", "--steps", "1", "--out", str(out)]) == 0
    assert json.loads((out / "config.json").read_text())["data"]["images"] == 10


@pytest.mark.parametrize(
    ("main", "arguments", "message"),
    [
        (images.main, [], "give the pictures: a folder"),
        (images.main, ["--data", "nowhere"], "does not exist"),
        (images.main, ["--data", ".", "--size", "0"], "must be positive"),
        (celeba.main, ["--data", "nowhere"], "does not exist"),
        (celeba.main, ["--data", ".", "--faces", "3"], "does not go with --data"),
        (celeba.main, ["--crop", "178"], "needs --data"),
        (celeba.main, ["--no-stream"], "needs --data"),
        (celeba.main, ["--skip-unreadable"], "needs --data"),
        (celeba.main, ["--faces", "0"], "cannot draw 0 faces"),
    ],
)
def test_wrong_flags_are_one_sentence(store, tmp_path, monkeypatch, main, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        main([*arguments, "--device", "cpu"])
