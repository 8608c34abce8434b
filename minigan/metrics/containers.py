"""What a path holds, and which of the arrays in a file are its images: found by content, never by the file's name."""

import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from minigan import checkpoint
from minigan.errors import InputError
from minigan.metrics import statistics
from minigan.metrics.statistics import DAMAGE

DRAWN = {"stroke-digits": "drawn by a program, not MNIST", "faces": "drawn by a program, not CelebA"}
USUAL = ("images", "arr_0")  # names that images have in files: ours, and NumPy's for an array without one

Arrays = dict[str, tuple[Any, tuple[int, ...]]]  # name: (dtype, shape)


def sniff(spec: str | os.PathLike) -> str:
    """folder, zip, tar, run, checkpoint, statistics, hdf5, npz, npy or idx; drawn for a name in `DRAWN`, if no path."""
    path = Path(spec)
    if not path.exists():
        if str(spec) in DRAWN:
            return "drawn"
        raise InputError(f"{path} does not exist")
    if path.is_dir():
        if any((path / name).is_file() for name in ("best.h5", "checkpoint.h5")):
            return "run"
        if run := next(path.glob("*/checkpoint.h5"), None):  # its pictures are grids and curves
            raise InputError(f"{path} holds training runs, not images: name one of them, as {run.parent}")
        return "folder"
    if not path.is_file():  # a pipe or a device, which might never end
        raise InputError(f"{path} is neither a file nor a folder")
    try:
        with open(path, "rb") as file:
            head = file.read(8)
        if head == b"\x89HDF\r\n\x1a\n":
            with h5py.File(path, "r") as f:
                form = f.attrs.get("format")
            return {checkpoint.FORMAT: "checkpoint", statistics.FORMAT: "statistics"}.get(form, "hdf5")
        if head[:4] == b"PK\x03\x04":
            arrays = _npz_headers(path)
            if not arrays:
                return "zip"
            return "statistics" if {"mu", "sigma"} <= arrays.keys() and not _suitable(arrays) else "npz"
        if tarfile.is_tarfile(path):
            return "tar"
    except DAMAGE as e:
        raise InputError(f"{path} cannot be read ({e})") from e
    if head[:6] == b"\x93NUMPY":
        return "npy"
    if head[:2] in (b"\0\0", b"\x1f\x8b"):
        return "idx"
    if head[:4] == b"\x89PNG" or head[:3] == b"\xff\xd8\xff":
        raise InputError(f"{path} is a single image: name the folder of many")
    raise InputError(
        f"{path} holds no images: it is no folder, zip or tar of pictures, IDX, HDF5, npz or npy file or checkpoint"
    )


def hdf5_images(path: Path) -> tuple[str, tuple[int, ...]]:
    """The name and the shape of the dataset that holds the images."""
    arrays: Arrays = {}

    def look(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[name] = item.dtype, item.shape

    try:
        with h5py.File(path, "r") as f:
            f.visititems(look)
    except DAMAGE as e:
        raise InputError(f"{path} cannot be read ({e})") from e
    name = _choose(path, arrays)
    return name, arrays[name][1]


def npz_images(path: Path) -> tuple[str, np.ndarray]:
    """The name and the values of the array that holds the images."""
    try:
        name = _choose(path, _npz_headers(path))
        with np.load(path, allow_pickle=False) as file:
            return name, file[name]
    except DAMAGE as e:
        raise InputError(f"{path} cannot be read ({e})") from e


def npy_images(path: Path) -> np.ndarray:
    """The images of an npy file, mapped and not read."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except DAMAGE as e:
        raise InputError(f"{path} cannot be read ({e})") from e
    _choose(path, {"the array": (array.dtype, array.shape)})
    return array


def upright(images: np.ndarray) -> np.ndarray:
    """Images in any layout of `is_images` → (n, H, W) or (n, H, W, 3)."""
    if images.ndim == 4 and images.shape[3] not in (1, 3):
        images = images.transpose(0, 2, 3, 1)
    return images[..., 0] if images.shape[3:] == (1,) else images


def is_images(dtype: Any, shape: tuple[int, ...]) -> bool:
    """uint8 (N, H, W), or (N, H, W, C) or (N, C, H, W) of 1 or 3 channels; (H, W, 3) is one image and none of these."""
    if dtype != np.uint8 or 0 in shape[1:]:
        return False
    return len(shape) == 3 and shape[2] > 4 or len(shape) == 4 and bool({shape[1], shape[3]} & {1, 3})


def _suitable(arrays: Arrays) -> list[str]:
    return [name for name, (dtype, shape) in arrays.items() if is_images(dtype, shape)]


def _choose(path: Path, arrays: Arrays) -> str:
    """The array with a usual name, or the only one that can be images."""
    names = _suitable(arrays)
    usual = [name for name in USUAL if name in names]
    if usual or len(names) == 1:
        return (usual or names)[0]
    if names:
        raise InputError(
            f"{path} holds several arrays that can be images ({', '.join(names)}): call one of them images"
        )
    held = ", ".join(f"{name} {dtype} {shape}" for name, (dtype, shape) in list(arrays.items())[:4]) or "nothing"
    raise InputError(f"{path} holds no images, uint8 (N, H, W) or (N, H, W, 3), but {held}")


def _npz_headers(path: Path) -> Arrays:
    arrays: Arrays = {}
    with zipfile.ZipFile(path) as z:
        for member in z.namelist():
            if member.endswith(".npy"):
                with z.open(member) as file:
                    old = np.lib.format.read_magic(file) == (1, 0)
                    read = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
                    shape, _, dtype = read(file)
                    arrays[member.removesuffix(".npy")] = dtype, shape
    return arrays
