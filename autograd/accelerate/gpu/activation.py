"""Softplus and leaky ReLU, one launch each way. Twins: `autograd.ops.softplus` and `leaky_relu`."""

from typing import Any

from autograd.accelerate.gpu import launch

THREADS = 256


def softplus(x: Any) -> Any:
    return _run("softplus_forward", [x])


def softplus_backward(g: Any, x: Any) -> Any:
    """The gradient of x."""
    return _run("softplus_backward", [g, x])


def leaky_relu(x: Any, slope: float) -> Any:
    return _run("leaky_relu_forward", [x], slope)


def leaky_relu_backward(g: Any, x: Any, slope: float) -> Any:
    """The gradient of x."""
    return _run("leaky_relu_backward", [g, x], slope)


def _run(kernel: str, arrays: list[Any], *options: float) -> Any:
    first, last = arrays[0], arrays[-1]
    launch.require(first.shape == last.shape, f"{kernel}: g {first.shape} beside x {last.shape}")
    y = launch.empty(first, first.shape)
    launch.launch(kernel, (launch.ceil_div(y.size, THREADS),), (THREADS,), *arrays, y, y.size, *options)
    return y
