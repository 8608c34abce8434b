"""Power iteration of many matrices at once. Twin: `nn.spectral.SpectralNorm.power_iteration`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd.kernels import launch


def power_table(shapes: Sequence[tuple[int, int]], starts: Sequence[int]) -> np.ndarray:
    """Where everything is, int32 (matrices, 5): the matrix of each shape begins at its start in the flat weights; the u
    and the v lie one after the other. To be copied to the device once."""
    rows, columns = (np.array([shape[axis] for shape in shapes]) for axis in (0, 1))
    u, v = (np.cumsum(sizes) - sizes for sizes in (rows, columns))
    return np.stack([np.array(starts), u, v, rows, columns], axis=1).astype(np.int32)


def power_iteration(weights: Any, u: Any, v: Any, sigma: Any, table: Any) -> None:
    """One iteration of every matrix, in place: u, v and the σ of each. All arrays flat, `table` on the device."""
    launch.require(table.shape == (len(sigma), 5), f"power iteration: {len(sigma)} sigmas, table {table.shape}")
    launch.launch("power_iteration", (len(sigma),), (32, 16), weights, u, v, sigma, table)
