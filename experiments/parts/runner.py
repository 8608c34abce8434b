"""Many training runs at once: each is a process of one of our commands, which can stop and be resumed at any moment."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from experiments.parts.holding import Stopped
from experiments.parts.jobs import Job, last_step, look
from minigan.log import describe, last

NO_BARS = {"TQDM_DISABLE": "1", "TQDM_MININTERVAL": "60"}  # the environment of a run, whose output is a file
POLL = 0.5  # seconds between looks at the running processes
SAME = 2.0  # seconds: a second Ctrl-C within them is the first one, which a wrapper passed on twice
ASK_AGAIN = 5.0  # seconds until a process is told to stop again: while it is loading, it misses the signal


class Runner:
    """Runs jobs in the order given, `at_once` at a time. Jobs that have finished or diverged are left out."""

    def __init__(self, jobs: list[Job], out: Path, at_once: int, device: str, lock: IO | None):
        self.out, self.at_once, self.device, self.lock = out, at_once, device, lock
        self.results = {job.name: look(job, out) for job in jobs}
        self.waiting = [r.job for r in self.results.values() if r.status not in ("finished", "diverged")]
        self.running: dict[str, subprocess.Popen] = {}
        self.failed = {name: r.words for name, r in self.results.items() if r.status == "diverged"}
        self.killed = False  # whether the running processes were killed before they could save

    def run(self) -> dict[str, str]:
        """Train everything that has not ended; returns {name: error} of the runs that failed or have diverged.

        On Ctrl-C and other signals the processes are told to stop, they save, and Stopped says so.
        """
        try:
            self.train()
        except KeyboardInterrupt as e:
            how = "killed: the runs go on from their last checkpoints" if self.killed else "stopped and saved"
            number = e.number if isinstance(e, Stopped) else signal.SIGINT
            raise Stopped(number, f"{how}; the same command goes on") from None
        return self.failed

    def train(self) -> None:
        """`run`, which on KeyboardInterrupt stops the processes and raises it again."""
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

    def sum_up(self, diverging_fails: bool = True) -> int:
        """Say which runs diverged and which failed otherwise; returns the exit status of the command.

        diverging_fails: a run that diverged counts as failed. Without it, that is a result like any other.
        """
        ends: dict[str, list[str]] = {"diverged": [], "failed": []}
        for name, words in self.failed.items():
            ends["diverged" if self.results[name].status == "diverged" else "failed"].append(f"  {name}: {words}")
        for how, lines in ends.items():
            if lines:
                fails = how == "failed" or diverging_fails
                again = ", and are not repeated unless their directories are deleted" if how == "diverged" else ""
                says = f"{len(lines)} of {len(self.results)} runs {how}{again}:"
                print("\n".join(["error: " * fails + says, *lines]), file=sys.stderr if fails else sys.stdout)
        return 1 if ends["failed"] or (ends["diverged"] and diverging_fails) else 0

    def steps_done(self) -> int:
        return sum(r.step for r in self.results.values())

    def describe(self) -> str:
        done = sum(r.status == "finished" for r in self.results.values())
        now = [f"{name} {self.results[name].step:,}/{self.results[name].job.steps:,}" for name in self.running]
        failed = [f"{len(self.failed)} failed"] if self.failed else []
        return " · ".join([f"{done} of {len(self.results)} runs", *failed, *now])


def _error(output: Path, code: int) -> str:
    """Why a process failed: its signal, its last line that begins with "error: ", or its last line."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    lines = [line.strip() for line in output.read_text(encoding="utf-8", errors="replace").splitlines()]
    lines = [line for line in lines if line]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (errors or lines or [f"exit status {code}"])[-1]
