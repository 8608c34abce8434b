"""`python -m experiments.poster`: its plan, its numbers, its page, and the command that trains and shows it."""

import dataclasses
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from job_runs import configured, job
from matplotlib.colors import to_hex
from PIL import Image

from experiments.parts.jobs import Job, Result, last_step, look
from experiments.parts.settings import configuration, differences
from experiments.poster import __main__ as command
from experiments.poster import numbers, page, picture, plan, tables
from experiments.poster.plan import ABLATION, BESIDE, FIGURES, SCALES, SEEDS, Scale, chosen
from minigan.charts import LIGHT
from minigan.errors import InputError
from minigan.figures import image_grid, save_image

RUNS = len(FIGURES) + SEEDS * len(ABLATION)  # without --data

# The plan --------------------------------------------------------------------------------------------------


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


# Other settings --------------------------------------------------------------------------------------------


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


def test_runs_on_drawn_digits_are_refused_with_data(tmp_path):
    """The flags of drawn runs are written out: those trained before are known again, and those only."""
    before = {
        "faces": Job("figures/faces", "celeba", tuple("--steps 4500 --eval-every 450 --size 32".split())),
        "vitgan": Job("figures/vitgan", "mnist", tuple("--variant vitgan --steps 4500 --eval-every 450".split())),
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


# The numbers -----------------------------------------------------------------------------------------------


def record(step, distance, key="digit_fid", **figures):
    return {"kind": "eval", "step": step, "seconds": step / 10, key: distance, "floor": 2.0, **figures}


def result(name, records, status="finished", **fields):
    steps = max([r["step"] for r in records], default=10)
    return Result(job(name, steps=steps), Path("nowhere"), status, steps, records=records, **fields)


def row(name, *distances):
    results = [result(f"ablation/{name}-{i}", [record(10, d)]) for i, d in enumerate(distances)]
    (made,) = numbers.ablation_rows(results, [name])
    return made


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


# The page --------------------------------------------------------------------------------------------------


def leave(out, jobs):
    """Fill the directory with what these runs would have left."""
    rng = np.random.default_rng(0)
    for j in jobs:
        directory = configured(out, j)
        config = json.loads((directory / "config.json").read_text())
        faces = j.name == "figures/faces"
        unknown = faces or j.name == "figures/size32"  # to the digit classifier
        name = "drawn faces" if faces else "mnist" if "--data" in j.flags else "stroke-digits"
        config["data"] = {"name": name}
        config["parameters"] = {"generator": 171_073, "discriminator": 99_713}
        config["machine"] = {"device": "cpu", "cores": 2}
        (directory / "config.json").write_text(json.dumps(config))
        train = [
            {
                "kind": "train",
                "step": s,
                "seconds": 0.06 * s,
                "loss_d": 0.6,
                "loss_g": 0.8,
                "d_real": 1.0,
                "d_fake": 0.5,
            }
            for s in range(50, j.steps + 1, 50)
        ]
        measured = {
            "samples": 5000,
            "reference": 10000,
            "reference_split": "test",
            "kid": 0.01,
            "precision": 0.6,
            "recall": 0.5,
        }
        if not unknown:
            measured |= {"classes": 10, "class_shares": [0.1] * 10}
        key = "random_fid" if unknown else "digit_fid"
        evals = [record(s, 20 * j.steps / s * rng.uniform(1, 2), key, **measured) for s in (j.steps // 2, j.steps)]
        (directory / "log.jsonl").write_text("\n".join(map(json.dumps, [*train, *evals])))
        (directory / "samples.h5").touch()
        if j.name.startswith("figures/"):
            grid = image_grid(rng.integers(0, 256, (100, 8, 8), dtype=np.uint8))
            save_image(grid, directory / "samples" / f"step-{j.steps:06d}.png")
            save_image(grid, directory / "real.png")
    return out


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """The directory of a whole poster, as its runs would have left it."""
    return leave(tmp_path_factory.mktemp("poster"), plan.plan(SCALES["quick"]))


def results(out, **given):
    return [look(j, out) for j in plan.plan(SCALES["quick"], **given)]


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


# The command -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_page_alone_from_what_is_there(everything, capsys):
    assert command.main(["--page-only", "--out", str(everything)]) == 0
    assert (everything / "poster.html").exists()
    for name in ("poster.png", "ablation.png"):
        with Image.open(everything / name) as image:
            assert image.format == "PNG" and image.width >= 1000 and len(np.unique(image.convert("L"))) > 10
    assert "poster.html" in capsys.readouterr().out
    assert command.main(["--page-only", "--no-ablation", "--out", str(everything)]) == 0
    assert "5 of 5 runs finished" in (everything / "poster.html").read_text()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--jobs", "0"], "--jobs must be at least 1"),
        (["--data", "nowhere"], "--data nowhere does not exist"),
        (["--faces", "nowhere"], "--faces nowhere does not exist"),
        (["--only", "nothing"], "no run is called that"),
        (["--page-only"], "nothing to show yet"),
    ],
)
def test_bad_flags_are_one_sentence(flags, sentence, tmp_path):
    with pytest.raises(InputError) as error:
        command.main([*flags, "--out", str(tmp_path / "poster")])
    assert sentence in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "poster").exists()


TINY = "--g-width 16 --g-depth 1 --d-width 16 --d-depth 1 --cnn-width 4 --batch 4 --eval-samples 50 --log-every 1"


@pytest.mark.slow
def test_dry_run_lists_the_runs_and_their_time(tmp_path, monkeypatch, capsys):
    scale = Scale(f"--steps 4 --eval-every 2 {TINY}", f"--steps 4 --size 32 {TINY}", f"--steps 4 {TINY}")
    monkeypatch.setitem(SCALES, "quick", scale)
    assert command.main(["--dry-run", "--device", "cpu", "--jobs", "2", "--out", str(tmp_path / "poster")]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == RUNS + 1 and printed[0].startswith("figures/faces") and "--variant cnn" in printed[1]
    assert re.fullmatch(rf"{RUNS} runs, 2 at once: about \d.*", printed[-1])
    assert not (tmp_path / "poster").exists()


WAITING = """
import sys, time
from experiments import cli, mnist
from minigan.train import Run

append = Run.append

def append_and_wait(self, record):
    append(self, record)
    for _ in range(6000):  # two minutes, lest a failing test leaves a process behind
        if self.gan.steps_done < 3 or self.asked is not None:
            break
        time.sleep(0.02)

Run.append = append_and_wait
sys.modules["__main__"].__spec__ = mnist.__spec__  # a run notes its command: python -m experiments.mnist
cli.run_main(mnist.main)
"""


@pytest.mark.slow
def test_real_runs_interrupted_resumed_and_shown(tmp_path, pytestconfig):
    """The first call's run waits in its third step for the signal, so it cannot end before it is interrupted."""
    out = tmp_path / "poster"
    scale = Scale(f"--steps 6 --sample-every 6 --features none --digits 50 {TINY}", "--steps 1", "--steps 1")
    setup = (  # a shell that runs the tests in the background has SIGINT ignored, and processes inherit that
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from experiments.parts import runner; runner.POLL = 0.05; "
        "from experiments.poster import __main__, plan; "
        f"plan.SCALES['quick'] = {scale!r}; ".replace("Scale(", "plan.Scale(")
    )
    waiting = f"runner.Runner.program = lambda self, job: [sys.executable, '-c', {WAITING!r}]; "
    main = "__main__.run()"
    python = [sys.executable, "-W", "error", "-c"]
    arguments = ["--only", "vitgan", "--no-ablation", "--device", "cpu", "--jobs", "2", "--out", str(out)]
    process = subprocess.Popen(
        [*python, setup + waiting + main, *arguments],
        cwd=pytestconfig.rootpath,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.time() + 120
    while last_step(out / "figures" / "vitgan") < 3 and time.time() < deadline and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    printed = process.communicate(timeout=120)
    assert process.returncode == 130 and "stopped and saved" in printed[1] and "Traceback" not in printed[1], printed
    assert (out / "figures" / "vitgan" / "checkpoint.h5").exists() and not (out / "poster.html").exists()
    assert last_step(out / "figures" / "vitgan") == 3

    call = [*python, setup + main, *arguments]
    done = subprocess.run(call, cwd=pytestconfig.rootpath, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    log = (out / "figures" / "vitgan" / "log.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in log if '"train"' in line]
    assert steps == [1, 2, 3, 4, 5, 6]  # gone on with, nothing done twice
    html = (out / "poster.html").read_text()
    assert "1 of 5 runs finished" in html and "Loss of the generator" in html
