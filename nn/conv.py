"""Convolutions over (N, C, H, W), forwards and transposed, and over (N, C, L)."""

from typing import Any

from autograd import Tensor, ops
from autograd.random import RandomStream
from nn import init
from nn.module import Module, Parameter
from nn.spectral import make_spectral_norm


class Conv2d(Module):
    """y = x ⋆ W + b; weight (out, in, kh, kw) from He's normal for a leaky ReLU of slope 0.2, bias zero."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        bias: bool = True,
        *,
        norm: str | None = None,
        rng: RandomStream | None = None,
    ):
        kh, kw = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        shape = (out_channels, in_channels, kh, kw)
        self.weight_std = init.kaiming_std(shape, 0.2)  # of the weight as drawn: see nn.equalised
        self.weight = Parameter(init.normal(init.default_rng(rng), shape, self.weight_std))
        self.bias: Any = Parameter(init.zeros(out_channels)) if bias else None
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.spectral = make_spectral_norm(norm, self.weight)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight if self.spectral is None else self.spectral(self.weight)
        return ops.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation)


class Conv1d(Module):
    """y = x ⋆ W + b along sequences x (N, C, L): a Conv2d of height 1; weight (out, in, k), drawn as Conv2d's."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        bias: bool = True,
        *,
        rng: RandomStream | None = None,
    ):
        shape = (out_channels, in_channels, kernel_size)
        self.weight_std = init.kaiming_std(shape, 0.2)
        self.weight = Parameter(init.normal(init.default_rng(rng), shape, self.weight_std))
        self.bias: Any = Parameter(init.zeros(out_channels)) if bias else None
        self.stride, self.padding, self.dilation = stride, padding, dilation

    def forward(self, x: Tensor) -> Tensor:
        row, weight = ops.expand_dims(x, 2), ops.expand_dims(self.weight, 2)  # (N, C, 1, L), (out, in, 1, k)
        return ops.conv2d(row, weight, self.bias, (1, self.stride), (0, self.padding), (1, self.dilation)).squeeze(2)


class ConvTranspose2d(Module):
    """The transpose of a convolution; weight (in, out, kh, kw), output size (n − 1) stride − 2 padding + kernel."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        output_padding: int | tuple[int, int] = 0,
        bias: bool = True,
        *,
        rng: RandomStream | None = None,
    ):
        kh, kw = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        shape = (in_channels, out_channels, kh, kw)
        self.weight_std = init.kaiming_std(shape, 0.2)
        self.weight = Parameter(init.normal(init.default_rng(rng), shape, self.weight_std))
        self.bias: Any = Parameter(init.zeros(out_channels)) if bias else None
        self.stride, self.padding, self.output_padding = stride, padding, output_padding

    def forward(self, x: Tensor) -> Tensor:
        return ops.conv_transpose2d(x, self.weight, self.bias, self.stride, self.padding, self.output_padding)
