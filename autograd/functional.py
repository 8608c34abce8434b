"""Derivatives of functions, as arrays: names and argument order are those of torch.autograd.functional.

    jacobian(f, x)      ∂f/∂x, one `grad` for each output
    hessian(f, x)       ∂²f/∂x∂x of a function with one output
    vjp(f, x, v)        f(x) and vᵀ ∂f/∂x, one `grad`
    hvp(f, x, v)        f(x) and ∂²f/∂x∂x v, two

f takes and returns a Tensor; x and v are arrays or Tensors. A float64 x gives derivatives in float64.
"""

from collections.abc import Callable
from typing import Any

from autograd.arrays import array_module
from autograd.engine import grad
from autograd.modes import switched
from autograd.tensor import Tensor

Function = Callable[[Tensor], Tensor]


def jacobian(f: Function, x: Any) -> Any:
    """∂f/∂x in the shape of f(x) followed by that of x."""
    x, y = _run(f, x)
    return _rows(y, x)


def hessian(f: Function, x: Any) -> Any:
    """∂²f/∂x∂x in the shape of x twice. Raises ValueError unless f(x) has one element."""
    x, y = _run(f, x)
    return _rows(_slope(y, x), x)


def vjp(f: Function, x: Any, v: Any = None) -> tuple[Any, Any]:
    """f(x), and the gradient of Σ v f(x) in the shape of x. v has the shape of f(x); one element needs none."""
    x, y = _run(f, x)
    (gradient,) = grad(y, [x], v)
    return y.data, _or_zeros(gradient, x)


def hvp(f: Function, x: Any, v: Any) -> tuple[Any, Any]:
    """f(x), and the product of the Hessian with v, both in the shape of x. ValueError unless f(x) has one element."""
    if v is None:
        raise ValueError("hvp(f, x, v) needs v, an array in the shape of x")
    x, y = _run(f, x)
    (product,) = grad(_slope(y, x), [x], v)
    return y.data, _or_zeros(product, x)


def _run(f: Function, x: Any) -> tuple[Tensor, Tensor]:
    x = Tensor(x.data if isinstance(x, Tensor) else x)
    x.requires_grad = True
    with switched(recording=True):  # also inside no_grad()
        return x, f(x)


def _slope(y: Tensor, x: Tensor) -> Tensor:
    (slope,) = grad(y, [x], create_graph=True)
    return Tensor(array_module(x.data).zeros_like(x.data)) if slope is None else slope


def _rows(y: Tensor, x: Tensor) -> Any:
    """The gradient of every element of y, one after the other."""
    xp = array_module(x.data)
    rows = xp.zeros((y.size, *x.shape), x.dtype)
    for i in range(y.size):
        v = xp.zeros(y.size, y.dtype)
        v[i] = 1
        rows[i] = _or_zeros(grad(y, [x], v.reshape(y.shape))[0], x)
    return rows.reshape(y.shape + x.shape)


def _or_zeros(gradient: Any, x: Tensor) -> Any:
    """The gradient, which is None where nothing depends on x."""
    return array_module(x.data).zeros_like(x.data) if gradient is None else gradient
