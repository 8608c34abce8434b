"""Adam, gradient clipping and the average of the weights, over flat arrays. Twins: `nn.optim.adam_update` and
`move_average`."""

from typing import Any

from autograd.accelerate.gpu import launch

BLOCKS = 256  # at most: enough to keep a GPU's memory busy


def adam_step(
    weights: Any,
    g: Any,
    m: Any,
    v: Any,
    numbers: Any,
    betas: tuple[float, float],
    eps: float,
    max_norm: float | None,
    scales: Any = None,
) -> Any:
    """One update in place; returns the length of scales · g before clipping, float32 (1).

    weights, g, m, v and scales: flat, float32, of one length; without scales they are 1. numbers, float32 (2) on the
    device: lr/(1 − β₁ᵗ) and 1/√(1 − β₂ᵗ), which change from step to step.
    """
    n = len(weights)
    for a in (g, m, v, *([] if scales is None else [scales])):
        launch.require(a.shape == (n,), "adam: weights, g, m, v and scales are flat and of one length")
    launch.require(numbers.shape == (2,), "adam: numbers are the rate and the root")
    blocks = _blocks(n)
    sums, norm, factors = (launch.empty(weights, size) for size in (blocks, 1, 8))
    launch.launch("squared_sums", (blocks,), (32, 8), g, scales, sums, n)
    constants = (*betas, eps, max_norm or 0.0)
    launch.launch("adam_factors", (1,), (32,), sums, blocks, numbers, *constants, norm, factors)
    launch.launch("adam_update", (blocks,), (256,), weights, g, m, v, scales, factors, n)
    return norm


def move_average(average: Any, weights: Any, share: Any) -> None:
    """average ← average + share (weights − average), in place. share: float32 (1) on the device."""
    n = len(weights)
    launch.require(average.shape == (n,) and share.shape == (1,), "the average has the length of the weights")
    launch.launch("move_average", (_blocks(n),), (256,), average, weights, share, n)


def _blocks(n: int) -> int:
    return min(BLOCKS, launch.ceil_div(n, 1024))  # four parameters a thread, or more
