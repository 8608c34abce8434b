"""Adam and the average of the weights, each in one pass. Twins: `nn.optim.adam_update` and `move_average`."""

from collections.abc import Iterable

import numpy as np

from autograd.accelerate.cpu.compiling import loop
from autograd.accelerate.cpu.scalars import F
from autograd.accelerate.cpu.threads import in_parts


@loop
def update(start, stop, weights, g, m, v, clip, beta1, new1, beta2, new2, rate, root, eps):
    weights, g, m, v = weights[start:stop], g[start:stop], m[start:stop], v[start:stop]
    for i in range(len(weights)):
        slope = g[i] * clip
        m[i] = beta1 * m[i] + new1 * slope
        v[i] = beta2 * v[i] + new2 * (slope * slope)
        weights[i] -= rate * m[i] / (np.sqrt(v[i]) * root + eps)


@loop
def move(start, stop, average, weights, share):
    average, weights = average[start:stop], weights[start:stop]
    for i in range(len(average)):
        average[i] += share * (weights[i] - average[i])


def adam(parts: Iterable[tuple], clip: float, betas: tuple[float, float], rate: float, root: float, eps: float) -> None:
    """Each part is (weights, g, m, v, scale): weights, m and v change in place.

    clip: what g is multiplied by first, rate: lr/(1 − β₁ᵗ), both times the scale of the part; root: 1/√(1 − β₂ᵗ).
    """
    beta1, beta2 = betas
    same = [F(number) for number in (beta1, 1 - beta1, beta2, 1 - beta2)]
    last = [F(root), F(eps)]
    for weights, g, m, v, scale in parts:
        n = weights.size
        if not n == g.size == m.size == v.size:  # a loop does not check bounds
            raise ValueError(f"adam: weights {n}, gradient {g.size}, moments {m.size} and {v.size} are not of one size")
        g = np.ascontiguousarray(g).reshape(-1)
        in_parts(update, n, n, weights, g, m, v, F(clip * scale), *same, F(rate * scale), *last)


def average(mean: np.ndarray, weights: np.ndarray, share: float) -> None:
    """mean ← mean + share (weights − mean), in place; ValueError unless both have one size."""
    if mean.size != weights.size:
        raise ValueError(f"the average of {mean.size} weights cannot follow {weights.size}")
    in_parts(move, mean.size, mean.size, mean, weights, F(share))
