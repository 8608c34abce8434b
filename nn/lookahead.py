"""Lookahead: k steps forward, one step back (Zhang et al., 1907.08610)."""

from typing import Any

import numpy as np

from autograd.arrays import Numbers, array_module, to_host
from autograd.writes import WRITES
from nn.module import Parameter
from nn.optim import FlatParameters, move_average


class Lookahead:
    """After every k steps of an optimiser, slow weights φ move towards its weights θ, which then go back to them.

    φ ← φ + α (θ − φ),   θ ← φ

    In a game of two networks the steps circle around the solution, and the middle of an arc lies nearer to it
    (Chavdarova et al., 2006.14567). The weights also stay near their own average. The optimiser's moments stay as they
    are. `weights`: the flat parameters of the optimiser, `optimizer.flat`. ValueError unless k ≥ 1 and 0 < α ≤ 1;
    TypeError for other weights.

        optimizer = nn.Shampoo(model.parameters(), lr=1e-2)
        lookahead = nn.Lookahead(optimizer.flat, k=10)
        ...
        optimizer.step()
        lookahead.step()

    Call `step()` after each step of the optimiser. A captured step calls `update` alone, and `prepare` before it. In
    the steps between, both moves are by 0.
    """

    def __init__(self, weights: FlatParameters, k: int = 10, alpha: float = 0.5):
        if not isinstance(weights, FlatParameters):
            raise TypeError("Lookahead takes the flat parameters of an optimiser: Lookahead(optimizer.flat, k)")
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

    def state_dict(self) -> dict[str, np.ndarray]:
        """φ, flat, and the steps so far: host arrays."""
        return {"slow": np.array(to_host(self.slow.data)), "t": np.array(self.t)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`; ValueError if it is of other weights."""
        if np.shape(state["slow"]) != self.slow.data.shape:
            raise ValueError(f"{np.size(state['slow'])} slow weights for {self.slow.data.size}")
        self.slow.data[...] = array_module(self.slow.data).asarray(state["slow"])
        self.t = int(state["t"])
