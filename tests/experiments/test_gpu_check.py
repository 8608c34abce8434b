"""`python -m experiments.gpu_check`, with made-up stages: what hangs, crashes, fails, goes on, is skipped."""

import json
import re
import sys

import pytest
from well_formed import Page

from autograd.arrays import best_device
from experiments.cli import run_main
from experiments.gpu_check import __main__ as command
from experiments.gpu_check import measure, page, runner, stages
from experiments.gpu_check.runner import ROOT, Runner
from experiments.gpu_check.stages import Stage, every_stage
from minigan.errors import InputError
from minigan.lock import hold_lock


def python(name, code, *args, limit=100.0, needs=()):
    """A stage that runs a few lines of Python; its folder is sys.argv[1]."""
    return Stage(name, f"what {name} shows", [sys.executable, "-S", "-c", code, stages.FOLDER, *args], limit, needs)


def environment(**missing):
    code = "import pathlib, sys; pathlib.Path(sys.argv[1], 'found.json').write_text(sys.argv[2])"
    found = {"missing": missing} | ({} if "gpu" in missing else {"gpu": "NVIDIA <H100>"})
    return python("environment", code, json.dumps(found))


PASSES = python("passes", "print('fine')")
CRASHES = python("crashes", "import sys; print('first'); sys.exit('it is <broken>')")
COUNTS = "import sys; open(sys.argv[2], 'a').write('x')"

# Starts a child that holds a lock, sleeps for two minutes, and then says that it lives
PARENT = """
import pathlib, subprocess, sys, time
child = '''
import fcntl, pathlib, sys, time
there = pathlib.Path(sys.argv[1])
lock = open(there / "lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
(there / "ready").touch()
time.sleep(120)
(there / "survived").touch()
'''
subprocess.Popen([sys.executable, "-S", "-c", child, sys.argv[2]])
while not pathlib.Path(sys.argv[2], "ready").exists():
    time.sleep(0.01)
"""


def run(out, *table, seconds=100.0):
    made = Runner(out, seconds, "python -m experiments.gpu_check")
    made.run(table)
    assert json.loads((out / "record.json").read_text()) == made.record
    return made.entries


def statuses(entries):
    return {name: entry["status"] for name, entry in entries.items()}


# ---- how stages end


def assert_dead(there):
    """A process that ends gives its lock back. A child that was not killed would live to say so."""
    with hold_lock(there / "lock", "the child lives", wait=True):
        assert not (there / "survived").exists()


def test_a_stage_that_hangs_is_killed_with_its_children(tmp_path):
    hangs = python("hangs", PARENT + "time.sleep(600)", str(tmp_path), limit=0.5)
    entries = run(tmp_path / "out", PASSES, hangs, python("next", ""))
    assert_dead(tmp_path)
    assert statuses(entries) == {"passes": "passed", "hangs": "timed out", "next": "passed"}
    assert entries["hangs"]["why"] == "killed at its limit of 0.5 s"


def test_what_a_stage_leaves_running_is_killed(tmp_path):
    assert statuses(run(tmp_path / "out", python("leaves", PARENT, str(tmp_path)))) == {"leaves": "passed"}
    assert (tmp_path / "ready").exists()
    assert_dead(tmp_path)


def test_a_stage_that_crashes_is_recorded_with_its_last_words(tmp_path, capsys):
    dies = python("dies", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    absent = Stage("absent", "", ["no-such-program"], 100.0, ())
    entries = run(tmp_path, CRASHES, dies, absent, PASSES)
    assert {name: e["why"] for name, e in entries.items() if name != "absent"} == {
        "crashes": "exit status 1: it is <broken>",
        "dies": "killed by signal 11",
        "passes": "",
    }
    assert "no-such-program" in entries["absent"]["why"]
    assert [*statuses(entries).values()] == ["failed"] * 3 + ["passed"]
    log = (tmp_path / "log.txt").read_text()
    assert re.findall("===== (.*)", log) == ["crashes", "dies", "absent", "passes"] and "first" in log and "fine" in log
    assert "it is <broken>" in capsys.readouterr()[0]


def test_words_of_a_stage_name_no_folder_of_this_machine(tmp_path):
    entries = run(tmp_path, python("names", f"import sys; sys.exit(sys.argv[1] + ' {ROOT}/tests/x.py')"))
    assert entries["names"]["why"] == "exit status 1: names tests/x.py"


JUNIT = """<testsuites><testsuite><testcase name="good[cuda]"/><testcase name="out"><skipped message="no"/></testcase>
<testcase name="bad[cuda]"><failure message="AssertionError: 1 &lt; 2&#10;more">trace</failure></testcase>
<testcase name="worse"><error message="failed on setup"/></testcase></testsuite></testsuites>"""


def test_tests_that_failed_are_listed(tmp_path):
    code = "import pathlib, sys; pathlib.Path(sys.argv[1], 'junit.xml').write_text(sys.argv[2]); sys.exit(1)"
    entry = run(tmp_path, python("tests", code, JUNIT))["tests"]
    assert entry["found"] == {
        "tests passed": 1,
        "tests skipped": 1,
        "failed tests": [["bad[cuda]", "AssertionError: 1 < 2"], ["worse", "failed on setup"]],
        "wrong": [],
    }
    assert entry["why"] == "bad[cuda]: AssertionError: 1 < 2; worse: failed on setup"


def test_tests_that_are_all_skipped_have_shown_nothing(tmp_path):
    code = "import pathlib, sys; pathlib.Path(sys.argv[1], 'junit.xml').write_text(sys.argv[2])"
    skipped = '<testsuite><testcase name="a"><skipped message="there is no GPU"/></testcase></testsuite>'
    entry = run(tmp_path, python("tests", code, skipped))["tests"]
    assert entry["status"] == "failed" and entry["why"] == "every test was skipped: there is no GPU"


def test_what_commands_leave_is_read(tmp_path):
    row = {"name": "small", "section": "step", "ratio": {}, "samples": {"ours": [1.0]}, "differs": "plain: y"}
    (tmp_path / "bench.json").write_text(json.dumps({"rows": [row], "machine": {"gpu": "G"}}))
    log = [{"kind": "eval", "step": 8, "digit_fid": 3.0}, {"kind": "train", "step": 8, "seconds": 2.0}]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log) + '{"kind": "tr')
    (tmp_path / "sanitizer.txt").write_text("========= COMPUTE-SANITIZER\n========= ERROR SUMMARY: 0 errors\n")
    (tmp_path / "found.json").write_text('{"cut')
    found = runner.what_it_left(tmp_path)
    assert found["wrong"] == ["small: plain: y"] and "samples" not in found["rows"][0]
    assert found["evaluations"] == log[:1] and found["trained"] == log[1]
    assert found["summary"] == "ERROR SUMMARY: 0 errors"


# ---- going on


@pytest.mark.slow
def test_a_second_call_goes_on(tmp_path):
    ran, out = tmp_path / "ran", tmp_path / "out"
    good, hangs = python("good", COUNTS, str(ran)), python("hangs", "import time; time.sleep(600)", limit=0.5)
    first = run(out, environment(), good, CRASHES, hangs)
    assert statuses(first) == {"environment": "passed", "good": "passed", "crashes": "failed", "hangs": "timed out"}
    mended = [python(name, "") for name in ("crashes", "hangs", "later")]
    second = run(out, environment(), good, *mended)
    assert set(statuses(second).values()) == {"passed"} and ran.read_text() == "x"
    assert (out / "log.txt").read_text().count("=====") == 4 + 4  # the environment runs in each call


def test_what_ended_badly_runs_after_what_has_never_run(tmp_path):
    """In a call that has time for a few stages, a stage that always hangs would else take the time of the others."""
    note = "import sys; open(sys.argv[2], 'a').write(sys.argv[3])"
    order, out = tmp_path / "order", tmp_path / "out"
    a, b, c = (python(name, note, str(order), name) for name in "abc")
    run(out, environment(), python("a", "import sys; sys.exit(1)"), b)
    run(out, environment(), a, b, c)
    assert order.read_text() == "bca"


@pytest.mark.parametrize(("before", "goes_on"), [("timed out", True), ("no time left", True), ("failed", False)])
def test_a_training_that_was_cut_short_goes_on(before, goes_on, tmp_path):
    """One that failed begins anew, for what made it fail may be in its checkpoint."""
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "checkpoint.h5").touch()
    command = (sys.executable, "-S", "-c", "import os, sys; print(sys.argv[2], os.listdir(sys.argv[1]))", stages.FOLDER)
    made = Runner(tmp_path, 100.0, "")
    made.entries["training"] = {"status": before, "why": "", "seconds": 1.0}
    made.run([Stage("training", "", [*command, "anew"], 100.0, (), (*command, "on"))])
    assert made.entries["training"]["status"] == "passed"
    assert ("on ['checkpoint.h5']" if goes_on else "anew []") in (tmp_path / "log.txt").read_text()


def test_each_stage_names_its_gpu_for_a_second_call_may_meet_another(tmp_path):
    run(tmp_path, environment(), PASSES)
    other = python("environment", environment().command[3], '{"missing": {}, "gpu": "NVIDIA H200"}')
    entries = run(tmp_path, other, PASSES, python("later", ""))
    assert [entries[name]["gpu"] for name in ("passes", "later")] == ["NVIDIA <H100>", "NVIDIA H200"]
    text = Page(page.page({"stages": entries}, [PASSES, python("later", "")], tmp_path)).text
    assert "NVIDIA <H100>, NVIDIA H200" in text or "NVIDIA H200, NVIDIA <H100>" in text
    assert "on NVIDIA <H100>" in text and "on NVIDIA H200" in text


@pytest.mark.slow
def test_without_time_nothing_is_begun_and_what_was_found_stays(tmp_path, monkeypatch):
    assert statuses(run(tmp_path, PASSES, CRASHES, seconds=0)) == {"passes": "no time left", "crashes": "no time left"}
    assert statuses(run(tmp_path, PASSES, CRASHES)) == {"passes": "passed", "crashes": "failed"}
    assert statuses(run(tmp_path, PASSES, CRASHES, seconds=0)) == {"passes": "passed", "crashes": "failed"}
    monkeypatch.setattr(runner, "LEAST", 0.0)
    hangs = python("hangs", "import time; time.sleep(600)")
    (entry,) = run(tmp_path / "out", hangs, seconds=0.5).values()
    assert entry["status"] == "no time left" and "when the time of the call was over" in entry["why"]


def test_what_is_missing_here_is_skipped_with_a_reason_and_runs_once_it_is_there(tmp_path, capsys):
    table = [python("kernels", "", needs=("gpu",)), python("beside", "", needs=("gpu", "torch"))]
    entries = run(tmp_path, environment(gpu="no GPU is here", torch="no PyTorch"), *table)
    assert statuses(entries) == {"environment": "passed", "kernels": "skipped", "beside": "skipped"}
    assert entries["beside"]["why"] == "no GPU is here"
    assert "it would show what kernels shows; no GPU is here" in capsys.readouterr()[0]
    entries = run(tmp_path, environment(torch="no PyTorch"), *table)
    assert statuses(entries)["kernels"] == "passed" and entries["beside"]["why"] == "no PyTorch"
    assert set(statuses(run(tmp_path, environment(), *table)).values()) == {"passed"}


def test_a_record_of_a_gpu_may_be_looked_at_without_one(tmp_path):
    fails = python("kernels", "import sys; sys.exit('wrong')", needs=("gpu",))
    run(tmp_path, environment(), fails)
    entries = run(tmp_path, environment(gpu="no GPU is here"), fails)
    assert entries["environment"]["found"]["gpu"] == "NVIDIA <H100>" and entries["kernels"]["why"].endswith("wrong")


def test_an_interrupt_is_recorded(tmp_path, monkeypatch, capsys):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "every_stage", lambda: [PASSES])
    monkeypatch.setattr(runner, "run_group", interrupted)
    monkeypatch.setattr(sys, "argv", ["gpu_check", str(tmp_path)])
    with pytest.raises(SystemExit) as e:
        run_main(command.main)
    assert e.value.code == 130 and "interrupted" in (tmp_path / "gpu.html").read_text()
    assert json.loads((tmp_path / "record.json").read_text())["stages"]["passes"]["status"] == "interrupted"


# ---- the command


def test_only_takes_parts_of_names_and_the_environment_runs_always(tmp_path, monkeypatch, capsys):
    table = [environment(), python("step small", ""), python("step poster", ""), CRASHES]
    monkeypatch.setattr(stages, "every_stage", lambda: table)
    assert command.main([str(tmp_path), "--only", "Small"]) == 0
    assert list(json.loads((tmp_path / "record.json").read_text())["stages"]) == ["environment", "step small"]
    assert command.main([str(tmp_path), "--only", "poster, crash"]) == 1
    entries = json.loads((tmp_path / "record.json").read_text())["stages"]
    assert statuses(entries)["step poster"] == "passed" and statuses(entries)["crashes"] == "failed"
    html = (tmp_path / "gpu.html").read_text()
    assert "it is &lt;broken&gt;" in html and "3 of 4 stages passed" in html and "NVIDIA &lt;H100&gt;" in html


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--minutes", "0"], "--minutes must be greater than 0"),
        (["--minutes", "nan"], "--minutes must be greater than 0"),
        (["--only", "stepp"], "--only stepp: no stage has it in its name; they are environment, kernels"),
        ([], "record.json is not a record"),
    ],
)
def test_bad_arguments_are_one_sentence_and_status_2(flags, says, tmp_path, capsys, monkeypatch):
    (tmp_path / "record.json").write_text('{"stages": {"environment": "fine"}}')
    monkeypatch.setattr(sys, "argv", ["gpu_check", str(tmp_path), *flags])
    with pytest.raises(SystemExit) as e:
        run_main(command.main)
    err = capsys.readouterr()[1]
    assert e.value.code == 2 and err.startswith("error: ") and err.count("\n") == 1 and says in err
    assert not (tmp_path / "gpu.html").exists()


def test_a_file_in_place_of_the_directory_is_refused(tmp_path, capsys, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(sys, "argv", ["gpu_check", str(tmp_path / "file")])
    with pytest.raises(SystemExit) as e:
        run_main(command.main)
    assert e.value.code == 2 and capsys.readouterr()[1].count("\n") == 1
    entry = {"status": "passed", "why": ""}
    for odd in ({"status": "passed"}, entry | {"found": 1}, entry | {"seconds": ""}):
        (tmp_path / "record.json").write_text(json.dumps({"stages": {"kernels": odd}}))
        with pytest.raises(InputError, match="not a record"):
            runner.read_record(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(best_device() == "cuda", reason="there is a GPU, and all of it would run")
def test_without_a_gpu_every_stage_says_what_it_would_show(tmp_path, capsys):
    assert command.main([str(tmp_path)]) == 0
    out, html = capsys.readouterr()[0], (tmp_path / "gpu.html").read_text()
    for stage in every_stage()[1:]:
        assert re.search(f"^{re.escape(stage.name)} +skipped +it would show {stage.shows}; device cuda", out, re.M)
        assert stage.name in html and stage.shows in html
    assert "There is no GPU here" in html and (tmp_path / "table.md").read_text() == "Nothing was measured on a GPU.\n"


# ---- the table of stages


def test_stages_run_what_is_there():
    table = every_stage()
    folders = {stage.name.replace(" ", "-").lower() for stage in table}
    assert len(folders) == len(table) and table[0].name == "environment" and table[0].needs == ()
    for stage in table:
        assert set(stage.needs) <= {"gpu", "GPUs", "MPI", "tests", "torch", "compute-sanitizer"}
        assert "," not in stage.name
        assert any(stages.FOLDER in word for word in stage.command)
        assert all((ROOT / word).is_file() for word in stage.command if word.startswith("tests/"))


@pytest.mark.slow
def test_stages_that_are_other_commands_give_them_flags_they_know():
    from experiments.bench import __main__ as bench
    from experiments.mnist import parser as mnist

    for stage in every_stage():
        program, args = stage.command[2], stage.command[3:]
        if program == "experiments.bench":
            only = bench.parser().parse_args(args).only
            sections = [case.section for case in bench.chosen(only, False)]
            assert sections == ["step"] if stage.name in stages.BESIDE_TORCH else set(sections) == {"ops"}, stage.name
        elif program == "experiments.mnist":
            mnist().parse_args(args)
        elif program == "experiments.gpu_check.measure":
            assert args[1] in measure.MEASURES and set(args[2:3]) <= set(stages.STEPS)
