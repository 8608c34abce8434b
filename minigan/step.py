"""One training step of a GAN: the state that training changes, and how a step changes it.

Nothing in a step waits for the device: losses and norms stay there, in a buffer that the loop reads now and then.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from autograd import Tensor, backend, grad, no_grad, ops
from autograd.random import Generator as Random
from minigan.augment import Augment
from minigan.config import Config, build
from minigan.losses import LOSSES, balanced_consistency, finite_difference_penalty, gradient_penalty
from nn import EMA, Adam, learning_rate, power_iteration

STATS = ("loss_d", "d_real", "d_fake", "penalty", "loss_g", "grad_norm_d", "grad_norm_g")


class GAN:
    """Both networks, their optimisers, the averaged generator, the random stream and the data, all on one device.

    images: uint8 (N, H, W) or (N, H, W, 3), host. After `step()` the row of `STATS` stands in `self.stats`.
    """

    def __init__(self, config: Config, images: np.ndarray, device: str = "cpu"):
        c = self.config = config
        self.device, self.xp = device, backend.device_module(device)
        self.generator, self.discriminator = (network.to(device) for network in build(c))
        betas, max_norm = (c.beta1, c.beta2), c.max_norm or None
        self.adam_g = Adam(self.generator.parameters(), c.g_lr, betas, max_norm=max_norm)
        self.adam_d = Adam(self.discriminator.parameters(), c.d_lr, betas, max_norm=max_norm)
        self.ema = EMA(self.generator)
        self.rngs = [Random(c.seed + 2**32 * (1 + i), device) for i in range(c.workers)]
        self.pool = ThreadPoolExecutor(c.workers, initializer=quiet) if c.workers > 1 else None
        self.loss = LOSSES[c.loss]
        self.augment = Augment(c.augment, c.augment_p, c.background)
        self.consistency = Augment(c.augment or "translation,cutout", 1.0, c.background)
        self.images = backend.to_device(images, device)
        self.steps_done = 0
        self.stats = self.xp.zeros((c.log_every, len(STATS)), dtype="float32")

    def step(self) -> None:
        """Update D, then G, then the average of G.

        The batch is shared out among workers, threads that each go through the same graph with a part of the images
        and a random stream of their own; the gradient is the mean of theirs.
        """
        c, k = self.config, self.steps_done
        self.adam_d.lr = c.d_lr * learning_rate(k, c.steps, c.warmup, c.decay, c.d_final_lr)
        self.adam_g.lr = c.g_lr * learning_rate(k, c.steps, c.warmup, c.decay, c.g_final_lr)

        power_iteration(self.discriminator)
        fakes, d_grads, logits, d_stats = zip(*self.each_worker(self.judge, self.rngs), strict=True)
        norm_d = self.adam_d.step(_mean(d_grads))
        power_iteration(self.discriminator)
        g_grads, g_stats = zip(*self.each_worker(self.fool, self.rngs, fakes, logits), strict=True)
        norm_g = self.adam_g.step(_mean(g_grads))
        self.ema.update(self.adam_g.flat.data, min(c.ema, 1 - c.ema_ramp / (k + c.ema_ramp)))

        row = [*_mean(d_stats), *_mean(g_stats), norm_d, norm_g]
        self.stats[k % c.log_every] = self.xp.stack(row)
        self.steps_done += 1

    def each_worker(self, f: Callable, *arguments: Sequence) -> list:
        return list((self.pool.map if self.pool else map)(f, *arguments))

    def judge(self, rng: Random) -> tuple[Tensor, Any, Tensor, Any]:
        """A worker's part of the update of D: its fake images, the gradient, D(real), and a row for the log."""
        c = self.config
        real = self.real_batch(rng)
        fake = self.generator(Tensor(rng.normal((len(real), c.latent))))
        loss, on_real, on_fake, penalty = self.discriminator_loss(rng, real, fake.detach())
        gradient = self.adam_d.flat.gather(grad(loss, self.discriminator.parameters()))
        row = (loss, on_real.mean(), on_fake.mean(), penalty)
        return fake, gradient, on_real.detach(), self.xp.stack([t.data for t in row])

    def fool(self, rng: Random, fake: Tensor, on_real: Tensor) -> tuple[Any, Any]:
        """A worker's part of the update of G, on the same images, judged by the new D: gradient and loss."""
        seen = self.augment.apply(fake, self.augment.draw(rng, fake.shape))
        loss = self.loss.generator(on_real, self.discriminator(seen))
        return self.adam_g.flat.gather(grad(loss, self.generator.parameters())), self.xp.stack([loss.data])

    def real_batch(self, rng: Random) -> Tensor:
        """A worker's share of real images, drawn with replacement, as (B, C, H, W) in [−1, 1]."""
        x = self.images[rng.integers(len(self.images), self.config.batch // self.config.workers)].astype("float32")
        x = x[:, None] if x.ndim == 3 else x.transpose(0, 3, 1, 2)
        return Tensor(x * (2 / 255) - 1)

    def discriminator_loss(self, rng: Random, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The loss of D with its penalties, the logits on real and on fake, and the penalty alone.

        Everything D has to judge goes through it as one batch.
        """
        c, n = self.config, len(real)
        clean = ops.concatenate([real, fake])
        drawn = self.augment.draw(rng, clean.shape)
        seen = self.augment.apply(clean, drawn)
        penalised = c.penalty != "none" and self.steps_done % c.penalty_every == 0
        parts = [seen]
        if penalised and c.penalty == "fd":
            noise = rng.normal(clean.shape)
            parts.append(self.augment.apply(clean + c.fd_sigma * noise, drawn))
        if c.bcr:
            parts.append(self.consistency.apply(clean, self.consistency.draw(rng, clean.shape)))
        logits = self.discriminator(parts[0] if len(parts) == 1 else ops.concatenate(parts))
        on_real, on_fake = logits[:n], logits[n : 2 * n]
        loss = self.loss.discriminator(on_real, on_fake)

        penalty = 0.0 * on_real.detach().sum()
        if penalised and c.penalty == "fd":
            moved_real, moved_fake = logits[2 * n : 3 * n], logits[3 * n : 4 * n]
            penalty = 0.5 * c.r1 * finite_difference_penalty(on_real, moved_real, c.fd_sigma)
            penalty = penalty + 0.5 * c.r2 * finite_difference_penalty(on_fake, moved_fake, c.fd_sigma)
        elif penalised:
            penalty = 0.5 * c.r1 * gradient_penalty(self.discriminator, seen[:n])
            penalty = penalty + 0.5 * c.r2 * gradient_penalty(self.discriminator, seen[n:])
        if penalised:
            penalty = penalty * (self.penalty_weight() * c.penalty_every)
            loss = loss + penalty
        if c.bcr:
            loss = loss + c.bcr * 2 * balanced_consistency(logits[: 2 * n], logits[-2 * n :])
        return loss, on_real, on_fake, penalty

    def penalty_weight(self) -> float:
        """From `penalty_start` up to 1 over the first `penalty_ramp` of the run, then down to `penalty_end`."""
        c = self.config
        done, ramp = self.steps_done / c.steps, c.penalty_ramp
        if done < ramp:
            return c.penalty_start ** (1 - done / ramp)
        return c.penalty_end ** ((done - ramp) / (1 - ramp)) if ramp < 1 else 1.0

    def sample(self, z: Any) -> np.ndarray:
        """Images of the averaged generator for z (n, latent), uint8 on the host, (n, H, W) or (n, H, W, 3)."""
        return generate(self.ema.model, z)

    def state(self) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, Any]]:
        """Everything training changes: arrays by group, and the counters."""
        arrays = {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "ema": self.ema.model.state_dict(),
            "adam_g": self.adam_g.state_dict(),
            "adam_d": self.adam_d.state_dict(),
            "stats": {"rows": np.array(backend.to_host(self.stats))},
        }
        return arrays, {"steps_done": self.steps_done, "rngs": [list(r.state) for r in self.rngs]}

    def load_state(self, arrays: dict[str, dict[str, np.ndarray]], meta: dict[str, Any]) -> None:
        """The inverse of `state`; ValueError if it belongs to other networks."""
        self.generator.load_state_dict(arrays["generator"])
        self.discriminator.load_state_dict(arrays["discriminator"])
        self.ema.model.load_state_dict(arrays["ema"])
        self.adam_g.load_state_dict(arrays["adam_g"])
        self.adam_d.load_state_dict(arrays["adam_d"])
        self.stats[...] = self.xp.asarray(arrays["stats"]["rows"])
        self.steps_done = meta["steps_done"]
        for rng, state in zip(self.rngs, meta["rngs"], strict=True):
            rng.state = tuple(state)


def quiet() -> None:
    """No NumPy warnings in this thread: the loop looks for numbers that are not finite itself, and explains them."""
    np.seterr(over="ignore", invalid="ignore", divide="ignore")


def _mean(shares: Sequence[Any]) -> Any:
    return shares[0] if len(shares) == 1 else sum(shares[1:], shares[0]) * (1 / len(shares))


def generate(generator: Any, z: Any, batch: int = 250) -> np.ndarray:
    """Images of a generator for z (n, latent), uint8 on the host, in batches."""
    images = []
    with no_grad():
        for i in range(0, len(z), batch):
            x = generator(Tensor(z[i : i + batch])).data
            x = ((x + 1) * 127.5 + 0.5).clip(0, 255).astype("uint8")
            images.append(backend.to_host(x[:, 0] if x.shape[1] == 1 else x.transpose(0, 2, 3, 1)))
    return np.concatenate(images)
