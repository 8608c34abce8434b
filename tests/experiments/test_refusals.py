"""What the training commands refuse: one sentence, status 2, nothing written."""

import json
import shutil
from dataclasses import asdict

import pytest
from slow import slow_but_the_first
from tiny_commands import DEVICE, SMALL, command

from autograd.arrays import DeviceError
from experiments import celeba, cifar10, images, mnist
from minigan import checkpoint
from minigan.config import Config
from minigan.errors import InputError


@pytest.fixture(scope="module")
def trained(tmp_path_factory, pictures):
    out = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minigan.train.Run.summarise", lambda self: None)
        assert mnist.main([*pictures, *SMALL, *DEVICE, "--features", "none", "--steps", "2", "--out", str(out)]) == 0
    (out / "samples.h5").unlink()
    return out


def test_a_file_as_out_is_refused_before_the_data_are_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "load", None)
    (tmp_path / "run").write_text("")
    with pytest.raises(InputError, match="--out .*run is not a directory"):
        mnist.main([*SMALL, *DEVICE, "--out", str(tmp_path / "run")])


@pytest.mark.parametrize("flags", [["--steps", "0"], ["--g-lr", "-1"], ["--batch", "0", "--labels"]])
def test_a_wrong_value_is_refused_before_the_data_are_loaded(flags, monkeypatch):
    monkeypatch.setattr(mnist, "load", lambda *_: pytest.fail("the data were loaded"))
    with pytest.raises(InputError, match=f"{flags[0]} must be at least"):
        mnist.main([*flags, "--device", "cpu"])


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--steps", "0"], "--steps must be at least 1"),
        (["--minutes", "0"], "--minutes must be greater than 0"),
        (["--eval-samples", "1"], "--eval-samples must be at least 2"),
        (["--ema", "2"], "--ema must be at most 1, not 2.0"),
        (["--g-lr", "-1"], "--g-lr must be at least 0, not -1.0"),
        (["--g-width", "30"], "--g-width 30 must be a multiple of --g-heads 4"),
        (["--d-patch", "5"], "--d-patch 5 does not divide the image size 28"),
        (["--steps", "2", "--epochs", "1"], "give one of"),
        (["--minutes", "nan"], "--minutes must be greater than 0 and finite"),
        (["--epochs", "inf"], "--epochs must be greater than 0 and finite"),
        (["--g-lr", "nan"], "--g-lr must be a finite number"),
        (["--mode", "clean"], "needs --inception"),
        (["--features", "random", "--inception", "weights.h5"], "does not go with --features random"),
        (["--data", "nowhere"], "nowhere"),
        (["--download", "mnist"], "--download needs --data"),
        (["--subset", "digits"], "--subset is a set of a folder with several, so it needs --data"),
        (["--resume", "nowhere"], "there is no such folder"),
        (["--resume", __file__], "this is a file: give the folder of the run, "),
        (["--tf32"], "--tf32 is a way to multiply matrices on a GPU, and this is to run on the CPU"),
        (["--augment", "saturation"], "saturation"),
        (["--augment", "sharpen"], "sharpen"),
        (["--epochs", "1e308"], "--epochs 1e+308 are more than"),
        (["--minutes", "1e308"], "--minutes must be at most 5,256,000"),
        (["--g-mlp-ratio", "1e-9"], "--g-mlp-ratio 1e-09 leaves the MLPs of --g-width 64 without features"),
        (["--d-width", "16384", "--d-depth", "9"], "make a network of more than 2,147,483,648 weights"),
        (["--d-overlap", "4096"], "--d-width 64, --d-patch 7 and --d-overlap 4096 make a network of more than"),
        (
            ["--g-width", "8192", "--g-mapping", "100"],
            "--g-width 8192, --g-mapping 100 and --latent 64 make",
        ),
        (
            ["--g-width", "16384", "--g-depth", "1", "--no-g-modulated"],
            "--g-width 16384, --g-patch 7, --g-overlap 2 and --g-points 2 make a",
        ),
        (["--g-overlap", "4096"], "--g-patch 7, --g-overlap 4096 and --g-points 2 make a network of more than"),
        (["--g-overlap", "200", "--g-points", "16"], "--g-patch 7, --g-overlap 200 and --g-points 16 make a"),
        (["--variant", "cnn", "--cnn-width", "4096"], "--cnn-width 4096 make"),
        (["--log-every", "100000000"], "--log-every must be at most 1000000"),
        (["--size", "1"], "images of 1 × 1 pixels cannot be trained on"),
        (["--size", "2", "--variant", "cnn"], "images of 2 × 2 pixels cannot be trained on"),
        (["--size", "29"], "images of 29 pixels cannot be cut into a few equal patches"),
        (
            ["--size", "29", "--g-patch", "3", "--d-patch", "1"],
            "--g-patch 3 does not divide the image size 29: use one of 1, 29",
        ),
    ],
)
def test_bad_flags_are_one_sentence(pictures, flags, sentence, tmp_path):
    out = ["--out", str(tmp_path / "run")]
    data = [] if {"--data", "--download", "--resume", "--subset"} & {*flags} else pictures
    with pytest.raises(InputError) as error:
        mnist.main([*data, *DEVICE, *flags, *([] if "--resume" in flags else out)])
    assert sentence in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "evaluation", [{"bad": 1}, [1], {"features": "inception", "weights": 7}, {"features": None}, {"mode": 1}, None]
)
def test_an_edited_evaluation_is_one_sentence(evaluation, tmp_path, monkeypatch):
    command, data = "python -m experiments.mnist", {"evaluation": evaluation}
    (tmp_path / "config.json").write_text(json.dumps({"options": asdict(Config()), "command": command, "data": data}))
    monkeypatch.setattr(mnist, "load", None)
    with pytest.raises(InputError, match="do not say with which features it was evaluated"):
        mnist.main(["--resume", str(tmp_path), *DEVICE])


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize(
    "change",
    slow_but_the_first([
        {"steps_done": "3"}, {"steps_done": -1}, {"steps_done": 1e300},
        {"rng": [1]}, {"rng": [2**70, 0]}, {"rng": None},
        {"seconds": "long"}, {"seconds": None}, {"best": [1]}, {"best": {"step": "x"}}, {"config": None}, {"config": 7},
        {"config": {"steps": 0}}, {"config": {"steps": "many"}}, {"config": {"g_width": 10**9}},
        {"config": {"g_mlp_ratio": 1e400}}, {"config": {"variant": []}}, {"config": {"image_size": 3}},
        {"command": None}, {"data": None}, {"data": {}}, {"data_hash": 3},
    ]),
)  # fmt: skip
def test_a_checkpoint_with_edited_metadata_is_one_sentence(trained, tmp_path, change):
    shutil.copytree(trained, tmp_path / "run")
    arrays, meta = checkpoint.load(tmp_path / "run" / "checkpoint.h5")
    if isinstance(change.get("config"), dict):
        change = {"config": {**meta["config"], **change["config"]}}
    checkpoint.save(tmp_path / "run" / "checkpoint.h5", arrays, {**meta, **change})
    with pytest.raises(InputError) as error:
        mnist.main(["--resume", str(tmp_path / "run"), *DEVICE])
    assert str(tmp_path / "run") in str(error.value) and "\n" not in str(error.value)


def test_bad_input_is_status_2_without_a_traceback(tmp_path):
    (tmp_path / "digit.png").write_text("this is text")
    done = command("--data", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and "digit.png" in done.stderr and "Traceback" not in done.stderr


def test_no_gpu_is_one_sentence(pictures):
    try:
        import cupy

        if cupy.cuda.is_available():
            pytest.skip("there is a GPU")
    except ImportError:
        pass
    with pytest.raises(DeviceError, match="device cuda"):
        mnist.main([*pictures, "--device", "cuda"])


@pytest.mark.usefixtures("no_report")
def test_an_existing_run_is_never_overwritten(tmp_path, pictures):
    run = [*pictures, *SMALL, *DEVICE, "--steps", "2", "--out", str(tmp_path / "run")]
    mnist.main(run)
    before = (tmp_path / "run" / "checkpoint.h5").read_bytes()
    with pytest.raises(InputError, match="holds a run already"):
        mnist.main(run)
    assert (tmp_path / "run" / "checkpoint.h5").read_bytes() == before


@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_a_directory_behind_a_link_that_leads_nowhere_is_refused_before_any_data_are_made(tmp_path, monkeypatch, dry):
    monkeypatch.setattr(mnist, "load", None)
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    with pytest.raises(InputError, match="link is a link to .*disk, which does not exist"):
        mnist.main([*DEVICE, *dry, "--out", str(tmp_path / "link" / "run")])


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_resume_takes_no_other_training_flag(tmp_path, pictures):
    mnist.main([*pictures, *SMALL, *DEVICE, "--steps", "2", "--out", str(tmp_path / "run")])
    with pytest.raises(
        InputError, match="only --steps, --device, --no-graph, --tf32, --track and --dry-run go with it"
    ):
        mnist.main(["--resume", str(tmp_path / "run"), "--batch", "8"])
    assert mnist.main(["--resume", str(tmp_path / "run"), *DEVICE]) == 0


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_a_run_of_another_command_or_version_is_not_resumed(tmp_path, pictures):
    mnist.main([*pictures, *SMALL, *DEVICE, "--steps", "2", "--out", str(tmp_path / "run")])
    path = tmp_path / "run" / "checkpoint.h5"
    arrays, meta = checkpoint.load(path)
    checkpoint.save(path, arrays, {**meta, "command": "python -m experiments.mnist --steps 2"})
    for other in (celeba, cifar10, images):
        with pytest.raises(InputError, match=r"python -m experiments\.mnist --resume"):
            other.main(["--resume", str(tmp_path / "run")])
    checkpoint.save(path, arrays, {**meta, "config": {**meta["config"], "unknown": 1}})
    with pytest.raises(InputError, match="not of this version .*unknown"):
        mnist.main(["--resume", str(tmp_path / "run")])
