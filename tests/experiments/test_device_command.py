"""Training on device cuda as a user types it, on a stand-in for CUDA: graphs, --no-graph, --tf32, a failing capture."""

import re
import sys
from types import SimpleNamespace

import pytest
from fake_cuda import Recording, fake_cuda
from PIL import Image
from slow import slow_but_the_first
from strict_device import strict

from autograd import accelerate
from autograd.arrays import DEVICES
from autograd.modes import state
from experiments import mnist
from experiments.cli import run_main
from minigan import pace
from minigan.data import stroke_digits
from minigan.pace import TIMED, WARM_UP
from minigan.step import GAN


@pytest.fixture
def cuda_flags(tmp_path, monkeypatch) -> list[str]:
    """Of a short run on digits, on device "cuda"."""
    monkeypatch.setitem(DEVICES, "cuda", strict)
    monkeypatch.setattr(accelerate, "GPU", {})  # no kernel runs on the stand-in
    monkeypatch.setattr(sys, "argv", ["mnist"])
    monkeypatch.setattr("minigan.train.Run.summarise", lambda self: None)  # pictures and a report take long
    for i, image in enumerate(stroke_digits(32)[0]):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    short = (
        "--steps 3 --batch 4 --g-depth 1 --d-depth 1 --eval-every 0 --eval-samples 8 --features none --penalty-every 2"
    )
    return [*short.split(), "--device", "cuda", "--data", str(tmp_path), "--out", str(tmp_path / "run")]


@pytest.mark.parametrize("flags", slow_but_the_first([[], ["--no-graph"], ["--tf32"]]))
def test_a_run_on_a_gpu_is_of_graphs_unless_it_is_asked_not_to(flags, cuda_flags, tmp_path, monkeypatch):
    rounded = []
    update = GAN.update
    monkeypatch.setattr(GAN, "update", lambda gan: rounded.append(state.tf32) or update(gan))
    with fake_cuda() as cuda:
        assert mnist.main([*cuda_flags, *flags]) == 0
        assert cuda.launches == (0 if flags == ["--no-graph"] else 3)
    assert (tmp_path / "run" / "samples.h5").exists()
    assert set(rounded) == {flags == ["--tf32"]}


@pytest.mark.slow
def test_a_dry_run_times_captured_steps(cuda_flags, capsys, monkeypatch):
    """The steps of the training are replays: eager ones take many times as long."""
    with fake_cuda() as cuda:
        launches = []
        monkeypatch.setattr("minigan.pace.time.perf_counter", lambda: launches.append(cuda.launches) or len(launches))
        assert mnist.main([*cuda_flags, "--dry-run"]) == 0
        start, end = launches
    assert start == WARM_UP and end - start == TIMED and "steps/s" in capsys.readouterr().out


@pytest.mark.parametrize("flags", [["--dry-run"], pytest.param(["--minutes", "1"], marks=pytest.mark.slow)])
def test_the_clock_is_read_when_the_device_has_done_the_steps(flags, cuda_flags, monkeypatch):
    """A launch only hands a graph to the device: without waiting, the time of handing over would be the pace."""
    done: list[str] = []
    waits = strict.waits
    monkeypatch.setattr(strict, "waits", lambda what: done.append(what) or waits(what))
    monkeypatch.setattr(pace, "time", SimpleNamespace(perf_counter=lambda: float(done.append("clock") or len(done))))
    monkeypatch.setattr(Recording, "launch", lambda graph, stream: done.append("launch"))
    monkeypatch.setattr("minigan.train.Run.train", lambda run: {})
    if flags != ["--dry-run"]:
        cuda_flags = cuda_flags[2:]  # without --steps
    with fake_cuda():
        assert mnist.main([*cuda_flags, *flags]) == 0
    text = " ".join("wait" if event == "asnumpy" else event for event in done if event != "asarray of host data")
    timed = re.search(r"wait clock ((launch )+)(wait )+clock", text)
    assert timed and timed[1].split() == ["launch"] * TIMED, text


@pytest.mark.slow
def test_a_capture_that_fails_is_one_sentence_and_nothing_is_written(cuda_flags, tmp_path, capsys, monkeypatch):
    real_batch = GAN.real_batch

    def waits(gan):
        float(gan.stats[0, 0])
        return real_batch(gan)

    monkeypatch.setattr(GAN, "real_batch", waits)
    with fake_cuda(), pytest.raises(SystemExit) as stop:
        run_main(lambda argv: mnist.main(cuda_flags))
    out, err = capsys.readouterr()
    assert stop.value.code == 2 and out == "" and err.count("\n") == 1
    assert err.startswith("error: the step cannot be captured as a CUDA graph: float() inside a step")
    assert err.endswith("; use --no-graph\n")
    assert not (tmp_path / "run").exists()
    with fake_cuda():
        assert mnist.main([*cuda_flags, "--no-graph"]) == 0
