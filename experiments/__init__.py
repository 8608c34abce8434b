"""Commands to run: `python -m experiments.mnist` and its companions."""

import os

# One BLAS thread: a second gains a tenth on the small preset's matrices, and costs ten times as much as it gains
# as soon as anything else runs on the machine. Set the variable yourself for the large presets.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
