"""The MNIST family in a directory: MNIST, Fashion-MNIST, KMNIST and EMNIST, under their published names."""

import os
import re
from pathlib import Path

import numpy as np

from minigan.data.dataset import Dataset
from minigan.data.idx import read_idx
from minigan.errors import InputError, NoSuchSplit

_NAME = re.compile(
    r"(?:(?P<emnist>emnist-\w+)-)?(?P<split>train|t10k|test)-(?P<kind>images|labels)[-.]idx[13]-ubyte(?:\.gz)?"
)


def find_files(directory: str | os.PathLike) -> dict[str, dict[tuple[str, str], Path]]:
    """{subset: {(split, kind): path}}: "mnist" or "emnist-…"; "train" or "test", "images" or "labels".

    Fashion-MNIST and KMNIST use the names of MNIST and cannot be told from it: they are "mnist" as well.
    """
    found: dict[str, dict[tuple[str, str], Path]] = {}
    try:
        paths = sorted(Path(directory).iterdir(), reverse=True)  # reversed: a plain file wins over its .gz
    except OSError as error:
        raise InputError(f"cannot read {directory}: {error.strerror or error}") from None
    for path in paths:
        if (match := _NAME.fullmatch(path.name)) and path.is_file():
            split = "train" if match["split"] == "train" else "test"
            found.setdefault(match["emnist"] or "mnist", {})[split, match["kind"]] = path
    return found


def load_dataset(directory: str | os.PathLike, split: str = "train", subset: str | None = None) -> Dataset:
    """The MNIST-family files in a directory; where it holds several sets (as EMNIST does) `subset` names one.

    Labels are those of the files (emnist-letters counts from 1); without a label file they are None.
    """
    found = find_files(directory)
    if not found:
        raise InputError(f"{directory} holds no MNIST-family files such as train-images-idx3-ubyte.gz")
    names = ", ".join(sorted(found))
    if subset is None and len(found) > 1:
        raise InputError(f"{directory} holds several datasets ({names}): choose one as the subset")
    subset = subset or names
    if subset not in found:
        raise InputError(f"{directory} holds no {subset} files, only {names}")
    files = found[subset]
    if (split, "images") not in files:
        raise NoSuchSplit(f"{directory} holds no {split} images of {subset}")

    images = read_images(files[split, "images"])
    labels = None
    if path := files.get((split, "labels")):
        labels = read_idx(path)
        if labels.dtype != np.uint8 or labels.ndim != 1:
            raise InputError(f"{path} holds {labels.dtype} {labels.shape}, not uint8 labels (N,)")
        if len(labels) != len(images):
            raise InputError(f"{path} holds {len(labels)} labels for {len(images)} images")
        labels = labels.astype(np.int64)
    name = Path(directory).resolve().name if subset == "mnist" else subset
    return Dataset(images, labels, name, None if labels is None else int(labels.max()) + 1)


def read_images(path: str | os.PathLike) -> np.ndarray:
    """The images of one IDX file, uint8 (N, H, W), upright: EMNIST stores them transposed."""
    images = read_idx(path)
    if images.dtype != np.uint8 or images.ndim != 3 or images.size == 0:
        raise InputError(f"{path} holds {images.dtype} {images.shape}, not uint8 images (N, H, W)")
    if Path(path).name.startswith("emnist-"):
        images = np.ascontiguousarray(images.swapaxes(1, 2))
    return images
