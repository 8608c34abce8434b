"""Our networks in PyTorch, written from the papers; equation numbers are those of ViTGAN (2107.04589).

They share only the names and values of the tensors with our networks. Plain is what a careful user writes. Best takes
the faster of two ways to compute attention, and self-modulation in one call.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.benchmark import Timer

from minigan.config import Config

ACTIVATIONS: dict[str, Callable] = {"gelu": F.gelu, "relu": F.relu, "silu": F.silu}
ACTIVATIONS["gelu_tanh"] = functools.partial(F.gelu, approximate="tanh")


def plain_norm(x: Tensor, shape: tuple[int, ...], weight: Tensor, bias: Tensor) -> Tensor:
    """Layer norm with one gain for all images, or the self-modulated one with a gain for each (eq. 14)."""
    if weight.shape == shape:
        return F.layer_norm(x, shape, weight, bias)
    return weight * F.layer_norm(x, shape) + bias


def scores(q: Tensor, k: Tensor, similarity: str) -> Tensor:
    """The input of the softmax for q and k (B, H, N, d): dot products, distances as Kim et al. (2006.04710) define them
    ("l2", "l1"), or distances as eq. 6 prints them."""
    s = 1 / math.sqrt(q.shape[-1])
    if similarity == "dot":
        return q @ k.transpose(-1, -2) * s
    if similarity == "l2":
        lengths = q.square().sum(-1)[..., :, None] + k.square().sum(-1)[..., None, :]
        return (lengths - 2 * (q @ k.transpose(-1, -2))) * -s
    gap = q[..., :, None, :] - k[..., None, :, :]  # (B, H, N, N, d)
    if similarity == "l1":
        return -gap.abs().sum(-1) * s
    squared = gap.square().sum(-1)
    own = squared == 0  # where a token meets itself the root has no derivative
    return torch.where(own, 0.0, torch.where(own, 1.0, squared).sqrt()) * s


def plain_attention(q: Tensor, k: Tensor, v: Tensor, similarity: str) -> Tensor:
    return scores(q, k, similarity).softmax(-1) @ v


def best_attention(q: Tensor, k: Tensor, v: Tensor, similarity: str) -> Tensor:
    """Lean attention, dot or l2, fused where that is faster. Under torch.compile nothing can be timed: fused."""
    fused = torch.compiler.is_compiling() or fused_is_faster(tuple(q.shape), str(q.device), similarity)
    return lean_attention(q, k, v, similarity, fused)


def lean_attention(q: Tensor, k: Tensor, v: Tensor, similarity: str, fused: bool) -> Tensor:
    """In −s‖q − k‖² = 2s q·k − s‖k‖² − s‖q‖² the last term is constant in a row: the softmax does not see it."""
    s = 1 / math.sqrt(q.shape[-1])
    factor, bias = (s, None) if similarity == "dot" else (2 * s, -s * k.square().sum(-1)[..., None, :])
    if fused:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=factor)
    products = (q * factor) @ k.transpose(-1, -2)
    return (products if bias is None else products + bias).softmax(-1) @ v


@functools.lru_cache
@torch.enable_grad()
def fused_is_faster(shape: tuple[int, ...], device: str, similarity: str) -> bool:
    """Whether fused attention is faster on this shape, by the fastest of four passes forward and backward."""
    qkv, g = [torch.randn(shape, device=device, requires_grad=True) for _ in "qkv"], torch.randn(shape, device=device)

    def seconds(fused: bool) -> float:
        names = {"f": lean_attention, "grad": torch.autograd.grad, "x": qkv, "g": g, "how": (similarity, fused)}
        timer = Timer("grad(f(*x, *how), x, g)", globals=names)
        return min(timer.timeit(1).mean for _ in range(4))

    return seconds(True) < seconds(False)


class Network:
    """One of our networks with its values: `p` are its tensors by name, `weights` the trained ones."""

    def __init__(self, network: Any, c: Config, best: bool = False, device: str = "cpu"):
        self.c, self.best, self.training = c, best, network.training
        self.p = {name: torch.tensor(a, device=device) for name, a in network.state_dict().items()}
        self.weights = {name: self.p[name].requires_grad_(True) for name, _ in network.named_parameters()}

    def weight(self, name: str) -> Tensor:
        """W, or with spectral norm σ₀ W/σ (improved, eq. 7) or W/σ, where σ = uᵀWv."""
        w = self.p[f"{name}.weight"]
        if f"{name}.spectral.u" not in self.p or self.c.d_norm == "bound":
            return w
        sigma = self.p[f"{name}.spectral.u"] @ w.flatten(1) @ self.p[f"{name}.spectral.v"]
        return w * ((self.p[f"{name}.spectral.sigma_init"] if self.c.d_norm == "isn" else 1) / sigma)

    def linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.weight(name), self.p.get(f"{name}.bias"))

    def conv(self, name: str, x: Tensor, **where: int) -> Tensor:
        return F.conv2d(x, self.weight(name), self.p[f"{name}.bias"], padding=1, **where)

    def mapped(self, z: Tensor) -> Tensor:
        w = self.linear("mapping.layers.0", z)
        for i in range(1, self.c.g_mapping):
            w = self.linear(f"mapping.layers.{i}", F.leaky_relu(w, 0.2))
        return w

    def positions(self) -> Tensor:
        if "position.table" in self.p:
            return self.p["position.table"]
        return torch.sin(self.linear("position.encode.linear", self.p["position.centres"]))

    def norm(self, name: str, h: Tensor, w: Tensor | None) -> Tensor:
        """Layer norm, or with a latent w (by the style rate) the self-modulated one."""
        if w is None:
            return plain_norm(h, h.shape[-1:], self.p[f"{name}.weight"], self.p[f"{name}.bias"])
        gamma, beta = self.linear(f"{name}.gamma", w)[:, None], self.linear(f"{name}.beta", w)[:, None]
        if self.best:
            return torch.addcmul(beta, gamma, F.layer_norm(h, h.shape[-1:]))
        return plain_norm(h, h.shape[-1:], gamma, beta)

    def attention(self, name: str, x: Tensor, heads: int, similarity: str) -> Tensor:
        parts = [part for part in ("query", "value", "key") if f"{name}.{part}.weight" in self.p]
        q, v, *k = (self.linear(f"{name}.{part}", x).unflatten(-1, (heads, -1)).transpose(1, 2) for part in parts)
        y = (best_attention if self.best else plain_attention)(q, k[0] if k else q, v, similarity)
        return self.linear(f"{name}.out", y.transpose(1, 2).flatten(2))

    def blocks(self, h: Tensor, w: Tensor | None, depth: int, heads: int, similarity: str) -> Tensor:
        """Eq. 2-3 and 10-11."""
        for name in (f"blocks.{i}" for i in range(depth)):
            h = h + self.attention(f"{name}.attention", self.norm(f"{name}.norm1", h, w), heads, similarity)
            hidden = self.linear(f"{name}.mlp.up", self.norm(f"{name}.norm2", h, w))
            h = h + self.linear(f"{name}.mlp.down", ACTIVATIONS[self.c.activation](hidden))
        return h


class Generator(Network):
    def __call__(self, z: Tensor) -> Tensor:
        c, n, grid = self.c, len(z), self.c.image_size // self.c.g_patch
        h, w = self.positions().expand(n, -1, -1), self.mapped(z)
        if "tokens.weight" in self.p:
            h = h + self.linear("tokens", w).reshape(n, -1, h.shape[2])
        latent = w * c.g_style_rate if c.g_modulated else None
        y = self.norm("norm", self.blocks(h, latent, c.g_depth, c.g_heads, "dot"), latent)
        if c.g_head == "linear":
            pixels = self.linear("head.out", y).unflatten(-1, (-1, c.channels))
        else:  # eq. 13: sines of the coordinates, and a linear layer whose input the token modulates
            omega = c.g_omega if c.g_head == "siren" else 1.0
            e = torch.sin(omega * self.linear("head.encode.linear", self.p["head.coordinates"]))  # (P², hidden)
            basis = torch.einsum("ph,ch->pch", e, self.p["head.out.weight"])  # the same for all tokens
            pixels = torch.einsum("bnh,pch->bnpc", self.linear("head.modulate", y), basis) + self.p["head.out.bias"]
        patch, overlap = c.g_patch * c.g_points, c.g_overlap * c.g_points
        if overlap:
            patches = (pixels * self.p["blend.weights"]).permute(0, 3, 2, 1).flatten(1, 2)  # (B, C K², N)
            image = F.fold(patches, (grid * patch, grid * patch), patch + 2 * overlap, padding=overlap, stride=patch)
        else:
            image = F.pixel_shuffle(pixels.permute(0, 3, 2, 1).reshape(n, -1, grid, grid), patch)
        if "level" in self.p and not self.training:
            image = image + self.p["level"]
        x = c.g_reach * torch.tanh(image)
        x = x + (x.clamp(-1, 1) - x).detach() if c.g_reach > 1 else x
        return F.avg_pool2d(x, c.g_points) if c.g_points > 1 else x


class Discriminator(Network):
    def __call__(self, x: Tensor) -> Tensor:
        c = self.c
        windows = F.unfold(x - c.background, c.d_patch + 2 * c.d_overlap, padding=c.d_overlap, stride=c.d_patch)
        h = self.linear("embed", windows.transpose(1, 2)) + self.positions()
        h = torch.cat([self.p["class_token"].expand(len(x), -1, -1), h], 1)
        h = self.blocks(h, None, c.d_depth, c.d_heads, c.d_similarity)
        return self.linear("head", self.norm("norm", h[:, 0], None))[:, 0]


class ConvGenerator(Network):
    def __call__(self, z: Tensor) -> Tensor:
        doublings = sum(name.startswith("convs.") and name.endswith("bias") for name in self.p)
        side = self.c.image_size // 2**doublings
        h = self.linear("project", F.leaky_relu(self.mapped(z), 0.2)).reshape(len(z), -1, side, side)
        for i in range(doublings):
            h = self.conv(f"convs.{i}", F.interpolate(F.leaky_relu(h, 0.2), scale_factor=2, mode="nearest"))
            if self.c.cnn_batch_norm:
                h = F.batch_norm(h, None, None, self.p[f"norms.{i}.weight"], self.p[f"norms.{i}.bias"], training=True)
        return torch.tanh(self.conv("out", F.leaky_relu(h, 0.2)))


class ConvDiscriminator(Network):
    def __call__(self, x: Tensor) -> Tensor:
        x = x - self.c.background
        for name in [name for name in self.p if name.startswith("downs.") and name.endswith(".bias")]:
            x = F.leaky_relu(self.conv(name.removesuffix(".bias"), x, stride=2), 0.2)
        return self.linear("head", F.leaky_relu(self.linear("hidden", x.flatten(1)), 0.2))[:, 0]


TWINS = {cls.__name__: cls for cls in (Generator, Discriminator, ConvGenerator, ConvDiscriminator)}  # by our class
