"""Spectral normalisation by power iteration: plain (Miyato et al., 1802.05957), improved (ViTGAN, 2107.04589)."""

from typing import Any

import numpy as np

from autograd import Tensor, ops
from autograd.arrays import WRITES, array_module, to_host
from autograd.ops.numerics import matmul
from autograd.registry import routine
from nn.module import Buffer, Module


class SpectralNorm(Module):
    """W ↦ c W with c = 1/σ(W) (`plain`), or σ(W₀)/σ(W) (`improved`, ISN), which keeps the scale of the start.

    σ = uᵀ W v, where the unit vectors u and v come from power iteration and are kept as buffers. Call
    `power_iteration(weight)` once per optimiser step: every forward of that step then uses the same u and v. No
    gradient flows through them. A kernel (out, in, kh, kw) counts as the matrix (out, in·kh·kw).
    """

    def __init__(self, weight: Tensor, improved: bool = True):
        matrix = to_host(weight.data).reshape(len(weight.data), -1)
        left, sigma, right = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
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

    def forward(self, weight: Tensor) -> Tensor:
        matrix = weight if len(weight.shape) == 2 else weight.reshape(weight.shape[0], -1)
        target = self.sigma_init if self.improved else 1.0
        y = ops.spectral_normalize(matrix, self.u, self.v, target)
        return y if len(weight.shape) == 2 else y.reshape(weight.shape)

    def extra_repr(self) -> str:
        return "improved" if self.improved else "plain"


def _unit(xp: Any, x: Any) -> Any:
    return x / xp.sqrt((x * x).sum() + 1e-24)


def make_spectral_norm(norm: str | None, weight: Tensor) -> SpectralNorm | None:
    """`None`, "sn" or "isn" as the layers take it."""
    if norm not in (None, "sn", "isn"):
        raise ValueError(f"norm {norm!r}: use None, 'sn' or 'isn'")
    return None if norm is None else SpectralNorm(weight, improved=norm == "isn")


def power_iteration(module: Module) -> None:
    """One power iteration in every layer below `module` that has a spectral norm: call it once per optimiser step."""
    found = [vars(m) for m in module.modules() if getattr(m, "spectral", None) is not None]
    layers = [(layer["weight"], layer["spectral"]) for layer in found]
    if layers:
        power_iterations(array_module(layers[0][0].data), layers)
        WRITES.note(*(v.data for _, spectral in layers for v in (spectral.u, spectral.v)))


@routine
def power_iterations(xp: Any, layers: list[tuple[Tensor, SpectralNorm]]) -> None:
    """One power iteration of each weight by its spectral norm; a GPU runs all of them in one launch."""
    for weight, spectral in layers:
        spectral.power_iteration(weight)
