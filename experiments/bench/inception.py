"""The features of the Inception network, images a second, with random weights (which cost what the trained ones do).

Plain PyTorch runs each convolution, batch norm and ReLU as the published network; best has batch norm folded into the
weights as ours, and images in channels-last order.
"""

from typing import Any

import numpy as np

from autograd.arrays import to_device, to_host
from experiments.bench.case import Case, Side
from minigan.metrics.inception import Inception, shapes
from minigan.metrics.resize import resize

IMAGES = 16  # in a call


def cases() -> list[Case]:
    return [Case("inception", "features 2048", make, calls=IMAGES, rate="images/s", tolerance=1e-3, quick=True)]


def random_tensors(seed: int = 0) -> dict[str, np.ndarray]:
    """Weights under which signals neither die nor grow, and running statistics that matter."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, shape in shapes().items():
        x: Any = rng.standard_normal(shape, np.float32)
        if name.endswith("conv.weight"):
            x *= np.sqrt(2 / np.prod(shape[1:]))
        elif name.endswith("fc.weight"):
            x /= np.sqrt(2048)
        elif name.endswith("running_var"):
            x = rng.uniform(0.02, 2, shape)
        elif name.endswith("bn.weight"):
            x = rng.uniform(0.2, 1.2, shape)
        else:
            x *= 0.2
        tensors[name] = x.astype(np.float32)
    return tensors


def make(kind: str, device: str) -> Side:
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, 32, 32, 3), dtype=np.uint8)
    x = np.ascontiguousarray(resize(images, "tf"))
    tensors = random_tensors()
    if kind == "ours":
        network, here = Inception(tensors, device=device), to_device(x, device)
        return Side(lambda: network.features(here), lambda: {"features": to_host(network.features(here))})
    import torch

    from experiments.bench.torch_inception import TorchInception

    other = TorchInception(tensors, folded=kind == "best", device=device)
    there = torch.tensor(x, device=device)
    if kind == "best":
        there = there.to(memory_format=torch.channels_last)

    def run() -> Any:
        with torch.no_grad():
            return other.features(there)

    return Side(run, lambda: {"features": run().cpu().numpy()})
