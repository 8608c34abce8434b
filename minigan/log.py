"""Reading what a run writes down: `config.json`, and `log.jsonl`, one JSON object a line, of kind "train" or "eval"."""

import json
from pathlib import Path

from minigan.errors import InputError

DISTANCES = {  # the key of a Fréchet distance in a record, and what it is called: they do not compare with each other
    "fid": "FID",
    "digit_fid": "digit-FID",
    "random_fid": "random-FID",
}


def read_config(directory):
    """The config.json of a run, a dict; {} where there is none yet. InputError where it is something else."""
    path = Path(directory) / "config.json"
    if not path.is_file():
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error})") from error
    if not isinstance(config, dict):
        raise InputError(f"{path} must hold a JSON object")
    return config


def read_log(path):
    """The records of a run in order of step. A resumed run repeats steps: of one kind and step the last wins.

    A line cut by a kill is passed over. Raises InputError where there is no log or nothing in it is a record.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist: a run writes it at its first logged step.")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    latest = {}
    for line in lines:
        try:
            record = json.loads(line)
            latest[record["kind"], record["step"]] = record
        except (ValueError, TypeError, KeyError):
            continue
    if any(line.strip() for line in lines[:-1]) and not latest:
        raise InputError(f"{path} is not the log of a run: no line of it is a record with a kind and a step.")
    return sorted(latest.values(), key=lambda record: record["step"])


def distance(record):
    """(key, label) of the Fréchet distance of an "eval" record; None where it has none."""
    return next(((key, label) for key, label in DISTANCES.items() if key in record), None)
