"""A run that is killed, stopped or held by another process loses nothing; what a killed process left is swept."""

import errno
import importlib
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from slow import slow_but_the_first
from tiny_runs import resume, start

from experiments import generate, mnist
from minigan import checkpoint, lock
from minigan.data import download, stroke_digits
from minigan.data.cache import Recipe, cached
from minigan.errors import InputError
from minigan.lock import NO_LOCKS, hold_lock
from minigan.train import stop_signals

fcntl = pytest.importorskip("fcntl")
download_module = importlib.import_module("minigan.data.download")  # its name is that of the function beside it
SMALL = (
    "--g-width 8 --g-heads 2 --g-depth 1 --d-width 8 --d-heads 2 --d-depth 1 --latent 8 --g-head-width 8 --batch 4 "
    "--eval-samples 20 --features none --device cpu --no-loops"
).split()


class Killed(BaseException):
    """As good as SIGKILL: nothing after it runs."""


def kill_after(run, k):
    step = run.gan.step

    def killing_step():
        step()
        if run.gan.steps_done == k:
            raise Killed

    run.gan.step = killing_step


@pytest.fixture
def digits(tmp_path, monkeypatch):
    """A folder of images; runs end without pictures and a report, which take longer than their steps."""
    monkeypatch.setattr("minigan.train.Run.summarise", lambda self: None)
    (tmp_path / "digits").mkdir()
    for i, image in enumerate(stroke_digits(20, seed=3)[0]):
        Image.fromarray(image).save(tmp_path / "digits" / f"{i}.png")
    return ["--data", str(tmp_path / "digits"), *SMALL]


# ---- kills


@pytest.mark.parametrize("k", slow_but_the_first([1, 5]))
def test_a_run_killed_before_its_first_save_goes_on(tmp_path, k):
    whole, run = start(tmp_path / "whole", save_every=500), start(tmp_path / "run", save_every=500)
    whole.train()
    kill_after(run, k)
    with pytest.raises(Killed):
        run.train()
    resume(tmp_path / "run").train()
    for group, tensors in checkpoint.load(tmp_path / "whole" / "checkpoint.h5")[0].items():
        again = checkpoint.load(tmp_path / "run" / "checkpoint.h5")[0][group]
        for name, array in tensors.items():
            np.testing.assert_array_equal(again[name], array)


@pytest.mark.slow
def test_without_a_checkpoint_a_run_starts_again_or_goes_on_from_its_best(tmp_path, digits, capsys):
    out = tmp_path / "run"
    assert mnist.main([*digits, "--steps", "3", "--out", str(out)]) == 0
    whole, meta = checkpoint.load(out / "checkpoint.h5")
    for name in ("samples.h5", "checkpoint.h5"):
        (out / name).unlink()
    assert mnist.main(["--resume", str(out), "--device", "cpu"]) == 0
    assert "starting again from its config.json" in capsys.readouterr().err
    again, second = checkpoint.load(out / "checkpoint.h5")
    for name, array in whole["ema"].items():
        np.testing.assert_array_equal(again["ema"][name], array)
    assert second["steps_done"] == 3 and second["config"] == meta["config"]
    checkpoint.save(out / "best.h5", whole, {**meta, "steps_done": 2})
    for name in ("samples.h5", "checkpoint.h5"):
        (out / name).unlink()
    assert mnist.main(["--resume", str(out), "--device", "cpu"]) == 0
    said = capsys.readouterr()
    assert "going on from best.h5" in said.err and "going on at step 2" in said.out


@pytest.mark.slow
def test_litter_of_killed_processes_is_swept_by_the_next_call(tmp_path):
    run = start(tmp_path / "run")
    (run.directory / "samples").mkdir(parents=True)
    litter = [".curves.png.123", "checkpoint.h5.tmp", ".checkpoint.h5.77.tmp", "samples/.step-000000.png.5"]
    for name in litter:
        (run.directory / name).write_text("half")
    run.train()
    assert not [name for name in litter if (run.directory / name).exists()]


@pytest.mark.slow
def test_a_killed_generate_runs_again_in_the_same_place(tmp_path, digits):
    mnist.main([*digits, "--steps", "1", "--out", str(tmp_path / "run")])
    for place in (tmp_path / "run" / "generated", tmp_path / "other"):
        for litter in (".writing.123", ".writing"):
            (place / litter / "images").mkdir(parents=True)
        (place / ".lock").write_text("")
    assert generate.main([str(tmp_path / "run"), "--num", "4", "--grid"]) == 0
    assert generate.main([str(tmp_path / "run"), "--num", "4", "--grid", "--out", str(tmp_path / "other")]) == 0
    assert os.listdir(tmp_path / "run" / "generated") == os.listdir(tmp_path / "other") == ["grid.png"]


def test_a_refused_build_leaves_no_cache(tmp_path):
    (tmp_path / "pictures").mkdir()
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "pictures" / "a.png")
    (tmp_path / "pictures" / "b.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="b.png"):
        cached(tmp_path / "pictures", Recipe(8), tmp_path / "cache")
    assert os.listdir(tmp_path / "cache") == []


# ---- locks


@pytest.mark.parametrize("code", slow_but_the_first(sorted(NO_LOCKS)))
def test_a_file_system_without_locks_names_the_process(tmp_path, code, monkeypatch, capsys):
    def no_flock(*arguments):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", no_flock)
    owner = tmp_path / ".lock.owner"
    with hold_lock(tmp_path / ".lock", "taken"):
        assert owner.read_text().endswith(f" {os.getpid()}")
        with pytest.raises(InputError, match=r"taken \(if that is wrong, delete .*\.lock\.owner\)"):
            with hold_lock(tmp_path / ".lock", "taken"):
                pass
    assert not owner.exists() and "no locks on this file system" in capsys.readouterr().err
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    owner.write_text(f"{os.uname().nodename} {ended.pid}")
    with hold_lock(tmp_path / ".lock", "taken"):
        assert owner.read_text().endswith(f" {os.getpid()}")
    owner.write_text("another-machine 1")
    with pytest.raises(InputError, match="taken"), hold_lock(tmp_path / ".lock", "taken"):
        pass
    owner.unlink()
    start(tmp_path / "run", steps=1).train()
    assert not (tmp_path / "run" / ".lock.owner").exists()


def test_two_processes_that_find_a_dead_owner_do_not_both_take_its_place(tmp_path, monkeypatch):
    """The slower one has seen the dead owner, and removes the file when the quicker one has put its own there."""
    monkeypatch.setattr(fcntl, "flock", lambda *a: (_ for _ in ()).throw(OSError(errno.ENOLCK, "none")))
    owner = tmp_path / ".lock.owner"
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    owner.write_text(f"{os.uname().nodename} {ended.pid}")
    has_ended = lock._has_ended

    def slow(path):
        found = has_ended(path)
        if found:
            owner.write_text("another-machine 1")  # the quicker process
        return found

    monkeypatch.setattr(lock, "_has_ended", slow)
    with pytest.raises(InputError, match="taken"), hold_lock(tmp_path / ".lock", "taken"):
        pass
    assert owner.read_text() == "another-machine 1" and not (tmp_path / ".lock.owner.claim").exists()


def test_an_error_names_the_checkpoint_that_was_read(tmp_path):
    run = start(tmp_path / "run", steps=1)
    run.save("best.h5")
    arrays, meta = checkpoint.load(tmp_path / "run" / "best.h5")
    with pytest.raises(InputError, match="best.h5 does not fit this run"):
        run.load(arrays, {**meta, "seconds": "long"})
    run.save()
    with pytest.raises(InputError, match="checkpoint.h5 does not fit this run"):
        run.load(arrays, {**meta, "seconds": "long"})


def test_another_error_of_a_lock_is_not_hidden(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", lambda *a: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
    with pytest.raises(OSError, match="broken"), hold_lock(tmp_path / ".lock", "taken"):
        pass


def test_resume_locks_before_it_reads(tmp_path, digits, monkeypatch):
    mnist.main([*digits, "--steps", "1", "--out", str(tmp_path / "run")])

    def too_early(path):
        raise AssertionError("the checkpoint was read without the lock")

    monkeypatch.setattr(checkpoint, "load", too_early)
    with hold_lock(tmp_path / "run" / ".lock", "ours"), pytest.raises(InputError, match="another process is training"):
        mnist.main(["--resume", str(tmp_path / "run"), "--device", "cpu"])


# ---- signals


@pytest.mark.parametrize("number", slow_but_the_first([signal.SIGHUP, signal.SIGINT, signal.SIGTERM]))
def test_a_signal_saves_and_a_second_one_leaves_out_the_pictures(tmp_path, number):
    run, made = start(tmp_path / "run", save_every=500), []
    run.summarise = lambda: made.append("report")
    step = run.gan.step
    run.gan.step = lambda: (step(), run.gan.steps_done == 2 and os.kill(os.getpid(), number))
    run.train()
    assert run.stop_signal == number and made == ["report"]
    assert checkpoint.load(tmp_path / "run" / "checkpoint.h5")[1]["steps_done"] == 2

    run = resume(tmp_path / "run", report=True)
    run.save_samples = lambda: os.kill(os.getpid(), number)  # while the pictures are made
    run.summarise = lambda: made.append("another report")
    run.gan.step = lambda: (step(), run._stop(number, None))
    run.gan.steps_done = 3
    run.train()
    assert run.stop_signal == number and made == ["report"]


def test_nohup_is_respected():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signal.SIGHUP not in stop_signals()
    finally:
        signal.signal(signal.SIGHUP, before)
    assert signal.SIGHUP in stop_signals()


# ---- by-products


@pytest.mark.slow
def test_damaged_by_products_do_not_stop_a_run(tmp_path, capsys):
    run = start(tmp_path / "run", report=True)
    kill_after(run, 11)
    with pytest.raises(Killed):
        run.train()
    (run.directory / "samples" / "step-000006.png").write_bytes(b"")
    (run.directory / "samples" / "step-000007.png").mkdir()
    with open(run.directory / "log.jsonl", "a") as log:
        log.write('[1]\n{"kind": 3, "step": []}\n{"kind": "eval", "step": 11, "features": {}, "fid": true}\n')
    resume(run.directory, report=True).train()
    assert (run.directory / "samples.h5").exists() and (run.directory / "report.html").exists()
    assert "3 damaged lines of log.jsonl" in capsys.readouterr().err
    assert json.loads((run.directory / "config.json").read_text())["variant"] == "vitgan"


# ---- downloads


def test_two_downloads_into_one_folder_wait_for_each_other(tmp_path, monkeypatch, capsys):
    """The second finds the lock of the first, and then nothing left to fetch."""
    fetched = []

    def fetch(target, size, md5, mirrors):
        assert (tmp_path / ".download.lock").exists()
        with open(tmp_path / ".download.lock") as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fetched.append(target.name)

    monkeypatch.setattr(download_module, "_fetch", fetch)
    download("cifar-10", tmp_path)
    assert fetched == ["cifar-10-python.tar.gz"] and os.listdir(tmp_path) == []


def test_a_signal_after_the_ranks_have_agreed_waits_for_the_next_step(tmp_path):
    """Rank 0 saves pictures while the others are in their next step: a signal then must not end the loop of one."""
    run = start(tmp_path / "run", steps=4)
    told, save = [], run.save_samples
    run.save_samples = lambda: (
        save(),
        run._stop(signal.SIGTERM, None),
        told.append((run.gan.steps_done, run.stop_signal)),
    )
    run.gan.config.sample_every = 1
    run.train()
    assert told[:2] == [(0, None), (1, None)] and run.gan.steps_done == 1
