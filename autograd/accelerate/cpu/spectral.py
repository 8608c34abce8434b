"""Spectral norms. Twins: the rule of `autograd.ops.spectral_normalize`, `nn.spectral.power_iterations` and
`limit_weights`."""

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


LARGEST = 2**16  # numbers of a matrix; a larger one is BLAS's affair, which has threads


@loop
def iterate(weight, u, v, tiny):
    """v ← Wᵀu/‖Wᵀu‖, u ← Wv/‖Wv‖, in place."""
    v[:] = 0
    for i in range(len(u)):
        row, along = weight[i], u[i]
        for j in range(len(v)):
            v[j] += along * row[j]
    length = F(0.0)
    for j in range(len(v)):
        length += v[j] * v[j]
    scale = F(1.0) / np.sqrt(length + tiny)
    for j in range(len(v)):
        v[j] *= scale
    length = F(0.0)
    for i in range(len(u)):
        row, out = weight[i], F(0.0)
        for j in range(len(v)):
            out += row[j] * v[j]
        u[i] = out
        length += out * out
    scale = F(1.0) / np.sqrt(length + tiny)
    for i in range(len(u)):
        u[i] *= scale


@loop
def limit(weight, u, v, most):
    """W ← W min(1, most/σ), in place, with σ = uᵀ W v."""
    sigma = F(0.0)
    for i in range(len(u)):
        row, out = weight[i], F(0.0)
        for j in range(len(v)):
            out += row[j] * v[j]
        sigma += u[i] * out
    scale = most / sigma
    if not scale >= 1:  # NaN stays NaN
        for i in range(len(u)):
            row = weight[i]
            for j in range(len(row)):
                row[j] *= scale


def matrix_of(weight, norm) -> tuple | None:
    """W (out, in), u and v of a layer; None unless a loop can read them, and write into W."""
    w, u, v = weight.data, norm.u.data, norm.v.data
    fits = w.size <= LARGEST and w.dtype == u.dtype == v.dtype == np.float32 and w.flags.c_contiguous
    return (w.reshape(u.size, v.size), u, v) if fits else None


def power_iterations(layers) -> None:
    """u and v of each layer in place."""
    for weight, norm in layers:
        if arrays := matrix_of(weight, norm):
            iterate(*arrays, F(1e-24))
        else:
            norm.power_iteration(weight)


def limit_weights(layers) -> None:
    """The weight of each layer in place, so that σ ≤ κ σ₀."""
    for weight, norm in layers:
        if arrays := matrix_of(weight, norm):
            limit(*arrays, F(norm.bound * norm.sigma_init.data))
        else:
            norm.limit(weight)
