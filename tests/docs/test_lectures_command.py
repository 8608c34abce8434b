"""python -m experiments.lectures writes what is made from the lectures, and its notebooks start anywhere."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pages import BLOCK, agree
from PIL import Image

from experiments import lectures
from minigan.errors import InputError

ROOT = Path(__file__).parents[2]
JUPYTER = all(map(importlib.util.find_spec, ("nbclient", "nbconvert", "ipykernel")))
PAGE = """\
# 1. One page

![A grey picture](figures/01-a.png)

**Minutes.** One thing 30 · Another 15

**In 20 minutes.** Another 20. Leave out one thing.

## One thing

See [the other page](02-b.md), [the site](https://example.org) and [below](#another).

```python
from PIL import Image

Image.new("RGB", (20, 10), "grey").save("01-a.png")
```

## Another
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(lectures, "FOLDER", tmp_path)
    (tmp_path / "01-a.md").write_text(PAGE)
    return tmp_path


def printed(capsys):
    return sorted(capsys.readouterr().out.splitlines())


def test_it_writes_what_is_not_current_and_nothing_else(folder, capsys):
    made = ["figures/01-a.png", "notebooks/01-a.ipynb", "timing.md"]
    assert lectures.main(["--check"]) == 1
    assert printed(capsys) == [f"{name}: not current" for name in made]
    assert not (folder / "timing.md").exists()
    assert lectures.main([]) == 0
    assert printed(capsys) == [f"{name}: written" for name in made]
    assert lectures.main(["--check"]) == 0 and printed(capsys) == []
    (folder / "01-a.md").write_text(PAGE.replace("See ", "Look at "))  # the picture's code is the same
    assert lectures.main(["--check"]) == 1
    assert printed(capsys) == ["notebooks/01-a.ipynb: not current"]
    (folder / "01-a.md").write_text(PAGE.replace('"grey"', '"white"'))
    assert lectures.main([]) == 0
    assert printed(capsys) == [f"{name}: written" for name in made[:2]]
    with Image.open(folder / "figures" / "01-a.png") as image:
        assert image.getpixel((0, 0)) == (255, 255, 255)


def test_the_timing_sheet_adds_up_the_minutes_of_the_page(folder):
    lectures.main([])
    lines = (folder / "timing.md").read_text().splitlines()
    assert "## 1. [One page](01-a.md)" in lines and "Leave out one thing." in lines
    assert "| 0 | One thing | 30 | – |" in lines and "| 30 | Another | 15 | 20 |" in lines


def test_a_notebook_sees_the_pages_from_its_own_folder(folder):
    lectures.main([])
    made = json.loads((folder / "notebooks" / "01-a.ipynb").read_text())
    text = "".join(made["cells"][1]["source"])
    assert "(../figures/01-a.png)" in text and "(../02-b.md)" in text
    assert "(https://example.org)" in text and "(#another)" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    "old, new, words",
    [
        ('"RGB"', '"RBG"', "01-a.md does not run: .*"),
        ("Image.new", "raise SystemExit(1)\nImage.new", "01-a.md does not run: it exits"),
        ('save("01-a.png")', 'save("a.png")', "01-a.md shows figures/01-a.png, but no block saves it"),
        ("Image.new", "import time\n\ntime.sleep(9)\nImage.new", "01-a.md still runs after 1 s"),
    ],
)
def test_a_lecture_that_draws_no_picture_is_one_sentence(old, new, words, folder, monkeypatch):
    monkeypatch.setattr(lectures, "LIMIT", 1 if "still" in words else 60)
    (folder / "01-a.md").write_text(PAGE.replace(old, new))
    with pytest.raises(InputError, match=words):
        lectures.main([])
    assert [path.name for path in folder.iterdir()] == ["01-a.md"]


def test_outside_a_checkout_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(lectures, "FOLDER", tmp_path)
    with pytest.raises(InputError, match="has no lectures: run this command in a checkout"):
        lectures.main([])


def first_cell(cwd, before="", address="", path=""):
    """Run the first cell of a notebook in a process of its own, and print which autograd it gave."""
    cell = lectures.FIRST_CELL.replace('MINIGAN = ""', f"MINIGAN = {address!r}")
    script = f"{before}\n{cell}\nprint(autograd.__file__)"
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run([sys.executable, "-c", script], cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.fixture
def other(tmp_path):
    """A folder with another package that is called autograd."""
    (tmp_path / "other" / "autograd").mkdir(parents=True)
    (tmp_path / "other" / "autograd" / "__init__.py").write_text("")
    return str(tmp_path / "other")


@pytest.mark.slow
class TestTheFirstCell:
    def test_it_finds_the_checkout_before_another_autograd(self, other):
        done = first_cell(ROOT / "docs" / "lectures" / "notebooks", path=other)
        assert done.stdout.strip() == str(ROOT / "autograd" / "__init__.py"), done.stderr

    def test_another_autograd_that_is_loaded_is_noticed(self, other):
        done = first_cell(ROOT / "docs" / "lectures" / "notebooks", before="import autograd", path=other)
        assert "another autograd is loaded: restart the kernel, run this cell first" in done.stderr

    def test_elsewhere_it_asks_for_an_address(self, tmp_path):
        assert "write the address to clone from into MINIGAN above" in first_cell(tmp_path).stderr

    @pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
    def test_elsewhere_it_clones_once(self, tmp_path):
        origin, away = tmp_path / "origin", tmp_path / "away"
        away.mkdir()
        (origin / "autograd").mkdir(parents=True)
        (origin / "autograd" / "__init__.py").write_text("")
        (origin / "autograd" / "engine.py").write_text("")
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        for command in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "one"]):
            subprocess.run(["git", "-C", origin, *command], check=True)
        for address in (origin.as_uri(), ""):  # the second time it is there
            done = first_cell(away, address=address)
            assert done.stdout.strip() == str(away / "minigan" / "autograd" / "__init__.py"), done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not JUPYTER, reason="needs nbclient, nbconvert and ipykernel")
@pytest.mark.parametrize("name", ["01-one-op", "02-the-tape"])
def test_jupyter_runs_a_notebook_and_prints_what_the_page_shows(name, tmp_path):
    source = lectures.FOLDER / "notebooks" / f"{name}.ipynb"
    command = [sys.executable, "-m", "nbconvert", "--execute", "--to", "notebook", "--output-dir", tmp_path, source]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    _, *cells = json.loads((tmp_path / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    page = (lectures.FOLDER / f"{name}.md").read_text(encoding="utf-8")
    shown = [body for kind, body in BLOCK.findall(page) if kind == "text"]
    outputs = [out for cell in cells for out in cell.get("outputs", [])]
    streams = [  # of each cell that prints: Jupyter may hand over its output in parts
        "".join("".join(out["text"]) for out in cell["outputs"] if out.get("name") == "stdout")
        for cell in cells
        if any(out.get("name") == "stdout" for out in cell.get("outputs", []))
    ]
    assert len(streams) == len(shown) and all(map(agree, streams, shown))
    kinds = {kind for out in outputs for kind in out.get("data", {})}
    assert "image/png" in kinds, "the picture is seen in the notebook"
    if name == "02-the-tape":
        assert any("srcdoc" in "".join(out["data"].get("text/html", [])) for out in outputs if "data" in out)
