"""The page over several runs: what its table, its charts and its list of settings hold, and how it is sorted."""

import json
import os
import re

import numpy as np
import pytest
from browser import CHROMIUM, Browser

from minigan.errors import InputError
from minigan.figures import image_grid, save_image
from minigan.report import runs
from minigan.report.runs import (
    Shown,
    cautions,
    charts,
    find_runs,
    runs_table,
    settings_table,
    time_unit,
    write_page,
)


def make_run(directory, distance, seconds=1.0, **options):
    """A run of ten steps whose distance falls to `distance`; a step takes so many seconds."""
    directory.mkdir(parents=True)
    config = {"options": {"steps": 10, "g_lr": 0.003, **options}, "parameters": {"generator": 5, "discriminator": 7}}
    (directory / "config.json").write_text(json.dumps(config))
    log = [
        {"kind": "train", "step": k, "seconds": k * seconds, "loss_d": 1 / k, "loss_g": 1.0, "images_per_second": 8.0}
        for k in (5, 10)
    ]
    for k, value in ((5, 2 * distance), (10, distance)):
        log.append({"kind": "eval", "step": k, "seconds": k * seconds, "random_fid": value, "floor": 2.0, "kid": 0.5})
    (directory / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in log))
    return directory


def test_runs_are_found_at_any_depth_and_not_in_a_run(tmp_path):
    a, b = make_run(tmp_path / "x" / "a", 9.0), make_run(tmp_path / "b", 9.0)
    make_run(a / "samples" / "inner", 1.0)
    assert find_runs(tmp_path) == [b, a] and find_runs(a) == [a] and find_runs(tmp_path / "nowhere") == []


def test_settings_that_all_share_are_left_out(tmp_path):
    made = [make_run(tmp_path / name, 9.0, d_norm=norm) for name, norm in (("a", "bound"), ("<b>", "none"))]
    table = settings_table([Shown.of(path, path.name) for path in made])
    assert re.findall(r"<th scope=row>(.*?)</th>", table) == ["d_norm"]
    assert "<td>bound</td><td>none</td>" in table and "&lt;b&gt;" in table and "<b>" not in table
    assert settings_table([Shown.of(made[0], "a")]) == ""


def test_curves_over_time_stand_at_their_seconds(tmp_path):
    shown = [Shown.of(make_run(tmp_path / "a", 9.0, seconds=60.0), "a")]
    unit = time_unit(shown)
    assert unit == ("minutes", 60.0)  # ten minutes
    (chart,) = charts(shown, ("random_fid",), unit)
    np.testing.assert_array_equal(chart.lines[0].steps, [5.0, 10.0])
    np.testing.assert_array_equal(chart.lines[0].values, [18.0, 9.0])


def test_of_many_runs_the_newest_are_drawn(tmp_path, monkeypatch):
    made = [make_run(tmp_path / f"{i:02}", 9.0) for i in range(12)]
    for i, path in enumerate(made):
        os.utime(path / "log.jsonl", (i, i))
    drawn = []
    monkeypatch.setattr(runs, "charts", lambda shown, *rest: drawn.append([run.name for run in shown]) or [])
    monkeypatch.setattr(runs, "chart_grid", lambda charts: "")
    write_page(tmp_path / "index.html", made, "Runs")
    assert drawn[0] == [f"{i:02}" for i in range(2, 12)]
    page = (tmp_path / "index.html").read_text()
    assert page.count("<tr>") == 1 + 12  # all twelve stand in the table
    assert "Curves and samples are those of the 10 newest runs" in page
    write_page(tmp_path / "index.html", made[:10], "Runs", brief=True)
    assert "newest runs" not in (tmp_path / "index.html").read_text()


def test_what_does_not_compare_is_said(tmp_path):
    made = [make_run(tmp_path / name, 9.0) for name in ("a", "b", "not evaluated", "damaged")]
    (made[2] / "log.jsonl").write_text('{"kind": "train", "step": 5, "seconds": 1.0, "samples": 7}\n')
    (made[3] / "log.jsonl").write_text(
        '{"kind": "eval", "step": 5, "seconds": 1.0, "random_fid": 9.0, "samples": NaN}\n'
    )
    records = [json.loads(line) for line in (made[0] / "log.jsonl").read_text().splitlines()]

    def said(**changes):
        for path, added in ((made[0], {}), (made[1], changes)):
            lines = [json.dumps({**record, "samples": 500, "reference": 900} | added) for record in records]
            lines.append('{"kind": "train", "step": 11, "seconds": 9.0}')  # after the last evaluation
            (path / "log.jsonl").write_text("".join(line + "\n" for line in lines))
        runs_shown = [Shown.of(path, path.name) for path in made]
        assert f'<td data-value="{changes.get("samples", 500)}">' in runs_table(runs_shown, tmp_path)
        return cautions(runs_shown)

    assert said() == ""
    for changes in ({"samples": 1000}, {"reference": 800}):
        assert "do not compare: with fewer, distances are larger" in said(**changes)
    assert "one split" in said(floor_std=0.5) and "do not compare" not in said(floor_std=0.5)
    assert said(digit_fid=3.0, samples=1000) == "", "the first distance of a record counts: of other features"


def test_a_damaged_run_costs_itself_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "chart_grid", lambda charts: "")
    good, bad = make_run(tmp_path / "good", 9.0), make_run(tmp_path / "bad", 9.0)
    (bad / "config.json").write_text("{")
    (sentence,) = write_page(tmp_path / "page.html", [good, bad], "Runs")
    assert "bad" in sentence and "is not JSON" in (tmp_path / "page.html").read_text()
    with pytest.raises(InputError, match="is not JSON"):
        write_page(tmp_path / "none.html", [bad], "Runs")
    assert not (tmp_path / "none.html").exists()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_table_is_sorted_by_a_click(tmp_path):
    made = [make_run(tmp_path / name, value) for name, value in (("a", 10.0), ("b", 9.0), ("c", 100.0))]
    (made[0] / "report.html").write_text("a report")
    save_image(image_grid(np.zeros((4, 8, 8), np.uint8)), made[0] / "samples" / "step-000010.png")
    write_page(tmp_path / "index.html", made, "Runs")
    browser = Browser(tmp_path / "profile")
    try:
        browser.open(tmp_path / "index.html")
        names = "[...document.querySelectorAll('.runs tbody tr')].map(r => r.cells[0].textContent).join('')"
        assert browser.ask(names) == "abc"
        browser.click(".runs th:nth-child(3) button")  # the last distance, as numbers: 9 before 10 before 100
        assert browser.ask(names) == "bac"
        browser.click(".runs th:nth-child(3) button")
        assert browser.ask(names) == "cab"
        assert browser.ask("document.querySelectorAll('.charts svg').length") == 2 * 4  # distance, KID, two losses
        assert browser.ask("document.querySelector('.runs a').getAttribute('href')") == "a/report.html"
        assert browser.ask("document.querySelectorAll('.grids img').length") == 1
        bad = [e for e in browser.events if e["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")]
        assert bad == []
    finally:
        browser.close()
