"""The distances between two sets of features: Fréchet distance, KID, precision and recall with density and coverage.

PyTorch computes them by the usual formulas, which take more memory: the Fréchet distance by the eigenvalues of Σ₁Σ₂ (as
torchmetrics), KID over the same subsets, neighbours from whole matrices of distances.
"""

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from experiments.bench.case import Case, Side
from minigan.metrics.frechet import Moments, frechet_distance
from minigan.metrics.kid import kid
from minigan.metrics.neighbours import prdc

with contextlib.suppress(ImportError):  # without PyTorch our side is measured alone
    import torch

IMAGES, SUBSETS, SUBSET_SIZE, NEIGHBOURS = 10_000, 10, 1000, 5


def cases() -> Iterator[Case]:
    for what, dimensions in (("digits", 64), ("Inception", 2048)):
        for name, both in METRICS.items():
            sides = {kind: partial(side, kind, f, dimensions) for kind, f in zip(("ours", "plain"), both, strict=True)}
            quick = dimensions == 64 and name != "PRDC"
            yield Case("metrics", f"{what} {dimensions}-d: {name}, {IMAGES:,}", sides, tolerance=1e-3, quick=quick)


def side(kind: str, f: Callable, dimensions: int, device: str) -> Side:
    """Metrics are computed on the CPU, whatever the device."""
    run = partial(f, *(x if kind == "ours" else torch.tensor(x) for x in features(dimensions)))
    return Side(run, run)


def features(dimensions: int, n: int = IMAGES) -> list[np.ndarray]:
    """Two sets (n, dimensions) that overlap, none negative, like the features of a network."""
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((dimensions, dimensions), np.float32) / np.float32(np.sqrt(dimensions))
    return [np.maximum(rng.standard_normal((n, dimensions), np.float32) @ mixing + m, 0) for m in (0.5, 0.55)]


def our_frechet(fake: np.ndarray, real: np.ndarray) -> dict[str, float]:
    a, b = Moments().update(fake), Moments().update(real)
    return {"distance": frechet_distance(a.mean, a.cov, b.mean, b.cov)}


def torch_frechet(fake: Any, real: Any) -> dict[str, float]:
    (m1, s1), (m2, s2) = ((x.mean(0), torch.cov(x.T)) for x in (fake.double(), real.double()))
    cross = torch.linalg.eigvals(s1 @ s2).sqrt().real.sum()
    return {"distance": float((m1 - m2).square().sum() + s1.trace() + s2.trace() - 2 * cross)}


def our_kid(fake: np.ndarray, real: np.ndarray) -> dict[str, float]:
    return dict(zip(("mean", "std"), kid(fake, real, subsets=SUBSETS, subset_size=SUBSET_SIZE), strict=True))


def torch_kid(fake: Any, real: Any) -> dict[str, float]:
    rng, m, estimates = np.random.default_rng(0), SUBSET_SIZE, []
    for _ in range(SUBSETS):
        x, y = (s[torch.tensor(rng.permutation(len(s))[:m])].double() for s in (fake, real))
        xx, yy, xy = ((a @ b.T / a.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
        xx, yy = ((k.sum() - k.trace()) / (m * (m - 1)) for k in (xx, yy))
        estimates.append(float(xx + yy - 2 * xy.mean()))
    return {"mean": float(np.mean(estimates)), "std": float(np.std(estimates))}


def torch_prdc(fake: Any, real: Any) -> dict[str, float]:
    fake_radii, real_radii = (torch.cdist(x, x).kthvalue(NEIGHBOURS + 1, dim=1).values for x in (fake, real))
    between = torch.cdist(real, fake)
    inside, recalled = between <= real_radii[:, None], between <= fake_radii
    found = {"precision": inside.any(0), "recall": recalled.any(1), "density": inside.sum(0) / NEIGHBOURS}
    return {name: float(x.double().mean()) for name, x in {**found, "coverage": inside.any(1)}.items()}


METRICS: dict[str, tuple[Callable, Callable]] = {
    "Fréchet distance": (our_frechet, torch_frechet),
    f"KID of {SUBSETS} subsets": (our_kid, torch_kid),
    "PRDC": (partial(prdc, k=NEIGHBOURS), torch_prdc),
}
