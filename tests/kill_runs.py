"""Kill runs and cache builds at random moments: python tests/kill_runs.py --trainings 100 --builds 30

Each process gets SIGKILL after a random time, and is started again until it ends by itself. Nothing may be lost: the
checkpoint of the killed run equals that of an unbroken one bit for bit, the cache equals one that was built at once, no
step falls behind the last checkpoint, and no temporary file stays. In between, some processes see a full disk (a limit
on the size of files) or a file system without locks. The seed is printed; a failure names its directory.
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

NET = (
    "--batch 4 --g-width 32 --g-heads 2 --g-depth 1 --d-width 32 --d-heads 2 --d-depth 1 --latent 8 --g-head-width 8 "
    "--eval-samples 20 --features none --no-loops --device cpu"
).split()
TRAINING = [*NET, "--digits", "50", "--steps", "60", "--save-every", "7", "--sample-every", "9", "--log-every", "3"]
CODE = """
import sys
how, module, *sys.argv[1:] = sys.argv[1:]
if how == "without locks":
    import errno, fcntl
    def flock(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")
    fcntl.flock = flock
import importlib
importlib.import_module(f"experiments.{module}").run()
"""
HOWS = ["killed", "killed", "killed", "without locks", "on a full disk"]


def start(how: str, module: str, flags: list[str], limit: int) -> subprocess.Popen:
    """A command in a process of its own. "on a full disk": no file may grow beyond `limit` bytes."""

    def full() -> None:
        if how == "on a full disk":
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", CODE, how, module, *flags]
    return subprocess.Popen(
        command, env=environment, preexec_fn=full, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def end(process: subprocess.Popen, seconds: float | None, problems: list[str], where: Any) -> int:
    """Wait, and kill the process after some seconds; returns its status. A traceback is a problem."""
    try:
        _, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        _, said = process.communicate()
    if "Traceback" in said:
        problems.append(f"{where}: {said.strip().splitlines()[-1]}")
    return process.returncode


def step_of(directory: Path) -> int:
    """The step of the checkpoint; 0 if there is none."""
    from minigan import checkpoint

    path = directory / "checkpoint.h5"
    return checkpoint.load(path)[1]["steps_done"] if path.exists() else 0


def same_state(one: Path, other: Path) -> bool:
    import numpy as np

    from minigan import checkpoint

    (left, _), (right, _) = checkpoint.load(one / "checkpoint.h5"), checkpoint.load(other / "checkpoint.h5")
    return left.keys() == right.keys() and all(
        np.array_equal(left[group][name], right[group][name]) for group in left for name in left[group]
    )


def litter(directory: Path) -> list[str]:
    names = [path.name for path in directory.rglob("*")]
    return [name for name in names if name.endswith((".tmp", ".part", ".owner")) or name.startswith(".writing")]


def kill_trainings(kills: int, directory: Path, rng: Any, counts: Counter, problems: list[str]) -> None:
    """Kill trainings `kills` times in all, each run until it ends by itself."""
    whole = directory / "whole"
    begun = time.monotonic()
    end(start("plain", "mnist", [*TRAINING, "--out", str(whole)], 0), None, problems, whole)
    length = time.monotonic() - begun
    run = 0
    while counts["kills of training"] < kills:
        run += 1
        out, done, last = directory / f"run-{run}", False, 0
        while not done:
            how = HOWS[int(rng.integers(len(HOWS)))] if counts["kills of training"] < kills else "plain"
            begins = any((out / name).exists() for name in ("checkpoint.h5", "config.json"))
            flags = ["--resume", str(out), "--device", "cpu"] if begins else [*TRAINING, "--out", str(out)]
            process = start(how, "mnist", flags, int(rng.integers(2_000, 90_000)))
            begun = time.monotonic()
            status = end(process, None if how == "plain" else float(rng.uniform(0.3, 1.1) * length), problems, out)
            if status == 0:  # the machine has less to do than before
                length = min(length, time.monotonic() - begun)
            counts[f"training, {how}: status {status}"] += 1
            counts["kills of training"] += status == -signal.SIGKILL
            if (at := step_of(out)) < last:
                problems.append(f"{out}: fell from step {last} to {at}")
            if status not in (0, 2, -signal.SIGKILL):
                problems.append(f"{out}: status {status}")
            last, done = at, status == 0
        if not same_state(out, whole):
            problems.append(f"{out}: other weights than those of the unbroken run")
        if found := litter(out):
            problems.append(f"{out}: {found} stayed")
        records = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines() if line.endswith("}")]
        if max(record["step"] for record in records) != 60:
            problems.append(f"{out}: the log ends before the last step")
        counts["runs"] += 1


def kill_builds(kills: int, directory: Path, rng: Any, counts: Counter, problems: list[str]) -> None:
    """Kill builds of a cache `kills` times in all, each until it is complete."""
    import numpy as np
    from PIL import Image

    from minigan.data.cache import Recipe, cached

    pictures = directory / "pictures"
    pictures.mkdir(parents=True)
    for i in range(600):
        noise = rng.integers(0, 256, (160, 160, 3), dtype=np.uint8)
        Image.fromarray(noise).save(pictures / f"{i:04}.png", compress_level=1)
    expected = cached(pictures, Recipe(64), directory / "whole").images.hold()
    flags = ["--data", str(pictures), "--size", "64", *NET, "--dry-run"]
    begun = time.monotonic()
    end(start("plain", "images", [*flags, "--cache", str(directory / "timed")], 0), None, problems, "timed")
    length, build = time.monotonic() - begun, 0
    while counts["kills of builds"] < kills:
        build += 1
        place, done = directory / f"cache-{build}", False
        while not done:
            how = HOWS[int(rng.integers(len(HOWS)))] if counts["kills of builds"] < kills else "plain"
            process = start(how, "images", [*flags, "--cache", str(place)], int(rng.integers(2_000, 9_000_000)))
            seconds = None if how == "plain" else float(rng.uniform(0.3, 0.9) * length)
            begun = time.monotonic()
            status = end(process, seconds, problems, place)
            if status == 0:
                length = min(length, time.monotonic() - begun)
            counts[f"build, {how}: status {status}"] += 1
            counts["kills of builds"] += status == -signal.SIGKILL
            if status not in (0, 2, -signal.SIGKILL):
                problems.append(f"{place}: status {status}")
            done = any(path.is_dir() and not path.name.endswith(".part") for path in place.glob("*"))
        if not np.array_equal(cached(pictures, Recipe(64), place).images.hold(), expected):
            problems.append(f"{place}: other images than those that were built at once")
        if found := [path.name for path in place.iterdir() if not path.is_dir() or path.name.endswith(".part")]:
            problems.append(f"{place}: {found} stayed")
        counts["caches"] += 1


def main() -> int:
    import numpy as np

    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--trainings", type=int, default=100, metavar="N", help="kills of trainings")
    p.add_argument("--builds", type=int, default=30, metavar="N", help="kills of cache builds")
    p.add_argument("--seed", type=int, default=0)
    args = p.parse_args()
    rng, counts, directory = np.random.default_rng(args.seed), Counter(), Path(tempfile.mkdtemp())
    begun = time.monotonic()
    problems: list[str] = []
    for number in (signal.SIGINT, signal.SIGTERM):  # so that it tells what it has counted so far
        signal.signal(number, signal.default_int_handler)
    try:
        if args.builds:
            kill_builds(args.builds, directory / "builds", rng, counts, problems)
        if args.trainings:
            kill_trainings(args.trainings, directory / "trainings", rng, counts, problems)
    except KeyboardInterrupt:
        print("interrupted: so far")
    for what, count in sorted(counts.items()):
        print(f"{what}: {count}")
    print(f"seed {args.seed}, {time.monotonic() - begun:.0f} s, {len(problems)} problems, in {directory}")
    for problem in problems:
        print(f"  {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
