"""The convolutional baseline: a DCGAN-class pair (Radford et al., 1511.06434) for 28, 32 and 64 pixels."""

from autograd import Tensor, ops
from autograd.random import RandomStream
from minigan.vitgan import Mapping
from nn import BatchNorm2d, Conv2d, Linear, Module

SIZES = {28: (7, 2), 32: (4, 3), 64: (4, 4)}  # image size: (first grid, doublings)


def _plan(image_size: int) -> tuple[int, int]:
    if image_size not in SIZES:
        raise ValueError(f"the convolutional GAN draws images of {', '.join(map(str, SIZES))} pixels, not {image_size}")
    return SIZES[image_size]


class ConvGenerator(Module):
    """z → MLP → small grid → (nearest ×2, conv 3×3) until full size → conv 3×3 → tanh, leaky ReLUs (slope 0.2) between.

    Upsampling and convolving in place of DCGAN's transposed convolutions leaves no checkerboard (Odena et al., 2016).
    """

    def __init__(
        self,
        image_size: int = 28,
        channels: int = 1,
        latent: int = 64,
        width: int = 24,
        batch_norm: bool = False,
        background: float = 0.0,
        *,
        rng: RandomStream,
    ):
        self.grid, doublings = _plan(image_size)
        widths = [width * 2 ** (doublings - 1) // 2**i for i in range(doublings + 1)]
        self.first = widths[0]
        self.mapping = Mapping(latent, 128, 2, rng=rng)
        self.project = Linear(128, self.first * self.grid**2, gain=1.4, rng=rng)
        self.convs = [Conv2d(i, o, 3, padding=1, rng=rng) for i, o in zip(widths, widths[1:], strict=False)]
        self.norms = [BatchNorm2d(w) for w in widths[1:]] if batch_norm else []
        self.out = Conv2d(widths[-1], channels, 3, padding=1, rng=rng)
        self.out.bias.data[...] = background
        self.latent = latent

    def forward(self, z: Tensor) -> Tensor:
        h = self.project(_activate(self.mapping(z))).reshape(len(z), self.first, self.grid, self.grid)
        for i, conv in enumerate(self.convs):
            h = ops.upsample_conv2d(_activate(h), conv.weight, conv.bias)
            h = self.norms[i](h) if self.norms else h
        return ops.tanh(self.out(_activate(h)))


def _activate(x: Tensor) -> Tensor:
    return ops.leaky_relu(x, 0.2)


class ConvDiscriminator(Module):
    """Convolutions (4×4, stride 2) with leaky ReLU (slope 0.2) → linear → one logit (B,)."""

    def __init__(
        self,
        image_size: int = 28,
        channels: int = 1,
        width: int = 24,
        norm: str | None = None,
        background: float = 0.0,
        *,
        rng: RandomStream,
    ):
        grid, doublings = _plan(image_size)
        widths = [channels] + [width * 2**i for i in range(doublings)]
        self.downs = [Conv2d(i, o, 4, 2, 1, norm=norm, rng=rng) for i, o in zip(widths, widths[1:], strict=False)]
        self.hidden = Linear(widths[-1] * grid**2, widths[-1], gain=1.4, norm=norm, rng=rng)
        self.head = Linear(widths[-1], 1, norm=norm, rng=rng)
        self.background = background

    def forward(self, x: Tensor) -> Tensor:
        x = x - self.background
        for down in self.downs:
            x = _activate(down(x))
        return self.head(_activate(self.hidden(x.reshape(len(x), -1)))).reshape(-1)
