"""A bias and GELU. Twin: `autograd.ops.bias_gelu`. Both forms of Φ are written as logistic functions: Φ(x) = σ(u(x)).

tanh    u = 2 √(2/π) (x + 0.044715 x³)
none    u = 2 z P(z²),  z = x/√2,  because erf z = tanh(z P(z²)), see `autograd.ops.numerics`
"""

import math

import numpy as np

from autograd.accelerate.cpu.compiling import each, loop
from autograd.accelerate.cpu.scalars import F, exp, sigmoid
from autograd.accelerate.cpu.threads import TOGETHER, in_parts, matrix
from autograd.ops.numerics import TANH_ERF

ROOT_HALF, ROOT_TWO_PI = F(math.sqrt(0.5)), F(1 / math.sqrt(2 * math.pi))
SLOPE = F(2 * math.sqrt(2 / math.pi))
C0, C1, C2, C3, C4, C5, C6 = (F(c) for c in TANH_ERF)


@each
def above(z):
    """z, or −100 below it, where Φ is 0: at −∞ the product of both is 0. NaN stays NaN."""
    return F(-100.0) if z < F(-100.0) else z


@each
def within(z):
    """z from −100 to 100, beyond which the slope stays what it is."""
    return F(100.0) if z > F(100.0) else F(-100.0) if z < F(-100.0) else z


@each
def normal_cdf(x):
    z = x * ROOT_HALF
    below = z < F(-4.5)
    z = F(-4.5) if below else z
    z = F(4.5) if z > F(4.5) else z
    s = z * z
    p = C0 * s + C1
    p = p * s + C2
    p = p * s + C3
    p = p * s + C4
    p = p * s + C5
    p = p * s + C6
    return F(0.0) if below else sigmoid(F(2.0) * z * p)


@loop
def forward(start, stop, x, bias, y, tanh):
    """Rows start … stop of x (rows, D)."""
    for i in range(start, stop):
        row, out = x[i], y[i]
        if tanh:
            for j in range(len(row)):
                z = row[j] + bias[j]
                out[j] = above(z) * sigmoid(SLOPE * (z + F(0.044715) * z * z * z))
        else:
            for j in range(len(row)):
                z = row[j] + bias[j]
                out[j] = above(z) * normal_cdf(z)


@loop
def backward(start, stop, g, x, bias, gx, sums, tanh):
    """Groups start … stop of TOGETHER rows; sums (groups, D): those of gx over the rows of each."""
    for group in range(start, stop):
        total = sums[group]
        total[:] = F(0.0)
        for i in range(group * TOGETHER, min((group + 1) * TOGETHER, len(x))):
            slope, row, out = g[i], x[i], gx[i]
            if tanh:
                for j in range(len(row)):
                    z = within(row[j] + bias[j])
                    squared = z * z
                    phi = sigmoid(SLOPE * z * (F(1.0) + F(0.044715) * squared))
                    rise = phi + z * phi * (F(1.0) - phi) * SLOPE * (F(1.0) + F(3 * 0.044715) * squared)
                    out[j] = slope[j] * rise
                    total[j] += slope[j] * rise
            else:
                for j in range(len(row)):
                    z = within(row[j] + bias[j])
                    rise = normal_cdf(z) + z * ROOT_TWO_PI * exp(F(-0.5) * z * z)
                    out[j] = slope[j] * rise
                    total[j] += slope[j] * rise


def bias_gelu(x: np.ndarray, bias: np.ndarray, approximate: str) -> np.ndarray:
    y = np.empty_like(x)
    rows = matrix(x)
    in_parts(forward, len(rows), x.size, rows, bias, matrix(y), approximate == "tanh")
    return y


def bias_gelu_backward(g: np.ndarray, x: np.ndarray, bias: np.ndarray, approximate: str) -> tuple:
    """The gradients of x and of bias."""
    gx, rows = np.empty_like(x), matrix(x)
    sums = np.empty((-(-len(rows) // TOGETHER), len(bias)), np.float32)
    in_parts(backward, len(sums), x.size, matrix(g), rows, bias, matrix(gx), sums, approximate == "tanh")
    return gx, sums.sum(axis=0)
