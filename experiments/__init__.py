"""Commands to run: `python -m experiments.mnist` and its companions."""

import os

# One BLAS thread: with two a step of the small preset was a tenth shorter on a quiet machine, and nine times longer
# beside another process. Set the variable yourself for the large presets.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
