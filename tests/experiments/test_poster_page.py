"""The page of `python -m experiments.poster`: its figures, and what it says of them."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from poster_runs import RUNS, leave, record, result, results

from experiments.parts.jobs import look
from experiments.poster import numbers, page, picture, plan, tables
from experiments.poster.plan import ABLATION, FIGURES, SCALES, SEEDS


def test_the_page_has_all_figures_and_never_sets_two_distances_side_by_side_unsaid(everything):
    html = page.page(results(everything), "quick", "python -m experiments.poster")
    for words in (
        "figures 4 to 6",
        "Figure 7",
        "Figure 8",
        "Figure 9",
        "Figure 11",
        "figure 10",
        f"{RUNS} of {RUNS} runs finished",
    ):
        assert words in html
    for measured in ("118.7", "120.5", "210.4", "254.2", "297", "281", "296"):
        assert measured in html
    assert "Read each half down, not across." in html and "other features, other images, another scale" in html
    assert "drawn digits, not MNIST" in html and "drawn faces, not CelebA" in html
    assert html.count('<img src="data:image/') == 7 and "not there yet" not in html
    figure = picture.ablation_figure(numbers.ablation_rows(results(everything), list(ABLATION)))
    dots = sum(len(dots.get_offsets()) for dots in figure.axes[0].collections)
    assert dots == SEEDS * len(ABLATION)
    assert html.count("<svg") == 2 * 3 + 2 * 2 + 1  # figures 4 to 6 and 10 over steps and minutes, the ablation
    assert "by chance alone once in ten" in html
    assert set(re.findall(r"https?://[\w.]+", html)) <= {"http://www.w3.org"}  # opens without a network


def test_the_optimisers_are_those_of_all_runs():
    def run(optimizer, lookahead, rate):
        return SimpleNamespace(
            config={"options": {"optimizer": optimizer, "lookahead": lookahead, "g_lr": rate, "batch": 32}}
        )

    figures = {"vitgan": run("shampoo", 10, 4.5e-3), "relu": run("shampoo", 10, 4.5e-3)}
    assert tables.optimisers({}) == "–"
    assert tables.optimisers(figures) == "Shampoo with Lookahead, learning rate 0.0045, batch 32"
    figures |= {"cnn": run("adam", 0, 2e-3), "vanilla": run("shampoo", 0, 1e-3)}
    assert tables.optimisers(figures) == (
        "Shampoo with Lookahead, learning rate 0.0045, batch 32: full ViTGAN · ReLU; Adam, learning rate 0.002, "
        "batch 32: CNN; Shampoo, learning rate 0.001, batch 32: vanilla ViT"
    )


def test_with_data_the_posters_size_and_drawn_digits_stand_beside(tmp_path):
    jobs = [j for j in plan.plan(SCALES["quick"], Path("mnist")) if j.name.startswith("figures/")]
    leave(tmp_path, jobs)
    found = [look(j, tmp_path) for j in jobs]
    figures = picture.figures_of(found)
    table = tables.beside(figures)
    html = (
        page.header(figures, found, "quick") + page.samples(figures) + table
    )  # without the charts, which take seconds
    assert "7 of 7 runs finished" in html and "not there yet" not in html
    assert html.count('<img src="data:image/') == 7 + 4
    for title in (
        "32 × 32, as on the poster",
        "Drawn digits, not MNIST",
        "Real digits, 32 × 32",
        "The digits as drawn",
    ):
        assert f"<b>{title}</b>" in html
    assert "The digit-FID on MNIST: <strong>full ViTGAN" in html
    assert "MNIST, at 28 × 28; MNIST, at 32 × 32; drawn digits, not MNIST, at 28 × 28; drawn faces" in html
    assert "measured in features of a random network" in html and "do not compare with those of the other rows" in html
    rows = table.partition("</table>")[0].split("<tr")[3:]
    assert [row.partition("</th>")[0].rpartition(">")[2] for row in rows] == list(tables.NAMES.values())
    assert "random-FID" in rows[5] and "digit-FID" in rows[6] and all("class=theirs>–" in row for row in rows[5:])
    assert numbers.POSTER.keys() == FIGURES.keys()  # the poster's own numbers stay where they are


def test_losses_over_minutes_stand_at_their_times():
    train = [{"kind": "train", "step": s, "seconds": t, "loss_d": 1.0} for s, t in ((50, 6.0), (100, 120.0))]
    (chart,) = picture.loss_charts({"vitgan": result("figures/vitgan", train)}, minutes=True)
    np.testing.assert_allclose(chart.lines[0].steps, [0.1, 2.0])
    (over_steps,) = picture.loss_charts({"vitgan": result("figures/vitgan", train)})
    np.testing.assert_array_equal(over_steps.lines[0].steps, [50, 100])


def test_distances_over_minutes_stand_at_the_times_of_their_evaluations():
    figures = {"cnn": result("figures/cnn", [record(60, 5.0), record(1200, 4.0)])}  # after 6 and 120 seconds
    (chart,) = picture.distance_charts(figures, minutes=True)
    np.testing.assert_allclose(chart.lines[0].steps, [0.1, 2.0])
    np.testing.assert_array_equal(chart.lines[0].values, [5.0, 4.0])
    (over_steps,) = picture.distance_charts(figures)
    np.testing.assert_array_equal(over_steps.lines[0].steps, [60, 1200])


@pytest.mark.slow
def test_with_inception_the_page_says_fid_and_still_what_differs(everything):
    relabelled = results(everything)
    for r in relabelled:
        r.records = [{("fid" if k.endswith("_fid") else k): v for k, v in rec.items()} for rec in r.records]
    html = page.page(relabelled, "quick", "")
    assert "still it is not one protocol" in html and "Inception (FID)" in html and "digit-FID" not in html


def test_a_page_of_nothing_and_of_little(tmp_path, everything):
    html = page.page(results(tmp_path), "quick", "x")
    assert "Nothing has been evaluated yet" in html and f"{RUNS} runs are not trained yet" in html
    assert picture.poster_picture(results(tmp_path)) is None and picture.ablation_picture(results(tmp_path)) is None
    some = [
        r if r.job.name in ("figures/cnn", "ablation/base-0", "ablation/sn-1") else look(r.job, tmp_path)
        for r in results(everything)
    ]
    html = page.page(some, "quick", "x")
    assert f"{RUNS - 3} runs are not trained yet" in html and html.count("not there yet") >= 5
    assert html.count("<svg") == 3  # the CNN's distance over steps and over minutes, and the ablation


def test_what_runs_say_is_escaped(tmp_path):
    j = plan.plan(SCALES["quick"])[0]
    (tmp_path / j.name).mkdir(parents=True)
    (tmp_path / j.name / "output.txt").write_text("failed: <script>alert(1)</script> & so on\n")
    html = page.page([look(j, tmp_path)], "quick", "python <img src=x>")
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; so on" in html and "<script>alert" not in html
    assert "python &lt;img src=x&gt;" in html
