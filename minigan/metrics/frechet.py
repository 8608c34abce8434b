"""The Fréchet distance between two Gaussians, and the moments of feature vectors that it is taken of."""

import numpy as np

from autograd import backend
from minigan.errors import InputError


class Moments:
    """Count, mean and covariance of feature vectors (N, D) that arrive in batches; float64, on the host.

    Batches are merged by the exact formula of Chan, Golub & LeVeque (1979), so that neither their sizes nor their
    order matter beyond rounding, and a mean far from zero costs no digits.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = np.zeros(0)
        self.scatter = np.zeros((0, 0))  # Σ (x − mean)(x − mean)ᵀ

    def update(self, features) -> "Moments":
        """Add a batch: an array (N, D) of finite numbers, on any device."""
        x = backend.to_host(features).astype(np.float64)
        if x.ndim != 2 or x.shape[1] < 1:
            raise InputError(f"features must have shape (N, D), not {x.shape}")
        if not np.isfinite(x).all():
            raise InputError("features must be finite, these hold NaN or infinity")
        batch = Moments()
        if len(x):
            batch.count, batch.mean = len(x), x.mean(axis=0)
            x -= batch.mean
            batch.scatter = x.T @ x
        return self.merge(batch)

    def merge(self, other: "Moments") -> "Moments":
        """Add what another Moments has seen: S ← Sa + Sb + δ δᵀ na nb/n, δ = mean b − mean a."""
        if other.count == 0:
            return self
        if self.count == 0:
            self.count, self.mean, self.scatter = other.count, other.mean.copy(), other.scatter.copy()
            return self
        if self.mean.shape != other.mean.shape:
            raise InputError(f"features of {len(other.mean)} numbers cannot join features of {len(self.mean)}")
        n = self.count + other.count
        delta = other.mean - self.mean
        self.mean = self.mean + delta * (other.count / n)
        self.scatter = self.scatter + other.scatter + np.outer(delta, delta) * (self.count * other.count / n)
        self.count = n
        return self

    @property
    def cov(self) -> np.ndarray:
        """The unbiased covariance (D, D), as of np.cov."""
        if self.count < 2:
            raise InputError(f"a covariance needs at least 2 samples, not {self.count}")
        return self.scatter / (self.count - 1)


def frechet_distance(mean1, cov1, mean2, cov2) -> float:
    """‖μ₁ − μ₂‖² + Tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½): the Fréchet distance of two Gaussians, squared (Dowson & Landau, 1982).

    Means (D,), symmetric covariances (D, D); in float64. With Σ₁ = A Aᵀ, A the eigenvectors of Σ₁ times the roots of
    its eigenvalues, Σ₁Σ₂ and the symmetric AᵀΣ₂A share their eigenvalues other than 0: so two symmetric
    eigendecompositions give the trace, real, for any rank, without a term that is added to the diagonal.
    """
    mean1, cov1 = _gaussian(mean1, cov1)
    mean2, cov2 = _gaussian(mean2, cov2)
    if mean1.shape != mean2.shape:
        raise InputError(f"features of {len(mean1)} numbers cannot be compared with features of {len(mean2)}")
    values, vectors = np.linalg.eigh(cov1)
    kept = values > len(values) * np.finfo(np.float64).eps * values[-1]  # the others are 0, up to rounding
    a = vectors[:, kept] * np.sqrt(values[kept])
    cross = np.sqrt(np.linalg.eigvalsh(a.T @ cov2 @ a).clip(0)).sum()
    distance = np.square(mean1 - mean2).sum() + np.trace(cov1) + np.trace(cov2) - 2 * cross
    return max(float(distance), 0.0)


def _gaussian(mean, cov) -> tuple[np.ndarray, np.ndarray]:
    mean, cov = np.asarray(mean, np.float64), np.asarray(cov, np.float64)
    if mean.ndim != 1 or len(mean) < 1 or cov.shape != (len(mean), len(mean)):
        raise InputError(f"a Gaussian needs a mean (D,) and a covariance (D, D), not {mean.shape} and {cov.shape}")
    if not (np.isfinite(mean).all() and np.isfinite(cov).all()):
        raise InputError("means and covariances must be finite, these hold NaN or infinity")
    return mean, cov
