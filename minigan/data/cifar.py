"""CIFAR-10 (Krizhevsky 2009): 50,000 and 10,000 colour images of 32 x 32 in ten classes.

There are five training batches and a test batch, as Python pickles, which are read without executing them, or in the
binary version: for each image a label and a red, a green and a blue plane, 1 + 3072 bytes.
"""

import lzma
import os
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from minigan.data.dataset import Dataset, check_split
from minigan.data.tars import Archive
from minigan.errors import InputError, NoSuchSplit
from minigan.files import why
from minigan.unpickle import NUMPY, PickledArray, restricted_load

_BATCHES = {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]}
_PLACES = ("", "cifar-10-batches-py", "cifar-10-batches-bin", "cifar-10-python.tar.gz", "cifar-10-binary.tar.gz")
_PIXELS = 3 * 32 * 32
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]  # as published
_LARGEST = 1 << 26  # bytes that a batch may have; the real ones have 31 million


def load_cifar10(path: str | os.PathLike, split: str = "train") -> Dataset:
    """Images uint8 (N, 32, 32, 3) and labels int64 (N,) of the split "train" or "test".

    path: the tar, its unpacked folder, or a folder that holds one of these. InputError if they are missing or damaged;
    NoSuchSplit, a kind of it, if only the test batch is missing.
    """
    check_split(split)
    place, files = find_cifar10(path, split)
    if place is None:
        if split == "test" and (train := find_cifar10(path)[0]):  # training works without the test batch
            raise NoSuchSplit(f"{train} lacks {_BATCHES[split][0]}")
        if not os.path.exists(path):
            raise InputError(f"{path} does not exist; --download fetches CIFAR-10 into a folder")
        raise InputError(f"{path} holds no CIFAR-10: neither cifar-10-python.tar.gz nor data_batch_1; see --download")
    planes, labels = [], []
    for name in _BATCHES[split]:
        binary = name not in files
        data = files.get(f"{name}.bin" if binary else name)
        if data is None:
            raise InputError(f"{place} lacks {name}")
        try:
            batch_planes, batch_labels = _binary(data) if binary else _pickled(data)
        except InputError as e:
            raise InputError(f"{place}, {name}: {e}") from e
        planes.append(batch_planes)
        labels.append(batch_labels)
    images = np.concatenate(planes).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    found = np.concatenate(labels).astype(np.int64)
    return Dataset(np.ascontiguousarray(images), found, "CIFAR-10", len(CLASSES), class_names=CLASSES)


def holds_cifar10(folder: Path) -> bool:
    """Whether a folder holds CIFAR-10, by the names of its files."""
    names = [name + suffix for batches in _BATCHES.values() for name in batches for suffix in ("", ".bin")]
    places = [folder / place for place in _PLACES if place]
    return any(place.is_file() for place in places) or any(
        (place / name).is_file() for place in [folder, *places] for name in names
    )


def find_cifar10(path: str | os.PathLike, split: str = "train") -> tuple[Path | None, dict[str, bytes]]:
    """The tar or folder that holds CIFAR-10, and its batches of a split by name; (None, {}) if there is none.

    Where several places hold batches, the first that holds all of them counts. InputError for a damaged tar.
    """
    some: tuple[Path | None, dict[str, bytes]] = None, {}
    for place in [Path(path, place) for place in _PLACES] if os.path.isdir(path) else [Path(path)]:
        files = _files(place, _BATCHES[split])
        if all(name in files or f"{name}.bin" in files for name in _BATCHES[split]):
            return place, files
        if files and not some[1]:
            some = place, files
    return some


def _files(place: Path, batches: list[str]) -> dict[str, bytes]:
    """The batches in a folder or a tar, pickled or binary (NAME.bin), by name."""
    names = {*batches, *(f"{name}.bin" for name in batches)}
    try:
        if place.is_dir():
            there = [place / name for name in sorted(names) if (place / name).is_file()]
            return {path.name: path.read_bytes() for path in there if path.stat().st_size <= _LARGEST}
        if not place.is_file():
            return {}
        found: dict[str, bytes] = {}
        with Archive.open(place) as tar:
            for member in tar:
                name = PurePosixPath(member.name).name
                if name in names and member.isfile() and member.size <= _LARGEST and (file := tar.extractfile(member)):
                    found[name] = file.read()
                if all(name in found or f"{name}.bin" in found for name in batches):  # do not unpack the rest
                    break
        return found
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as e:
        raise InputError(f"{place} is not a complete tar archive: {why(e)}") from e
    except Exception as e:  # tarfile raises nearly anything for damaged heads
        raise InputError(f"cannot read {place}: {why(e)}") from e


def _binary(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    if not data or len(data) % (1 + _PIXELS):
        raise InputError(f"{len(data)} bytes are not a multiple of {1 + _PIXELS}")
    rows = np.frombuffer(data, np.uint8).reshape(-1, 1 + _PIXELS)
    return _checked(rows[:, 1:], rows[:, 0])


def _pickled(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    batch = restricted_load(data, NUMPY, encoding="bytes")
    if not isinstance(batch, dict):
        raise InputError("a pickle, but not of a CIFAR-10 batch")
    pixels, labels = (_array(batch.get(key.encode(), batch.get(key))) for key in ("data", "labels"))
    return _checked(pixels, labels)


def _array(value: Any) -> np.ndarray:
    """The values of an array or of a list of integers; an empty array for anything else."""
    if isinstance(value, PickledArray):
        return value.array
    if isinstance(value, list) and all(type(v) is int and abs(v) < 2**31 for v in value):
        return np.array(value, np.float64)
    if isinstance(value, list) and value and all(isinstance(v, np.integer) for v in value):
        return np.array(value)
    return np.empty(0)


def _checked(pixels: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != _PIXELS or not len(pixels):
        raise InputError(f"its data are {pixels.dtype} {pixels.shape}, not uint8 (N, {_PIXELS})")
    if labels.shape != pixels.shape[:1] or not ((labels >= 0) & (labels < 10)).all():
        raise InputError(f"its labels are not {len(pixels)} numbers from 0 to 9")
    return pixels, labels
