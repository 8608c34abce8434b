"""The kernel inception distance (KID)."""

import numpy as np

from minigan.metrics.features import feature_pair
from minigan.progress import Progress

SUBSETS, SUBSET_SIZE = 100, 1000  # as in torch-fidelity and clean-fid


def kid(
    fake, real, *, subsets: int = SUBSETS, subset_size: int = SUBSET_SIZE, seed: int = 0, progress: bool = False
) -> tuple[float, float]:
    """The squared maximum mean discrepancy of features (M, D) and (N, D): (mean, std) over `subsets`.

    Bińkowski et al. (2018), arXiv 1801.01401. Unlike the Fréchet distance the estimate is unbiased: its expectation
    does not depend on the number of images. It is 0 for two sets of one distribution, so an estimate may be negative.
    Each subset draws `subset_size` images of each set without repetition, or the whole set where it is smaller. The std
    is the spread of one subset's estimate. It means little where a subset holds most of the images, and it is 0 where
    every subset is the whole set. The kernel is k(x, y) = (xᵀy/D + 1)³. InputError for features that do not compare.
    """
    fake, real = feature_pair(fake, real)
    m, n = min(subset_size, len(fake)), min(subset_size, len(real))
    rng = np.random.default_rng(seed)
    if (m, n) == (len(fake), len(real)):  # all subsets would be the same
        subsets = 1
    estimates = [
        squared_mmd(fake[rng.permutation(len(fake))[:m]], real[rng.permutation(len(real))[:n]])
        for _ in Progress(range(subsets), "KID", disable=not progress, leave=False)
    ]
    return float(np.mean(estimates)), float(np.std(estimates))


def squared_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Σ_{i≠j} k(xᵢ, xⱼ) / m(m−1) + Σ_{i≠j} k(yᵢ, yⱼ) / n(n−1) − 2 Σ_{ij} k(xᵢ, yⱼ) / mn for x (m, D), y (n, D).

    The unbiased estimate of Gretton et al. (2012), lemma 6; float64, as it is a small difference of large means.
    """
    x, y = x.astype(np.float64), y.astype(np.float64)
    return _mean_of_pairs(x) + _mean_of_pairs(y) - 2 * float(_kernel(x, y).mean())


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """k(x, y) = (xᵀy / D + 1)³."""
    root = x @ y.T / x.shape[1] + 1
    return root * root * root  # ** 3 takes ten times as long


def _mean_of_pairs(x: np.ndarray) -> float:
    """The mean of k over all pairs of different rows."""
    k = _kernel(x, x)
    return float(k.sum() - np.trace(k)) / (len(x) * (len(x) - 1))
