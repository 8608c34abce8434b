"""Images in an HDF5 file, read by row without holding them: the form that large datasets have.

The file is plain HDF5, which any program reads: `images` uint8 (N, H, W) or (N, H, W, 3) in chunks of about 1 MiB,
uncompressed, and `checksums` with one number for each chunk. Rows are read past the HDF5 library, straight from where
it says that the chunks lie, because a random batch of 64 takes 0.5 ms so, and 15 ms through the library. For the same
reason the file can be filled in place: a kill at any moment leaves valid HDF5, and checksums tell what is done.
"""

import hashlib
import os
import threading
import weakref
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from tqdm import tqdm

from minigan.errors import InputError

_CHUNK_BYTES = 1 << 20


def rows_per_chunk(shape: tuple[int, ...]) -> int:
    """For images of this shape, without N."""
    return max(1, _CHUNK_BYTES // int(np.prod(shape)))


def allocate(file: h5py.File, shape: tuple[int, ...]) -> None:
    """Create `images` of this shape and its `checksums`, 0 for chunks not yet there, at places that stay."""
    rows = min(shape[0], rows_per_chunk(shape[1:]))
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_chunk((rows, *shape[1:]))
    layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    h5py.h5d.create(file.id, b"images", h5py.h5t.NATIVE_UINT8, h5py.h5s.create_simple(shape), layout)
    file["checksums"] = np.zeros(-(-shape[0] // rows), "<u8")


class ChunkFile:
    """The chunks of such a file by number, for reading and for filling. Threads may share it."""

    def __init__(self, path: Path, write: bool = False):
        self.path = path
        with h5py.File(path, "r") as f:
            images, checksums = f["images"], f["checksums"]
            self.shape: tuple[int, ...] = images.shape
            self.rows: int = images.chunks[0]
            self.checksums: np.ndarray = checksums[()]
            self.checksums_at: int = checksums.id.get_offset()
            self.chunks_at = np.zeros(len(self.checksums), np.int64)

            def note(chunk: Any) -> None:
                self.chunks_at[chunk.chunk_offset[0] // self.rows] = chunk.byte_offset

            images.id.chunk_iter(note)
        if len(self.checksums) != -(-self.shape[0] // self.rows) or not self.chunks_at.all():
            raise ValueError("its chunks are not all there")
        self.row_bytes = int(np.prod(self.shape[1:]))
        self.file = open(path, "r+b" if write else "rb", buffering=0)
        self.lock = threading.Lock()
        self.close = weakref.finalize(self, self.file.close)  # called at the latest when nobody needs it any more

    def read_row(self, row: int, out: np.ndarray) -> None:
        self._read(self.chunks_at[row // self.rows] + row % self.rows * self.row_bytes, out)

    def read_chunk(self, chunk: int) -> np.ndarray:
        """Its images (n, H, W[, 3]), unchecked."""
        n = min(self.rows, self.shape[0] - chunk * self.rows)
        out = np.empty((n, *self.shape[1:]), np.uint8)
        self._read(self.chunks_at[chunk], out)
        return out

    def is_whole(self, chunk: int, images: np.ndarray) -> bool:
        return bool(self.checksums[chunk]) and _checksum(chunk, images) == self.checksums[chunk]

    def write_chunk(self, chunk: int, images: np.ndarray) -> None:
        """First the images, then their checksum."""
        self.checksums[chunk] = _checksum(chunk, images)
        self._write(self.chunks_at[chunk], images)
        self._write(self.checksums_at + 8 * chunk, self.checksums[chunk : chunk + 1])

    def flush(self) -> None:
        os.fsync(self.file.fileno())

    def _read(self, at: int, out: np.ndarray) -> None:
        with self.lock:
            self.file.seek(int(at))
            done = self.file.readinto(out.data.cast("B"))
        if done != out.nbytes:
            raise InputError(f"{self.path} is cut short: delete it, and it is made again")

    def _write(self, at: int, data: np.ndarray) -> None:
        view = np.ascontiguousarray(data).data.cast("B")
        with self.lock:
            self.file.seek(int(at))
            while view:
                view = view[self.file.write(view) :]


def _checksum(chunk: int, images: np.ndarray) -> np.uint64:
    digest = hashlib.blake2b(np.ascontiguousarray(images).data, digest_size=8, salt=int(chunk).to_bytes(8, "little"))
    return np.uint64(int.from_bytes(digest.digest(), "little") or 1)


class StoredImages:
    """Some rows of a file, indexed like an array: `images[7]`, `images[:100]`, `images[np.array([5, 2, 5])]`.

    A chunk is checked as a whole the first time a row of it is read.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, file: ChunkFile, rows: np.ndarray | None = None):
        self.file = file
        self.rows = np.arange(file.shape[0]) if rows is None else rows
        self.shape = (len(self.rows), *file.shape[1:])
        self.ndim, self.nbytes = len(self.shape), len(self.rows) * file.row_bytes
        self.checked = np.zeros(len(file.checksums), bool)

    @property
    def digest(self) -> str:
        """SHA-256 that changes with the images, their shape and their order."""
        return hashlib.sha256(
            repr(self.shape).encode() + self.file.checksums.tobytes() + self.rows.tobytes()
        ).hexdigest()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> np.ndarray:
        rows = self.rows[index]
        out = np.empty((*np.shape(rows), *self.shape[1:]), np.uint8)
        for row, place in zip(np.ravel(rows), out.reshape(-1, *self.shape[1:]), strict=True):
            if not self.checked[row // self.file.rows]:
                self._check(row // self.file.rows)
            self.file.read_row(row, place)
        return out

    def take(self, rows: np.ndarray) -> "StoredImages":
        """The images of these rows only."""
        return StoredImages(self.file, self.rows[rows])

    def hold(self, progress: bool = True) -> np.ndarray:
        """All of them in memory."""
        out = np.empty(self.shape, np.uint8)
        order = np.argsort(self.rows, kind="stable")
        bounds = np.searchsorted(self.rows[order], np.arange(len(self.checked) + 1) * self.file.rows)
        chunks = tqdm(range(len(self.checked)), "reading images", unit="MB", delay=2, disable=not progress)
        for chunk in chunks:
            here = order[bounds[chunk] : bounds[chunk + 1]]
            if len(here):
                out[here] = self._check(chunk)[self.rows[here] - chunk * self.file.rows]
        return out

    def _check(self, chunk: int) -> np.ndarray:
        images = self.file.read_chunk(chunk)
        if not self.file.is_whole(chunk, images):
            raise InputError(f"{self.file.path} is damaged (chunk {chunk}): delete it, and it is made again")
        self.checked[chunk] = True
        return images
