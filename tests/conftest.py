"""For all tests."""

import pytest

from autograd import use_loops


@pytest.fixture(autouse=True)
def numpy_alone():
    """Ops run on NumPy unless a test asks for the compiled loops, which commands do: what one turns on ends with it."""
    use_loops(False)
    yield
    use_loops(False)
