"""`python -m experiments.mnist` as a user types it: every variant, bad input, resume, signals, --help."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, fields
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from slow import slow_but_the_first

from autograd.arrays import DeviceError
from experiments import celeba, cifar10, images, mnist
from experiments.cli import run_main
from experiments.parts import drawn as drawn_images
from experiments.parts.describe import say_images
from experiments.parts.holding import stopped_by_signals
from experiments.poster import __main__ as poster
from minigan import checkpoint
from minigan.config import Config, usual_patch
from minigan.data import Dataset, stroke_digits
from minigan.errors import InputError, NumericalError

SMALL = (
    "--g-width 16 --g-depth 1 --d-width 16 --d-depth 1 --cnn-width 4 --batch 4 --eval-samples 40 --log-every 2".split()
)
DEVICE = ["--device", "cpu"]


def command(*arguments, **kwargs):
    """A real process; warnings are errors there too."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "experiments.mnist", *arguments],
        **{"capture_output": True, "text": True, "timeout": 300, **kwargs},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of images, so that no test waits for 60,000 drawn digits."""
    directory = tmp_path_factory.mktemp("images")
    for i, image in enumerate(stroke_digits(40, seed=3)[0]):
        Image.fromarray(image).save(directory / f"{i}.png")
    return ["--data", str(directory)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, folder):
    out = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minigan.train.Run.summarise", lambda self: None)
        assert mnist.main([*folder, *SMALL, *DEVICE, "--features", "none", "--steps", "2", "--out", str(out)]) == 0
    (out / "samples.h5").unlink()
    return out


@pytest.fixture
def no_report(monkeypatch):
    """A run ends without pictures and a report, which take longer than its two steps."""
    monkeypatch.setattr("minigan.train.Run.summarise", lambda self: None)


@pytest.mark.parametrize("variant", slow_but_the_first(["vitgan", "vanilla", "relu", "cnn"]))
def test_every_variant_runs_and_reports(tmp_path, folder, variant, capsys):
    out = tmp_path / "run"
    assert mnist.main([*folder, *SMALL, *DEVICE, "--variant", variant, "--steps", "2", "--out", str(out)]) == 0
    assert (out / "report.html").stat().st_size > 5000
    printed = capsys.readouterr().out
    assert re.search(r"G [\d,]+ and D [\d,]+ parameters", printed)


@pytest.mark.slow
def test_a_real_process_runs_on_drawn_digits(tmp_path):
    done = command(*SMALL, "--steps", "2", "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert "digit-FID" in done.stdout
    assert "not MNIST" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_runs_get_directories_of_their_own(tmp_path, folder, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert mnist.main([*folder, *SMALL, *DEVICE, "--steps", "1"]) == 0
    names = ["index.html", "mnist-vitgan-small", "mnist-vitgan-small-2"]  # the page over all runs beside them
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == names


def test_help_is_quick_and_worth_reading():
    def processor_seconds():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    start = processor_seconds()
    done = command("--help")
    assert processor_seconds() - start < 1  # of a second; the wall clock of a busy machine says little
    assert done.returncode == 0
    for word in ("--variant", "--d-similarity", "--resume", "examples:", "not MNIST"):
        assert word in done.stdout


def test_dry_run_trains_nothing(tmp_path, folder, capsys):
    out = tmp_path / "run"
    assert mnist.main([*folder, *SMALL, *DEVICE, "--steps", "5", "--dry-run", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"about [\d.]+ s for", printed) and re.search(r"^d_similarity +l2$", printed, re.M)
    assert not out.exists()


def test_a_dry_run_fills_a_wide_terminal(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    assert mnist.main([*folder, *SMALL, *DEVICE, "--steps", "5", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(len(line.split()) == 6 for line in lines) and max(map(len, lines)) <= 120
    names = {word for line in lines for word in line.split()}
    assert {field.name for field in fields(Config)} <= names


@pytest.mark.parametrize(("steps", "warned"), [("1990", False), ("2000", True)])
def test_few_images_that_are_shown_often_are_warned_of(folder, steps, warned, capsys):
    assert mnist.main([*folder, *SMALL, *DEVICE, "--steps", steps, "--dry-run"]) == 0
    said = capsys.readouterr().err
    assert ("by heart" in said) == ("D sees each of the 40 images 200 times" in said) == warned
    assert ("--augment" in said) == warned


@pytest.mark.parametrize(("count", "warned"), [(999, True), (1000, False)])
def test_many_images_may_be_shown_often(count, warned, capsys):
    gan = SimpleNamespace(config=Config(steps=20_000, augment="translation"), device="cpu")
    say_images(gan, Dataset(np.zeros((count, 28, 28), "uint8"), None, "images", None))
    said = capsys.readouterr().err
    assert ("by heart" in said) == warned and "--augment" not in said


def test_a_dry_run_says_what_ranks_would_give(folder, capsys, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(3)), raising=False)
    assert mnist.main([*folder, *SMALL, *DEVICE, "--batch", "8", "--steps", "5", "--dry-run"]) == 0
    assert "steps/s with 2 ranks on otherwise idle cores" in capsys.readouterr().out  # 3 do not divide 8


def test_a_dry_run_says_once_that_it_compiles(folder, capsys, monkeypatch):
    """It would be silent for half a minute, where nothing is on the disk yet."""
    numba = pytest.importorskip("numba")
    monkeypatch.setattr("minigan.pace.seconds_per_step", lambda gan: numba.njit(lambda x: x + 1)(1.0))
    assert mnist.main([*folder, *SMALL, *DEVICE, "--steps", "5", "--dry-run"]) == 0
    assert capsys.readouterr().err.count("compiling the loops") == 1


@pytest.mark.parametrize(("command", "flag"), [(mnist, "digits"), (celeba, "faces")])
def test_a_dry_run_draws_a_few_images_and_counts_all(command, flag, monkeypatch, capsys):
    drawn, load = [], command.load
    monkeypatch.setattr(command, "load", lambda options, split: drawn.append(options[flag]) or load(options, split))
    monkeypatch.setattr(drawn_images, "FEW", 20)
    assert command.main([*SMALL, *DEVICE, f"--{flag}", "50", "--epochs", "2", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert drawn == [20] and "50 images" in printed and "(2.0 epochs)" in printed


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


def test_a_finished_run_says_so_before_its_data_are_loaded(tmp_path, folder, monkeypatch, capsys):
    out = tmp_path / "run"
    assert mnist.main([*folder, *SMALL, *DEVICE, "--steps", "1", "--out", str(out)]) == 0
    load, loads = checkpoint.load, []
    monkeypatch.setattr(checkpoint, "load", lambda path: loads.append(path) or load(path))
    monkeypatch.setattr(mnist, "load", None)
    assert mnist.main(["--resume", str(out), *DEVICE]) == 0
    assert f"the run in {out} is finished: 1 steps" in capsys.readouterr().out
    arrays, meta = load(out / "checkpoint.h5")
    checkpoint.save(out / "checkpoint.h5", arrays, {**meta, "config": {**meta["config"], "steps": 2}})  # not finished
    with pytest.raises(InputError, match="its data cannot be loaded again"):
        mnist.main(["--resume", str(out), *DEVICE])
    assert loads == [out / "checkpoint.h5"] * 2


@pytest.mark.parametrize("dry", slow_but_the_first([True, False]))
def test_minutes_are_as_many_steps_as_fit(tmp_path, folder, dry, capsys, monkeypatch):
    monkeypatch.setattr("minigan.pace.seconds_per_step", lambda gan: 7.0)
    monkeypatch.setattr("minigan.pace.time", SimpleNamespace(perf_counter=lambda: 0.0))  # nothing takes any time
    out = tmp_path / "run"
    flags = ["--minutes", "0.5", *(["--dry-run"] if dry else []), "--out", str(out)]
    assert mnist.main([*folder, *SMALL, *DEVICE, *flags]) == 0
    if dry:
        assert "about 21 s for 3 steps" in capsys.readouterr().out  # 0.9 × 30 s / 7 s
    else:
        assert checkpoint.load(out / "checkpoint.h5")[1]["steps_done"] == 3


def test_epochs_count_passes_over_the_data(tmp_path, folder, capsys):
    mnist.main([*folder, *SMALL, *DEVICE, "--epochs", "0.5", "--dry-run", "--out", str(tmp_path / "run")])
    assert re.search(r"for 5 steps \(0\.5 epochs\)", capsys.readouterr().out)


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
def test_bad_flags_are_one_sentence(folder, flags, sentence, tmp_path):
    out = ["--out", str(tmp_path / "run")]
    data = [] if {"--data", "--download", "--resume", "--subset"} & {*flags} else folder
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


@pytest.mark.parametrize("size, patch", [(28, 7), (32, 8), (64, 16), (30, 6), (27, 9), (4, 1), (6, 2), (29, None)])
def test_the_usual_patch_divides_the_image(size, patch):
    """The divisor nearest to a quarter of the size, by their ratio."""
    assert usual_patch(size) == patch


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


def test_no_gpu_is_one_sentence(folder):
    try:
        import cupy

        if cupy.cuda.is_available():
            pytest.skip("there is a GPU")
    except ImportError:
        pass
    with pytest.raises(DeviceError, match="device cuda"):
        mnist.main([*folder, "--device", "cuda"])


@pytest.mark.usefixtures("no_report")
def test_an_existing_run_is_never_overwritten(tmp_path, folder):
    run = [*folder, *SMALL, *DEVICE, "--steps", "2", "--out", str(tmp_path / "run")]
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
def test_resume_takes_no_other_training_flag(tmp_path, folder):
    mnist.main([*folder, *SMALL, *DEVICE, "--steps", "2", "--out", str(tmp_path / "run")])
    with pytest.raises(
        InputError, match="only --steps, --device, --no-graph, --tf32, --track and --dry-run go with it"
    ):
        mnist.main(["--resume", str(tmp_path / "run"), "--batch", "8"])
    assert mnist.main(["--resume", str(tmp_path / "run"), *DEVICE]) == 0


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_a_run_of_another_command_or_version_is_not_resumed(tmp_path, folder):
    mnist.main([*folder, *SMALL, *DEVICE, "--steps", "2", "--out", str(tmp_path / "run")])
    path = tmp_path / "run" / "checkpoint.h5"
    arrays, meta = checkpoint.load(path)
    checkpoint.save(path, arrays, {**meta, "command": "python -m experiments.mnist --steps 2"})
    for other in (celeba, cifar10, images):
        with pytest.raises(InputError, match=r"python -m experiments\.mnist --resume"):
            other.main(["--resume", str(tmp_path / "run")])
    checkpoint.save(path, arrays, {**meta, "config": {**meta["config"], "unknown": 1}})
    with pytest.raises(InputError, match="not of this version .*unknown"):
        mnist.main(["--resume", str(tmp_path / "run")])


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_a_run_resumes_from_another_directory(tmp_path, folder, monkeypatch, capsys):
    monkeypatch.chdir(Path(folder[1]).parent)
    run = ["--data", Path(folder[1]).name, *SMALL, *DEVICE, "--steps", "2", "--out", str(tmp_path / "run")]
    assert mnist.main(run) == 0
    (tmp_path / "run" / "samples.h5").unlink()  # as if it had been killed
    monkeypatch.chdir(tmp_path)
    assert mnist.main(["--resume", "run", *DEVICE]) == 0
    assert "going on at step 2\n" in capsys.readouterr().out
    assert (tmp_path / "run" / "samples.h5").exists()


def test_numbers_that_came_out_wrong_are_status_3(capsys):
    def fails(arguments):
        raise NumericalError("features are not finite")

    with pytest.raises(SystemExit) as stop:
        run_main(fails)
    assert stop.value.code == 3 and capsys.readouterr().err == "error: features are not finite\n"


@pytest.mark.parametrize(
    "module, flags, sentence",
    [
        (mnist, ["--digits", "5", "--data", "."], "--digits says how many digits to draw"),
        (poster, ["--jobs", "0"], "--jobs must be at least 1, not 0"),
    ],
)
def test_a_console_script_is_the_command(module, flags, sentence, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["a script", *flags])
    with pytest.raises(SystemExit) as stop:
        module.run()
    assert stop.value.code == 2 and capsys.readouterr().err.startswith(f"error: {sentence}")


def test_outside_the_environment_it_is_said_how_to_enter_it():
    """-S leaves out what pip has installed, so NumPy is not found; -E leaves out PYTHONPATH."""
    program = [sys.executable, "-ES", "-m", "experiments.learn"]
    done = subprocess.run(program, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "has no NumPy: activate the environment first, source .venv/bin/activate" in done.stderr


def test_an_environment_that_lacks_one_package_is_told_by_its_name(tmp_path):
    """Another environment with NumPy alone, as a system's Python often is."""
    (tmp_path / "numpy").mkdir()
    (tmp_path / "numpy" / "__init__.py").touch()
    program = [sys.executable, "-S", "-m", "experiments.mnist"]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(program, cwd=root, capture_output=True, text=True, env=environment)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "has no Pillow: activate the environment first" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_go_on(tmp_path, folder, number):
    out = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "experiments.mnist", *folder, *SMALL, "--steps", "100000", "--out", str(out)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    deadline = time.time() + 120
    while not (out / "log.jsonl").exists() and time.time() < deadline and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(number)
    stderr = process.communicate(timeout=120)[1]
    assert process.returncode == 128 + number, stderr
    assert "go on with --resume" in stderr and "Traceback" not in stderr
    assert (out / "checkpoint.h5").exists() and (out / "report.html").exists()


def test_an_interrupt_before_training_is_no_traceback(capsys):
    def interrupted(arguments):
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stop:
        run_main(interrupted)
    assert stop.value.code == 130 and capsys.readouterr().err == "interrupted\n"


def test_a_system_without_hang_ups(monkeypatch):
    """As Windows."""
    monkeypatch.delattr(signal, "SIGHUP")
    with stopped_by_signals():
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_a_signal_stopped_ends_with_its_number(capsys, heard, number):
    def stopped(arguments):
        with stopped_by_signals():
            os.kill(os.getpid(), number)

    with pytest.raises(SystemExit) as stop:
        run_main(stopped)
    assert stop.value.code == 128 + number and capsys.readouterr().err == "interrupted\n"


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_images_of_other_sizes_and_colours_train(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(8):
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(tmp_path / f"{i}.jpg")
    run = ["--data", str(tmp_path), "--size", "32", "--g-patch", "8", "--d-patch", "8", "--steps", "2"]
    assert mnist.main([*run, *SMALL, *DEVICE, "--augment", "color,flip", "--out", str(tmp_path / "run")]) == 0
    assert (tmp_path / "run" / "samples.h5").exists()
