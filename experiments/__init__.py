"""Commands to run: `python -m experiments.mnist` and its companions."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the workers of a training step share the cores themselves
