"""ln(1 + eˣ) in one launch each way. Twin: `autograd.ops.softplus`."""

from typing import Any

from autograd.accelerate.gpu import launch

THREADS = 256


def softplus(x: Any) -> Any:
    y = launch.empty(x, x.shape)
    launch.launch("softplus_forward", (launch.ceil_div(x.size, THREADS),), (THREADS,), x, y, x.size)
    return y


def softplus_backward(g: Any, x: Any) -> Any:
    """The gradient of x."""
    launch.require(g.shape == x.shape, f"softplus: g {g.shape} beside x {x.shape}")
    gx = launch.empty(x, x.shape)
    launch.launch("softplus_backward", (launch.ceil_div(x.size, THREADS),), (THREADS,), g, x, gx, x.size)
    return gx
