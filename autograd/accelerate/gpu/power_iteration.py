"""Power iteration of many matrices in one launch. Twin: `nn.spectral.power_iterations`."""

from collections.abc import Sequence
from typing import Any

from autograd.accelerate.gpu import launch


def power_iteration(weights: Sequence[Any], us: Sequence[Any], vs: Sequence[Any]) -> None:
    """One iteration of every matrix: us and vs in place. weights (rows, …), us (rows), vs (the rest of W)."""
    for w, u, v in zip(weights, us, vs, strict=True):
        launch.require(
            len(w) == u.size and w.size == u.size * v.size, f"power iteration: {w.shape}, {u.size}, {v.size}"
        )
    for i in range(0, len(weights), launch.MOST_ARRAYS):
        part = slice(i, i + launch.MOST_ARRAYS)
        rows, columns = [u.size for u in us[part]], [v.size for v in vs[part]]
        launch.launch("power_iteration", (len(rows),), (32, 16), weights[part], us[part], vs[part], rows, columns)
