"""Two sets of images in numbers: what an extractor makes of images, and the metrics of two such sets."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minigan.errors import InputError
from minigan.metrics.arrays import feature_array
from minigan.metrics.frechet import Moments, frechet_distance, frechet_infinity
from minigan.metrics.kid import SUBSET_SIZE, SUBSETS, kid
from minigan.metrics.neighbours import prdc
from minigan.metrics.score import inception_score

METRICS = ("frechet", "frechet_infinity", "kid", "prdc", "inception_score")


@dataclass
class Features:
    """What an extractor makes of N images: arrays on the host, checked here."""

    values: np.ndarray  # (N, D) float32, finite: the feature vectors
    probabilities: np.ndarray | None = None  # (N, K) float32: of the classes, where the extractor is a classifier

    def __post_init__(self) -> None:
        self.values = feature_array(self.values, np.float32)
        if self.probabilities is not None:
            self.probabilities = np.asarray(self.probabilities, np.float32)
            if self.probabilities.ndim != 2 or len(self.probabilities) != len(self.values):
                n, shape = len(self.values), self.probabilities.shape
                raise InputError(f"{n} feature vectors need class probabilities of shape ({n}, K), not {shape}")

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: slice | np.ndarray) -> "Features":
        """Some of the images."""
        probabilities = None if self.probabilities is None else self.probabilities[index]
        return Features(self.values[index], probabilities)


def compare(
    fake: Features,
    real: Features,
    *,
    metrics: Sequence[str] = ("frechet", "kid", "prdc"),
    k: int = 5,
    seed: int = 0,
    kid_subsets: int = SUBSETS,
    kid_subset_size: int = SUBSET_SIZE,
    progress: bool = False,
) -> dict[str, float]:
    """The metrics asked for, of `METRICS`, from features that were extracted once; plain Python numbers.

    frechet            "frechet": of all the images, `frechet_distance`
    frechet_infinity   "frechet_infinity", "frechet_infinity_std": at infinitely many fakes, and its standard error
    kid                "kid", "kid_std"
    prdc               "precision", "recall", "density", "coverage", by the balls of the `k`-th neighbours
    inception_score    "inception_score", "inception_score_std" of the fakes, where they have probabilities

    `seed` fixes every draw. `progress` shows the steps that take long on stderr.
    """
    if unknown := sorted(set(metrics) - set(METRICS)):
        raise InputError(f"unknown metric {unknown[0]!r}: use some of {', '.join(METRICS)}")
    result: dict[str, float] = {}
    if "frechet" in metrics or "frechet_infinity" in metrics:
        reference = Moments().update(real.values)
    if "frechet" in metrics:
        moments = Moments().update(fake.values)
        result["frechet"] = frechet_distance(moments.mean, moments.cov, reference.mean, reference.cov)
    if "frechet_infinity" in metrics:
        value, error = frechet_infinity(fake.values, reference, seed=seed, progress=progress)
        result |= {"frechet_infinity": value, "frechet_infinity_std": error}
    if "kid" in metrics:
        mean, std = kid(
            fake.values, real.values, subsets=kid_subsets, subset_size=kid_subset_size, seed=seed, progress=progress
        )
        result |= {"kid": mean, "kid_std": std}
    if "prdc" in metrics:
        result |= prdc(fake.values, real.values, k=k, progress=progress)
    if "inception_score" in metrics and fake.probabilities is not None:
        mean, std = inception_score(fake.probabilities, seed=seed)
        result |= {"inception_score": mean, "inception_score_std": std}
    return result
