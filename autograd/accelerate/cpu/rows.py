"""Loops along rows: softmax and layer norm. Twins: `autograd.ops.softmax` and `normalize` over the last axis."""

import numpy as np

from autograd.accelerate.cpu.compiling import loop
from autograd.accelerate.cpu.scalars import F, exp, larger
from autograd.accelerate.cpu.threads import TOGETHER, in_parts, matrix


@loop
def softmax_rows(start, stop, x):
    """In place. NaN stays NaN, because e^(NaN − maximum) is NaN."""
    for i in range(start, stop):
        row = x[i]
        m = row[0]
        for j in range(len(row)):
            m = larger(row[j], m)
        total = F(0.0)
        for j in range(len(row)):
            row[j] = exp(row[j] - m)
            total += row[j]
        total = F(1.0) / total
        for j in range(len(row)):
            row[j] *= total


@loop
def softmax_rows_backward(start, stop, g, y):
    """In place of g. With a third array, which might overlap g, the loop would not be vectorised."""
    for i in range(start, stop):
        slope, row = g[i], y[i]
        inner = F(0.0)
        for j in range(len(row)):
            inner += slope[j] * row[j]
        for j in range(len(row)):
            slope[j] = row[j] * (slope[j] - inner)


def softmax(x: np.ndarray) -> np.ndarray:
    y = np.array(x, order="C")
    in_parts(softmax_rows, y.size // y.shape[-1], y.size, matrix(y))
    return y


def softmax_grad(g: np.ndarray, y: np.ndarray) -> np.ndarray:
    gx = np.array(g, order="C")
    in_parts(softmax_rows_backward, y.size // y.shape[-1], y.size, matrix(gx), matrix(y))
    return gx


@loop
def norm_forward(start, stop, x, weight, bias, each, eps, y, mean, rstd):
    """Groups start … stop of `each` rows; weight and bias (1, D), or (groups, D)."""
    n = x.shape[1]
    for group in range(start, stop):
        w, b = weight[group % len(weight)], bias[group % len(bias)]
        for i in range(group * each, min((group + 1) * each, len(x))):
            row, out = x[i], y[i]
            total = F(0.0)
            for j in range(n):
                total += row[j]
            mu = total / F(n)
            squares = F(0.0)
            for j in range(n):
                squares += (row[j] - mu) * (row[j] - mu)
            r = F(1.0) / np.sqrt(squares / F(n) + eps)
            mean[i], rstd[i] = mu, r
            for j in range(n):
                out[j] = (row[j] - mu) * r * w[j] + b[j]


@loop
def norm_backward(start, stop, g, x, weight, each, mean, rstd, gx, gw, gb):
    """gw, gb (groups, D): the sums over the rows of each group."""
    n = x.shape[1]
    for group in range(start, stop):
        w, sum_w, sum_b = weight[group % len(weight)], gw[group], gb[group]
        for j in range(n):
            sum_w[j] = sum_b[j] = F(0.0)
        for i in range(group * each, min((group + 1) * each, len(x))):
            row, slope, out, mu, r = x[i], g[i], gx[i], mean[i], rstd[i]
            total = along = F(0.0)
            for j in range(n):
                normed = (row[j] - mu) * r
                total += slope[j] * w[j]
                along += slope[j] * w[j] * normed
                sum_w[j] += slope[j] * normed
                sum_b[j] += slope[j]
            total, along = total / F(n), along / F(n)
            for j in range(n):
                out[j] = (slope[j] * w[j] - total - (row[j] - mu) * r * along) * r


def layer_norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, eps: float) -> tuple[np.ndarray, ...]:
    """y, and the mean and 1/σ of each row. weight and bias (D), or one row for each sample (B, 1 …, D)."""
    y = np.empty_like(x)
    rows, w, b = map(matrix, (x, weight, bias))
    each = _rows_of_a_group(rows, w)
    mean, rstd = np.empty((2, len(rows)), np.float32)
    in_parts(norm_forward, -(-len(rows) // each), x.size, rows, w, b, each, F(eps), matrix(y), mean, rstd)
    return y, mean, rstd


def layer_norm_grad(g: np.ndarray, x: np.ndarray, weight: np.ndarray, mean: np.ndarray, rstd: np.ndarray) -> tuple:
    """The gradients of x, weight and bias."""
    gx = np.empty_like(x)
    rows, w = matrix(x), matrix(weight)
    each = _rows_of_a_group(rows, w)
    groups = -(-len(rows) // each)
    gw, gb = np.empty((2, groups, rows.shape[1]), np.float32)
    in_parts(norm_backward, groups, x.size, matrix(g), rows, w, each, mean, rstd, matrix(gx), gw, gb)
    if len(w) == 1:
        gw, gb = gw.sum(axis=0), gb.sum(axis=0)
    return gx, gw.reshape(weight.shape), gb.reshape(weight.shape)


def _rows_of_a_group(rows: np.ndarray, weight: np.ndarray) -> int:
    return TOGETHER if len(weight) == 1 else len(rows) // len(weight)
