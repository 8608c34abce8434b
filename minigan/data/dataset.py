"""The one form in which images reach the experiments."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Dataset:
    images: np.ndarray  # uint8 (N, H, W) grey or (N, H, W, 3) RGB
    labels: np.ndarray | None  # int64 (N,), 0 … classes - 1
    name: str
    classes: int | None  # None without labels

    def __len__(self) -> int:
        return len(self.images)
