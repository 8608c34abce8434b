"""The benchmark as a command: its cases, its table, record and page, and what it does when something goes wrong."""

import importlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from bench_sides import how

from experiments.bench import __main__ as command
from experiments.bench import case as cases
from experiments.bench import cases as table
from experiments.bench import flops, memory, show, steps
from experiments.bench.case import Case
from experiments.cli import run_main
from minigan.errors import InputError


@pytest.fixture
def environment(monkeypatch):
    """The command sets the threads of processes it starts: put back afterwards. The peak takes it a while."""
    monkeypatch.setattr(flops, "peak", lambda *args: 1e11)
    for name in command.THREADS:
        monkeypatch.setenv(name, os.environ.get(name, "1"))


def test_names_are_clear_and_quick_is_a_part():
    every = command.chosen("", False)
    names = [(c.section, c.name) for c in every]
    assert len(set(names)) == len(names) and {c.section for c in every} == set(show.SECTIONS)
    assert all(key in command.EXAMPLES for key in show.SECTIONS) and max(len(n) for _, n in names) < show.NAME + 12
    quick = command.chosen("", True)
    assert {c.section for c in quick} == set(show.SECTIONS) and len(quick) < len(every)
    assert [c.name for c in command.chosen("step", False)] == list(steps.STEPS)
    assert {c.section for c in command.chosen("memory,inception", False)} == {"memory", "inception"}
    assert {c.section for c in command.chosen("attention l2, tanh forward", False)} == {"ops", "overhead"}
    both = command.chosen("step+small+batch 32, memory+CNN", False)
    assert [(c.section, c.name) for c in both] == [
        ("step", "small, batch 32"),
        ("memory", "CNN 28²"),
        ("memory", "CNN 64²"),
    ]


def run(tmp_path, *flags):
    status = command.main([*flags, "--seconds", "0.001", "--out", str(tmp_path)])
    return status, json.loads((tmp_path / "bench.json").read_text()), (tmp_path / "bench.html").read_text()


@pytest.mark.slow
def test_table_json_and_page_have_the_same_rows(torch, environment, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "command_line", lambda: "python -m experiments.bench <only>")
    status, record, page = run(tmp_path, "--only", "tanh forward,tanh backward", "--quick")
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert status == 0 and "numpy" in lines[0] and "ours/plain" in lines[3] and "bench.html" in err
    assert lines[1].startswith("2 lines, each timed for about 0.001 s, 3 rounds at least")
    assert record["machine"]["threads"] == 1 and record["machine"]["torch"] and record["machine"]["peak GFLOP/s"] == 100
    assert [row["name"] for row in record["rows"]] == ["tanh forward", "tanh backward"]
    for row, line in zip(record["rows"], lines[4:6], strict=True):
        assert not row["differs"] and len(row["samples"]["ours"]) == len(row["samples"]["plain"]) >= 3
        median, low, high = row["ratio"]["plain"]
        assert low <= median <= high and show.line(row, 1e11) == line
        assert all(text in page for text in (row["name"], *show.cells(row, 1e11).values()))
    assert "&lt;only&gt;" in page and page.count("<circle") == len(record["rows"])


def test_the_chart_draws_ratios_on_a_logarithmic_axis():
    row = {"ratio": {"plain": [0.5, 0.25, 1.0], "best": [100.0, 2.0, 100.0]}}
    drawn = show.chart(row)
    assert 'cx="-60.0"' in drawn and "M-120.0 -3H0.0" in drawn and 'cx="120.0"' in drawn  # 100 is beyond the axis


@pytest.mark.slow
def test_without_pytorch_our_side_is_measured_alone(environment, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    status, record, page = run(tmp_path, "--only", "mul", "--quick")
    assert status == 0 and "PyTorch is not installed" in capsys.readouterr()[1] and record["machine"]["torch"] is None
    assert all(set(row["samples"]) == {"ours"} and row["ratio"] == {} for row in record["rows"]) and "alone" in page


def test_a_difference_is_status_1(torch, environment, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(table.LIBRARIES["plain"], "mul", lambda x, w: x * w * 1.1)
    status, record, page = run(tmp_path, "--only", "mul forward")
    assert status == 1 and record["rows"][0]["samples"] == {}
    for text in (page, capsys.readouterr()[0]):
        assert "results differ, so nothing is compared: plain: y differs" in text


def test_a_case_that_fails_is_recorded_and_the_others_go_on(environment, tmp_path, capsys, monkeypatch):
    def fails(case, how):
        if case.name == "mul forward":
            raise RuntimeError("out of memory\nmore")
        kept.append((tmp_path / "bench.json").is_file())
        return case.row({"ours": [1.0]})

    kept = []
    monkeypatch.setattr(cases.Case, "measure", fails)
    status, record, page = run(tmp_path, "--only", "mul forward,tanh forward")
    assert status == 1 and kept == [True]  # the record of the first case is there before the second one runs
    assert [row.get("failed", False) for row in record["rows"]] == [True, False]
    out, err = capsys.readouterr()
    assert "Traceback" in err and "in fails" in err  # where, for whoever reads the log of a machine that is gone
    for text in (page, out):
        assert "failed: RuntimeError: out of memory" in text and "more" not in text.split("out of memory")[1][:9]


def test_an_interrupt_keeps_what_was_measured(environment, tmp_path, monkeypatch):
    done = []

    def once(case, how):
        if done:
            raise KeyboardInterrupt
        done.append(case)
        return case.row({"ours": [1.0]})

    monkeypatch.setattr(Case, "measure", once)
    status, record, _ = run(tmp_path, "--only", "overhead")
    assert status == 130 and len(record["rows"]) == 1


@pytest.mark.parametrize(
    "flags", [["--tf32"], ["--threads", "0"], ["--seconds", "0"], ["--only", "stepp"], ["--only", "step+tanh"]]
)
def test_bad_flags_are_one_sentence_and_status_2(flags, environment, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["bench", *flags, "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as e:
        run_main(command.main)
    err = capsys.readouterr()[1]
    assert e.value.code == 2 and err.startswith("error: ") and err.count("\n") == 1 and flags[-1] in err


@pytest.mark.parametrize("below", ["", "to/page"])
def test_a_file_as_out_is_refused_before_anything_is_measured(below, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "measure_all", None)
    (tmp_path / "p.md").touch()
    with pytest.raises(InputError, match="--out .*p.md is not a directory"):
        command.main(["--quick", "--out", str(tmp_path / "p.md" / below)])


def test_a_system_without_the_module_resource(monkeypatch, tmp_path):
    """As Windows: the other sections are measured."""
    monkeypatch.setitem(sys.modules, "resource", None)
    importlib.reload(memory)
    monkeypatch.setattr(memory, "STATUS", tmp_path / "nowhere")
    with pytest.raises(InputError, match="does not tell how much memory"):
        memory.held_and_most()


@pytest.mark.slow
def test_memory_is_that_of_a_process_of_its_own(environment):
    """The parent may be large, and may have imported PyTorch: what it holds must not count."""
    case, ballast = memory.MemoryCase("memory", "CNN 28²", {}, unit="MiB"), np.ones(400_000_000, np.uint8)
    row = case.measure(how(kinds=("ours",)))
    del ballast
    (step,) = row["samples"]["ours"]
    assert 5 < step < float(row["note"].split()[-1]) < 350 and f"{step:.0f} MiB" in show.line(row, 1e9)
    with pytest.raises(KeyError, match="nobody"):
        memory.MemoryCase("memory", "nobody", {}).measure(how(kinds=("ours",)))


@pytest.mark.slow
def test_threads_are_set_before_numpy_is_there():
    script = (
        "import os, sys; from experiments.bench import __main__ as command; assert 'numpy' not in sys.modules\n"
        "command.chosen, command.measure_all = print, lambda *args: None\n"
        "command.main(['--threads', '2', '--only', 'step']); print(os.environ['OPENBLAS_NUM_THREADS'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "step False\n2\n"
