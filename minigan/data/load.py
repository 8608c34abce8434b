"""Load images from any source."""

import hashlib
import os
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from minigan.data.cache import Recipe, cached
from minigan.data.csv_images import is_csv, load_csv
from minigan.data.dataset import Dataset, check_split
from minigan.data.decoding import square
from minigan.data.download import SOURCES
from minigan.data.folder import label, load_images
from minigan.data.mnist import find_files, load_dataset, load_npz, read_images
from minigan.data.stream import hold_or_stream
from minigan.data.strokes import stroke_digits
from minigan.errors import InputError, NoSuchSplit, NotIdx
from minigan.files import unusable

_TEST_STREAM = 1 << 32  # added to the seed of test digits; training seeds are below it, so no digit is in both


def load_data(
    path: str | os.PathLike | None = None,
    split: str = "train",
    size: int | None = None,
    seed: int = 0,
    n: int = 60_000,
    subset: str | None = None,
    skip: bool = False,
) -> Dataset:
    """The images at `path`, uint8 (N, H, W[, 3]), resized to size x size pixels if a size is given.

    Without a path, n pen-stroke digits are drawn (not MNIST); train and test digits differ. A directory of MNIST-family
    files gives the split, and the `subset` of EMNIST. So do the mnist.npz of Keras and a CSV file. A single
    IDX file and a folder of pictures have no splits: every split is the whole. For `skip` see `load_images`.
    InputError for what cannot be read, and NoSuchSplit where the files of the split are missing.
    """
    check_split(split)
    if size is not None and size < 1:
        raise InputError(f"the image size must be positive, not {size}")
    if path is None:
        return _resize(_draw(n, seed, split), size)
    if os.path.isfile(path) and zipfile.is_zipfile(path):
        return _resize(load_npz(Path(path), split), size)
    if os.path.isfile(path) and is_csv(path):
        return _resize(load_csv(path, split), size)
    if os.path.isfile(path):
        try:
            return _resize(Dataset(read_images(path), None, Path(path).name, None), size)
        except NotIdx:
            kinds = "an IDX file, a CSV file, an .npz or a folder of pictures"
            raise InputError(f"{path} is not {kinds}, which are what images are read from") from None
    if not os.path.isdir(path):
        raise InputError(unusable(path) + how_to_fetch(path))
    if find_files(path):
        return _resize(load_dataset(path, split, subset), size)
    return load_images(path, size, skip)


def how_to_fetch(path: str | os.PathLike) -> str:
    """The command that downloads a data set into a folder of its name, for a sentence about one that is missing."""
    name = Path(path).name
    return f"; python -m experiments.mnist --data {path} --download {name} fetches it" if name in SOURCES else ""


def load_pictures(
    path: str | os.PathLike,
    split: str = "train",
    size: int = 64,
    cache: str | os.PathLike | None = None,
    stream: bool | None = None,
    skip: bool = False,
    holdout: float = 0.0,
) -> Dataset:
    """The pictures of a folder, a zip or a tar, cropped to squares and resized once: uint8 (N, size, size[, 3]).

    They are kept in the `cache` directory (see `cached`, also for `skip`), and in memory too unless they `stream` (see
    `hold_or_stream`). holdout: the share of the pictures that is the test split, chosen by `held_out`; without it there
    is none, and NoSuchSplit is raised for "test". InputError as from `cached`, for a size below 1, and for an empty
    split or another one.
    """
    check_split(split)
    if split == "test" and not holdout:
        raise NoSuchSplit(f"{path} has no test images of its own")
    if size < 1:
        raise InputError(f"the image size must be positive, not {size}")
    found = cached(path, Recipe(size), cache, skip)
    labels, names = label([PurePosixPath(name) for name in found.names])
    name, images = Path(path).resolve().name, found.images
    if holdout:
        rows = np.flatnonzero(held_out(found.names, holdout) == (split == "test"))
        if not len(rows):
            raise InputError(f"--holdout {holdout:g} of {len(found.names):,} pictures leaves no {split} images")
        images, labels = images.take(rows), None if labels is None else labels[rows]
    held, classes = hold_or_stream(images, stream), len(names) if names else None
    return Dataset(held, labels, name, classes, images.digest, len(found.skipped), names)


def held_out(names: Sequence[str], share: float) -> np.ndarray:
    """Which pictures are test images, bool (N,): those whose names have the least SHA-256, N share of them, rounded.

    So neither the order of the files nor a seed matters, and a picture that is added moves hardly any other.
    """
    digests = [hashlib.sha256(name.encode(errors="surrogateescape")).digest() for name in names]
    chosen = np.zeros(len(names), bool)
    chosen[sorted(range(len(names)), key=digests.__getitem__)[: round(share * len(names))]] = True
    return chosen


def _draw(n: int, seed: int, split: str) -> Dataset:
    if n < 1 or not 0 <= seed < _TEST_STREAM:
        raise InputError(f"cannot draw {n} digits from seed {seed}: n is at least 1, the seed is in 0 … 2³² - 1")
    images, labels = stroke_digits(n, seed if split == "train" else seed + _TEST_STREAM)
    return Dataset(images, labels, "stroke-digits", 10)


def _resize(data: Dataset, size: int | None) -> Dataset:
    if size is None or data.images.shape[1:3] == (size, size):
        return data
    images = np.stack([np.asarray(square(Image.fromarray(image), size)) for image in np.asarray(data.images)])
    return replace(data, images=images)
