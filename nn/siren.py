"""Sine layers: SIREN, and Fourier features of coordinates."""

import math

import numpy as np

from autograd import Tensor, ops
from autograd.random import RandomStream
from nn import init
from nn.linear import Linear
from nn.module import Module


class SirenLayer(Module):
    """y = sin(ω₀ (W x + b)) over the last axis: SIREN (Sitzmann et al., 2006.09661).

    `first`: the layer that sees the coordinates, whose frequencies ω₀ W are spread over ±ω₀/in.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        omega: float = 30.0,
        first: bool = False,
        *,
        rng: RandomStream | None = None,
    ):
        rng = init.default_rng(rng)
        self.linear = Linear(in_features, out_features, rng=rng)
        self.draw_weight(init.siren_bound((out_features, in_features), omega, first), rng)
        self.linear.bias.data[...] = init.uniform(rng, (out_features,), math.pi / omega)  # any phase
        self.omega = omega

    def draw_weight(self, bound: float, rng: RandomStream) -> None:
        """Draw the weight anew, from U(±bound)."""
        weight = self.linear.weight
        weight.data[...] = init.uniform(rng, weight.shape, bound)
        self.linear.weight_std = bound / math.sqrt(3)

    def forward(self, x: Tensor) -> Tensor:
        return ops.bias_sine(ops.linear(x, self.linear.weight), self.linear.bias, omega=self.omega)

    def extra_repr(self) -> str:
        return f"omega={self.omega:g}"


class FourierFeatures(SirenLayer):
    """E(p) = sin(W p + b) with W ~ U(±√(9/2)): the position encoding of ViTGAN (appendix of 2107.04589) and CIPS."""

    def __init__(self, in_features: int, out_features: int, *, rng: RandomStream | None = None):
        super().__init__(in_features, out_features, omega=1.0, first=True, rng=rng)
        self.draw_weight(math.sqrt(9 / 2), init.default_rng(rng))


def pixel_coordinates(height: int, width: int) -> np.ndarray:
    """The centres of a height × width grid of pixels in [−1, 1]², (height·width, 2) as (x, y), row by row."""
    y, x = ((np.arange(n) + 0.5) / n * 2 - 1 for n in (height, width))
    grid = np.stack(np.meshgrid(x, y, indexing="xy"), axis=-1)
    return grid.reshape(-1, 2).astype(np.float32)
