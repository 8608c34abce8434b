"""One training step of a GAN: the state that training changes, and how a step changes it.

A step never waits for the device: losses and norms stay there, in a buffer that the loop reads now and then.
"""

import functools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from autograd import Tensor, grad, ops
from autograd.accelerate.gpu.graph import CaptureError, GraphedStep
from autograd.arrays import Numbers, device_module, keep_freed_memory, to_device, to_host
from autograd.random import Part, RandomStream
from autograd.registry import routine
from minigan.augment import Augment
from minigan.config import Config, build, check, check_images, check_shares
from minigan.data.stored import StoredImages
from minigan.data.stream import batch_rows, fits, prefetched
from minigan.errors import InputError
from minigan.files import reading
from minigan.labels import class_shares
from minigan.level import PAIRS, channel_means, find_level
from minigan.losses import LOSSES, balanced_consistency, finite_difference_penalty, gradient_penalty
from minigan.ranks import One
from minigan.sampling import generate
from nn import EMA, Adam, Lookahead, Module, Shampoo, he_constants, learning_rate, normalized, power_iteration
from nn.optim import FlatParameters

OPTIMIZERS = {"adam": Adam, "shampoo": Shampoo}
MEASURED = ("level", "classes.shares")  # what a generator knows of its images without learning it
STATS = ("loss_d", "d_real", "d_fake", "penalty", "loss_g", "grad_norm_d", "grad_norm_g")


class GAN:
    """Both networks, their optimisers, the averaged generator, the random stream and the data, all on one device.

    images: uint8 (N, H, W) or (N, H, W, 3) on the host. Images that do not fit on the device, or into memory, stay
    where they are, and their batches are fetched ahead. After `step()` the row of `STATS` stands in `self.stats`.
    labels: int64 (N,) on the host, if the configuration has classes. Generated images then have the classes of the real
    ones in their batch, so both have the same shares, and a loss that pairs them pairs images of one class.
    graph: capture the step, and replay it. CuPy's own products cannot be captured, so on a GPU call
    `minigan.accelerate.use("cuda")` first, as the commands do.
    world: the ranks that share each batch. Each takes its share in `config.accumulate` parts, one after the other.
    Neither changes a result, but for its rounding.
    InputError for a configuration that `check` refuses, for a batch that cannot be shared equally, for classes without
    a label for each image, and for images that are not of the configuration's size and channels.
    """

    def __init__(
        self,
        config: Config,
        images: np.ndarray | StoredImages,
        device: str = "cpu",
        *,
        labels: np.ndarray | None = None,
        graph: bool = False,
        world: One | None = None,
    ):
        c = self.config = check(config)
        self.world = world or One()
        check_shares(c, self.world.size)
        check_images(c, images)
        self.share = Part(self.world.rank, self.world.size)  # of this rank, in a batch
        self.part = Part(self.world.rank * c.accumulate, self.world.size * c.accumulate)  # of the share, at work
        self.device, self.xp = device, device_module(device)
        if device == "cpu":
            keep_freed_memory()
        self.generator, self.discriminator = (network.to(device) for network in build(c))
        self.labels: Any = None
        if c.classes:
            self.labels, self.class_rows = self.tell_classes(labels, len(images))
        self.adam_g = self.optimiser(self.generator, c.g_lr)
        self.adam_d = self.optimiser(self.discriminator, c.d_lr)
        optimisers = {"discriminator": self.adam_d, "generator": self.adam_g} if c.lookahead else {}
        self.lookahead = {name: Lookahead(adam.flat, c.lookahead) for name, adam in optimisers.items()}
        self.ema = EMA(self.generator)
        self.levelled = c.g_level and c.variant != "cnn"
        self.means = functools.cache(lambda: channel_means(images))  # of the real images, read when first asked for
        self.rng = RandomStream(c.seed + 2**32, device)
        self.loss = LOSSES[c.loss]
        self.augment = Augment(c.augment, c.augment_p, c.background)
        self.consistency = Augment("translation,cutout", 1.0, c.background)
        self.images: Any = images
        self.prefetch = None
        if isinstance(images, np.ndarray) and (device == "cpu" or fits(images.nbytes, device)):
            self.images = to_device(images, device)
        else:
            self.prefetch = prefetched(images, c.seed, c.batch, device, self.share)
            shape = (c.batch // self.world.size, *images.shape[1:])
            self.fetched = self.xp.zeros(shape, dtype="uint8")  # where a graph finds the batch
        self.steps_done = 0
        self.stats = self.xp.zeros((c.log_every, len(STATS)), dtype="float32")
        self.numbers = Numbers(1, self.xp)  # weight of the penalties
        self.rows = self.xp.arange(c.batch // self.world.size, dtype="int64")  # of the batch, in `images`
        self.chosen = self.rows if self.prefetch is None else self.rows.copy()  # in all images
        self.graph = graph
        self.graphs: dict[bool, tuple[GraphedStep, int]] = {}  # with penalties and without: the graph, what it draws
        self.prepare()

    def optimiser(self, network: Module, lr: float) -> Adam:
        """The optimiser of a network, with equalised learning rates if the configuration has them."""
        c = self.config
        scales = he_constants(network) if c.equalised else None
        betas, max_norm = (c.beta1, c.beta2), c.max_norm or None
        return OPTIMIZERS[c.optimizer](network.parameters(), lr, betas, max_norm=max_norm, scales=scales)

    def tell_classes(self, labels: np.ndarray | None, images: int) -> tuple[Any, Any]:
        """The labels, int64 (N,), and the one-hot row of each class, float32 (K, K), on the device.

        The generator notes the shares of the classes. InputError unless there is a label for each of the images.
        """
        k = self.config.classes
        if labels is None or len(labels) != images:
            raise InputError(f"a run with classes needs a label for each of its {images:,} images")
        generator: Any = self.generator
        generator.classes.shares.data[...] = self.xp.asarray(class_shares(labels, k))
        return to_device(labels, self.device), self.xp.eye(k, dtype="float32")

    def step(self) -> None:
        """One update of each network."""
        self.prepare()
        if self.prefetch is not None:
            self.fetched[...] = self.prefetch(self.steps_done)
        self.stats[self.steps_done % self.config.log_every] = self.replay() if self.graph else self.update()
        self.adam_d.t += 1
        self.adam_g.t += 1
        self.steps_done += 1

    def prepare(self) -> None:
        """Put everything that differs from step to step where `update` finds it: a captured step reads nothing else."""
        c, k = self.config, self.steps_done
        self.adam_d.lr = c.d_lr * learning_rate(k, c.steps, c.warmup, c.decay, c.d_final_lr)
        self.adam_g.lr = c.g_lr * learning_rate(k, c.steps, c.warmup, c.decay, c.g_final_lr)
        self.adam_d.prepare()
        self.adam_g.prepare()
        for lookahead in self.lookahead.values():
            lookahead.prepare(k)
        self.ema.prepare(1 - min(c.ema, 1 - c.ema_ramp / (k + c.ema_ramp)))
        self.numbers.set(self.penalty_weight() * c.penalty_every)
        self.rng.advance()
        if self.prefetch is None or self.labels is not None:
            self.chosen[...] = self.share.of(batch_rows(c.seed, k, c.batch, len(self.images), self.device))

    def update(self) -> Any:
        """Update D, then G on the same fake images, then the average of G; returns the row of `STATS`, float32.

        Lookahead comes between the two networks and the average, which so follows what the game goes on from.
        """
        judged: list[Any] = []
        fooled: list[Any] = []
        power_iteration(self.discriminator)
        with normalized(self.discriminator):
            d_grads = self.mean_gradient(self.adam_d.flat, self.judge_parts(judged))
        norm_d = self.adam_d.update(d_grads)
        power_iteration(self.discriminator)
        with normalized(self.discriminator):
            g_grads = self.mean_gradient(self.adam_g.flat, self.fool_parts(judged, fooled))
        norm_g = self.adam_g.update(g_grads)
        for lookahead in self.lookahead.values():
            lookahead.update()
        self.ema.update(self.adam_g.flat)
        means = self.mean([[*row, loss_g] for (_, _, row), loss_g in zip(judged, fooled, strict=True)])
        return self.xp.stack([*means, norm_d, norm_g])

    def in_turn(self) -> Iterator[None]:
        """This rank's parts of the batch, one after the other. All draw from the same place in the random stream."""
        start, turns = self.rng.used, self.config.accumulate
        for k in range(turns):
            self.rng.used = start
            self.part = replace(self.part, index=self.share.index * turns + k)
            yield

    def judge_parts(self, judged: list) -> Iterator[list]:
        """The gradients of D by each part; what `judge` gave beside them is added to `judged`.

        With several parts the tape of the fake images is not kept: it would hold the memory that the parts are to save.
        """
        self.start = self.rng.used
        for _ in self.in_turn():
            fake, on_real, grads, row = self.judge()
            judged.append((fake if self.config.accumulate == 1 else None, on_real, [number(x) for x in row]))
            yield grads

    def fool_parts(self, judged: list, fooled: list) -> Iterator[list]:
        """The gradients of G by each part; the losses are added to `fooled`."""
        for _, (fake, on_real, _) in zip(self.in_turn(), judged, strict=True):
            if fake is None:
                after, self.rng.used = self.rng.used, self.start
                fake, self.rng.used = self.fake_batch(), after
            grads, loss = self.fool(fake, on_real)
            fooled.append(number(loss))
            yield grads

    def mean_gradient(self, flat: FlatParameters, parts: Iterable[list]) -> list:
        """The mean of the gradients of all parts, and of all ranks."""
        if self.part.parts == 1:
            (grads,) = parts
            return grads
        gathered = map(flat.gather, parts)
        total = next(gathered)
        for more in gathered:
            total += more
        self.world.sum(total)
        total *= 1 / self.part.parts
        return flat.split(total)

    def mean(self, rows: list[list]) -> Any:
        """The mean of the rows of all parts, and of all ranks."""
        if self.part.parts == 1:
            return rows[0]
        total = sum(self.xp.stack(row) for row in rows)
        self.world.sum(total)
        return total * (1 / self.part.parts)

    def capture(self) -> tuple[GraphedStep, int]:
        """The graph of the next step, made the first time, and how much it draws; CaptureError if there can be none."""
        if self.penalised not in self.graphs:
            start = self.rng.used
            if self.prefetch is not None:
                self.prefetch.wait()  # nothing else uses the device under capture
            try:
                graph = GraphedStep(self.xp, self.update, self.state, lambda state: self.load_state(*state))
            except CaptureError as e:
                raise CaptureError(f"{e}; use --no-graph") from e
            self.graphs[self.penalised] = graph, self.rng.used - start
            self.rng.used = start
        return self.graphs[self.penalised]

    def replay(self) -> Any:
        """`update` by its graph."""
        graph, drawn = self.capture()
        self.rng.used += drawn
        return graph()

    @property
    def penalised(self) -> bool:
        """Whether this step has a gradient penalty."""
        return self.config.penalty != "none" and self.steps_done % self.config.penalty_every == 0

    def judge(self) -> tuple[Tensor, Tensor, list, tuple]:
        """For the update of D: fake images (on the tape), D(real) (B,), the gradient of D, and the row for the log."""
        real = self.real_batch()
        fake = self.fake_batch()
        loss, on_real, on_fake, penalty = self.discriminator_loss(real, fake.detach())
        grads = grad(loss, self.adam_d.flat.parameters)
        return fake, on_real.detach(), grads, (loss, on_real.mean(), on_fake.mean(), penalty)

    def fool(self, fake: Tensor, on_real: Tensor) -> tuple[list, Tensor]:
        """For the update of G, on the same images, judged by the new D: the gradient of G, and its loss.

        D(real), which the relativistic loss pairs with, is still the old D's: another pass would tell little more.
        """
        shape = (self.config.batch, *fake.shape[1:])
        seen = self.augment.apply(fake, self.augment.draw(self.rng, shape, self.part))
        loss = self.loss.generator(on_real, self.discriminator(seen, *self.batch_classes()))
        return grad(loss, self.adam_g.flat.parameters), loss

    def real_batch(self) -> Tensor:
        """The real images of this step, drawn with replacement, as (B, C, H, W) in [−1, 1]."""
        images = self.images if self.prefetch is None else self.fetched
        return Tensor(gather_batch(self.xp, images, self.at_work(self.rows)))

    def fake_batch(self) -> Tensor:
        """As many fake images, (B, C, H, W), on the tape."""
        z = self.rng.normal((self.config.batch, self.config.latent), part=self.part)
        return self.generator(Tensor(z), *self.batch_classes())

    def batch_classes(self) -> list[Tensor]:
        """The second input of both networks: the classes of this step's images, one-hot (B, K); [] without labels."""
        return [] if self.labels is None else [Tensor(self.class_rows[self.labels[self.at_work(self.chosen)]])]

    def at_work(self, rows: Any) -> Any:
        """Of the rows of this rank's share of the batch, the rows of the part at work."""
        return Part(self.part.index % self.config.accumulate, self.config.accumulate).of(rows)

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The loss of D with its penalties, the logits (B,) on real and on fake, and the penalty alone.

        Everything D has to judge goes through it as one batch.
        """
        c, n, classes = self.config, len(real), self.batch_classes()
        clean = ops.concatenate([real, fake])
        part, whole = replace(self.part, groups=2), (len(clean) * self.part.parts, *clean.shape[1:])
        drawn = self.augment.draw(self.rng, whole, part)
        seen = self.augment.apply(clean, drawn)
        parts = [seen]
        if self.penalised and c.penalty == "fd":
            noise = self.rng.normal(whole, part=part)
            parts.append(self.augment.apply(clean + c.fd_sigma * noise, drawn))
        if c.bcr:  # D(x) beside D(T x): without augmentation x is there and T x is missing, with it the reverse
            moved = clean
            if not c.augment:
                moved = self.consistency.apply(clean, self.consistency.draw(self.rng, whole, part))
            parts.append(moved)
        told = [ops.concatenate([each, each] * len(parts)) for each in classes]
        logits = self.discriminator(parts[0] if len(parts) == 1 else ops.concatenate(parts), *told)
        on_real, on_fake = logits[:n], logits[n : 2 * n]
        loss = self.loss.discriminator(on_real, on_fake)

        penalty = 0.0 * on_real.detach().sum()  # a zero on the device, for the log of a step without penalty
        if self.penalised and c.penalty == "fd":
            moved_real, moved_fake = logits[2 * n : 3 * n], logits[3 * n : 4 * n]
            penalty = 0.5 * c.r1 * finite_difference_penalty(on_real, moved_real, c.fd_sigma)
            penalty = penalty + 0.5 * c.r2 * finite_difference_penalty(on_fake, moved_fake, c.fd_sigma)
        elif self.penalised:

            def logit(x: Tensor) -> Tensor:
                return self.discriminator(x, *classes)

            penalty = 0.5 * c.r1 * gradient_penalty(logit, seen[:n])
            penalty = penalty + 0.5 * c.r2 * gradient_penalty(logit, seen[n:])
        if self.penalised:
            (weight,) = self.numbers
            penalty = penalty * weight
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

    def set_level(self, lasting: bool = True) -> None:
        """Make the images of the averaged generator as bright as the real ones, if the configuration says so.

        The shift stays until the next call; with lasting=False until the next step, after which it is as it was before.
        Training does not see it. All ranks call this together.
        """
        if not self.levelled:
            return
        pairs = min(PAIRS, 2 * self.config.eval_samples)  # an evaluation of few samples sees no finer level
        level = self.world.first_alone(lambda: find_level(self.ema.model, self.means(), pairs))
        generators: list[Any] = [self.ema.model, *([self.generator] if lasting else [])]
        for generator in generators:  # with each step the average copies the buffers of the generator
            generator.level.data[...] = self.xp.asarray(level)

    def sample(self, z: Any, classes: Any = None, shared: bool = False) -> np.ndarray:
        """Images of the averaged generator for z (n, latent), uint8 on the host, (n, H, W) or (n, H, W, 3).

        classes: one-hot (n, K) if the run has labels. shared: all ranks call this together, and each generates a part.
        """
        return generate(self.ema.model, z, classes=classes, world=self.world if shared else None)

    def state(self) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, Any]]:
        """Everything training changes: arrays on the host by group and name, and the counters, JSON-able."""
        arrays = {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "ema": self.ema.model.state_dict(),
            "adam_g": self.adam_g.state_dict(),
            "adam_d": self.adam_d.state_dict(),
            "stats": {"rows": np.array(to_host(self.stats))},
        }
        if self.lookahead:
            arrays["lookahead"] = {name: each.state_dict()["slow"] for name, each in self.lookahead.items()}
        return arrays, {"steps_done": self.steps_done, "rng": list(self.rng.state)}

    def start_from(self, arrays: dict[str, dict[str, np.ndarray]], source: Any) -> None:
        """Take the weights of a `state` and nothing else; InputError, which names `source`, if they do not fit."""
        networks = {"generator": self.generator, "discriminator": self.discriminator, "ema": self.ema.model}
        with reading(source, "does not fit the networks of this run"):
            for name, network in networks.items():
                measured = {key: a for key, a in network.state_dict().items() if key in MEASURED}
                learned = {key: a for key, a in arrays[name].items() if key not in MEASURED}
                network.load_state_dict(learned | measured)
        for lookahead in self.lookahead.values():
            lookahead.restart()

    def load_state(self, arrays: dict[str, dict[str, np.ndarray]], meta: dict[str, Any]) -> None:
        """The inverse of `state`; ValueError if it belongs to other networks."""
        self.generator.load_state_dict(arrays["generator"])
        self.discriminator.load_state_dict(arrays["discriminator"])
        self.ema.model.load_state_dict(arrays["ema"])
        self.adam_g.load_state_dict(arrays["adam_g"])
        self.adam_d.load_state_dict(arrays["adam_d"])
        for name, lookahead in self.lookahead.items():
            lookahead.load_state_dict({"slow": arrays["lookahead"][name], "t": 0})  # it is told the step
        self.stats[...] = self.xp.asarray(arrays["stats"]["rows"])
        self.steps_done, self.rng.state = meta["steps_done"], tuple(meta["rng"])
        self.prepare()


def number(x: Any) -> Any:
    """A 0-d array without its tape."""
    return x.data if isinstance(x, Tensor) else x


@routine
def gather_batch(xp: Any, images: Any, rows: Any) -> Any:
    """images uint8 (N, H, W) or (N, H, W, C), rows int64 (B) -> float32 (B, C, H, W) in [−1, 1]."""
    x = images[rows].astype("float32")
    x = x[:, None] if x.ndim == 3 else x.transpose(0, 3, 1, 2)
    return x * (2 / 255) - 1
