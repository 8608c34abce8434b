"""The IDX format of the MNIST files (http://yann.lecun.com/exdb/mnist), plain or gzipped.

Everything is big-endian: two zero bytes, a type code, the number of dimensions, each dimension as uint32, the values.
"""

import gzip
import math
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np

from minigan.data.stream import fits
from minigan.errors import InputError, NotIdx
from minigan.files import EXPANSION

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_BLOCK = 1 << 20


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """The array in an IDX file, in native byte order, of the dtype and the shape that its header says.

    InputError, with the file's name, for any defect.
    """
    with opened(path) as file:
        return _read(file, path)


@contextmanager
def opened(path: str | os.PathLike) -> Iterator[BinaryIO | gzip.GzipFile]:
    """A file, unpacked if it is gzipped. What goes wrong while it is read is an InputError with its name."""
    try:
        with open(path, "rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if not zipped:
                yield raw
            else:
                with gzip.open(raw) as unzipped:
                    yield unzipped
    except EOFError:
        raise InputError(f"{path} is truncated: its gzip data end too early") from None
    except struct.error as error:
        raise InputError(f"{path} is damaged gzip data: {error}") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path} is damaged gzip data: {error}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None


def _read(file: BinaryIO | gzip.GzipFile, path: str | os.PathLike) -> np.ndarray:
    magic = _read_up_to(file, 4)
    if len(magic) == 4 and (magic[:2] != b"\0\0" or magic[2] not in _DTYPES):
        raise NotIdx(f"{path} is not an IDX file: it begins with {magic.hex()}, not 0000 and a type code")
    header = _read_up_to(file, 4 * magic[3]) if len(magic) == 4 else b""
    if len(magic) < 4 or len(header) < 4 * magic[3]:
        raise InputError(f"{path} is truncated: it ends within its IDX header")

    dtype = np.dtype(_DTYPES[magic[2]])
    shape = tuple(int(size) for size in np.frombuffer(header, ">u4"))
    expected = math.prod(shape) * dtype.itemsize
    size, zipped = os.stat(path).st_size, isinstance(file, gzip.GzipFile)
    if zipped and expected > EXPANSION * size:
        raise InputError(f"{path} does not fit its header: {size} bytes cannot unpack to {shape} {dtype.name}")
    if (zipped or expected <= size) and not fits(expected):
        raise InputError(f"{path}: {shape} {dtype.name} does not fit in memory")
    data = _read_up_to(file, expected + 1)
    if len(data) != expected:
        found = f"only {len(data)}" if len(data) < expected else "more"
        raise InputError(f"{path} does not fit its header: {shape} {dtype.name} needs {expected} bytes, it has {found}")
    try:
        return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))
    except ValueError:  # too many dimensions for NumPy, or a 0 beside sizes whose product overflows
        raise InputError(f"{path} has absurd dimensions: {shape}") from None


def _read_up_to(file: BinaryIO | gzip.GzipFile, size: int) -> bytes:
    """Read size bytes, or all there are; in blocks, because one read would allocate what a damaged header asks for."""
    blocks = []
    while size > 0 and (block := file.read(min(size, _BLOCK))):
        blocks.append(block)
        size -= len(block)
    return b"".join(blocks)
