"""A run among many, and the files that it leaves."""

import dataclasses
import json

from experiments.parts.jobs import Job
from experiments.parts.settings import configuration


def job(name, *flags, steps=10):
    return Job(name, "mnist", ("--steps", str(steps), *flags))


def configured(out, j, **options):
    """The config.json that the run of a job writes, with some of its options otherwise."""
    directory = out / j.name
    directory.mkdir(parents=True, exist_ok=True)
    config = {
        "command": f"python -m experiments.{j.command} {' '.join(j.flags)} --out {directory} --device cpu",
        "options": {**dataclasses.asdict(configuration(j)), **options},
    }
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "log.jsonl").write_text('{"kind": "train", "step": 10, "seconds": 1}\n')
    return directory
