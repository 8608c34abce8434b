"""Normalisation layers: layer norm, the self-modulated layer norm of ViTGAN, batch norm."""

from collections.abc import Sequence

from autograd import Tensor, ops
from autograd.random import RandomStream
from nn import init
from nn.linear import Linear, linears
from nn.module import Buffer, Module, Parameter


class LayerNorm(Module):
    """y = γ ⊙ (x − μ)/σ + β over the last axis (Ba et al., 1607.06450)."""

    def __init__(self, features: int, eps: float = 1e-5):
        self.weight = Parameter(init.ones(features))
        self.bias = Parameter(init.zeros(features))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return ops.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class SelfModulatedLayerNorm(Module):
    """SLN(h, w) = γ(w) ⊙ (h − μ)/σ + β(w), with γ and β affine in the latent w (ViTGAN, 2107.04589, eq. 14).

    h (B, N, D), w (B, latent). `style(w)` is the pair of γ(w) and β(w), and `styles` makes those of many layers at
    once. The biases start at γ = 1, β = 0; `gain` spreads them over the samples (a small one starts a generator whose
    images hardly differ).
    """

    def __init__(
        self, features: int, latent: int, eps: float = 1e-5, *, gain: float = 1.15, rng: RandomStream | None = None
    ):
        self.gamma = Linear(latent, features, gain=gain, rng=rng)
        self.beta = Linear(latent, features, gain=gain, rng=rng)
        self.gamma.bias.data[...] = 1
        self.eps = eps

    def style(self, w: Tensor) -> tuple[Tensor, Tensor]:
        return styles([self], w)[0]

    def forward(self, h: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        batch, features = gamma.shape
        one_row_each = (batch, 1, features)
        return ops.layer_norm(h, features, gamma.reshape(one_row_each), beta.reshape(one_row_each), self.eps)


def styles(norms: Sequence[SelfModulatedLayerNorm], w: Tensor) -> list[tuple[Tensor, Tensor]]:
    """γ(w) and β(w) of each, (B, D): all are linear maps of the same w, so they are made together."""
    maps = linears([layer for norm in norms for layer in (norm.gamma, norm.beta)], w)
    return list(zip(maps[::2], maps[1::2], strict=True))


class BatchNorm2d(Module):
    """Batch norm over (N, H, W) for each channel (Ioffe & Szegedy, 1502.03167), with running statistics."""

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float = 0.1):
        self.weight = Parameter(init.ones(channels))
        self.bias = Parameter(init.zeros(channels))
        self.running_mean = Buffer(init.zeros(channels))
        self.running_var = Buffer(init.ones(channels))
        self.eps, self.momentum = eps, momentum

    def forward(self, x: Tensor) -> Tensor:
        return ops.batch_norm(
            x,
            self.running_mean.data,
            self.running_var.data,
            self.weight,
            self.bias,
            self.training,
            self.momentum,
            self.eps,
        )
