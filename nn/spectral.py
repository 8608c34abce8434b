"""Spectral normalisation by power iteration: plain (Miyato et al., 1802.05957), improved (ViTGAN, 2107.04589)."""

from typing import Any

import numpy as np

from autograd import Tensor, backend, ops
from autograd.kernels import launch
from autograd.kernels import power_iteration as kernel
from nn.module import Buffer, Module


class SpectralNorm(Module):
    """W ↦ c W with c = 1/σ(W) (`plain`), or σ(W₀)/σ(W) (`improved`, ISN), which keeps the scale of the start.

    σ = uᵀ W v with u, v from power iteration: unit vectors kept as buffers. `power_iteration(weight)` is called once
    per optimiser step; every forward of that step uses the same u and v, and no gradient flows through them. A kernel
    (out, in, kh, kw) counts as the matrix (out, in·kh·kw).
    """

    def __init__(self, weight: Tensor, improved: bool = True):
        matrix = backend.to_host(weight.data).reshape(len(weight.data), -1)
        left, sigma, right = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
        self.improved = improved
        self.u = Buffer(left[:, 0].astype(matrix.dtype))
        self.v = Buffer(right[0].astype(matrix.dtype))
        self.sigma_init = Buffer(np.asarray(sigma[0], matrix.dtype))

    def power_iteration(self, weight: Tensor, steps: int = 1) -> None:
        """v ← Wᵀu/‖Wᵀu‖, u ← Wv/‖Wv‖, in place."""
        matrix = weight.data.reshape(len(weight.data), -1)
        xp = backend.array_module(matrix)
        for _ in range(steps):
            self.v.data[...] = _unit(backend.matmul(xp, self.u.data, matrix))
            self.u.data[...] = _unit(backend.matmul(xp, matrix, self.v.data))

    def forward(self, weight: Tensor) -> Tensor:
        matrix = weight if len(weight.shape) == 2 else weight.reshape(weight.shape[0], -1)
        target = self.sigma_init if self.improved else 1.0
        y = ops.spectral_normalize(matrix, self.u, self.v, target)
        return y if len(weight.shape) == 2 else y.reshape(weight.shape)

    def extra_repr(self) -> str:
        return "improved" if self.improved else "plain"


def _unit(x):
    return x / backend.array_module(x).sqrt((x * x).sum() + 1e-24)


def make_spectral_norm(norm: str | None, weight: Tensor) -> SpectralNorm | None:
    """`None`, "sn" or "isn" as the layers take it."""
    if norm not in (None, "sn", "isn"):
        raise ValueError(f"norm {norm!r}: use None, 'sn' or 'isn'")
    return None if norm is None else SpectralNorm(weight, improved=norm == "isn")


def power_iteration(module: Module) -> None:
    """One power iteration in every layer below `module` that has a spectral norm: call it once per optimiser step."""
    for layer in module.modules():
        spectral = getattr(layer, "spectral", None)
        if spectral is not None:
            spectral.power_iteration(vars(layer)["weight"])


class PowerIteration:
    """`power_iteration(module)`, on a GPU in one launch for all layers.

    flat: what the weights are views of, the `FlatParameters.data` of the optimiser. There u and v become views too.
    """

    def __init__(self, module: Module, flat: Any):
        self.module, self.flat = module, flat
        layers = [vars(m) for m in module.modules() if getattr(m, "spectral", None) is not None]
        xp = backend.array_module(flat)
        self.grouped = bool(layers) and launch.runs_on(xp) and flat.dtype == np.float32
        if not self.grouped:
            return
        weights = [layer["weight"].data for layer in layers]
        shapes = [(len(w), w.size // len(w)) for w in weights]
        starts = [(launch.address(w) - launch.address(flat)) // flat.itemsize for w in weights]
        self.u, self.v = (_flatten(xp, [getattr(layer["spectral"], name) for layer in layers]) for name in "uv")
        self.sigma = xp.empty(len(weights), dtype="float32")
        self.table = xp.asarray(kernel.power_table(shapes, starts))

    def __call__(self) -> None:
        if self.grouped:
            kernel.power_iteration(self.flat, self.u, self.v, self.sigma, self.table)
        else:
            power_iteration(self.module)


def _flatten(xp: Any, buffers: list[Buffer]) -> Any:
    """One array after the other in a new one, of which each becomes a view."""
    flat = xp.concatenate([b.data for b in buffers])
    start = 0
    for b in buffers:
        b.data = flat[start : start + b.size]
        start += b.size
    return flat
