"""The gradient of W ↦ c W, c = σ₀/σ. Twin: the rule of `autograd.ops.spectral_normalize`."""

import numpy as np

from autograd.accelerate.cpu.compiling import loop
from autograd.accelerate.cpu.scalars import F
from autograd.accelerate.cpu.threads import in_parts


@loop
def rows(start, stop, g, u, v, c, factor, gw):
    for i in range(start, stop):
        slope, out, along = g[i], gw[i], factor * u[i]
        for j in range(len(out)):
            out[j] = c * slope[j] + along * v[j]


def spectral_gradient(g, weight, u, v, target, sigma) -> np.ndarray:
    """c (G − ⟨G, W⟩/σ · u vᵀ)."""
    c = F(target / sigma)
    g, gw = np.ascontiguousarray(g), np.empty_like(g)
    inner = np.dot(g.reshape(-1), weight.reshape(-1))
    in_parts(rows, len(g), g.size, g, u, v, c, -c * F(inner / sigma), gw)
    return gw
