"""The images by which a run is seen and judged: its averaged generator at latents and labels that are always the same.

So two grids of a run differ by what was learned between them.
"""

from typing import Any

import numpy as np

from autograd.random import RandomStream
from minigan.data import Dataset
from minigan.figures import evenly
from minigan.labels import one_hot
from minigan.step import GAN

GRID = 100  # images of a sample grid
COLUMNS = 10  # images of a class, in a grid with a row for each class
MOST_ROWS = 20  # rows of such a grid: of more classes, as many as this are shown
EVAL_SEED = 2**33  # added to the seed: z of grids and evaluations come from another stream than training's
LABEL_SEED = 3 * 2**33  # likewise, of the labels of evaluations


class Showing:
    """The images that a GAN shows. Images are uint8 (n, H, W) or (n, H, W, 3), on the host."""

    def __init__(self, gan: GAN, data: Dataset):
        self.gan, self.data = gan, data

    @property
    def labels(self) -> np.ndarray | None:
        """The label of each real image; None for a GAN without classes."""
        return self.data.labels if self.gan.config.classes else None

    def fixed_z(self, n: int) -> Any:
        """n latents (n, latent), always the same ones."""
        return RandomStream(self.gan.config.seed + EVAL_SEED, self.gan.device).normal((n, self.gan.config.latent))

    def fixed_labels(self, n: int) -> np.ndarray | None:
        """n labels (n,), always the same ones, drawn from those of the real images; None without classes."""
        if self.labels is None:
            return None
        return self.labels[RandomStream(self.gan.config.seed + LABEL_SEED).integers(len(self.data), n)]

    def samples(self, n: int, shared: bool = False) -> tuple[np.ndarray, np.ndarray | None]:
        """n images, and the labels (n,) that they were asked to be of. shared: all ranks call this together."""
        labels = self.fixed_labels(n)
        classes = None if labels is None else one_hot(labels, self.gan.config.classes)
        return self.gan.sample(self.fixed_z(n), classes, shared), labels

    def grid(self) -> np.ndarray:
        """The images of a sample grid, row by row. With classes a row is a class, and a column is one z."""
        if self.labels is None:
            return self.gan.sample(self.fixed_z(GRID))
        shown, z = classes_shown(self.labels), self.fixed_z(COLUMNS)
        classes = one_hot(np.repeat(shown, COLUMNS), self.gan.config.classes)
        return self.gan.sample(self.gan.xp.concatenate([z] * len(shown)), classes)

    @property
    def row_names(self) -> list[str] | None:
        """The names of the classes that have a row of the grid, in their order; None where classes have none."""
        names = self.data.class_names
        return None if self.labels is None or names is None else [names[k] for k in classes_shown(self.labels)]

    def rows(self) -> np.ndarray:
        """The rows (n,) of the real images that are shown, laid out as in `grid`."""
        labels = self.labels
        if labels is None:
            return np.array(evenly(range(len(self.data)), GRID))  # evenly: files are often sorted by class
        return np.concatenate([np.resize(np.flatnonzero(labels == k), COLUMNS) for k in classes_shown(labels)])


def classes_shown(labels: np.ndarray) -> list[int]:
    """The classes that have a row of a grid, of labels (n,)."""
    return evenly(np.unique(labels).tolist(), MOST_ROWS)
