"""Shampoo, with one factor for each matrix: Adam on gradients that are made equally long in all directions first."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd.arrays import array_module
from autograd.ops.numerics import matmul
from autograd.registry import routine
from nn.module import Parameter
from nn.optim import Adam

DAMPING = 1e-4  # added to eigenvalues, whose mean is 1: ten times what rounding in float32 makes of a 0


class Shampoo(Adam):
    """Adam, but a matrix W (out, in) takes the step of G (C/s)^(−1/2), where Adam takes that of its gradient G.

    C ← β₂ C + (1 − β₂) GᵀG/out,   (in, in): the second moments of the rows of G; s is the mean of C's eigenvalues.

    The inputs of a layer have much in common, a mean above all, and so do the rows of G: most of G lies along one
    direction. Adam looks at each number by itself, so its steps go along this direction too, and the others learn
    slowly. G (C/s)^(−1/2) is on average equally long in all directions, and about as long as G all in all, once C has
    full rank.

    This is Shampoo (Gupta et al., 1802.09568) on one side, as in ASGO (An et al., 2503.20762), and then Adam. Where W
    has more than `largest` columns, C holds the second moments of the columns, (out, out), and stands on the left. The
    root is computed every `every` steps, and is the identity before. Matrices with a side below `smallest` or with both
    above `largest`, and parameters that are no matrices, are Adam's. The other arguments are those of `Adam`;
    `max_norm` and the norm that a step returns are those of the gradients as Adam gets them.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        max_norm: float | None = None,
        scales: Sequence[float] | None = None,
        *,
        every: int = 50,
        smallest: int = 32,
        largest: int = 256,
    ):
        if every < 1:
            raise ValueError(f"every must be at least 1, not {every}")
        self.every, self.smallest, self.largest = every, smallest, largest
        self.factors: dict[int, tuple[Any, Any]] = {}  # size d: C and C^(−1/2), each (n, d, d), of n matrices
        self.matrices: dict[int, tuple[bool, Any, Any]] = {}  # by parameter: whether C is (in, in), C, C^(−1/2)
        super().__init__(parameters, lr, betas, eps, max_norm, scales)
        xp = array_module(self.m)
        found: dict[int, list[tuple[int, bool]]] = {}  # size: the parameters, and whether C is (in, in)
        for place, view in enumerate(self.flat.views):
            if view.ndim == 2 and min(view.shape) >= smallest:
                rows, columns = view.shape
                by_columns = columns <= largest
                if (size := columns if by_columns else rows) <= largest:
                    found.setdefault(size, []).append((place, by_columns))
        for size, members in found.items():
            c = xp.zeros((len(members), size, size), self.m.dtype)
            root = xp.zeros_like(c) + xp.eye(size, dtype=c.dtype)
            self.factors[size] = c, root
            for i, (place, by_columns) in enumerate(members):
                self.matrices[place] = by_columns, c[i], root[i]

    def prepare(self) -> None:
        super().prepare()
        if self.t and self.t % self.every == 0:
            for c, root in self.factors.values():
                inverse_root(c, root)

    def move(self, grads: Sequence[Any]) -> Any:
        whitened = list(grads)
        for place, (by_columns, c, root) in self.matrices.items():
            g = grads[place]
            if g is not None:
                xp = array_module(g)
                second_moment(xp, c, g if by_columns else g.T, self.betas[1])
                whitened[place] = matmul(xp, g, root) if by_columns else matmul(xp, root, g)
        return super().move(whitened)

    def state(self) -> dict[str, Any]:
        factors = self.factors.items()
        roots = {f"inverse_root_{size}": root for size, (_, root) in factors}
        return super().state() | {f"factor_{size}": c for size, (c, _) in factors} | roots


@routine
def second_moment(xp: Any, c: Any, rows: Any, beta: float) -> Any:
    """c ← β c + (1 − β) rowsᵀ rows / n, in place, for n rows (n, d) and c (d, d)."""
    c *= beta
    c += (1 - beta) / len(rows) * matmul(xp, rows.T, rows)
    return c


def inverse_root(c: Any, out: Any) -> None:
    """out ← (C/s + DAMPING)^(−1/2), s the mean eigenvalue, for symmetric C (n, d, d); the identity where C is 0.

    Where C holds NaN, `out` has no meaning: then the weights become NaN by the gradient itself.
    """
    xp = array_module(c)
    try:
        values, vectors = xp.linalg.eigh(c)
    except np.linalg.LinAlgError:
        return
    mean = values.mean(axis=1, keepdims=True)
    relative = xp.where(mean > 0, values / xp.where(mean > 0, mean, 1), 1)
    scale = (xp.maximum(relative, 0) + DAMPING) ** -0.5
    out[...] = (vectors * scale[:, None]) @ vectors.swapaxes(1, 2)
