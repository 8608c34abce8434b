"""Runs that take something from another run: --init its weights, --config its settings, --resume --steps all of it."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from experiments import celeba, images, mnist
from minigan import checkpoint
from minigan.data import stroke_digits
from minigan.errors import InputError
from minigan.log import read_log
from minigan.step import GAN
from nn import learning_rate

pytestmark = pytest.mark.slow

SMALL = "--g-width 16 --g-depth 1 --d-width 16 --d-depth 1 --batch 4 --eval-samples 20 --log-every 2 --no-loops".split()
REST = ["--device", "cpu", "--features", "none"]


@pytest.fixture(autouse=True)
def no_report(monkeypatch):
    monkeypatch.setattr("minigan.train.Run.summarise", lambda self: None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    directory = tmp_path_factory.mktemp("images")
    for i, image in enumerate(stroke_digits(40, seed=3)[0]):
        Image.fromarray(image).save(directory / f"{i}.png")
    return directory


@pytest.fixture(scope="module")
def trained(tmp_path_factory, folder):
    out = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minigan.train.Run.summarise", lambda self: None)
        assert mnist.main(["--data", str(folder), *SMALL, *REST, "--steps", "4", "--seed", "5", "--out", str(out)]) == 0
    return out


def test_init_starts_from_the_weights_and_the_networks_of_a_run(trained, folder, tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(GAN, "step", lambda gan: started.append(gan) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        mnist.main(
            ["--data", str(folder), *REST, "--init", str(trained), "--g-lr", "0.1", "--out", str(tmp_path / "b")]
        )
    (gan,) = started
    arrays, meta = checkpoint.load(trained / "checkpoint.h5")
    assert gan.steps_done == 0 and gan.adam_g.t == 0
    assert (gan.config.g_width, gan.config.d_depth, gan.config.g_lr, gan.config.batch) == (16, 1, 0.1, 32)
    for name, value in gan.generator.state_dict().items():
        theirs = 0 if name == "level" else arrays["generator"][name]  # it is measured on these images
        np.testing.assert_array_equal(value, theirs)
    for name, value in gan.discriminator.state_dict().items():
        np.testing.assert_array_equal(value, arrays["discriminator"][name])


@pytest.mark.parametrize(
    "flags, sentence",
    [
        (["--size", "32"], "its networks take images of 28 × 28 grey, and .* has 32 × 32 grey"),
        (["--g-width", "32"], "does not fit the networks of this run"),
        (["--init", "nowhere"], "nowhere: there is no such file or folder"),
    ],
)
def test_init_of_other_networks_is_one_sentence(trained, folder, tmp_path, flags, sentence):
    with pytest.raises(InputError, match=sentence):
        mnist.main(["--data", str(folder), *REST, "--init", str(trained), *flags, "--out", str(tmp_path / "b")])
    assert not (tmp_path / "b" / "checkpoint.h5").exists()


@pytest.mark.parametrize("source", ["", "config.json"])
def test_config_repeats_a_run_bit_for_bit(trained, tmp_path, source):
    mnist.main(["--config", str(trained / source), "--no-loops", "--device", "cpu", "--out", str(tmp_path / "b")])
    (a, meta_a), (b, meta_b) = (checkpoint.load(d / "checkpoint.h5") for d in (trained, tmp_path / "b"))
    assert meta_a["config"] == meta_b["config"] and meta_a["data"] == meta_b["data"]
    for group in a:
        for name in a[group]:
            np.testing.assert_array_equal(a[group][name], b[group][name])


def test_config_is_varied_by_flags(trained, tmp_path):
    flags = "--d-norm none --steps 2 --seed 6 --features none --no-loops --device cpu --size 24".split()
    mnist.main(
        ["--config", str(trained), *flags, "--d-patch", "6", "--g-patch", "6", "--d-overlap", "2"]
        + ["--out", str(tmp_path / "b")]
    )
    old, new = (json.loads((d / "config.json").read_text()) for d in (trained, tmp_path / "b"))
    changed = {k for k, v in new["options"].items() if v != old["options"][k]}
    assert changed == {"d_norm", "steps", "seed", "image_size", "d_patch", "g_patch", "d_overlap"}
    assert new["data"]["path"] == old["data"]["path"] and new["data"]["seed"] == 6 and new["data"]["size"] == 24


@pytest.mark.parametrize(
    "command, flags, sentence",
    [
        (mnist, ["--variant", "cnn"], "--config sets everything that --variant would choose"),
        (celeba, [], "is a run of another command: python -m experiments.mnist --config"),
        (images, [], "is a run of another command: python -m experiments.mnist --config"),
        (mnist, ["--config", "nowhere"], "nowhere is neither a config.json nor the directory of a run"),
        (mnist, ["--resume", "nowhere"], "--resume goes on with its own settings"),
    ],
)
def test_what_config_does_not_take_is_one_sentence(trained, command, flags, sentence):
    record = json.loads((trained / "config.json").read_text())
    record["command"] = "python -m experiments.mnist"
    (trained / "config.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=sentence):
        command.main(["--config", str(trained), *REST, *flags])


@pytest.mark.parametrize("flag", ["--no-g-level", "--no-g-modulated", "--g-level", "--no-equalised"])
def test_resume_takes_no_other_settings(trained, flag):
    with pytest.raises(InputError, match="--resume goes on with its own settings"):
        mnist.main(["--resume", str(trained), flag, "--device", "cpu"])
    with pytest.raises(InputError, match="--resume goes on with its own settings"):
        images.main(["--resume", str(trained), "--no-stream", "--device", "cpu"])


def test_a_finished_run_is_lengthened(folder, tmp_path, capsys):
    """Its schedules are laid over all of its steps: step 2 of 2 was the end of the cosine, step 2 of 6 is a third."""
    run = tmp_path / "run"
    mnist.main(["--data", str(folder), *SMALL, *REST, "--steps", "2", "--warmup", "1", "--out", str(run)])
    with pytest.raises(InputError, match="--steps 2: the run in .* has 2 steps already; give more"):
        mnist.main(["--resume", str(run), "--device", "cpu", "--steps", "2"])
    capsys.readouterr()
    assert mnist.main(["--resume", str(run), "--device", "cpu", "--steps", "6"]) == 0
    out = capsys.readouterr().out
    assert "laid over 6 steps, not 2: at step 2 the learning rate of G goes from 0.00045 to 0.00236" in out
    assert 3e-3 * learning_rate(2, 6, 1, "cosine", 0.15) == pytest.approx(0.00236, abs=1e-5)  # 3e-3 (.15 + .85 · .75)
    meta = checkpoint.load(run / "checkpoint.h5")[1]
    assert meta["steps_done"] == meta["config"]["steps"] == 6
    assert {"kind": "schedule", "step": 2, "steps": 6} in read_log(run / "log.jsonl")
    assert json.loads((run / "config.json").read_text())["options"]["steps"] == 6
    assert (
        mnist.main(["--resume", str(run), "--device", "cpu"]) == 0 and "is finished: 6 steps" in capsys.readouterr().out
    )


def test_a_lengthened_run_that_is_killed_at_once_stays_longer(trained, tmp_path, monkeypatch):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    with monkeypatch.context() as patch:
        patch.setattr(GAN, "step", lambda gan: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            mnist.main(["--resume", str(run), "--device", "cpu", "--steps", "6"])
    assert not (run / "samples.h5").exists()
    assert mnist.main(["--resume", str(run), "--device", "cpu"]) == 0
    assert checkpoint.load(run / "checkpoint.h5")[1]["steps_done"] == 6
