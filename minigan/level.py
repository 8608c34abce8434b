"""The level of a generator: a shift of its pixels that makes its images, on average, as bright as the real ones.

Generators draw too much white, by one to three percent. D hardly sees it, for any two images differ far more. Other
networks do: of the Fréchet distance by plain classifiers, a third to a half was this alone (docs/experiments.md). The
mean of the real images is known, so it need not be learned. Averaged weights are measured anew in the same way where a
network has batch norm (Izmailov et al., 1803.05407, section 3.2).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from autograd import Tensor, no_grad
from autograd.arrays import array_module, to_host
from autograd.random import RandomStream
from minigan.data.stored import StoredImages
from minigan.labels import one_hot
from minigan.sampling import SEEDS, STREAM

PAIRS = 2048  # of latents z and −z, at most. If the one draws more than the mean, the other tends to draw less
MOST = 1 << 24  # numbers that are held at once: 64 MiB
BATCH = 128
LIMIT = 0.25  # of a shift, before the tanh
HALVINGS = 8
SEED = 4 * SEEDS  # of the latents, beyond those of images
ROWS = 20_000  # of stored images, evenly spread, whose mean is taken


def channel_means(images: np.ndarray | StoredImages) -> np.ndarray:
    """The mean of each channel of real images, uint8 (N, H, W) or (N, H, W, 3): float64 (C,) in [−1, 1]."""
    rows = np.arange(len(images))
    if not isinstance(images, np.ndarray):
        rows = np.unique(np.linspace(0, len(images) - 1, ROWS).astype(np.int64))
    channels = images.shape[3] if len(images.shape) == 4 else 1
    parts = (images[rows[start : start + BATCH]] for start in range(0, len(rows), BATCH))
    sums = sum(part.reshape(-1, channels).sum(axis=0, dtype=np.int64) for part in parts)
    return sums / (len(rows) * images.shape[1] * images.shape[2]) * (2 / 255) - 1


def find_level(generator: Any, means: np.ndarray) -> np.ndarray:
    """The shift (C, 1, 1), float32 on the host, with which the channels of generated images have these means (C,).

    The mean grows with the shift, so ±LIMIT is halved again and again. Where no shift within LIMIT is enough, the
    result is its end.
    """
    with no_grad():
        drawn = [generator.drawn(*inputs).data for inputs in batches(generator)]
        xp = array_module(drawn[0])
        x = xp.concatenate(drawn)  # (N, C, points · H, points · W)
        target = xp.asarray(means.reshape(-1, 1, 1), dtype=x.dtype)
        level, step = xp.zeros_like(target), LIMIT
        for _ in range(HALVINGS):
            step /= 2
            reached = generator.shaded(Tensor(x + level)).data.mean(axis=(0, 2, 3)).reshape(level.shape)
            level += xp.where(reached < target, step, -step).astype(level.dtype)
    return np.array(to_host(level))


def batches(generator: Any) -> Iterator[list[Tensor]]:
    """Inputs of the generator: z (B, latent) and −z, always the same, and classes (B, K), one-hot, by their shares."""
    xp = array_module(generator.level.data)
    points = generator.level.data.size * (generator.grid * generator.patch) ** 2  # of an image
    n = max(1, min(PAIRS, MOST // (2 * points)))
    inputs = [RandomStream(STREAM + SEED).normal((n, generator.latent))]
    if generator.classes is not None:
        shares = to_host(generator.classes.shares.data).astype(np.float64)
        ends = np.cumsum(shares) / shares.sum()
        labels = np.searchsorted(ends, (np.arange(n) + 0.5) / n).clip(0, len(shares) - 1)
        inputs.append(one_hot(labels, len(shares)))
    for start in range(0, n, BATCH):
        z, *classes = (xp.asarray(a[start : start + BATCH]) for a in inputs)
        for each in (z, -z):
            yield [Tensor(each), *map(Tensor, classes)]
