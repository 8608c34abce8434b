"""The exercises: every start fails with its words, every solution passes, and a student at a terminal gets through."""

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from autograd import GradcheckError, Tensor
from autograd.registry import OPS, ops
from experiments.cli import run_main
from experiments.learn import __main__ as command
from experiments.learn import grading, seeds
from experiments.learn.authoring import CHECK, new
from experiments.learn.checking import Wrong, same
from experiments.learn.course import SHIPPED, Desk, named, read_course, write_text
from experiments.learn.grading import grade_main
from experiments.learn.judge import hints, judge, referee, untouched
from experiments.learn.keyboard import keys
from experiments.learn.runner import Verdict
from experiments.learn.session import Session
from experiments.learn.terms import TERMS
from experiments.learn.watch import look_once, watch

COURSE = read_course(SHIPPED)
ROOT = Path(__file__).parents[2]
LONG = 300  # seconds: no test waits that long unless something hangs


@pytest.fixture
def two(tmp_path):
    """A course of two exercises, both the rule of x³."""
    for name in ("first", "second"):
        new(name, tmp_path / "two")
    return read_course(tmp_path / "two")


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


# ---- a student


def student(two, tmp_path, *verdicts):
    """A session with verdicts that are given in turn, and the hints steps that were asked for."""
    given, asked = iter(verdicts), []

    def fake(exercise, answer, limit, steps):
        asked.append(steps)
        return next(given)

    return Session(Desk(tmp_path / "desk", two), judge=fake), asked


def save(session, text, exercise=None):
    write_text(session.desk.answer(exercise or session.exercise), text)


def test_hints_come_in_steps(two, tmp_path):
    where, edit = "line 11", "x becomes 3 * x"
    wrong = Verdict("wrong", "the gradient of x is wrong", hints=(where, edit))
    session, asked = student(two, tmp_path, *[wrong] * 7, Verdict("passed", ""))
    shown = []
    for text in (None, "one", "one", "two", "three"):  # the start, and a text that is saved again, count for nothing
        if text:
            save(session, text)
        session.check()
        shown.append(session.hints())
    assert shown == [[], [], [], [where], [where, edit]] and asked == [0, 0, 0, 1, 2]
    session.press("h")
    assert session.hints() == [two[0].hints[0], where, edit] and asked[5:] == [2]
    session.press("h")
    assert session.hints() == [*two[0].hints, where, edit] and "no more hints" not in session.screen()
    session.press("h")
    assert session.hints() == [*two[0].hints, where, edit] and "no more hints" in session.screen()
    assert "Hint: line 11" in session.screen() and "✗ the gradient of x is wrong" in session.screen()
    session.press("r")
    assert session.desk.text(two[0]) == "three" and "Press r once more" in session.screen()
    session.press("r")
    assert session.hints() == [] and session.desk.text(two[0]) == two[0].read("start.py")
    assert (tmp_path / "desk" / f"{two[0].name}.py.old").read_text() == "three"
    save(session, "right")
    session.check()
    assert session.hints() == [] and session.desk.solution(two[0]).read_text() == two[0].read("solution.py")


def test_a_reset_keeps_every_answer(two, tmp_path):
    desk, exercise = Desk(tmp_path, two), two[0]
    kept = [tmp_path / f"{exercise.name}.py.{end}" for end in ("old", "old-2", "old-3")]
    for text, old in (("mine", kept[0]), (None, None), (None, None), ("again", kept[1]), ("third", kept[2])):
        if text:
            write_text(desk.answer(exercise), text)
        assert desk.reset(exercise) == old and desk.text(exercise) == exercise.read("start.py")
    assert [path.read_text() for path in kept] == ["mine", "again", "third"]


def test_only_two_presses_in_a_row_reset(two, tmp_path):
    session, _ = student(two, tmp_path, *[Verdict("wrong", "no")] * 3)
    for pressed in ("r", "rl", "rlr", "rh"):
        save(session, "mine")
        for key in (*pressed, "l"):
            session.press(key)
        assert session.desk.text(two[0]) == "mine", pressed
    session.press("r")
    session.changed(two[0])  # a saving between the presses
    session.press("r")
    assert session.desk.text(two[0]) == "mine"


def test_keys_that_send_several_bytes_are_none(monkeypatch):
    """F3 sends ESC O R, and arrows ESC [ A: their letters are no keys."""
    pty = pytest.importorskip("pty")
    end, terminal = pty.openpty()
    try:
        with open(terminal, closefd=False) as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            with keys() as read:
                found = []
                for sent in (b"\x1bOR", b"r", b"\x1b[A", b"\x1b[24~", b"Q", b"\x1b"):
                    os.write(end, sent)
                    found.append(read(5))
                assert found == ["", "r", "", "", "q", ""] and read(0) == ""
    finally:
        os.close(end)
        os.close(terminal)


def test_where_the_check_knows_no_line_the_hints_of_the_task_stand_in(two, tmp_path):
    session, _ = student(two, tmp_path, *[Verdict("wrong", "no", hints=("", ""))] * 3)
    shown = []
    for text in ("one", "two", "three"):
        save(session, text)
        session.check()
        shown.append(session.hints())
    assert shown == [[], two[0].hints[:1], two[0].hints]


def test_a_session_goes_on_where_it_stopped(two, tmp_path):
    session, _ = student(two, tmp_path, Verdict("passed", ""), Verdict("wrong", "no"))
    session.check()
    assert "1 of 2 solved" in session.screen() and session.press("n") and session.exercise == two[1]
    assert not session.press("q")
    again, _ = student(two, tmp_path, Verdict("wrong", "no"))
    assert again.exercise == two[1] and again.press("l") and "▸ · 02-second" in again.screen()
    assert again.exercise.task not in again.screen() and again.press("h") and again.exercise.task in again.screen()
    (tmp_path / "desk" / ".progress.json").write_text("[]")  # not ours: begin again
    assert student(two, tmp_path)[0].exercise == two[0]


def test_files_are_watched(two, tmp_path):
    """Keys and savings in turn; a file counts as saved when it is the same at two looks."""
    verdicts = [Verdict("wrong", f"verdict {i}") for i in range(5)]
    session, asked = student(two, tmp_path, *verdicts)
    actions = iter(
        [
            lambda: save(session, "a"),
            lambda: save(session, "ab"),  # still writing
            lambda: "",
            lambda: "h",
            lambda: save(session, "c", two[1]),  # another file: it is opened
            lambda: "",
            lambda: "q",
        ]
    )
    screens = []
    watch(session, lambda seconds: next(actions)() or "", screens.append)
    found = [s[s.index("✗") : s.index("\n", s.index("✗"))] for s in screens]
    assert found == [f"✗ verdict {i}" for i in range(4)] and session.exercise == two[1]  # h checks again


def test_without_a_terminal_no_key_is_named(two, tmp_path):
    session, _ = student(two, tmp_path, Verdict("wrong", "no"))
    shown = []
    look_once(session, shown.append)
    assert "0 of 2 solved" in shown[0] and "✗ no" in shown[0]
    assert "h hint" not in shown[0] and "give the command again" in shown[0]
    session.desk.answer(two[0]).unlink()  # as its third line says
    assert Desk(tmp_path / "desk", two).text(two[0]) == two[0].read("start.py")


def looked(course, tmp_path, *verdicts, chosen=None):
    """What a new process without a terminal shows."""
    session, _ = student(course, tmp_path, *verdicts)
    if chosen is not None:
        session.current = chosen
    shown = []
    look_once(session, shown.append, chosen is not None)
    return shown[0]


def test_without_a_terminal_the_file_saved_last_is_looked_at(two, tmp_path):
    right, wrong = Verdict("passed", ""), Verdict("wrong", "no")
    said = looked(two, tmp_path, wrong)
    assert "Edit" in said and "01-first.py" in said and "02-second" not in said  # no list of the course
    session, _ = student(two, tmp_path)
    save(session, "a", two[1])
    for _ in range(2):  # as long as it is wrong, it stays open
        said = looked(two, tmp_path, wrong)
        assert "02-second.py and save it" in said and "✗ no" in said
    save(session, "b", two[1])
    said = looked(two, tmp_path, right)
    assert said.index("✓ 02-second is right") < said.index("Next: 01-first") and "✗" not in said and "Press" not in said
    said = looked(two, tmp_path, wrong)  # nothing was saved since
    assert "01-first.py and save it" in said and "✗ no" in said
    said = looked(two, tmp_path, wrong, chosen=1)
    assert "02-second.py and save it" in said and named(COURSE, "14").name == "14-bug-swish"


@pytest.mark.slow
def test_without_a_terminal_it_looks_once(two, tmp_path, capsys):
    flags = ["--exercises", str(tmp_path / "two"), "--out", str(tmp_path / "desk")]
    assert command.main(flags) == 0
    said = capsys.readouterr().out
    assert "0 of 2 solved" in said and "✗ gradcheck of cube: the gradient of x is wrong" in said
    for exercise in two:
        write_text(tmp_path / "desk" / f"{exercise.name}.py", exercise.read("solution.py"))
    assert command.main(flags) == 0
    said = capsys.readouterr().out
    assert "2 of 2 solved" in said and "The course is done" in said


class Terminal:
    """The command at a pseudo-terminal."""

    def __init__(self, *flags):
        import pty

        self.end, end = pty.openpty()
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "COLUMNS": "120"}
        program = [sys.executable, "-m", "experiments.learn", *flags]
        self.process = subprocess.Popen(program, stdin=end, stdout=end, stderr=end, env=environment)
        os.close(end)
        self.text = ""

    def until(self, words):
        """The screen that shows these words, whole: to the line of keys."""
        stop = time.monotonic() + LONG
        while True:
            for screen in self.text.split("\x1b[2J\x1b[H")[::-1]:
                if words in screen and "q quit" in screen:
                    return screen
            assert time.monotonic() < stop and self.process.poll() is None, self.text[-3000:]
            if select.select([self.end], [], [], 1)[0]:
                self.text += os.read(self.end, 65536).decode(errors="replace").replace("\r\n", "\n")

    def press(self, key):
        self.text = ""
        os.write(self.end, key.encode())

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.end)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_a_student_solves_three_exercises_with_two_wrong_tries_each(tmp_path):
    tries = {
        "01-square": [("return x * g", "return x + g"), ("return x * g", "return 2 * x")],
        "02-chain": [("3 * x**2", "x**2 * g"), ("3 * x**2", "3 * x**2 + g")],
        "03-from-the-output": [("(1 - y * y)", "y"), ("g * (1 - y * y)", "y * (1 - y)")],
    }
    desk = tmp_path / "desk"
    terminal = Terminal("--out", str(desk), "--limit", str(LONG))
    try:
        for number, (name, wrong) in enumerate(tries.items()):
            exercise = next(e for e in COURSE if e.name == name)
            first = terminal.until(f"{name}.py and save it")
            assert exercise.task in first and f"{number} of {len(COURSE)} solved" in first and "✗" in first
            for i, (old, mistake) in enumerate(wrong):
                start = exercise.read("start.py")
                assert old in start
                write_text(desk / f"{name}.py", f"print('try {i} of {name}')\n" + start.replace(old, mistake))
                screen = terminal.until(f"try {i} of {name}")
                assert "is wrong" in screen and ("Hint: " in screen) == (i == 1), screen
            terminal.press("h")
            assert exercise.hints[0] in terminal.until("Hint: ")
            write_text(desk / f"{name}.py", exercise.read("solution.py"))
            screen = terminal.until("is right")
            assert f"{number + 1} of {len(COURSE)} solved" in screen and (desk / "solutions" / f"{name}.py").exists()
            terminal.press("n")
        terminal.until("04-quotient.py and save it")
        terminal.press("q")
        assert terminal.process.wait(LONG) == 0
    finally:
        terminal.close()


# ---- a lecturer


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
