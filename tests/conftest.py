"""For all tests."""

import pytest
from emulation.emulator import AVAILABLE, Emulator

from autograd.accelerate.gpu import launch
from autograd.registry import TWINS


@pytest.fixture(autouse=True)
def numpy_alone():
    """Ops run on NumPy unless a test asks for the compiled loops, which commands do: what one turns on ends with it."""
    TWINS.clear()
    yield
    TWINS.clear()


@pytest.fixture(scope="session")
def emulator(tmp_path_factory) -> Emulator:
    """All CUDA kernels, compiled once for the CPU: it takes seconds."""
    if not AVAILABLE:
        pytest.skip("the emulator needs Linux and g++")
    import minigan.accelerate.twins  # noqa: F401 - adds its kernels to the source

    return Emulator(launch.source(), launch.kernels(), tmp_path_factory.mktemp("emulator"))
