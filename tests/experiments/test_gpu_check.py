"""`python -m experiments.gpu_check`, with made-up stages: what hangs, crashes, fails, goes on, is skipped; its page."""

import json
import re
import sys
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from emulation import nvrtc
from fake_cuda import fake_cuda
from slow import slow_but_the_first
from strict_device import StrictArray, strict

from autograd import accelerate, ops
from autograd.accelerate.gpu import launch
from autograd.arrays import DEVICES, best_device, to_host
from autograd.registry import TWINS
from experiments.cli import run_main
from experiments.gpu_check import __main__ as command
from experiments.gpu_check import measure, page, runner, stages
from experiments.gpu_check.runner import ROOT, Runner
from experiments.gpu_check.stages import Stage, every_stage
from minigan.errors import InputError
from minigan.lock import hold_lock
from minigan.ranks import One


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


# ---- what is measured


def stub_cupy(busy=True, leak=0):
    """What `measure.step` asks of CuPy. busy: the device is still at work when the steps have been started."""
    free = iter(range(10 * measure.GROWN * 2**20, 0, -max(leak, 1) * 2**20) if leak else [0] * 10)
    event = SimpleNamespace(record=lambda: None, synchronize=lambda: None, done=not busy)
    pool = SimpleNamespace(total_bytes=lambda: 3 * 2**20, free_all_blocks=lambda: None)
    cuda = SimpleNamespace(
        Event=lambda: event,
        Device=lambda: SimpleNamespace(synchronize=lambda: None),
        get_elapsed_time=lambda a, b: 400.0,
        runtime=SimpleNamespace(memGetInfo=lambda: (next(free), 0)),
    )
    names = {"cuda": cuda, "RawKernel": lambda code, name: lambda *args: None, "asnumpy": np.asarray}
    return SimpleNamespace(**names, get_default_memory_pool=lambda: pool)


def stub_gan(taken, stats):
    dot = (
        '"graph_1_node_0"[label="0"]; "graph_1_node_1"[label="1"]; "graph_1_node_0" -> "graph_1_node_1" [headlabel=0];'
    )
    graph = SimpleNamespace(debug_dot_str=lambda flags: dot)
    captured = SimpleNamespace(graph=graph, pool=SimpleNamespace(total_bytes=lambda: 5 * 2**20))
    return SimpleNamespace(capture=lambda: (captured, 0), step=lambda: taken.append(1), stats=stats)


@pytest.mark.parametrize(
    ("how", "stats", "wrong"),
    [
        ({}, 0.0, []),
        ({"busy": False}, 0.0, ["a captured step waits for the device"]),
        ({"leak": 7}, 0.0, ["memory grew by 7 MiB in 1,000 steps"]),
        ({}, np.nan, ["a loss or a gradient is not a finite number"]),
    ],
)
def test_a_step_that_waits_or_grows_or_diverges_is_wrong(how, stats, wrong, tmp_path, monkeypatch):
    taken = []
    monkeypatch.setitem(sys.modules, "cupy", stub_cupy(**how))
    monkeypatch.setattr(measure, "gan_of", lambda name, graph: stub_gan(taken, np.full(7, stats)))
    found = measure.step(tmp_path, "small", "float32")
    assert found["wrong"] == wrong and found["nodes"] == 2 and found["memory of the graph, MiB"] == 5
    assert found["captured"]["ms"] == 2 and found["eager"]["ms"] == 20 and found["steps"] == 1000
    assert len(taken) == 10 + (5 + 200) + 3 + 1000 + (5 + 20)
    left = json.loads((tmp_path / "found.json").read_text())  # were it killed in the thousand steps
    assert left["captured"]["ms"] == 2 and "wrong" not in left
    kept = {"stages": {"step small float32": {"status": "timed out", "why": "", "found": left}}}
    assert "2 ms" in Page(page.page(kept, every_stage(), tmp_path)).text


class Ranks(One):
    """Two ranks, of which this is the first. equal: whether both have the same weights."""

    size = 2

    def __init__(self, equal):
        self.equal, self.called = equal, []

    def one_gpu(self):
        self.called.append("one_gpu")

    def use_nccl(self, xp):
        self.called.append("use_nccl")

    def check_equal(self, arrays, what):
        assert [a.tolist() for a in arrays] == [[1.0], [2.0]]
        if not self.equal:
            raise InputError(f"{what} differ between the ranks")


@pytest.mark.parametrize("equal", [True, False])
def test_ranks_that_end_with_other_weights_are_wrong(equal, stand_in, monkeypatch, tmp_path):
    world, taken = Ranks(equal), []
    monkeypatch.setattr("minigan.ranks.join", lambda: world)
    monkeypatch.setitem(sys.modules, "cupy", stub_cupy())
    adams = [SimpleNamespace(flat=SimpleNamespace(data=np.array([x]))) for x in (1.0, 2.0)]
    gan = SimpleNamespace(step=lambda: taken.append(1), adam_d=adams[0], adam_g=adams[1])
    monkeypatch.setattr(measure, "gan_of", lambda name, graph, world: gan)
    found = measure.share(tmp_path, "small")
    assert found["ms"] == 4 and len(taken) == 5 + 100 and world.called == ["one_gpu", "use_nccl"]
    assert found["wrong"] == ([] if equal else ["the weights differ between the ranks"])


def test_a_step_is_shared_by_as_many_gpus_as_there_are(monkeypatch, tmp_path):
    """Two ranks end with other weights, and four crash."""

    def launch(command):
        mpiexec, _, n, *program = command
        assert mpiexec == "/mpiexec" and program[1:5] == ["-m", "mpi4py", "-m", "experiments.gpu_check.measure"]
        folder, what, name = program[5:]
        assert (folder, what, name) == (str(tmp_path / n), "share", "poster")
        if n != "4":
            left = {"ms": 8.0 / int(n), "wrong": ["the weights differ"] if n == "2" else []}
            (tmp_path / n / "found.json").write_text(json.dumps(left))
        return SimpleNamespace(returncode={"1": 0, "2": 1, "4": 139}[n])

    monkeypatch.setattr("minigan.ranks.mpiexec", lambda: "/mpiexec")
    monkeypatch.setattr(measure, "counts", lambda: [1, 2, 4])
    monkeypatch.setattr(measure.subprocess, "run", launch)
    found = measure.ranks(tmp_path, "poster")
    assert found["ms"] == {"1": 8.0, "2": 4.0}
    assert found["wrong"] == ["2 GPUs: the weights differ", "4 GPUs: exit status 139"]


@pytest.mark.parametrize(("gpus", "numbers"), [(1, [1]), (2, [1, 2]), (3, [1, 2]), (8, [1, 2, 4, 8])])
def test_ranks_are_counted_in_doubles(gpus, numbers, monkeypatch):
    runtime = SimpleNamespace(getDeviceCount=lambda: gpus)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=SimpleNamespace(runtime=runtime)))
    assert measure.counts() == numbers


@pytest.fixture
def stand_in(monkeypatch):
    """A stand-in for CuPy, on which no kernel of ours runs."""
    monkeypatch.setitem(DEVICES, "cuda", strict)
    monkeypatch.setattr(accelerate, "GPU", {})
    monkeypatch.delitem(TWINS, strict, raising=False)
    yield
    TWINS.pop(strict, None)


def test_every_kernel_is_loaded_and_large_attention_compared(stand_in, monkeypatch, tmp_path):
    asked, wanted = [], ("num_regs", "local_size_bytes", "shared_size_bytes", "max_threads_per_block")
    function = SimpleNamespace(**dict.fromkeys(wanted, 7))
    module = SimpleNamespace(get_function=lambda name: asked.append(name) or function)
    monkeypatch.setattr(launch, "_cupy_module", lambda source: module)
    found = measure.kernels(tmp_path)
    assert asked == list(launch.kernels()) == list(found["kernels"]) and found["wrong"] == []
    monkeypatch.setattr(ops, "attention", lambda q, k, v, similarity, right=ops.attention: wrong(right(q, k, v), q))
    assert len(measure.kernels(tmp_path)["wrong"]) == 2


def wrong(y, q):
    return y * 1.001 if isinstance(q.data, StrictArray) else y


@pytest.mark.parametrize("name", slow_but_the_first(stages.STEPS))
def test_a_gan_of_each_configuration_is_captured(name, stand_in, monkeypatch):
    tiny = {"batch": 2, "latent": 8, "g_head_width": 8, "cnn_width": 4}
    tiny |= {f"{net}_{size}": n for net in "gd" for size, n in (("width", 24), ("depth", 1))}
    monkeypatch.setitem(stages.STEPS, name, stages.STEPS[name] | tiny)
    with fake_cuda() as cuda:
        gan = measure.gan_of(name, graph=True)
        gan.step()
        assert cuda.launches == 1 and np.isfinite(to_host(gan.stats)).all()


def test_the_kernel_that_holds_the_device_up_compiles():
    library = nvrtc.library()
    if library is None:
        pytest.skip("needs the wheel nvidia-cuda-nvrtc")
    assert [*nvrtc.compile_cuda(library, measure.HOLDER, 90)] == ["hold"]


def test_a_trace_is_summed_by_kernel():
    events = [{"cat": "cpu_op", "name": "x", "ts": 0, "dur": 1000}]
    events += [{"cat": "kernel", "name": "gemm", "ts": 100 * i, "dur": 30} for i in range(4)]
    events += [{"cat": "gpu_memcpy", "name": "copy", "ts": 100 * i + 50, "dur": 10} for i in range(2)]
    assert measure.summed(events, replays=2) == {
        "µs busy": 70,
        "µs in all": 165,
        "kernels": [("gemm", 60, 2), ("copy", 10, 1)],
    }
    assert measure.summed(events[:1], 2)["wrong"] == ["the profiler saw no kernel"]


def test_what_was_measured_is_written_and_what_is_wrong_fails(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(measure.MEASURES, "bad", lambda folder, x: {"x": x, "wrong": ["x is ½"]})
    assert measure.main([str(tmp_path), "bad", "7"]) == 1
    assert json.loads((tmp_path / "found.json").read_text(encoding="utf-8")) == {"x": "7", "wrong": ["x is ½"]}


# ---- the page


def gpu_record():
    """A record as a call on a GPU leaves it, with a stage of each kind of end. All figures are made up."""
    passed = {"status": "passed", "why": "", "seconds": 12.3, "commit": "abc", "found": {}}
    entries = {stage.name: dict(passed) for stage in every_stage()}

    def leaves(name, **found):
        entries[name] = passed | {"found": found}

    facts = {"compute capability": "90", "multiprocessors": 132, "memory, MiB": 81559, "driver": 13000}
    leaves("environment", missing={}, gpu="NVIDIA H100 <made up>", versions={"cupy-cuda13x": "14.2.0"}, **facts)
    names = ("adam_update", "attention_forward", "attention_backward", "layer_norm_forward")
    kernel = {"num_regs": 40, "local_size_bytes": 0, "shared_size_bytes": 4096, "max_threads_per_block": 1024}
    leaves("kernels", kernels=dict.fromkeys(names, kernel), **{"error of attention": {"100 tokens": 1.9e-6}})
    leaves("tests of kernels", **{"tests passed": 26, "tests skipped": 0, "failed tests": []})
    for i, name in enumerate(stages.STEPS):
        for rounding, speed in (("float32", 1.0), ("TF32", 0.6)):
            ms = speed * (2.61, 14.8, 46.2, 9.3, 1.9)[i]
            times = {"captured": {"ms": ms, "host ms": 0.33}, "eager": {"ms": 10 + 7 * ms, "host ms": 9 + 7 * ms}}
            sizes = {"nodes": 1155 + 80 * i, "memory of the graph, MiB": 59.0 * (1 + 9 * i), "steps": 1000}
            leaves(f"step {name} {rounding}", **times, **sizes, **{"waits": False, "grown by, MiB": 0.0, "wrong": []})
    course = {1000: 49.0, 2000: 27.5, 3000: 21.0, 4000: 16.4, 5000: 14.2, 6000: 12.9, 7000: 12.4, 8000: 12.6}
    evaluations = [{"kind": "eval", "step": s, "digit_fid": x, "floor": 1.18, "classes": 10} for s, x in course.items()]
    trained = {"kind": "train", "step": 8000, "seconds": 31.4, "images_per_second": 11240.0}
    leaves("training", evaluations=evaluations, trained=trained)
    for i, name in enumerate(stages.BESIDE_TORCH):
        ratio = {"plain": [0.15 + 0.2 * i, 0.14, 0.17], "best": [0.6 + 0.1 * i, 0.58, 0.63]}
        row = {"section": "step", "name": f"{name.split()[1]}, batch 32", "unit": "s", "differs": None, "flops": 1.5e9}
        row |= {"processor share": 1.0, "note": "", "ratio": ratio}
        row["median"] = {"ours": 0.0026, "plain": 0.0171, "best": 0.0043}
        rows = [row, row | {"section": "ops", "name": f"{name}: linear, both"}]
        leaves(name, rows=rows, machine={"peak GFLOP/s": 51000.0}, wrong=[])
    for name, rounding in stages.PROFILED:
        rows = [(f"void cutlass::Kernel2<cutlass_80_simt_sgemm_{i}_very_long_name_of_a_kernel>()", 900 / (i + 1), 353)
                for i in range(20)]  # fmt: skip
        leaves(f"profile {name} {rounding}", **{"µs busy": sum(r[1] for r in rows), "µs in all": 3456.0}, kernels=rows)
    leaves("ranks small", ms={"1": 2.61, "2": 1.45}, wrong=[])
    entries["tests of ops"] |= {"status": "failed", "why": "test_cupy_equals_numpy: DeprecationWarning"}
    entries["bench paper"] |= {"status": "timed out", "why": "killed at its limit of 150 s"}
    entries["memcheck"] |= {"found": {"summary": "ERROR SUMMARY: 0 errors"}}
    entries["racecheck"] = {"status": "no time left", "why": ""}
    return {"command": "python -m experiments.gpu_check runs/gpu", "when": "2026-01-01 12:00", "stages": entries}


class Page(HTMLParser):
    """The text, and whether every element that must be closed is, in order."""

    OPTIONAL = ("tr", "td", "th", "meta", "img", "br", "path", "circle", "use", "dt", "dd", "p", "html", "head", "body")

    def __init__(self, html):
        super().__init__()
        self.open, self.text = [], ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        if tag not in self.OPTIONAL:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        if tag not in self.OPTIONAL:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_is_well_formed_and_names_every_stage(tmp_path):
    table = every_stage()
    for record in (gpu_record(), {"stages": {}}, {"stages": {"kernels": {"status": "failed", "why": "<b>"}}}):
        text = Page(page.page(record, table, tmp_path)).text
        assert all(stage.name in text and stage.shows in text for stage in table)
        assert re.findall("None|nan|inf\\b", text.replace(page.ABOUT_STEPS, "")) == []
    text = Page(page.page(gpu_record(), table, tmp_path)).text
    for words in ("On a GPU", "NVIDIA H100 <made up>", "2.61 ms", "1,155", "no time left", "ERROR SUMMARY", "cutlass"):
        assert words in text
    assert "1.45 ms (1.80 ×)" in text and "All ranks end with equal weights" in text
    assert "32 of 35 stages passed" in text and "What is wrong: bench paper, tests of ops." in text


def test_a_wrong_step_is_said_above_the_table(tmp_path):
    record = gpu_record()
    record["stages"]["step small TF32"]["found"]["wrong"] = ["a captured step waits for the device"]
    text = Page(page.page(record, every_stage(), tmp_path)).text
    assert "small in TF32: a captured step waits for the device." in text and "No captured step waits" not in text
    for name in stages.STEPS:  # killed before they found anything: of these nothing is claimed
        for rounding in ("float32", "TF32"):
            record["stages"][f"step {name} {rounding}"] = {
                "status": "timed out",
                "why": "",
                "seconds": 120.0,
                "found": {},
            }
    text = Page(page.page(record, every_stage(), tmp_path)).text
    assert "waits for the device" not in text and "to PyTorch eager" in text


def test_ranks_with_other_weights_are_said_above_their_table(tmp_path):
    record = gpu_record()
    record["stages"]["ranks small"]["found"]["wrong"] = ["2 GPUs: the weights differ"]
    text = Page(page.page(record, every_stage(), tmp_path)).text
    assert "small: 2 GPUs: the weights differ." in text and "All ranks end" not in text


def test_the_table_for_the_readme(tmp_path):
    lines = page.table(gpu_record()).splitlines()
    assert lines[2] == "| `small` | float32 | 2.61 ms | 28.3 ms | 0.33 ms | 1,155 | 59 MiB | 0.15 | 0.60 |"
    assert lines[3] == "| `small` | TF32 | 1.57 ms | 21 ms | 0.33 ms | 1,155 | 59 MiB | – | – |"
    assert lines[5].startswith("| `poster` | TF32 |") and lines[5].endswith("| 0.35 | 0.70 |")
    assert "took 31.4 s and ended at a digit-FID of 12.6; on one core of a CPU it takes 24 min" in lines[-1]


def test_the_figures_of_the_cpu_are_those_of_the_docs():
    text = (ROOT / "docs" / "measurements.md").read_text(encoding="utf-8")
    steps = int(re.search(r"([\d,]+) steps of 32 images, seed 0", text)[1].replace(",", ""))
    assert {steps: float(re.search(r"^\| drawn, seed 0 \| ([\d.]+) \|", text, re.M)[1])} == page.CPU
    minutes, seconds = re.search(r"It took (\d+) min (\d+) s", text).groups()
    assert 60 * int(minutes) + int(seconds) == page.CPU_SECONDS
