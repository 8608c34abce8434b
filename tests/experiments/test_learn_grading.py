"""A lecturer grades answers and checks exercises of their own, and wrong flags are refused."""

import json
import sys
from pathlib import Path

import pytest
from learn_course import LONG

from experiments.cli import run_main
from experiments.learn import __main__ as command
from experiments.learn import grading
from experiments.learn.authoring import CHECK, new
from experiments.learn.course import SHIPPED, read_course, write_text
from experiments.learn.grading import grade_main
from experiments.learn.runner import Verdict

ROOT = Path(__file__).parents[2]


def graded(course, answers, out, limit):
    """The exit status of --grade, and the report that it writes."""
    flags = ["--exercises", str(course), "--grade", str(answers), "--json", str(out), "--limit", str(limit)]
    return command.main(flags), json.loads(out.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_a_crash_and_a_missing_file_get_nothing_with_words(tmp_path, capsys):
    for name in ("right", "wrong", "crash", "exit", "missing"):
        new(name, tmp_path / "course")
    right, wrong, crash, exits, _ = read_course(tmp_path / "course")
    answers = tmp_path / "answers"
    write_text(answers / f"{right.name}.py", right.read("solution.py"))
    write_text(answers / f"{wrong.name}.py", "print('hello\\n' * 10**6)\n" + wrong.read("start.py"))
    write_text(answers / f"{crash.name}.py", "import os\nos.abort()\n")
    write_text(answers / f"{exits.name}.py", "import os\nos._exit(0)\n")
    status, report = graded(tmp_path / "course", answers, tmp_path / "results.json", LONG)
    tests = report["tests"]
    assert status == 1 and "1 of 5 exercises are right" in capsys.readouterr().out
    assert report["score"] == 1 and [t["score"] for t in tests] == [1, 0, 0, 0, 0]
    assert {t["max_score"] for t in tests} == {1} and [t["status"] for t in tests] == ["passed", *["failed"] * 4]
    words = [
        "right",
        "the gradient of x is wrong",
        "killed by signal 6",
        "ended with status 0",
        "no file 05-missing.py",
    ]
    for test, expected in zip(tests, words, strict=True):
        assert expected in test["output"] and "Hint" not in test["output"]
    assert "It prints:\nhello\nhello" in tests[1]["output"] and len(tests[1]["output"]) < 5000


@pytest.mark.slow
def test_half_a_pair_of_characters_stops_no_grading(tmp_path, capsys):
    """U+DC80 alone is no character that UTF-8 can write: ? stands in, as str.encode("utf-8", "replace") puts it."""
    exercise = read_course(SHIPPED)[0]
    (tmp_path / f"{exercise.name}.py").write_text("raise Exception('\\udc80 here')")
    assert grade_main([exercise], tmp_path, 30.0, str(tmp_path / "out.json")) == 1
    for text in (capsys.readouterr().out, json.loads((tmp_path / "out.json").read_text())["tests"][0]["output"]):
        assert "? here" in text


@pytest.mark.slow
def test_a_loop_gets_nothing_with_words(tmp_path):
    """So does one that leaves a child behind, which holds its output open."""
    for name in ("loop", "child"):
        new(name, tmp_path / "course")
    loop, child = (tmp_path / "answers" / f"{e.name}.py" for e in read_course(tmp_path / "course"))
    write_text(loop, "while True:\n    print('on and on')\n")
    write_text(child, "import os\nif os.fork() == 0:\n    while True:\n        pass\n1 / 0\n")
    status, report = graded(tmp_path / "course", tmp_path / "answers", tmp_path / "results.json", 2)
    assert status == 1 and report["score"] == 0
    assert "stopped after 2 seconds: does it loop for ever?" in report["tests"][0]["output"]


def test_grading_asks_for_no_hints(two, tmp_path, monkeypatch, capsys):
    asked = []

    def fake(exercise, answer, limit, steps=0):
        asked.append((answer, steps))
        return Verdict("passed", "")

    monkeypatch.setattr(grading, "run", fake)
    assert command.main(["--exercises", str(tmp_path / "two"), "--grade", str(tmp_path), "--json", "-"]) == 0
    assert asked == [(tmp_path / f"{e.name}.py", 0) for e in two]
    assert json.loads(capsys.readouterr().out)["output"] == "2 of 2 exercises are right"


@pytest.mark.slow
def test_validate_says_what_is_wrong_with_an_exercise(tmp_path, capsys):
    for name in ("fine", "solved", "raises", "other-words", "unsolved"):
        new(name, tmp_path)
    _, solved, raises, words, unsolved = read_course(tmp_path)
    write_text(solved.folder / "start.py", solved.read("solution.py"))
    write_text(raises.folder / "start.py", "raise NotImplementedError")
    write_text(words.folder / "check.py", CHECK.replace("the gradient of x is", "nobody says"))
    write_text(unsolved.folder / "solution.py", unsolved.read("start.py"))
    assert command.main(["--validate", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "1 of 5 exercises are as they should be" in said and "ok     01-fine" in said
    for fault in (
        "the start passes",
        "is not a wrong formula",
        "should be told 'nobody says",
        "the solution does not pass",
    ):
        assert fault in said


def refusal(monkeypatch, capsys, *flags):
    monkeypatch.setattr(sys, "argv", ["learn", *flags])
    with pytest.raises(SystemExit) as stopped:
        run_main(command.main)
    assert stopped.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--limit", "0"], "--limit must be greater than 0"),
        (["--limit", "nan"], "--limit must be greater than 0"),
        (["--grade", "nowhere"], "--grade nowhere is no folder"),
        (["--grade", ".", "--validate"], "give one of"),
        (["--json", "x"], "--json is for --grade"),
        (["--grade", ".", "--json", "nowhere/x.json"], "must be a file in an existing directory"),
        (["--new", "x"], "--new needs --exercises DIR"),
        (["--new", "../x", "--exercises", "."], "name it by small letters"),
        (["--seed", "../x"], "--seed NAME"),
        (["--seed", "x", "--exercises", "."], "--seed makes its own exercises"),
        (["--exercises", "nowhere"], "nowhere is not a folder of exercises"),
        (["--validate", "."], "holds no exercises"),
        (["99"], "no exercise begins with 99: they go from 01-square to"),
        (["1"], "several exercises begin with 1: 10-attention, 11-"),
        (["14", "--validate"], "14 names an exercise to learn from"),
    ],
)
def test_bad_flags_are_refused(flags, words, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    said = refusal(monkeypatch, capsys, *flags)
    assert words in said and said.count("\n") == 1 and list(tmp_path.iterdir()) == []


def test_it_says_plainly_that_a_process_is_no_sandbox():
    assert "That is no sandbox" in command.parser().format_help()
    assert "**No sandbox.**" in (ROOT / "docs" / "exercises.md").read_text(encoding="utf-8")
