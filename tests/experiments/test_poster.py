"""`python -m experiments.poster`: its plan, many runs at once, what is resumed, refused, shown. Most runs are stubs."""

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
from matplotlib.colors import to_hex
from PIL import Image

from experiments.poster import __main__ as command
from experiments.poster import numbers, page, picture, plan, runs, tables
from experiments.poster.plan import ABLATION, FIGURES, SCALES, SEEDS, Scale, chosen
from experiments.poster.runs import Job, Runner, configuration, differences, hold_directory, look
from minigan.charts import LIGHT
from minigan.errors import InputError
from minigan.figures import image_grid, save_image

STUB = """
import json, pathlib, signal, sys, time
resumed = sys.argv[1] == "--resume"
directory = pathlib.Path(sys.argv[2] if resumed else sys.argv[sys.argv.index("--out") + 1])
steps = 10 if resumed else int(sys.argv[sys.argv.index("--steps") + 1])
with open(directory / "calls.txt", "a") as f:
    f.write("resume\\n" if resumed else "start\\n")
if (directory / "log.jsonl").exists() and not resumed:
    sys.exit("error: holds a run already")
stopped = []
signal.signal(signal.SIGINT, lambda *_: stopped.append(1))
def log(step):
    with open(directory / "log.jsonl", "a") as f:
        f.write(json.dumps({"kind": "train", "step": step, "seconds": 0.1 * step}) + "\\n")
log(steps // 2)
if "--slow" in sys.argv and not resumed:
    for _ in range(1000):
        time.sleep(0.02)
        if stopped:
            (directory / "checkpoint.h5").touch()
            sys.exit(130)
if "--bad" in sys.argv:
    print("something else", file=sys.stderr)
    sys.exit("error: the images <b>are</b> no images")
log(steps)
(directory / "samples.h5").touch()
"""


class Stubs(Runner):
    def program(self, job):
        return [sys.executable, "-S", "-c", STUB]


def job(name, *flags, steps=10):
    return Job(name, "mnist", ("--steps", str(steps), *flags))


def run(jobs, out, at_once=2):
    with hold_directory(out) as lock:
        return Stubs(jobs, out, at_once, "cpu", lock).run()


def calls(out, name):
    return (out / name / "calls.txt").read_text().split()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(runs, "POLL", 0.02)


# The plan --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", SCALES)
def test_every_flag_of_a_plan_is_one_its_command_takes(scale):
    jobs = plan.plan(SCALES[scale], Path("mnist"), Path("celeba"), Path("inception.h5"))
    assert len(jobs) == len({j.name for j in jobs}) == len(FIGURES) + SEEDS * len(ABLATION)
    for j in jobs:
        assert configuration(j).steps == j.steps
        assert "--digits" not in j.flags and "--data" in j.flags and "--inception" in j.flags


def test_rows_of_the_ablation_differ_from_the_base_in_what_they_say():
    jobs = {j.name: configuration(j) for j in plan.plan(SCALES["quick"])}
    base = dataclasses.asdict(jobs["ablation/base-1"])
    changed = {
        "no-sln": {"g_modulated": False},
        "linear": {"g_head": "linear"},
        "dot": {"d_similarity": "dot"},
        "l1": {"d_similarity": "l1"},
        "l2-printed": {"d_similarity": "l2_printed"},
        "sn": {"d_norm": "sn"},
        "no-norm": {"d_norm": "none"},
        "no-overlap": {"d_overlap": 0},
        "relu": {"activation": "relu"},
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


# Running ---------------------------------------------------------------------------------------------------


def test_runs_that_have_finished_are_not_repeated_and_a_failed_one_does_not_stop_the_rest(tmp_path, capfd):
    jobs = [job("figures/a"), job("figures/b", "--bad"), job("ablation/c-0"), job("ablation/c-1")]
    words = "the images <b>are</b> no images"
    assert run(jobs, tmp_path) == {"figures/b": words}
    assert f"figures/b failed: {words}" in capfd.readouterr().err
    assert [look(j, tmp_path).status for j in jobs] == ["finished", "failed", "finished", "finished"]
    assert look(jobs[1], tmp_path).words == words and look(jobs[1], tmp_path).step == 5
    run(jobs, tmp_path)
    assert [calls(tmp_path, j.name) for j in jobs] == [["start"], ["start", "start"], ["start"], ["start"]]


def test_a_run_that_diverged_is_not_trained_again_and_counts_as_failed(tmp_path):
    """Its steps would give the same numbers. The error is that of `experiments.cli.train`."""
    words = "training stopped: step 3: loss_d is nan"
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "output.txt").write_text(f"error: {words}\n\nfailed: {words}\n")
    assert look(job("a"), tmp_path).status == "diverged"
    assert run([job("a"), job("b")], tmp_path) == {"a": words}
    assert not (tmp_path / "a" / "log.jsonl").exists() and calls(tmp_path, "b") == ["start"]


def test_a_killed_process_is_told_by_its_signal(tmp_path):
    class Killed(Stubs):
        def program(self, job):
            return [sys.executable, "-S", "-c", "import os; os.kill(os.getpid(), 9)"]

    with hold_directory(tmp_path) as lock:
        assert Killed([job("a")], tmp_path, 1, "cpu", lock).run() == {"a": "killed by SIGKILL"}


def test_as_many_at_once_as_asked(tmp_path):
    most = []

    class Counting(Stubs):
        def start(self, job):
            most.append(len(self.running) + 1)
            return super().start(job)

    with hold_directory(tmp_path) as lock:
        Counting([job(f"run-{i}") for i in range(5)], tmp_path, 3, "cpu", lock).run()
    assert max(most) == 3


def test_ctrl_c_stops_the_processes_and_the_next_call_goes_on(tmp_path, monkeypatch):
    jobs = [job("a", "--slow"), job("b", "--slow"), job("c")]
    started = []

    class Interrupted(Stubs):
        def start(self, job):
            started.append(super().start(job))
            return started[-1]

        def describe(self):
            if all((tmp_path / n / "log.jsonl").exists() for n in "ab"):
                raise KeyboardInterrupt
            return ""

    with hold_directory(tmp_path) as lock, pytest.raises(KeyboardInterrupt):
        Interrupted(jobs, tmp_path, 2, "cpu", lock).run()
    assert [p.poll() for p in started] == [130, 130]
    assert [look(j, tmp_path).status for j in jobs] == ["stopped", "stopped", "waiting"]
    assert run(jobs, tmp_path) == {}
    assert [calls(tmp_path, n) for n in "abc"] == [["start", "resume"], ["start", "resume"], ["start"]]


def test_a_run_killed_before_its_first_checkpoint_starts_anew(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "log.jsonl").write_text('{"kind": "train", "step": 4}\n')
    assert run([job("a")], tmp_path) == {}
    assert calls(tmp_path, "a") == ["start"]


def test_two_calls_do_not_train_in_one_directory(tmp_path):
    with (
        hold_directory(tmp_path),
        pytest.raises(InputError, match="another call is at work in"),
        hold_directory(tmp_path),
    ):
        pass
    with hold_directory(tmp_path):
        pass


def test_the_step_is_read_from_the_last_whole_line(tmp_path):
    assert runs.last_step(tmp_path) == 0
    lines = [json.dumps({"kind": "train", "step": i, "text": "x" * 100}) for i in range(500)]
    (tmp_path / "log.jsonl").write_text("\n".join(lines) + '\n{"kind": "train", "st')
    assert runs.last_step(tmp_path) == 499


# Other settings --------------------------------------------------------------------------------------------


def configured(out, j, **options):
    """The config.json that the run of a job writes, with some of its options otherwise."""
    directory = out / j.name
    directory.mkdir(parents=True, exist_ok=True)
    config = {
        "command": f"python -m experiments.{j.command} {' '.join(j.flags)} --out {directory} --device cpu",
        "options": {**dataclasses.asdict(configuration(j)), **options},
    }
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "log.jsonl").write_text('{"kind": "train", "step": 10, "seconds": 1}\n')
    return directory


def test_a_run_of_other_settings_is_not_taken_for_ours(tmp_path):
    ours = job("figures/vitgan", "--variant", "vitgan")
    configured(tmp_path, ours)
    assert differences(look(ours, tmp_path)) == []
    (tmp_path / ours.name / "config.json").write_text(
        (tmp_path / ours.name / "config.json").read_text().replace('"equalised": false, ', "")
    )
    assert differences(look(ours, tmp_path)) == []  # of before there was such a field
    assert differences(look(job("figures/new"), tmp_path)) == []
    more = job("figures/vitgan", "--variant", "vitgan", "--data", "mnist", steps=20)
    assert differences(look(more, tmp_path)) == ["--steps 10, now --steps 20", "no --data, now --data mnist"]
    faces = dataclasses.replace(ours, command="celeba")
    assert differences(look(faces, tmp_path)) == ["experiments.mnist, now experiments.celeba"]


def test_a_default_that_has_changed_since_is_noticed(tmp_path):
    ours = job("a")
    configured(tmp_path, ours, g_lr=0.5, d_norm="sn")
    assert differences(look(ours, tmp_path)) == ["d_norm sn, now bound", "g_lr 0.5, now 0.003"]


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


# The numbers -----------------------------------------------------------------------------------------------


def record(step, distance, key="digit_fid", **figures):
    return {"kind": "eval", "step": step, "seconds": step / 10, key: distance, "floor": 2.0, **figures}


def result(name, records, status="finished", **fields):
    steps = max([r["step"] for r in records], default=10)
    return runs.Result(job(name, steps=steps), Path("nowhere"), status, steps, records=records, **fields)


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


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """The directory of a whole poster, as its runs would have left it."""
    out = tmp_path_factory.mktemp("poster")
    rng = np.random.default_rng(0)
    for j in plan.plan(SCALES["quick"]):
        directory = configured(out, j)
        config = json.loads((directory / "config.json").read_text())
        faces = j.name == "figures/faces"
        config["data"] = {"name": "drawn faces" if faces else "stroke-digits"}
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
        if not faces:
            measured |= {"classes": 10, "class_shares": [0.1] * 10}
        key = "random_fid" if faces else "digit_fid"
        evals = [record(s, 20 * j.steps / s * rng.uniform(1, 2), key, **measured) for s in (j.steps // 2, j.steps)]
        (directory / "log.jsonl").write_text("\n".join(map(json.dumps, [*train, *evals])))
        (directory / "samples.h5").touch()
        if j.name.startswith("figures/"):
            grid = image_grid(rng.integers(0, 256, (100, 8, 8), dtype=np.uint8))
            save_image(grid, directory / "samples" / f"step-{j.steps:06d}.png")
            save_image(grid, directory / "real.png")
    return out


def results(out):
    return [look(j, out) for j in plan.plan(SCALES["quick"])]


def test_the_page_has_all_figures_and_never_sets_two_distances_side_by_side_unsaid(everything):
    html = page.page(results(everything), "quick", "python -m experiments.poster")
    for words in (
        "figures 4 to 6",
        "Figure 7",
        "Figure 8",
        "Figure 9",
        "Figure 11",
        "figure 10",
        "41 of 41 runs finished",
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
    assert html.count("<svg") == 3 + 2 + 2 + 1  # figures 4 to 6, figure 10 over steps and minutes, the ablation
    assert "by chance alone once in ten" in html
    assert set(re.findall(r"https?://[\w.]+", html)) <= {"http://www.w3.org"}  # opens without a network


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
    assert "Nothing has been evaluated yet" in html and "41 runs are not trained yet" in html
    assert picture.poster_picture(results(tmp_path)) is None and picture.ablation_picture(results(tmp_path)) is None
    some = [
        r if r.job.name in ("figures/cnn", "ablation/base-0", "ablation/sn-1") else look(r.job, tmp_path)
        for r in results(everything)
    ]
    html = page.page(some, "quick", "x")
    assert "38 runs are not trained yet" in html and html.count("not there yet") >= 5
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
        (["--mnist", "nowhere"], "--mnist nowhere does not exist"),
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
    assert len(printed) == 42 and printed[0].startswith("figures/faces") and "--variant cnn" in printed[1]
    assert re.fullmatch(r"41 runs, 2 at once: about \d.*", printed[-1])
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
        "from experiments.poster import __main__, plan, runs; runs.POLL = 0.05; "
        f"plan.SCALES['quick'] = {scale!r}; ".replace("Scale(", "plan.Scale(")
    )
    waiting = f"runs.Runner.program = lambda self, job: [sys.executable, '-c', {WAITING!r}]; "
    main = "sys.exit(__main__.main(sys.argv[1:]))"
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
    while runs.last_step(out / "figures" / "vitgan") < 3 and time.time() < deadline and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    printed = process.communicate(timeout=120)
    assert process.returncode == 130 and "stopped and saved" in printed[1] and "Traceback" not in printed[1], printed
    assert (out / "figures" / "vitgan" / "checkpoint.h5").exists() and not (out / "poster.html").exists()
    assert runs.last_step(out / "figures" / "vitgan") == 3

    call = [*python, setup + main, *arguments]
    done = subprocess.run(call, cwd=pytestconfig.rootpath, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    log = (out / "figures" / "vitgan" / "log.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in log if '"train"' in line]
    assert steps == [1, 2, 3, 4, 5, 6]  # gone on with, nothing done twice
    html = (out / "poster.html").read_text()
    assert "1 of 5 runs finished" in html and "Loss of the generator" in html
