"""The device that CUDA kernels are tested on."""

from typing import Any

import numpy as np
import pytest

from autograd.accelerate.gpu import launch
from autograd.arrays import best_device

pytest.register_assert_rewrite("kernel_checks")  # its asserts show what they compared, as those of a test file do
DEVICES = ["emulator", *(["cuda"] if best_device() == "cuda" else [])]


@pytest.fixture(params=DEVICES)
def device(request, monkeypatch) -> str:
    """Where the kernels run; results they have not written are NaN."""
    if request.param == "emulator":
        emulator = request.getfixturevalue("emulator")
        emulator.seed = request.node.callspec.params.get("seed", 0)
        monkeypatch.setitem(launch.RUNNERS, np, emulator)
    empty = launch.empty

    def poisoned(like: Any, shape: Any, dtype: str = "float32") -> Any:
        a = empty(like, shape, dtype)
        a.fill(float("nan") if dtype == "float32" else -1)
        return a

    monkeypatch.setattr(launch, "empty", poisoned)
    return "cpu" if request.param == "emulator" else "cuda"
