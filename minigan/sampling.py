"""Images from a trained generator.

Image i of a seed depends on (seed, i) alone, not on the number of images. Its z is equal bit for bit on every device;
its pixels differ by the rounding of the device.
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
from minigan.files import reading
from minigan.labels import draw_labels
from minigan.presets import saved_config
from minigan.ranks import One
from nn import Module

SEEDS = 2**32  # seeds of images: 0 … SEEDS - 1
NUMBERS = 2**32  # images of a seed: 0 … NUMBERS - 1, so that their positions in its stream are 64-bit numbers
STREAM = 2**40  # added to the seed, so that training and its evaluations draw other latents
MEAN_OF = (10, 1000)  # batches × latents, whose mean w `truncate` uses


def find_checkpoint(path: str | Path) -> Path:
    """The path itself if it is a file; in a run directory best.h5, or checkpoint.h5 if there is no best.h5.

    InputError for a directory without either.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    for name in ("best.h5", "checkpoint.h5"):
        if (path / name).is_file():
            return path / name
    raise InputError(f"{path} is not the directory of a run: it holds neither best.h5 nor checkpoint.h5")


def load_generator(path: str | Path, device: str = "cpu") -> tuple[Module, Config]:
    """The averaged generator of a training checkpoint, on the device, and its configuration.

    InputError for any other file.
    """
    return make_generator(*checkpoint.load(Path(path)), path, device)


def make_generator(
    arrays: checkpoint.Arrays, meta: dict[str, Any], path: str | Path, device: str = "cpu"
) -> tuple[Module, Config]:
    """`load_generator` from what `checkpoint.load` gave for `path`, which an InputError names."""
    if "ema" not in arrays:
        raise InputError(f"{path}: a checkpoint, but not of a training run")
    config = saved_config(meta, path)
    with reading(path, "cannot be read by this version: its weights do not fit its configuration"):
        generator, _ = build(config)
        generator.load_state_dict(arrays["ema"])
    return generator.eval().to(device), config


def latents(numbers: Iterable[int], size: int, seed: int = 0) -> np.ndarray:
    """The z (n, size) of the images with these numbers: standard normal, float32, on the host.

    Each z has its own position in the random stream of the seed. It is drawn in float64 and never on a GPU, so that it
    is equal bit for bit everywhere.
    """
    rng = RandomStream(STREAM + seed)
    z = []
    for number in numbers:
        rng.used = number * size  # one z uses at most `size` blocks of the stream, so no two overlap
        z.append(rng.normal(size, dtype="float64"))
    return np.array(z, np.float32).reshape(-1, size)


def truncate(generator: Any, psi: float) -> None:
    """Change the generator in place so that w becomes w̄ + ψ (w − w̄), with the mean w̄; ψ = 1 changes nothing.

    The truncation trick of StyleGAN (Karras et al., arXiv 1812.04948, appendix B): less variety, more typical images.
    Every generator here has the mapping z → w, which ends in a linear layer; so ψ only changes the weight and the bias
    of that layer. Truncating z instead (BigGAN, arXiv 1809.11096) cost quality on the generators that were tried, as
    it did for BigGAN without orthogonal regularisation.
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

    The direction turns at constant angular speed (Shoemake, SIGGRAPH 1985); the length changes linearly from |a| to
    |b|. Normal z of many dimensions all have a length near √d, but points on the straight line between two of them are
    shorter (White, arXiv 1609.04468).
    """
    a, b, t = np.asarray(a, np.float64), np.asarray(b, np.float64), np.asarray(t, np.float64)[:, None]
    length_a, length_b = np.linalg.norm(a), np.linalg.norm(b)
    u, v = a / length_a, b / length_b
    angle = 2 * np.arctan2(np.linalg.norm(u - v), np.linalg.norm(u + v))
    if np.sin(angle) < 1e-9:  # equal directions, or opposite ones, which no single arc connects
        direction = (1 - t) * u + t * v
    else:
        direction = (np.sin((1 - t) * angle) * u + np.sin(t * angle) * v) / np.sin(angle)
    return (((1 - t) * length_a + t * length_b) * direction).astype(np.float32)


def closed_path(keys: np.ndarray, steps: int) -> np.ndarray:
    """z (len(keys) · steps, d) by slerp from key to key and back to the first; row k · steps equals keys[k] exactly."""
    t = np.arange(steps) / steps
    return np.concatenate([slerp(a, b, t) for a, b in zip(keys, np.roll(keys, -1, axis=0), strict=True)])


def batch_size(config: Config) -> int:
    """Images per forward pass: fixed for each size and number of points a pixel, for a few hundred MiB of memory."""
    side = config.image_size * max(1, config.g_points // 2)  # 250 images of 28 × 28 take 83 MiB with 2 × 2 points
    return max(4, min(250, 250 * 28**2 // side**2))


def image_labels(generator: Any, numbers: Iterable[int], seed: int = 0) -> np.ndarray | None:
    """The labels (n,) of the images with these numbers, drawn by the classes' shares; None if there are no classes."""
    if generator.classes is None:
        return None
    return draw_labels(to_host(generator.classes.shares.data), numbers, RandomStream(STREAM + 2 * SEEDS + seed))


def generate(
    generator: Module,
    z: Any,
    batch: int = 250,
    fill: bool = False,
    classes: np.ndarray | None = None,
    world: One | None = None,
) -> np.ndarray:
    """Generate images for z (n, latent) in batches: uint8 (n, H, W) or (n, H, W, 3), on the host.

    classes: one-hot (n, K), or a mixture of classes, for a generator that was trained with labels. Both may be on the
    host or on the generator's device. `fill` pads the last batch and drops the surplus images. Matrix products with
    fewer rows round differently, so without it an image would depend on n. world: ranks that all call this, with the
    same z; each generates some of the batches, and gets all images.
    """
    world = world or One()
    xp = array_module(generator.parameters()[0].data)
    images = []
    with no_grad():
        for block in world.share(len(z), batch):
            parts = [xp.asarray(a[block]) for a in (z, classes) if a is not None]
            n = len(parts[0])
            if fill and n < batch:
                parts = [xp.concatenate([p, xp.zeros((batch - n, *p.shape[1:]), dtype=p.dtype)]) for p in parts]
            x = generator(*map(Tensor, parts)).data[:n]
            x = ((x + 1) * 127.5 + 0.5).clip(0, 255).astype("uint8")
            images.append(to_host(x[:, 0] if x.shape[1] == 1 else x.transpose(0, 2, 3, 1)))
    return np.concatenate(world.merge(images))
