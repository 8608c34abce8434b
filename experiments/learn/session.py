"""One student at work: which exercise is open, what the last verdict was, and which hints are due."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass

from experiments.learn import LIMIT
from experiments.learn.course import Desk, Exercise, digest, write_text
from experiments.learn.runner import Verdict, run

KEYS = "h hint · n next · l list · r reset · q quit"
WITHOUT_KEYS = """There is no terminal here, so there are no keys: save the file, and give the command again.
Hints come after the second and the third wrong answer. A file that is deleted comes back as it began.
A number opens an exercise: python -m experiments.learn 14"""


@dataclass
class Session:
    """What the keys and the saving of files do. It prints nothing: `screen` is what to show."""

    desk: Desk
    limit: float = LIMIT  # seconds an answer may take
    judge: Callable[..., Verdict] = run
    current: int = 0  # which exercise is open
    verdict: Verdict | None = None  # on the open exercise, as it stands
    note: str = ""  # what the last key had to say
    listing: bool = False  # whether the list is shown in place of the exercise
    resetting: bool = False  # whether the last key was a first r, which a second one confirms
    footer: str = KEYS  # what can be done, below everything

    def __post_init__(self):
        self.current = self._next_open(0)

    @property
    def exercise(self) -> Exercise:
        return self.desk.course[self.current]

    def _next_open(self, start: int) -> int:
        """The first exercise from `start` on, and then from the beginning, that has not passed; else `start`."""
        n = len(self.desk.course)
        order = [(start + i) % n for i in range(n)]
        return next((i for i in order if not self.desk.passed(self.desk.course[i])), start % n)

    def open_from(self, exercise: Exercise) -> None:
        """Open this exercise, or if it is solved the next that is not."""
        i = self.desk.course.index(exercise)
        self.current = self._next_open(i + 1) if self.desk.passed(exercise) else i

    # What happens --------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Run the answer of the open exercise, and remember a failure or a success. A text fails once only, and the
        start as it was given does not count."""
        exercise, text = self.exercise, self.desk.text(self.exercise)
        record = self.desk.records[exercise.name]
        new = digest(text) != record.tried and text != exercise.read("start.py")
        failures = record.failures + new
        steps = 2 if failures >= 3 else 1 if failures >= 2 or record.asked else 0  # they take time to find
        self.verdict = self.judge(exercise, self.desk.answer(exercise), self.limit, steps)
        record.tried = digest(text)
        if self.verdict.passed:
            record.passed = record.tried
            write_text(self.desk.solution(exercise), exercise.read("solution.py"))
        else:
            record.failures = failures
        self.desk.save()

    def changed(self, exercise: Exercise) -> None:
        """The file of an exercise was saved: open the exercise, and check it."""
        self.current = self.desk.course.index(exercise)
        self.note, self.listing, self.resetting = "", False, False
        self.check()

    def press(self, key: str) -> bool:
        """Do what a key says; False for q."""
        confirmed, self.resetting = self.resetting and key == "r", False
        self.note, self.listing = "", key == "l"
        if key == "h":
            record = self.desk.records[self.exercise.name]
            if record.asked == len(self.exercise.hints):
                self.note = "The task has no more hints."
            record.asked = min(record.asked + 1, len(self.exercise.hints))
            if record.asked == 1:
                self.check()  # once more, for the line of the mistake
            self.desk.save()
        elif key == "n":
            self.current = self._next_open(self.current + 1)
            self.check()
        elif confirmed:
            old = self.desk.reset(self.exercise)
            self.note = f"The start is back; what was there is in {old}." if old else "The start is back."
            self.check()
        elif key == "r":
            self.resetting = True
            self.note = "Press r once more to put the start back. What you wrote is kept beside it."
        return key != "q"

    # What is shown -------------------------------------------------------------------------------------------

    def screen(self) -> str:
        exercise, verdict = self.exercise, self.verdict
        if self.listing:
            return "\n\n".join([bar(self.desk), "\n".join(self.list()), self.footer])
        parts = [bar(self.desk), exercise.task, f"Edit {self.desk.answer(exercise)} and save it."]
        if verdict and verdict.printed:
            parts.append(f"It prints:\n{indented(verdict.printed)}")
        if verdict and verdict.passed:
            parts.append(f"✓ {exercise.name} is right. A solution to compare with: {self.desk.solution(exercise)}")
            parts.append(self._next())
        elif verdict:
            parts.append(f"✗ {verdict.text}")
        parts += [f"Hint: {hint}" for hint in self.hints()]
        return "\n\n".join([*parts, *filter(None, [self.note]), self.footer])

    def _next(self) -> str:
        """What to do after an exercise that is right."""
        if all(map(self.desk.passed, self.desk.course)):
            return "The course is done: every exercise is solved."
        if self.footer == KEYS:
            return "Press n for the next exercise."
        return f"Next: {self.desk.course[self._next_open(self.current + 1)].name}. Give the command again to see it."

    def hints(self) -> list[str]:
        """The hints that are due: those of the task that were asked for, the line of the mistake after a second failure
        or when asked, the edit after a third. Where the check knows no line or edit, the task's hints stand in."""
        if self.verdict is None or self.verdict.passed:
            return []
        record = self.desk.records[self.exercise.name]
        where, edit = (*self.verdict.hints, "", "")[:2]
        due, found = record.asked, []
        if record.failures >= 2 or record.asked:
            found += [where] if where else []
            due = max(due, 0 if where else 1)
        if record.failures >= 3:
            found += [edit] if edit else []
            due = max(due, 0 if edit else 2)
        return self.exercise.hints[:due] + found

    def list(self) -> list[str]:
        """A line for each exercise: whether it is solved, and which one is open."""
        return [
            f"{'▸' if i == self.current else ' '} {'✓' if self.desk.passed(e) else '·'} {e.name:<26} {e.title}"
            for i, e in enumerate(self.desk.course)
        ]


def bar(desk: Desk) -> str:
    """The course as a bar that fills the terminal's width, at most 60 columns."""
    done, n = sum(map(desk.passed, desk.course)), len(desk.course)
    width = max(10, min(60, shutil.get_terminal_size().columns - 20))
    full = width * done // n
    return f"[{'█' * full}{'·' * (width - full)}] {done} of {n} solved"


def indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.rstrip().splitlines())
