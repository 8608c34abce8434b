"""A student gets through the exercises: at a terminal with keys, hints and saved files, and without one."""

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from learn_course import COURSE, LONG

from experiments.learn import __main__ as command
from experiments.learn.course import Desk, named, write_text
from experiments.learn.keyboard import keys
from experiments.learn.runner import Verdict
from experiments.learn.session import Session
from experiments.learn.watch import look_once, watch

ROOT = Path(__file__).parents[2]


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
    for damaged in (
        "[]",
        '{"01-first": null}',
        '{"01-first": {"failures": "2"}}',
        '{"01-first": {"passed": 1, "asked": null}}',
        '{"01-first": {"passed": "abc", "failures": true}}',
        "[" * 100_000,
    ):
        (tmp_path / "desk" / ".progress.json").write_text(damaged)  # not ours: begin again
        session, _ = student(two, tmp_path, Verdict("wrong", "no"))
        assert session.exercise == two[0] and session.press("h") and session.screen()


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
