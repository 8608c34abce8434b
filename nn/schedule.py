"""Learning-rate schedules: `schedule.step()` after each epoch or update sets the optimiser's `lr`.

`nn.learning_rate` is the same as a function: a warm-up times a fall.
"""

import math
from collections.abc import Callable
from typing import Any


class LambdaLR:
    """lr = lr₀ · lr_lambda(t), t = how many times step() was called."""

    def __init__(self, optimizer: Any, lr_lambda: Callable[[int], float]):
        self.optimizer, self.lr_lambda = optimizer, lr_lambda
        self.first, self.t = optimizer.lr, 0
        self.set()

    def set(self) -> None:
        """Set the rate of the optimizer for the steps counted so far."""
        self.optimizer.lr = self.first * self.lr_lambda(self.t)

    def step(self) -> None:
        """Count one step more, and set the rate for it."""
        self.t += 1
        self.set()

    def state_dict(self) -> dict[str, float]:
        """The number of steps and lr₀: what a checkpoint keeps. The function of t is not in it."""
        return {"t": self.t, "first": self.first}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Go on from there, and set the rate. ValueError unless it has t and first."""
        if missing := sorted({"t", "first"} - state.keys()):
            raise ValueError(f"the state does not fit this {type(self).__name__}: missing {', '.join(missing)}")
        self.t, self.first = int(state["t"]), float(state["first"])
        self.set()


class StepLR(LambdaLR):
    """lr = lr₀ γ^⌊t / step_size⌋."""

    def __init__(self, optimizer: Any, step_size: int, gamma: float = 0.1):
        super().__init__(optimizer, lambda t: gamma ** (t // step_size))


class CosineAnnealingLR(LambdaLR):
    """lr = η + (lr₀ − η) (1 + cos(π t / T_max)) / 2, η = eta_min (Loshchilov & Hutter, 1608.03983)."""

    def __init__(self, optimizer: Any, T_max: int, eta_min: float = 0.0):
        self.eta_min = eta_min
        super().__init__(optimizer, lambda t: (1 + math.cos(math.pi * t / T_max)) / 2)

    def set(self) -> None:
        self.optimizer.lr = self.eta_min + (self.first - self.eta_min) * self.lr_lambda(self.t)
