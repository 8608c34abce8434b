"""`python -m experiments.lipschitz`: its runs, what it claims and what not, and a page of what is there."""

import json
import math

import pytest

from experiments.lipschitz import __main__ as command
from experiments.lipschitz import plan
from experiments.lipschitz.page import cell_text, page
from experiments.parts.jobs import Result
from experiments.parts.settings import configuration
from minigan.errors import InputError
from minigan.presets import resolve

TINY = (
    "--g-width 8 --g-heads 2 --g-depth 1 --d-width 8 --d-heads 2 --d-depth 1 --latent 8 --g-head-width 8 --batch 4 "
    "--eval-samples 20 --features none --no-loops --digits 40 --log-every 1 --spectra-every 1"
)
SIZE = plan.Size(steps=10, width=8, seeds=3, rates=(1, 5), games=("default", "poster"))


CHECKED = [f"default-x1-{kind}-0" for kind in plan.KINDS] + ["default-x20-l2-1", "poster-x1-isn-2", "paper-x1-plain-0"]


def results(distances, size=SIZE):
    """Results of every cell: {cell name without its seed: a ratio for each seed}.

    None has not finished, infinity has diverged, and "failed" has failed otherwise.
    """
    made = {}
    for job in plan.plan(size):
        cell, _, seed = job.name.rpartition("-")
        ratio = distances.get(cell, [None] * size.seeds)[int(seed)]
        distance = 2.0 * ratio if isinstance(ratio, int) else None
        evals = [{"kind": "eval", "step": 10, "seconds": 1.0, "digit_fid": distance, "floor": 2.0}]
        spectra = [
            {"kind": "spectra", "step": s, "rank embed": 5.0, "sigma embed": 2.0, "slope_real": 0.5, "slope_fake": 0.25}
            for s in (0, 10)
        ]
        if ratio == math.inf:
            made[job.name] = Result(job, None, "diverged", 3, "training stopped: step 3: loss_d is nan")
        elif ratio == "failed":
            made[job.name] = Result(job, None, "failed", 3, "no space is left")
        elif ratio is None:
            made[job.name] = Result(job, None, "waiting", 0)
        else:
            made[job.name] = Result(job, None, "finished", 10, records=spectra + evals)
    return made


def test_the_cells_differ_in_d_alone_and_no_name_is_there_twice():
    jobs = plan.plan(plan.Size())
    assert len({job.name for job in jobs}) == len(jobs) == 5 * 5 * 3 + 2 * 5 * 3
    assert command.GAMES == tuple(plan.GAMES)
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
    better, worse = (f"is {word} than plain with every seed at 5 × D’s rate" for word in ("better", "worse"))
    assert [sentence.partition(": ")[2] for sentence in said] == [f"ISN {worse}", f"ISN + L2 {better}"]


def test_a_tool_has_one_sentence_for_all_of_its_rates():
    low, high = [1, 2, 3], [7, 8, 9]
    cells = {f"default-x{rate}-{kind}": low for rate in SIZE.rates for kind in ("l2", "isn-l2")}
    cells |= {f"default-x{rate}-plain": high for rate in SIZE.rates} | {"default-x1-isn": low, "default-x5-isn": high}
    said = plan.claims(results(cells | {"poster-x1-plain": low, "poster-x1-l2": high}), SIZE)
    default, poster = plan.GAMES["default"].title, plan.GAMES["poster"].title
    assert said == [
        f"{default}: L2 is better than plain with every seed at 1 × and 5 × D’s rate",
        f"{default}: ISN is better than plain with every seed at 1 × D’s rate",
        f"{default}: ISN + L2 is better than plain with every seed at 1 × and 5 × D’s rate",
        f"{poster}: L2 is worse than plain with every seed at 1 × D’s rate",
    ]


INF = math.inf
DIVERGED = {
    "default-x1-plain": [10, 11, 12],
    "default-x1-l2": [8, 9, INF],  # two seeds below all of plain's, and one worse than all
    "default-x1-isn": [13, INF, 20],
    "default-x1-isn-l2": [8, 9, "failed"],  # that says nothing about D
    "default-x5-plain": [90, INF, INF],
    "default-x5-l2": [INF, INF, INF],
    "default-x5-isn": [40, 44, 42],
    "poster-x1-plain": [INF, INF, INF],
    "poster-x1-isn": [900, 900, 900],
    "poster-x1-l2": [INF, INF, INF],
}


def test_a_seed_that_diverged_is_worse_than_any_that_did_not():
    """By order alone: 8, 9, ∞ overlaps 10, 11, 12; 13, 20, ∞ is above it; ∞, ∞, ∞ ties with itself."""
    there = results(DIVERGED)
    marks = {
        (game, rate, kind): plan.verdict(plan.row(there, game, rate, kind), plan.row(there, game, rate, "plain"))
        for game, rate in (("default", 1), ("default", 5), ("poster", 1))
        for kind in plan.KINDS
    }
    assert {key: mark for key, mark in marks.items() if mark} == {
        ("default", 1, "l2"): "within",
        ("default", 1, "isn"): "worse",
        ("default", 5, "l2"): "within",
        ("default", 5, "isn"): "better",
        ("poster", 1, "isn"): "better",
        ("poster", 1, "l2"): "within",
    }
    said = plan.claims(there, SIZE)
    assert [sentence.partition(": ")[2].partition(" than")[0] for sentence in said] == [
        "ISN is worse",
        "ISN is better",
        "ISN is better",
    ]


def test_a_cell_says_that_it_diverged_and_not_that_it_failed():
    there = results(DIVERGED)

    def text(name):
        game, rate, kind = name.split("-", 2)
        return cell_text(*(plan.row(there, game, int(rate[1:]), k) for k in (kind, "plain")))

    assert text("default-x5-plain") == "2 of 3 diverged<small>90 ×</small>"  # beside itself no mark
    assert text("default-x5-l2") == "≈ diverged<small>3 of 3 seeds</small>"
    assert text("default-x5-isn") == "↓ 42 ×<small>40 to 44</small>"
    assert text("default-x1-isn") == "↑ 1 of 3 diverged<small>13 to 20 ×</small>"
    assert text("default-x1-isn-l2") == "8.5 ×<small>8 to 9, 2 of 3 seeds</small>"
    assert text("poster-x1-bound-l2") == "–"


def test_how_many_claims_chance_alone_would_make():
    """Of the C(6, 3) = 20 orders of two triples two separate them; of C(4, 2) = 6 orders of two pairs, two."""
    assert "once in 10 times" in (said := plan.by_chance(results(DIVERGED), SIZE))
    assert said.endswith("of the 6 comparisons made here, about 0.6 would separate by chance.")
    repeated = plan.by_chance(results(DIVERGED | {"default-x5-bound-l2": [40, 44, 42]}), SIZE)  # as ISN
    assert "of the 6 comparisons" in repeated and "Two tools with the same figures" in repeated
    diverged = plan.by_chance(
        results(DIVERGED | {"default-x5-bound-l2": [INF] * 3}), SIZE
    )  # as L2, but no same figures
    assert diverged.endswith("of the 7 comparisons made here, about 0.7 would separate by chance.")
    pairs = plan.Size(steps=10, width=8, seeds=2, rates=(1,), games=("default",))
    assert "once in 3 times" in plan.by_chance(results({f"default-x1-{k}": [1, 2] for k in plan.KINDS}, pairs), pairs)
    assert plan.by_chance(results({}), SIZE) == ""


@pytest.mark.slow
def test_the_page_shows_what_diverged():
    shown = page(results(DIVERGED), SIZE, "python -m experiments.lipschitz")
    assert "16 of 45 runs finished, 13 diverged" in shown
    assert "The number below a cross says how many seeds diverged." in shown
    assert "default-x1-isn-l2-2</b> failed: no space is left" in shown
    assert shown.count("real / generated") == 3  # two rates of the default game, and the poster's
    assert "default-x5-l2-0</b>" not in shown and "diverged: training stopped: step 3: loss_d is nan" in shown


@pytest.mark.slow
def test_the_page_claims_the_same():
    shown = page(results(SEPARATE), SIZE, "python -m experiments.lipschitz")
    assert "ISN + L2 is better than plain with every seed" in shown and "2 of 3 seeds" in shown
    assert "bound + L2 is" not in shown and "20 of 45 runs finished" in shown


def test_a_page_without_cells_claims_nothing():
    shown = page(results({}), SIZE, "python -m experiments.lipschitz")
    assert "Nothing is claimed" in shown and "0 of 45 runs finished" in shown and "is better" not in shown


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
    assert "1 of 1 runs finished" in shown and "Nothing is claimed" in shown
    log = tmp_path / "out" / "default-x1-isn-0" / "log.jsonl"
    before = log.read_bytes()
    assert any(json.loads(line)["kind"] == "spectra" for line in before.splitlines())
    assert command.main([*again, "--device", "cpu"]) == 0 and log.read_bytes() == before
    for dry in ([], ["--dry-run"]):
        with pytest.raises(InputError, match="was trained with other settings"):
            command.main([*again, "--steps", "3", "--device", "cpu", *dry])


@pytest.mark.slow
def test_a_cell_that_diverges_is_a_result_and_is_not_repeated(tmp_path, monkeypatch, capsys):
    """D's weights go to ± 1e30, and the square in its penalty beyond float32."""
    monkeypatch.setattr(plan.Size, "flags", property(lambda size: [*TINY.split(), "--steps", str(size.steps)]))
    monkeypatch.setattr(plan, "KINDS", {"plain": plan.KINDS["plain"]})
    monkeypatch.setitem(plan.GAMES, "default", plan.GAMES["default"]._replace(d_lr=1e30))
    flags = ["--steps", "4", "--seeds", "1", "--rates", "1", "--games", "default", "--out", str(tmp_path / "out")]
    for _ in range(2):
        assert command.main([*flags, "--device", "cpu"]) == 0
        assert "  default-x1-plain-0: training stopped: " in capsys.readouterr().out
        output = tmp_path / "out" / "default-x1-plain-0" / "output.txt"
        assert "failed: training stopped: step" in output.read_text(encoding="utf-8")
        output.write_text(output.read_text(encoding="utf-8").replace("step", "once, step", 1), encoding="utf-8")
    assert "once, once, step" in output.read_text(encoding="utf-8")  # the second call left the first one's as it was
    assert "0 of 1 runs finished, 1 diverged" in (tmp_path / "out" / "lipschitz.html").read_text(encoding="utf-8")
