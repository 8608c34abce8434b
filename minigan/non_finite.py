"""Where a training went wrong: the first step and op whose result is no finite number, found by replaying the steps."""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from autograd import hook, use_tf32
from autograd.arrays import array_module, is_array
from minigan import checkpoint
from minigan.data import Dataset
from minigan.errors import InputError
from minigan.files import why
from minigan.progress import Progress
from minigan.step import GAN, STATS


class NonFinite(RuntimeError):
    """A loss or a gradient norm is no longer a finite number; the message says since when, and in which op it began."""


def explain(
    gan: GAN,
    data: Dataset,
    directory: Path,
    rows: np.ndarray,
    first: int,
    tf32: bool,
    stop: Callable[[], bool] = lambda: False,
) -> str:
    """The message of a NonFinite: the steps since the checkpoint of the run are replayed, and every op is watched.

    rows: those of `STATS` (n, len(STATS)) of the steps first + 1, first + 2, …, with a number that is not finite.
    stop: asked before each step; when true, the search ends. The message then lacks the op, as it does where the steps
    cannot be replayed.
    """
    row, column = np.argwhere(~np.isfinite(rows))[0]
    bad = first + int(row) + 1
    says = [f"step {bad}: {STATS[column]} is {rows[row, column]}"]
    path = directory / "checkpoint.h5"
    saved = 0
    try:
        config = dataclasses.replace(gan.config, accumulate=gan.part.parts)  # those of all ranks, in turn
        replay = GAN(config, data.images, gan.device, labels=data.labels)
        if path.is_file():
            replay.load_state(*checkpoint.load(path))
            saved = replay.steps_done
        steps = "1 step" if bad - saved == 1 else f"{bad - saved:,} steps"
        Progress.write(f"{says[0]}; replaying {steps} to find the op where it began", file=sys.stderr)
        with hook(_stop_at_non_finite), np.errstate(all="ignore"), use_tf32(tf32):
            while replay.steps_done < bad and not stop():
                replay.step()
    except NonFinite as e:
        says.append(f"it began at step {replay.steps_done + 1} {e}")
    except (InputError, MemoryError) as e:
        says.append(f"the steps before it cannot be replayed ({why(e)})")
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
