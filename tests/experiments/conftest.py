"""Fixtures that several test files of the commands use."""

import signal

import numpy as np
import pytest
from image_files import folder, hdf5
from PIL import Image

from experiments.learn.authoring import new
from experiments.learn.course import read_course
from minigan.data import stroke_digits


@pytest.fixture
def two(tmp_path):
    """A course of two exercises, both the rule of x³."""
    for name in ("first", "second"):
        new(name, tmp_path / "two")
    return read_course(tmp_path / "two")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder of drawn digits, others in an HDF5 file, and noise in colour: what `experiments.fid` compares."""
    from fid_sets import FAKE, REAL  # drawn only for the tests that ask

    directory = tmp_path_factory.mktemp("files")
    folder(directory / "fake", FAKE)
    hdf5(directory / "real.h5", images=REAL)
    np.save(directory / "colour.npy", np.random.default_rng(0).integers(0, 256, (40, 16, 12, 3), dtype=np.uint8))
    return directory


@pytest.fixture
def torch():
    """PyTorch on one thread, where it is installed."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch
    torch.set_num_threads(threads)


@pytest.fixture
def heard():
    """Ctrl-C is heard: a shell that runs the tests in the background has it ignored, and they inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of images, so that no test waits for 60,000 drawn digits."""
    directory = tmp_path_factory.mktemp("images")
    for i, image in enumerate(stroke_digits(40, seed=3)[0]):
        Image.fromarray(image).save(directory / f"{i}.png")
    return ["--data", str(directory)]


@pytest.fixture
def no_report(monkeypatch):
    """A run ends without pictures and a report, which take longer than its two steps."""
    monkeypatch.setattr("minigan.train.Run.summarise", lambda self: None)


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """The directory of a whole poster, as its runs would have left it."""
    from poster_runs import leave

    from experiments.poster import plan

    return leave(tmp_path_factory.mktemp("poster"), plan.plan(plan.SCALES["quick"]))
