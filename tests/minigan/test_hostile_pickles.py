"""Nothing in a pickle is ever run, whatever it asks for."""

import io
import pickle
import struct
from collections import OrderedDict
from pathlib import Path

import pytest
from torch_files import CONTAINERS, FLOATS, RAW, found, many_dicts, number, program, state_dict, storage, tensor, text

from minigan.errors import InputError
from minigan.torch_file import load_torch
from minigan.unpickle import PickledDict, restricted_load


def hostile(directory):
    """Pickles that, run by pickle, make a file in the directory or get hold of something dangerous."""
    one_float = text("0") + text("cpu") + number(1) + b"tQ"
    touch = f"open({str(directory / 'harm')!r}, 'w').close()"
    shell = f"touch {directory / 'harm'}"
    call = b"(" + text(touch) + b"tR"
    return {
        "os.system": found("os", "system") + b"(" + text(shell) + b"tR",
        "posix.system": found("posix", "system") + b"(" + text(shell) + b"tR",
        "builtins.eval": found("builtins", "eval") + call,
        "__builtin__.eval": found("__builtin__", "eval") + call,
        "builtins.exec": b"\x8c\x08builtins\x8c\x04exec\x93" + call,
        "builtins.getattr": found("builtins", "getattr") + b"(" + text("x") * 2 + b"tR",
        "attributes": b"\x8c\x0bcollections\x8c\x14OrderedDict.__init__\x93" + call,
        "torch attributes": b"\x8c\x0ctorch._utils\x8c\x1f_rebuild_tensor_v2.__globals__.x\x93" + call,
        "subprocess.Popen": found("subprocess", "Popen") + b"(" + text(shell) + b"tR",
        "a model": found("torch.nn.modules.container", "Sequential") + b")\x81}b",
        "another class of torch": found("torch", "device") + b"(" + text("cpu") + b"tR",
        "an instance": b"(" + text(touch) + b"ibuiltins\neval\n",
        "an object": b"(" + found("builtins", "eval") + text(touch) + b"o",
        "an object of an allowed class": b"(" + found("collections", "OrderedDict") + b"o",
        "a new object": found("collections", "OrderedDict") + b")\x81",
        "an extension": b"\x82\x01" + call,
        "a call of a storage type": found("torch", "FloatStorage") + call,
        "a call of text": text(touch) + call,
        "a call of a tensor": tensor(FLOATS, 0, (1,), (1,)) + call,
        "the state of a tensor": tensor(FLOATS, 0, (1,), (1,)) + b"}" + text("storage") + text("x") + b"sb",
        "the state of a function": found("torch._utils", "_rebuild_tensor_v2") + b"}" + text("__code__") + b"Nsb",
        "the state of a list": b"]}b",
        "a persistent id of another type": b"(" + text("module") + found("torch", "FloatStorage") + b"tQ",
        "a storage of no type": b"(" + text("storage") + text("FloatStorage") + one_float,
        "a storage of a class": b"(" + text("storage") + found("os", "system") + one_float,
        "a persistent id of text": text("storage") + b"Q",
        "a persistent id in words": b"Pstorage\n",
        "a tensor of text": found("torch._utils", "_rebuild_tensor_v2") + b"(" + text("x") * 4 + b"tR",
        "a parameter of text": found("torch._utils", "_rebuild_parameter") + b"(" + text("x") + b"\x88NtR",
        "one storage as two types": tensor(FLOATS, 0, (1,), (1,)) + b"0" + storage("LongStorage", "0", 6),
    }  # fmt: skip


@CONTAINERS
@pytest.mark.parametrize("what", hostile(Path()))
def test_hostile_pickles_are_refused_and_not_run(tmp_path, what, write):
    path = write(tmp_path / "weights.pth", state_dict({"w": hostile(tmp_path)[what]}), RAW)
    with pytest.raises(InputError, match="weights.pth: ") as error:
        load_torch(path)
    assert "\n" not in str(error.value)
    if "." in what:
        assert what in str(error.value)  # refused by its name
    if what == "a persistent id in words":  # it makes no object of a class, and a set makes none either
        assert "the instruction PERSID: refused, it makes more than plain data" in str(error.value)
    assert [p.name for p in tmp_path.iterdir()] == ["weights.pth"]


@pytest.mark.parametrize("what", ["os.system", "builtins.eval", "builtins.exec"])
def test_these_pickles_do_harm_where_they_are_run(tmp_path, what):
    pickle.loads(program(hostile(tmp_path)[what]))
    assert (tmp_path / "harm").exists()


def rebuild(tensor, strict=True):
    return tensor, strict


class FindClass(pickle.Unpickler):
    """The usual way to restrict pickles: a table of allowed names."""

    allowed = {("collections", "OrderedDict"): OrderedDict, ("weights", "rebuild"): rebuild}

    def find_class(self, module, name):
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return self.allowed[module, name]


def test_a_table_of_names_is_not_enough(tmp_path):
    """What docs/unpickling.md says of pickle.Unpickler.find_class, and that the machine here refuses it."""
    for what in ("os.system", "builtins.eval", "builtins.exec", "attributes", "an instance"):
        with pytest.raises(pickle.UnpicklingError):
            FindClass(io.BytesIO(program(hostile(tmp_path)[what]))).load()
    assert not (tmp_path / "harm").exists()

    state = b"N}" + text("__defaults__") + b"\x89\x85s\x86"  # (None, {"__defaults__": (False,)})
    changed = program(found("weights", "rebuild") + state + b"b")
    assert rebuild(1) == (1, True)
    try:
        FindClass(io.BytesIO(changed)).load()
        assert rebuild(1) == (1, False)  # for the rest of the process
    finally:
        rebuild.__defaults__ = (True,)
    with pytest.raises(InputError, match="sets the state of an object of type function: refused"):
        restricted_load(changed, FindClass.allowed)
    assert rebuild(1) == (1, True)

    copies = many_dicts(300)
    assert len(copies) < 4500
    assert sum(map(len, FindClass(io.BytesIO(copies)).load())) == 300 * 300
    assert sum(map(len, restricted_load(copies, {("collections", "OrderedDict"): PickledDict}))) == 300


@pytest.mark.parametrize("position", range(5))
def test_every_pickle_of_a_stream_is_restricted(tmp_path, position):
    parts = [pickle.dumps(x, 2) for x in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    parts += [program(state_dict({"w": tensor(FLOATS, 0, (2,), (1,))})), pickle.dumps(["0"], 2)]
    parts[position] = program(hostile(tmp_path)["os.system"])
    path = tmp_path / "weights.pth"
    path.write_bytes(b"".join(parts) + struct.pack("<q", 12) + RAW["0"])
    with pytest.raises(InputError, match="os.system"):
        load_torch(path)
    assert not (tmp_path / "harm").exists()
