"""Precision, recall, density and coverage: do the generated images lie among the real ones, and the other way round?"""

import sys
from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from minigan.metrics.arrays import feature_pair

ROUNDING = 4e-6  # squared distances below this share of the vectors' squared lengths are rounding in float32: 0


def prdc(fake, real, *, k: int = 5, block: int = 1024, progress: bool = False) -> dict[str, float]:
    """How the features (M, D) of generated images and (N, D) of real ones lie in each other's k-th neighbour balls.

    The ball of a vector reaches to its k-th nearest neighbour in its own set, itself not counted; its rim is within.

    precision   share of the fakes that lie in the ball of some real image: quality
    recall      share of the real images that lie in the ball of some fake: variety
    density     real balls around a fake, on average, over k: quality that an outlier among the real images does not
                flatter; 1 is expected of equal distributions, and it may be more
    coverage    share of the real images whose ball holds a fake: variety, which fakes far apart do not flatter

    Precision and recall: Kynkäänniemi et al. (2019), arXiv 1904.06991 (there k = 3); density and coverage: Naeem et al.
    (2020), arXiv 2002.09797 (k = 5). They depend on M, N and k, so compare them at equal numbers and features.

    Distances are float32, in blocks of `block` × `block`, on the host: beyond the features the memory is a few blocks,
    about 60 MB, whatever M and N. With fewer than k + 1 images on a side, k is what there is.
    """
    fake, real = feature_pair(fake, real, np.float32)
    k = min(k, len(fake) - 1, len(real) - 1)
    centre = real.mean(axis=0, dtype=np.float64).astype(np.float32)
    fake_radius, real_radius = _radii(fake, k, centre, block, progress), _radii(real, k, centre, block, progress)
    around = np.zeros(len(fake), int)  # the real balls that hold a fake
    covered = np.zeros(len(real), bool)  # does its ball hold a fake?
    recalled = np.zeros(len(real), bool)  # does it lie in the ball of a fake?
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
    """The squared distance (N,) of each vector to its k-th nearest neighbour: the k+1-th, as it is its own nearest."""
    nearest = np.full((len(x), k + 1), np.inf, np.float32)
    for rows, _, distance in _blocks(x, x, centre, block, progress):
        candidates = np.concatenate([nearest[rows], distance], axis=1)
        candidates.partition(k, axis=1)
        nearest[rows] = candidates[:, : k + 1]
    return nearest.max(axis=1)


def _blocks(
    x: np.ndarray, y: np.ndarray, centre: np.ndarray, block: int, progress: bool
) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """‖xᵢ − yⱼ‖² = ‖xᵢ‖² + ‖yⱼ‖² − 2 xᵢᵀyⱼ in blocks: (rows i, columns j, float32 array).

    The sum cancels where vectors are long and near each other. So they are measured from a centre, the mean of the real
    ones: rounding is coarse only far from these, where no ball is decided by it. A distance that is nothing but
    rounding becomes 0: equal vectors are at distance 0, and nothing is negative.
    """
    for i in tqdm(range(0, len(x), block), "neighbours", disable=not progress, leave=False, file=sys.stderr):
        a = x[i : i + block] - centre
        for j in range(0, len(y), block):
            b = y[j : j + block] - centre
            lengths = np.einsum("ij,ij->i", a, a)[:, None] + np.einsum("ij,ij->i", b, b)
            distance = a @ (-2 * b).T
            distance += lengths
            distance[distance < ROUNDING * lengths] = 0
            yield slice(i, i + block), slice(j, j + block), distance
