"""`--minutes` by a clock of the test's own: runs end on time on machines that become busier or idler."""

import json
from types import SimpleNamespace

import pytest
from tiny_runs import start

from experiments.parts.drawn import as_fit
from minigan.log import read_log
from minigan.pace import TimeLimit
from minigan.ranks import One


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def run_by(seconds_of, steps, minutes=10.0, begun=0.0):
    """Train a stand-in whose step k takes `seconds_of(k)`; the limit's clock at the end, and (step, steps) of looks."""
    clock, looks = Clock(), []
    limit = TimeLimit(minutes, clock)
    clock.now = begun
    gan = SimpleNamespace(steps_done=0, config=SimpleNamespace(steps=steps), world=One())
    limit.begin(gan)
    while gan.steps_done < gan.config.steps:
        clock.now += seconds_of(gan.steps_done)
        gan.steps_done += 1
        if limit.lay_anew(gan):
            looks.append((gan.steps_done, gan.config.steps, clock.now))
    return clock.now, looks


@pytest.mark.parametrize("guess", [200, 5400, 1_000_000_000])
def test_a_run_ends_on_time_whatever_the_first_guess_was(guess):
    """9 of 10 minutes are for steps, of 0.1 s each."""
    assert run_by(lambda k: 0.1, guess)[0] == pytest.approx(540, abs=0.2)


@pytest.mark.parametrize(
    "seconds_of",
    [
        lambda k: 0.5,  # five times slower than the first guess
        lambda k: 0.02,  # five times faster
        lambda k: 0.1 if k < 2000 else 0.5,  # busier in the middle
        lambda k: 0.5 if k < 500 else 0.1,  # idler
        lambda k: 0.1 + (20.0 if k % 500 == 499 else 0.0),  # evaluations
    ],
)
def test_a_machine_that_changes_its_pace_changes_the_steps_and_not_the_end(seconds_of):
    end, looks = run_by(seconds_of, 5400)
    assert 0.9 * 540 < end < 540 + 25  # the last step may be one with an evaluation
    assert len(looks) <= 21


def test_the_place_in_the_schedules_is_the_share_of_the_time():
    _, looks = run_by(lambda k: 0.1 if k < 1000 else 0.3, 5400)
    for step, steps, now in looks:
        assert step / steps == pytest.approx(now / 540, abs=1e-3)


def test_what_came_before_the_training_counts():
    end, _ = run_by(lambda k: 0.1, 5400, begun=300.0)
    assert end == pytest.approx(540, rel=0.01)


def test_a_run_whose_time_is_over_at_its_start_takes_one_step():
    assert run_by(lambda k: 0.1, 5400, begun=600.0)[0] == pytest.approx(600.1)


def test_a_run_writes_down_what_its_schedules_are_laid_over(tmp_path):
    """540 seconds, a step takes 60: nine steps where twelve were planned, and the bar and the files say so."""
    run, clock = start(tmp_path), Clock()
    run.limit = TimeLimit(10.0, clock)
    step = run.gan.step

    def slow_step():
        step()
        clock.now += 60.0

    run.gan.step = slow_step
    run.train()
    assert run.gan.steps_done == run.gan.config.steps == 9
    laid = [record for record in read_log(tmp_path / "log.jsonl") if record["kind"] == "schedule"]
    assert laid == [{"kind": "schedule", "step": 1, "steps": 9}]
    assert json.loads((tmp_path / "config.json").read_text())["options"]["steps"] == 9
    assert (tmp_path / "samples.h5").exists()


@pytest.mark.parametrize("seconds, count", [(0.001, 60_000), (0.01, 9000), (10.0, 2000)])
def test_a_run_by_the_clock_draws_as_many_images_as_its_time_allows(seconds, count, capsys):
    """Of 10 minutes 90 seconds, and half as many images for the evaluation."""
    clock = Clock()

    def load(options):
        clock.now += seconds * options["digits"]

    options = {"path": None, "digits": 60_000}
    limit = TimeLimit(10.0, clock)
    fewer = {} if count == 60_000 else {"test_images": count // 2}
    assert as_fit(limit, load, options, SimpleNamespace(digits=None)) == {"path": None, "digits": count, **fewer}
    assert (count < 60_000) == (f"drawing {count:,} digits instead of 60,000" in capsys.readouterr().err)
    assert as_fit(limit, load, options, SimpleNamespace(digits=60_000)) == options
    assert as_fit(limit, load, {**options, "path": "data"}, SimpleNamespace(digits=None))["digits"] == 60_000


@pytest.mark.parametrize("seconds, until", [(30.0, 540.0), (100.0, 500.0), (10_000.0, 420.0)])
def test_a_slow_evaluation_gets_its_time_out_of_that_of_the_steps(seconds, until):
    """Of 10 minutes a tenth, as long as it takes, and at most three tenths."""
    limit = TimeLimit(10.0, Clock())
    limit.keep(seconds)
    assert limit.until == pytest.approx(until)
