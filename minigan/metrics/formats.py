"""What a path holds, and which array in a file holds its images: decided by the content, but a CSV file by its name."""

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from minigan import checkpoint
from minigan.data.cifar import holds_cifar10
from minigan.data.csv_images import is_csv
from minigan.data.mnist import find_files
from minigan.data.stream import free_share
from minigan.data.tars import is_tar
from minigan.errors import InputError
from minigan.files import EXPANSION, reading, unusable
from minigan.hdf5 import CHUNK_BYTES, SIGNATURE, array_names, reading_hdf5, text
from minigan.metrics import statistics
from minigan.npz import Arrays, npz_array, npz_headers

DRAWN = {"stroke-digits": "drawn by a program, not MNIST", "faces": "drawn by a program, not CelebA"}
USUAL = ("images", "arr_0", "x_test")  # names of image arrays: ours, NumPy's without a name, mnist.npz of Keras
IMAGE_BYTES = 1 << 28  # of one image in a file, at most: several are in memory at once


def detect_kind(spec: str | os.PathLike) -> str:
    """folder, mnist, cifar-10, zip, tar, run, checkpoint, statistics, hdf5, npz, npy, idx, csv; drawn for a name
    in `DRAWN`. InputError for everything else.
    """
    path = Path(spec)
    if not path.exists():
        if str(spec) in DRAWN:
            return "drawn"
        raise InputError(unusable(path))
    if path.is_dir():
        return _folder_kind(path)
    if not path.is_file():
        raise InputError(unusable(path))
    if is_csv(path):
        return "csv"
    with reading(path):
        with open(path, "rb") as file:
            head = file.read(8)
        if head[:4] == b"PK\x03\x04":
            return _zip_kind(path)
        if is_tar(path):
            return "tar"
    if head == SIGNATURE:
        with reading_hdf5(path) as f:
            form = text(f.attrs.get("format"))
        return {checkpoint.FORMAT: "checkpoint", statistics.FORMAT: "statistics"}.get(form or "", "hdf5")
    if head[:6] == b"\x93NUMPY":
        return "npy"
    if head[:2] in (b"\0\0", b"\x1f\x8b"):
        return "idx"
    if head[:4] == b"\x89PNG" or head[:3] == b"\xff\xd8\xff":
        raise InputError(f"{path} is a single image: give a folder of images")
    raise InputError(
        f"{path} holds no images: it is not a folder, zip or tar of pictures, nor an IDX, CSV, HDF5, npz or npy file, "
        "nor a checkpoint"
    )


def _folder_kind(path: Path) -> str:
    if any((path / name).is_file() for name in ("best.h5", "checkpoint.h5")):
        return "run"
    if run := next(path.glob("*/checkpoint.h5"), None):  # the PNG files of a run are grids and curves
        raise InputError(f"{path} holds training runs, not images: give one of them, such as {run.parent}")
    if find_files(path):
        return "mnist"
    if holds_cifar10(path):
        return "cifar-10"
    return "folder"


def _zip_kind(path: Path) -> str:
    arrays = npz_headers(path)
    if not arrays:
        return "zip"
    if {"mu", "sigma"} <= arrays.keys() and not _suitable(arrays):
        return "statistics"
    return "npz"


def hdf5_images(path: Path) -> tuple[str, tuple[int, ...]]:
    """The name and the shape of the dataset that holds the images; InputError if there is none, or too large a one."""
    with reading_hdf5(path) as f:
        arrays: Arrays = {name: (f[name].dtype, f[name].shape) for name in array_names(f)}
        name = _choose(path, arrays)
        dataset, size = f[name], os.path.getsize(path)
        _check_size(path, name, dataset.nbytes, EXPANSION * size)
        _check_size(path, f"a chunk of {name}", math.prod(dataset.chunks or ()), CHUNK_BYTES)
        _check_size(path, f"an image of {name}", math.prod(dataset.shape[1:]), IMAGE_BYTES)
    return name, arrays[name][1]


def npz_images(path: Path) -> tuple[str, np.ndarray]:
    """The name and the values, uint8 (N, …), of the array that holds the images; InputError if there is none."""
    with reading(path):
        name = _choose(path, npz_headers(path))
        return name, npz_array(path, name, free_share())


def npy_images(path: Path) -> np.ndarray:
    """The images of an npy file, uint8 (N, …), mapped into memory instead of read; InputError if it holds none."""
    with reading(path):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    _choose(path, {"the array": (array.dtype, array.shape)})
    return array


def _check_size(path: Path, what: str, size: int, most: float) -> None:
    if size > most:
        raise InputError(f"{path}: {what} has {size / 2**20:,.0f} MiB, and at most {most / 2**20:,.0f} are read")


def upright(images: np.ndarray) -> np.ndarray:
    """Images in any layout of `is_images` → (n, H, W) or (n, H, W, 3)."""
    if images.ndim == 4 and images.shape[3] not in (1, 3):
        images = images.transpose(0, 2, 3, 1)
    return images[..., 0] if images.shape[3:] == (1,) else images


def is_images(dtype: Any, shape: tuple[int, ...]) -> bool:
    """Whether this is uint8 (N, H, W), or (N, H, W, C) or (N, C, H, W) with 1 or 3 channels.

    (H, W, 3) and (H, W, 4) are taken for one image, which is not enough.
    """
    if dtype != np.uint8 or 0 in shape[1:]:
        return False
    if len(shape) == 3:
        return shape[2] > 4
    return len(shape) == 4 and (shape[1] in (1, 3) or shape[3] in (1, 3))


def _suitable(arrays: Arrays) -> list[str]:
    return [name for name, (dtype, shape) in arrays.items() if is_images(dtype, shape)]


def _choose(path: Path, arrays: Arrays) -> str:
    """The image array: the one with a usual name, or the only one that can hold images."""
    names = _suitable(arrays)
    for name in USUAL:
        if name in names:
            return name
    if len(names) == 1:
        return names[0]
    if names:
        raise InputError(
            f"{path} holds several arrays that can be images ({', '.join(names)}): name one of them images"
        )
    held = ", ".join(f"{name} {dtype} {shape}" for name, (dtype, shape) in list(arrays.items())[:4]) or "nothing"
    raise InputError(f"{path} holds no images, uint8 (N, H, W) or (N, H, W, 3), but {held}")
