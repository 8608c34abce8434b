"""A training step of a GAN in PyTorch, with the weights, the images and the order of `minigan.step.GAN`.

As in ours, everything D has to judge goes through it as one batch, and G's update computes no gradient of D's weights.
Best adds the fused Adam, one call for the average of G, and on a GPU torch.compile.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from autograd.random import RandomStream
from experiments.pytorch.models import TWINS
from experiments.pytorch.shampoo import OPTIMIZERS
from minigan.data.stream import batch_rows

LOSSES: dict[str, tuple[Callable, Callable]] = {  # L_D and L_G of the logits on real and fake images
    "relativistic": (lambda r, f: F.softplus(f - r).mean(), lambda r, f: F.softplus(r - f).mean()),
    "nonsaturating": (lambda r, f: (F.softplus(-r) + F.softplus(f)).mean(), lambda r, f: F.softplus(-f).mean()),
    "hinge": (lambda r, f: (F.relu(1 - r) + F.relu(1 + f)).mean(), lambda r, f: -f.mean()),
}


class TorchGAN:
    """`step` draws the numbers that `gan` would draw, or PyTorch's own once `rng` is None.

    `stats` are loss_d, D(real), D(fake), penalty and loss_g of the last step, `average` the tensors of G's average.
    """

    def __init__(self, gan: Any, best: bool = False, device: str = "cpu"):
        c = self.c = gan.config
        self.best, self.device, self.compiled = best, device, best and device == "cuda"
        images = torch.tensor(np.asarray(gan.images), device=device)
        self.images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2).contiguous()
        self.rng: Any = RandomStream()
        self.rng.state = gan.rng.state
        networks: Any = [TWINS[type(n).__name__](n, c, best, device) for n in (gan.discriminator, gan.generator)]
        self.d, self.g = networks
        self.average = {name: w.detach().clone() for name, w in self.g.weights.items()}
        self.adam_d, self.adam_g = (
            OPTIMIZERS[c.optimizer](n.weights.values(), betas=(c.beta1, c.beta2), fused=True if best else None)
            for n in networks
        )
        self.slow = [w.detach().clone() for n in networks for w in n.weights.values()] if c.lookahead else []
        runs: Any = [compiled(n) for n in networks] if self.compiled else networks
        self.run_d, self.run_g = runs
        self.k = 0
        self.stats: list[Tensor] = []

    def step(self, lr_d: float, lr_g: float, penalty_weight: float) -> None:
        """Power iteration, D's update, power iteration, G's update on the same fakes, the average of G."""
        c = self.c
        if self.compiled:
            torch.compiler.cudagraph_mark_step_begin()
        self.power_iteration()
        fake, loss_d, on_real, on_fake, penalty = self.judge(penalty_weight * c.penalty_every)
        self.update(self.adam_d, lr_d, loss_d)
        self.power_iteration()
        on_fake_now = self.run_d(self.augmented(fake, self.uniforms(c.augment, c.batch), c.augment_p))
        loss_g = LOSSES[c.loss][1](on_real.detach(), on_fake_now)
        self.update(self.adam_g, lr_g, loss_g)
        if c.lookahead and (self.k + 1) % c.lookahead == 0:
            self.look_ahead()
        self.update_average(1 - min(c.ema, self.k / (self.k + c.ema_ramp)))
        self.stats = [t.detach() for t in (loss_d, on_real.mean(), on_fake.mean(), penalty, loss_g)]
        self.k += 1

    @torch.no_grad()
    def power_iteration(self) -> None:
        p = self.d.p
        for name in [name.removesuffix(".spectral.u") for name in p if name.endswith(".spectral.u")]:
            w, u, v = p[f"{name}.weight"].flatten(1), p[f"{name}.spectral.u"], p[f"{name}.spectral.v"]
            v.copy_(F.normalize(u @ w, dim=0))
            u.copy_(F.normalize(w @ v, dim=0))
            if self.c.d_norm == "bound":  # σ is at most three times σ₀
                w *= (3 * p[f"{name}.spectral.sigma_init"] / (u @ w @ v)).clamp(max=1)

    @torch.no_grad()
    def look_ahead(self) -> None:
        weights = [w for n in (self.d, self.g) for w in n.weights.values()]
        torch._foreach_lerp_(self.slow, weights, 0.5)
        torch._foreach_copy_(weights, self.slow)

    @torch.no_grad()
    def update_average(self, share: float) -> None:
        averages, weights = list(self.average.values()), list(self.g.weights.values())
        if self.best:
            torch._foreach_lerp_(averages, weights, share)
        else:
            for average, w in zip(averages, weights, strict=True):
                average.lerp_(w, share)

    def update(self, adam: torch.optim.Optimizer, lr: float, loss: Tensor) -> None:
        weights = adam.param_groups[0]["params"]
        for w, g in zip(weights, torch.autograd.grad(loss, weights, allow_unused=True), strict=True):
            w.grad = torch.zeros_like(w) if g is None else g
        if self.c.max_norm:
            nn.utils.clip_grad_norm_(weights, self.c.max_norm)
        adam.param_groups[0]["lr"] = lr
        adam.step()

    def judge(self, weight: float) -> tuple[Tensor, ...]:
        """Fakes, the loss of D, D(real), D(fake), and the penalty alone."""
        c, n = self.c, self.c.batch
        fd, exact = (c.penalty == kind and self.k % c.penalty_every == 0 for kind in ("fd", "exact"))
        real = (self.images[self.rows()].float() * (2 / 255) - 1).to(self.dtype)
        fake = self.run_g(self.normal(n, c.latent))
        clean, u = torch.cat([real, fake.detach()]), self.uniforms(c.augment, 2 * n)
        parts = [self.augmented(clean, u, c.augment_p)]
        if fd:
            parts.append(self.augmented(clean + c.fd_sigma * self.normal(*clean.shape), u, c.augment_p))
        if c.bcr:  # D(x) beside D(T x): with augmentation D(x) is missing, without it D(T x)
            parts.append(clean if c.augment else self.augmented(clean, self.uniforms("translation,cutout", 2 * n), 1.0))
        logits = self.run_d(torch.cat(parts)).view(-1, 2, n)  # (part, real or fake, image)
        loss, slopes = LOSSES[c.loss][0](*logits[0]), logits.new_zeros(2)
        if fd:
            slopes = ((logits[1] - logits[0]) / c.fd_sigma).square().mean(1)
        elif exact:
            slopes = torch.stack([exact_penalty(self.d, x) for x in parts[0].chunk(2)])
        penalty = weight / 2 * (c.r1 * slopes[0] + c.r2 * slopes[1])
        if c.bcr:
            loss = loss + c.bcr * (logits[0] - logits[-1]).square().mean(1).sum()
        return fake, loss + penalty, *logits[0], penalty

    @property
    def dtype(self) -> torch.dtype:
        return next(iter(self.average.values())).dtype

    def rows(self) -> Tensor:
        if self.rng is None:
            return torch.randint(len(self.images), (self.c.batch,), device=self.device)
        return torch.tensor(batch_rows(self.c.seed, self.k, self.c.batch, len(self.images)), device=self.device)

    def normal(self, *shape: int) -> Tensor:
        if self.rng is None:
            return torch.randn(shape, device=self.device)
        return torch.tensor(self.rng.normal(shape), dtype=self.dtype, device=self.device)

    def uniforms(self, policy: str, batch: int) -> dict[str, Tensor]:
        """By transformation: w, u and v (3, B, 1, 1, 1), which decide whether and how it is applied."""
        names = policy.split(",") if policy else []
        shape = (len(names), 3, batch, 1, 1, 1)
        if self.rng is None or not names:
            return dict(zip(names, torch.rand(shape, device=self.device), strict=True))
        drawn = torch.tensor(self.rng.uniform(size=shape, dtype="float64"), device=self.device)
        return dict(zip(names, drawn, strict=True))

    def augmented(self, x: Tensor, uniforms: dict[str, Tensor], share: float) -> Tensor:
        """DiffAug (2006.10738), each image with probability `share`."""
        for name, (w, u, v) in uniforms.items():
            x = AUGMENTATIONS[name](x, w < share, u, v, self.c.background)
        return x


def compiled(network: Callable) -> Callable:
    run = torch.compile(network, mode="reduce-overhead")
    return lambda x: run(x).clone()  # a replayed graph writes into the same memory again


def exact_penalty(d: Callable, x: Tensor) -> Tensor:
    """E ‖∇D‖² with its graph."""
    x = x.detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(d(x).sum(), x, create_graph=True)
    return slope.square().sum() / len(x)


def brightness(x: Tensor, on: Tensor, u: Tensor, v: Tensor, fill: float) -> Tensor:
    return x + (on * (u - 0.5)).to(x.dtype)


def contrast(x: Tensor, on: Tensor, u: Tensor, v: Tensor, fill: float) -> Tensor:
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) * (on * (u - 0.5) + 1).to(x.dtype) + mean


def translation(x: Tensor, on: Tensor, u: Tensor, v: Tensor, fill: float) -> Tensor:
    """Moved along each axis by up to an eighth of the side."""
    for axis, t in ((2, u), (3, v)):
        i, size, most = along(x, axis), x.shape[axis], int(x.shape[axis] / 8 + 0.5)
        i = i - on * ((t * (2 * most + 1)).long() - most)
        x = torch.where((i >= 0) & (i < size), x.gather(axis, i.clamp(0, size - 1).expand_as(x)), fill)
    return x


def cutout(x: Tensor, on: Tensor, u: Tensor, v: Tensor, fill: float) -> Tensor:
    """`fill` in a square of half the side, anywhere with its middle in the image."""
    for axis, t in ((2, u), (3, v)):
        i, size, half = along(x, axis), x.shape[axis], int(x.shape[axis] / 2 + 0.5)
        first = (t * (size + 1 - half % 2)).long() - half // 2
        on = on & (i >= first) & (i < first + half)
    return torch.where(on, fill, x)


def along(x: Tensor, axis: int) -> Tensor:
    """0, 1, … along one axis of images."""
    return torch.arange(x.shape[axis], device=x.device).view((-1, 1) if axis == 2 else (-1,))


AUGMENTATIONS = {f.__name__: f for f in (brightness, contrast, translation, cutout)}
