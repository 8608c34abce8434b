"""Normalisation layers: layer, RMS, group and batch norm, and the self-modulated layer norm of ViTGAN."""

import math
from collections.abc import Sequence

import numpy as np

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


class RMSNorm(Module):
    """y = γ ⊙ x / √(mean x² + ε) over the last axis (Zhang & Sennrich, 1910.07467); ε None: that of the dtype.

    ValueError for an axis of another length than `features`.
    """

    def __init__(self, features: int, eps: float | None = None):
        self.weight = Parameter(init.ones(features))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1:] != self.weight.shape:
            raise ValueError(f"RMSNorm of {len(self.weight)} features does not fit x of shape {x.shape}")
        eps = float(np.finfo(x.dtype).eps) if self.eps is None else self.eps
        return x / ops.sqrt(ops.square(x).mean(axis=-1, keepdims=True) + eps) * self.weight


class GroupNorm(Module):
    """y = γ ⊙ (x − μ)/σ + β over groups of channels of x (N, C, …) (Wu & He, 1803.08494); γ and β for each channel.

    ValueError for groups that do not divide the channels, and for x of another number of channels.
    """

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5):
        if num_channels % num_groups:
            raise ValueError(f"{num_channels} channels cannot be shared by {num_groups} groups")
        self.num_groups, self.eps = num_groups, eps
        self.weight = Parameter(init.ones(num_channels))
        self.bias = Parameter(init.zeros(num_channels))

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1:2] != self.weight.shape:
            raise ValueError(f"GroupNorm of {len(self.weight)} channels does not fit x of shape {x.shape}")
        rows = x.reshape(len(x), self.num_groups, math.prod(x.shape[1:]) // self.num_groups)
        normed = ops.normalize(rows, None, None, axes=(-1,), eps=self.eps).reshape(x.shape)
        channels = (-1, *(1,) * (x.ndim - 2))
        return normed * self.weight.reshape(channels) + self.bias.reshape(channels)


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
        """γ(w) and β(w), each (B, D), of latents w (B, W): what `forward` takes."""
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
    """Batch norm over (N, H, W) for each channel (Ioffe & Szegedy, 1502.03167), with running statistics.

    ValueError for x of another number of channels, and for a channel with a single value in training.
    """

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


class BatchNorm1d(BatchNorm2d):
    """Batch norm over (N,) of x (N, C), or over (N, L) of x (N, C, L), for each channel."""
