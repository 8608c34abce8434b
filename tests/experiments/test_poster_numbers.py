"""The numbers of the poster’s page: courses, rows of the ablation, verdicts."""

import pytest
from matplotlib.colors import to_hex
from poster_runs import record, result, row

from experiments.poster import numbers, picture, tables
from minigan.charts import LIGHT


def test_the_course_of_a_run_is_first_best_and_last():
    course = numbers.course(result("a", [record(1, 50.0), record(2, 10.0), record(3, 12.0)]))
    assert (course.first, course.best, course.best_step, course.last) == (50, 10, 2, 12)
    assert course.label == "digit-FID" and course.ratio == 6
    mixed = numbers.course(result("a", [record(1, 5.0, "random_fid"), record(3, 12.0)]))
    assert mixed.first == mixed.best == 12  # never two kinds of distance in one course
    assert numbers.course(result("a", [])) is None and numbers.course(None) is None


def test_seconds_a_step_leave_evaluations_and_pauses_out():
    times = [(10, 1.0), (20, 2.0), (30, 103.0), (40, 104.0), (50, 105.0)]
    trained = result("a", [{"kind": "train", "step": s, "seconds": t} for s, t in times])
    assert numbers.seconds_a_step(trained) == pytest.approx(0.1)


def test_rows_are_told_apart_only_if_no_seed_overlaps():
    base = row("base", 10.0, 12.0, 14.0)
    assert row("sn", 15.0, 20.0, 30.0).against(base) == "worse"
    assert row("sn", 1.0, 2.0, 9.0).against(base) == "better"
    assert row("sn", 13.0, 20.0, 30.0).against(base) == "within"
    assert row("sn", 30.0).against(base) == "" and base.against(base) == ""
    assert tables.mean_of(base) == "12 ± 2"


def test_runs_that_have_not_finished_do_not_count_in_a_row():
    results = [result("ablation/sn-0", [record(10, 5.0)]), result("ablation/sn-1", [record(5, 99.0)], status="stopped")]
    (made,) = numbers.ablation_rows(results, ["sn"])
    assert made.distances == [5.0]
    assert tables.mean_of(made) == "5<small>1 of 2 seeds</small>"


def test_the_ablation_shows_every_seed_in_the_colour_of_its_verdict():
    rows = [row("base", 10.0, 12.0, 14.0), row("sn", 15.0, 20.0, 30.0), row("dot", 1.0, 2.0, 9.0), row("l1", 11.0)]
    dots = picture.ablation_figure(rows).axes[0].collections
    for made, drawn in zip(rows, dots, strict=True):
        assert list(drawn.get_offsets()[:, 0]) == made.ratios
    colours = [to_hex(drawn.get_facecolor()[0]) for drawn in dots]
    assert colours == [LIGHT["ink"], picture.VERDICTS["worse"], picture.VERDICTS["better"], LIGHT["ink"]]
    assert picture.ablation_figure(rows[1:]) is None
