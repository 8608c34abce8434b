"""Checkpoints: one HDF5 file with everything a run needs to go on bit for bit, replaced as a whole or not at all."""

import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from minigan.errors import InputError

FORMAT = "minigan checkpoint 1"


def save(path: Path, arrays: dict[str, dict[str, np.ndarray]], meta: dict[str, Any]) -> None:
    """Write groups of named arrays and a JSON-able `meta`; flushed and renamed, so a kill leaves the old file whole."""
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


def load(path: Path) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, Any]]:
    """The arrays by group and the meta of a checkpoint; InputError if it is none."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no checkpoint")
    try:
        with h5py.File(path, "r") as f:
            if f.attrs.get("format") != FORMAT:
                raise InputError(f"{path}: HDF5, but not a checkpoint of this program ({FORMAT})")
            meta = json.loads(f.attrs["meta"])
            return {group: {name: f[group][name][()] for name in f[group]} for group in f}, meta
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as e:  # h5py's, for damaged files
        raise InputError(f"{path}: not a readable checkpoint ({e})") from e
