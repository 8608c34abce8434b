"""Checkpoints: one HDF5 file with all that a run needs to go on bit for bit."""

import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from minigan.errors import InputError

FORMAT = "minigan checkpoint 1"

Arrays = dict[str, dict[str, np.ndarray]]  # by group and name


def save(path: Path, arrays: Arrays, meta: dict[str, Any]) -> None:
    """Write arrays and a JSON-able `meta`.

    The file is written under another name, flushed to the disk and renamed: a kill at any moment leaves the old file.
    """
    path = Path(path)
    temporary = path.with_name(path.name + ".tmp")
    with h5py.File(temporary, "w") as f:
        f.attrs["format"] = FORMAT
        f.attrs["meta"] = json.dumps(meta)
        for group, tensors in arrays.items():
            for name, array in tensors.items():
                f.create_dataset(f"{group}/{name}", data=array)
        f.flush()
    with open(temporary, "rb") as raw:
        os.fsync(raw.fileno())
    os.replace(temporary, path)


def load(path: Path) -> tuple[Arrays, dict[str, Any]]:
    """The arrays and the meta of a checkpoint. InputError if the file is missing, damaged or something else."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no checkpoint")
    try:
        with h5py.File(path, "r") as f:
            if f.attrs.get("format") != FORMAT:
                raise InputError(f"{path}: HDF5, but not a checkpoint of this program ({FORMAT})")
            meta = json.loads(f.attrs["meta"])
            return {group: {name: f[group][name][()] for name in f[group]} for group in f}, meta
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as e:  # h5py raises all of them for damaged files
        raise InputError(f"{path}: not a readable checkpoint ({e})") from e
