"""Initial values: float32 arrays on the host, drawn from a RandomStream so that a seed fixes a model."""

import math
from typing import Any

import numpy as np

from autograd.random import RandomStream

_default = RandomStream(0)


def manual_seed(seed: int) -> None:
    """Reset the generator that layers use when none is given."""
    _default.state = (seed, 0)


def default_rng(rng: RandomStream | None) -> RandomStream:
    return _default if rng is None else rng


def zeros(shape: Any) -> np.ndarray:
    return np.zeros(shape, np.float32)


def ones(shape: Any) -> np.ndarray:
    return np.ones(shape, np.float32)


def normal(rng: RandomStream, shape: Any, std: float = 1.0) -> np.ndarray:
    return rng.normal(shape) * std


def uniform(rng: RandomStream, shape: Any, bound: float) -> np.ndarray:
    return rng.uniform(-bound, bound, shape)


def fan(shape: tuple[int, ...]) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight (out, in, *kernel)."""
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def lecun_std(shape: tuple[int, ...], gain: float = 1.0) -> float:
    """gain/√fan_in, for an output of variance gain² from inputs of variance 1 (LeCun et al., 1998)."""
    return gain / math.sqrt(fan(shape)[0])


def kaiming_std(shape: tuple[int, ...], negative_slope: float = 0.0) -> float:
    """√(2/((1 + a²) fan_in)), before a leaky ReLU of slope a (He et al., 1502.01852)."""
    return lecun_std(shape, math.sqrt(2 / (1 + negative_slope**2)))


def xavier_uniform(rng: RandomStream, shape: tuple[int, ...], gain: float = 1.0) -> np.ndarray:
    """U(±gain √(6/(fan_in + fan_out))) (Glorot & Bengio, 2010)."""
    return uniform(rng, shape, gain * math.sqrt(6 / sum(fan(shape))))


def siren_bound(shape: tuple[int, ...], omega: float, first: bool) -> float:
    """b of U(±b): 1/in in a first SIREN layer, √(6/in)/ω₀ in later ones (Sitzmann et al., 2006.09661, section 3.2)."""
    n = fan(shape)[0]
    return 1 / n if first else math.sqrt(6 / n) / omega
