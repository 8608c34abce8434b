"""The Fréchet distance between two Gaussians, and the moments of feature vectors that it compares."""

import numpy as np

from minigan.errors import InputError
from minigan.metrics.features import feature_array
from minigan.progress import Progress

LEAST_FAKES = 20  # images that a distance at infinity needs
SIZES = 15  # subsets that a distance at infinity is extrapolated from
SPLITS = 3200  # divided by the number of features: how often real images are split in two to find the floor
CHUNK = 4096  # feature vectors converted to float64 at a time
TOLERANCE = 1e-3  # how far, relatively, another program's covariance may be from symmetric and positive semidefinite
NO_COVARIANCE = "a covariance must be positive semidefinite, but one of these has eigenvalues far below 0"


class Moments:
    """Count, mean and covariance of feature vectors (N, D) that arrive in batches; float64, on the host.

    Batches are merged by the exact formula of Chan, Golub & LeVeque (1979). So batch sizes and order change the result
    by rounding only, and a mean far from zero costs no digits.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = np.zeros(0)
        self.scatter = np.zeros((0, 0))  # Σ (x − mean)(x − mean)ᵀ

    def update(self, features) -> "Moments":
        """Add a batch: an array (N, D) of finite numbers, on any device; InputError for anything else."""
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
        """Add the vectors of another Moments: S ← Sa + Sb + δ δᵀ na nb/n with δ = mean b − mean a.

        InputError if they have another length.
        """
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
        """The unbiased covariance (D, D), as in np.cov; InputError for fewer than two vectors."""
        if self.count < 2:
            raise InputError(f"a covariance needs at least 2 samples, not {self.count}")
        return self.scatter / (self.count - 1)


def frechet_distance(mean1, cov1, mean2, cov2) -> float:
    """‖μ₁ − μ₂‖² + Tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½): the squared Fréchet distance of two Gaussians (Dowson & Landau, 1982).

    On the features of Inception it is the FID (Heusel et al., arXiv 1706.08500).

    Means (D,), symmetric covariances (D, D); computed in float64. Factor Σ₂ = A Aᵀ: the columns of A are eigenvectors
    of Σ₂ times the roots of their eigenvalues. Σ₁Σ₂ and the symmetric AᵀΣ₁A have the same nonzero eigenvalues, so two
    symmetric eigendecompositions give the trace. It is real at any rank, and nothing is added to the diagonal.

    InputError unless both are Gaussians. Rounding below 0, at most 1e-3 of the traces, becomes 0.
    """
    first, second = _gaussian(mean1, cov1), _gaussian(mean2, cov2)
    return _distance(*first, *second, _factor(second[1]))


def frechet_floor(features, n: int, *, seed: int = 0) -> tuple[float, float]:
    """The distance between n real images and others of their kind, what a perfect generator has: (mean, std).

    Features (N, D) of real images are split at random into n and N − n, 3200/D times but at least once. The results are
    the mean of the distances and their standard deviation, 0.0 for one split. One split of few features is a matter of
    luck, mostly of how many images of each class either part gets: by the 64 features of the digit classifier, 5,000
    drawn digits are 2.6 ± 0.6 from 5,000 others. A distance of 2,048 features takes ten seconds. InputError unless both
    parts hold at least two images, and for other shapes.
    """
    x = feature_array(features)
    if not 2 <= n <= len(x) - 2:
        raise InputError(f"a floor needs two images in either part, but {len(x)} are split into {n} and {len(x) - n}")
    rng = np.random.default_rng(seed)
    distances = []
    for _ in range(max(1, SPLITS // x.shape[1])):
        order = rng.permutation(len(x))
        some, others = (Moments().update(x[part]) for part in (order[:n], order[n:]))
        distances.append(frechet_distance(some.mean, some.cov, others.mean, others.cov))
    return float(np.mean(distances)), float(np.std(distances))


def frechet_infinity(fake, mean, cov, *, seed: int = 0, progress: bool = False) -> tuple[float, float]:
    """The Fréchet distance of features (N, D) to a reference Gaussian, without the bias of few fakes: (value, error).

    Chong & Forsyth (2020), arXiv 1911.07023. The distance of N fakes exceeds the distance of infinitely many by about
    c/N. So `seed` draws subsets of the fakes, from N/10 to all of them, and a line in 1/N is fitted to their distances.
    Its value at 1/N = 0 is the result, which may be negative. The bias of the reference stays in it. InputError for
    fewer than 20 fakes, and as from `frechet_distance`.

    The error is the standard error of that intercept by least squares: how well the line fits, not how much the value
    would change with other fakes. Below about 10 D fakes the distances leave the line, and the value means little.
    """
    x = feature_array(fake)
    if len(x) < LEAST_FAKES:
        raise InputError(
            f"a distance at infinity needs at least {LEAST_FAKES} fakes, better 10 for each feature, not {len(x)}"
        )
    mean, cov = _gaussian(mean, cov)
    factor = _factor(cov)
    rng = np.random.default_rng(seed)
    counts = np.linspace(len(x) // 10, len(x), SIZES).astype(int)
    distances = []
    for n in Progress(counts, "distance at infinity", disable=not progress, leave=False):
        moments = Moments().update(x[rng.permutation(len(x))[:n]])
        distances.append(_distance(*_gaussian(moments.mean, moments.cov), mean, cov, factor))
    (_, intercept), covariance = np.polyfit(1 / counts, distances, 1, cov=True)
    return float(intercept), float(np.sqrt(covariance[1, 1]))


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
    kept = values > len(values) * np.finfo(np.float64).eps * values[-1]  # the others are 0 up to rounding
    return vectors[:, kept] * roots[kept]


def _distance(mean1, cov1, mean2, cov2, factor2) -> float:
    """`frechet_distance` of two checked Gaussians, given also A with Σ₂ = A Aᵀ."""
    if mean1.shape != mean2.shape:
        raise InputError(f"features of {len(mean1)} numbers cannot be compared with features of {len(mean2)}")
    trace1, trace2 = np.trace(cov1), np.trace(cov2)
    # Not the scale of the product itself: for Gaussians in planes at right angles it is nothing but rounding.
    cross = _roots(np.linalg.eigvalsh(factor2.T @ cov1 @ factor2), scale=abs(trace1 * trace2)).sum()
    distance = np.square(mean1 - mean2).sum() + (trace1 + trace2) - 2 * cross
    if distance < -TOLERANCE * (trace1 + trace2):
        raise InputError(NO_COVARIANCE)
    return max(float(distance), 0.0)


def _roots(values: np.ndarray, scale: float) -> np.ndarray:
    """The square roots of ascending eigenvalues; InputError where one is below 0 by more than rounding at `scale`."""
    if len(values) and values[0] < -TOLERANCE * scale:
        raise InputError(NO_COVARIANCE)
    return np.sqrt(values.clip(0))
