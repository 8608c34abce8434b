"""Adam, gradient clipping and the average of the weights, over flat arrays. Twins: `nn.optim.Adam` and
`EMA`."""

from typing import Any

import numpy as np

from autograd.kernels import launch

BLOCKS = 256  # at most: enough to keep a GPU's memory busy


def adam_settings(
    lr: float, betas: tuple[float, float], eps: float, max_norm: float | None, share: float
) -> np.ndarray:
    """The settings as the kernel reads them, float64 (6). share: of the new weights in the average."""
    return np.array([lr, *betas, eps, max_norm or 0.0, share], np.float64)


def adam_step(
    weights: Any, g: Any, m: Any, v: Any, average: Any | None, settings: Any, step: Any, norm: Any, factors: Any
) -> None:
    """One update in place. weights, g, m, v and average (or None): flat, float32, of one length.

    On the device besides: settings, `step` int32 (1), the number of updates done, which this adds one to; `norm` (1)
    receives the length of g before clipping; `factors` (9) is working space.
    """
    n = len(weights)
    for a in (g, m, v, average):
        launch.require(a is None or a.shape == (n,), "adam: weights, g, m, v and average are flat and of one length")
    launch.require(settings.shape == (6,) and factors.shape == (9,), "adam: settings (6) and factors (9)")
    launch.require(step.shape == norm.shape == (1,), "adam: step and norm have one element")
    blocks = min(BLOCKS, launch.ceil_div(n, 1024))  # four parameters a thread, or more
    sums = launch.empty(weights, blocks)
    launch.launch("squared_sums", (blocks,), (32, 8), g, sums, n)
    launch.launch("adam_factors", (1,), (32,), sums, blocks, settings, step, norm, factors)
    launch.launch("adam_update", (blocks,), (256,), weights, g, m, v, average, factors, n)
