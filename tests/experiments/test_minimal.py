"""experiments/minimal.py, the GAN on one page."""

import errno
import os
import re
import sys

import numpy as np
import pytest
from PIL import Image

import nn
from experiments import minimal
from minigan.metrics.digits import classify, load_classifier


def run(monkeypatch, folder, **constants):
    """The eighty images that it draws, uint8 (80, 28, 28)."""
    monkeypatch.chdir(folder)
    for name, value in constants.items():
        monkeypatch.setattr(minimal, name, value)
    nn.manual_seed(0)
    minimal.main.__wrapped__()
    picture = np.asarray(Image.open(folder / "runs" / "minimal.png"))[::2, ::2]  # every pixel is shown as 2 × 2
    assert picture.shape == (8 * 30 - 2, 10 * 30 - 2)  # gaps of 2 pixels
    tiles = np.pad(picture, ((0, 2), (0, 2))).reshape(8, 30, 10, 30).swapaxes(1, 2).reshape(80, 30, 30)
    assert not tiles[:, 28:].any() and not tiles[:, :, 28:].any()
    return tiles[:, :28, :28]


def test_it_runs_and_draws_a_picture(monkeypatch, tmp_path, capsys):
    images = run(monkeypatch, tmp_path, DIGITS=100, STEPS=2, BATCH=4)
    assert len(np.unique(images, axis=0)) == 80
    losses = [float(loss) for loss in re.findall(r"loss of [GD] (\S+)", capsys.readouterr().out)]
    assert len(losses) == 2 and np.isfinite(losses).all() and min(losses) > 0


@pytest.mark.parametrize(
    ("argument", "status", "says"),
    [("--help", 0, "it learns to draw digits"), ("--steps", 2, "unrecognized arguments")],
)
def test_it_has_no_options(monkeypatch, capsys, argument, status, says):
    monkeypatch.setattr(sys, "argv", ["minimal", argument])
    monkeypatch.setattr(minimal, "stroke_digits", None)  # it trains nothing
    with pytest.raises(SystemExit) as exit:
        minimal.main()
    printed = capsys.readouterr()
    assert exit.value.code == status and re.search(says, printed.out + printed.err)
    assert "usage: python -m experiments.minimal" in printed.out + printed.err


def test_a_full_disk_is_a_sentence(monkeypatch, capsys):
    def full(image, path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    monkeypatch.setattr(sys, "argv", ["minimal"])
    monkeypatch.setattr(minimal, "save_image", full)
    for name, value in {"DIGITS": 100, "STEPS": 1, "BATCH": 4}.items():
        monkeypatch.setattr(minimal, name, value)
    with pytest.raises(SystemExit) as exit:
        minimal.main()
    assert exit.value.code == 2 and re.fullmatch(r"error: .*No space left.*minimal.png'\n", capsys.readouterr().err)


@pytest.mark.slow
def test_it_learns(monkeypatch, tmp_path):
    """How sure the classifier of drawn digits is of its verdicts: not at all before training (1 in 10 for each digit),
    and half sure after a quarter of the steps (0.46 and 0.48 with two seeds)."""
    before, after = (run(monkeypatch, tmp_path, DIGITS=2000, STEPS=steps) for steps in (1, 200))
    classifier = load_classifier()
    sure = [classify(classifier, images)[1].max(axis=1).mean() for images in (before, after)]
    assert sure[0] < 0.15 and sure[1] > 0.3


def test_it_is_one_page():
    with open(minimal.__file__, encoding="utf-8") as file:
        assert len(file.readlines()) <= 85
