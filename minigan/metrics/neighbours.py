"""Precision, recall, density and coverage: do generated images lie among the real ones, and real ones among them?"""

from collections.abc import Iterator

import numpy as np

from minigan.metrics.features import feature_pair
from minigan.progress import Progress

ROUNDING = 4e-6  # a squared distance below this share of the vectors' squared lengths is float32 rounding of 0


def prdc(fake, real, *, k: int = 5, block: int = 1024, progress: bool = False) -> dict[str, float]:
    """Whether features (M, D) of generated images and (N, D) of real images lie in each other's k-th neighbour balls.

    The ball of a vector reaches to the k-th nearest other vector of its own set, and includes its surface.

    precision   share of the fakes that lie in the ball of a real image: quality
    recall      share of the real images that lie in the ball of a fake: variety
    density     mean number of real balls around a fake, over k: quality, but a single real outlier does not raise it;
                1 is expected of equal distributions, and larger values are possible
    coverage    share of the real images whose ball holds a fake: variety, but fakes far apart do not raise it

    Precision and recall: Kynkäänniemi et al. (2019), arXiv 1904.06991 (there k = 3). Density and coverage: Naeem et al.
    (2020), arXiv 2002.09797 (k = 5). All four depend on M, N and k, so compare them at equal numbers and features.

    Distances are float32 on the host, computed in blocks of `block` × `block`. Beside the features they take a few
    blocks of memory, about 60 MB, at any M and N. k is reduced where a set has fewer than k + 1 images. InputError for
    features that do not compare.
    """
    fake, real = feature_pair(fake, real, np.float32)
    k = min(k, len(fake) - 1, len(real) - 1)
    centre = real.mean(axis=0, dtype=np.float64).astype(np.float32)
    fake_radius, real_radius = _radii(fake, k, centre, block, progress), _radii(real, k, centre, block, progress)
    around = np.zeros(len(fake), int)  # number of real balls that hold the fake
    covered = np.zeros(len(real), bool)  # does the ball of the real image hold a fake?
    recalled = np.zeros(len(real), bool)  # does the real image lie in the ball of a fake?
    for rows, columns, distance in _blocks(real, fake, centre, block, progress):
        inside = distance <= real_radius[rows, None]
        around[columns] += inside.sum(axis=0)
        covered[rows] |= inside.any(axis=1)
        recalled[rows] |= (distance <= fake_radius[columns]).any(axis=1)
    return {
        "precision": float((around > 0).mean()),
        "recall": float(recalled.mean()),
        "density": float(around.mean() / k),
        "coverage": float(covered.mean()),
    }


def _radii(x: np.ndarray, k: int, centre: np.ndarray, block: int, progress: bool) -> np.ndarray:
    """The squared distance (N,) of each vector to its k-th nearest other vector."""
    nearest = np.full((len(x), k + 1), np.inf, np.float32)  # k + 1: each vector is also its own nearest
    for rows, _, distance in _blocks(x, x, centre, block, progress):
        candidates = np.concatenate([nearest[rows], distance], axis=1)
        candidates.partition(k, axis=1)
        nearest[rows] = candidates[:, : k + 1]
    return nearest.max(axis=1)


def _blocks(
    x: np.ndarray, y: np.ndarray, centre: np.ndarray, block: int, progress: bool
) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """‖xᵢ − yⱼ‖² = ‖xᵢ‖² + ‖yⱼ‖² − 2 xᵢᵀyⱼ in blocks: (rows i, columns j, float32 array).

    The sum cancels where two long vectors are close together. So vectors are measured from the centre of the real
    images: rounding is then coarse only far from them, where it decides nothing. A distance no larger than rounding
    becomes 0. So equal vectors have distance 0, and no distance is negative.
    """
    for i in Progress(range(0, len(x), block), "neighbours", disable=not progress, leave=False):
        a = x[i : i + block] - centre
        for j in range(0, len(y), block):
            b = y[j : j + block] - centre
            lengths = np.einsum("ij,ij->i", a, a)[:, None] + np.einsum("ij,ij->i", b, b)
            distance = a @ (-2 * b).T
            distance += lengths
            distance[distance < ROUNDING * lengths] = 0
            yield slice(i, i + block), slice(j, j + block), distance
