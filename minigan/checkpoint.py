"""Checkpoints: one HDF5 file with all that a run needs to go on bit for bit."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from minigan.errors import InputError
from minigan.hdf5 import array_names, read_array, reading_hdf5, text, writing_hdf5
from minigan.numbers import is_number

FORMAT = "minigan checkpoint 1"

Arrays = dict[str, dict[str, np.ndarray]]  # by group and name


def save(path: Path, arrays: Arrays, meta: dict[str, Any]) -> None:
    """Write arrays of any shape and a JSON-able `meta`; InputError if the disk is full.

    A kill or an error at any moment leaves the old file.
    """
    with writing_hdf5(path, format=FORMAT, meta=json.dumps(meta)) as file:
        for group, tensors in arrays.items():
            for name, array in tensors.items():
                file.array(f"{group}/{name}", array)


def load(path: Path) -> tuple[Arrays, dict[str, Any]]:
    """The arrays and the meta of a checkpoint. InputError if the file is missing, damaged or something else."""
    path = Path(path)
    if not path.is_file():
        missing = "there is no checkpoint" if path.exists() else "there is no such file or folder"
        raise InputError(f"{path}: {missing}")
    with reading_hdf5(path, "is not a readable checkpoint", FORMAT) as f:
        meta = json.loads(text(f.attrs["meta"]) or "")
        if not isinstance(meta, dict):
            raise ValueError("its meta is not a JSON object")
        arrays: Arrays = {}
        for place in array_names(f):
            group, _, name = place.partition("/")
            if not name:
                raise ValueError(f"the array {group} is in no group")
            arrays.setdefault(group, {})[name] = read_array(f, place)
        return arrays, meta


def check_counters(meta: dict[str, Any]) -> None:
    """ValueError unless the numbers of a checkpoint could have been written by a run."""
    rng, best = meta.get("rng"), meta.get("best")
    whole = [meta.get("steps_done"), *(rng if isinstance(rng, list) and len(rng) == 2 else [None])]
    if any(type(n) is not int or not 0 <= n < 2**63 for n in whole):
        raise ValueError(f"its steps {whole[0]!r} or its random state {rng!r} are not whole numbers")
    if not is_number(meta.get("seconds")) or meta["seconds"] < 0:
        raise ValueError(f"its seconds are {meta.get('seconds')!r}")
    if best is not None and not (isinstance(best, dict) and all(is_number(value) for value in best.values())):
        raise ValueError("its best evaluation is not made of numbers")
