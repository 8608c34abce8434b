"""The GAN on one page runs as it stands, and uses the public face alone."""

import ast
from pathlib import Path

import numpy as np
import pytest
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
    losses = [
        float(word) for word in capsys.readouterr().out.split() if word.replace(".", "").replace("-", "").isdigit()
    ]
    assert np.isfinite(losses).all() and len(losses) >= 2


@pytest.mark.slow
def test_its_digits_have_ink_and_paper():
    """After a quarter of the run the images are dark with bright strokes, as the data are, and differ from each other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minimal, "STEPS", 200)
        patch.setattr(minimal, "DIGITS", 2000)
        G = minimal.train()
    x = G(np.random.default_rng(1).standard_normal((40, minimal.LATENT), np.float32)).data
    assert (x < -0.8).mean() > 0.5 and 0.02 < (x > 0.5).mean() < 0.3
    assert x.std(axis=0).mean() > 0.1


def test_it_is_one_page_and_reaches_below_no_face():
    source = Path(minimal.__file__).read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 90
    modules = {node.module for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)}
    assert modules <= {"autograd", "minigan.data", "minigan.figures"}
