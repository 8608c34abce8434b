"""`python -m experiments.lipschitz`: its cells, what it claims and what not, and a page of what is there."""

import json

import pytest

from experiments.lipschitz import __main__ as command
from experiments.lipschitz import plan
from experiments.lipschitz.page import page
from experiments.poster.runs import Result, configuration
from minigan.config import resolve
from minigan.errors import InputError

TINY = (
    "--g-width 8 --g-heads 2 --g-depth 1 --d-width 8 --d-heads 2 --d-depth 1 --latent 8 --g-head-width 8 --batch 4 "
    "--eval-samples 20 --features none --no-loops --digits 40 --log-every 1 --spectra-every 1"
)
SIZE = plan.Size(steps=10, width=8, seeds=3, rates=(1, 5), games=("default", "poster"))


CHECKED = [f"default-x1-{kind}-0" for kind in plan.KINDS] + ["default-x20-l2-1", "poster-x1-isn-2", "paper-x1-plain-0"]


def results(distances, size=SIZE):
    """Finished results of every cell: {cell name without its seed: a ratio for each seed; None has not finished}."""
    made = {}
    for job in plan.plan(size):
        cell, _, seed = job.name.rpartition("-")
        ratio = distances.get(cell, [None] * size.seeds)[int(seed)]
        evals = [{"kind": "eval", "step": 10, "seconds": 1.0, "digit_fid": 2.0 * (ratio or 1), "floor": 2.0}]
        spectra = [
            {"kind": "spectra", "step": s, "rank embed": 5.0, "sigma embed": 2.0, "slope_real": 0.5, "slope_fake": 0.25}
            for s in (0, 10)
        ]
        there = ratio is not None
        made[job.name] = Result(
            job, None, "finished" if there else "waiting", 10, records=spectra + evals if there else []
        )
    return made


def test_the_cells_differ_in_d_alone_and_no_name_is_there_twice():
    jobs = plan.plan(plan.Size())
    assert len({job.name for job in jobs}) == len(jobs) == 5 * 5 * 3 + 2 * 5 * 3
    of = {job.name: configuration(job) for job in jobs if job.name in CHECKED}
    for name, config in of.items():
        game, rate, _ = name.split("-", 2)
        lr = 2e-3 if game == "paper" else 3e-3
        assert config.d_lr == pytest.approx(lr * int(rate[1:])) and config.g_lr == lr and config.g_modulated
        assert (config.penalty == "none") == (game != "default") and (config.bcr == 10) == (game == "paper")
    assert [(of[f"default-x1-{k}-0"].d_similarity, of[f"default-x1-{k}-0"].d_norm) for k in plan.KINDS] == [
        ("dot", "none"),
        ("l2", "none"),
        ("dot", "isn"),
        ("l2", "isn"),
        ("l2", "bound"),
    ]


def test_the_papers_game_is_that_of_its_preset():
    """The generator and D's sizes are those of the other games; how they are trained is the paper's."""
    (job,) = (job for job in plan.plan(plan.Size()) if job.name == "paper-x1-isn-l2-0")
    config = configuration(job)
    names = ("loss", "penalty", "bcr", "augment", "augment_p", "g_lr", "d_lr", "equalised", "decay", "beta1", "beta2")
    assert {n: getattr(config, n) for n in names} == {n: getattr(resolve(preset="paper"), n) for n in names}
    assert config.equalised and config.g_width == 64


SEPARATE = {
    "default-x1-plain": [10, 12, 11],
    "default-x1-l2": [9, 13, 9],  # overlaps
    "default-x1-isn": [12, 15, 14],  # touches
    "default-x5-plain": [90, 100, 80],
    "default-x5-isn-l2": [40, 44, 42],
    "default-x5-bound-l2": [50, 50, None],  # a seed is missing
    "default-x5-isn": [150, 120, 130],
}


def test_only_what_all_seeds_say_is_claimed():
    said = plan.claims(results(SEPARATE), SIZE)
    assert len(said) == 2 and "ISN is worse" in said[0] and "ISN + L2 is better" in said[1]
    assert "40 to 44 × the floor against 80 to 100 × the floor" in said[1] and "5 × D’s rate" in said[1]


@pytest.mark.slow
def test_the_page_claims_the_same():
    shown = page(results(SEPARATE), SIZE, "python -m experiments.lipschitz")
    assert "ISN + L2 is better than plain with every seed" in shown and "2 of 3 seeds" in shown
    assert "bound + L2 is" not in shown and "20 of 45 cells finished" in shown


def test_a_page_without_cells_claims_nothing():
    shown = page(results({}), SIZE, "python -m experiments.lipschitz")
    assert "Nothing is claimed" in shown and "0 of 45 cells finished" in shown and "is better" not in shown


@pytest.mark.slow
def test_a_page_of_equal_seeds_says_so():
    shown = page(results({f"default-x1-{kind}": [3, 4, 5] for kind in plan.KINDS}), SIZE, "")
    assert "No tool’s seeds separate" in shown and "stable rank, embed" in shown and "σ, embed" in shown


@pytest.mark.parametrize(
    "flags, sentence",
    [
        (["--steps", "0"], "--steps must be at least 1"),
        (["--seeds", "101"], "--seeds must be at most 100"),
        (["--rates", "0"], "--rates must be whole numbers from 1"),
        (["--width", "30"], "--g-width 30 must be a multiple of --g-heads 4"),
        (["--page-only"], "there is nothing to show yet"),
    ],
)
def test_a_wrong_flag_is_one_sentence(tmp_path, flags, sentence):
    with pytest.raises(InputError) as error:
        command.main([*flags, "--out", str(tmp_path / "out")])
    assert sentence in str(error.value) and "\n" not in str(error.value) and not (tmp_path / "out").exists()


@pytest.mark.slow
def test_cells_are_trained_once_and_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(plan.Size, "flags", property(lambda size: [*TINY.split(), "--steps", str(size.steps)]))
    monkeypatch.setattr(plan, "KINDS", {"isn": plan.KINDS["isn"]})
    again = ["--steps", "2", "--seeds", "1", "--rates", "1", "--games", "default", "--out", str(tmp_path / "out")]
    assert command.main([*again, "--device", "cpu"]) == 0
    shown = (tmp_path / "out" / "lipschitz.html").read_text(encoding="utf-8")
    assert "1 of 1 cells finished" in shown and "Nothing is claimed" in shown
    log = tmp_path / "out" / "default-x1-isn-0" / "log.jsonl"
    before = log.read_bytes()
    assert any(json.loads(line)["kind"] == "spectra" for line in before.splitlines())
    assert command.main([*again, "--device", "cpu"]) == 0 and log.read_bytes() == before
    with pytest.raises(InputError, match="was trained with other settings"):
        command.main([*again, "--steps", "3", "--device", "cpu"])
