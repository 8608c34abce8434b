"""Two sets of images in numbers: what an extractor makes of images, and every metric of two such sets."""

from dataclasses import dataclass

import numpy as np

from minigan.errors import InputError


@dataclass
class Features:
    """What an extractor makes of N images: arrays on the host, checked here once for every metric."""

    values: np.ndarray  # (N, D) float32, finite: the feature vectors
    probabilities: np.ndarray | None = None  # (N, K) float32: of the classes, where the extractor is a classifier

    def __post_init__(self) -> None:
        self.values = np.asarray(self.values, np.float32)
        if self.values.ndim != 2 or self.values.shape[1] < 1:
            raise InputError(f"features must have shape (N, D), not {self.values.shape}")
        if not np.isfinite(self.values).all():
            raise InputError("features must be finite, these hold NaN or infinity")
        if self.probabilities is not None:
            self.probabilities = np.asarray(self.probabilities, np.float32)
            if self.probabilities.ndim != 2 or len(self.probabilities) != len(self.values):
                n, shape = len(self.values), self.probabilities.shape
                raise InputError(f"{n} feature vectors need class probabilities of shape ({n}, K), not {shape}")

    def __len__(self) -> int:
        return len(self.values)
