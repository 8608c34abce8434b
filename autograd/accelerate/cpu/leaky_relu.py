"""Leaky ReLU in one pass, in the order of memory. Twin: `autograd.ops.leaky_relu`."""

import numpy as np

from autograd.accelerate.cpu.compiling import loop
from autograd.accelerate.cpu.layout import alike
from autograd.accelerate.cpu.threads import in_parts


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
    in_parts(forward, x.size, x.size, alike(x, y).ravel("K"), np.float32(slope), y.ravel("K"))
    return y


def leaky_relu_backward(g: np.ndarray, x: np.ndarray, slope: float) -> np.ndarray:
    gx = np.empty_like(x)
    g, x = alike(g, gx), alike(x, gx)
    in_parts(backward, x.size, x.size, g.ravel("K"), x.ravel("K"), np.float32(slope), gx.ravel("K"))
    return gx
