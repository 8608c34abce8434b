"""The exercises are whole and right, and a verdict on an answer says what is wrong with it."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from learn_course import COURSE

from autograd import GradcheckError, Tensor
from autograd.registry import OPS, ops
from experiments.learn import __main__ as command
from experiments.learn import seeds
from experiments.learn.authoring import CHECK
from experiments.learn.checking import Wrong, same
from experiments.learn.course import read_course, write_text
from experiments.learn.judge import hints, judge, referee, untouched
from experiments.learn.terms import TERMS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def forget_modules():
    """What judge() loads and defines in this process is forgotten afterwards."""
    yield
    for name in ("check", "answer"):
        sys.modules.pop(name, None)
    OPS.pop("cube", None)
    vars(ops).pop("cube", None)


# ---- the course


def test_the_course_is_whole():
    assert len(COURSE) >= 24 and f"The {len(COURSE)} exercises" in (ROOT / "README.md").read_text(encoding="utf-8")
    for exercise in COURSE:
        assert exercise.task.startswith("# ") and len(exercise.hints) >= 2, exercise.name
        assert max(map(len, exercise.read("task.md").splitlines())) <= 120, exercise.name
        assert len(exercise.task.splitlines()) <= 22, exercise.name
        start, solution = exercise.read("start.py"), exercise.read("solution.py")
        assert start != solution and "NotImplemented" not in start and "raise" not in start, exercise.name


@pytest.mark.slow
def test_every_start_fails_with_its_words_and_every_solution_passes(capsys):
    assert command.main(["--validate"]) == 0, capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a", "b"])
def test_exercises_made_from_a_name_hold_what_they_promise(name, capsys):
    assert command.main(["--validate", "--seed", name]) == 0, capsys.readouterr().out


def test_exercises_differ_by_name_and_are_the_same_for_one_name(tmp_path):
    for name in ("a", "b"):
        seeds.write_exercises(name, tmp_path / name)
    for a, b in zip(*(read_course(tmp_path / name) for name in ("a", "b")), strict=True):
        assert a.name == b.name and a.task != b.task and a.read("solution.py") != b.read("solution.py")
    seeds.write_exercises("a", tmp_path / "again")
    for path in (tmp_path / "a").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(tmp_path / "a")).read_bytes()
    assert seeds.Chance("ada").constant() == "2.6" and seeds.Chance("ada/bug").index(1000) == 423  # on every machine


def test_every_seeded_derivative_is_right_and_every_bug_wrong():
    """Against central differences, whose error is about h² = 1e-10 here, and 1e-11 of rounding."""
    v, h = np.linspace(-1.5, 1.4, 7), 1e-5
    for term in TERMS:

        def at(text, v):
            return eval(text, {"xp": np, "A": 1.7, "B": 0.6, "V": v})

        numeric = (at(term.value, v + h) - at(term.value, v - h)) / (2 * h)
        np.testing.assert_allclose(at(term.slope, v), numeric, atol=1e-8)
        assert all(abs(at(bug, v) - numeric).max() > 1e-2 for bug in term.bugs), term.text


# ---- a verdict


@pytest.mark.parametrize(
    "found, words",
    [
        (None, "is None: does the function return it"),
        ("text", "is not an array of numbers, but str"),
        ([1.0, 2], "has shape (2,), and should have shape (3,)"),
        ([1.0, np.nan, 3], "is NaN or infinite in 1 of 3 elements"),
        ([0.0, 0, 0], "it is zero everywhere"),
        ([-1.0, -2, -3], "its sign is flipped"),
        ([0.5, 1, 1.5], "0.5 times the right one everywhere"),
        ([2.0, 3, 4], "off by 1 everywhere"),
        (Tensor([1.0, 2, 4]), "in 1 of 3 elements: at index [2] it is 4, and should be 3"),
    ],
)
def test_a_wrong_value_is_told_what_is_wrong(found, words):
    with pytest.raises(Wrong) as error:
        same("y", found, [1.0, 2, 3])
    assert words in str(error.value)
    same("y", [1, 2, 3 + 1e-12], [1.0, 2, 3])


ANSWERS = {
    "": ("crashed", "answer.py defines no cube"),
    "x = (": ("crashed", "answer.py, line 1: this is not Python"),
    "\n1 / 0": ("crashed", "answer.py, line 2:\n    1 / 0\nZeroDivisionError: division by zero"),
    "\nexit(0)": ("crashed", "answer.py, line 2: it ends the program (exit) before it was checked"),
    "import sys; sys.modules['check'].check = len": (
        "wrong",
        "the answer changes check.check: mend the answer, not its check",
    ),
    "def cube(x): return x": ("wrong", "cube is no op: keep the class with @op above it"),
}


@pytest.mark.parametrize(
    "check, words",
    [
        ("import nothing", "the check itself is wrong: check.py, line 1:\n    import nothing"),
        ("def check(answer): pass", "check.py defines no START_FAILS_WITH"),
        (CHECK.replace("check_rule(", "len("), "the check cannot go on with what it got: TypeError"),
    ],
)
def test_a_check_that_fails_is_not_the_fault_of_the_answer(check, words, two, tmp_path, forget_modules):
    write_text(tmp_path / "check.py", check)
    verdict = judge(tmp_path / "check.py", two[0].folder / "solution.py", 0)
    assert verdict["kind"] == "crashed" and words in verdict["text"]


@pytest.mark.parametrize("text", ANSWERS)
def test_a_verdict_on_what_is_no_answer(text, tmp_path, forget_modules):
    write_text(tmp_path / "check.py", CHECK)
    write_text(tmp_path / "answer.py", text)
    kind, words = ANSWERS[text]
    verdict = judge(tmp_path / "check.py", tmp_path / "answer.py", 0)
    assert words in verdict["text"] and verdict["kind"] == (kind if text else "wrong")


def test_a_method_put_in_the_place_of_one_that_decides_is_noticed(monkeypatch):
    decides = ModuleType("experiments.learn.decides")
    decides.Comparison = type("Comparison", (), {"__module__": decides.__name__, "wrong": lambda self: True})
    monkeypatch.setitem(sys.modules, decides.__name__, decides)
    before = referee()
    untouched(before)
    decides.Comparison.wrong = lambda self: None
    with pytest.raises(Wrong, match="changes experiments.learn.decides.Comparison.wrong: mend the answer"):
        untouched(before)


def test_an_exception_in_a_rule_names_its_line(two, tmp_path, forget_modules):
    answer = tmp_path / "answer.py"
    write_text(answer, two[0].read("solution.py").replace("3 * x", "3 * xx"))
    verdict = judge(two[0].folder / "check.py", answer, 0)
    line = 1 + [i for i, text in enumerate(answer.read_text().splitlines()) if "xx" in text][0]
    assert verdict["kind"] == "wrong" and f"(answer.py, line {line})" in verdict["text"]
    assert "name 'xx' is not defined" in verdict["text"]


def test_hints_of_an_error_may_be_functions_or_missing():
    error = GradcheckError("wrong")
    assert hints(error, 2) == ["", ""]
    error.hints = ["what", "line 9", lambda: "3 * x"]
    assert hints(error, 0) == [] and hints(error, 1) == ["line 9"] and hints(error, 2) == ["line 9", "3 * x"]
    error.hints = ["what", None, lambda: 1 / 0]
    assert hints(error, 2) == ["", ""]
