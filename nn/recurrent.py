"""Recurrent cells: one step of a sequence. Weights as in PyTorch, (gates · hidden, in), from U(±1/√hidden)."""

import math
from typing import Any

from autograd import Tensor, ops
from autograd.arrays import array_module
from autograd.random import RandomStream
from nn import init
from nn.module import Module, Parameter


class Cell(Module):
    """The weights of a cell, and its products W x + b, U h + c of all gates side by side."""

    gates = 1

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, *, rng: RandomStream | None = None):
        rng, rows, bound = init.default_rng(rng), self.gates * hidden_size, 1 / math.sqrt(hidden_size)
        self.hidden_size = hidden_size
        self.weight_ih = Parameter(init.uniform(rng, (rows, input_size), bound))
        self.weight_hh = Parameter(init.uniform(rng, (rows, hidden_size), bound))
        self.bias_ih: Any = Parameter(init.uniform(rng, (rows,), bound)) if bias else None
        self.bias_hh: Any = Parameter(init.uniform(rng, (rows,), bound)) if bias else None

    def start(self, x: Tensor) -> Tensor:
        """The state before the first step: zeros (B, hidden)."""
        xp = array_module(x.data)
        return Tensor(xp.zeros((*x.shape[:-1], self.hidden_size), dtype=self.weight_hh.dtype))

    def products(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        return ops.linear(x, self.weight_ih, self.bias_ih), ops.linear(h, self.weight_hh, self.bias_hh)

    def extra_repr(self) -> str:
        return f"{self.weight_ih.shape[1]}, {self.hidden_size}"


class RNNCell(Cell):
    """h' = tanh(W x + b + U h + c) (Elman, 1990); x (B, in), h and h' (B, hidden), zeros where h is left out."""

    def forward(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        from_x, from_h = self.products(x, self.start(x) if h is None else h)
        return ops.tanh(from_x + from_h)


class GRUCell(Cell):
    """r, z = σ(W x + b + U h + c),  n = tanh(Wₙ x + bₙ + r ⊙ (Uₙ h + cₙ)),  h' = (1 − z) n + z h

    (Cho et al., 1406.1078); x (B, in), h and h' (B, hidden).
    """

    gates = 3

    def forward(self, x: Tensor, h: Tensor | None = None) -> Tensor:
        h = self.start(x) if h is None else h
        (xr, xz, xn), (hr, hz, hn) = (ops.split(product, 3, axis=-1) for product in self.products(x, h))
        r, z = ops.sigmoid(xr + hr), ops.sigmoid(xz + hz)
        n = ops.tanh(xn + r * hn)
        return n + z * (h - n)


class LSTMCell(Cell):
    """i, f, o = σ(W x + b + U h + c),  g = tanh(…),  c' = f c + i g,  h' = o tanh c'

    (Hochreiter & Schmidhuber, 1997; Gers et al., 2000); x (B, in), the state (h, c) of two (B, hidden).
    """

    gates = 4

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        h, c = (self.start(x), self.start(x)) if state is None else state
        from_x, from_h = self.products(x, h)
        i, f, g, o = ops.split(from_x + from_h, 4, axis=-1)
        c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
        return ops.sigmoid(o) * ops.tanh(c), c
