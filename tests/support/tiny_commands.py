"""Flags of the smallest runs, and a command as a process."""

import subprocess
import sys

SMALL = (
    "--g-width 16 --g-depth 1 --d-width 16 --d-depth 1 --cnn-width 4 --batch 4 --eval-samples 40 --log-every 2".split()
)
DEVICE = ["--device", "cpu"]


def command(*arguments, **kwargs):
    """A real process; warnings are errors there too."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "experiments.mnist", *arguments],
        **{"capture_output": True, "text": True, "timeout": 300, **kwargs},
    )
