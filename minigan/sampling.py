"""Images from a trained generator.

Image i of a seed depends on (seed, i) alone, not on how many are drawn beside it. Its z is the same to the bit on every
device, its pixels up to the device's rounding.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from autograd import Tensor, no_grad
from autograd.arrays import array_module, to_host
from autograd.random import RandomStream
from minigan import checkpoint
from minigan.config import Config, build
from minigan.errors import InputError
from nn import Module

SEEDS = 2**32  # seeds of images: 0 … SEEDS - 1
NUMBERS = 2**32  # images of a seed: their places in its stream are 64-bit numbers
STREAM = 2**40  # added to the seed: latents that neither training nor its evaluations draw
MEAN_OF = (10, 1000)  # batches × latents behind the mean w of `truncate`


def find_checkpoint(path: str | Path) -> Path:
    """A checkpoint file as it is; of a run directory best.h5, or checkpoint.h5 where there is no best."""
    path = Path(path)
    if not path.is_dir():
        return path
    for name in ("best.h5", "checkpoint.h5"):
        if (path / name).is_file():
            return path / name
    raise InputError(f"{path}: a directory without a best.h5 or checkpoint.h5, so not the directory of a run")


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
    return generator.eval().to(device), config


def latents(numbers: Iterable[int], size: int, seed: int = 0) -> np.ndarray:
    """z (n, size), standard normal, float32 on the host, of the images with these numbers.

    Each z is drawn from a place of its own in the stream of the seed, in float64 and never on a GPU, so that it has
    the same bits everywhere.
    """
    rng = RandomStream(STREAM + seed)
    z = []
    for number in numbers:
        rng.used = number * size  # more blocks than one z needs, so no two meet
        z.append(rng.normal(size, dtype="float64"))
    return np.array(z, np.float32).reshape(-1, size)


def truncate(generator: Any, psi: float) -> None:
    """From now on w' = w̄ + ψ (w − w̄): every w is drawn towards the mean w̄, ψ = 1 changes nothing, ψ = 0 leaves w̄.

    The truncation trick of StyleGAN (Karras et al., 1812.04948, appendix B): less variety, more typical images. Every
    generator here has the mapping z → w. Shorter z, or a truncated normal (BigGAN, 1809.11096), cost quality on the
    generators tried, as BigGAN's did without orthogonal regularisation. The mapping ends in a linear layer, so this is
    another weight and bias of that layer, set in place.
    """
    last = generator.mapping.layers[-1]
    xp = array_module(last.weight.data)
    rng = RandomStream(STREAM + SEEDS)
    batches, n = MEAN_OF
    with no_grad():
        w = [generator.mapping(Tensor(xp.asarray(rng.normal((n, generator.latent))))) for _ in range(batches)]
    mean = sum(t.data.mean(axis=0) for t in w) * (1 / batches)
    last.weight.data[...] = psi * last.weight.data
    last.bias.data[...] = psi * last.bias.data + (1 - psi) * mean


def slerp(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Points from a (t = 0) to b (t = 1), both (d,), on the arc between them: float32 (len(t), d).

    The direction turns at constant angular speed (Shoemake, SIGGRAPH 1985), the length goes linearly from |a| to |b|.
    Normal z of many dimensions have nearly one length, √d, which the straight line between two of them would leave
    (White, 1609.04468).
    """
    a, b, t = np.asarray(a, np.float64), np.asarray(b, np.float64), np.asarray(t, np.float64)[:, None]
    length_a, length_b = np.linalg.norm(a), np.linalg.norm(b)
    u, v = a / length_a, b / length_b
    angle = 2 * np.arctan2(np.linalg.norm(u - v), np.linalg.norm(u + v))
    if np.sin(angle) < 1e-9:  # the same direction; opposite ones have no arc of their own
        direction = (1 - t) * u + t * v
    else:
        direction = (np.sin((1 - t) * angle) * u + np.sin(t * angle) * v) / np.sin(angle)
    return (((1 - t) * length_a + t * length_b) * direction).astype(np.float32)


def closed_path(keys: np.ndarray, steps: int) -> np.ndarray:
    """z (len(keys) · steps, d) from key to key by slerp and back to the first: row k · steps is keys[k] to the bit."""
    t = np.arange(steps) / steps
    return np.concatenate([slerp(a, b, t) for a, b in zip(keys, np.roll(keys, -1, axis=0), strict=True)])


def batch_size(config: Config) -> int:
    """Images that are generated together: always as many for one model, within some hundred MiB."""
    return max(4, min(250, 250 * 28**2 // config.image_size**2))


def generate(generator: Module, z: Any, batch: int = 250, fill: bool = False) -> np.ndarray:
    """Images of a generator for z (n, latent), uint8 on the host, (n, H, W) or (n, H, W, 3), in batches.

    z may be on the host or on the generator's device. `fill`: a last batch that is not full is filled up and cut
    again, since matrix products of few rows are rounded differently; so an image does not depend on n.
    """
    xp = array_module(generator.parameters()[0].data)
    images = []
    with no_grad():
        for i in range(0, len(z), batch):
            part = xp.asarray(z[i : i + batch])
            n = len(part)
            if fill and n < batch:
                part = xp.concatenate([part, xp.zeros((batch - n, *part.shape[1:]), dtype=part.dtype)])
            x = generator(Tensor(part)).data[:n]
            x = ((x + 1) * 127.5 + 0.5).clip(0, 255).astype("uint8")
            images.append(to_host(x[:, 0] if x.shape[1] == 1 else x.transpose(0, 2, 3, 1)))
    return np.concatenate(images)
