"""Commands to run: `python -m experiments.mnist` and its companions."""

import os
import sys
from importlib.util import find_spec

# One BLAS thread: with two a step of the small preset was a tenth shorter on a quiet machine, and nine times longer
# beside another process. Set the variable yourself for the large presets.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

NEEDED = {"numpy": "NumPy", "PIL": "Pillow", "h5py": "h5py", "tqdm": "tqdm", "matplotlib": "Matplotlib"}

try:
    import minigan  # noqa: F401  (it fails where another package is installed in the place of its engine)
except ImportError as e:
    print(f"error: {e}", file=sys.stderr)
    sys.exit(2)
for package, name in NEEDED.items():
    if find_spec(package) is None:
        print(
            f"error: {sys.executable} has no {name}: activate the environment first, source .venv/bin/activate; the "
            "README says how to make one",
            file=sys.stderr,
        )
        sys.exit(2)
