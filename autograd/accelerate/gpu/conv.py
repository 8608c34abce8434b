"""Convolutions as products of columns: a kernel of `im2col.cu` and cuBLAS. Twins: the three ops of `autograd.ops.conv`.

The products are a batch for cuBLAS, one an image. So they read the columns and write the images as those lie, and
nothing is transposed. Only the gradient of the weight, which sums over the images as well, is one large product.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from autograd.accelerate.gpu import launch
from autograd.accelerate.gpu.im2col import col2im, im2col
from autograd.arrays import array_module
from autograd.ops.numerics import matmul
from autograd.ops.windows import Windows

MOST = 2**26  # numbers in the columns at a time (256 MiB): if there are more, a part of the images follows another


def conv2d(x: Any, weight: Any, bias: Any, at: Windows) -> Any:
    """x (N, C, H, W), weight (O, C, kh, kw), bias (O) or None -> (N, O, H′, W′):  Y[n] = W columns[n] + b."""
    xp, w, counts = array_module(x), weight.reshape(len(weight), -1), at.counts(x.shape[2:])
    parts = _parts(len(x), w.shape[1] * math.prod(counts))
    y = _joined([matmul(xp, w, _columns(x[part], at).transpose(1, 0, 2)) for part in parts])
    if bias is not None:
        y += bias.reshape(-1, 1)
    return y.reshape(*y.shape[:2], *counts)


def conv_transpose2d(x: Any, weight: Any, bias: Any, size: tuple[int, int], at: Windows) -> Any:
    """x (N, C, H′, W′), weight (C, O, kh, kw), bias (O) or None -> (N, O, *size):  columns[n] = Wᵀ X[n]."""
    xp, w, x = array_module(x), weight.reshape(len(weight), -1), x.reshape(*x.shape[:2], -1)
    parts = _parts(len(x), w.shape[1] * x.shape[2])
    return _joined([col2im(matmul(xp, w.T, x[part]), bias, size, at) for part in parts])


def conv2d_weight(x: Any, u: Any, at: Windows) -> Any:
    """x (N, C, H, W), u (N, O, H′, W′) -> (O, C, kh, kw):  Σ U[n] columns[n]ᵀ."""
    xp, rows, out = array_module(x), x.shape[1] * math.prod(at.kernel), u.shape[1]
    u = u.reshape(len(u), out, -1).transpose(1, 0, 2)
    first, *others = (
        matmul(xp, u[:, part].reshape(out, -1), _columns(x[part], at).reshape(rows, -1).T)
        for part in _parts(len(x), rows * u.shape[2])
    )
    return sum(others, first).reshape(out, x.shape[1], *at.kernel)


def _columns(x: Any, at: Windows) -> Any:
    """(C kh kw, N, H′ W′). Where the kernel is 1×1 and meets every pixel, these are the images."""
    if at.kernel == at.stride == (1, 1) and at.padding == (0, 0):
        return x.reshape(*x.shape[:2], -1).transpose(1, 0, 2)
    return im2col(x, at)


def _parts(images: int, columns: int) -> Iterator[slice]:
    """Slices of the images, such that the columns of each stay under MOST. columns: numbers in those of one image."""
    size = max(1, MOST // columns)
    return (slice(start, start + size) for start in range(0, images, size))


def _joined(parts: Sequence[Any]) -> Any:
    """As concatenate, which no graph may capture for more than 8 arrays (CuPy uploads their addresses)."""
    if len(parts) == 1:
        return parts[0]
    y, start = launch.empty(parts[0], (sum(map(len, parts)), *parts[0].shape[1:])), 0
    for part in parts:
        y[start : start + len(part)] = part
        start += len(part)
    return y
