"""For all tests."""

import pytest

from autograd import accelerate


@pytest.fixture(autouse=True)
def numpy_alone():
    """Ops run on NumPy unless a test asks for the compiled loops, which commands do: what one turns on ends with it."""
    accelerate.use(None)
    yield
    accelerate.use(None)
