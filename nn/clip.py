"""Gradients kept within bounds, between `loss.backward()` and `optimizer.step()`: PyTorch's two functions."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from autograd import Tensor
from autograd.arrays import array_module


def clip_grad_norm_(parameters: Tensor | Iterable[Tensor], max_norm: float) -> Any:
    """Scale the gradients down, all by one factor, where their common Euclidean norm exceeds max_norm.

    Returns the norm before, a 0-d array: 0 if there are no gradients (Pascanu et al., 1211.5063). `parameters` may be
    one Tensor. `Adam(…, max_norm=…)` does the same in its step.
    """
    parameters = _with_gradient(parameters)
    if not parameters:
        return np.zeros((), "float32")
    xp = array_module(*(p.grad for p in parameters))
    norm = xp.sqrt(sum((p.grad * p.grad).sum() for p in parameters))
    factor = xp.minimum(max_norm / (norm + 1e-6), 1.0)
    for p in parameters:
        p.grad = (p.grad * factor).astype(p.dtype)
    return norm


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Clip every number of the gradients, which may have any shape, to [−clip_value, clip_value]."""
    for p in _with_gradient(parameters):
        p.grad = array_module(p.grad).clip(p.grad, -clip_value, clip_value)


def _with_gradient(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    each = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p for p in each if p.grad is not None]
