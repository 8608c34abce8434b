"""Power iteration of many matrices in one launch. Twin: `nn.spectral.power_iterations`."""

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd.accelerate.gpu import launch


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


class Group:
    """Weights that are views of one array, and their u and v, which become views of one array too."""

    def __init__(self, xp: Any, layers: Sequence[tuple[Any, Any]], flat: Any):
        self.flat = flat
        self.weights = weights = [weight.data for weight, _ in layers]
        shapes = [(len(w), w.size // len(w)) for w in weights]
        starts = [(launch.address(w) - launch.address(flat)) // flat.itemsize for w in weights]
        self.u, self.u_views = _flattened(xp, [spectral.u for _, spectral in layers])
        self.v, self.v_views = _flattened(xp, [spectral.v for _, spectral in layers])
        self.sigma = xp.empty(len(weights), dtype="float32")
        self.table = xp.asarray(power_table(shapes, starts))

    def holds(self, layers: Sequence[tuple[Any, Any]], flat: Any) -> bool:
        """Whether these layers still lie where this group found them."""
        kept = zip(self.weights, self.u_views, self.v_views, layers, strict=False)
        same = all(weight.data is w and s.u.data is u and s.v.data is v for w, u, v, (weight, s) in kept)
        return launch.address(self.flat) == launch.address(flat) and len(layers) == len(self.weights) and same


_groups: weakref.WeakKeyDictionary[Any, Group] = weakref.WeakKeyDictionary()  # by the first spectral norm


def grouped(xp: Any, layers: Sequence[tuple[Any, Any]]) -> Any:
    """One iteration for each (weight, SpectralNorm) of a network; NotImplemented where the weights share no array."""
    bases = [weight.data.base for weight, _ in layers]
    if not all(weight.data.flags.c_contiguous for weight, _ in layers):
        return NotImplemented
    if any(b is None or b.dtype != np.float32 for b in bases) or len(set(map(launch.address, bases))) > 1:
        return NotImplemented
    flat = bases[0]
    group = _groups.get(layers[0][1])
    if group is None or not group.holds(layers, flat):  # in the warm-up: a capture cannot copy the table to the device
        group = _groups[layers[0][1]] = Group(xp, layers, flat)
    power_iteration(group.flat, group.u, group.v, group.sigma, group.table)
    return None


def _flattened(xp: Any, buffers: Sequence[Any]) -> tuple[Any, list[Any]]:
    """The buffers one after the other in a new array, and the views of it that they become."""
    flat, start = xp.concatenate([b.data for b in buffers]), 0
    for b in buffers:
        b.data = flat[start : start + b.size]
        start += b.size
    return flat, [b.data for b in buffers]
