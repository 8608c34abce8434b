"""Dropout: in training a random share of the numbers is 0."""

from autograd import Tensor, ops
from autograd.arrays import array_module
from autograd.random import RandomStream
from nn import init
from nn.module import Module


class Dropout(Module):
    """y = x m / (1 − p), m = 1 with probability 1 − p, else 0, drawn anew each time (Srivastava et al., JMLR 2014).

    So the mean of y is x. In `eval()` y = x. x may have any shape. `rng`: a stream on the device of x; by default that
    of `nn.manual_seed`. ValueError for p outside [0, 1], and for x on another device.
    """

    def __init__(self, p: float = 0.5, *, rng: RandomStream | None = None):
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout of probability {p}: it lies between 0 and 1")
        self.p = p
        self.rng = init.default_rng(rng)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        if array_module(x.data) is not self.rng.xp:
            raise ValueError("Dropout draws on another device than x lies on: give it rng=RandomStream(seed, device)")
        kept = self.rng.uniform(size=x.shape) >= self.p
        return ops.where(kept, x * (1 / (1 - self.p) if self.p < 1 else 0.0), 0.0)

    def extra_repr(self) -> str:
        return f"p={self.p:g}"
