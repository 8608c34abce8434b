"""`--track tensorboard`: what reaches the writer, that nothing is imported without it, and that it may be missing."""

import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
from tiny_runs import resume, start

from experiments import mnist
from minigan.errors import InputError
from minigan.log import read_log
from minigan.track import TensorBoard


class Writer:
    """Stands in for tensorboardX.SummaryWriter."""

    made: list = []

    def __init__(self, logdir, purge_step=None):
        self.logdir, self.purge_step, self.scalars, self.images, self.closed = logdir, purge_step, {}, {}, False
        self.made.append(self)

    def add_scalar(self, name, value, step):
        self.scalars[name, step] = value

    def add_image(self, name, image, step, dataformats):
        self.images[name, step] = (image.shape, dataformats)

    def close(self):
        self.closed = True


@pytest.fixture
def writers(monkeypatch):
    module = ModuleType("tensorboardX")
    module.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "tensorboardX", module)
    monkeypatch.setattr(Writer, "made", [])
    return Writer.made


def test_the_log_and_the_grids_reach_the_writer(tmp_path, writers):
    run = start(tmp_path)
    run.track = True
    run.train()
    (writer,) = writers
    assert writer.logdir == str(tmp_path / "tensorboard") and writer.purge_step is None and writer.closed
    logged = {(r["kind"], r["step"]): r for r in read_log(tmp_path / "log.jsonl")}
    assert writer.scalars["train/loss_d", 8] == logged["train", 8]["loss_d"]
    assert writer.scalars["eval/mean", 12] == logged["eval", 12]["mean"]
    assert set(writer.images) == {("samples", k) for k in (0, 6, 12)}
    assert writer.images["samples", 6] == ((298, 298), "HW")


@pytest.mark.slow
def test_a_resumed_run_hides_what_a_killed_one_wrote_beyond(tmp_path, writers):
    run = start(tmp_path)
    run.gan.config.steps = 6
    run.train()
    run = resume(tmp_path)
    run.gan.config.steps, run.track = 7, True
    run.train()
    assert writers[-1].purge_step == 7


def test_without_the_package_it_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(InputError, match=r"pip install -e '\.\[track\]'"):
        mnist.main(["--track", "tensorboard", "--device", "cpu", "--out", str(tmp_path / "run")])
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_nothing_of_it_is_imported_without_the_flag():
    code = "import sys, minigan.train, experiments.mnist; assert 'tensorboardX' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_the_real_writer_leaves_events(tmp_path):
    pytest.importorskip("tensorboardX")
    board = TensorBoard(tmp_path)
    board.record({"kind": "train", "step": 3, "loss_d": 0.25, "note": "text"})
    board.grid(np.zeros((8, 8, 3), np.uint8), 3)
    board.close()
    (events,) = (tmp_path / "tensorboard").iterdir()
    content = events.read_bytes()
    assert b"train/loss_d" in content and b"samples" in content and b"note" not in content
