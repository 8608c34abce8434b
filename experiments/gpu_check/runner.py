"""Runs the stages, each as a process group of its own with its own limit, and keeps OUT/record.json and OUT/log.txt.

    record = {"command", "when", "stages": {name: {"status", "why", "seconds", "commit", "gpu", "found"}}}

status: passed, failed, timed out, no time left, skipped or interrupted. gpu: the one that a stage ran on, for a second
call may meet another. found: what the stage left in OUT/its-name.
Both files are written after every stage, so whatever ends this process, they say how far it came.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
import xml.etree.ElementTree as xml
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.gpu_check.stages import FOLDER, Stage
from minigan.errors import InputError
from minigan.files import write_bytes
from minigan.log import last, read_log

ROOT = Path(__file__).parents[2]
LEAST = 5.0  # seconds: a stage is not begun with less time than that
DONE = ("passed", "skipped")  # all is well


class Runner:
    """out: the directory of the record, made if it is not there. seconds: for all stages together.

    An existing record is continued: stages that passed are kept. The first stage of a call runs each
    time, for it says what the others lack here: found["missing"], name → reason.
    """

    def __init__(self, out: Path, seconds: float, command: str):
        self.out, self.end = out.resolve(), time.monotonic() + seconds
        self.out.mkdir(parents=True, exist_ok=True)
        self.record: dict[str, Any] = read_record(self.out) | {"command": command}
        self.entries: dict[str, dict[str, Any]] = self.record["stages"]
        self.commit, self.gpu = commit(), None

    def run(self, stages: Sequence[Stage]) -> None:
        """Run what has not passed yet, and print a line for each stage.

        Stages that failed before run last, so that those which have never run get their time.
        """
        missing: dict[str, str] = {}
        for i, stage in enumerate([*stages[:1], *sorted(stages[1:], key=self.ran)]):
            before = self.entries.get(stage.name, {})
            lacking = [missing[need] for need in stage.needs if need in missing]
            if before.get("status") == "passed" and i > 0:
                print(f"{stage.name:22} passed before", flush=True)
                continue
            if "seconds" in before and (lacking or self.left() < LEAST):
                entry = before  # what it was stays known
            elif lacking:
                entry = {"status": "skipped", "why": lacking[0]}
            elif self.left() < LEAST:
                entry = {"status": "no time left", "why": ""}
            else:
                entry = self.run_stage(stage)
            if i == 0:
                missing, self.gpu = lacks(entry), entry.get("found", {}).get("gpu")
                if "gpu" in missing and before.get("status") == "passed" and "gpu" not in lacks(before):
                    entry = before  # a record of a GPU that is looked at elsewhere
            self.entries[stage.name] = entry
            self.save()
            why = f"it would show {stage.shows}; {entry['why']}" if entry["status"] == "skipped" else entry["why"]
            seconds = f"{entry['seconds']:.1f} s" if "seconds" in entry else ""
            print(f"{stage.name:22} {entry['status']:12} {seconds:>8}  {why}".rstrip(), flush=True)

    def ran(self, stage: Stage) -> bool:
        """Whether a stage ran in an earlier call, and did not pass."""
        return self.entries.get(stage.name, {}).get("status", "passed") not in ("passed", "skipped", "no time left")

    def left(self) -> float:
        return self.end - time.monotonic()

    def run_stage(self, stage: Stage) -> dict[str, Any]:
        """The entry of a stage. What it leaves in its folder is what it found, so that is emptied first.

        A training that was cut short goes on in its folder.
        """
        folder, before = self.out / stage.name.replace(" ", "-").lower(), self.entries.get(stage.name, {})
        cut_short = before.get("status") in ("timed out", "no time left", "interrupted")
        going_on = bool(stage.resume) and cut_short and (folder / "checkpoint.h5").is_file()
        if not going_on:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        command = [word.replace(FOLDER, str(folder)) for word in (stage.resume if going_on else stage.command)]
        started, left, status, why = time.monotonic(), self.left(), "interrupted", ""
        try:
            with open(self.out / "log.txt", "ab") as log:
                log.write(f"\n===== {stage.name}\n".encode())
                log.flush()
                start = log.tell()
                code = run_group(command, log, min(stage.limit, left))
            if code is None and left < stage.limit:
                status, why = "no time left", f"killed after {left:.0f} s, when the time of the call was over"
            elif code is None:
                status, why = "timed out", f"killed at its limit of {stage.limit:g} s"
            else:
                status = "failed" if code else "passed"
                why = self.reason(code, start)
        finally:
            found = what_it_left(folder)
            if bad := [*found.get("wrong", []), *(": ".join(test) for test in found.get("failed tests", []))]:
                says = bad[:3] + ([f"and {len(bad) - 3} more"] if len(bad) > 3 else [])
                status = "failed" if status == "passed" else status
                why = "; ".join([*([] if status == "failed" else filter(None, [why])), *says])
            entry = {"status": status, "why": why, "seconds": round(time.monotonic() - started, 1)}
            entry |= {"commit": self.commit, "gpu": self.gpu, "found": found}
            self.entries[stage.name] = entry
            self.save()
        return entry

    def reason(self, code: int, start: int) -> str:
        """How a stage ended, and the last line that it wrote to the log, from byte `start` on; "" for status 0."""
        if code == 0:
            return ""
        lines = (self.out / "log.txt").read_bytes()[start:].decode(errors="replace").split("\n")
        last_line = next((line.strip() for line in reversed(lines) if line.strip()), "")[:300]
        how = f"exit status {code}" if code > 0 else f"killed by signal {-code}"
        return ": ".join(filter(None, [how, last_line])).replace(f"{self.out}/", "").replace(f"{ROOT}/", "")

    def save(self) -> None:
        self.record["when"] = time.strftime("%Y-%m-%d %H:%M")
        write_bytes(self.out / "record.json", json.dumps(self.record, indent=1, ensure_ascii=False).encode())


def run_group(command: list[str], log: Any, limit: float) -> int | None:
    """The exit status of a command (negative: a signal), None at its limit. Nothing that it started lives on."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    how: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "cwd": ROOT, "env": environment}
    try:
        process = subprocess.Popen(command, start_new_session=True, **how)
    except OSError as e:
        log.write(f"{e}\n".encode())
        return 127
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def lacks(entry: dict[str, Any]) -> dict[str, str]:
    """What the first stage found missing: name → reason."""
    return entry.get("found", {}).get("missing", {})


def what_it_left(folder: Path) -> dict[str, Any]:
    """What a stage found, from the files in its folder; files that a kill cut short are passed over."""
    found: dict[str, Any] = {}
    for read in (measured, tested, benchmarked, trained, sanitized):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, xml.ParseError, InputError):
            found |= read(folder)
    return found


def measured(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "found.json").read_text(encoding="utf-8"))


def tested(folder: Path) -> dict[str, Any]:
    """Of junit.xml: how many tests passed and were skipped, and the name and message of each that failed.

    Tests that are all skipped have shown nothing, which is wrong.
    """
    cases = list(xml.parse(folder / "junit.xml").iter("testcase"))
    bad = [(c.get("name"), fault) for c in cases for fault in (*c.findall("failure"), *c.findall("error"))]
    failed = [[name, (fault.get("message") or "").strip().partition("\n")[0][:200]] for name, fault in bad]
    skipped = [skip.get("message") for case in cases for skip in case.findall("skipped")]
    passed = len(cases) - len(skipped) - len({name for name, _ in failed})
    wrong = [f"every test was skipped: {skipped[0]}"] if len(skipped) == len(cases) > 0 else []
    return {"tests passed": passed, "tests skipped": len(skipped), "failed tests": failed, "wrong": wrong}


def benchmarked(folder: Path) -> dict[str, Any]:
    """Of bench.json: the rows, without their samples."""
    record = json.loads((folder / "bench.json").read_text(encoding="utf-8"))
    rows = [{key: value for key, value in row.items() if key != "samples"} for row in record["rows"]]
    wrong = [f"{row['name']}: {row['differs']}" for row in rows if row["differs"]]
    return {"rows": rows, "machine": record["machine"], "wrong": wrong}


def trained(folder: Path) -> dict[str, Any]:
    """Of log.jsonl: every evaluation, and the last line of the training."""
    records = read_log(folder / "log.jsonl")
    return {"evaluations": [r for r in records if r["kind"] == "eval"], "trained": last(records, "train")}


def sanitized(folder: Path) -> dict[str, Any]:
    """Of sanitizer.txt: its last line, "ERROR SUMMARY: …" or "RACECHECK SUMMARY: …"."""
    lines = re.findall(r"=+ (\w+ SUMMARY: .*)", (folder / "sanitizer.txt").read_text(errors="replace"))
    return {"summary": lines[-1]} if lines else {}


def read_record(out: Path) -> dict[str, Any]:
    """The record in a directory, or an empty one; InputError if the file there is something else."""
    path = out / "record.json"
    if not path.exists():
        return {"stages": {}}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        kinds = {"status": str, "why": str, "seconds": int | float, "found": dict}
        given = [{"seconds": 0, "found": {}} | entry for entry in record["stages"].values()]
        good = all(isinstance(entry[name], kind) for entry in given for name, kind in kinds.items())
    except (ValueError, KeyError, TypeError, AttributeError):
        good = False
    if not good:
        raise InputError(f"{path} is not a record of this command: choose another directory")
    return record


def commit() -> str:
    """The commit of the checkout, with a + where files differ from it; "" where git cannot tell."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        words = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--abbrev=10"]
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    return ""
