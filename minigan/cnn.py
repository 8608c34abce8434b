"""The convolutional baseline: a pair of the DCGAN kind (Radford et al., 1511.06434) for 28, 32 and 64 pixels.

Images are (B, C, H, W) in [−1, 1]. All activations are leaky ReLUs of slope 0.2.
"""

from autograd import Tensor, ops
from autograd.random import RandomStream
from minigan.labels import ClassInput, ClassProjection, with_class, with_projection
from minigan.vitgan import Mapping
from nn import BatchNorm2d, Conv2d, Linear, Module

PLANS = {28: (7, 2), 32: (4, 3), 64: (4, 4)}  # pixels along an image: pixels of the smallest grid, and its doublings


class ConvGenerator(Module):
    """z → MLP → small grid → (nearest ×2, conv 3×3) until full size → conv 3×3 → tanh.

    DCGAN's transposed convolutions draw checkerboards; upsampling before a convolution does not (Odena et al., 2016).
    z is (B, latent). width: channels before the last doubling. classes: see `minigan.labels`. ValueError for
    other image sizes than 28, 32 and 64.
    """

    def __init__(
        self,
        image_size: int = 28,
        channels: int = 1,
        latent: int = 64,
        width: int = 24,
        batch_norm: bool = False,
        background: float = 0.0,
        classes: int = 0,
        *,
        rng: RandomStream,
    ):
        self.grid, doublings = _plan(image_size)
        # Each doubling halves the channels: 48, 24, 12 for a width of 24 and two doublings.
        widths = [width * 2 ** (doublings - 1) // 2**i for i in range(doublings + 1)]
        self.first = widths[0]
        self.mapping = Mapping(latent, 128, 2, rng=rng)
        self.project = Linear(128, self.first * self.grid**2, gain=1.4, rng=rng)
        self.convs = [Conv2d(i, o, 3, padding=1, rng=rng) for i, o in zip(widths, widths[1:], strict=False)]
        self.norms = [BatchNorm2d(w) for w in widths[1:]] if batch_norm else []
        self.out = Conv2d(widths[-1], channels, 3, padding=1, rng=rng)
        self.out.bias.data[...] = background
        self.latent = latent
        self.classes = ClassInput(classes, 128, rng=rng) if classes else None

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        h = self.project(_activate(with_class(self.classes, self.mapping(z), c)))  # (B, first · grid²)
        h = h.reshape(len(z), self.first, self.grid, self.grid)
        for i, conv in enumerate(self.convs):
            h = ops.upsample_conv2d(_activate(h), conv.weight, conv.bias)  # (B, fewer channels, 2H, 2W)
            h = self.norms[i](h) if self.norms else h
        return ops.tanh(self.out(_activate(h)))  # (B, C, H, W)


class ConvDiscriminator(Module):
    """Convolutions 4×4 of stride 2 down to the small grid → linear → linear → one logit (B,).

    width: channels of the first layer. norm: the spectral norm of every weight, None, "sn", "isn" or "bound".
    ValueError for other image sizes than 28, 32 and 64.
    """

    def __init__(
        self,
        image_size: int = 28,
        channels: int = 1,
        width: int = 24,
        norm: str | None = None,
        background: float = 0.0,
        classes: int = 0,
        *,
        rng: RandomStream,
    ):
        grid, doublings = _plan(image_size)
        widths = [channels] + [width * 2**i for i in range(doublings)]
        self.downs = [Conv2d(i, o, 4, 2, 1, norm=norm, rng=rng) for i, o in zip(widths, widths[1:], strict=False)]
        self.hidden = Linear(widths[-1] * grid**2, widths[-1], gain=1.4, norm=norm, rng=rng)
        self.head = Linear(widths[-1], 1, norm=norm, rng=rng)
        self.background = background
        self.classes = ClassProjection(classes, widths[-1], norm=norm, rng=rng) if classes else None

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        h = x - self.background  # so that the zero padding of the convolutions continues the background
        for down in self.downs:
            h = _activate(down(h))  # (B, twice the channels, H/2, W/2)
        h = _activate(self.hidden(h.reshape(len(h), -1)))  # (B, features)
        return with_projection(self.classes, self.head(h).reshape(-1), h, c)  # (B,)


def _plan(image_size: int) -> tuple[int, int]:
    if image_size not in PLANS:
        raise ValueError(f"the convolutional GAN draws images of {', '.join(map(str, PLANS))} pixels, not {image_size}")
    return PLANS[image_size]


def _activate(x: Tensor) -> Tensor:
    return ops.leaky_relu(x, 0.2)
