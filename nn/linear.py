"""Linear: y = x Wᵀ + b."""

from collections.abc import Sequence
from typing import Any

from autograd import Tensor, ops
from autograd.each import each
from autograd.random import RandomStream
from nn import init
from nn.module import Module, Parameter
from nn.spectral import make_spectral_norm


class Linear(Module):
    """y = x Wᵀ + b over the last axis; weight (out, in) from N(0, gain²/in), bias zero.

    The default gain is 1/√3, the spread of PyTorch's U(±1/√in).

    `norm`: None, or spectral normalisation of the weight, "sn", "isn" or "bound" (see `nn.spectral`).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        gain: float = 3**-0.5,
        norm: str | None = None,
        rng: RandomStream | None = None,
    ):
        shape = (out_features, in_features)
        self.weight_std = init.lecun_std(shape, gain)  # of the weight as drawn: see nn.equalised
        self.weight = Parameter(init.normal(init.default_rng(rng), shape, self.weight_std))
        self.bias: Any = Parameter(init.zeros(out_features)) if bias else None
        self.spectral = make_spectral_norm(norm, self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return ops.linear(x, self._normed(), self.bias)

    def product(self, x: Tensor) -> Tensor:
        """x Wᵀ without the bias, for a caller that fuses the bias with an activation."""
        return ops.linear(x, self._normed())

    def _normed(self) -> Tensor:
        return self.weight if self.spectral is None else self.spectral(self.weight)


def linears(layers: Sequence[Linear], x: Tensor) -> list[Tensor]:
    """[layer(x) for layer in layers]: a GPU makes one product of those that have one shape."""
    return each(ops.linear, [(x, layer._normed(), layer.bias) for layer in layers])
