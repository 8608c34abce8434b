"""Run the judge of one answer in a process of its own, within a time limit.

That keeps a loop or a crash away from the course. It is no sandbox: the answer may do whatever its user may do.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, NamedTuple

from experiments.learn import LIMIT
from experiments.learn.course import Exercise

SHOWN = 1500  # bytes of what the answer prints that are kept


class Verdict(NamedTuple):
    kind: str  # passed, wrong (with a diagnosis), or crashed (an exception, a loop, no file)
    text: str  # the diagnosis, or what happened
    printed: str = ""  # what the answer printed
    hints: tuple[str, ...] = ()  # where the mistake is, the edit; empty ones are not known
    start: str = ""  # what the check says that the start fails with

    @property
    def passed(self) -> bool:
        return self.kind == "passed"


def run(exercise: Exercise, answer: Path, limit: float = LIMIT, steps: int = 0) -> Verdict:
    """The verdict on the file `answer`. steps: the hints wanted beyond the diagnosis, 0 to 2."""
    if not answer.is_file():
        return Verdict("crashed", f"there is no file {answer.name}")
    root = Path(__file__).parents[2]
    paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    with tempfile.TemporaryDirectory() as scratch:  # also where the answer runs: nothing there hides a module
        target = Path(scratch) / "verdict.json"
        files = [str(path.resolve()) for path in (exercise.folder / "check.py", answer)]
        process = subprocess.Popen(
            [sys.executable, "-m", "experiments.learn.judge", *files, str(target), str(steps)],
            cwd=scratch,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1", **ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that what it starts can be stopped with it
        )
        try:
            return _verdict(process, target, answer, limit)
        except BaseException:  # Ctrl-C
            _stop(process)
            raise


ENVIRONMENT = {"PYTHONIOENCODING": "utf-8", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def _verdict(process: subprocess.Popen, target: Path, answer: Path, limit: float) -> Verdict:
    kept = bytearray()
    assert process.stdout is not None
    reader = threading.Thread(target=_drain, args=(process.stdout, kept), daemon=True)
    reader.start()
    try:
        status = process.wait(limit)
    except subprocess.TimeoutExpired:
        _stop(process)
        text = f"{answer.name} was stopped after {limit:g} seconds: does it loop for ever?"
        return Verdict("crashed", text, _shown(reader, kept))
    _stop(process)  # what the answer left running: it would hold the pipe open
    printed = _shown(reader, kept)
    try:
        found = json.loads(target.read_text(encoding="utf-8"))
        words = [text.encode(errors="replace").decode() for text in (found["text"], found["start"], *found["hints"])]
        return Verdict(found["kind"], words[0], printed, tuple(words[2:]), words[1])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        return Verdict("crashed", f"the process of {answer.name} {how} before it was checked", printed)


def _drain(stream: IO[bytes], kept: bytearray) -> None:
    """Read to the end, and keep the beginning: the answer may print for ever."""
    with stream:
        while block := stream.read1(65536):  # type: ignore[attr-defined]
            kept.extend(block[: SHOWN - len(kept)])


def _shown(reader: threading.Thread, kept: bytearray) -> str:
    reader.join(5)
    return bytes(kept).decode("utf-8", "replace") + ("\n…" if len(kept) >= SHOWN else "")


def _stop(process: subprocess.Popen) -> None:
    """Kill the process and all that it started, if they still run."""
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
