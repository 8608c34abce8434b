"""ViTGAN (Lee et al., 2107.04589): a transformer that draws patches, and a transformer that judges them.

The same two classes are the vanilla ViT GAN without self-modulation, with dot-product attention and no spectral norm.

Shapes: images (B, C, H, W) in [−1, 1]; latents z (B, latent); tokens (B, N, D), one for each of the N = (H/P)(W/P)
patches of P × P pixels, row by row. Equation numbers are the paper's.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from autograd import Tensor, ops
from autograd.random import RandomStream
from minigan.labels import ClassInput, ClassProjection, with_class, with_projection
from nn import (
    Buffer,
    FourierFeatures,
    LayerNorm,
    Linear,
    Module,
    MultiHeadAttention,
    Parameter,
    SelfModulatedLayerNorm,
    SirenLayer,
    init,
    pixel_coordinates,
    styles,
)

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": ops.relu, "silu": ops.silu}
Style = tuple[()] | tuple[Tensor, Tensor]  # γ and β of a self-modulated layer norm
GELUS = {"gelu": "none", "gelu_tanh": "tanh"}  # name -> the approximation of `ops.bias_gelu`, which adds the bias too


class MLP(Module):
    """y = W₂ act(W₁ x + b₁) + b₂ over the last axis. activation: a name in ACTIVATIONS or GELUS."""

    def __init__(self, features: int, hidden: int, activation: str, *, norm: str | None, rng: RandomStream):
        self.up = Linear(features, hidden, norm=norm, rng=rng)
        self.down = Linear(hidden, features, norm=norm, rng=rng)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        if self.activation in GELUS:
            h = ops.bias_gelu(self.up.product(x), self.up.bias, approximate=GELUS[self.activation])  # (B, N, hidden)
        else:
            h = ACTIVATIONS[self.activation](self.up(x))  # (B, N, hidden)
        return self.down(h)

    def extra_repr(self) -> str:
        return self.activation


class Block(Module):
    """h ← h + MSA(N(h));  h ← h + MLP(N(h)): a pre-norm transformer block (eq. 2-3, and 10-11 with SLN).

    N is layer norm. With `latent` it is the self-modulated layer norm, N(h, γ, β): see `nn.norm.styles`.
    """

    def __init__(
        self,
        features: int,
        heads: int,
        mlp_ratio: float,
        activation: str,
        similarity: str,
        *,
        latent: int | None = None,
        norm: str | None = None,
        rng: RandomStream,
    ):
        self.norm1 = _norm(features, latent, rng)
        self.attention = MultiHeadAttention(features, heads, similarity, norm=norm, rng=rng)
        self.norm2 = _norm(features, latent, rng)
        self.mlp = MLP(features, int(features * mlp_ratio), activation, norm=norm, rng=rng)

    def forward(self, h: Tensor, style1: Style = (), style2: Style = (), first: int | None = None) -> Tensor:
        """h (B, N, D) to (B, N, D), or to (B, first, D): only the first tokens, which saves computing the others.

        style1 and style2: the γ and β (B, D) of both norms, if they are self-modulated.
        """
        change = self.attention(self.norm1(h, *style1), first)
        if first is not None:
            h = h[:, :first]
        h = h + change
        return h + self.mlp(self.norm2(h, *style2))


def _norm(features: int, latent: int | None, rng: RandomStream) -> Module:
    return LayerNorm(features) if latent is None else SelfModulatedLayerNorm(features, latent, rng=rng)


class Mapping(Module):
    """w = MLP(z), (B, latent) to (B, features), with leaky ReLUs of slope 0.2, as in StyleGAN (1812.04948).

    gain: of the last layer, about the standard deviation of w.
    """

    def __init__(self, latent: int, features: int, layers: int, gain: float = 1.0, *, rng: RandomStream):
        sizes = [latent] + [features] * layers
        gains = [1.4] * (layers - 1) + [gain]
        self.layers = [Linear(i, o, gain=g, rng=rng) for i, o, g in zip(sizes, sizes[1:], gains, strict=False)]

    def forward(self, z: Tensor) -> Tensor:
        w = self.layers[0](z)
        for layer in self.layers[1:]:
            w = layer(ops.leaky_relu(w, 0.2))
        return w


class ImplicitPatch(Module):
    """x(p) = f_θ(E(p), y): the pixel at p in a patch, by an MLP of two layers that the token y modulates (eq. 13).

    E(p) = sin(ω₀ (W₁ p + b₁)),   x(p) = W₂ (m(y) ⊙ E(p)) + b₂,   m affine in y (weight modulation: CIPS, 2011.13775)
    `fourier`: E are Fourier features in place of a SIREN layer. E is the same for all tokens, so the products W₂ ⊙ E
    are formed once, and a patch is their product with m(y).
    """

    def __init__(
        self, features: int, patch: int, channels: int, hidden: int, omega: float, *, fourier: bool, rng: RandomStream
    ):
        self.coordinates = Buffer(pixel_coordinates(patch, patch))  # (P², 2)
        if fourier:
            self.encode: Module = FourierFeatures(2, hidden, rng=rng)
        else:
            self.encode = siren = SirenLayer(2, hidden, omega, True, rng=rng)
            # A SIREN layer spreads its frequencies over ±ω₀/2, and the doubled weights spread them over ±ω₀. A doubled
            # ω₀ would do the same, but Adam would then move the frequencies twice as fast.
            siren.linear.weight.data *= 2
            siren.linear.weight_std *= 2
        self.modulate = Linear(features, hidden, rng=rng)
        self.out = Linear(hidden, channels, gain=1.0, rng=rng)

    def forward(self, y: Tensor) -> Tensor:
        e = self.encode(self.coordinates)  # (P², hidden)
        pixels, hidden = e.shape
        basis = e.reshape(pixels, 1, hidden) * self.out.weight  # (P², C, hidden)
        x = ops.linear(self.modulate(y), basis.reshape(-1, hidden))  # (B, N, P² C)
        return x.reshape(*y.shape[:2], pixels, -1) + self.out.bias  # (B, N, P², C)


class LinearPatch(Module):
    """A linear map from the token to the pixels of its patch, (B, N, D) to (B, N, P², C)."""

    def __init__(self, features: int, patch: int, channels: int, *, rng: RandomStream):
        self.out = Linear(features, patch * patch * channels, rng=rng)
        self.shape = (patch * patch, channels)

    def forward(self, y: Tensor) -> Tensor:
        return self.out(y).reshape(*y.shape[:2], *self.shape)


def unpatchify(x: Tensor, grid: int, patch: int) -> Tensor:
    """Patches (B, grid², P², C) to the image (B, C, grid·P, grid·P)."""
    batch, _, _, channels = x.shape
    x = x.reshape(batch, grid, grid, patch, patch, channels).transpose(0, 5, 1, 3, 2, 4)  # (B, C, grid, P, grid, P)
    return x.reshape(batch, channels, grid * patch, grid * patch)


class Blend(Module):
    """Overlapping patches (B, grid², (P + 2o)², C) to the image (B, C, grid·P, grid·P): their weighted mean at a pixel.

    A patch counts fully in its middle, and fades linearly over the 2o pixels that it shares with each neighbour. So no
    seam shows where two patches meet.
    """

    def __init__(self, grid: int, patch: int, overlap: int):
        self.patch, self.overlap, self.kernel, self.size = patch, overlap, patch + 2 * overlap, grid * patch
        rise = np.minimum(1, (np.arange(self.kernel) + 0.5) / (2 * overlap))
        fade = np.minimum(rise, rise[::-1])
        window = np.tile(np.outer(fade, fade).reshape(1, -1, 1), grid**2)  # (1, K², N)
        total = ops.unfold(self.fold(window), self.kernel, padding=overlap, stride=patch).data  # 0 outside the image
        weights = np.divide(window, total, out=np.zeros_like(window), where=total > 0)
        self.weights = Buffer(weights.transpose(0, 2, 1)[..., None].astype(np.float32))  # (1, N, K², 1)

    def fold(self, x: Any) -> Tensor:
        """(B, C K², N) to (B, C, H, W): the sum of all patches at a pixel."""
        return ops.fold(x, self.size, self.kernel, padding=self.overlap, stride=self.patch)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, pixels, channels = x.shape
        x = (x * self.weights).transpose(0, 3, 2, 1)  # (B, C, K², N)
        return self.fold(x.reshape(batch, channels * pixels, tokens))


def clamp(x: Tensor) -> Tensor:
    """x, of any shape, within [−1, 1], with the gradient of x itself: a pixel beyond white can still come back."""
    return ops.clip(x, -1, 1).detach() + (x - x.detach())


def mean_of_squares(x: Tensor, side: int) -> Tensor:
    """(B, C, H side, W side) to (B, C, H, W): the mean of each square of side × side values.

    As `ops.avg_pool2d(x, side)`, which is nine nodes of the CUDA graph of a step where this is three.
    """
    batch, channels, height, width = x.shape
    return x.reshape(batch, channels, height // side, side, width // side, side).mean(axis=(3, 5))


class Position(Module):
    """E_pos (1, N, D): "learned", from N(0, std²), or "sine", sin(W p + b) of the patch centres p in [−1, 1]².

    ValueError for other kinds.
    """

    def __init__(self, grid: int, width: int, kind: str, std: float, *, rng: RandomStream):
        if kind not in ("learned", "sine"):
            raise ValueError(f"position {kind!r}: use learned or sine")
        if kind == "learned":
            self.table = Parameter(init.normal(rng, (1, grid * grid, width), std))
        else:
            self.centres = Buffer(pixel_coordinates(grid, grid)[None])  # (1, N, 2)
            self.encode = FourierFeatures(2, width, rng=rng)
        self.kind = kind

    def forward(self) -> Tensor:
        return self.table if self.kind == "learned" else self.encode(self.centres)


class Generator(Module):
    """z → image: w = MLP(z), h₀ = E_pos, blocks modulated by w, y = SLN(h_L, w), xᵢ = f_θ(E, yᵢ), tanh (eq. 9-13).

    `modulated=False` is the vanilla ViT: plain layer norms, and w enters as tokens, h₀ = E_pos + A w.
    tokens: with self-modulation too, w enters as tokens. tokens_alike: all get the same A w, and not each its own.
    style_rate: the norms see style_rate · w, so γ and β start closer to 1 and 0 and, because Adam's steps have a fixed
    length, learn that much slower.
    overlap: patches reach `overlap` pixels into each neighbour, see `Blend`. reach: pixels are clamp(reach · tanh(·)).
    tanh alone only tends to black and white, so its strokes stay grey.
    points: G draws points × points points in each pixel, blends and clips them, and a pixel is their mean. So edges are
    smooth. A coordinate network draws any number of points with the same weights.
    level: in evaluation a shift of each channel comes before the tanh, a buffer that `minigan.level` sets.
    head: how a token becomes pixels, "siren" or "fourier" (ImplicitPatch) or "linear". background: the pixel value that
    the untrained generator draws about. ValueError for other heads, for points below 1, and for patches that do not
    tile the image.
    """

    def __init__(
        self,
        image_size: int = 28,
        channels: int = 1,
        latent: int = 64,
        width: int = 64,
        depth: int = 3,
        heads: int = 4,
        mlp_ratio: float = 4,
        patch: int = 7,
        mapping: int = 2,
        activation: str = "gelu",
        modulated: bool = True,
        position: str = "learned",
        head: str = "siren",
        head_width: int = 64,
        omega: float = 8.0,
        background: float = 0.0,
        tokens: bool = False,
        tokens_alike: bool = False,
        style_rate: float = 1.0,
        overlap: int = 0,
        reach: float = 1.0,
        points: int = 1,
        level: bool = False,
        classes: int = 0,
        *,
        rng: RandomStream,
    ):
        if head not in ("siren", "fourier", "linear"):
            raise ValueError(f"head {head!r}: use siren, fourier or linear")
        if points < 1:
            raise ValueError(f"points must be at least 1, not {points}")
        self.grid, self.latent = _grid(image_size, patch), latent
        self.modulated = modulated
        modulation = width if modulated else None
        self.style_rate, self.reach = style_rate, reach
        # Without classes, w alone tells the images apart, and it grew in training. With classes it did not grow, and
        # the images of one class looked alike. So with classes w begins larger.
        self.mapping = Mapping(latent, width, mapping, gain=3.0 if classes else 1.0, rng=rng)
        self.position = Position(self.grid, width, position, 0.5, rng=rng)
        maps = 1 if tokens_alike else self.grid**2  # of w, D features each
        self.tokens = Linear(width, maps * width, rng=rng) if tokens or not modulated else None
        self.blocks = [
            Block(width, heads, mlp_ratio, activation, "dot", latent=modulation, rng=rng) for _ in range(depth)
        ]
        self.norm = _norm(width, modulation, rng)
        self.points, self.patch, overlap = points, patch * points, overlap * points  # the last two count points
        self.blend = Blend(self.grid, self.patch, overlap) if overlap else None
        drawn = self.patch + 2 * overlap
        if head == "linear":
            self.head: Module = LinearPatch(width, drawn, channels, rng=rng)
        else:
            self.head = ImplicitPatch(width, drawn, channels, head_width, omega, fourier=head == "fourier", rng=rng)
        self.head.out.bias.data[...] = background
        self.level = Buffer(np.zeros((channels, 1, 1), np.float32)) if level else None
        self.classes = ClassInput(classes, width, rng=rng) if classes else None

    @property
    def norms(self) -> list[Any]:
        """The norms in the order in which they run."""
        return [norm for block in self.blocks for norm in (block.norm1, block.norm2)] + [self.norm]

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        x = self.pre_activation(z, c)
        x = self.activation(x if self.level is None or self.training else x + self.level)
        # Clipped after the mean, runs ended farther from the floor: docs/experiments.md, "the mean of four points".
        return x if self.points == 1 else mean_of_squares(x, self.points)

    def pre_activation(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """The points before the tanh, (B, C, points · H, points · W)."""
        w = with_class(self.classes, self.mapping(z), c)  # (B, D)
        h = self.position()  # (1, N, D)
        if self.tokens is None:
            h = ops.broadcast_to(h, (len(w), *h.shape[1:]))  # (B, N, D)
        else:
            h = h + self.tokens(w).reshape(len(w), -1, h.shape[2])  # (B, N, D)
        norms = self.norms
        style: list[Style] = [()] * len(norms)
        if self.modulated:
            style = [*styles(norms, w if self.style_rate == 1 else w * self.style_rate)]
        for block, style1, style2 in zip(self.blocks, style[0:-1:2], style[1::2], strict=True):
            h = block(h, style1, style2)
        y = self.norm(h, *style[-1])  # (B, N, D)
        patches = self.head(y)  # (B, N, P², C), P in points
        return unpatchify(patches, self.grid, self.patch) if self.blend is None else self.blend(patches)

    def activation(self, x: Tensor) -> Tensor:
        """The values in [−1, 1] of points x before the tanh, of any shape."""
        return ops.tanh(x) if self.reach == 1 else clamp(self.reach * ops.tanh(x))


class Discriminator(Module):
    """Image → one logit (B,): overlapping patches, class token, E_pos, blocks, layer norm, linear (eq. 1-4, sec. 3.3).

    Patches are (P + 2o)² pixels, one every P pixels, so neighbours overlap by 2o. The image is framed by o pixels of
    the background's value. norm: the spectral norm of every linear map, None, "sn", "isn" or "bound". ValueError for
    others, and for patches that do not tile the image.
    """

    def __init__(
        self,
        image_size: int = 28,
        channels: int = 1,
        width: int = 64,
        depth: int = 3,
        heads: int = 4,
        mlp_ratio: float = 4,
        patch: int = 7,
        overlap: int = 3,
        activation: str = "gelu",
        similarity: str = "l2",
        norm: str | None = "isn",
        position: str = "learned",
        background: float = 0.0,
        classes: int = 0,
        *,
        rng: RandomStream,
    ):
        grid = _grid(image_size, patch)
        self.patch, self.overlap, self.kernel = patch, overlap, patch + 2 * overlap
        self.background = background
        self.embed = Linear(channels * self.kernel**2, width, gain=1.0, norm=norm, rng=rng)
        self.class_token = Parameter(init.normal(rng, (1, 1, width), 0.5))
        self.position = Position(grid, width, position, 0.2, rng=rng)
        self.blocks = [Block(width, heads, mlp_ratio, activation, similarity, norm=norm, rng=rng) for _ in range(depth)]
        self.norm = LayerNorm(width)
        self.head = Linear(width, 1, gain=1.0, norm=norm, rng=rng)
        self.classes = ClassProjection(classes, width, norm=norm, rng=rng) if classes else None

    def patches(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, N, C (P + 2o)²), by im2col: the pixels of a patch channel by channel."""
        framed = x - self.background  # `unfold` pads with zeros, which are now the background
        return ops.unfold(framed, self.kernel, padding=self.overlap, stride=self.patch).swapaxes(1, 2)

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        h = self.embed(self.patches(x)) + self.position()  # (B, N, D)
        class_token = ops.broadcast_to(self.class_token, (len(h), 1, h.shape[2]))
        h = ops.concatenate([class_token, h], axis=1)  # (B, 1 + N, D)
        *blocks, last = self.blocks
        for block in blocks:
            h = block(h)
        h = last(h, first=1)  # (B, 1, D): the logit is read from the class token alone
        h = self.norm(h)
        return with_projection(self.classes, self.head(h).reshape(-1), h.reshape(len(h), -1), c)  # (B,)


def _grid(image_size: int, patch: int) -> int:
    """Patches along a side of the image."""
    if image_size % patch:
        raise ValueError(f"patches of {patch} pixels do not tile an image of {image_size}")
    return image_size // patch
