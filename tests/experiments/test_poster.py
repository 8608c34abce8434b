"""`python -m experiments.poster`: the command that trains, stops, goes on and shows."""

import json
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from poster_runs import RUNS

from experiments.parts.jobs import last_step
from experiments.poster import __main__ as command
from experiments.poster.plan import SCALES, Scale
from minigan.errors import InputError

TINY = "--g-width 16 --g-depth 1 --d-width 16 --d-depth 1 --cnn-width 4 --batch 4 --eval-samples 50 --log-every 1"


WAITING = """
import sys, time
from experiments import cli, mnist
from minigan.train import Run

append = Run.append

def append_and_wait(self, record):
    append(self, record)
    for _ in range(6000):  # two minutes, lest a failing test leaves a process behind
        if self.gan.steps_done < 3 or self.asked is not None:
            break
        time.sleep(0.02)

Run.append = append_and_wait
sys.modules["__main__"].__spec__ = mnist.__spec__  # a run notes its command: python -m experiments.mnist
cli.run_main(mnist.main)
"""


@pytest.mark.slow
def test_the_page_alone_from_what_is_there(everything, capsys):
    assert command.main(["--page-only", "--out", str(everything)]) == 0
    assert (everything / "poster.html").exists()
    for name in ("poster.png", "ablation.png"):
        with Image.open(everything / name) as image:
            assert image.format == "PNG" and image.width >= 1000 and len(np.unique(image.convert("L"))) > 10
    assert "poster.html" in capsys.readouterr().out
    assert command.main(["--page-only", "--no-ablation", "--out", str(everything)]) == 0
    assert "5 of 5 runs finished" in (everything / "poster.html").read_text()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--jobs", "0"], "--jobs must be at least 1"),
        (["--data", "nowhere"], "--data nowhere does not exist"),
        (["--faces", "nowhere"], "--faces nowhere does not exist"),
        (["--data", "nowhere/mnist"], "--data nowhere/mnist --download mnist fetches it"),
        (["--only", "nothing"], "no run is called that"),
        (["--page-only"], "nothing to show yet"),
    ],
)
def test_bad_flags_are_one_sentence(flags, sentence, tmp_path):
    with pytest.raises(InputError) as error:
        command.main([*flags, "--out", str(tmp_path / "poster")])
    assert sentence in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "poster").exists()


@pytest.mark.slow
def test_dry_run_lists_the_runs_and_their_time(tmp_path, monkeypatch, capsys):
    scale = Scale(f"--steps 4 --eval-every 2 {TINY}", f"--steps 4 --size 32 {TINY}", f"--steps 4 {TINY}")
    monkeypatch.setitem(SCALES, "quick", scale)
    assert command.main(["--dry-run", "--device", "cpu", "--jobs", "2", "--out", str(tmp_path / "poster")]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == RUNS + 1 and printed[0].startswith("figures/faces") and "--variant cnn" in printed[1]
    assert re.fullmatch(rf"{RUNS} runs, 2 at once: about \d.*", printed[-1])
    assert not (tmp_path / "poster").exists()


@pytest.mark.slow
def test_real_runs_interrupted_resumed_and_shown(tmp_path, pytestconfig):
    """The first call's run waits in its third step for the signal, so it cannot end before it is interrupted."""
    out = tmp_path / "poster"
    scale = Scale(f"--steps 6 --sample-every 6 --features none --digits 50 {TINY}", "--steps 1", "--steps 1")
    setup = (  # a shell that runs the tests in the background has SIGINT ignored, and processes inherit that
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from experiments.parts import runner; runner.POLL = 0.05; "
        "from experiments.poster import __main__, plan; "
        f"plan.SCALES['quick'] = {scale!r}; ".replace("Scale(", "plan.Scale(")
    )
    waiting = f"runner.Runner.program = lambda self, job: [sys.executable, '-c', {WAITING!r}]; "
    main = "__main__.run()"
    python = [sys.executable, "-W", "error", "-c"]
    arguments = ["--only", "vitgan", "--no-ablation", "--device", "cpu", "--jobs", "2", "--out", str(out)]
    process = subprocess.Popen(
        [*python, setup + waiting + main, *arguments],
        cwd=pytestconfig.rootpath,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.time() + 120
    while last_step(out / "figures" / "vitgan") < 3 and time.time() < deadline and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    printed = process.communicate(timeout=120)
    assert process.returncode == 130 and "stopped and saved" in printed[1] and "Traceback" not in printed[1], printed
    assert (out / "figures" / "vitgan" / "checkpoint.h5").exists() and not (out / "poster.html").exists()
    assert last_step(out / "figures" / "vitgan") == 3

    call = [*python, setup + main, *arguments]
    done = subprocess.run(call, cwd=pytestconfig.rootpath, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    log = (out / "figures" / "vitgan" / "log.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in log if '"train"' in line]
    assert steps == [1, 2, 3, 4, 5, 6]  # gone on with, nothing done twice
    html = (out / "poster.html").read_text()
    assert "1 of 5 runs finished" in html and "Loss of the generator" in html
