"""Stochastic gradient descent, with momentum and Nesterov's step."""

from collections.abc import Sequence
from typing import Any

from autograd.arrays import Numbers, array_module
from nn.module import Parameter
from nn.optim import Optimizer, refuse_negative


class SGD(Optimizer):
    """g ← ∂L/∂θ + λ θ,   b ← μ b + (1 − τ) g   (b = g at the first step),   θ ← θ − lr · b

    With `nesterov` the step is g + μ b (Sutskever et al., ICML 2013). Arguments as in PyTorch: μ `momentum`,
    τ `dampening` (of a momentum), λ `weight_decay`. The first step is the optimiser's, where PyTorch takes the first of
    each parameter. ValueError for `nesterov` without momentum or with dampening.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ):
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov's step needs a momentum above 0 and no dampening")
        super().__init__(parameters, lr)
        refuse_negative(momentum=momentum, weight_decay=weight_decay)
        self.momentum, self.dampening, self.weight_decay = momentum, dampening, weight_decay
        self.nesterov = nesterov
        self.buffer = 0 * self.flat.data
        self.numbers = Numbers(2, array_module(self.buffer))  # lr, and the share of g in the buffer
        self.prepare()

    def prepare(self) -> None:
        self.numbers.set(self.lr, 1 - self.dampening if self.t and self.momentum else 1.0)

    def move(self, grads: Sequence[Any]) -> Any:
        lr, share = self.numbers
        g = self.flat.gather(grads)
        norm = array_module(g).sqrt((g * g).sum())
        if self.weight_decay:
            g += self.weight_decay * self.flat.data
        self.buffer *= self.momentum
        self.buffer += share * g
        self.flat.data -= lr * (g + self.momentum * self.buffer if self.nesterov else self.buffer)
        return norm

    def state(self) -> dict[str, Any]:
        return {"buffer": self.buffer}
