"""Fixtures that several test files of the engine use."""

import pytest

from autograd import accelerate


@pytest.fixture
def loops(numpy_alone):
    """The compiled loops stand in for the ops; numba must be installed."""
    assert accelerate.use("cpu")
