"""Many runs at once, as the poster, a sweep and others train them: what is resumed and refused. The runs are stubs."""

import dataclasses
import json
import os
import signal
import sys

import pytest
from job_runs import configured, job

from experiments.parts import runner
from experiments.parts.forecast import forecast
from experiments.parts.holding import Stopped, hold_directory, stopped_by_signals
from experiments.parts.jobs import last_step, look
from experiments.parts.runner import Runner
from experiments.parts.settings import differences, refuse_changed
from minigan.errors import InputError

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


def run(jobs, out, at_once=2):
    with hold_directory(out) as lock:
        return Stubs(jobs, out, at_once, "cpu", lock).run()


def calls(out, name):
    return (out / name / "calls.txt").read_text().split()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(runner, "POLL", 0.02)


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
    """Its steps would give the same numbers. The error is that of `experiments.parts.train`."""
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


def test_what_diverged_and_what_failed_is_said_with_its_error(tmp_path, capsys):
    words = "training stopped: step 3: loss_d is nan"
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "output.txt").write_text(f"error: {words}\n\nfailed: {words}\n")
    with hold_directory(tmp_path) as lock:
        diverged = Stubs([job("a"), job("c")], tmp_path, 1, "cpu", lock)
        diverged.run()
        capsys.readouterr()
        assert diverged.sum_up() == 1
        said = f"1 of 2 runs diverged, and are not repeated unless their directories are deleted:\n  a: {words}\n"
        assert capsys.readouterr().err == "error: " + said
        assert diverged.sum_up(diverging_fails=False) == 0 and capsys.readouterr() == (said, "")
        failed = Stubs([job("a"), job("b", "--bad")], tmp_path, 1, "cpu", lock)
        failed.run()
        capsys.readouterr()
        assert failed.sum_up(diverging_fails=False) == 1
    error = "error: 1 of 2 runs failed:\n  b: the images <b>are</b> no images\n"
    assert capsys.readouterr() == (said, error)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_processes_and_the_next_call_goes_on(tmp_path, heard, number):
    jobs = [job("a", "--slow"), job("b", "--slow"), job("c")]
    started = []

    class Interrupted(Stubs):
        def start(self, job):
            started.append(super().start(job))
            return started[-1]

        def describe(self):
            if all((tmp_path / n / "log.jsonl").exists() for n in "ab"):
                os.kill(os.getpid(), number)
            return ""

    with hold_directory(tmp_path) as lock, stopped_by_signals(), pytest.raises(Stopped) as stopped:
        Interrupted(jobs, tmp_path, 2, "cpu", lock).run()
    assert stopped.value.number == number and str(stopped.value) == "stopped and saved; the same command goes on"
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
    assert last_step(tmp_path) == 0
    lines = [json.dumps({"kind": "train", "step": i, "text": "x" * 100}) for i in range(500)]
    (tmp_path / "log.jsonl").write_text("\n".join(lines) + '\n{"kind": "train", "st')
    assert last_step(tmp_path) == 499


def test_a_forecast_is_no_shorter_than_its_longest_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("minigan.pace.seconds_per_step", lambda *args, **options: 60.0)
    tiny = ("--g-width", "8", "--d-width", "8", "--eval-every", "0")
    for jobs, minutes in (([job("a", *tiny)], 10), ([job(name, *tiny) for name in "abc"], 15)):
        assert forecast(jobs, tmp_path, 2, "cpu") == 0
        assert f"at once: about {minutes} min" in capsys.readouterr().out.splitlines()[-1]


# Other settings --------------------------------------------------------------------------------------------


def test_a_run_of_other_settings_is_not_taken_for_ours(tmp_path):
    ours = job("figures/vitgan", "--variant", "vitgan")
    configured(tmp_path, ours)
    assert differences(look(ours, tmp_path)) == []
    (tmp_path / ours.name / "config.json").write_text(
        (tmp_path / ours.name / "config.json").read_text().replace('"equalised": false, ', "")
    )
    assert differences(look(ours, tmp_path)) == []  # of before there was such a field
    typed = job("figures/vitgan", "--variant", "vitgan", "--d-norm", "isn")  # what is the default anyway
    assert differences(look(typed, tmp_path)) == []
    labelled = job("labelled", "--labels")
    configured(tmp_path, labelled, classes=10)
    assert differences(look(labelled, tmp_path)) == []  # how many classes there are, the data say
    varied = job("varied", "--config", "other/config.json")
    configured(tmp_path, varied, g_lr=1.0)
    assert differences(look(varied, tmp_path)) == []
    assert differences(look(job("figures/new"), tmp_path)) == []
    more = job("figures/vitgan", "--variant", "vitgan", "--data", "mnist", steps=20)
    assert differences(look(more, tmp_path)) == ["--steps 10, now --steps 20", "no --data, now --data mnist"]
    faces = dataclasses.replace(ours, command="celeba")
    assert differences(look(faces, tmp_path)) == ["experiments.mnist, now experiments.celeba"]


def test_a_default_that_has_changed_since_is_noticed(tmp_path):
    ours = job("a")
    configured(tmp_path, ours, g_lr=0.5, d_norm="sn")
    assert differences(look(ours, tmp_path)) == ["d_norm sn, now isn", "g_lr 0.5, now 0.0045"]


def test_a_run_of_other_settings_is_refused(tmp_path):
    configured(tmp_path, job("a"))
    refuse_changed(job("a"), tmp_path)
    with pytest.raises(InputError, match=r"a was trained with other settings \(--steps 10, now --steps 20\): choose"):
        refuse_changed(job("a", steps=20), tmp_path)
