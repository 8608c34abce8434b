"""The number of classes of a run: with --labels, or by the networks that --init names."""

from typing import TYPE_CHECKING

from experiments.parts.plan import Weights

if TYPE_CHECKING:
    from minigan.data import Dataset


def classes_of(weights: Weights, data: "Dataset", asked: bool) -> int:
    """The classes of the run that --init names, 0 without; InputError if the labels of the images do not fit in them.

    asked: whether --labels was given. Networks that were trained with classes take them without it too.
    """
    from minigan.errors import InputError

    known = weights.config.classes
    if not known:
        if asked:
            raise InputError(f"--labels: {weights.path} was trained without --labels, so its networks take no classes")
        return 0
    why = "--labels" if asked else f"--init: {weights.path} was trained with {known} classes"
    if (found := count_classes(data, why)) > known:
        raise InputError(f"--init: {weights.path} was trained with {known} classes, and {data.name} has {found}")
    return known


def count_classes(data: "Dataset", why: str = "--labels") -> int:
    """How many classes the labels of the images have; InputError, which says why, where nothing is to tell apart."""
    import numpy as np

    from minigan.errors import InputError

    if data.labels is None:
        raise InputError(
            f"{why}: {data.name} has no labels; give IDX or CSV files with labels, or a folder with a sub-folder "
            "for each class"
        )
    if len(np.unique(data.labels)) < 2:
        raise InputError(f"{why}: all images of {data.name} have one label, so there is nothing to tell apart")
    return int(data.labels.max()) + 1
