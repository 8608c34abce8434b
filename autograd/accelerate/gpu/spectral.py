"""The spectral norm and the bound of many layers at once. Twins: `autograd.ops.spectral_normalize`, `nn.spectral`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd.accelerate.gpu import launch

PARTS = 32  # at most, of the sum over a matrix: one for each lane of a warp
BLOCK = (32, 8)


def spectral_normalize(weights: Sequence[Any], us: Sequence[Any], vs: Sequence[Any], targets: Sequence[Any]) -> tuple:
    """W target/σ of each matrix, and the σ of all in parts (matrices, parts); at most MOST_ARRAYS matrices.

    weights (rows, columns), us (rows), vs (columns), targets: arrays of one element, or None for 1.
    """
    rows, columns, sizes, parts = _check(weights, us, vs)
    sigmas, ys = launch.empty(weights[0], (len(weights), parts)), together(weights)
    grid = (parts, len(weights))
    launch.launch("spectral_sigma", grid, BLOCK, weights, us, vs, rows, columns, sigmas)
    launch.launch("spectral_scale", grid, BLOCK, weights, targets, sizes, sigmas, parts, ys)
    return ys, sigmas


def spectral_gradient(
    gs: Sequence[Any], weights: Sequence[Any], us: Sequence[Any], vs: Sequence[Any], targets: Sequence[Any], sigmas: Any
) -> list:
    """The gradients of the weights; sigmas: from the forward."""
    rows, columns, sizes, parts = _check(weights, us, vs)
    shapes = [g.shape for g in gs] == [w.shape for w in weights] and sigmas.shape == (len(weights), parts)
    launch.require(shapes, "spectral norm: the gradients or the sigmas do not fit the weights")
    inners, gws = launch.empty(sigmas, sigmas.shape), together(weights)
    grid = (parts, len(weights))
    launch.launch("spectral_inner", grid, BLOCK, gs, weights, sizes, inners)
    launch.launch("spectral_gradient", grid, BLOCK, gs, us, vs, targets, rows, columns, sigmas, inners, parts, gws)
    return gws


def spectral_limit(
    weights: Sequence[Any], us: Sequence[Any], vs: Sequence[Any], targets: Sequence[Any], bound: float
) -> None:
    """W min(1, bound target/σ) of each matrix, in place; at most MOST_ARRAYS matrices."""
    rows, columns, sizes, parts = _check(weights, us, vs)
    sigmas = launch.empty(weights[0], (len(weights), parts))
    grid = (parts, len(weights))
    launch.launch("spectral_sigma", grid, BLOCK, weights, us, vs, rows, columns, sigmas)
    launch.launch("spectral_limit", grid, BLOCK, weights, targets, sizes, sigmas, parts, np.float32(bound))


def together(likes: Sequence[Any]) -> list:
    """A new array of the shape of each, one after the other in memory."""
    flat, start, views = launch.empty(likes[0], sum(a.size for a in likes)), 0, []
    for a in likes:
        views.append(flat[start : start + a.size].reshape(a.shape))
        start += a.size
    return views


def _check(weights: Sequence[Any], us: Sequence[Any], vs: Sequence[Any]) -> tuple[list, list, list, int]:
    """The rows, columns and sizes of the matrices, and into how many parts the sums are split."""
    for w, u, v in zip(weights, us, vs, strict=True):
        launch.require(w.shape == (u.size, v.size), f"spectral norm: W {w.shape}, u {u.shape}, v {v.shape}")
    rows, columns = [len(w) for w in weights], [w.shape[1] for w in weights]
    sizes = [w.size for w in weights]
    return rows, columns, sizes, min(PARTS, launch.ceil_div(max(sizes), 4096))
