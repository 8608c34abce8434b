"""What `python -m experiments.poster` trains, and when other settings are refused."""

import dataclasses
import json
from pathlib import Path

import pytest
from job_runs import configured, job

from experiments.parts.jobs import Job, look
from experiments.parts.settings import configuration, differences
from experiments.poster import __main__ as command
from experiments.poster import plan, tables
from experiments.poster.plan import ABLATION, BESIDE, FIGURES, SCALES, SEEDS, chosen
from minigan.errors import InputError
from minigan.presets import ADAM


@pytest.mark.parametrize("scale", SCALES)
def test_every_flag_of_a_plan_is_one_its_command_takes(scale):
    jobs = plan.plan(SCALES[scale], Path("mnist"), Path("faces"), Path("inception.h5"))
    assert len(jobs) == len({j.name for j in jobs}) == len(FIGURES) + len(BESIDE) + SEEDS * len(ABLATION)
    for j in jobs:
        assert configuration(j).steps == j.steps
        assert "--digits" not in j.flags and "--inception" in j.flags
        assert ("--data" in j.flags) == (j.name != "figures/drawn")


def test_data_adds_the_posters_size_and_drawn_digits():
    alone = {j.name: j for j in plan.plan(SCALES["quick"])}
    jobs = {j.name: j for j in plan.plan(SCALES["quick"], Path("mnist"))}
    assert set(jobs) - set(alone) == {"figures/size32", "figures/drawn"} and not set(alone) - set(jobs)
    full, size32 = (configuration(jobs[f"figures/{name}"]) for name in ("vitgan", "size32"))
    assert (full.image_size, size32.image_size) == (28, 32)
    assert dataclasses.replace(size32, image_size=28, g_patch=7, d_patch=7) == full  # 4 × 4 patches in both
    assert jobs["figures/drawn"].flags == alone["figures/vitgan"].flags
    assert jobs["figures/faces"] == alone["figures/faces"]  # drawn: no --faces


@pytest.mark.parametrize(
    ("place", "command"),
    [("celeba", "celeba"), ("celeba/img_align_celeba", "celeba"), ("aligned", "celeba"), ("people", "images")],
)
def test_celeba_is_known_by_its_names_and_other_faces_are_whole_pictures(place, command, tmp_path):
    for folder in ("celeba/img_align_celeba", "aligned", "people"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "aligned" / "list_eval_partition.txt").touch()
    faces = plan.plan(SCALES["quick"], faces=tmp_path / place)[0]
    assert (faces.name, faces.command) == ("figures/faces", command)
    assert ("--holdout" in faces.flags) == (command == "images")  # CelebA has test images of its own
    assert configuration(faces).image_size == 32


def test_rows_of_the_ablation_differ_from_the_base_in_what_they_say():
    jobs = {j.name: configuration(j) for j in plan.plan(SCALES["quick"])}
    base = dataclasses.asdict(jobs["ablation/base-1"])
    tools = {"g_modulated": False, "d_similarity": "dot", "d_norm": "none"}
    paper = {"g_tokens_alike": True, "g_overlap": 0, "g_head": "linear", "g_points": 1, "d_overlap": 0}
    changed = {
        "no-sln": {"g_modulated": False},
        "linear": {"g_head": "linear", "g_points": 1},
        "one-point": {"g_points": 1},
        "dot": {"d_similarity": "dot"},
        "l1": {"d_similarity": "l1"},
        "l2-printed": {"d_similarity": "l2_printed"},
        "sn": {"d_norm": "sn"},
        "bound": {"d_norm": "bound"},
        "no-norm": {"d_norm": "none"},
        "no-overlap": {"d_overlap": 0},
        "relu": {"activation": "relu"},
        "vanilla": {"variant": "vanilla", **tools},
        "vanilla-paper": {"variant": "vanilla-paper", **tools, **paper},
        "adam": {k: v for k, v in {"optimizer": "adam", **ADAM}.items() if k != "steps"},
        "no-lookahead": {"lookahead": 0},
        "bcr": {"bcr": 10.0},
        "diffaug": {"augment": "translation,cutout,brightness,contrast", "augment_p": 0.8},
    }
    assert {"base", *changed} == set(ABLATION) == set(tables.ROWS)
    for name, fields in changed.items():
        row = dataclasses.asdict(jobs[f"ablation/{name}-1"])
        assert {k: v for k, v in row.items() if v != base[k]} == fields
    assert [jobs[f"ablation/base-{s}"].seed for s in range(SEEDS)] == [0, 1, 2]


def test_a_few_of_the_runs_can_be_chosen():
    jobs = plan.plan(SCALES["quick"])
    names = lambda *only, **k: [j.name for j in chosen(jobs, list(only) or None, **k)]  # noqa: E731
    assert names("figures") == names(ablation=False) == [f"figures/{n}" for n in FIGURES]
    assert names("cnn") == ["figures/cnn"]
    assert names("ablation/sn") == ["ablation/sn-0", "ablation/sn-1", "ablation/sn-2"]
    assert names("ablation/sn-1", "figures/faces/") == ["figures/faces", "ablation/sn-1"]
    assert len(names("ablation/*-0")) == len(ABLATION)
    with pytest.raises(InputError, match="--only gan: no run is called that; the runs are figures/faces"):
        names("gan")


def test_other_settings_are_refused_or_set_aside(tmp_path, capsys):
    j = job("figures/a", steps=20)
    old = configured(tmp_path, job("figures/a"))
    with pytest.raises(
        InputError, match=r"other settings \(--steps 10, now --steps 20\): choose another --out, or --redo"
    ):
        command.set_aside([j], tmp_path, redo=False)
    assert old.exists()
    command.set_aside([j], tmp_path, redo=True)
    assert not old.exists() and (tmp_path / "figures" / "a-old" / "config.json").exists()
    assert "a-old" in capsys.readouterr().out


def test_a_flag_that_says_what_was_so_anyway_is_no_other_setting(tmp_path):
    """A run from before there was a level, and the same without it."""
    old = configured(tmp_path, job("figures/a"), g_level=False)
    config = json.loads((old / "config.json").read_text())
    del config["options"]["g_level"]
    (old / "config.json").write_text(json.dumps(config))
    assert not differences(look(job("figures/a", "--no-g-level"), tmp_path))
    assert differences(look(job("figures/a"), tmp_path)) == ["g_level False, now True"]


def test_runs_on_drawn_digits_are_refused_with_data(tmp_path):
    """The flags of drawn runs are written out: those trained before are known again, and those only."""
    before = {
        "faces": Job("figures/faces", "celeba", tuple("--steps 4500 --eval-every 450 --size 32 --no-g-level".split())),
        "vitgan": Job(
            "figures/vitgan", "mnist", tuple("--variant vitgan --steps 4500 --eval-every 450 --no-g-level".split())
        ),
    }
    for j in before.values():
        configured(tmp_path, j)
    again = chosen(plan.plan(SCALES["quick"]), list(before))
    assert not any(differences(look(j, tmp_path)) for j in again)
    command.set_aside(again, tmp_path, redo=False)
    flags = ["--device", "cpu", "--out", str(tmp_path)]
    with pytest.raises(InputError, match=r"vitgan was trained with other settings \(no --data, now --data .*--redo"):
        command.main(["--data", str(tmp_path), "--only", "vitgan", *flags])
    with pytest.raises(
        InputError, match=r"settings \(experiments.celeba, now experiments.images\): choose another --out"
    ):
        command.main(["--faces", str(tmp_path), "--only", "faces", *flags])
