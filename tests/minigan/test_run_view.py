"""What a notebook shows of a run: the figures, the newest grid, the curves and the settings of its files."""

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from minigan.errors import InputError
from minigan.figures import image_grid, save_image
from minigan.run_view import RunView


@pytest.fixture
def run(tmp_path):
    made = tmp_path / "a <run>"
    for step in (0, 90, 120):  # in the order of steps, not of names
        save_image(image_grid(np.full((4, 8, 8), step, np.uint8), columns=2), made / f"samples/step-{step}.png")
    config = {"variant": "vitgan", "command": "python -m x --note '<b>'", "options": {"g_lr": 0.002, "loss": None}}
    (made / "config.json").write_text(json.dumps(config))
    records = [{"kind": "train", "step": s, "loss_d": 1.0 / (1 + s), "loss_g": 1.5} for s in (40, 80, 1200)]
    records.append({"kind": "eval", "step": 1200, "digit_fid": 12.5, "floor": 2.5})
    (made / "log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    return made


def tree(html):
    """The view as XML: its <img> tags are closed first."""
    return ElementTree.fromstring(re.sub(r"(<img [^>]*?) width=(\d+) height=(\d+)([^>]*)>", r"\1\4/>", html))


@pytest.mark.slow  # matplotlib draws the curves
def test_a_run_is_its_verdict_its_last_grid_its_curves_and_its_settings(run):
    found = tree(RunView(run)._repr_html_())
    text = "".join(found.itertext())
    assert text.startswith("a <run> · step 1,200digit-FID 12.5, 5 × the floor of 2.5 between real images.")
    assert [img.get("alt") for img in found.iter("img")] == ["Samples of step-120.png", "The curves of the run"]
    assert all(img.get("src").startswith("data:image/") for img in found.iter("img"))
    cells = [["".join(cell.itertext()) for cell in row] for row in found.iter("tr")]
    assert cells == [["g_lr", "0.002"], ["loss", "none"]]
    assert "--note '<b>'" in text
    assert repr(RunView(run)) == f"<the run in {run}, step 1,200>"


def test_before_the_first_record_it_shows_the_grid_and_the_settings(run):
    (run / "log.jsonl").unlink()
    found = tree(RunView(run)._repr_html_())
    assert "".join(found.itertext()).startswith("a <run>Not trained yet.Samples of step-120.png2 settings")
    assert [img.get("alt") for img in found.iter("img")] == ["Samples of step-120.png"]


def test_a_run_is_read_again_each_time(run):
    view = RunView(run)
    assert view.records[-1]["step"] == 1200
    save_image(image_grid(np.full((4, 8, 8), 9, np.uint8), columns=2), run / "samples/step-2000.png")
    with (run / "log.jsonl").open("a") as log:
        log.write('{"kind": "train", "step": 2000, "loss_d": 1.0}\n')
    assert view.records[-1]["step"] == 2000 and view.last_grid.name == "step-2000.png"


def test_a_run_that_has_only_begun(tmp_path):
    view = RunView(tmp_path)
    assert "Not trained yet." in view._repr_html_() and "not trained yet" in repr(view)
    assert view.last_grid is None and view.config == {} and view.records == []


@pytest.mark.slow
def test_a_damaged_file_costs_its_part_alone(run):
    (run / "config.json").write_text("{")
    html = RunView(run)._repr_html_()
    assert "left out: " in html and "config.json is not JSON" in html and "Samples of step-120.png" in html
    (run / "log.jsonl").write_text("nothing\n")
    assert "log.jsonl is not the log of a run" in repr(RunView(run))


def test_no_directory_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="is not the directory of a run"):
        RunView(tmp_path / "none")
