"""A training step of a GAN in PyTorch: the weights, the images and the order of `minigan.step.GAN`, nothing else of it.

Everything D has to judge goes through it as one batch and G's update computes no gradient of D's weights, as in ours.
Best adds to the best networks the fused Adam, and one call for the average of G.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from autograd.random import RandomStream
from experiments.bench.torch_models import functions, shared
from minigan.config import Config
from minigan.data.stream import batch_rows

F = torch.nn.functional


class SharedNumbers:
    """RandomStream numbers of our generator: those that `gan` will draw."""

    def __init__(self, gan: Any, dtype: Any = "float32", device: str = "cpu"):
        c, self.rng, self.dtype, self.device = gan.config, RandomStream(gan.rng.state[0]), dtype, device
        self.rng.state = gan.rng.state
        self.batch = lambda k: batch_rows(c.seed, k, c.batch, len(gan.images))

    def rows(self, k: int) -> torch.Tensor:
        return torch.tensor(self.batch(k), device=self.device)

    def normal(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.tensor(self.rng.normal(shape).astype(self.dtype), device=self.device)

    def uniform(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.tensor(self.rng.uniform(size=shape, dtype="float64"), device=self.device)


class TorchNumbers:
    """PyTorch's own."""

    def __init__(self, images: int, batch: int, device: str = "cpu"):
        self.images, self.batch, self.device = images, batch, device

    def rows(self, k: int) -> torch.Tensor:
        return torch.randint(self.images, (self.batch,), device=self.device)

    def normal(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.randn(shape, device=self.device)

    def uniform(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.rand(shape, device=self.device)


class TorchGAN:
    """The GAN of `gan` in PyTorch. `stats` are loss_d, D(real), D(fake), penalty and loss_g of the last step."""

    def __init__(self, gan: Any, numbers: Any, best: bool = False, device: str = "cpu"):
        self.c: Config = gan.config
        self.numbers, self.best = numbers, best
        images = torch.tensor(np.asarray(gan.images), device=device)
        self.images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2).contiguous()
        self.pg, self.names_g = shared(gan.generator, self.c, best, device)
        self.pd, self.names_d = shared(gan.discriminator, self.c, best, device)
        self.dtype = self.pg[self.names_g[0]].dtype
        self.average = {name: self.pg[name].detach().clone() for name in self.names_g}
        self.adam_g, self.adam_d = (
            torch.optim.Adam(
                [p[name] for name in names], lr=lr, betas=(self.c.beta1, self.c.beta2), fused=True if best else None
            )
            for p, names, lr in ((self.pg, self.names_g, self.c.g_lr), (self.pd, self.names_d, self.c.d_lr))
        )
        self.g_function, self.d_function = functions(self.c)
        if best and device == "cuda":
            self.g_function, self.d_function = (torch.compile(f, mode="reduce-overhead") for f in functions(self.c))
        self.compiled = best and device == "cuda"
        self.k = 0

    def g(self, z: torch.Tensor) -> torch.Tensor:
        y = self.g_function(self.pg, z, self.c)
        return y.clone() if self.compiled else y  # a replayed graph writes into the same memory again

    def d(self, x: torch.Tensor) -> torch.Tensor:
        y = self.d_function(self.pd, x, self.c)
        return y.clone() if self.compiled else y

    def step(self, lr_d: float, lr_g: float, penalty_weight: float) -> None:
        """Power iteration, D's update, power iteration, the same fakes through the new D, G's update, the average.

        What the schedules give is an input.
        """
        c = self.c
        if self.compiled:
            torch.compiler.cudagraph_mark_step_begin()
        self.adam_d.param_groups[0]["lr"], self.adam_g.param_groups[0]["lr"] = lr_d, lr_g
        self.power_iteration()
        fake, loss_d, on_real, on_fake, penalty = self.loss_d(penalty_weight * c.penalty_every)
        self.update(self.adam_d, loss_d)
        self.power_iteration()
        loss_g = losses(c)[1](on_real.detach(), self.d(self.augmented(fake, self.uniforms(c.augment, c.batch))))
        self.update(self.adam_g, loss_g)
        self.update_average(min(c.ema, self.k / (self.k + c.ema_ramp)))
        self.stats = [t.detach() for t in (loss_d, on_real.mean(), on_fake.mean(), penalty, loss_g)]
        self.k += 1

    @torch.no_grad()
    def power_iteration(self) -> None:
        for name in [n[: -len(".spectral.u")] for n in self.pd if n.endswith(".spectral.u")]:
            w = self.pd[f"{name}.weight"]
            w = w.reshape(len(w), -1)
            v = F.normalize(self.pd[f"{name}.spectral.u"] @ w, dim=0)
            self.pd[f"{name}.spectral.v"].copy_(v)
            self.pd[f"{name}.spectral.u"].copy_(F.normalize(w @ v, dim=0))

    @torch.no_grad()
    def update_average(self, decay: float) -> None:
        pairs = [(self.average[name], self.pg[name]) for name in self.names_g]
        if self.best:
            torch._foreach_lerp_([a for a, _ in pairs], [p for _, p in pairs], 1 - decay)
        else:
            for average, p in pairs:
                average.lerp_(p, 1 - decay)

    def loss_d(self, penalty_weight: float) -> tuple[torch.Tensor, ...]:
        """Fakes, the loss of D, D(real), D(fake), and the penalty alone."""
        c, n = self.c, self.c.batch
        real = (self.images[self.numbers.rows(self.k)].float() * (2 / 255) - 1).to(self.dtype)
        fake = self.g(self.numbers.normal((n, c.latent)))
        clean = torch.cat([real, fake.detach()])
        u = self.uniforms(c.augment, 2 * n)
        seen = self.augmented(clean, u)
        parts = [seen]
        penalised = c.penalty != "none" and self.k % c.penalty_every == 0
        if penalised and c.penalty == "fd":
            parts.append(self.augmented(clean + c.fd_sigma * self.numbers.normal(tuple(clean.shape)), u))
        if c.bcr:
            moved = self.uniforms("translation,cutout", 2 * n) if not c.augment else None
            parts.append(clean if moved is None else self.augmented(clean, moved, 1.0))
        logits = self.d(torch.cat(parts)).split(2 * n)
        on_real, on_fake = logits[0].chunk(2)
        loss = losses(c)[0](on_real, on_fake)
        penalty = torch.zeros_like(loss)
        if penalised and c.penalty == "fd":
            slopes = ((logits[1] - logits[0]) / c.fd_sigma).square().view(2, n).mean(1)
            penalty = penalty_weight * (c.r1 / 2 * slopes[0] + c.r2 / 2 * slopes[1])
        elif penalised:
            for x, gamma in zip(seen.chunk(2), (c.r1, c.r2), strict=True):
                penalty = penalty + penalty_weight * gamma / 2 * exact_penalty(self.d, x)
        loss = loss + penalty
        if c.bcr:
            loss = loss + c.bcr * (logits[0] - logits[-1]).square().view(2, n).mean(1).sum()
        return fake, loss, on_real, on_fake, penalty

    def update(self, adam: torch.optim.Optimizer, loss: torch.Tensor) -> None:
        parameters = adam.param_groups[0]["params"]
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        for q, g in zip(parameters, gradients, strict=True):
            q.grad = torch.zeros_like(q) if g is None else g
        if self.c.max_norm:
            torch.nn.utils.clip_grad_norm_(parameters, self.c.max_norm)
        adam.step()

    def uniforms(self, policy: str, batch: int) -> dict[str, torch.Tensor]:
        """By transformation: w, u and v (3, B, 1, 1, 1), which decide whether and how it is applied."""
        names = policy.split(",") if policy else []
        return dict(zip(names, self.numbers.uniform((len(names), 3, batch, 1, 1, 1)), strict=True)) if names else {}

    def augmented(self, x: torch.Tensor, u: dict[str, torch.Tensor], share: float | None = None) -> torch.Tensor:
        """DiffAug (2006.10738), each image with probability `share` (the configuration's)."""
        share = self.c.augment_p if share is None else share
        for name, (w, *uv) in u.items():
            x = AUGMENTATIONS[name](x, w < share, *uv, self.c.background)
        return x


def brightness(x, on, u, v, fill):
    return x + (on * (u - 0.5)).to(x.dtype)


def contrast(x, on, u, v, fill):
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) * (on * (u - 0.5) + 1).to(x.dtype) + mean


def translation(x, on, u, v, fill):
    """Shifted by up to an eighth of the side, through an index into the framed images."""
    n, _, height, width = x.shape
    a, b = (
        (on * ((t * (2 * m + 1)).long() - m)).view(n, 1, 1) for t, m in ((u, _part(height, 8)), (v, _part(width, 8)))
    )
    i = (torch.arange(height, device=x.device).view(1, -1, 1) - a + 1).clamp(0, height + 1)
    j = (torch.arange(width, device=x.device).view(1, 1, -1) - b + 1).clamp(0, width + 1)
    framed = F.pad(x, (1, 1, 1, 1), value=fill).permute(0, 2, 3, 1)
    return framed[torch.arange(n, device=x.device).view(n, 1, 1), i, j].permute(0, 3, 1, 2)


def cutout(x, on, u, v, fill):
    """`fill` in a square of half the side, anywhere with its middle in the image."""
    inside = on
    for axis, t in ((2, u), (3, v)):
        side = x.shape[axis]
        half = _part(side, 2)
        start = (t * (side + 1 - half % 2)).long() - half // 2
        at = torch.arange(side, device=x.device).view((1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1))
        inside = inside & (at >= start) & (at < start + half)
    return torch.where(inside, fill, x)


def _part(side: int, share: int) -> int:
    return int(side / share + 0.5)


AUGMENTATIONS: dict[str, Callable] = {f.__name__: f for f in (brightness, contrast, translation, cutout)}


def losses(c: Config) -> tuple[Callable, Callable]:
    """(L_D, L_G) of logits on real and fake."""
    if c.loss == "relativistic":
        return (lambda r, f: F.softplus(f - r).mean()), (lambda r, f: F.softplus(r - f).mean())
    if c.loss == "nonsaturating":
        return (lambda r, f: F.softplus(-r).mean() + F.softplus(f).mean()), (lambda r, f: F.softplus(-f).mean())
    return (lambda r, f: F.relu(1 - r).mean() + F.relu(1 + f).mean()), (lambda r, f: -f.mean())


def exact_penalty(f: Callable, x: torch.Tensor) -> torch.Tensor:
    """E ‖∇D‖² with its graph."""
    x = x.detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(f(x).sum(), x, create_graph=True)
    return slope.square().sum() / len(x)
