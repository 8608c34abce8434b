"""The number of classes of a run with --labels."""

from typing import TYPE_CHECKING

from experiments.parts.plan import Weights

if TYPE_CHECKING:
    from minigan.data import Dataset


def classes_of(weights: Weights, data: "Dataset") -> int:
    """The classes of the run that --init names; InputError if the labels of the images do not fit in them."""
    from minigan.errors import InputError

    known, found = weights.config.classes, count_classes(data)
    if not known:
        raise InputError(f"--labels: {weights.path} was trained without --labels, so its networks take no classes")
    if found > known:
        raise InputError(f"--labels: {data.name} has {found} classes, and {weights.path} was trained with {known}")
    return known


def count_classes(data: "Dataset") -> int:
    """How many classes the labels of the images have; InputError where there is nothing to tell apart."""
    import numpy as np

    from minigan.errors import InputError

    if data.labels is None:
        raise InputError(
            f"--labels: {data.name} has no labels; give IDX or CSV files with labels, or a folder with a sub-folder "
            "for each class"
        )
    if len(np.unique(data.labels)) < 2:
        raise InputError(f"--labels: all images of {data.name} have one label, so there is nothing to tell apart")
    return int(data.labels.max()) + 1
