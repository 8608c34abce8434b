"""Random arrays, leaves, cotangents and ops that tests make, gradients at given values, and how float32 rounds."""

from typing import Any

import numpy as np

from autograd import Tensor, grad
from autograd.operation import Op
from autograd.random import RandomStream

EPS = np.finfo(np.float32).eps


def normal(*shape: int, seed: int = 0, dtype: str = "float64") -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def rng(seed: int = 0) -> RandomStream:
    return RandomStream(seed)


def leaf(*shape: int, seed: int = 0, dtype: str = "float64") -> Tensor:
    """A leaf with normal values."""
    return Tensor(normal(*shape, seed=seed, dtype=dtype), requires_grad=True)


def leaves(*values: Any) -> list[Tensor]:
    """A float64 leaf with each of these values."""
    return [Tensor(np.asarray(v, float), requires_grad=True) for v in values]


def vector(*values: float) -> Tensor:
    """One leaf, of these numbers."""
    return Tensor(np.array(values), requires_grad=True)


def cotangent(y: Tensor, seed: int = 1) -> np.ndarray:
    """A random one, of the shape and dtype of y."""
    return np.asarray(np.random.default_rng(seed).standard_normal(y.shape), y.dtype)


def gradients(f, *arrays, g=None):
    """y and the gradients at these values (float64), with the cotangent 1, 2, 3, … unless given."""
    xs = [Tensor(np.asarray(a, float), requires_grad=True) for a in arrays]
    y = f(*xs)
    g = np.arange(1.0, y.size + 1).reshape(y.shape) if g is None else g
    return (y.data, *grad(y, xs, g=g))


def made(forward: Any, backward: Any, **more: Any) -> Op:
    """An op that is not registered."""
    return Op(type("made", (), {"__doc__": "y = …  ∂L/∂x = …", "forward": forward, "backward": backward, **more}))
