"""Tensors from a file of torch.save, without PyTorch and without executing the pickle in it.

There are two formats, both defined by PyTorch's torch/serialization.py. PyTorch 1.6 and later write a zip:
`<name>/data.pkl` is the object graph, and `<name>/data/<key>` are the raw storages. Older versions write a stream: five
pickles (magic number, protocol, system, object graph, storage keys), then for each key the number of elements as int64
and the raw storage. In the graph, a tensor is a storage, an offset, sizes and strides.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigan.errors import InputError
from minigan.unpickle import PickledDict, restricted_load

LARGEST = 1 << 31  # bytes of a file; FID's Inception network has 96 million
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of the stream
BFLOAT16 = np.dtype([("upper half of a float32", "<u2")])
STORAGES = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": BFLOAT16,
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}


PARALLEL = "module."  # before every name in a state dict of DataParallel


@dataclass
class Storage:
    """A flat piece of memory in a PyTorch file: its dtype, its name, and its number of elements."""

    dtype: np.dtype
    key: str
    numel: int

    def values(self, raw: bytes) -> np.ndarray:
        """The elements (numel,); bfloat16 becomes float32. ValueError for another number of bytes."""
        if len(raw) != self.numel * self.dtype.itemsize:
            raise ValueError(f"storage {self.key[:50]!r} has a wrong length")
        if self.dtype == BFLOAT16:
            return (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4")
        return np.frombuffer(raw, self.dtype)


@dataclass
class LazyTensor:
    """A tensor of the graph. Its values are read later, because the stream stores them after the graph.

    offset and stride count elements.
    """

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def view(self, values: np.ndarray) -> np.ndarray:
        """The tensor as a read-only view of its storage's elements, `values` (numel,); ValueError if it has too few."""
        last = self.offset + sum((n - 1) * s for n, s in zip(self.size, self.stride, strict=True))
        empty = 0 in self.size
        if min(self.offset, *self.size, *self.stride, 0) < 0 or (last >= len(values) and not empty):
            raise ValueError("a tensor reaches beyond its storage")
        strides = [s * values.itemsize for s in self.stride]
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.size, strides, writeable=False)


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> LazyTensor:
    whole = type(size) is type(stride) is tuple and all(type(n) is int for n in (offset, *size, *stride))
    if not isinstance(storage, Storage) or not whole:
        raise TypeError("a tensor without a storage")
    return LazyTensor(storage, offset, size, stride)


def _rebuild_parameter(data: Any, *_: Any) -> LazyTensor:
    if not isinstance(data, LazyTensor):
        raise TypeError("a parameter without a tensor")
    return data


ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): PickledDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    **{("torch", name): dtype for name, dtype in STORAGES.items()},
}


def load_torch(path: str | Path) -> dict[str, np.ndarray]:
    """The tensors of a state dict, by name; the state dict may also lie under "state_dict" in another dict.

    A prefix `module.` of all names is dropped.
    dtypes stay, except that bfloat16 becomes float32; the arrays are read-only. InputError for damaged files, for
    objects other than tensors, and for big-endian files.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"its {path.stat().st_size:,} bytes are too many: weights have at most {LARGEST:,}")
        data = path.read_bytes()
        if data[:4] == b"PK\3\4":
            graph, read = _open_zip(data)
        elif data[257:262] == b"ustar":
            raise InputError("a tar file of an old PyTorch: load and save it with a newer one")
        elif data[:1] == b"\x80":
            graph, read = _open_stream(data)
        else:
            raise InputError("not a file of torch.save")
        return _tensors(graph, read, len(data))
    except InputError as e:
        raise InputError(f"{path}: {e}") from e
    except OSError as e:
        raise InputError(f"{path}: cannot be read ({e.strerror or e})") from e
    except (
        ValueError, TypeError, LookupError, OverflowError, MemoryError, RuntimeError, EOFError,
        struct.error, zlib.error, zipfile.BadZipFile,
    ) as e:  # fmt: skip
        raise InputError(f"{path}: a damaged file of torch.save ({str(e)[:200]})") from e


def _open_zip(data: bytes) -> tuple[Any, Callable[[str], bytes]]:
    """The object graph, and a function that reads the storage of a key."""
    archive = zipfile.ZipFile(io.BytesIO(data))
    names = set(archive.namelist())
    graphs = [name for name in names if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(graphs) != 1:
        raise InputError("a zip file, but not one of torch.save")
    base = graphs[0].removesuffix("data.pkl")

    def record(name: str) -> bytes:
        info = archive.getinfo(base + name)
        if info.compress_type != zipfile.ZIP_STORED:
            raise InputError("a zip file whose records are compressed, which torch.save does not do")
        return archive.read(info)

    if base + "byteorder" in names and record("byteorder") != b"little":
        raise InputError("written on a big-endian machine, but only little-endian files are read")
    graph, _ = _load_graph(io.BytesIO(record("data.pkl")))
    return graph, lambda key: record(f"data/{key}")


def _open_stream(data: bytes) -> tuple[Any, Callable[[str], bytes]]:
    """The object graph, and a function that reads the storage of a key."""
    stream = io.BytesIO(data)
    if restricted_load(stream, {}) != MAGIC or restricted_load(stream, {}) != PROTOCOL:
        raise InputError("a pickle, but not a file of torch.save")
    system = restricted_load(stream, {}, encoding="utf-8")
    if system["little_endian"] is not True:
        raise InputError("written on a big-endian machine, but only little-endian files are read")
    graph, storages = _load_graph(stream)
    places: dict[str, slice] = {}
    for key in restricted_load(stream, {}, encoding="utf-8"):
        (numel,) = struct.unpack("<q", stream.read(8))
        start = stream.tell()
        places[key] = slice(start, start + numel * storages[key].dtype.itemsize)
        stream.seek(places[key].stop)
    return graph, lambda key: data[places[key]]


def _load_graph(stream: io.BytesIO) -> tuple[Any, dict[str, Storage]]:
    storages: dict[str, Storage] = {}

    def persistent_load(pid: Any) -> Storage:
        """pid: ("storage", type, key, location, numel); the stream appends a None."""
        if type(pid) is not tuple or len(pid) < 5 or pid[0] != "storage":
            raise InputError("the pickle refers to something that is not the storage of a tensor: refused")
        dtype, key, numel = pid[1], pid[2], pid[4]
        if not isinstance(dtype, np.dtype) or type(key) is not str or type(numel) is not int or any(pid[5:]):
            raise InputError("the pickle refers to a storage of an unknown kind: refused")
        storage = Storage(dtype, key, numel)
        if storages.setdefault(key, storage) != storage:
            raise InputError(f"the pickle refers to storage {key[:50]!r} as two different ones: refused")
        return storage

    graph = restricted_load(stream, ALLOWED, persistent_load=persistent_load, encoding="utf-8")
    return graph, storages


def _tensors(graph: Any, read: Callable[[str], bytes], most: int) -> dict[str, np.ndarray]:
    """The tensors of a state dict. Its storages together have at most `most` bytes, those of the file."""
    if isinstance(graph, dict) and isinstance(graph.get("state_dict"), dict):
        graph = graph["state_dict"]
    if not isinstance(graph, dict):
        raise InputError("it does not hold a dict of tensors (a state dict)")
    values: dict[str, np.ndarray] = {}  # the elements of each storage
    tensors = {}
    for name, tensor in graph.items():
        if type(name) is not str or not isinstance(tensor, LazyTensor):
            raise InputError(f"{str(name)[:100]!r} in it is not a tensor but {type(tensor).__name__}")
        storage = tensor.storage
        if storage.key not in values:
            raw = read(storage.key)
            if (most := most - len(raw)) < 0:
                raise InputError("its storages overlap: together they are larger than the file")
            values[storage.key] = storage.values(raw)
        tensors[name] = tensor.view(values[storage.key])
    if tensors and all(name.startswith(PARALLEL) for name in tensors):
        tensors = {name.removeprefix(PARALLEL): tensor for name, tensor in tensors.items()}
    return tensors
