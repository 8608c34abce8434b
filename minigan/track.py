"""`--track tensorboard`: the log and the sample grids of a run for TensorBoard too, by tensorboardX.

It writes into the folder `tensorboard` of the run: `tensorboard --logdir runs` shows all runs. Without the flag nothing
of it is imported.
"""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np

from minigan.errors import InputError
from minigan.numbers import is_number

NOT_SCALARS = ("kind", "step")
PACKAGE = "tensorboardX"


class TensorBoard:
    """Writes what a run logs. InputError if tensorboardX is not installed.

    step: where the run begins or goes on; what was written beyond it, by a run that was killed, is not shown.
    """

    def __init__(self, directory: Path, step: int = 0):
        check_installed()
        from tensorboardX import SummaryWriter

        self.writer = SummaryWriter(logdir=str(directory / "tensorboard"), purge_step=step + 1 if step else None)

    def record(self, record: dict[str, Any]) -> None:
        """The numbers of a record of the log, as train/loss_d and so on."""
        for name, value in record.items():
            if name not in NOT_SCALARS and is_number(value):
                self.writer.add_scalar(f"{record['kind']}/{name}", value, record["step"])

    def grid(self, image: np.ndarray, step: int) -> None:
        """A sample grid, uint8 (H, W) or (H, W, 3)."""
        self.writer.add_image("samples", image, step, dataformats="HW" if image.ndim == 2 else "HWC")

    def close(self) -> None:
        """Write what is left; a full disk is no error, as the run has its own log."""
        with contextlib.suppress(OSError):
            self.writer.close()


def check_installed() -> None:
    """InputError unless tensorboardX can be imported."""
    try:
        __import__(PACKAGE)
    except ImportError as e:
        raise InputError(f"--track tensorboard needs tensorboardX ({e}): pip install -e '.[track]'") from e
