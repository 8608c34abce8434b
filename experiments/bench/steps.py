"""A whole training step: both updates with penalties, the average of G, the real batch, the random numbers.

Before they are timed, the sides take two steps from the same weights with the same random numbers. The losses and the
gradients of the first step must agree, and so must the changes of the networks and of the average over both steps. D
does not learn in the first step: without momentum, Adam and Shampoo move weights by the signs of their gradients,
rounding turns some signs, and the two gradients of G would then belong to different Ds.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from autograd.arrays import to_host
from experiments.bench.case import Case, Side
from minigan.presets import resolve
from minigan.ranks import One
from minigan.step import GAN

STEPS: dict[str, dict[str, Any]] = {
    "small, batch 32": {},
    "small by Adam": {"optimizer": "adam"},
    "small, batch 64": {"batch": 64},
    "poster, batch 32": {"preset": "poster", "batch": 32},
    # PyTorch's side has no equalised learning rates.
    "paper 32², batch 32": {"preset": "paper", "image_size": 32, "channels": 3, "batch": 32, "equalised": False},
    "CNN 28²": {"variant": "cnn"},
    "CNN 64²": {"variant": "cnn", "image_size": 64, "channels": 3},
}
QUICK = ("small, batch 32", "CNN 28²")
RESULTS = ("loss of D", "D(real)", "D(fake)", "penalty", "loss of G", "gradient of D", "gradient of G")
WARM_UP = 3  # steps in which PyTorch compiles for the rounding that is timed, and records its graphs
CHANGES = ("update of D", "update of G", "average of G")


def cases() -> list[Case]:
    return [step_case(name, options) for name, options in STEPS.items()]


def step_case(name: str, options: dict[str, Any]) -> Case:
    # Rounding can put a leaky ReLU near 0 on its other side, which moves some gradients by per cents. At 64² it does so
    # in PyTorch, in G or in D depending on the processor; in float64 both sides agree. On an AMD EPYC an element of the
    # gradient of D then differs by 6 %, and 95 of 100 elements by less than 2e-5.
    rough = (*CHANGES, "gradient of D", "gradient of G") if options.get("variant") == "cnn" else CHANGES
    makers: dict[str, Callable] = {
        "ours": our_side,
        "plain": partial(torch_side, False),
        "best": partial(torch_side, True),
    }
    sides = {kind: partial(make, options) for kind, make in makers.items()}
    return Case("step", name, sides, tolerance=2e-3, rough=rough, quick=name in QUICK)  # finite differences lose digits


def gan_of(options: dict[str, Any], device: str, images: int = 256, world: One | None = None) -> GAN:
    """The GAN of a configuration, on noise: what the images show does not matter to the time."""
    c = resolve(**options)
    shape = (images, c.image_size, c.image_size) + ((3,) if c.channels == 3 else ())
    return GAN(c, np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8), device, world=world)


def two_steps(step: Callable[[bool], None], state: Callable[[], tuple[list, list]]) -> dict[str, Any]:
    """The results of two calls of step(d_learns).

    state() → losses and gradients of the last step as in RESULTS, and the weights of D, of G and of the average.
    """
    before = state()[1]
    step(False)
    found = dict(zip(RESULTS, state()[0], strict=True))
    step(True)
    return found | {name: now - then for name, now, then in zip(CHANGES, state()[1], before, strict=True)}


def our_side(options: dict[str, Any], device: str) -> Side:
    gan = gan_of(options, device)
    networks, rate = (gan.discriminator, gan.generator, gan.ema.model), gan.config.d_lr

    def step(d_learns: bool) -> None:
        gan.config.d_lr = rate if d_learns else 0.0
        gan.step()

    def state() -> tuple[list, list]:  # the gradients are the means, without momentum or roots yet
        gradients = [adam.state_dict()["m"] for adam in (gan.adam_d, gan.adam_g)]
        weights = [np.concatenate([to_host(p.data).ravel() for p in n.parameters()]) for n in networks]
        return [*to_host(gan.stats)[0, :5], *gradients], weights

    def ready() -> None:
        if device != "cpu":  # the step that is timed is a captured one, in the rounding that is timed
            gan.graph = True
            gan.capture()

    return Side(gan.step, partial(two_steps, step, state), ready)


def torch_side(best: bool, options: dict[str, Any], device: str) -> Side:
    from experiments.pytorch.gan import TorchGAN

    gan = gan_of(options, "cpu")
    twin, schedule = TorchGAN(gan, best, device), []
    for gan.steps_done in range(2):
        gan.prepare()
        schedule.append((gan.adam_d.lr, gan.adam_g.lr, gan.penalty_weight()))
    del gan  # its memory is not PyTorch's

    def step(d_learns: bool) -> None:
        lr_d, lr_g, weight = schedule[twin.k]
        twin.step(lr_d if d_learns else 0.0, lr_g, weight)

    def flat(tensors: Any) -> np.ndarray:
        return np.concatenate([t.detach().cpu().numpy().ravel() for t in tensors])

    def state() -> tuple[list, list]:
        means = [flat(w["exp_avg"] for w in adam.state.values()) for adam in (twin.adam_d, twin.adam_g) if adam.state]
        weights = [flat(tensors.values()) for tensors in (twin.d.weights, twin.g.weights, twin.average)]
        return [*map(float, twin.stats), *means], weights

    def run() -> None:
        twin.step(*schedule[1])

    def ready() -> None:
        twin.rng = None  # from now on the numbers are PyTorch's own
        if twin.compiled:
            for _ in range(WARM_UP):
                run()

    return Side(run, partial(two_steps, step, state), ready)
