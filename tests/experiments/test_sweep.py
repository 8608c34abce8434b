"""`python -m experiments.sweep` and `compare`: grids that are read, refused, trained once, and shown."""

import json
import re

import pytest

from experiments import compare, sweep
from experiments.parts.runner import Runner
from experiments.parts.train import renew_index
from minigan.errors import InputError
from minigan.log import read_config

TINY = (
    "--g-width 8 --g-heads 2 --g-depth 1 --d-width 8 --d-heads 2 --d-depth 1 --latent 8 --g-head-width 8 --batch 4 "
    "--eval-samples 20 --features none --no-loops --digits 40 --log-every 1"
)


def grid(tmp_path, text):
    path = tmp_path / "norms.txt"
    path.write_text(text)
    return path


def test_every_combination_is_a_run(tmp_path):
    path = grid(
        tmp_path, "mnist --steps 9 # all\n\n--seed 0 1\n--g-tokens --no-g-tokens\n--augment translation,color ''\n"
    )
    jobs = sweep.read_grid(path)
    assert len(jobs) == len({job.name for job in jobs}) == 8 and {job.steps for job in jobs} == {9}
    assert jobs[3].name == "seed-0,no-g-tokens,augment-"
    assert jobs[3].flags == ("--steps", "9", "--seed", "0", "--no-g-tokens", "--augment", "")


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("", "its first line must be a command with flags, one of mnist"),
        ("rm -rf x", "its first line must be a command with flags, one of mnist"),
        ("mnist --seed 1", "its first line must have --steps N"),
        ("mnist --steps 2 --out x", "--out has no place in a grid"),
        ("mnist --steps 2 --ou x", "--out has no place in a grid"),
        ("mnist --steps 2 --out=x", "--out has no place in a grid"),
        ("mnist --steps 2 --dry", "--dry-run has no place in a grid"),
        ("mnist --steps 2\n--steps 2 3", "line 2: --steps is not a flag to vary"),
        ("mnist --steps 2\n--seed 0\n--step 3 4", "line 3: --steps is not a flag to vary"),
        ("mnist --steps 2\n--out=x --out=y", "line 2: --out is not a flag to vary"),
        ("mnist --steps 2\n--dev cpu cuda", "line 2: --device is not a flag to vary"),
        ("mnist --steps 2\nseed 0 1", "line 2: a flag and its values are expected"),
        ("mnist --steps 2\n\n--seed", "line 3: a flag and its values are expected"),
        ("mnist --steps 2\n--seed 'a", "cannot be read as a grid: No closing quotation"),
        ("mnist --steps 2\n--seed 1 1", "the run seed-1 is there twice"),
        ("mnist --steps 2\n--help --labels", "norms.txt, line 2: --help has no place in a grid"),
        ("mnist --steps 2 --nonsense", "norms.txt, line 1: unrecognized arguments: --nonsense"),
        ("mnist --steps 2\n\n--g-wdth 3 4", "norms.txt, line 3: unrecognized arguments: --g-wdth 3"),
        ("mnist --steps 2\n--seed 0 1\n--g-lr 1 x", "norms.txt, line 3: argument --g-lr: invalid float value: 'x'"),
        (
            "mnist --steps 2\n--g-width 30 31",
            "norms.txt, run g-width-30: --g-width 30 must be a multiple of",
        ),
        ("mnist --steps 2\n" + 4 * "--seed 0 1 2 3 4 5\n", "more than 1,000 runs"),
    ],
)
def test_a_grid_that_is_none_is_one_sentence(tmp_path, text, sentence):
    with pytest.raises(InputError) as error:
        sweep.main([str(grid(tmp_path, text)), "--dry-run", "--out", str(tmp_path / "out")])
    assert sentence in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_steps_are_those_that_the_command_reads(tmp_path, capsys):
    path = grid(tmp_path, "mnist --steps 2 --step=1500\n")
    assert [job.steps for job in sweep.read_grid(path)] == [1500]
    assert sweep.main([str(path), "--dry-run", "--out", str(tmp_path / "out")]) == 0
    assert "\n1 run, 1,500 steps, into" in capsys.readouterr().out


@pytest.mark.slow
def test_a_sweep_trains_once_and_shows_what_is_there(tmp_path, monkeypatch, capsys):
    path, out = grid(tmp_path, f"mnist --steps 2 {TINY}\n--seed 0 1\n"), tmp_path / "out"
    again = [str(path), "--out", str(out), "--device", "cpu", "--jobs", "2"]
    assert sweep.main(again) == 0
    assert read_config(out / "seed-1")["options"]["seed"] == 1
    assert "seed-0" in (out / "index.html").read_text()
    monkeypatch.setattr(Runner, "start", lambda self, job: pytest.fail("a finished run is repeated"))
    assert sweep.main(again) == 0
    path.write_text(f"mnist --steps 2 {TINY} --batch 2\n--seed 0 1\n")
    with pytest.raises(InputError, match="was trained with other settings"):
        sweep.main(again)


def test_compare_of_nothing_is_one_sentence(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "index.html").write_text("")
    for place, sentence in (
        ("empty", "holds no run"),
        ("index.html", "is not the directory of a run"),
        ("nowhere", "nowhere does not exist"),
    ):
        with pytest.raises(InputError, match=sentence):
            compare.main([str(tmp_path / place), "--out", str(tmp_path / "page.html")])


def test_compare_leaves_out_what_a_wildcard_names_beside_the_runs(tmp_path, capsys):
    """`runs/*` names index.html and the folders of --look too. A name that does not exist is a slip of the hand."""
    places = [tmp_path / name for name in ("index.html", "look-faces", "run")]
    for folder in places[1:]:
        folder.mkdir()
    places[0].write_text("")
    record = {"kind": "train", "step": 1, "images": 4, "seconds": 1.0, "loss_d": 0.5, "loss_g": 0.5}
    (places[2] / "log.jsonl").write_text(json.dumps(record) + "\n")
    page = tmp_path / "page.html"
    assert compare.main([*map(str, places), "--out", str(page)]) == 0
    printed = capsys.readouterr()
    assert printed.err == f"left out, because they hold no run: {places[0]}, {places[1]}\n"
    assert printed.out == f"1 run; look at {page}\n" and "look-faces" not in page.read_text()
    page.unlink()
    with pytest.raises(InputError, match="typo does not exist"):
        compare.main([*map(str, places), str(tmp_path / "typo"), "--out", str(page)])
    assert not page.exists()


def test_the_index_is_renewed_in_a_directory_named_runs_alone(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr("minigan.report.runs.write_page", lambda path, *a, **k: written.append(path))
    for place in ("runs", "elsewhere"):
        renew_index(tmp_path / place / "a")
    assert written == [tmp_path / "runs" / "index.html"]


def test_an_index_links_to_the_pages_of_studies_and_leaves_their_runs_to_them(tmp_path):
    place = tmp_path / "runs"
    record = {"kind": "train", "step": 1, "images": 4, "seconds": 1.0, "loss_d": 0.5, "loss_g": 0.5}
    for run in ("alone", "group/inner", "poster & co/figures/cnn", "look"):
        (place / run).mkdir(parents=True)
        if run != "look":
            (place / run / "log.jsonl").write_text(json.dumps(record) + "\n")
    for page in ("poster & co/poster.html", "look/index.html", "alone/report.html"):
        (place / page).write_text("")
    renew_index(place / "alone")
    page = (place / "index.html").read_text()
    assert '<a href="poster%20%26%20co/poster.html">poster &amp; co</a>' in page and "look" not in page
    assert re.findall(r"<th scope=row>(?:<i.*?</i>)?(?:<a.*?>)?(.*?)<", page)[:2] == ["alone", "group/inner"]
    assert "cnn" not in page


def test_an_index_that_cannot_be_written_ends_no_run(tmp_path, capsys):
    renew_index(tmp_path / "runs" / "a")
    assert "is not renewed: there are no runs to show" in capsys.readouterr().err
