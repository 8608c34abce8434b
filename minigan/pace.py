"""How long a step takes, and how many steps fit into a given time."""

import dataclasses
import math
import time
from collections.abc import Callable

import numpy as np

from autograd.arrays import to_host
from minigan.step import GAN

WARM_UP = 3  # steps that are not timed: they compile, and allocate memory
TIMED = 10  # steps
KEPT = 0.3  # of a time limit, for the last evaluation at most
FIRST_LOOK, BETWEEN_LOOKS = 0.02, 0.05  # when a time limit measures the pace of the training, as shares of its time
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
    labels = None if gan.labels is None else to_host(gan.labels)
    pace = seconds_per_step(GAN(part, gan.images, gan.device, labels=labels))
    return pace + 2 * (ranks - 1) / ranks * 4 * floats / SHARED_MEMORY


def take_steps(gan: GAN, steps: int) -> None:
    """Take steps, and wait until the device has done them."""
    with np.errstate(all="ignore"):
        for _ in range(steps):
            gan.step()
    to_host(gan.stats)


class TimeLimit:
    """A run of so many minutes, counted from here: how many steps fit, looked at again and again while it trains.

    A machine may become busier or idler after the first look. So the number of steps follows the pace so far: then the
    place of the run in its schedules is the share of the time that has passed. A tenth of the time is kept for the last
    evaluation and the report, or more: see `keep`. clock: seconds, growing; time.perf_counter if it is not given.
    """

    def __init__(self, minutes: float, clock: Callable[[], float] | None = None):
        self.clock = clock or time.perf_counter
        self.seconds = 60 * minutes
        self.until = self.clock() + 0.9 * self.seconds  # the last step should end here
        self.began = self.look = self.until  # when training began, and when to look again
        self.first = 0  # steps that were done then

    def fit(self, gan: GAN) -> float:
        """Set the steps of the configuration by a few steps that are undone; returns the seconds per step."""
        pace = seconds_per_step(gan)
        gan.config.steps = max(1, gan.world.same(int((self.until - self.clock()) / pace)))
        return pace

    def keep(self, seconds: float) -> None:
        """Keep this time for the last evaluation, where it is more than a tenth; at most KEPT of all."""
        self.until -= max(0.0, min(seconds, KEPT * self.seconds) - 0.1 * self.seconds)

    def begin(self, gan: GAN) -> None:
        """Training begins now."""
        self.began, self.first = self.clock(), gan.steps_done
        self.look = self.began + FIRST_LOOK * (self.until - self.began)

    def lay_anew(self, gan: GAN) -> bool:
        """After a step: set the steps of the configuration by the pace so far, if it is time; whether they changed.

        When the time is over, the steps that are done are all. Of several ranks the clock of rank 0 decides.
        """
        before = gan.config.steps
        gan.config.steps = gan.world.same(self._steps(gan))
        return gan.config.steps != before

    def _steps(self, gan: GAN) -> int:
        now, done = self.clock(), gan.steps_done
        if now < min(self.look, self.until):
            return gan.config.steps
        self.look = now + BETWEEN_LOOKS * (self.until - self.began)
        pace = (now - self.began) / (done - self.first)
        return done + max(0, int((self.until - now) / pace))
