"""PyTorch without gradients, and the Inception network with random weights."""

import pytest

from experiments.bench.inception import random_tensors
from experiments.export_inception import main
from minigan.metrics.inception import Inception


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # two wait for each other where the machine is busy
    with torch.no_grad():
        yield torch
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tensors():
    return random_tensors()


@pytest.fixture(scope="module")
def network(tensors):
    return Inception(tensors)


@pytest.fixture(scope="module")
def exported(torch, tensors, tmp_path_factory):
    """The weights written by PyTorch with the counters of its batch norm, and exported by the command."""
    directory = tmp_path_factory.mktemp("inception")
    state = {name: torch.tensor(a) for name, a in tensors.items()}
    state |= {name.replace("running_var", "num_batches_tracked"): torch.tensor(3) for name in tensors if "_var" in name}
    torch.save(state, directory / "weights.pth")
    assert main([str(directory / "weights.pth"), str(directory / "inception.h5")]) == 0
    (directory / "weights.pth").unlink()
    yield directory / "inception.h5"
    (directory / "inception.h5").unlink()  # pytest keeps its directories for a while, and this is 91 MiB
