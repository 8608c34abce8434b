"""For all tests."""

import signal

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


@pytest.fixture(autouse=True, scope="session")
def hang_up_is_heard():
    """Also by processes of tests that were started by nohup, which ignores SIGHUP."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL) if hasattr(signal, "SIGHUP") else None
    yield
    if before is not None:
        signal.signal(signal.SIGHUP, before)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory) -> Emulator:
    """All CUDA kernels, compiled once for the CPU: it takes seconds."""
    if not AVAILABLE:
        pytest.skip("the emulator needs Linux and g++")
    import minigan.accelerate.twins  # noqa: F401 - adds its kernels to the source

    return Emulator(launch.source(), launch.kernels(), tmp_path_factory.mktemp("emulator"))
