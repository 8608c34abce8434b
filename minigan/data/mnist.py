"""MNIST, Fashion-MNIST, KMNIST and EMNIST files in a directory, under their published names."""

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
    """{subset: {(split, kind): path}}: subset "mnist" or "emnist-…", split "train" or "test", kind images or labels.

    Fashion-MNIST and KMNIST files have the names of MNIST files, so their subset is "mnist" too.
    """
    found: dict[str, dict[tuple[str, str], Path]] = {}
    try:
        paths = sorted(Path(directory).iterdir(), reverse=True)  # reversed, so that a plain file replaces its .gz
    except OSError as error:
        raise InputError(f"cannot read {directory}: {error.strerror or error}") from None
    for path in paths:
        if (match := _NAME.fullmatch(path.name)) and path.is_file():
            split = "train" if match["split"] == "train" else "test"
            found.setdefault(match["emnist"] or "mnist", {})[split, match["kind"]] = path
    return found


def load_dataset(directory: str | os.PathLike, split: str = "train", subset: str | None = None) -> Dataset:
    """The MNIST-family files in a directory; `subset` names one of several sets, as in EMNIST.

    Labels are as in the files (those of emnist-letters begin at 1), or None without a label file.
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
    """The images of one IDX file, uint8 (N, H, W), upright; EMNIST files store them transposed."""
    images = read_idx(path)
    if images.dtype != np.uint8 or images.ndim != 3 or images.size == 0:
        raise InputError(f"{path} holds {images.dtype} {images.shape}, not uint8 images (N, H, W)")
    if Path(path).name.startswith("emnist-"):
        images = np.ascontiguousarray(images.swapaxes(1, 2))
    return images
