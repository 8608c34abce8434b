"""python -m autograd: say what this package is and where it lies, and check one gradient on the spot."""

import importlib.metadata
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np

from autograd import GradcheckError, gradcheck, ops
from autograd.registry import OPS

ABOUT = """autograd, the engine of minigan: reverse-mode automatic differentiation on NumPy or CuPy arrays.
It is not HIPS autograd, which PyPI distributes under the same name: install only one of the two.
"""
CHECK = """x = np.linspace(-3.0, 3.0, 7)
gradcheck(ops.gelu, x)
"""
MORE = """
Check more, in a checkout of minigan with its extra `test` installed:
  python -m pytest tests/test_tiny.py     the ten most telling checks, in seconds
  python -m pytest                        all of them, in minutes
"""


def version() -> str:
    """The name and version of the installed distribution that this package belongs to."""
    try:
        return f"minigan {importlib.metadata.version('minigan')}"
    except importlib.metadata.PackageNotFoundError:
        return "unknown: minigan is not installed"


def main() -> int:
    """Print the facts, run CHECK, and return the exit status: 1 if its gradient is wrong."""
    print(ABOUT)
    print(f"version   {version()}")
    print(f"lies in   {Path(__file__).resolve().parent}")
    print(f"runs on   Python {platform.python_version()}, NumPy {np.__version__}")
    print(f"has       {len(OPS)} ops\n")
    for line in CHECK.splitlines():
        print(f">>> {line}")
    start = time.perf_counter()
    try:
        exec(CHECK, {"np": np, "gradcheck": gradcheck, "ops": ops})
    except GradcheckError as e:
        print(e)
        return 1
    seconds = time.perf_counter() - start
    print(f"right to first and second order, compared with numeric derivatives in {seconds:.2f} s")
    print(MORE, end="")
    return 0


if __name__ == "__main__":
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough: python -m autograd | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)
