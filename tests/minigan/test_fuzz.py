"""A short form of tests/fuzz_readers.py: damaged files of every kind give one sentence or the right result."""

import signal

import pytest
from fuzzing import CASES, fuzz

if not hasattr(signal, "SIGALRM"):
    pytest.skip("signals limit the time", allow_module_level=True)


SLOW = [name for name in CASES if name.startswith(("torch", "HDF5", "foreign", "checkpoint", "statistics", "features"))]
SLOW.append("samples.h5")  # a file without a seal is read by a process of its own


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in CASES])
def test_damaged_files_are_refused_or_read_right(name, tmp_path):
    if name.startswith("torch"):
        pytest.importorskip("torch")
    count = 2 * CASES[name].weight
    _, failures = fuzz(name, count, 1, tmp_path / "case")
    assert failures == []
