"""How long a step takes, and how many steps fit into a given time."""

import dataclasses
import math
import time

import numpy as np

from autograd.arrays import to_host
from minigan.step import GAN

WARM_UP = 3  # steps that are not timed: they compile, and allocate memory
TIMED = 10  # steps
SHARED_MEMORY = 1e9  # bytes a second that ranks on one machine add up: MPICH reached 0.8 to 2.9e9


def seconds_per_step(gan: GAN, steps: int = TIMED) -> float:
    """The mean time of the next `steps` steps, in seconds. They are undone: training goes on as if they never were.

    Steps with and without a penalty take different times, so whole cycles of `penalty_every` steps are timed.
    """
    arrays, counters = gan.state()
    steps = gan.config.penalty_every * math.ceil(steps / gan.config.penalty_every)
    take_steps(gan, WARM_UP)
    start = time.perf_counter()
    take_steps(gan, steps)
    seconds = time.perf_counter() - start
    gan.load_state(arrays, counters)
    return seconds / steps


def seconds_with_ranks(gan: GAN, ranks: int) -> float:
    """The time of a step that so many ranks on one machine would share, in seconds: that of a rank's part, timed, and
    that of the sums, at the speed that MPI has reached in shared memory."""
    part = dataclasses.replace(gan.config, batch=gan.config.batch // ranks)
    floats = gan.generator.count() + gan.discriminator.count()
    return seconds_per_step(GAN(part, gan.images, gan.device)) + 2 * (ranks - 1) / ranks * 4 * floats / SHARED_MEMORY


def take_steps(gan: GAN, steps: int) -> None:
    """Take steps, and wait until the device has done them."""
    with np.errstate(all="ignore"):
        for _ in range(steps):
            gan.step()
    to_host(gan.stats)


def fit_schedule(gan: GAN, minutes: float) -> float:
    """Set the steps of the configuration to as many as fit into `minutes`; returns the seconds per step.

    A tenth of the time is kept for evaluations.
    """
    start = time.perf_counter()
    pace = seconds_per_step(gan)
    left = 0.9 * 60 * minutes - (time.perf_counter() - start)
    gan.config.steps = max(1, gan.world.same(int(left / pace)))
    return pace
