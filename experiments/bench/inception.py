"""Images a second through the Inception network, with random weights: they cost what the trained ones do.

Plain PyTorch runs each convolution, batch norm and ReLU of the published network. Best folds batch norm into the
weights, as ours does, and keeps its images in channels-last order.
"""

from functools import partial
from typing import Any

import numpy as np

from autograd.arrays import to_device, to_host
from experiments.bench.case import Case, Side
from minigan.metrics.inception import Inception, shapes
from minigan.metrics.resize import resize

IMAGES = 16  # in a call


def cases() -> list[Case]:
    sides: dict[str, Any] = {"ours": our_side, "plain": partial(torch_side, False), "best": partial(torch_side, True)}
    return [Case("inception", "features 2048", sides, IMAGES, unit="images/s", tolerance=1e-3, quick=True)]


def our_side(device: str) -> Side:
    network, x = Inception(random_tensors(), device=device), to_device(random_images(), device)
    return Side(lambda: network.features(x), lambda: {"features": to_host(network.features(x))})


def torch_side(best: bool, device: str) -> Side:
    import torch

    from experiments.pytorch.inception import TorchInception

    layout = torch.channels_last if best else torch.contiguous_format
    x = torch.tensor(random_images(), device=device).to(memory_format=layout)
    features = torch.no_grad()(TorchInception(random_tensors(), best, device).features)
    return Side(lambda: features(x), lambda: {"features": features(x).cpu().numpy()})


def random_images() -> np.ndarray:
    return resize(np.random.default_rng(0).integers(0, 256, (IMAGES, 32, 32, 3), dtype=np.uint8), "tf")


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
