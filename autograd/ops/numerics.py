"""Functions that ops and their rules share, for arrays and for Tensors: products, sigmoid, erf, scattered sums.

Each takes xp first. On Tensors xp is the table of ops, and the function of that name records itself.
"""

import math
from typing import Any

import numpy as np

from autograd.registry import routine

# e^−46 = 1e-20. Products of far smaller numbers are denormal, and a processor computes with those a hundred times as
# slowly. A sharp attention would be full of them, so attention raises its scores to this least value.
LEAST_EXPONENT = -46.0

# e^−1000 = 0 in every dtype. x times a function that falls like e^x takes no x beyond: at −∞ it would be −∞ · 0 = NaN.
FAR = 1000.0

REAL = (int, float, np.integer, np.floating)  # what an option is that a compiled form takes as one number


@routine
def matmul(xp: Any, a: Any, b: Any, out: Any = None) -> Any:
    """a @ b."""
    return xp.matmul(a, b) if out is None else xp.matmul(a, b, out=out)


@routine
def sum_products(xp: Any, subscripts: str, a: Any, b: Any) -> Any:
    """einsum of two arrays with the same letters ("nd,nd->d"): a b, summed over the letters missing from the output."""
    return xp.einsum(subscripts, a, b)


def scatter_add(xp: Any, x: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """zeros(shape) with x added at `index`; repeated indices add up."""
    if hasattr(xp, "scatter_add"):
        return xp.scatter_add(x, index=index, shape=shape)
    out = xp.zeros(shape, dtype=x.dtype)
    parts = index if isinstance(index, tuple) else (index,)
    if all(p is None or p is Ellipsis or isinstance(p, (int, slice)) for p in parts):
        out[index] = x  # slices never meet an element twice
    else:
        xp.add.at(out, index, x)
    return out


def within(xp: Any, x: Any, most: float = FAR) -> Any:
    """x from −FAR to `most`; NaN stays NaN. One pass of clip takes a fifth of the time of maximum and minimum."""
    return xp.clip(x, -FAR, most)


def real(x: Any) -> Any:
    """x in floating-point numbers: integers wrap around where a formula subtracts them, and cannot hold its values."""
    return x if x.dtype.kind == "f" else x * 1.0


def plus_bias(y: Any, bias: Any) -> Any:
    """y + bias, in place where y can hold it."""
    if y.dtype != bias.dtype or bias.ndim > y.ndim:
        return y + bias
    if any(n not in (1, m) for n, m in zip(reversed(bias.shape), reversed(y.shape), strict=False)):
        return y + bias
    y += bias
    return y


def unfit_bias(x: Any, bias: Any) -> str:
    """What is wrong with a bias (D) of x (…, D)."""
    if x.ndim == 0 or bias.ndim != 1:
        return f"the bias is one row, one number for each element of the last axis of x; it has shape {bias.shape}"
    return f"the bias has {bias.size} elements, and the last axis of x has {x.shape[-1]}"


def largest(x: Any, axis: Any) -> Any:
    """max x along axis, which stays with length 1: what is subtracted from x before e^x. Of nothing it is 0."""
    return real(x.max(axis=axis, keepdims=True) if x.size else x.sum(axis=axis, keepdims=True))


def sigmoid(xp: Any, x: Any) -> Any:
    """1 / (1 + e⁻ˣ), accurate on both sides: e^(−|x|) never overflows, and nothing cancels."""
    if hasattr(xp, "sigmoid"):
        return xp.sigmoid(x)
    e = xp.exp(-xp.abs(real(x)))
    return xp.where(x >= 0, 1, e) / (1 + e)


def erf(xp: Any, x: Any) -> Any:
    """erf x = 2/√π ∫₀ˣ e^(−t²) dt, to the last digits of the dtype."""
    if hasattr(xp, "erf"):
        return xp.erf(x)
    if xp is not np:
        from cupyx.scipy.special import erf as cupy_erf

        return cupy_erf(x)
    x = np.asarray(real(x))
    return _erf_float32(x) if x.dtype == np.float32 else _erf_exact(x).astype(x.dtype)


_erf_exact = np.vectorize(math.erf, otypes=[np.float64])  # the C library's, number by number: slow, for float64

# The coefficients of P in erf x = tanh(x P(x²)) for |x| ≤ 4, highest power first. Beyond 4 both are 1 in float32.
# A least-squares fit, reweighted towards equal errors: within 1e-7 of erf x, and 3e-7 with every step in float32.
TANH_ERF = (
    1.4188951799856953e-07, -5.668949092167599e-06, 8.763934785724598e-05, -6.197880804802475e-04,
    -1.9182879186622668e-04, 1.0276905567806885e-01, 1.1283792742405057,
)  # fmt: skip


def _erf_float32(x: np.ndarray) -> np.ndarray:
    flat, y = x.reshape(-1), np.empty(x.shape, x.dtype)
    for start in range(0, x.size, 32768):  # a block stays in the cache
        block = slice(start, start + 32768)
        t, p = np.clip(flat[block], -4.5, 4.5), y.reshape(-1)[block]
        u = t * t
        np.multiply(u, TANH_ERF[0], out=p)
        for c in TANH_ERF[1:-1]:
            p += c
            p *= u
        p += TANH_ERF[-1]
        p *= t
        np.tanh(p, out=p)
    return y
