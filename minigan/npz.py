"""NumPy's npy and npz files, read without believing what they say about their sizes."""

import math
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from minigan.errors import InputError

Arrays = dict[str, tuple[Any, tuple[int, ...]]]  # name: (dtype, shape)


def read_header(file: Any) -> tuple[tuple[int, ...], np.dtype]:
    """The shape and the dtype in the header of an npy file; any exception if it is damaged."""
    old = np.lib.format.read_magic(file) == (1, 0)
    read = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if any(type(n) is not int or n < 0 for n in shape):
        raise ValueError(f"an array of the shape {shape}")
    return shape, dtype


def npz_headers(path: str | Path | BinaryIO) -> Arrays:
    """The arrays of an npz file, as (dtype, shape) by name; none for a zip of other files.

    ValueError for an array of another size than its header says, and any exception for a damaged file.
    """
    arrays: Arrays = {}
    with zipfile.ZipFile(path) as z:
        for member in z.infolist():
            if member.filename.endswith(".npy"):
                with z.open(member) as file:
                    shape, dtype = read_header(file)
                    need, there = math.prod(shape) * dtype.itemsize, member.file_size - file.tell()
                    if need > there:
                        raise ValueError(f"{member.filename} ends before its array {dtype} {shape}")
                    if need < there and not dtype.hasobject:  # the checksum is compared at the end, and never before
                        raise ValueError(f"{member.filename} goes on after its array {dtype} {shape}")
                    arrays[member.filename.removesuffix(".npy")] = dtype, shape
    return arrays


def npz_array(path: Path, name: str, most: float) -> np.ndarray:
    """One array of an npz file, in the dtype and the shape of its header.

    InputError if it has more than `most` bytes, KeyError if there is none, any other exception for a damaged file.
    """
    dtype, shape = npz_headers(path)[name]
    if (size := math.prod(shape) * dtype.itemsize) > most:
        raise InputError(f"{path}: {name} {dtype} {shape} needs {size / 2**30:,.1f} GiB, more than can be read here")
    with np.load(path, allow_pickle=False) as file:
        return file[name]
