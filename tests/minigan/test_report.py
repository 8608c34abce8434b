"""The report of a run is one page, which holds everything, loads nothing and stays small."""

import base64
import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from run_pictures import EVALUATION, noise, train_records
from slow import slow_but_the_first

from minigan.curves import run_charts
from minigan.errors import InputError
from minigan.figures import image_grid, save_animation, save_image
from minigan.log import BRIGHT, FAINT
from minigan.page import film
from minigan.report import write_report


def write_log(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


class Page(HTMLParser):
    """What a page would load, the tags it has, and the text a reader sees."""

    def __init__(self, path):
        super().__init__()
        self.links, self.tags, self.words, self.script = [], [], "", ""
        self.html = path.read_text(encoding="utf-8")
        self.feed(self.html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for key, value in attributes if key in ("src", "srcset", "href", "data")]

    def handle_data(self, data):
        if self.tags[-1:] == ["script"]:
            self.script += data
        elif self.tags[-1:] != ["style"]:
            self.words += data


def full_run(run):
    grid = image_grid(noise(4, 7, 7), columns=2)
    for step in range(0, 60, 5):
        save_image(grid, run / "samples" / f"step-{step:06d}.png")
    save_image(grid, run / "samples.png")
    save_image(grid, run / "real.png")
    save_animation(sorted((run / "samples").iterdir()), run / "samples.gif")
    write_log(run / "log.jsonl", [*train_records(50), EVALUATION])
    config = {
        "command": "python -m experiments.mnist --seed 0 --note 'a < b'",
        "variant": "relu",
        "preset": "small",
        "parameters": {"generator": 224001, "discriminator": 154113},
        "data": {"note": "Drawn by <hand> & pen.", "size": 28},
        "generator": {"width": 64, "siren": {"omega": 30.0}, "norm": None},
    }
    (run / "config.json").write_text(json.dumps(config))


def test_report_holds_everything_and_loads_nothing(tmp_path):
    full_run(tmp_path / "vitgan")
    path = write_report(tmp_path / "vitgan")
    assert path == tmp_path / "vitgan" / "report.html"
    page = Page(path)
    images = [link for link in page.links if not link.startswith("#")]  # "#…" is a shape of a chart, drawn repeatedly
    assert len(images) == 2 + 12  # the last samples and real ones, the film
    assert all(image.startswith("data:image/png;base64,") for image in images)
    assert not re.search(r"https?:(?!//www.w3.org/)|url\((?!#)|@import|<link|<script src", page.html)
    shown = [
        "vitgan",
        "digit-FID 186",
        "20 ×",
        "9 of 10 classes",
        "87%",
        "1,600",
        "25 s",
        "64",
        "224,001",
        "20.0",
    ]
    shown += ["step 55", "siren.omega", "30.0", "none", "Drawn by <hand> & pen.", "--note 'a < b'"]
    shown += [
        "not the Inception FID",
        "0.0123",
        "± 0.0045, digit features",
        "0.61",
        "coverage 0.52",
        "0.0223",
        "against 7,500 test",
        *("5.2%", f"above {BRIGHT}; real: 6.5%", "1.6%", f"from 1 to {FAINT - 1}; real: 1.0%"),
        *(
            "KID 0.0123 ± 0.0045",
            "precision 0.61",
            "real against real 9.3",
            "real against real: 9.3 ± 0.77",
            "With so few images, distances are too large and precision can be too high.",
            "9 of 10 classes found",
            "Gradient penalty",
        ),
    ]
    assert [words for words in shown if words not in page.words] == []
    assert page.tags.count("svg") == 8
    assert "#cc6a00" in page.html  # the colour of the ReLU runs


def test_report_escapes_what_it_is_told(tmp_path):
    evil = "<script>alert(1)<"
    run = tmp_path / evil
    run.mkdir()
    config = {
        evil: evil,
        "variant": evil,
        "command": evil,
        "parameters": {evil: 3},
        "data": {evil: evil, "note": evil},
    }
    (run / "config.json").write_text(json.dumps(config))
    page = Page(write_report(run))
    assert page.tags.count("script") == 1
    assert page.words.count(evil) == 11


def test_report_of_a_run_stopped_at_step_3(tmp_path):
    write_log(tmp_path / "log.jsonl", train_records(3))
    save_image(noise(20, 20), tmp_path / "samples" / "step-000003.png")
    (tmp_path / "samples.gif").write_bytes(b"GIF89a, cut")
    page = Page(write_report(tmp_path))
    assert "Step 3, without figures." in page.words
    assert "Generated from the same noise, step 3" in page.words
    assert "digit-FID" not in page.words
    assert sum(link.startswith("data:") for link in page.links) == 1  # the grid
    assert page.tags.count("svg") == 3  # losses, outputs of D, penalty


def test_report_of_an_empty_directory(tmp_path):
    page = Page(write_report(tmp_path))
    assert "Not trained yet." in page.words
    assert page.links == []
    assert "h2" not in page.tags


def test_report_refuses_what_is_not_a_run(tmp_path):
    with pytest.raises(InputError, match="not the directory"):
        write_report(tmp_path / "absent")


def test_report_leaves_out_what_is_damaged_and_says_so(tmp_path, capsys):
    full_run(run := tmp_path / "run")
    grid = sorted((run / "samples").iterdir())[1]
    grid.write_bytes(b"")
    (run / "real.png").write_bytes((run / "real.png").read_bytes()[:60])
    (run / "config.json").write_text("[" * 100_000)
    log = (run / "log.jsonl").read_text()
    odd = ["[1, 2]", '{"kind": "eval", "step": "7"}', '{"kind": ["eval"], "step": 7}', "{" * 100_000, '"text"']
    odd += ['{"kind": "eval", "step": 20, "features": [], "class_shares": {"a": 1}, "fid": "low", "kid": 1e400}']
    (run / "log.jsonl").write_text("\n".join(odd) + "\n" + log)
    html = Page(write_report(run)).html
    said = capsys.readouterr().err
    for what in ("config.json", "6 damaged lines of log.jsonl", "real.png", f"samples/{grid.name}"):
        assert what in said and what in html
    assert "traceback" not in html.lower() and "digit-FID" in html


def test_drawing_libraries_wait_until_they_are_needed():
    code = "import minigan.report, sys; sys.exit('matplotlib' in sys.modules or 'PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    "key, label, says",
    slow_but_the_first(
        [
            ("digit_fid", "digit-FID", "It is not the Inception FID"),
            ("fid", "FID", "FID Inception network"),
            ("random_fid", "random-FID", "it is not FID"),
        ]
    ),
)
def test_a_distance_is_called_by_its_features(tmp_path, key, label, says):
    evals = [
        {"kind": "eval", "step": step, key: value, "floor": 9.3, "samples": 500}
        for step, value in ((10, 40.0), (20, 31.5), (30, 37.2))
    ]
    write_log(tmp_path / "log.jsonl", evals)
    (tmp_path / "best.h5").write_bytes(b"")
    page = Page(write_report(tmp_path))
    assert f"{label} 37.2, 4 × the floor of 9.3 between real images. With so few images, distances" in page.words
    assert f"best {label}31.5at step 20, kept in best.h5" in page.words
    assert says in page.words
    names = set(re.findall(r"(?:digit-|random-)?FID(?= ?\d)", page.words))
    assert names == {label}
    assert [chart.title for chart in run_charts(evals)] == [label]


def test_charts_leave_out_what_was_not_measured(tmp_path):
    nothing = {
        "kind": "eval",
        "step": 5,
        "kid": 0.5,
        "kid_std": math.nan,
        "precision": math.nan,
        "fid": -math.inf,
        "class_kl": math.inf,
    }
    assert run_charts([nothing, {"kind": "train", "step": 5, "loss_d": math.nan}]) == []
    write_log(tmp_path / "log.jsonl", [nothing])
    assert "class=charts" not in Page(write_report(tmp_path)).html
    drawn = run_charts([{"kind": "train", "step": 5, "loss_g": 2.5, "grad_norm_d": 0.0}])
    assert [(c.title, line.label, line.steps, line.values) for c in drawn for line in c.lines] == [
        ("Loss", "generator 2.5", [5], [2.5])
    ]


def film_steps(html):
    return [int(step) for step in re.findall(r"<figure data-step=(\d+)", html)]


def test_a_film_keeps_every_grid_that_the_budget_allows(tmp_path):
    frames = [(step, tmp_path / f"step-{step:06d}.png") for step in range(0, 600, 10)]
    for step, path in frames:
        save_image(noise(60, 60, seed=step), path)
    whole = film(frames)
    assert film_steps(whole) == list(range(0, 600, 10))
    assert whole.count("data:image/png") == 61 and whole.count("hidden") == 52
    assert base64.b64encode(frames[7][1].read_bytes()).decode() in whole  # as it is
    half = film(frames, budget=len(whole) // 4 * 3)
    steps = film_steps(half)
    assert 40 <= len(steps) < 60 and {0, 590} <= set(steps) and max(np.diff(steps)) == 20
    assert "data:image/png" in half and len(half) < len(whole)


@pytest.mark.slow
def test_large_grids_are_compressed_to_the_budget(tmp_path):
    frames = [(step, tmp_path / f"step-{step:06d}.png") for step in range(50)]
    smooth_noise = np.add.outer(np.arange(200), np.arange(200))[..., None] / 2 + np.array([0, 20, 40])
    for step, path in frames:
        save_image((smooth_noise + noise(200, 200, 3, seed=step) // 4).clip(0, 255).astype(np.uint8), path)
    html = film(frames, budget=1_000_000)
    assert len(film_steps(html)) == 50 and film_steps(html)[-1] == 49
    assert "data:image/webp" in html and "data:image/png" not in html
    assert len(html) < 1_100_000 < sum(path.stat().st_size for _, path in frames)


def test_a_film_of_nothing_and_of_a_broken_file(tmp_path):
    assert film([], beside="<p>") == "<p>"
    (tmp_path / "cut.png").write_bytes(b"\x89PNG, cut")
    assert film([(0, tmp_path / "cut.png")]) == ""
    save_image(noise(9, 9), tmp_path / "whole.png")
    one = film([(0, tmp_path / "cut.png"), (5, tmp_path / "whole.png")])
    assert "step 5" in one and "input" not in one
