"""Lookahead: k steps forward, one step back (Zhang et al., 1907.08610)."""

from typing import Any

from autograd.arrays import Numbers, array_module
from autograd.writes import WRITES
from nn.module import Parameter
from nn.optim import FlatParameters, move_average


class Lookahead:
    """After every k steps of an optimiser, slow weights φ move towards its weights θ, which then go back to them.

    φ ← φ + α (θ − φ),   θ ← φ

    In a game of two networks the steps circle around the solution, and the middle of an arc lies nearer to it
    (Chavdarova et al., 2006.14567). The weights also stay near their own average. The optimiser's moments stay as they
    are. `weights`: the flat parameters of the optimiser, `optimizer.flat`. ValueError unless k ≥ 1 and 0 < α ≤ 1.

    Call `step()` after each step of the optimiser. A captured step calls `update` alone, and `prepare` before it. In
    the steps between, both moves are by 0.
    """

    def __init__(self, weights: FlatParameters, k: int = 10, alpha: float = 0.5):
        if k < 1 or not 0 < alpha <= 1:
            raise ValueError(f"k must be at least 1 and alpha in (0, 1], but they are {k} and {alpha}")
        self.weights, self.k, self.alpha, self.t = weights, k, alpha, 0
        self.slow = FlatParameters([Parameter(view.copy()) for view in weights.views])
        xp = array_module(weights.data)
        self.forward, self.back = Numbers(1, xp), Numbers(1, xp)

    def step(self) -> None:
        """Count one step of the optimiser; after every k of them, both moves."""
        self.prepare(self.t)
        self.update()
        self.t += 1

    def prepare(self, t: int) -> None:
        """Before the step after t steps: write how far both move."""
        due = (t + 1) % self.k == 0
        self.forward.set(self.alpha if due else 0.0)
        self.back.set(1.0 if due else 0.0)

    def update(self) -> None:
        """Both moves, by what `prepare` has written."""
        xp = array_module(self.weights.data)
        move_average(xp, self.slow, self.weights, self.forward)
        move_average(xp, self.weights, self.slow, self.back)
        WRITES.note(self.slow.data, self.weights.data)

    def restart(self) -> None:
        """φ ← θ, for weights that were loaded."""
        self.slow.data[...] = self.weights.data

    @property
    def state(self) -> Any:
        """φ, flat."""
        return self.slow.data
