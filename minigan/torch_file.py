"""Tensors out of a file of torch.save, without PyTorch and without running the pickle in it.

Two containers: the zip of PyTorch 1.6 and later (`<name>/data.pkl`, the object graph, and `<name>/data/<key>`, the raw
storages), and the stream before it (five pickles: magic number, protocol, system, object graph, storage keys; then for
each key the int64 number of elements and the raw storage). A tensor in the graph is a storage, an offset, sizes and
strides. As in PyTorch's torch/serialization.py.
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


@dataclass
class Storage:
    dtype: np.dtype
    key: str
    numel: int

    def values(self, raw: bytes) -> np.ndarray:
        """The elements in their order (numel,); bfloat16 as float32."""
        if len(raw) != self.numel * self.dtype.itemsize:
            raise ValueError(f"storage {self.key[:50]!r} is not of the length it should have")
        if self.dtype == BFLOAT16:
            return (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4")
        return np.frombuffer(raw, self.dtype)


@dataclass
class LazyTensor:
    """A tensor of the graph, whose values are read later: in the stream they come behind it."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def view(self, values: np.ndarray) -> np.ndarray:
        """The tensor as a view of its storage's elements; it cannot be written into."""
        last = self.offset + sum((n - 1) * s for n, s in zip(self.size, self.stride, strict=True))
        if min(self.offset, 0, *self.size, *self.stride) < 0 or 0 not in self.size and last >= len(values):
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
    """The tensors of a state dict by name: a dict of tensors, or one under "state_dict" in a dict of anything plain.

    float16, float32, float64, integers and booleans as they are, bfloat16 as float32; the arrays cannot be written
    into. InputError for damaged files, for other objects than tensors and for big-endian files.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        if data[:4] == b"PK\3\4":
            graph, read = _open_zip(data)
        elif data[257:262] == b"ustar":
            raise InputError("a tar file of an old PyTorch: load and save it with a newer one")
        elif data[:1] == b"\x80":
            graph, read = _open_stream(data)
        else:
            raise InputError("not a file of torch.save")
        return _tensors(graph, read)
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
    """The object graph, and what reads the storage of a key."""
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
        raise InputError("written on a big-endian machine: only little-endian files are read")
    graph, _ = _load_graph(io.BytesIO(record("data.pkl")))
    return graph, lambda key: record(f"data/{key}")


def _open_stream(data: bytes) -> tuple[Any, Callable[[str], bytes]]:
    """The object graph, and what reads the storage of a key."""
    stream = io.BytesIO(data)
    if restricted_load(stream, {}) != MAGIC or restricted_load(stream, {}) != PROTOCOL:
        raise InputError("a pickle, but not a file of torch.save")
    system = restricted_load(stream, {}, encoding="utf-8")
    if system["little_endian"] is not True:
        raise InputError("written on a big-endian machine: only little-endian files are read")
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
        """('storage', type, key, location, numel), in the stream with a None at the end"""
        if type(pid) is not tuple or len(pid) < 5 or pid[0] != "storage":
            raise InputError("the pickle refers to something that is no storage of a tensor: refused")
        dtype, key, numel = pid[1], pid[2], pid[4]
        if not isinstance(dtype, np.dtype) or type(key) is not str or type(numel) is not int or any(pid[5:]):
            raise InputError("the pickle refers to a storage of an unknown kind: refused")
        storage = Storage(dtype, key, numel)
        if storages.setdefault(key, storage) != storage:
            raise InputError(f"the pickle refers to storage {key[:50]!r} as two different ones: refused")
        return storage

    graph = restricted_load(stream, ALLOWED, persistent_load=persistent_load, encoding="utf-8")
    return graph, storages


def _tensors(graph: Any, read: Callable[[str], bytes]) -> dict[str, np.ndarray]:
    if isinstance(graph, dict) and isinstance(graph.get("state_dict"), dict):
        graph = graph["state_dict"]
    if not isinstance(graph, dict):
        raise InputError("it holds no dict of tensors (a state dict)")
    values: dict[str, np.ndarray] = {}  # of each storage
    tensors = {}
    for name, tensor in graph.items():
        if type(name) is not str or not isinstance(tensor, LazyTensor):
            raise InputError(f"{str(name)[:100]!r} in it is no tensor but {type(tensor).__name__}")
        storage = tensor.storage
        if storage.key not in values:
            values[storage.key] = storage.values(read(storage.key))
        tensors[name] = tensor.view(values[storage.key])
    return tensors
