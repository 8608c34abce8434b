"""Many training runs at once: each is a process of one of our commands, which can stop and be resumed at any moment."""

import dataclasses
import importlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from experiments.cli import DIVERGED, given_options
from minigan.config import BEFORE, Config, resolve
from minigan.lock import hold_lock
from minigan.log import last, read_config, read_log
from minigan.train import describe

# By command: pixels along a side, and channels, of its images where nothing says otherwise.
COMMANDS = {"mnist": (28, 1), "celeba": (64, 3), "cifar10": (32, 3), "images": (64, 3)}
NO_BARS = {"TQDM_DISABLE": "1", "TQDM_MININTERVAL": "60"}  # the environment of a run, whose output is a file
POLL = 0.5  # seconds between looks at the running processes
SAME = 2.0  # seconds: a second Ctrl-C within them is the first one, which a wrapper passed on twice
ASK_AGAIN = 5.0  # seconds until a process is told to stop again: while it is loading, it misses the signal


@dataclass(frozen=True)
class Job:
    """A run to train: its place below --out, the module of `experiments` that trains it, and the flags for that."""

    name: str
    command: str
    flags: tuple[str, ...]

    @property
    def steps(self) -> int:
        return int(self.flags[self.flags.index("--steps") + 1])


@dataclass
class Result:
    """What a job has left behind.

    `status`: "finished", "diverged" (a loss was no longer a finite number, and would not be again: the same steps give
    the same numbers), "failed", "stopped" (it can go on) or "waiting".
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


def differences(result: Result) -> list[str]:
    """What the run in the directory was configured otherwise than its job says: flags, or defaults changed since."""
    command = shlex.split(result.config.get("command", ""))
    if len(command) < 3:  # not written yet
        return []
    if command[2] != f"experiments.{result.job.command}":
        return [f"{command[2]}, now experiments.{result.job.command}"]
    then, now = _by_name(command[3:]), _by_name(result.job.flags)
    changed = [
        f"{_flag(name, then)}, now {_flag(name, now)}" for name in {**then, **now} if then.get(name) != now.get(name)
    ]
    if changed:
        return changed
    recorded = result.config.get("options", {})
    if recorded:  # of a field that it lacks, as what it was when there was no such field
        recorded = {**dataclasses.asdict(Config()), **BEFORE, **recorded}
    options = dataclasses.asdict(configuration(result.job, recorded.get("image_size"), recorded.get("channels")))
    return [f"{k} {recorded.get(k)}, now {v}" for k, v in options.items() if recorded.get(k) != v]


def _by_name(words: Sequence[str]) -> dict[str, list[str]]:
    """{flag: values} of a command line, without the flags that do not change the result."""
    named: dict[str, list[str]] = {}
    for word in words:
        if word.startswith("--"):
            values = named.setdefault(word, [])
        else:
            values.append(word)
    return {name: values for name, values in named.items() if name not in ("--out", "--device")}


def _flag(name: str, flags: dict[str, list[str]]) -> str:
    return " ".join([name, *flags[name]]) if name in flags else f"no {name}"


def configuration(job: Job, image_size: int | None = None, channels: int | None = None) -> Config:
    """The configuration that the flags of a job give today, on images of this size or of its command's usual size."""
    module = importlib.import_module(f"experiments.{job.command}")
    args = module.parser().parse_args(job.flags)
    size, colours = COMMANDS[job.command]
    image = {"image_size": image_size or getattr(args, "size", None) or size, "channels": channels or colours}
    return resolve(**{**given_options(args), **image})


# Running ---------------------------------------------------------------------------------------------------


@contextmanager
def hold_directory(out: Path) -> Iterator[IO | None]:
    """Hold the lock of `out`. The processes of the runs inherit it: two calls would spoil each other's files."""
    out.mkdir(parents=True, exist_ok=True)
    with hold_lock(out / ".lock", f"another call is at work in {out}") as lock:
        yield lock


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """SIGTERM and a closed terminal raise KeyboardInterrupt, as Ctrl-C does."""

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    numbers = [s for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if s == signal.SIGTERM or not _ignored(s)]
    previous = {s: signal.signal(s, stop) for s in numbers}
    try:
        yield
    finally:
        for s, handler in previous.items():
            signal.signal(s, handler)


def _ignored(number: int) -> bool:
    return signal.getsignal(number) == signal.SIG_IGN


class Runner:
    """Runs jobs in the order given, `at_once` at a time, and skips those that have finished or diverged."""

    def __init__(self, jobs: list[Job], out: Path, at_once: int, device: str, lock: IO | None):
        self.out, self.at_once, self.device, self.lock = out, at_once, device, lock
        self.results = {job.name: look(job, out) for job in jobs}
        self.waiting = [r.job for r in self.results.values() if r.status not in ("finished", "diverged")]
        self.running: dict[str, subprocess.Popen] = {}
        self.failed = {name: r.words for name, r in self.results.items() if r.status == "diverged"}
        self.killed = False  # whether the running processes were killed before they could save

    def run(self) -> dict[str, str]:
        """Train everything that has not ended; returns {name: error} of the runs that failed or have diverged.

        On KeyboardInterrupt the processes are told to stop, they save, and it is raised again.
        """
        from minigan.progress import Progress

        total = sum(r.job.steps for r in self.results.values())
        bar = Progress(
            total=total,
            initial=self.steps_done(),
            bar_format="{percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
            mininterval=POLL,
            dynamic_ncols=True,
            smoothing=0,
        )
        try:
            while self.waiting or self.running:
                while self.waiting and len(self.running) < self.at_once:
                    job = self.waiting.pop(0)
                    self.running[job.name] = self.start(job)
                time.sleep(POLL)
                for name, process in list(self.running.items()):
                    self.results[name].step = max(self.results[name].step, last_step(self.out / name))
                    if process.poll() is not None:
                        del self.running[name]
                        Progress.write(self.end(name, process.returncode), file=sys.stderr)
                bar.set_postfix_str(self.describe(), refresh=False)
                bar.update(self.steps_done() - bar.n)
        finally:
            bar.close()
            self.stop()
        return self.failed

    def start(self, job: Job) -> subprocess.Popen:
        """Start the process of a job: it resumes the run if there is a checkpoint."""
        directory = self.out / job.name
        directory.mkdir(parents=True, exist_ok=True)
        if (directory / "checkpoint.h5").is_file():
            arguments = ["--resume", str(directory)]
        else:  # a log without a checkpoint: the run was killed before its first one, and starts again
            (directory / "log.jsonl").unlink(missing_ok=True)
            self.results[job.name].step = 0
            arguments = [*job.flags, "--out", str(directory)]
        home = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))
        with open(directory / "output.txt", "wb") as output:
            return subprocess.Popen(
                [*self.program(job), *arguments, "--device", self.device],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **NO_BARS},
                pass_fds=[self.lock.fileno()] if self.lock else [],
                start_new_session=True,  # so that Ctrl-C reaches this process alone, which passes it on and waits
            )

    def program(self, job: Job) -> list[str]:
        return [sys.executable, "-m", f"experiments.{job.command}"]

    def end(self, name: str, code: int) -> str:
        """Record how a process ended; returns the line to print."""
        output = self.out / name / "output.txt"
        if code:
            words = _error(output, code)
            with open(output, "a", encoding="utf-8") as f:
                f.write(f"\nfailed: {words}\n")
            self.failed[name] = words
        result = self.results[name] = look(self.results[name].job, self.out)
        if code:
            return f"{name} {'diverged' if result.status == 'diverged' else 'failed'}: {self.failed[name]}"
        return f"{name}: {describe(last(result.records, 'eval'))}"

    def stop(self) -> None:
        """Tell the running processes to save and end. A second Ctrl-C kills them; their last checkpoints stay whole."""
        started = time.monotonic()
        while self.running:
            try:
                for process in self.running.values():
                    process.send_signal(signal.SIGINT)
                deadline = time.monotonic() + ASK_AGAIN
                while self.running and time.monotonic() < deadline:
                    time.sleep(0.05)
                    self.running = {name: p for name, p in self.running.items() if p.poll() is None}
            except KeyboardInterrupt:
                if time.monotonic() < started + SAME:
                    continue
                self.killed = True
                for process in self.running.values():
                    process.kill()
                    process.wait()
                raise

    def steps_done(self) -> int:
        return sum(r.step for r in self.results.values())

    def describe(self) -> str:
        done = sum(r.status == "finished" for r in self.results.values())
        now = [f"{name} {self.results[name].step:,}/{self.results[name].job.steps:,}" for name in self.running]
        failed = [f"{len(self.failed)} failed"] if self.failed else []
        return " · ".join([f"{done} of {len(self.results)} runs", *failed, *now])


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


def _error(output: Path, code: int) -> str:
    """Why a process failed: its signal, its last line that begins with "error: ", or its last line."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    lines = [line.strip() for line in output.read_text(encoding="utf-8", errors="replace").splitlines()]
    lines = [line for line in lines if line]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (errors or lines or [f"exit status {code}"])[-1]


def _failure(output: Path) -> str:
    """The error that `Runner.end` wrote to the output of a run; "" for a run that did not fail."""
    if not output.is_file():
        return ""
    lines = output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    if not lines or not lines[-1].startswith("failed: "):
        return ""
    return lines[-1].removeprefix("failed: ")
