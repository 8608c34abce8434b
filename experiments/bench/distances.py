"""The figures of merit of two sets of features: the Fréchet distance, KID, precision and its company.

Plain are the usual formulations, in PyTorch: the eigenvalues of Σ₁Σ₂ (as torchmetrics), KID over the same subsets,
neighbours by the whole matrices of distances. They need more memory, but say the same.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.bench.case import Case, Side
from minigan.metrics.frechet import Moments, frechet_distance
from minigan.metrics.kid import kid
from minigan.metrics.neighbours import prdc

IMAGES = 10_000
SUBSETS, SUBSET_SIZE, NEIGHBOURS = 10, 1000, 5


def cases() -> list[Case]:
    made = []
    for what, dimensions in (("digits", 64), ("Inception", 2048)):
        for name, (ours, theirs) in METRICS.items():
            made.append(
                Case(
                    "metrics",
                    f"{what} {dimensions}-d: {name}, {IMAGES:,}",
                    maker(ours, theirs, dimensions),
                    ("ours", "plain"),
                    tolerance=1e-3,
                    quick=dimensions == 64 and name != "PRDC",
                )
            )
    return made


def features(dimensions: int, n: int = IMAGES) -> tuple[np.ndarray, np.ndarray]:
    """Two sets that overlap, not negative, as those of a network."""
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((dimensions, dimensions), np.float32) / np.float32(np.sqrt(dimensions))
    sides = [np.maximum(rng.standard_normal((n, dimensions), np.float32) @ mixing + m, 0) for m in (0.5, 0.55)]
    return sides[0], sides[1]


def our_frechet(fake: np.ndarray, real: np.ndarray) -> dict[str, float]:
    a, b = Moments().update(fake), Moments().update(real)
    return {"distance": frechet_distance(a.mean, a.cov, b.mean, b.cov)}


def torch_frechet(fake: Any, real: Any) -> dict[str, float]:
    import torch

    (m1, s1), (m2, s2) = ((x.mean(0), torch.cov(x.T)) for x in (fake.double(), real.double()))
    cross = torch.linalg.eigvals(s1 @ s2).sqrt().real.sum()
    return {"distance": float((m1 - m2).square().sum() + s1.trace() + s2.trace() - 2 * cross)}


def our_kid(fake: np.ndarray, real: np.ndarray) -> dict[str, float]:
    mean, std = kid(fake, real, subsets=SUBSETS, subset_size=SUBSET_SIZE)
    return {"mean": mean, "std": std}


def torch_kid(fake: Any, real: Any) -> dict[str, float]:
    import torch

    rng = np.random.default_rng(0)

    def kernel(a: Any, b: Any) -> Any:
        return (a @ b.T / a.shape[1] + 1) ** 3

    estimates = []
    for _ in range(SUBSETS):
        x, y = (s[torch.tensor(rng.permutation(len(s))[:SUBSET_SIZE])].double() for s in (fake, real))
        m = len(x)
        xx, yy = ((k.sum() - k.trace()) / (m * (m - 1)) for k in (kernel(x, x), kernel(y, y)))
        estimates.append(float(xx + yy - 2 * kernel(x, y).mean()))
    return {"mean": float(np.mean(estimates)), "std": float(np.std(estimates))}


def our_prdc(fake: np.ndarray, real: np.ndarray) -> dict[str, float]:
    return prdc(fake, real, k=NEIGHBOURS)


def torch_prdc(fake: Any, real: Any) -> dict[str, float]:
    import torch

    def radii(x: Any) -> Any:
        return torch.cdist(x, x).kthvalue(NEIGHBOURS + 1, dim=1).values

    between, fake_radii, real_radii = torch.cdist(real, fake), radii(fake), radii(real)
    inside = between <= real_radii[:, None]
    return {
        "precision": float(inside.any(0).double().mean()),
        "recall": float((between <= fake_radii).any(1).double().mean()),
        "density": float(inside.sum(0).double().mean() / NEIGHBOURS),
        "coverage": float(inside.any(1).double().mean()),
    }


METRICS: dict[str, tuple[Callable, Callable]] = {
    "Fréchet distance": (our_frechet, torch_frechet),
    f"KID of {SUBSETS} subsets": (our_kid, torch_kid),
    "PRDC": (our_prdc, torch_prdc),
}


def maker(ours: Callable, theirs: Callable, dimensions: int) -> Callable[[str, str], Side]:
    def make(kind: str, device: str) -> Side:
        sides: Any = features(dimensions)
        if kind != "ours":
            import torch

            sides = [torch.tensor(x) for x in sides]
        f = ours if kind == "ours" else theirs
        return Side(lambda: f(*sides), lambda: f(*sides))

    return make
