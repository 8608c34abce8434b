"""A page of Markdown becomes a notebook, which Jupyter runs: what it shows is there, and is right."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, Browser
from pages import run_page

from autograd import Tensor, grad, ops
from experiments.markdown_notebook import main, notebook, parser
from minigan.errors import InputError

ROOT = Path(__file__).parents[2]
TOUR = ROOT / "docs" / "tour.md"
JUPYTER = all(map(importlib.util.find_spec, ("nbclient", "nbconvert", "ipykernel")))


def cells(made, kind):
    return ["".join(cell["source"]) for cell in made["cells"] if cell["cell_type"] == kind]


def test_blocks_become_code_and_the_text_between_them_text():
    page = "# One\n\n```python\nx = 1\n\nx\n```\n\nTwo\n```text\n1\n```\n\n```python\ny\n```\n"
    made = notebook(page)
    assert cells(made, "code") == ["x = 1\n\nx", "y"]
    assert cells(made, "markdown") == ["# One", "Two\n```text\n1\n```"]
    assert [cell["cell_type"] for cell in made["cells"]] == ["markdown", "code", "markdown", "code"]
    assert len({cell["id"] for cell in made["cells"]}) == 4


def test_the_file_is_the_same_each_time(tmp_path, capsys):
    for name in ("a.ipynb", "b.ipynb"):
        assert main([str(TOUR), str(tmp_path / name)]) == 0
    assert (tmp_path / "a.ipynb").read_bytes() == (tmp_path / "b.ipynb").read_bytes()
    made = json.loads((tmp_path / "a.ipynb").read_text(encoding="utf-8"))
    assert (made["nbformat"], made["nbformat_minor"]) == (4, 5)
    assert f"{tmp_path / 'a.ipynb'}: {len(made['cells'])} cells" in capsys.readouterr().out


def test_a_notebook_that_is_there_is_kept(tmp_path):
    (tmp_path / "mine.ipynb").write_text("my work")
    with pytest.raises(InputError, match="mine.ipynb exists"):
        main([str(TOUR), str(tmp_path / "mine.ipynb")])
    assert (tmp_path / "mine.ipynb").read_text() == "my work"


def test_the_usage_names_the_command():
    assert parser().format_usage().startswith("usage: python -m experiments.markdown_notebook ")


@pytest.mark.parametrize(
    "page, name, words",
    [
        (b"no code", "a.ipynb", "has no ```python block"),
        (b"\xff", "a.ipynb", "is not UTF-8 text"),
        (b"```python\n1\n```", "a.md", "the name of a notebook ends in .ipynb"),
    ],
)
def test_what_is_no_page_is_refused_in_words(page, name, words, tmp_path):
    (tmp_path / "page.md").write_bytes(page)
    with pytest.raises(InputError, match=words):
        main([str(tmp_path / "page.md"), str(tmp_path / name)])
    assert not (tmp_path / name).exists()


def test_the_tour_shows_what_ipython_prints():
    """All but its last block, which trains. By its file name, gradcheck takes a block for a cell of IPython."""
    tour = TOUR.read_text(encoding="utf-8").partition("## A run")[0]
    assert run_page(tour, "ipython-input", echo=True) == tour.count("```text\n") >= 7


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The tour as nbclient ran it and nbconvert wrote it as HTML."""
    folder = tmp_path_factory.mktemp("tour")
    main([str(TOUR), str(folder / "tour.ipynb")])
    flags = [f"--HTMLExporter.{name}_url=" for name in ("require_js", "jquery", "mathjax")]  # from no network
    command = [sys.executable, "-m", "nbconvert", "--execute", "--to", "html", *flags, "tour.ipynb"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "tour.html"


def attention_map():
    """softmax(−|qᵢ − kⱼ|² / √d) of six points of a circle: the squared distances are 0, 1, 3 and 4."""
    scores = np.exp(-np.array([0, 1, 3, 4, 3, 1]) / np.sqrt(2))
    return np.stack([np.roll(scores / scores.sum(), i) for i in range(6)])


def weight_gradient():
    w, x = Tensor([[0.5, -1.0], [2.0, 0.25]], requires_grad=True), np.array([[1.0, 2.0]])
    return grad((ops.tanh(ops.linear(x, w)) ** 2).sum(), [w])[0]


def numbers(cells):
    return [float(cell.replace("−", "-")) for cell in cells]


@pytest.mark.slow
@pytest.mark.skipif(not JUPYTER, reason="needs nbclient, nbconvert and ipykernel")
class TestTheTour:
    def test_it_shows_the_formula_the_map_the_error_and_the_run(self, page):
        html = page.read_text(encoding="utf-8")
        assert "Traceback" not in html
        outputs = {part.split("</b>")[0]: part for part in html.split("<div><b>")[1:]}
        formula = re.search(r"<math.*?</math>", outputs["softmax"], re.S)[0]
        assert "<msup><mi>e</mi><mrow><mi>x</mi></mrow></msup>" in formula
        shown = re.findall(r"<td[^>]*>([^<]*)</td>", outputs["Tensor"].split("</table>")[0])
        np.testing.assert_allclose(np.reshape(numbers(shown), (6, 6)), attention_map(), rtol=6e-4)  # four digits
        assert "line 9: `g * (1 - y)` becomes `g * (1 - y * y)`" in html and "of the cell" in html
        assert "step 4" in outputs["tour"] and 'alt="Samples of step-000004.png"' in outputs["tour"]

    def test_its_player_is_the_tape_with_the_gradient_of_grad(self, page):
        player = unescape(re.search(r'srcdoc="([^"]*)"', page.read_text(encoding="utf-8"))[1])
        story = json.loads(re.search(r'<script type="application/json"[^>]*>(.*?)</script>', player, re.S)[1])
        tables = [np.ravel(numbers(np.ravel(table).astype(str))) for _, table, _ in story["arrays"]]
        assert any(t.size == 4 and np.allclose(t, weight_gradient().ravel(), rtol=6e-4) for t in tables)

    @pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
    def test_a_browser_draws_it_and_fetches_nothing(self, page, tmp_path):
        tab = Browser(tmp_path)
        try:
            tab.open(page)
            urls = [e["params"]["request"]["url"] for e in tab.events if e["method"] == "Network.requestWillBeSent"]
            assert [url for url in urls if not url.startswith("data:")] == [page.as_uri()]
            assert [e for e in tab.events if e["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")] == []
            assert tab.ask("document.querySelector('math').getBoundingClientRect().width") > 50
            x, y = tab.place("iframe", across=0.05, down=0.03)
            tab.settle()
            title = tab.screenshot()[int(y) - 12 : int(y) + 12, int(x) - 40 : int(x) + 40]
            assert (title < 100).any(), "the player drew nothing"
        finally:
            tab.close()
