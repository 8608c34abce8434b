"""Shampoo, with one factor for each matrix: Adam on gradients that are made equally long in all directions first."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from autograd.arrays import array_module
from autograd.ops.numerics import matmul
from autograd.registry import routine
from nn.module import Parameter
from nn.optim import Adam

SMALLEST, LARGEST = 32, 256  # the least and the most of a side that is whitened
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
        smallest: int = SMALLEST,
        largest: int = LARGEST,
    ):
        if every < 1:
            raise ValueError(f"every must be at least 1, not {every}")
        self.every, self.smallest, self.largest = every, smallest, largest
        super().__init__(parameters, lr, betas, eps, max_norm, scales)
        xp = array_module(self.m)
        places: dict[tuple[int, int], list[int]] = {}  # of the matrices of a shape, among the parameters
        for place, view in enumerate(self.flat.views):
            if view.ndim == 2 and smallest <= min(view.shape) <= largest:
                places.setdefault(view.shape, []).append(place)
        self.alike: dict[tuple[int, int], Alike] = {}  # by shape
        for (rows, columns), members in places.items():
            by_columns = columns <= largest
            size = columns if by_columns else rows
            c = xp.zeros((len(members), size, size), self.m.dtype)
            self.alike[rows, columns] = Alike(members, by_columns, c, xp.zeros_like(c) + xp.eye(size, dtype=c.dtype))

    def prepare(self) -> None:
        super().prepare()
        if self.t and self.t % self.every == 0:
            for matrices in self.alike.values():
                inverse_root(matrices.factors, matrices.roots)

    def move(self, grads: Sequence[Any]) -> Any:
        xp, whitened = array_module(self.m), list(grads)
        for matrices in self.alike.values():
            of_shape = whiten(xp, matrices, [grads[place] for place in matrices.places], self.betas[1])
            for place, g in zip(matrices.places, of_shape, strict=True):
                whitened[place] = g
        return super().move(whitened)

    def state(self) -> dict[str, Any]:
        alike = [(f"{rows}x{columns}", matrices) for (rows, columns), matrices in self.alike.items()]
        factors = {f"factor_{shape}": matrices.factors for shape, matrices in alike}
        return super().state() | factors | {f"inverse_root_{shape}": matrices.roots for shape, matrices in alike}


class Alike(NamedTuple):
    """What Shampoo keeps of the n matrices of one shape."""

    places: list[int]  # among the parameters
    by_columns: bool  # whether C is (in, in), not (out, out)
    factors: Any  # C of each, (n, d, d)
    roots: Any  # (C/s)^(−1/2) of each, as it was when last computed


@routine
def whiten(xp: Any, matrices: Alike, grads: Sequence[Any], beta: float) -> list[Any]:
    """Move C of each matrix by its gradient G, and return G (C/s)^(−1/2), or (C/s)^(−1/2) G. None stays None.

    C ← β C + (1 − β) rowsᵀ rows / n, for the n rows of G, or of Gᵀ.
    """
    whitened = []
    for c, root, g in zip(matrices.factors, matrices.roots, grads, strict=True):
        if g is not None:
            rows = g if matrices.by_columns else g.T
            c *= beta
            c += (1 - beta) / len(rows) * matmul(xp, rows.T, rows)
            g = matmul(xp, g, root) if matrices.by_columns else matmul(xp, root, g)
        whitened.append(g)
    return whitened


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
