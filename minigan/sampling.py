"""Images from a trained generator."""

from pathlib import Path
from typing import Any

import numpy as np

from autograd import Tensor, backend, no_grad
from minigan import checkpoint
from minigan.config import Config, build
from minigan.errors import InputError
from nn import Module


def load_generator(path: str | Path, device: str = "cpu") -> tuple[Module, Config]:
    """The averaged generator of a training checkpoint, on the device, and the configuration it was trained with.

    InputError for what is no training checkpoint.
    """
    arrays, meta = checkpoint.load(Path(path))
    if "config" not in meta or "ema" not in arrays:
        raise InputError(f"{path}: a checkpoint, but not one of a training run")
    try:
        config = Config(**meta["config"])
        generator, _ = build(config)
        generator.load_state_dict(arrays["ema"])
    except (TypeError, ValueError) as e:
        raise InputError(f"{path}: not a checkpoint that this version can read ({e})") from e
    return generator.to(device), config


def generate(generator: Module, z: Any, batch: int = 250) -> np.ndarray:
    """Images of a generator for z (n, latent), uint8 on the host, (n, H, W) or (n, H, W, 3), in batches."""
    images = []
    with no_grad():
        for i in range(0, len(z), batch):
            x = generator(Tensor(z[i : i + batch])).data
            x = ((x + 1) * 127.5 + 0.5).clip(0, 255).astype("uint8")
            images.append(backend.to_host(x[:, 0] if x.shape[1] == 1 else x.transpose(0, 2, 3, 1)))
    return np.concatenate(images)
