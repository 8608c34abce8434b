"""Files as torch.save writes them, put together by hand, where no PyTorch is needed to read them.

FLOAT = storage("FloatStorage", "0", 12)
zip_file(path, state_dict({"w": tensor(FLOAT, 0, (3, 4), (4, 1))}), {"0": bytes(48)})
"""

import pickle
import struct
import zipfile

import numpy as np
import pytest

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


def text(s):
    raw = s.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(n):
    return b"J" + struct.pack("<i", n)


def numbers(values):
    return b"(" + b"".join(map(number, values)) + b"t"


def found(module, name):
    return f"c{module}\n{name}\n".encode()


def storage(kind, key, numel, *more):
    """A persistent id; `more`: what the stream has behind it."""
    return (
        b"(" + text("storage") + found("torch", kind) + text(key) + text("cpu") + number(numel) + b"".join(more) + b"tQ"
    )


def tensor(storage, offset, size, stride):
    hooks = found("collections", "OrderedDict") + b")R"
    arguments = storage + number(offset) + numbers(size) + numbers(stride) + b"\x89" + hooks
    return found("torch._utils", "_rebuild_tensor_v2") + b"(" + arguments + b"tR"


def parameter(tensor):
    return (
        found("torch._utils", "_rebuild_parameter")
        + b"("
        + tensor
        + b"\x88"
        + found("collections", "OrderedDict")
        + b")RtR"
    )


def state_dict(entries):
    """An OrderedDict of pickled values, with the attribute _metadata that modules give theirs."""
    items = b"".join(text(name) + value for name, value in entries.items())
    return found("collections", "OrderedDict") + b")R(" + items + b"u}" + text("_metadata") + b"}sb"


def program(body):
    return b"\x80\x02" + body + b"."


def zip_file(path, graph, storages, byteorder=b"little", compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as f:
        f.writestr("archive/data.pkl", program(graph))
        if byteorder:
            f.writestr("archive/byteorder", byteorder)
        for key, raw in storages.items():
            f.writestr(f"archive/data/{key}", raw)
        f.writestr("archive/version", b"3\n")
    return path


def stream_file(path, graph, storages, itemsize=4, little_endian=True, magic=MAGIC):
    system = {"protocol_version": PROTOCOL, "little_endian": little_endian, "type_sizes": {"short": 2}}
    parts = [pickle.dumps(magic, 2), pickle.dumps(PROTOCOL, 2), pickle.dumps(system, 2), program(graph)]
    parts.append(pickle.dumps(list(storages), 2))
    for raw in storages.values():
        parts += [struct.pack("<q", len(raw) // itemsize), raw]
    path.write_bytes(b"".join(parts))
    return path


def many_dicts(n):
    """n dicts made of one list of n items, in about 14 n bytes."""
    pairs = b"](" + b"".join(b"](" + number(i) + b"Ne" for i in range(n)) + b"e"
    return program(found("collections", "OrderedDict") + b"q\x000" + pairs + b"\x85q\x010(" + b"h\x00h\x01R" * n + b"t")


CONTAINERS = pytest.mark.parametrize("write", [zip_file, stream_file])
VALUES = np.arange(12, dtype=np.float32) * 0.5
FLOATS = storage("FloatStorage", "0", 12)
RAW = {"0": VALUES.tobytes()}
