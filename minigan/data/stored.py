"""Images on the disk, in NumPy's npy format, read by row without holding all of them.

A directory holds `images.npy`, uint8 (N, H, W) or (N, H, W, 3), and `checksums.npy`, one uint64 for each block of about
1 MiB of images. `images.npy` is mapped into memory, so the operating system reads only the pages that are used. A
checksum is written after its block. So a directory can be filled in place: after a kill the checksums tell which blocks
are complete.
"""

import hashlib
import math
import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.lib.format import open_memmap

from minigan.errors import InputError
from minigan.progress import Progress

BLOCK_BYTES = 1 << 20


def block_slices(shape: tuple[int, ...]) -> list[slice]:
    """The rows of each block of images of this shape (N, …)."""
    rows = max(1, BLOCK_BYTES // math.prod(shape[1:]))
    return [slice(start, min(start + rows, shape[0])) for start in range(0, shape[0], rows)]


def checksum(block: int, images: np.ndarray) -> int:
    """A 64-bit BLAKE2 of a block, salted with its number; never 0, which marks a block that is not written yet."""
    digest = hashlib.blake2b(np.ascontiguousarray(images).data, digest_size=8, salt=block.to_bytes(8, "little"))
    return int.from_bytes(digest.digest(), "little") or 1


def allocate(directory: Path, shape: tuple[int, ...]) -> None:
    """Create both files, zeros so far, and reserve their disk space; OSError if the disk is full."""
    for name, dtype, size in (("images", np.uint8, shape), ("checksums", np.uint64, (len(block_slices(shape)),))):
        path = directory / f"{name}.npy"
        open_memmap(path, "w+", dtype, size)
        if hasattr(os, "posix_fallocate"):  # or a full disk would kill the process when it writes into the map
            with open(path, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def open_arrays(directory: Path, mode: Literal["r", "r+"] = "r") -> tuple[np.memmap, np.memmap]:
    """(images, checksums), mapped into memory: "r" to read, "r+" to fill; ValueError if they do not fit together."""
    try:
        images, checksums = (open_memmap(directory / f"{name}.npy", mode) for name in ("images", "checksums"))
    except OSError:
        raise
    except Exception as e:  # for a damaged header NumPy raises nearly anything
        raise ValueError(str(e)) from e
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or not images.size:
        raise ValueError("images.npy does not hold uint8 images")
    if checksums.dtype != np.uint64 or checksums.shape != (len(block_slices(images.shape)),):
        raise ValueError("checksums.npy does not fit images.npy")
    return images, checksums


class StoredImages:
    """Some images of such a directory, indexed like an array: `images[7]`, `images[:100]`, `images[[5, 2, 5]]`.

    Indexing returns copies, uint8. The first read from a block checks the whole block; InputError if its checksum is
    wrong. If the file becomes unreadable while it is mapped, the operating system ends the process (SIGBUS).
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, directory: Path, rows: np.ndarray | None = None):
        self.directory = directory
        self.images, self.checksums = open_arrays(directory)
        self.blocks = block_slices(self.images.shape)
        self.block_rows = self.blocks[0].stop
        self.rows = np.arange(len(self.images)) if rows is None else rows
        self.shape = (len(self.rows), *self.images.shape[1:])
        self.ndim, self.nbytes = len(self.shape), math.prod(self.shape)
        self.checked = np.zeros(len(self.blocks), bool)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied to another process by the place of the files, not by the pixels."""
        return StoredImages, (self.directory, self.rows)

    @property
    def digest(self) -> str:
        """SHA-256 of the checksums, the shape and the rows: it changes with the images and with their order."""
        return hashlib.sha256(repr(self.shape).encode() + self.checksums.tobytes() + self.rows.tobytes()).hexdigest()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> np.ndarray:
        rows = self.rows[index]
        for block in np.unique(rows // self.block_rows).tolist():
            if not self.checked[block]:
                self._check(block)
        return np.take(self.images, rows, axis=0)

    def take(self, rows: np.ndarray) -> "StoredImages":
        """The images at these rows (n,) only."""
        return StoredImages(self.directory, self.rows[rows])

    def hold(self) -> np.ndarray:
        """All images in memory, uint8 (N, …); a bar shows the progress when it takes longer than two seconds."""
        out = np.empty(self.shape, np.uint8)
        for part in Progress(block_slices(self.shape), "reading images", unit="MB", delay=2):
            out[part] = self[part]
        return out

    def _check(self, block: int) -> None:
        if checksum(block, self.images[self.blocks[block]]) != self.checksums[block]:
            raise InputError(f"{self.directory} is damaged (block {block}): delete it to make it again")
        self.checked[block] = True
