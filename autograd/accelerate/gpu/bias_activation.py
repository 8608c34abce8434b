"""A bias and what follows it, in one pass. Twins: `autograd.ops.gelu`, after an addition, and `bias_sine`."""

from typing import Any

from autograd.accelerate.gpu import launch
from autograd.accelerate.gpu.column_sums import ROWS_PER_BLOCK, column_sums


def bias_gelu(x: Any, bias: Any, approximate: str = "none") -> Any:
    """gelu(x + bias) of x (…, D), bias (D) or None; `approximate` "none" or "tanh"."""
    return _forward("bias_gelu_forward", x, bias, int(approximate == "tanh"))


def bias_gelu_backward(g: Any, x: Any, bias: Any, approximate: str = "none", of_bias: bool = True) -> tuple[Any, Any]:
    """The gradients of x and, if there is a bias and `of_bias`, of bias."""
    return _backward("bias_gelu_backward", g, x, bias, int(approximate == "tanh"), of_bias)


def bias_sine(x: Any, bias: Any, omega: float) -> Any:
    """sin ω(x + bias) of x (…, D), bias (D)."""
    return _forward("bias_sine_forward", x, bias, omega)


def bias_sine_backward(g: Any, x: Any, bias: Any, omega: float) -> tuple[Any, Any]:
    """The gradients of x and of bias."""
    return _backward("bias_sine_backward", g, x, bias, omega, True)


def _grid(x: Any) -> tuple[int]:
    return (launch.ceil_div(x.shape[-1], 32) * launch.ceil_div(launch.rows(x), ROWS_PER_BLOCK),)


def _check(kernel: str, x: Any, bias: Any) -> None:
    if bias is not None:
        launch.require(bias.shape == x.shape[-1:], f"{kernel}: bias {bias.shape} beside x {x.shape}")


def _forward(kernel: str, x: Any, bias: Any, option: float) -> Any:
    _check(kernel, x, bias)
    y = launch.empty(x, x.shape)
    launch.launch(kernel, _grid(x), (32, 8), x, bias, y, launch.rows(x), x.shape[-1], ROWS_PER_BLOCK, option)
    return y


def _backward(kernel: str, g: Any, x: Any, bias: Any, option: float, of_bias: bool) -> tuple[Any, Any]:
    _check(kernel, x, bias)
    launch.require(g.shape == x.shape, f"{kernel}: g {g.shape} beside x {x.shape}")
    rows, columns = launch.rows(x), x.shape[-1]
    gx = launch.empty(x, x.shape)
    of_bias = of_bias and bias is not None
    sums = launch.empty(x, (launch.ceil_div(rows, ROWS_PER_BLOCK), columns)) if of_bias else None
    launch.launch(kernel, _grid(x), (32, 8), g, x, bias, gx, sums, rows, columns, ROWS_PER_BLOCK, option)
    return gx, column_sums(sums) if of_bias else None
