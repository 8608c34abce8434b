"""The w of a generator that is nearest to an image: `--project` of experiments.generate.

As in StyleGAN2 (Karras et al., arXiv 1912.04958, section 5) w is found by descent through the generator, whose weights
stay as they are. The distance here is that of pixels, at the full size and at a half and a quarter of it, and not a
network's. Descent begins at the w that are nearest among many random ones.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd import Tensor, grad, no_grad, ops
from autograd.arrays import array_module, to_host
from autograd.random import RandomStream
from minigan.sampling import SEEDS, STREAM, generate
from nn import Adam, Module, Parameter, learning_rate

DRAWN = 1000  # random w, from which the beginnings are taken
STARTS = 8  # descents at once
STEPS = 300
RATE = 0.1  # Adam's highest learning rate, in standard deviations of w
SCALES = (1, 2, 4)  # the image is compared at its size divided by these


class Given(Module):
    """In place of a mapping network: w (B, D) in, w out."""

    def forward(self, w: Tensor) -> Tensor:
        return w


@dataclass
class Projection:
    """The nearest w, float32 (D,), its distance, and the images on the way there: uint8 (steps + 1, H, W[, 3])."""

    w: np.ndarray
    distance: float  # mean squared error of pixels in [−1, 1], over the scales
    first: float  # the distance of the nearest of the random w
    frames: np.ndarray


def project(
    generator: Any, image: np.ndarray, batch: int, steps: int = STEPS, each: Callable[[], Any] = lambda: None
) -> Projection:
    """Find the w nearest to an image, uint8 (H, W) or (H, W, 3), by `steps` steps of Adam from the best of random w.

    batch: images per forward pass. `each` is called after every step.
    """
    xp = array_module(generator.parameters()[0].data)
    mapping, drawer = generator.mapping, generator.copy()
    drawer.mapping = Given()
    drawer.classes = None  # a label enters by being added to w, and here w is given whole
    target = np.asarray(image, np.float32)[None] * (2 / 255) - 1
    goal = xp.asarray(target[:, None] if image.ndim == 2 else target.transpose(0, 3, 1, 2))  # (1, C, H, W)

    with no_grad():
        z = RandomStream(STREAM + SEEDS + 1).normal((DRAWN, generator.latent))
        drawn = mapping(Tensor(xp.asarray(z))).data
        parts = [drawn[i : i + batch] for i in range(0, DRAWN, batch)]
        far = np.concatenate([to_host(distances(drawer(Tensor(part)), goal).data) for part in parts])
    nearest = np.argsort(far, kind="stable")[:STARTS]
    mean, std = drawn.mean(axis=0), drawn.std(axis=0) + 1e-8
    place = Parameter((drawn[xp.asarray(nearest)] - mean) / std)  # (STARTS, features)

    adam, path = Adam([place], RATE), []
    for k in range(steps + 1):
        w = place * Tensor(std) + Tensor(mean)
        apart = distances(drawer(w), goal)
        path.append((to_host(w.data), to_host(apart.data)))
        if k < steps:
            adam.lr = RATE * learning_rate(k, steps, 1, "cosine")
            adam.prepare()
            adam.update(grad(apart.sum(), [place]))
            adam.t += 1
            each()
    best = int(np.argmin(path[-1][1]))
    ws = np.array([w[best] for w, _ in path])
    return Projection(ws[-1], float(path[-1][1][best]), float(path[0][1].min()), generate(drawer, ws, batch))


def distances(x: Tensor, goal: Any) -> Tensor:
    """(B,): the mean squared error of images x (B, C, H, W) to goal (1, C, H, W), averaged over the scales."""
    scales = [k for k in SCALES if x.shape[2] % k == 0]
    total: Any = 0.0
    for k in scales:
        a, b = (x, Tensor(goal)) if k == 1 else (ops.avg_pool2d(x, k), ops.avg_pool2d(Tensor(goal), k))
        total = total + ((a - b) ** 2).mean(axis=(1, 2, 3))
    return total * (1 / len(scales))
