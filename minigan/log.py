"""Reading `log.jsonl`, the diary of a run: one JSON object a line, of kind "train" or "eval"."""

import json
from pathlib import Path

from minigan.errors import InputError


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
