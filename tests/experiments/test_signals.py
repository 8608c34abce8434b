"""Runs and commands that a signal stops."""

import os
import signal
import subprocess
import sys
import time

import pytest
from tiny_commands import SMALL

from experiments.cli import run_main
from experiments.parts.holding import stopped_by_signals


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_go_on(tmp_path, pictures, number):
    out = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "experiments.mnist", *pictures, *SMALL, "--steps", "100000", "--out", str(out)],
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
