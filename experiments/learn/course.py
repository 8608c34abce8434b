"""What an exercise is, and what a student's folder holds."""

import hashlib
import itertools
import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from minigan.errors import InputError
from minigan.files import write_bytes

SHIPPED = Path(__file__).parent / "exercises"
FILES = ("task.md", "start.py", "check.py", "solution.py")
HINT = "\n## Hint\n"


@dataclass(frozen=True)
class Exercise:
    """A folder with four files: the task and its hints, a wrong start, the check, and a solution."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    def read(self, file: str) -> str:
        return (self.folder / file).read_text(encoding="utf-8")

    @property
    def task(self) -> str:
        """What the student is to do: task.md up to its first hint."""
        return self.read("task.md").partition(HINT)[0].strip()

    @property
    def hints(self) -> list[str]:
        """What follows each heading "## Hint": first where to look, then nearly the answer."""
        return [hint.strip() for hint in self.read("task.md").split(HINT)[1:]]

    @property
    def title(self) -> str:
        return self.task.partition("\n")[0].lstrip("# ")


def named(course: list[Exercise], start: str) -> Exercise:
    """The exercise whose name begins so, such as 14 or 14-bug-swish; InputError if it is none, or several."""
    found = [exercise for exercise in course if exercise.name.startswith(start)]
    if not found:
        raise InputError(
            f"no exercise begins with {start}: they go from {course[0].name} to {course[-1].name} (docs/exercises.md)"
        )
    if len(found) > 1:
        raise InputError(f"several exercises begin with {start}: {', '.join(exercise.name for exercise in found)}")
    return found[0]


def read_course(directory: Path) -> list[Exercise]:
    """The exercises in `directory`, in the order of their names; InputError if there are none, or a file is missing."""
    if not directory.is_dir():
        raise InputError(f"{directory} is not a folder of exercises")
    folders = sorted(path for path in directory.iterdir() if path.is_dir() and path.name[:1] not in "._")
    for folder in folders:
        if missing := [file for file in FILES if not (folder / file).is_file()]:
            raise InputError(f"the exercise {folder} has no {missing[0]}")
    if not folders:
        raise InputError(f"{directory} holds no exercises: each is a folder with {', '.join(FILES)}")
    return [Exercise(folder) for folder in folders]


@dataclass
class Record:
    """How far a student is with one exercise."""

    failures: int = 0  # wrong tries, each with a new text
    tried: str = ""  # the digest of the last text that was checked
    passed: str = ""  # the digest of a text that passed
    asked: int = 0  # hints asked for

    def __post_init__(self):
        if any(type(getattr(self, f.name)) is not type(f.default) for f in fields(self)):
            raise TypeError(f"not a record: {self}")


@dataclass
class Desk:
    """A student's folder: an answer and a task for each exercise, solutions of those that passed, and the records."""

    directory: Path
    course: list[Exercise]
    records: dict[str, Record] = field(default_factory=dict)

    def __post_init__(self):
        """Copy the starts and tasks that are not there, and read the records."""
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            saved = json.loads((self.directory / ".progress.json").read_text(encoding="utf-8"))
            self.records = {name: Record(**record) for name, record in saved.items()}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):  # none yet, or no records: begin again
            self.records = {}
        for exercise in self.course:
            self.records.setdefault(exercise.name, Record())
            write_text(self.directory / f"{exercise.name}.md", exercise.task + "\n")
            if not self.answer(exercise).exists():
                write_text(self.answer(exercise), exercise.read("start.py"))

    def answer(self, exercise: Exercise) -> Path:
        return self.directory / f"{exercise.name}.py"

    def solution(self, exercise: Exercise) -> Path:
        return self.directory / "solutions" / f"{exercise.name}.py"

    def text(self, exercise: Exercise) -> str:
        """The student's text; empty where the file is gone or is no text."""
        try:
            return self.answer(exercise).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return ""

    def reset(self, exercise: Exercise) -> Path | None:
        """Put the start back. An answer that differs from it is kept beside it, under the first free of the names
        `.old`, `.old-2` and so on, which is returned."""
        path, start, old = self.answer(exercise), exercise.read("start.py"), None
        if path.exists() and self.text(exercise) != start:
            names = itertools.chain([".py.old"], (f".py.old-{n}" for n in itertools.count(2)))
            old = next(name for name in map(path.with_suffix, names) if not name.exists())
            path.replace(old)
        write_text(path, start)
        self.records[exercise.name] = Record()
        self.save()
        return old

    def passed(self, exercise: Exercise) -> bool:
        return bool(self.records[exercise.name].passed)

    def is_checked(self, exercise: Exercise) -> bool:
        """Whether the student's text, as it is now, is the one that was checked last."""
        return self.records[exercise.name].tried == digest(self.text(exercise))

    def edited(self) -> list[Exercise]:
        """The exercises whose text is not their start, in the order in which they were saved."""
        changed = [exercise for exercise in self.course if self.text(exercise) != exercise.read("start.py")]
        return sorted(changed, key=lambda exercise: self.answer(exercise).stat().st_mtime_ns)

    def save(self) -> None:
        records = {name: asdict(record) for name, record in self.records.items()}
        write_text(self.directory / ".progress.json", json.dumps(records, indent=1))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all; a character that UTF-8 lacks, half of a pair, becomes a question mark."""
    write_bytes(path, text.encode(errors="replace"))
