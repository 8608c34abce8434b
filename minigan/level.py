"""The level of a generator: a shift of its pixels that makes its images, on average, as bright as the real ones.

The averaged generator of a run on digits draws one to three percent too much ink. D hardly sees it, because any two
images differ far more; other classifiers do (docs/experiments.md, "the brightness of the average"). The mean of the
real images is known, so it need not be learned. Stochastic weight averaging likewise recomputes the statistics of batch
norm for its averaged weights (Izmailov et al., 1803.05407, section 3.2).
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from autograd import Tensor, no_grad
from autograd.arrays import array_module, to_host
from autograd.random import RandomStream
from minigan.data.stored import StoredImages
from minigan.labels import classes_at, one_hot
from minigan.sampling import SEEDS, STREAM

PAIRS = 8192  # of antithetic latents, z and −z: if one image has more ink than the mean, the other tends to have less
BATCH = 64
HELD = 1 << 22  # numbers that are held at once, of all images together
LIMIT = 0.25  # the largest shift, before the tanh
HALVINGS = 8
SEED = 4 * SEEDS  # of the latents, beyond those of images
ROWS = 1 << 16  # real images, evenly spread, whose mean is taken


def channel_means(images: np.ndarray | StoredImages) -> np.ndarray:
    """The mean of each channel of real images, uint8 (N, H, W) or (N, H, W, 3): float64 (C,) in [−1, 1]."""
    rows = np.unique(np.linspace(0, len(images) - 1, min(ROWS, len(images))).astype(np.int64))
    channels = images.shape[3] if len(images.shape) == 4 else 1
    parts = (images[rows[start : start + BATCH]] for start in range(0, len(rows), BATCH))
    sums = sum(part.reshape(-1, channels).sum(axis=0, dtype=np.int64) for part in parts)
    return sums / (len(rows) * images.shape[1] * images.shape[2]) * (2 / 255) - 1


def find_level(generator: Any, means: np.ndarray, pairs: int = PAIRS) -> np.ndarray:
    """The shift b (C, 1, 1), on the host, with which the channels of generated images have these means m (C,).

    E f(x + b) = m,   x what the generator draws before its activation f

    The mean grows with b, so ±LIMIT is halved again and again. Where no b within LIMIT is enough, the result is the
    nearer end. pairs: of images that are generated for it.
    """
    side = generator.grid * generator.patch  # in points
    every = thinning(side, 2 * pairs * generator.level.data.size)
    xp = array_module(generator.level.data)
    with no_grad():
        points = []
        for k, inputs in enumerate(batches(generator, pairs)):
            x = generator.pre_activation(*inputs).data
            first = k // 2 % every  # the same for z and −z
            points.append(x.reshape(*x.shape[:2], -1)[..., first::every][..., : side**2 // every].copy())
        x = xp.concatenate(points)  # (N, C, some of the points)
        target = xp.asarray(means[:, None], dtype=x.dtype)
        level, step = xp.zeros_like(target), LIMIT
        for _ in range(HALVINGS):
            step /= 2
            reached = generator.activation(Tensor(x + level)).data.mean(axis=(0, 2))[:, None]
            level += xp.where(reached < target, step, -step).astype(level.dtype)
    return to_host(level[..., None])


def thinning(side: int, images: int) -> int:
    """k, if every kth point of so many images of side × side points is looked at, so that HELD is enough.

    Neighbours are alike, so fewer points of each image cost less than fewer images. k has no divisor in common with the
    side, so that all columns are seen.
    """
    every = max(1, math.ceil(images * side**2 / HELD))
    while math.gcd(every, side) > 1:
        every += 1
    return every


def batches(generator: Any, pairs: int) -> Iterator[list[Tensor]]:
    """Inputs of the generator: z (B, latent) and −z, always the same, and classes (B, K), one-hot, by their shares."""
    xp = array_module(generator.level.data)
    inputs = [RandomStream(STREAM + SEED).normal((pairs, generator.latent))]
    if generator.classes is not None:
        shares = to_host(generator.classes.shares.data)
        inputs.append(one_hot(classes_at(shares, (np.arange(pairs) + 0.5) / pairs), len(shares)))
    for start in range(0, pairs, BATCH):
        z, *classes = (xp.asarray(a[start : start + BATCH]) for a in inputs)
        for each in (z, -z):
            yield [Tensor(each), *map(Tensor, classes)]
