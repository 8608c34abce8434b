"""Spectral norms by power iteration: plain (Miyato et al., 1802.05957), improved (ViTGAN, 2107.04589), and a bound."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from autograd import Tensor, ops
from autograd.arrays import array_module, to_host
from autograd.each import each
from autograd.ops.numerics import matmul
from autograd.registry import routine
from autograd.writes import WRITES
from nn.module import Buffer, Module


class SpectralNorm(Module):
    """W ↦ c W with c = 1/σ(W) (`plain`), or σ(W₀)/σ(W) (`improved`, ISN), which keeps the scale of the start.

    σ = uᵀ W v, where the unit vectors u and v come from power iteration and are kept as buffers. Call
    `power_iteration(weight)` once per optimiser step: every forward of that step then uses the same u and v. No
    gradient flows through them. A kernel (out, in, kh, kw) counts as the matrix (out, in·kh·kw).
    ValueError for a weight of zeros, where σ is 0.
    """

    def __init__(self, weight: Tensor, improved: bool = True):
        matrix = to_host(weight.data).reshape(len(weight.data), -1)
        left, sigma, right = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
        if sigma[0] == 0:
            raise ValueError("a weight of zeros cannot be divided by its largest singular value, which is 0")
        self.improved = improved
        self.u = Buffer(left[:, 0].astype(matrix.dtype))
        self.v = Buffer(right[0].astype(matrix.dtype))
        self.sigma_init = Buffer(np.asarray(sigma[0], matrix.dtype))

    def power_iteration(self, weight: Tensor, steps: int = 1) -> None:
        """v ← Wᵀu/‖Wᵀu‖, u ← Wv/‖Wv‖, in place."""
        matrix = weight.data.reshape(len(weight.data), -1)
        xp = array_module(matrix)
        for _ in range(steps):
            self.v.data[...] = _unit(xp, matmul(xp, self.u.data, matrix))
            self.u.data[...] = _unit(xp, matmul(xp, matrix, self.v.data))
        WRITES.note(self.u.data, self.v.data)

    def forward(self, weight: Tensor) -> Tensor:
        if self in _normed:
            return _normed[self]
        return _shaped(ops.spectral_normalize(*self.inputs(weight)), weight.shape)

    def inputs(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor, Any]:
        """What `ops.spectral_normalize` takes."""
        matrix = _shaped(weight, (self.u.size, self.v.size))
        return matrix, self.u, self.v, self.sigma_init if self.improved else 1.0

    def extra_repr(self) -> str:
        return "improved" if self.improved else "plain"


class SpectralBound(SpectralNorm):
    """σ(W) ≤ κ σ(W₀): after every power iteration W ← W min(1, κ σ₀/σ(W)), in place. The forward uses W itself.

    ISN holds σ at σ₀. As the largest singular value grows in training, all others then shrink beside it, until few
    directions are left (stable rank; Liu et al., 1908.10999). Up to its bound a layer is free. Newhouse et al.
    (2507.13338) constrain weights in this way.
    """

    def __init__(self, weight: Tensor, bound: float = 3.0):
        super().__init__(weight)
        self.bound = bound

    def limit(self, weight: Tensor) -> None:
        """W ← W min(1, κ σ₀/σ), in place."""
        matrix = weight.data.reshape(len(weight.data), -1)
        xp = array_module(matrix)
        sigma = matmul(xp, matmul(xp, self.u.data, matrix), self.v.data)
        weight.data[...] *= xp.minimum(1, self.bound * self.sigma_init.data / sigma)
        WRITES.note(weight.data)

    def forward(self, weight: Tensor) -> Tensor:
        return weight

    def extra_repr(self) -> str:
        return f"at most {self.bound:g} σ₀"


def _shaped(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    return x if x.shape == shape else x.reshape(shape)


def _unit(xp: Any, x: Any) -> Any:
    return x / xp.sqrt((x * x).sum() + 1e-24)


def make_spectral_norm(norm: str | None, weight: Tensor) -> SpectralNorm | None:
    """`None`, "sn", "isn" or "bound" as the layers take it; ValueError for others."""
    if norm not in (None, "sn", "isn", "bound"):
        raise ValueError(f"norm {norm!r}: use None, 'sn', 'isn' or 'bound'")
    if norm == "bound":
        return SpectralBound(weight)
    return None if norm is None else SpectralNorm(weight, improved=norm == "isn")


def power_iteration(module: Module) -> None:
    """One power iteration in every layer below `module` that has a spectral norm: call it once per optimiser step.

    Weights that have a bound are then within it.
    """
    layers = _layers(module)
    bounded = [(weight, spectral) for weight, spectral in layers if isinstance(spectral, SpectralBound)]
    if layers:
        xp = array_module(layers[0][0].data)
        power_iterations(xp, layers)
        WRITES.note(*(v.data for _, spectral in layers for v in (spectral.u, spectral.v)))
        if bounded:
            limit_weights(xp, bounded)
            WRITES.note(*(weight.data for weight, _ in bounded))


@contextlib.contextmanager
def normalized(module: Module) -> Iterator[None]:
    """Inside, the normed weights of all layers below `module` are computed once, together, however often they run.

    They are those of the weights at its start, so no weight may change inside.
    """
    layers = [(weight, norm) for weight, norm in _layers(module) if not isinstance(norm, SpectralBound)]
    results = each(ops.spectral_normalize, [spectral.inputs(weight) for weight, spectral in layers])
    try:
        for (weight, spectral), y in zip(layers, results, strict=True):
            _normed[spectral] = _shaped(y, weight.shape)
        yield
    finally:
        for _, spectral in layers:
            _normed.pop(spectral, None)


_normed: dict[SpectralNorm, Tensor] = {}  # what `normalized` has made


def _layers(module: Module) -> list[tuple[Tensor, SpectralNorm]]:
    """The weight and the norm of every layer that has a spectral norm."""
    found = [vars(m) for m in module.modules() if getattr(m, "spectral", None) is not None]
    return [(layer["weight"], layer["spectral"]) for layer in found]


@routine
def power_iterations(xp: Any, layers: list[tuple[Tensor, SpectralNorm]]) -> None:
    """One power iteration of each weight by its spectral norm; a GPU runs all of them in one launch."""
    for weight, spectral in layers:
        spectral.power_iteration(weight)


@routine
def limit_weights(xp: Any, layers: list[tuple[Tensor, SpectralBound]]) -> None:
    """Every weight within its bound; a GPU takes two launches for all of them."""
    for weight, bound in layers:
        bound.limit(weight)
