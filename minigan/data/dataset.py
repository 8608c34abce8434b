"""The one form in which images reach the experiments."""

from dataclasses import dataclass

import numpy as np

from minigan.data.stored import StoredImages


@dataclass
class Dataset:
    images: np.ndarray | StoredImages  # uint8 (N, H, W) grey or (N, H, W, 3) RGB
    labels: np.ndarray | None  # int64 (N,), 0 … classes - 1
    name: str
    classes: int | None  # None without labels
    digest: str | None = None  # changes with the images, where that is known without reading them all

    def __len__(self) -> int:
        return len(self.images)
