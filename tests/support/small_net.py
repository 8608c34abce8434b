"""A small network for the tests of nn."""

from tensors import normal, rng

from autograd import ops
from nn import Buffer, LayerNorm, Linear, Module, Parameter


class Net(Module):
    """One of everything, in an order that is not alphabetical."""

    def __init__(self, seed=0):
        self.zeta = Linear(4, 6, norm="isn", rng=rng(seed))
        self.scale = Parameter(normal(6, dtype="float32"))
        self.blocks = [Linear(6, 6, rng=rng(seed + 1)), ops.relu, LayerNorm(6)]
        self.note = Buffer(normal(2, dtype="float32"))
        self.alpha = Linear(6, 3, bias=False, rng=rng(seed + 2))
        self.nothing = None

    def forward(self, x):
        h = self.zeta(x) * self.scale
        for block in self.blocks:
            h = block(h)
        return self.alpha(h)
