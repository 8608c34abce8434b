"""MNIST, Fashion-MNIST, KMNIST and EMNIST files in a directory, under their published names."""

import os
import re
from pathlib import Path

import numpy as np

from minigan.data.dataset import Dataset, check_split
from minigan.data.idx import read_idx
from minigan.data.stream import free_share
from minigan.errors import InputError, NoSuchSplit
from minigan.files import reading
from minigan.npz import npz_array, npz_headers

_NAME = re.compile(  # sites write the name in several ways: train-images-idx3-ubyte.gz, train-images.idx3-ubyte, …
    r"(?:(?P<emnist>emnist-\w+)-)?(?P<split>train|t10k|test)[-_.](?P<kind>images|labels)[-_.]idx[13][-_.]ubyte"
    r"(?:\.idx[13])?(?:\.gz)?",
    re.IGNORECASE,
)
_PLACES = ("", "raw", "*/raw", "gzip", "*/gzip")  # torchvision's MNIST/raw, and the gzip folder of EMNIST's own archive


def find_files(directory: str | os.PathLike) -> dict[str, dict[tuple[str, str], Path]]:
    """{subset: {(split, kind): path}}: subset "mnist" or "emnist-…", split "train" or "test", kind images or labels.

    Fashion-MNIST and KMNIST files have the names of MNIST files, so their subset is "mnist" too. InputError if several
    folders in the directory hold such files.
    """
    for place in _PLACES:
        folders = sorted(Path(directory).glob(place)) if "*" in place else [Path(directory, place)]
        found = [files for folder in folders if folder.is_dir() and (files := _find(folder))]
        if len(found) > 1:
            names = ", ".join(str(folder) for folder in folders)
            raise InputError(f"{directory} holds several datasets: give one of {names}")
        if found:
            return found[0]
    return {}


def _find(directory: Path) -> dict[str, dict[tuple[str, str], Path]]:
    """`find_files` of this folder alone."""
    found: dict[str, dict[tuple[str, str], Path]] = {}
    try:
        paths = sorted(directory.iterdir(), reverse=True)  # reversed, so that a plain file replaces its .gz
    except OSError as error:
        raise InputError(f"cannot read {directory}: {error.strerror or error}") from None
    for path in paths:
        if not (match := _NAME.fullmatch(path.name)):
            continue
        if (path / path.name).is_file():  # some tools unpack a file into a folder of its name
            path = path / path.name
        if path.is_file():
            split = "train" if match["split"].lower() == "train" else "test"
            subset = (match["emnist"] or "mnist").lower()
            found.setdefault(subset, {})[split, match["kind"].lower()] = path
    return found


def load_dataset(directory: str | os.PathLike, split: str = "train", subset: str | None = None) -> Dataset:
    """The MNIST-family files in a directory, images uint8 (N, H, W); `subset` names one of several sets, as in EMNIST.

    Labels, int64 (N,), are as in the files (those of emnist-letters begin at 1), or None without a label file.
    InputError for missing or damaged files; NoSuchSplit, a kind of it, if only the images of the split are missing.
    """
    check_split(split)
    found = find_files(directory)
    if not found:
        raise InputError(f"{directory} holds no MNIST-family files such as train-images-idx3-ubyte.gz")
    names = ", ".join(sorted(found))
    if subset is None and len(found) > 1:
        raise InputError(f"{directory} holds several datasets ({names}): choose one with --subset")
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
    name = _name(files[split, "images"].parent) if subset == "mnist" else subset
    return Dataset(images, labels, name, None if labels is None else int(labels.max()) + 1)


def load_npz(path: Path, split: str = "train") -> Dataset:
    """MNIST as Keras distributes it: an npz file with x_train, y_train, x_test and y_test.

    Images uint8 (N, H, W), labels int64 (N,) or None. InputError for other files.
    """
    check_split(split)
    with reading(path):
        held = npz_headers(path)
        if f"x_{split}" not in held:
            raise InputError(
                f"{path} is no mnist.npz: it holds {', '.join(sorted(held)[:5]) or 'no arrays'}, not x_{split}"
            )
        images = npz_array(path, f"x_{split}", free_share())
        labels = npz_array(path, f"y_{split}", 8 * len(images)) if f"y_{split}" in held else None
    if images.dtype != np.uint8 or images.ndim != 3 or images.size == 0:
        raise InputError(f"{path}: x_{split} is {images.dtype} {images.shape}, not uint8 images (N, H, W)")
    if labels is None:
        return Dataset(images, None, path.stem, None)
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu" or not ((labels >= 0) & (labels < 1000)).all():
        raise InputError(f"{path}: y_{split} is not {len(images)} labels")
    return Dataset(images, labels.astype(np.int64), path.stem, int(labels.max()) + 1)


def _name(folder: Path) -> str:
    """The name of a dataset: that of its folder, without torchvision's raw."""
    folder = folder.resolve()
    return folder.parent.name if folder.name == "raw" else folder.name


def read_images(path: str | os.PathLike) -> np.ndarray:
    """The images of one IDX file, uint8 (N, H, W), upright; EMNIST files store them transposed.

    InputError if the file is damaged or holds something else.
    """
    images = read_idx(path)
    if images.dtype != np.uint8 or images.ndim != 3 or images.size == 0:
        raise InputError(f"{path} holds {images.dtype} {images.shape}, not uint8 images (N, H, W)")
    return upright(images, Path(path))


def upright(images: np.ndarray, path: Path) -> np.ndarray:
    """Images (N, H, W) of a file: EMNIST's files, known by their name, store them transposed."""
    return np.ascontiguousarray(images.swapaxes(1, 2)) if path.name.lower().startswith("emnist-") else images
