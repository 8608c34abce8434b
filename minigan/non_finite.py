"""Where a training went wrong: the first step and op whose result is no finite number, found by replaying the steps."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from autograd import hook, use_tf32
from autograd.arrays import array_module, is_array
from minigan import checkpoint
from minigan.data import Dataset
from minigan.step import GAN, STATS


class NonFinite(RuntimeError):
    """A loss or a gradient norm is no longer a finite number; the message says since when, and in which op it began."""


def explain(gan: GAN, data: Dataset, directory: Path, rows: np.ndarray, first: int, tf32: bool) -> str:
    """The message of a NonFinite: the steps since the checkpoint of the run are replayed, and every op is watched.

    rows: those of `STATS` (n, len(STATS)) of the steps first + 1, first + 2, …, with a number that is not finite.
    """
    row, column = np.argwhere(~np.isfinite(rows))[0]
    says = [f"step {first + row + 1}: {STATS[column]} is {rows[row, column]}"]
    path = directory / "checkpoint.h5"
    config = dataclasses.replace(gan.config, accumulate=gan.part.parts)  # those of all ranks, in turn
    replay = GAN(config, data.images, gan.device, labels=data.labels)
    saved = 0
    if path.is_file():
        replay.load_state(*checkpoint.load(path))
        saved = replay.steps_done
    try:
        with hook(_stop_at_non_finite), np.errstate(all="ignore"), use_tf32(tf32):
            while replay.steps_done <= first + row:
                replay.step()
    except NonFinite as e:
        says.append(f"it began at step {replay.steps_done + 1} {e}")
    says.append("lower --g-lr and --d-lr, or set --max-norm 1")
    if saved:
        says.append(f"the checkpoint of step {saved} is kept")
    return "; ".join(says)


def _stop_at_non_finite(op: Any, kind: str, call: Callable[[], Any]) -> Any:
    """A hook that raises NonFinite after the first op whose result is not finite."""
    out = call()
    for x in out if isinstance(out, tuple) else (out,):
        if is_array(x) and x.dtype.kind == "f" and not bool(array_module(x).isfinite(x).all()):
            raise NonFinite(f"the result {x.dtype}{list(x.shape)} is not finite")  # the engine adds the name of the op
    return out
