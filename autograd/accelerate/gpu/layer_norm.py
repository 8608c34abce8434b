"""Layer norm over the last axis, plain or self-modulated. Twin: the rule of `autograd.ops.normalize`."""

from typing import Any

from autograd.accelerate.gpu import launch
from autograd.accelerate.gpu.column_sums import ROWS_PER_BLOCK, column_sums

WARPS = 4  # rows in a block


def layer_norm(x: Any, gamma: Any, beta: Any, eps: float = 1e-5) -> tuple[Any, Any, Any]:
    """y, and the mean and 1/σ of each row for the backward.

    x (…, D). gamma and beta: (D) for all rows, or (B, 1, D) beside x (B, N, D), one for each sample.
    """
    rows, features = launch.rows(x), x.shape[-1]
    per_group = _rows_per_group(x, gamma, beta)
    y, mean, rstd = launch.empty(x, x.shape), launch.empty(x, x.shape[:-1]), launch.empty(x, x.shape[:-1])
    grid, block = (launch.ceil_div(rows, WARPS),), (32, WARPS)
    launch.launch("layer_norm_forward", grid, block, x, gamma, beta, y, mean, rstd, rows, features, per_group, eps)
    return y, mean, rstd


def layer_norm_backward(g: Any, x: Any, gamma: Any, mean: Any, rstd: Any) -> tuple[Any, Any, Any]:
    """The gradients of x, gamma and beta, each in its shape."""
    rows, features = launch.rows(x), x.shape[-1]
    per_group = _rows_per_group(x, gamma, gamma)
    launch.require(g.shape == x.shape, f"layer norm: g {g.shape} beside x {x.shape}")
    launch.require(mean.shape == rstd.shape == x.shape[:-1], f"layer norm: mean {mean.shape} beside x {x.shape}")
    gx = launch.empty(x, x.shape)
    grid, block = (launch.ceil_div(rows, WARPS),), (32, WARPS)
    launch.launch("layer_norm_backward_x", grid, block, g, x, gamma, mean, rstd, gx, rows, features, per_group)

    chunk = per_group if gamma.ndim > 1 else ROWS_PER_BLOCK
    groups = launch.ceil_div(rows, chunk)
    ggamma, gbeta = launch.empty(x, (groups, features)), launch.empty(x, (groups, features))
    tiles = (launch.ceil_div(features, 32), groups)
    launch.launch("layer_norm_backward_affine", tiles, (32, 8), g, x, mean, rstd, ggamma, gbeta, rows, features, chunk)
    if gamma.ndim == 1:
        return gx, column_sums(ggamma), column_sums(gbeta)
    return gx, ggamma.reshape(gamma.shape), gbeta.reshape(gamma.shape)


def _rows_per_group(x: Any, gamma: Any, beta: Any) -> int:
    one_each = (x.shape[0], *(1,) * (x.ndim - 2), x.shape[-1])
    launch.require(
        gamma.shape == beta.shape and gamma.shape in (x.shape[-1:], one_each),
        f"layer norm of {x.shape}: gamma {gamma.shape} and beta {beta.shape} must be {x.shape[-1:]} or {one_each}",
    )
    return max(1, launch.rows(x) // (1 if gamma.ndim == 1 else len(x)))
