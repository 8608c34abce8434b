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


def layer_norm_backward(g: Any, x: Any, gamma: Any, mean: Any, rstd: Any, affine: bool = True) -> tuple[Any, Any, Any]:
    """The gradients of x, and of gamma and beta if `affine`, each in its shape."""
    rows, features = launch.rows(x), x.shape[-1]
    per_group = _rows_per_group(x, gamma, gamma)
    launch.require(g.shape == x.shape, f"layer norm: g {g.shape} beside x {x.shape}")
    launch.require(mean.shape == rstd.shape == x.shape[:-1], f"layer norm: mean {mean.shape} beside x {x.shape}")
    gx = launch.empty(x, x.shape)
    grid, block = (launch.ceil_div(rows, WARPS),), (32, WARPS)
    launch.launch("layer_norm_backward_x", grid, block, g, x, gamma, mean, rstd, gx, rows, features, per_group)

    if not affine:
        return gx, None, None

    plain = gamma.ndim == 1
    chunk = ROWS_PER_BLOCK if plain else per_group
    groups = launch.ceil_div(rows, chunk)
    between, stride = (features, 2 * features) if plain else (groups * features, features)
    sums = launch.empty(x, (groups, 2 * features) if plain else (2, *gamma.shape))
    args = (g, x, mean, rstd, sums, between, stride, rows, features, chunk)
    launch.launch("layer_norm_backward_affine", (launch.ceil_div(features, 32) * groups,), (32, 8), *args)
    ggamma, gbeta = column_sums(sums).reshape(2, features) if plain else sums
    return gx, ggamma, gbeta


def _rows_per_group(x: Any, gamma: Any, beta: Any) -> int:
    one_each = (x.shape[0], *(1,) * (x.ndim - 2), x.shape[-1])
    launch.require(
        gamma.shape == beta.shape and gamma.shape in (x.shape[-1:], one_each),
        f"layer norm of {x.shape}: gamma {gamma.shape} and beta {beta.shape} must be {x.shape[-1:]} or {one_each}",
    )
    return max(1, launch.rows(x) // (1 if gamma.ndim == 1 else len(x)))
