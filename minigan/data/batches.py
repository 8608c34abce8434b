"""Batches of arrays, in a new random order every epoch."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from autograd.random import RandomStream


class loader:
    """Batches of `images`, any array (N, …), and of `labels` (N, …), where there are any: (batch, …) each.

    Each `for x, y in loader(images, labels, batch, seed):` is an epoch in an order of its own, which the seed fixes.
    The last batch holds what is left. Without labels each batch is x alone. Pixels stay as they are: uint8. ValueError
    for a batch below 1, and unless there is a label for each image.
    """

    def __init__(self, images: Any, labels: Any = None, batch: int = 64, seed: int = 0):
        if batch < 1:
            raise ValueError(f"a batch holds at least one image, not {batch}")
        if labels is not None and len(labels) != len(images):
            raise ValueError(f"there are {len(images)} images and {len(labels)} labels: give one for each")
        self.images, self.labels, self.batch = images, labels, batch
        self.stream = RandomStream(seed)

    def __len__(self) -> int:
        """How many batches an epoch has."""
        return -(-len(self.images) // self.batch)

    def __iter__(self) -> Iterator[Any]:
        order = np.asarray(self.stream.permutation(len(self.images)))
        for start in range(0, len(order), self.batch):
            i = order[start : start + self.batch]
            yield self.images[i] if self.labels is None else (self.images[i], self.labels[i])
