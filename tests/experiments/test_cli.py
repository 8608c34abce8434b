"""The training commands from the command line: every variant, every kind of start."""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from slow import slow_but_the_first
from tiny_commands import DEVICE, SMALL, command

from experiments import mnist
from experiments.cli import run_main
from experiments.poster import __main__ as poster
from minigan import checkpoint
from minigan.errors import InputError, NumericalError
from minigan.presets import usual_patch


@pytest.mark.parametrize("variant", slow_but_the_first(["vitgan", "vanilla", "relu", "cnn"]))
def test_every_variant_runs_and_reports(tmp_path, pictures, variant, capsys):
    out = tmp_path / "run"
    assert mnist.main([*pictures, *SMALL, *DEVICE, "--variant", variant, "--steps", "2", "--out", str(out)]) == 0
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
def test_runs_get_directories_of_their_own(tmp_path, pictures, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert mnist.main([*pictures, *SMALL, *DEVICE, "--steps", "1"]) == 0
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


def test_a_finished_run_says_so_before_its_data_are_loaded(tmp_path, pictures, monkeypatch, capsys):
    out = tmp_path / "run"
    assert mnist.main([*pictures, *SMALL, *DEVICE, "--steps", "1", "--out", str(out)]) == 0
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


@pytest.mark.parametrize("size, patch", [(28, 7), (32, 8), (64, 16), (30, 6), (27, 9), (4, 1), (6, 2), (29, None)])
def test_the_usual_patch_divides_the_image(size, patch):
    """The divisor nearest to a quarter of the size, by their ratio."""
    assert usual_patch(size) == patch


@pytest.mark.slow
@pytest.mark.usefixtures("no_report")
def test_a_run_resumes_from_another_directory(tmp_path, pictures, monkeypatch, capsys):
    monkeypatch.chdir(Path(pictures[1]).parent)
    run = ["--data", Path(pictures[1]).name, *SMALL, *DEVICE, "--steps", "2", "--out", str(tmp_path / "run")]
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
@pytest.mark.usefixtures("no_report")
def test_images_of_other_sizes_and_colours_train(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(8):
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(tmp_path / f"{i}.jpg")
    run = ["--data", str(tmp_path), "--size", "32", "--g-patch", "8", "--d-patch", "8", "--steps", "2"]
    assert mnist.main([*run, *SMALL, *DEVICE, "--augment", "color,flip", "--out", str(tmp_path / "run")]) == 0
    assert (tmp_path / "run" / "samples.h5").exists()


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize("images, told", [(5, True), (6, False)])
def test_too_few_images_to_evaluate_with_are_said(tmp_path, capsys, images, told):
    for i in range(images):
        Image.fromarray(np.full((28, 28), 40 * i, np.uint8)).save(tmp_path / f"{i}.png")
    assert mnist.main(["--data", str(tmp_path), "--steps", "1", *SMALL, *DEVICE, "--out", str(tmp_path / "run")]) == 0
    assert ("not evaluated: that takes at least 6 real images" in capsys.readouterr().out) == told
