"""The GAN on one page runs as it stands, and uses the public face alone."""

import re

import numpy as np
from PIL import Image

from experiments import minimal


def test_it_trains_and_leaves_a_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(minimal, "DIGITS", 64)
    monkeypatch.setattr(minimal, "STEPS", 2)
    monkeypatch.setattr(minimal, "BATCH", 4)
    minimal.main()
    with Image.open(tmp_path / "runs" / "minimal.png") as picture:
        assert picture.size[0] > 10 * 28 and len(np.unique(picture)) > 20
    losses = [float(x) for x in re.findall(r"loss of [DG] (\S+)", capsys.readouterr().out)]
    assert len(losses) == 2 and np.isfinite(losses).all()
