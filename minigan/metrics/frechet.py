"""The Fréchet distance between two Gaussians, and the moments of feature vectors that it is taken of."""

import sys

import numpy as np
from tqdm import tqdm

from minigan.errors import InputError
from minigan.metrics.arrays import feature_array

LEAST_FAKES = 20  # that a distance at infinity is taken of
CHUNK = 4096  # feature vectors that are float64 at a time
TOLERANCE = 1e-3  # how far, relatively, a covariance of another program may be from symmetric and positive semidefinite
NO_COVARIANCE = "a covariance must be positive semidefinite, one of these has eigenvalues far below 0"


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
        features = feature_array(features)
        for i in range(0, len(features), CHUNK):
            x = features[i : i + CHUNK].astype(np.float64)
            batch = Moments()
            batch.count, batch.mean = len(x), x.mean(axis=0)
            x -= batch.mean
            batch.scatter = x.T @ x
            self.merge(batch)
        return self

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

    Means (D,), symmetric covariances (D, D); in float64. With Σ₂ = A Aᵀ, A the eigenvectors of Σ₂ times the roots of
    its eigenvalues, Σ₁Σ₂ and the symmetric AᵀΣ₁A share their eigenvalues other than 0: so two symmetric
    eigendecompositions give the trace, real, for any rank, without a term that is added to the diagonal. InputError for
    what is no covariance; of a distance below 0 only rounding, at most 1e-3 of the traces, becomes 0.
    """
    first, second = _gaussian(mean1, cov1), _gaussian(mean2, cov2)
    return _distance(*first, *second, _factor(second[1]))


def frechet_infinity(
    fake, real: Moments, *, sizes: int = 15, seed: int = 0, progress: bool = False
) -> tuple[float, float]:
    """The Fréchet distance with the bias of few fakes removed (Chong & Forsyth 2020, arXiv 1911.07023): (value, error).

    The distance of N fakes to a reference exceeds that of infinitely many by about c/N. So it is taken of `sizes`
    subsets of the fakes, features (N, D), each drawn by `seed`, from N/10 to all of them, and the line in 1/N through
    these distances is followed to 1/N = 0: the value, which may well be negative. The reference keeps its own bias.

    The error is the standard error of that intercept by least squares. It says how well the line fits, not how much
    other fakes would change the value. Below some 10 D fakes the distances leave the line, and the value means little.
    """
    x = feature_array(fake)
    if len(x) < LEAST_FAKES:
        raise InputError(
            f"a distance at infinity needs at least {LEAST_FAKES} fakes, better 10 for each feature, not {len(x)}"
        )
    mean, cov = _gaussian(real.mean, real.cov)
    factor = _factor(cov)
    rng = np.random.default_rng(seed)
    counts = np.linspace(len(x) // 10, len(x), sizes).astype(int)
    distances = []
    for n in tqdm(counts, "distance at infinity", disable=not progress, leave=False, file=sys.stderr):
        moments = Moments().update(x[rng.permutation(len(x))[:n]])
        distances.append(_distance(*_gaussian(moments.mean, moments.cov), mean, cov, factor))
    return _intercept(1 / counts, np.array(distances))


def _intercept(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The least-squares line through (x, y) at x = 0, and its standard error."""
    x_mean, spread = x.mean(), np.square(x - x.mean()).sum()
    slope = ((x - x_mean) * y).sum() / spread
    value = y.mean() - slope * x_mean
    variance = np.square(y - value - slope * x).sum() / (len(x) - 2)
    return float(value), float(np.sqrt(variance * (1 / len(x) + x_mean**2 / spread)))


def _gaussian(mean, cov) -> tuple[np.ndarray, np.ndarray]:
    mean, cov = np.asarray(mean, np.float64), np.asarray(cov, np.float64)
    if mean.ndim != 1 or len(mean) < 1 or cov.shape != (len(mean), len(mean)):
        raise InputError(f"a Gaussian needs a mean (D,) and a covariance (D, D), not {mean.shape} and {cov.shape}")
    if not (np.isfinite(mean).all() and np.isfinite(cov).all()):
        raise InputError("means and covariances must be finite, these hold NaN or infinity")
    if np.abs(cov - cov.T).max() > TOLERANCE * np.abs(cov).max():
        raise InputError("a covariance must be symmetric, this one is not")
    return mean, (cov + cov.T) / 2


def _factor(cov: np.ndarray) -> np.ndarray:
    """A (D, rank) with Σ = A Aᵀ."""
    values, vectors = np.linalg.eigh(cov)
    roots = _roots(values, np.abs(values).max())
    kept = values > len(values) * np.finfo(np.float64).eps * values[-1]  # the others are 0, up to rounding
    return vectors[:, kept] * roots[kept]


def _distance(mean1, cov1, mean2, cov2, factor2) -> float:
    """`frechet_distance` of Gaussians that were checked, given Σ₂ = A Aᵀ as well."""
    if mean1.shape != mean2.shape:
        raise InputError(f"features of {len(mean1)} numbers cannot be compared with features of {len(mean2)}")
    traces = np.trace(cov1) + np.trace(cov2)
    scale = abs(
        np.trace(cov1) * np.trace(cov2)
    )  # not that of the product: Gaussians in different planes leave rounding
    cross = _roots(np.linalg.eigvalsh(factor2.T @ cov1 @ factor2), scale).sum()
    distance = np.square(mean1 - mean2).sum() + traces - 2 * cross
    if distance < -TOLERANCE * traces:
        raise InputError(NO_COVARIANCE)
    return max(float(distance), 0.0)


def _roots(values: np.ndarray, scale: float) -> np.ndarray:
    """The roots of eigenvalues, ascending, that should not be below 0 by more than rounding at that `scale`."""
    if len(values) and values[0] < -TOLERANCE * scale:
        raise InputError(NO_COVARIANCE)
    return np.sqrt(values.clip(0))
