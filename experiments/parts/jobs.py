"""A run to train in a process of its own, and what its directory says of it."""

import functools
import importlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.parts.train import DIVERGED
from minigan.log import read_config, read_log


@dataclass(frozen=True)
class Job:
    """A run to train: its place below --out, the module of `experiments` that trains it, and the flags for that."""

    name: str
    command: str
    flags: tuple[str, ...]

    @functools.cached_property
    def steps(self) -> int:
        """As the command reads its flags: the last of two counts, and names may be shortened."""
        parser = importlib.import_module(f"experiments.{self.command}").parser()
        return parser.parse_known_args(self.flags)[0].steps


def counted(jobs: Sequence) -> str:
    """How many runs there are."""
    return "1 run" if len(jobs) == 1 else f"{len(jobs)} runs"


@dataclass
class Result:
    """What a job has left behind.

    `status`: "finished", "diverged" (a loss or the norm of a gradient was no longer a finite number: another try would
    repeat it, until the directory is deleted), "failed", "stopped" (it can go on) or "waiting".
    """

    job: Job
    directory: Path
    status: str
    step: int
    words: str = ""  # of a run that diverged or failed: its error
    config: dict[str, Any] = field(default_factory=dict)  # config.json
    records: list[dict[str, Any]] = field(default_factory=list)  # log.jsonl


def look(job: Job, out: Path) -> Result:
    """The state of a job, read from its directory."""
    directory = out / job.name
    config, records = read_config(directory), []
    if (directory / "log.jsonl").is_file():
        records = read_log(directory / "log.jsonl")
    step = max((r["step"] for r in records), default=0)
    words = _failure(directory / "output.txt")
    if step >= job.steps and (directory / "samples.h5").is_file():
        status, words = "finished", ""
    elif words:
        status = "diverged" if words.startswith(DIVERGED) else "failed"
    else:
        status = "stopped" if step else "waiting"
    return Result(job, directory, status, min(step, job.steps), words, config, records)


def last_step(directory: Path) -> int:
    """The step of the last whole line of a run's log, 0 if there is none. Reads only the end of the file."""
    try:
        with open(directory / "log.jsonl", "rb") as f:
            f.seek(max(0, f.seek(0, os.SEEK_END) - 8192))
            lines = f.read().splitlines()
    except FileNotFoundError:
        return 0
    for line in reversed(lines):
        try:
            return json.loads(line)["step"]
        except (ValueError, TypeError, KeyError):
            continue
    return 0


def _failure(output: Path) -> str:
    """The error that `Runner.end` wrote to the output of a run; "" for a run that did not fail."""
    if not output.is_file():
        return ""
    lines = output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    if not lines or not lines[-1].startswith("failed: "):
        return ""
    return lines[-1].removeprefix("failed: ")
