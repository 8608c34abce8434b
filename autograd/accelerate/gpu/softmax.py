"""Softmax over the last axis. Twin: `autograd.ops.softmax`."""

from typing import Any

from autograd.accelerate.gpu import launch

WARPS = 4  # rows in a block


def softmax(x: Any) -> Any:
    """x (…, columns) -> the same shape."""
    y = launch.empty(x, x.shape)
    grid, block = (launch.ceil_div(launch.rows(x), WARPS),), (32, WARPS)
    launch.launch("softmax_forward", grid, block, x, y, launch.rows(x), x.shape[-1])
    return y


def softmax_backward(g: Any, y: Any) -> Any:
    """The gradient of x from y, what the forward returned."""
    launch.require(g.shape == y.shape, f"softmax: g {g.shape} beside y {y.shape}")
    gx = launch.empty(y, y.shape)
    grid, block = (launch.ceil_div(launch.rows(y), WARPS),), (32, WARPS)
    launch.launch("softmax_backward", grid, block, g, y, gx, launch.rows(y), y.shape[-1])
    return gx
