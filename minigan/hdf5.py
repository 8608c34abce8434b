"""The HDF5 files of this project: written whole, sealed by SHA-256, and read only after a check.

A file that we write ends with a seal, a line of text after the HDF5 data that holds the SHA-256 of all bytes before it.
Reading checks the seal before the HDF5 library sees the file, because damaged files can crash the library or keep it
busy for ever. Programs that edit a file drop the seal, so the attribute `sha256` also holds the SHA-256 of the names,
dtypes, shapes, arrays and attributes. A file without a seal is first read by a process of its own (`minigan.probe`).
"""

import hashlib
import io
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from minigan.files import EXPANSION, reading, write_all, writing

SIGNATURE = b"\x89HDF\r\n\x1a\n"
SEAL = b"\nminigan sha256 "
SEAL_BYTES = len(SEAL) + 64 + 1
PROBE_SECONDS = 5  # of computing that the process may take; it reads at most 128 MiB
CHUNK_BYTES = 1 << 28  # of a compressed dataset are in memory at once, at most
_BLOCK = 1 << 20

Attributes = Mapping[str, str | int | float]
_checked: dict[Path, tuple[int, ...]] = {}  # files that were checked, as they were then
_noted: set[Path] = set()


# Writing -----------------------------------------------------------------------------------------


class Writer:
    """Arrays and attributes on their way into a new file."""

    def __init__(self, file: h5py.File):
        self.file = file
        self.hashes: dict[str, Any] = {}

    def array(self, name: str, values: np.ndarray, **options: Any) -> None:
        """Write a whole array of any shape; options as for h5py's create_dataset."""
        self.file.create_dataset(name, data=values, **options)
        self.hashes[name] = hashlib.sha256(np.ascontiguousarray(values).data)

    def rows(self, name: str, shape: tuple[int, ...], like: np.ndarray) -> Callable[[np.ndarray], None]:
        """A compressed array of this shape, in the dtype of `like`.

        The function that is returned appends rows, as many at once as `like` has.
        """
        dataset = self.file.create_dataset(name, shape, like.dtype, chunks=like.shape, compression="gzip")
        digest = self.hashes[name] = hashlib.sha256()
        done = 0

        def append(part: np.ndarray) -> None:
            nonlocal done
            dataset[done : done + len(part)] = part
            digest.update(np.ascontiguousarray(part).data)
            done += len(part)

        return append


@contextmanager
def writing_hdf5(path: str | os.PathLike, **attributes: str | int | float) -> Iterator[Writer]:
    """A new HDF5 file with these attributes, whole or not at all; the block gives it arrays.

    Text is stored with a fixed length. The HDF5 library keeps text of a variable length in a heap whose damage can make
    it read for ever. InputError if the disk is full.
    """
    with writing(path, flush=True) as raw:
        sink = _Sink(raw)
        try:
            with h5py.File(sink, "w") as f:
                for name, value in attributes.items():
                    f.attrs[name] = np.bytes_(_encoded(value)) if isinstance(value, str) else value
                writer = Writer(f)
                yield writer
                hashes = {name: digest.hexdigest() for name, digest in writer.hashes.items()}
                f.attrs["sha256"] = np.bytes_(_content(f, hashes).encode())
        finally:
            if sink.error is not None:
                raise sink.error
        size = raw.seek(0, os.SEEK_END)
        digest = _sha256(raw, size)
        raw.seek(size)
        write_all(raw, SEAL + digest.encode() + b"\n")


class _Sink(io.RawIOBase):
    """A file for h5py that keeps the first error of writing for later.

    The HDF5 library cannot close a file after such an error, and crashes when the interpreter ends. So it gets to know
    of none.
    """

    def __init__(self, raw: Any):
        self.raw = raw
        self.error: OSError | None = None

    def _try(self, call: Callable[[], Any]) -> None:
        if self.error is None:
            try:
                call()
            except OSError as e:
                self.error = e

    def write(self, data: Any) -> int:
        self._try(lambda: write_all(self.raw, data))
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        self._try(lambda: self.raw.truncate(size))
        return size or 0

    def readinto(self, buffer: Any) -> int:
        return self.raw.readinto(buffer)

    def seek(self, *place: int) -> int:
        return self.raw.seek(*place)

    def tell(self) -> int:
        return self.raw.tell()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")  # names of files may hold bytes that are not text


# Reading -----------------------------------------------------------------------------------------


@contextmanager
def reading_hdf5(
    path: str | os.PathLike, what: str = "cannot be read", form: str | None = None, ours: bool = False
) -> Iterator[h5py.File]:
    """Open a file after a check. InputError, "`path` `what`", if it is damaged.

    form: the attribute `format` that the file must have. Files of this project (those with a form, or `ours`) without a
    SHA-256 are of older versions: they are read, and stderr says so.
    """
    path = Path(path)
    with reading(path, what):
        check_file(path)
        with h5py.File(path, "r") as f:
            if form is not None and text(f.attrs.get("format")) != form:
                raise ValueError(f"it is HDF5, but not of the format {form!r}")
            if (ours or form is not None) and "sha256" not in f.attrs and path not in _noted:
                _noted.add(path)
                print(f"{path} has no SHA-256, as an older version wrote it: damage would not show", file=sys.stderr)
            yield f


def check_file(path: Path) -> None:
    """ValueError if a file is damaged, as far as can be known; the same file is checked once."""
    stat = os.stat(path)
    state = stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns
    if _checked.get(path) == state:
        return
    with open(path, "rb") as raw:
        seal = b""
        if stat.st_size > SEAL_BYTES:
            raw.seek(stat.st_size - SEAL_BYTES)
            seal = raw.read()
        if sealed := seal.startswith(SEAL):
            raw.seek(0)
            if _sha256(raw, stat.st_size - SEAL_BYTES) != seal[len(SEAL) :].decode("ascii", "replace").strip():
                raise ValueError("it is damaged: its SHA-256 differs")
    if not sealed:
        if not h5py.is_hdf5(path):
            raise ValueError("it is no HDF5 file")
        probe(path)
        with h5py.File(path, "r") as f:
            if "sha256" in f.attrs and _content(f, _hashes(f)) != text(f.attrs["sha256"]):
                raise ValueError("it is damaged: its SHA-256 differs")
    _checked[path] = state


def probe(path: Path) -> None:
    """ValueError unless a process of its own can read the file in time."""
    command = [sys.executable, "-m", "minigan.probe", os.path.abspath(path), str(PROBE_SECONDS)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path)}
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=8 * PROBE_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"the HDF5 library does not come to an end in {8 * PROBE_SECONDS} s") from None
    except OSError:  # no process can be started here
        return
    if done.returncode < 0:
        raise ValueError(f"it is damaged: the HDF5 library {'finds no end in it' if _out_of_time(done) else 'fails'}")
    if done.returncode:
        raise ValueError(done.stdout.decode(errors="replace").strip())


def _out_of_time(done: "subprocess.CompletedProcess[bytes]") -> bool:
    return -done.returncode in (getattr(signal, "SIGXCPU", None), getattr(signal, "SIGKILL", None))


def read_array(f: h5py.File, name: str) -> np.ndarray:
    """A whole array, of any shape, of a file that this project wrote.

    ValueError if it claims to be larger than the file.
    """
    dataset = f[name]
    if not isinstance(dataset, h5py.Dataset) or not isinstance(f.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name} is not an array of this file")
    if dataset.dtype.kind not in "biuf" or dataset.nbytes > os.path.getsize(f.filename):
        raise ValueError(f"{name} cannot be {dataset.dtype} {dataset.shape} in a file of this size")
    return dataset[()]


def array_names(f: h5py.File) -> list[str]:
    """The paths of all arrays in a file."""
    names: list[str] = []

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            names.append(name)

    f.visititems(note)
    return names


def text(value: Any) -> str | None:
    """An attribute as text: files of older versions hold text of variable length; None for anything else."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value if isinstance(value, str) else None


# SHA-256 -----------------------------------------------------------------------------------------


def _sha256(raw: Any, size: int) -> str:
    """The SHA-256 of the next `size` bytes of a file that stands at its beginning."""
    raw.seek(0)
    digest = hashlib.sha256()
    while size > 0 and (block := raw.read(min(size, _BLOCK))):
        digest.update(block)
        size -= len(block)
    return digest.hexdigest()


def _content(f: h5py.File, hashes: dict[str, str]) -> str:
    """The SHA-256 of everything a file says: attributes, names, dtypes, shapes, and `hashes` of the arrays."""
    facts: list[Any] = [["/", _attributes(f)]]

    def note(name: str, item: Any) -> None:
        array = [item.dtype.str, item.shape, hashes[name]] if isinstance(item, h5py.Dataset) else []
        facts.append([name, _attributes(item), *array])

    f.visititems(note)
    facts.sort(key=lambda fact: fact[0])
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _attributes(item: Any) -> list[Any]:
    values = {name: value for name, value in item.attrs.items() if name != "sha256"}
    return [[name, text(v) if text(v) is not None else np.asarray(v).tolist()] for name, v in sorted(values.items())]


def _hashes(f: h5py.File) -> dict[str, str]:
    """The SHA-256 of the bytes of every array in a file; ValueError if one claims more than the file can hold."""
    found, size = {}, os.path.getsize(f.filename)
    for name in array_names(f):
        dataset, digest = f[name], hashlib.sha256()
        if dataset.nbytes > EXPANSION * size or math.prod(dataset.chunks or ()) * dataset.dtype.itemsize > CHUNK_BYTES:
            raise ValueError(f"{name} cannot be {dataset.dtype} {dataset.shape} in a file of this size")
        if dataset.ndim == 0:
            digest.update(np.ascontiguousarray(dataset[()]).data)
        else:
            rows = max(1, _BLOCK * max(1, len(dataset)) // max(1, dataset.nbytes))
            if dataset.chunks:
                rows = -(-rows // dataset.chunks[0]) * dataset.chunks[0]
            for start in range(0, len(dataset), rows):
                digest.update(np.ascontiguousarray(dataset[start : start + rows]).data)
        found[name] = digest.hexdigest()
    return found
