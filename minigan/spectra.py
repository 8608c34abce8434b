"""What a discriminator is like inside: the spectrum of each linear map, and its slope at images."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from autograd import Tensor, grad, no_grad
from autograd.arrays import to_host
from nn import Module


def weights(module: Module, prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """The name and the matrix (out, in), float64, of each layer with a spectral norm or without one, as it is applied.

    A kernel (out, in, kh, kw) counts as the matrix (out, in·kh·kw).
    """
    for name, child in module.named_children():
        layer: Any = child
        if hasattr(layer, "spectral"):
            with no_grad():
                weight = layer.weight if layer.spectral is None else layer.spectral(layer.weight)
            yield prefix + name, to_host(weight.data).reshape(len(weight.data), -1).astype(np.float64)
        yield from weights(child, f"{prefix}{name}.")


def spectrum(matrix: np.ndarray) -> tuple[float, float]:
    """σ, the largest singular value of W (m, n), and its stable rank ‖W‖²_F / σ², from 1 to its rank.

    (nan, nan) for a matrix that is not finite or is zero.
    """
    if not np.isfinite(matrix).all() or not matrix.any():
        return np.nan, np.nan
    values = np.linalg.svd(matrix, compute_uv=False)
    return float(values[0]), float((values**2).sum() / values[0] ** 2)


def slopes(discriminator: Module, x: Any, classes: Any = None) -> np.ndarray:
    """‖∇ₓ D(x)‖₂ of each image x (B, C, H, W), float64 (B,). classes: one-hot (B, K) if D is told them.

    The logit of an image must depend on that image alone, as in every D here.
    """
    x = Tensor(x, requires_grad=True)
    told = [] if classes is None else [Tensor(classes)]
    (slope,) = grad(discriminator(x, *told).sum(), [x])
    flat = to_host(slope.data).reshape(len(slope.data), -1).astype(np.float64)
    return np.sqrt((flat**2).sum(1))


def spectra(discriminator: Module, real: Any, fake: Any, classes: tuple[Any, Any] = (None, None)) -> dict[str, float]:
    """The figures of a "spectra" record: `sigma NAME` and `rank NAME` of each layer, and the mean and largest slope.

    real, fake: images (B, C, H, W) in [−1, 1]; classes: one-hot (B, K) of each, if D is told them.
    """
    figures: dict[str, float] = {}
    for name, matrix in weights(discriminator):
        figures[f"sigma {name}"], figures[f"rank {name}"] = spectrum(matrix)
    for kind, x, told in (("real", real, classes[0]), ("fake", fake, classes[1])):
        found = slopes(discriminator, x, told)
        figures[f"slope_{kind}"], figures[f"slope_{kind}_most"] = float(found.mean()), float(found.max())
    return figures
