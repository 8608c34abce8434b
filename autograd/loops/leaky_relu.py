"""Leaky ReLU in one pass. Twin: `autograd.ops.leaky_relu`."""

import numpy as np

from autograd.loops.jit import in_parts, loop


@loop
def forward(start, stop, x, slope, y):
    x, y = x[start:stop], y[start:stop]
    for i in range(len(x)):
        y[i] = x[i] if x[i] > 0 else slope * x[i]


@loop
def backward(start, stop, g, x, slope, gx):
    g, x, gx = g[start:stop], x[start:stop], gx[start:stop]
    for i in range(len(x)):
        gx[i] = g[i] if x[i] > 0 else slope * g[i]


def leaky_relu(x: np.ndarray, slope: float) -> np.ndarray:
    y = np.empty_like(x)
    in_parts(forward, x.size, x.size, x.reshape(-1), np.float32(slope), y.reshape(-1))
    return y


def leaky_relu_backward(g: np.ndarray, x: np.ndarray, slope: float) -> np.ndarray:
    gx = np.empty_like(x)
    in_parts(backward, x.size, x.size, g.reshape(-1), x.reshape(-1), np.float32(slope), gx.reshape(-1))
    return gx
