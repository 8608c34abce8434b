"""The networks in PyTorch, from the papers' equations: functions of p (tensors by name), an input, the configuration.

Nothing is shared with our networks but the names of the weights. Equation numbers are those of ViTGAN (2107.04589).
Two ways to write them. Plain: as a careful user does. Best, where `p["best"]`: attention as whichever is faster for its
shape here of scaled_dot_product_attention, with the keys' lengths as its mask, and explicit products without the
lengths of the queries, which a softmax does not see; self-modulation in one call.
"""

import functools
import math
import time
from collections.abc import Callable
from typing import Any

import torch

from minigan.config import Config

F = torch.nn.functional
Weights = dict[str, Any]

ACTIVATIONS: dict[str, Callable] = {
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
}


def shared(network: Any, c: Config, best: bool = False, device: str = "cpu") -> tuple[Weights, list[str]]:
    """The tensors of our network for PyTorch, by name, and the names of those that are trained."""
    p: Weights = {name: torch.tensor(a, device=device) for name, a in network.state_dict().items()}
    trained = [name for name, _ in network.named_parameters()]
    for name in trained:
        p[name].requires_grad_(True)
    return {**p, "improved": c.d_norm == "isn", "best": best}, trained


def functions(c: Config) -> tuple[Callable, Callable]:
    return (conv_generator, conv_discriminator) if c.variant == "cnn" else (generator, discriminator)


def weight(p: Weights, name: str) -> torch.Tensor:
    """W, or with spectral norm σ₀ W/σ or W/σ, σ = uᵀWv (eq. 7; the plain one is told by `improved`)."""
    w = p[f"{name}.weight"]
    if f"{name}.spectral.u" not in p:
        return w
    sigma = p[f"{name}.spectral.u"] @ w.reshape(len(w), -1) @ p[f"{name}.spectral.v"]
    return w * ((p[f"{name}.spectral.sigma_init"] if p["improved"] else 1) / sigma)


def linear(p: Weights, name: str, x: torch.Tensor) -> torch.Tensor:
    return F.linear(x, weight(p, name), p.get(f"{name}.bias"))


def norm(p: Weights, name: str, h: torch.Tensor, w: torch.Tensor | None = None) -> torch.Tensor:
    """Layer norm, or with a latent w the self-modulated one (eq. 14)."""
    if w is None:
        return F.layer_norm(h, h.shape[-1:], p[f"{name}.weight"], p[f"{name}.bias"])
    gamma, beta = linear(p, f"{name}.gamma", w)[:, None], linear(p, f"{name}.beta", w)[:, None]
    normed = F.layer_norm(h, h.shape[-1:])
    return torch.addcmul(beta, gamma, normed) if p["best"] else gamma * normed + beta


# ---- attention


def scores(q: torch.Tensor, k: torch.Tensor, similarity: str) -> torch.Tensor:
    """Before the softmax: q kᵀ/√d, or distances as Kim et al. (2006.04710) define them or eq. 6 prints them."""
    s = 1 / math.sqrt(q.shape[-1])
    if similarity == "dot":
        return q @ k.transpose(-1, -2) * s
    if similarity == "l2":
        lengths = q.square().sum(-1)[..., :, None] + k.square().sum(-1)[..., None, :]
        return (lengths - 2 * (q @ k.transpose(-1, -2))) * -s
    difference = q[..., :, None, :] - k[..., None, :, :]  # (B, H, N, N, d)
    if similarity == "l1":
        return -difference.abs().sum(-1) * s
    squared = difference.square().sum(-1)
    own = squared == 0  # the root has no slope where a token meets itself
    return torch.where(own, torch.zeros_like(squared), torch.where(own, 1.0, squared).sqrt()) * s


def plain_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, similarity: str) -> torch.Tensor:
    return scores(q, k, similarity).softmax(-1) @ v


def explicit_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, similarity: str) -> torch.Tensor:
    """−s‖q − k‖² = 2s q·k − s‖k‖² − s‖q‖², and the last is constant in a row."""
    s = 1 / math.sqrt(q.shape[-1])
    if similarity == "dot":
        return ((q * s) @ k.transpose(-1, -2)).softmax(-1) @ v
    return ((q * (2 * s)) @ k.transpose(-1, -2) - k.square().sum(-1)[..., None, :] * s).softmax(-1) @ v


def fused_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, similarity: str) -> torch.Tensor:
    s = 1 / math.sqrt(q.shape[-1])
    if similarity == "dot":
        return F.scaled_dot_product_attention(q, k, v)
    bias = -s * k.square().sum(-1)[..., None, :]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=2 * s)


def best_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, similarity: str) -> torch.Tensor:
    if similarity not in ("dot", "l2"):
        return plain_attention(q, k, v, similarity)
    if torch.compiler.is_compiling():  # nothing can be timed there
        return fused_attention(q, k, v, similarity)
    return faster_attention(tuple(q.shape), str(q.device), similarity)(q, k, v, similarity)


@functools.lru_cache
def faster_attention(shape: tuple[int, ...], device: str, similarity: str) -> Callable:
    """Of the two, by a few forward and backward passes of each on the shape; the choice is made once."""
    q, k, v, g = torch.randn(4, *shape, device=device)
    q, k, v = (x.requires_grad_(True) for x in (q, k, v))
    took = {explicit_attention: math.inf, fused_attention: math.inf}
    for _ in range(4):
        for f in took:
            start = time.perf_counter()
            with torch.enable_grad():
                torch.autograd.grad(f(q, k, v, similarity), (q, k, v), g)
            if device.startswith("cuda"):
                torch.cuda.synchronize()
            took[f] = min(took[f], time.perf_counter() - start)
    return min(took, key=lambda f: took[f])


def attention(p: Weights, name: str, x: torch.Tensor, heads: int, similarity: str) -> torch.Tensor:
    batch, tokens, features = x.shape

    def split(x: torch.Tensor) -> torch.Tensor:
        return x.reshape(batch, tokens, heads, features // heads).transpose(1, 2)

    q = split(linear(p, f"{name}.query", x))
    k = split(linear(p, f"{name}.key", x)) if f"{name}.key.weight" in p else q
    v = split(linear(p, f"{name}.value", x))
    y = (best_attention if p["best"] else plain_attention)(q, k, v, similarity)
    return linear(p, f"{name}.out", y.transpose(1, 2).reshape(x.shape))


# ---- the transformers


def block(p: Weights, name: str, h: Any, w: Any, heads: int, similarity: str, activation: str) -> torch.Tensor:
    """Eq. 2-3 and 10-11."""
    h = h + attention(p, f"{name}.attention", norm(p, f"{name}.norm1", h, w), heads, similarity)
    hidden = ACTIVATIONS[activation](linear(p, f"{name}.mlp.up", norm(p, f"{name}.norm2", h, w)))
    return h + linear(p, f"{name}.mlp.down", hidden)


def position(p: Weights, name: str, grid: int) -> torch.Tensor:
    if f"{name}.table" in p:
        return p[f"{name}.table"]
    return torch.sin(linear(p, f"{name}.encode.linear", centres(grid, p[f"{name}.encode.linear.weight"])))[None]


def centres(n: int, like: torch.Tensor) -> torch.Tensor:
    return _centres(n, like.dtype, like.device)


@functools.lru_cache
def _centres(n: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Of n × n pixels in [−1, 1]², (n², 2) as (x, y); float32, as a model keeps them."""
    c = (2 * torch.arange(n, dtype=torch.float64) + 1) / n - 1
    y, x = torch.meshgrid(c, c, indexing="ij")
    return torch.stack([x, y], -1).reshape(-1, 2).to(torch.float32).to(device, dtype)


def generator(p: Weights, z: torch.Tensor, c: Config) -> torch.Tensor:
    grid, patch = c.image_size // c.g_patch, c.g_patch
    w: Any = z
    for i in range(c.g_mapping):
        w = linear(p, f"mapping.layers.{i}", z if i == 0 else F.leaky_relu(w, 0.2))
    h = position(p, "position", grid).expand(len(z), -1, -1)
    if not c.g_modulated:
        h, w = h + linear(p, "tokens", w).reshape(len(z), grid**2, -1), None
    for i in range(c.g_depth):
        h = block(p, f"blocks.{i}", h, w, c.g_heads, "dot", c.activation)
    y = norm(p, "norm", h, w)
    if c.g_head == "linear":
        pixels = linear(p, "head.out", y).reshape(len(z), grid**2, patch**2, c.channels)
    else:
        omega = c.g_omega if c.g_head == "siren" else 1.0
        at = centres(patch, p["head.out.weight"])
        e = torch.sin(omega * linear(p, "head.encode.linear", at))  # (P², hidden)
        basis = torch.einsum("ph,ch->pch", e, p["head.out.weight"])  # W₂ ⊙ E, the same for all tokens
        pixels = torch.einsum("bnh,pch->bnpc", linear(p, "head.modulate", y), basis) + p["head.out.bias"]
    maps = pixels.permute(0, 3, 2, 1).reshape(len(z), c.channels * patch**2, grid, grid)
    return torch.tanh(F.pixel_shuffle(maps, patch))


def discriminator(p: Weights, x: torch.Tensor, c: Config) -> torch.Tensor:
    patch, o = c.d_patch, c.d_overlap
    windows = F.unfold(x - c.background, patch + 2 * o, padding=o, stride=patch).transpose(1, 2)
    h = linear(p, "embed", windows) + position(p, "position", c.image_size // patch)
    h = torch.cat([p["class_token"].expand(len(x), -1, -1), h], 1)
    for i in range(c.d_depth):
        h = block(p, f"blocks.{i}", h, None, c.d_heads, c.d_similarity, c.activation)
    return linear(p, "head", norm(p, "norm", h[:, 0]))[:, 0]


# ---- the convolutional pair


def conv_generator(p: Weights, z: torch.Tensor, c: Config) -> torch.Tensor:
    doublings = 0
    while f"convs.{doublings}.weight" in p:
        doublings += 1
    side = c.image_size // 2**doublings
    w = linear(p, "mapping.layers.1", F.leaky_relu(linear(p, "mapping.layers.0", z), 0.2))
    h = linear(p, "project", F.leaky_relu(w, 0.2)).reshape(len(z), -1, side, side)
    for i in range(doublings):
        h = F.interpolate(F.leaky_relu(h, 0.2), scale_factor=2, mode="nearest")
        h = F.conv2d(h, p[f"convs.{i}.weight"], p[f"convs.{i}.bias"], padding=1)
        if c.cnn_batch_norm:
            h = F.batch_norm(h, None, None, p[f"norms.{i}.weight"], p[f"norms.{i}.bias"], training=True)
    return torch.tanh(F.conv2d(F.leaky_relu(h, 0.2), p["out.weight"], p["out.bias"], padding=1))


def conv_discriminator(p: Weights, x: torch.Tensor, c: Config) -> torch.Tensor:
    x = x - c.background
    i = 0
    while f"downs.{i}.weight" in p:
        x = F.leaky_relu(F.conv2d(x, weight(p, f"downs.{i}"), p[f"downs.{i}.bias"], stride=2, padding=1), 0.2)
        i += 1
    return linear(p, "head", F.leaky_relu(linear(p, "hidden", x.flatten(1)), 0.2))[:, 0]
