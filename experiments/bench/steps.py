"""A whole training step: both updates with penalties, Adam, the average of G, the real batch, the random numbers.

Before they are timed, the sides take two steps from the same weights with the same numbers. The losses and gradients
of the first (Adam's mean behind it) must agree, and what the two did to both networks and to the average. D stands
still in the first: Adam without momentum goes by signs, rounding turns some, and G's gradient would be another D's.
"""

from typing import Any

import numpy as np

from autograd.arrays import to_host
from experiments.bench.case import Case, Side
from minigan.config import resolve
from minigan.step import GAN

STEPS: dict[str, dict[str, Any]] = {
    "small, batch 32": {},
    "small, batch 64": {"batch": 64},
    "poster, batch 32": {"preset": "poster", "batch": 32},
    "paper 32², batch 32": {"preset": "paper", "image_size": 32, "channels": 3, "batch": 32},
    "CNN 28²": {"variant": "cnn"},
    "CNN 64²": {"variant": "cnn", "image_size": 64, "channels": 3},
}
QUICK = ("small, batch 32", "CNN 28²")
TOLERANCE = 2e-3  # finite differences lose some digits


def cases() -> list[Case]:
    return [
        Case("step", name, maker(options), tolerance=TOLERANCE, mostly=mostly(options), quick=name in QUICK)
        for name, options in STEPS.items()
    ]


def mostly(options: dict[str, Any]) -> frozenset:
    """The results of which rounding may decide a few elements.

    A leaky ReLU so near 0 that float32 puts it on the other side moves G's gradient by some per cent: at 64² it
    happens to PyTorch. In float64 both agree to 1e-12 there.
    """
    kinks = {"gradient of G"} if options.get("variant") == "cnn" else set()
    return frozenset({"update of D", "update of G", "average of G"} | kinks)


def gan_of(options: dict[str, Any], device: str, images: int = 256) -> GAN:
    """The GAN of a configuration, on noise: what the images show does not matter to the time."""
    c = resolve(**options)
    shape = (images, c.image_size, c.image_size) + ((3,) if c.channels == 3 else ())
    return GAN(c, np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8), device)


def maker(options: dict[str, Any]) -> Any:
    return lambda kind, device: our_side(options, device) if kind == "ours" else torch_side(options, kind, device)


def our_side(options: dict[str, Any], device: str) -> Side:
    gan = gan_of(options, device)

    def results() -> dict[str, Any]:
        before, rate = _flat(gan), gan.config.d_lr
        gan.config.d_lr = 0.0
        gan.step()
        gan.config.d_lr = rate
        found = dict(zip(LOSSES, to_host(gan.stats)[0, :5], strict=True))
        found |= {f"gradient of {n}": a.state_dict()["m"] for n, a in (("D", gan.adam_d), ("G", gan.adam_g))}
        gan.step()
        found |= {f"update of {n}": now - then for n, now, then in zip("DG", _flat(gan), before, strict=True)}
        average = np.concatenate([to_host(p.data).ravel() for p in gan.ema.model.parameters()])
        return {**found, "average of G": average - before[1]}

    def ready() -> None:
        gan.graph = device != "cpu"  # on a GPU the step that is timed is a captured one

    return Side(gan.step, results, ready)


LOSSES = ("loss of D", "D(real)", "D(fake)", "penalty", "loss of G")


def _flat(gan: GAN) -> list[np.ndarray]:
    return [
        np.concatenate([to_host(p.data).ravel() for p in network.parameters()])
        for network in (gan.discriminator, gan.generator)
    ]


def torch_side(options: dict[str, Any], kind: str, device: str) -> Side:
    import torch

    from experiments.bench.torch_gan import SharedNumbers, TorchGAN, TorchNumbers

    gan = gan_of(options, "cpu")
    twin = TorchGAN(gan, SharedNumbers(gan, device=device), kind == "best", device)
    schedule: list[tuple[float, float, float]] = []
    c = gan.config

    def step() -> None:
        twin.step(*schedule[0])

    def flat(tensors: dict[str, Any], names: list[str]) -> np.ndarray:
        return np.concatenate([tensors[name].detach().cpu().numpy().ravel() for name in names])

    def results() -> dict[str, Any]:
        weights = [(twin.pd, twin.names_d), (twin.pg, twin.names_g)]
        before = [flat(*w) for w in weights]
        found: dict[str, Any] = {}
        for k in range(2):
            gan.steps_done = k
            rise = min(1.0, (k + 1) / max(c.warmup, 1))
            schedule[:] = [(c.d_lr * rise * k, c.g_lr * rise, gan.penalty_weight())]
            step()
            if k == 0:
                found |= dict(zip(LOSSES, (float(t) for t in twin.stats), strict=True))
                for n, adam in (("D", twin.adam_d), ("G", twin.adam_g)):
                    means = [adam.state[q]["exp_avg"] for q in adam.param_groups[0]["params"]]
                    found[f"gradient of {n}"] = torch.cat([m.ravel() for m in means]).cpu().numpy()
        found |= {f"update of {n}": flat(*w) - b for n, w, b in zip("DG", weights, before, strict=True)}
        found["average of G"] = flat(twin.average, twin.names_g) - before[1]
        twin.numbers = TorchNumbers(len(gan.images), c.batch, device)
        return found

    return Side(step, results)
