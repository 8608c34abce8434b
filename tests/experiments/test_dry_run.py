"""How long a run is, and what a dry run says of it."""

import dataclasses
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from slow import slow_but_the_first
from tiny_commands import DEVICE, SMALL

from experiments import celeba, mnist
from experiments.parts import drawn as drawn_images
from experiments.parts.describe import say_configuration, say_images
from minigan import checkpoint
from minigan.config import Config
from minigan.data import Dataset


def test_dry_run_trains_nothing(tmp_path, pictures, capsys):
    out = tmp_path / "run"
    assert mnist.main([*pictures, *SMALL, *DEVICE, "--steps", "5", "--dry-run", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"about [\d.]+ s for", printed) and "\nd_similarity     l2\n" in printed
    assert not out.exists()


@pytest.mark.parametrize(("terminal", "columns"), [(True, 3), (False, 1)])
def test_a_dry_run_fills_a_wide_terminal(terminal, columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    say_configuration(Config())
    lines = capsys.readouterr().out.splitlines()
    fields = len(dataclasses.fields(Config))
    assert len(lines) == -(-fields // columns) and max(map(len, lines)) <= 120
    words = [word for line in lines for word in line.split()]
    assert {field.name for field in dataclasses.fields(Config)} <= set(words)
    assert ("d_similarity     l2" in lines) == (columns == 1)


@pytest.mark.parametrize(("steps", "warned"), [("1990", False), ("2000", True)])
def test_few_images_that_are_shown_often_are_warned_of(pictures, steps, warned, capsys):
    assert mnist.main([*pictures, *SMALL, *DEVICE, "--steps", steps, "--dry-run"]) == 0
    said = capsys.readouterr().err
    assert ("by heart" in said) == ("D sees each of the 40 images 200 times" in said) == warned
    assert ("--augment" in said) == warned


@pytest.mark.parametrize(("count", "warned"), [(999, True), (1000, False)])
def test_many_images_may_be_shown_often(count, warned, capsys):
    gan = SimpleNamespace(config=Config(steps=20_000, augment="translation"), device="cpu")
    say_images(gan, Dataset(np.zeros((count, 28, 28), "uint8"), None, "images", None))
    said = capsys.readouterr().err
    assert ("by heart" in said) == warned and "--augment" not in said


def test_a_dry_run_says_what_ranks_would_give(pictures, capsys, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(3)), raising=False)
    assert mnist.main([*pictures, *SMALL, *DEVICE, "--batch", "8", "--steps", "5", "--dry-run"]) == 0
    assert "steps/s with 2 ranks on otherwise idle cores" in capsys.readouterr().out  # 3 do not divide 8


def test_a_dry_run_says_once_that_it_compiles(pictures, capsys, monkeypatch):
    """It would be silent for half a minute, where nothing is on the disk yet."""
    numba = pytest.importorskip("numba")
    monkeypatch.setattr("minigan.pace.seconds_per_step", lambda gan: numba.njit(lambda x: x + 1)(1.0))
    assert mnist.main([*pictures, *SMALL, *DEVICE, "--steps", "5", "--dry-run"]) == 0
    assert capsys.readouterr().err.count("compiling the loops") == 1


@pytest.mark.parametrize(("command", "flag"), [(mnist, "digits"), (celeba, "faces")])
def test_a_dry_run_draws_a_few_images_and_counts_all(command, flag, monkeypatch, capsys):
    drawn, load = [], command.load
    monkeypatch.setattr(command, "load", lambda options, split: drawn.append(options[flag]) or load(options, split))
    monkeypatch.setattr(drawn_images, "FEW", 20)
    assert command.main([*SMALL, *DEVICE, f"--{flag}", "50", "--epochs", "2", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert drawn == [20] and "50 images" in printed and "(2.0 epochs)" in printed


@pytest.mark.parametrize("dry", slow_but_the_first([True, False]))
def test_minutes_are_as_many_steps_as_fit(tmp_path, pictures, dry, capsys, monkeypatch):
    monkeypatch.setattr("minigan.pace.seconds_per_step", lambda gan: 7.0)
    monkeypatch.setattr("minigan.pace.time", SimpleNamespace(perf_counter=lambda: 0.0))  # nothing takes any time
    out = tmp_path / "run"
    flags = ["--minutes", "0.5", *(["--dry-run"] if dry else []), "--out", str(out)]
    assert mnist.main([*pictures, *SMALL, *DEVICE, *flags]) == 0
    if dry:
        assert "about 21 s for 3 steps" in capsys.readouterr().out  # 0.9 × 30 s / 7 s
    else:
        assert checkpoint.load(out / "checkpoint.h5")[1]["steps_done"] == 3


def test_epochs_count_passes_over_the_data(tmp_path, pictures, capsys):
    mnist.main([*pictures, *SMALL, *DEVICE, "--epochs", "0.5", "--dry-run", "--out", str(tmp_path / "run")])
    assert re.search(r"for 5 steps \(0\.5 epochs\)", capsys.readouterr().out)
