"""Random arrays, leaves and ops that tests make."""

from typing import Any

import numpy as np

from autograd import Tensor
from autograd.operation import Op
from autograd.random import RandomStream


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


def made(forward: Any, backward: Any, **more: Any) -> Op:
    """An op that is not registered."""
    return Op(type("made", (), {"__doc__": "y = …  ∂L/∂x = …", "forward": forward, "backward": backward, **more}))
