"""The log of a run, and the curves that are drawn from it."""

import re

import numpy as np
import pytest
from PIL import Image
from run_pictures import EVALUATION, read, train_records

from minigan.charts import TWINS, Chart, Line, chart_grid, smooth
from minigan.curves import curves_png, run_charts
from minigan.errors import InputError
from minigan.files import write_bytes
from minigan.log import read_log


def test_log_keeps_the_last_record_of_a_step_and_passes_over_cut_lines(tmp_path):
    path = tmp_path / "log.jsonl"
    lines = [
        '{"kind": "train", "step": 10, "loss_d": 1.0}',
        '{"kind": "train", "step": 20, "loss_d": 2.0}',
        '{"kind": "eval", "step": 20, "floor": 9.0}',
        '{"kind": "tr{"kind": "train", "step": 10, "loss_d": 7.0}',  # cut by a kill, then resumed
        '{"kind": "train", "step": 15, "loss_d": NaN}',
        '{"kind": "train", "step": 20, "loss_d": 3.0}',
        '{"kind": "train", "step": 30, "lo',
    ]
    path.write_text("\n".join(lines))
    records = read_log(path)
    assert [(r["kind"], r["step"]) for r in records] == [
        ("train", 10),
        ("train", 15),
        ("train", 20),
        ("eval", 20),
    ]
    assert records[0]["loss_d"] == 1.0
    assert records[2]["loss_d"] == 3.0


def test_log_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_log(tmp_path / "log.jsonl")
    (tmp_path / "log.jsonl").write_text("step,loss\n1,2\n")
    with pytest.raises(InputError, match="not the log of a run"):
        read_log(tmp_path / "log.jsonl")
    (tmp_path / "log.jsonl").write_text("")
    assert read_log(tmp_path / "log.jsonl") == []


def test_smooth_is_the_mean_around_each_point():
    values = np.random.default_rng(2).normal(size=200)
    np.testing.assert_allclose(smooth(values)[100], values[96:105].mean())
    np.testing.assert_allclose(smooth(values)[-1], values[-5:].mean())
    np.testing.assert_array_equal(smooth(values[:10]), values[:10])


def coloured(path, hexadecimal):
    """How many pixels of a picture are of this colour, as exactly as a palette of 256 colours keeps it."""
    rgb = [int(hexadecimal[i : i + 2], 16) for i in (1, 3, 5)]
    with Image.open(path) as image:
        off = np.asarray(image.convert("RGB")).astype(int) - rgb
    return np.all(abs(off) <= 8, axis=-1).sum()


def test_curves_show_what_was_logged(tmp_path):
    records = train_records(50)
    for name, *arguments in (("train", records), ("full", [*records, EVALUATION], "vitgan")):
        write_bytes(tmp_path / f"{name}.png", curves_png(*arguments))
    write_bytes(tmp_path / "vanilla.png", curves_png([*records, EVALUATION], "vanilla"))
    train, full, vanilla = (tmp_path / f"{name}.png" for name in ("train", "full", "vanilla"))
    (height, width), (higher, as_wide) = read(train).shape, read(full).shape
    assert as_wide == width and abs(higher - 3 * height) < 3  # rows of three charts; each may lose part of a pixel
    discriminator, generator, red, blue = "#00808a", "#8a3fb5", "#d62828", "#2563c9"
    assert coloured(train, discriminator) > 500 and coloured(train, generator) > 500
    assert coloured(full, red) > 50 and coloured(full, blue) == 0
    assert coloured(vanilla, blue) > 50 and coloured(vanilla, red) == 0


@pytest.mark.parametrize(
    "records",
    [
        [],
        [{"kind": "train", "step": 1}],
        [{"kind": "train", "step": 1, "loss_d": float("nan"), "loss_g": 0.7, "penalty": None}],
        [{"kind": "eval", "step": 0, "digit_fid": 0.0, "floor": 0.0}],
        [{"kind": "eval", "step": 5, "classes": 3}],
        [{"kind": "eval", "step": 5, "kid": 0.5, "kid_std": 0.1, "class_shares": [1.0, 0.0]}],
    ],
)
def test_curves_of_next_to_nothing(records):
    assert curves_png(records).startswith(b"\x89PNG")


@pytest.mark.slow
def test_every_colour_of_a_chart_has_a_twin_for_dark_paper():
    html = chart_grid(run_charts([*train_records(50), EVALUATION], "cnn"))
    pairs = re.findall(r"light-dark\((#\w{6}), (#\w{6})\)", html)
    assert set(pairs) <= TWINS.items() and len(set(pairs)) == 6  # ink, quiet, grid, D, G and the run
    alone = set(re.findall(r"(?:fill|stroke): (#\w{3,6})", html))
    assert alone <= {"#000000"}  # of shapes that are not painted


def test_a_spike_does_not_flatten_a_smoothed_line():
    values = np.random.default_rng(0).normal(1, 0.1, 500)
    values[77] = 900.0
    low, high = Chart("loss", [Line("loss", "#00808a", np.arange(500.0), values, smoothed=True)]).limits()
    assert low < 1 < high < 3
    low, high = Chart("loss", [Line("loss", "#00808a", np.arange(500.0), values)]).limits()
    assert high > 900


def test_all_charts_of_a_page_share_the_last_step():
    steps = np.array([1.0, 40.0])
    charts = [Chart(name, [Line(name, "#00808a", n * steps, steps)]) for n, name in ((1, "a"), (3, "b"))]
    assert chart_grid(charts).count("var(--step) / 120)") == 2
    assert chart_grid([]) == ""


def test_the_charts_of_a_long_log_stay_small():
    rng = np.random.default_rng(5)
    lines = [
        Line(name, "#00808a", np.arange(0.0, 200_000, 10), rng.normal(size=20_000), smoothed=True) for name in "ab"
    ]
    assert len(chart_grid([Chart("a title", lines)])) < 200_000


def test_text_of_a_chart_is_text():
    evil = "</svg><script>alert(1)</script><img src=x>"
    html = chart_grid([Chart(evil, [Line(evil, "#00808a", np.ones(1), np.ones(1))], note=evil)])
    assert "<script" not in html and "<img" not in html and html.count("&lt;script&gt;") == 3


@pytest.mark.parametrize(("values", "limits"), [([0, 0], (0, 0.1)), ([1, 1], (0.9, 1.1)), ([0, 2], (0, 2.12))])
def test_an_axis_has_room_around_a_line_but_none_below_zero(values, limits):
    line = Line("recall", "#000000", np.arange(2.0), np.array(values, float))
    assert Chart("Recall", [line]).limits() == pytest.approx(limits)
