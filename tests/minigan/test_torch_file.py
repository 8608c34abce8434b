"""Pickles and files of torch.save: what is read, and that nothing in them is ever run."""

import io
import pickle
import random
import struct
import time
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from torch_files import (
    found,
    number,
    parameter,
    program,
    state_dict,
    storage,
    stream_file,
    tensor,
    text,
    zip_file,
)

from minigan.errors import InputError
from minigan.torch_file import load_torch
from minigan.unpickle import NUMPY, PickledDict, restricted_load

CONTAINERS = pytest.mark.parametrize("write", [zip_file, stream_file])
VALUES = np.arange(12, dtype=np.float32) * 0.5
FLOATS = storage("FloatStorage", "0", 12)
RAW = {"0": VALUES.tobytes()}

# pickles


PLAIN = {
    "text": "é\n", "empty": "", "bytes": b"\x00\xff", "ints": [0, 255, 256, -1, 2**31, -(2**80)], "float": 0.1,
    "nested": (1, (2, (3, 4, 5, 6), ()), [[], {}], {"a": {"b": None}}), "flags": [True, False, None], 3: "int key",
    "long": list(range(3000)), "again": ["x"] * 3,
}  # fmt: skip


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_are_what_pickle_makes_of_them(protocol):
    value = {k: v for k, v in PLAIN.items() if protocol > 2 or k != "bytes"}
    assert restricted_load(pickle.dumps(value, protocol), {}) == value


def test_an_object_that_occurs_twice_is_one_object():
    inner = [1]
    loaded = restricted_load(pickle.dumps([inner, {"a": inner}]), {})
    assert loaded[0] is loaded[1]["a"]


def test_a_stream_is_left_behind_the_last_byte():
    stream = io.BytesIO(pickle.dumps([1, "a"], 2) + b"what follows")
    assert restricted_load(stream, {}) == [1, "a"] and stream.read() == b"what follows"


def test_strings_of_python_2_are_text_or_bytes():
    data = b"\x80\x02}q\x01U\x04dataU\x02\xe9\xffs."
    assert restricted_load(data, {}, encoding="bytes") == {b"data": b"\xe9\xff"}
    assert restricted_load(data, {}, encoding="latin-1") == {"data": "éÿ"}
    with pytest.raises(InputError, match="not a readable pickle"):
        restricted_load(data, {})


ARRAYS = [
    np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    np.arange(6, dtype=">i4").reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.array([True, False]),
    np.array(2.5, np.float32),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: str(a.dtype))
@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_numpy_arrays(array, protocol):
    other = np.asarray(array + 1)
    loaded = restricted_load(pickle.dumps([array, array.dtype, other], protocol), NUMPY)
    for x, expected in zip([loaded[0], loaded[2]], [array, other], strict=True):
        assert x.array.dtype == expected.dtype and x.array.shape == expected.shape
        np.testing.assert_array_equal(x.array, expected)


def test_a_batch_as_python_2_pickled_it():
    """The layout of CIFAR-10's data_batch_1: protocol 2, NumPy's old module, strings of bytes."""
    dtype = found("numpy", "dtype") + b"(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    reconstruct = (
        found("numpy.core.multiarray", "_reconstruct") + b"(" + found("numpy", "ndarray") + b"K\x00\x85U\x01btR"
    )
    array = reconstruct + b"(K\x01K\x02K\x03\x86" + dtype + b"\x89U\x06\x01\x02\x03\xfd\xfe\xfftb"
    batch = restricted_load(program(b"}(U\x04data" + array + b"U\x06labels](K\x06K\x09eu"), NUMPY, encoding="bytes")
    assert batch[b"labels"] == [6, 9]
    np.testing.assert_array_equal(batch[b"data"].array, [[1, 2, 3], [253, 254, 255]])


@pytest.mark.parametrize(
    "array",
    [np.array([None, {}]), np.array(["text"]), np.zeros(2, [("a", "i4")]), np.zeros(2, "M8[s]"), np.zeros(2, "c8")],
    ids=["objects", "text", "records", "dates", "complex"],
)
def test_arrays_of_anything_but_numbers_are_refused(array):
    with pytest.raises(InputError):
        restricted_load(pickle.dumps(array, 2), NUMPY)


def test_an_array_without_its_values_is_empty():
    array = found("numpy.core.multiarray", "_reconstruct") + b"(" + found("numpy", "ndarray") + b"K\x00\x85U\x01btR"
    assert restricted_load(program(array), NUMPY).array.shape == (0,)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x02",
        b"\x80\x02.",
        b"\x80\x02\x85.",  # a tuple of nothing
        b"\x80\x02t.",  # no mark
        b"\x80\x02h\x05.",  # never stored
        b"\x80\x02K\x01K\x02K\x03s.",  # an item of a number
        b"\x80\x02]K\x01b.",
        b"\x80\x02)K\x01a.",  # append to a tuple
        b"\x80\x02}(K\x01u.",  # a key without a value
        b"\x80\x02\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.",  # bytes without end
        b"\x80\x02N\x93.",
        b"\x80\x02K\x01K\x02\x93.",
        b"I" + b"9" * 5000 + b"\n.",
        b"hello, world",
        bytes(range(256)),
    ],
)
def test_damaged_pickles_are_one_sentence(data):
    with pytest.raises(InputError):
        restricted_load(data, NUMPY)


def test_one_string_is_not_copied_again_and_again():
    """A call of _codecs.encode copies its text, and bytes(bytearray) copies too: 5 bytes of the pickle for a copy."""
    text = b"X" + struct.pack("<I", 10_000) + b"a" * 10_000
    encoded = program(b"c_codecs\nencode\nq\0" + text + b"X\6\0\0\0latin1\x86q\1](" + b"h\0h\1R" * 1000 + b"e")
    array = b"cnumpy.core.numeric\n_frombuffer\nq\0(\x96" + struct.pack("<Q", 10_000) + bytes(10_000)
    array += b"cnumpy\ndtype\nX\2\0\0\0u1\x85RJ" + struct.pack("<i", 10_000) + b"\x85X\1\0\0\0Ctq\1]("
    for data in (encoded, program(array + b"h\0h\1R" * 1000 + b"e")):
        with pytest.raises(InputError, match="many times its own length"):
            restricted_load(data, NUMPY)


def many_dicts(n):
    """n dicts made of one list of n items, in about 14 n bytes."""
    pairs = b"](" + b"".join(b"](" + number(i) + b"Ne" for i in range(n)) + b"e"
    return program(found("collections", "OrderedDict") + b"q\x000" + pairs + b"\x85q\x010(" + b"h\x00h\x01R" * n + b"t")


@pytest.mark.slow
def test_small_pickles_cannot_ask_for_much_memory_or_time():
    place = b"\x80\x02Nr\xff\xff\xff\x7f."  # the memo's place 2³¹ − 1, for which pickle makes room
    nested = b"\x80\x02}K\x01" + b"\x85" * 50_000 + b"K\x01s."  # a key that takes a deep recursion to hash
    doubled = b"\x80\x02}K\x01" + b"2\x86" * 60 + b"K\x01s."  # … or 2⁶⁰ steps
    code = found("numpy", "dtype") + b"K\x01"  # the type of an array, the same two and printed
    allowed = {("collections", "OrderedDict"): PickledDict}
    tracemalloc.start()
    start = time.process_time()  # other programs do not count
    assert restricted_load(place, {}) is None
    for data in (nested, doubled):
        with pytest.raises(InputError, match="dict key of type tuple"):
            restricted_load(data, {})
    for data in (code + b"\x85" * 50_000, code + b"2\x86" * 60):
        with pytest.raises(InputError, match="an array of type tuple"):
            restricted_load(program(data + b"\x85R"), NUMPY)
    assert [len(d) for d in restricted_load(many_dicts(3000), allowed)[:3]] == [3000, 0, 0]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6 and time.process_time() - start < 20


# what a pickle could do


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


# tensors


def entries():
    return {
        "whole": tensor(FLOATS, 0, (3, 4), (4, 1)),
        "transposed": tensor(FLOATS, 0, (4, 3), (1, 4)),
        "part": tensor(FLOATS, 2, (2, 2), (4, 3)),
        "repeated": tensor(FLOATS, 5, (2, 3), (0, 0)),
        "scalar": tensor(FLOATS, 11, (), ()),
        "empty": tensor(FLOATS, 0, (0, 3), (3, 1)),
        "parameter": parameter(tensor(FLOATS, 4, (4,), (1,))),
    }


EXPECTED = {
    "whole": VALUES.reshape(3, 4),
    "transposed": VALUES.reshape(3, 4).T,
    "part": VALUES[[[2, 5], [6, 9]]],
    "repeated": np.full((2, 3), VALUES[5]),
    "scalar": VALUES[11],
    "empty": np.zeros((0, 3)),
    "parameter": VALUES[4:8],
}


@CONTAINERS
@pytest.mark.parametrize("nested", [False, True])
def test_tensors_of_a_state_dict(tmp_path, write, nested):
    graph = state_dict(entries())
    if nested:
        graph = b"}(" + text("epoch") + number(7) + text("state_dict") + graph + b"u"
    loaded = load_torch(write(tmp_path / "x.pth", graph, RAW))
    assert list(loaded) == list(EXPECTED)
    for name, expected in EXPECTED.items():
        assert loaded[name].dtype == np.float32 and loaded[name].shape == expected.shape
        np.testing.assert_array_equal(loaded[name], expected)
        assert not loaded[name].flags.writeable


DTYPES = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "LongStorage": "<i8", "IntStorage": "<i4",
    "ShortStorage": "<i2", "CharStorage": "i1", "ByteStorage": "u1", "BoolStorage": "?",
}  # fmt: skip


@pytest.mark.parametrize("kind", DTYPES)
@CONTAINERS
def test_every_dtype(tmp_path, write, kind):
    values = np.array([0, 1, 2, 3, 0, 100]).astype(DTYPES[kind])
    more = {"itemsize": values.itemsize} if write is stream_file else {}
    graph = state_dict({"x": tensor(storage(kind, "k", 6, b"N"), 1, (5,), (1,))})
    x = load_torch(write(tmp_path / "x.pth", graph, {"k": values.tobytes()}, **more))["x"]
    assert x.dtype == values.dtype
    np.testing.assert_array_equal(x, values[1:])


def test_bfloat16_becomes_float32(tmp_path):
    raw = np.array([0x3F80, 0xC020, 0x0000, 0x7F80], "<u2").tobytes()  # 1, −2.5, 0, ∞
    graph = state_dict({"x": tensor(storage("BFloat16Storage", "k", 4), 0, (2, 2), (1, 2))})
    x = load_torch(zip_file(tmp_path / "x.pth", graph, {"k": raw}))["x"]
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, [[1, 0], [-2.5, np.inf]])


@CONTAINERS
@pytest.mark.parametrize(
    "offset, size, stride",
    [(0, (13,), (1,)), (1, (3, 4), (4, 1)), (12, (1,), (1,)), (0, (2,), (12,)), (-1, (2,), (1,)), (3, (2,), (-1,)),
     (0, (-1,), (1,)), (0, (3, 4), (4,)), (2**31 - 1, (1,), (1,)), (0, (2**31 - 1,) * 5, (2**31 - 1,) * 5)],
)  # fmt: skip
def test_a_tensor_must_lie_in_its_storage(tmp_path, write, offset, size, stride):
    path = write(tmp_path / "x.pth", state_dict({"x": tensor(FLOATS, offset, size, stride)}), RAW)
    with pytest.raises(InputError, match="x.pth: "):
        load_torch(path)


@CONTAINERS
def test_a_storage_must_be_there_and_as_long_as_it_says(tmp_path, write):
    graph = state_dict({"x": tensor(FLOATS, 0, (2,), (1,))})
    for storages in ({}, {"1": RAW["0"]}, {"0": RAW["0"][:-4]}, {"0": RAW["0"] + bytes(4)}):
        with pytest.raises(InputError, match="x.pth: "):
            load_torch(write(tmp_path / "x.pth", graph, storages))


def test_what_is_no_state_dict_is_one_sentence(tmp_path):
    path = tmp_path / "x.pth"
    whole = tensor(FLOATS, 0, (12,), (1,))
    for sentence, make in [
        ("cannot be read", lambda: None),
        ("not a file of torch.save", lambda: path.write_text("<html>404</html>")),
        ("a damaged file|not a file", lambda: path.write_bytes(b"PK\3\4" + bytes(300))),
        ("tar file", lambda: path.write_bytes(bytes(257) + b"ustar" + bytes(300))),
        ("a pickle, but not a file of torch.save", lambda: path.write_bytes(pickle.dumps({"a": 1}))),
        ("a pickle, but not a file of torch.save", lambda: stream_file(path, whole, RAW, magic=7)),
        ("does not hold a dict of tensors", lambda: zip_file(path, whole, RAW)),
        ("'x' in it is not a tensor but int", lambda: zip_file(path, state_dict({"x": number(3)}), RAW)),
        ("'x' in it is not a tensor but PickledDict", lambda: zip_file(path, state_dict({"x": state_dict({})}), RAW)),
        ("'3' in it is not a tensor but int", lambda: zip_file(path, b"}" + number(3) + number(4) + b"s", RAW)),
        ("big-endian", lambda: zip_file(path, state_dict({"x": whole}), RAW, byteorder=b"big")),
        ("big-endian machine", lambda: stream_file(path, state_dict({"x": whole}), RAW, little_endian=False)),
        ("compressed", lambda: zip_file(path, state_dict({"x": whole}), RAW, compression=zipfile.ZIP_DEFLATED)),
    ]:
        make()
        with pytest.raises(InputError, match=sentence) as error:
            load_torch(path)
        assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)
    with pytest.raises(InputError, match="cannot be read"):
        load_torch(tmp_path)
    with zipfile.ZipFile(path, "w") as f:
        f.writestr("readme.txt", "hello")
    with pytest.raises(InputError, match="not one of torch.save"):
        load_torch(path)


@CONTAINERS
def test_damaged_files_are_input_errors_or_still_read(tmp_path, write):
    path = write(tmp_path / "x.pth", state_dict(entries()), RAW)
    data = path.read_bytes()
    rng = random.Random(0)
    read = 0
    cuts = [data[:n] for n in range(0, len(data), 10)]
    for i in range(600):
        broken = bytearray(cuts[i]) if i < len(cuts) else bytearray(data)
        for _ in range(0 if i < len(cuts) else rng.randint(1, 3)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        path.write_bytes(broken)
        try:
            load_torch(path)
            read += 1
        except InputError as error:
            assert "\n" not in str(error)
    assert read < 400


# beside PyTorch


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("wrap", [OrderedDict, dict, lambda d: {"epoch": 3, "lr": [0.1, {"x": None}], "state_dict": d}])
def test_files_of_torch_save(torch, tmp_path, zipped, wrap):
    x = torch.arange(60, dtype=torch.float32).reshape(3, 4, 5)
    state = OrderedDict(
        transposed=x.transpose(0, 2),
        slice=x[1:, ::2, 3],
        expanded=x[0, 0, :1].expand(3, 4),
        empty=torch.zeros(0, 3),
        scalar=torch.tensor(7),
        parameter=torch.nn.Parameter(x[2]),
        flags=torch.tensor([True, False]),
    )
    for dtype in "float16 float32 float64 bfloat16 uint8 int8 int16 int32 int64".split():
        state[dtype] = (x * 1.37).to(getattr(torch, dtype))[:, 1]
    path = tmp_path / "x.pth"
    torch.save(wrap(state), path, _use_new_zipfile_serialization=zipped)
    loaded = load_torch(path)
    assert list(loaded) == list(state)
    for name, expected in state.items():
        expected = expected.detach()
        expected = (expected.float() if expected.dtype == torch.bfloat16 else expected).numpy()
        assert loaded[name].dtype == expected.dtype
        np.testing.assert_array_equal(loaded[name], expected)


@pytest.mark.parametrize("zipped", [True, False])
def test_the_state_dict_of_a_module_and_not_the_module(torch, tmp_path, zipped):
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, bias=False), torch.nn.BatchNorm2d(4))
    torch.save(module.state_dict(), tmp_path / "state.pth", _use_new_zipfile_serialization=zipped)
    loaded = load_torch(tmp_path / "state.pth")
    assert loaded["1.num_batches_tracked"] == 0
    np.testing.assert_array_equal(loaded["0.weight"], module[0].weight.detach().numpy())
    torch.save(module, tmp_path / "module.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match="torch.nn.modules.container.Sequential"):
        load_torch(tmp_path / "module.pth")


def test_a_prefix_of_parallel_training_is_dropped_if_all_names_have_it(tmp_path):
    torch = pytest.importorskip("torch")
    one, other = torch.ones(2), torch.zeros(3)
    torch.save({"module.a": one, "module.b.c": other}, tmp_path / "w.pth")
    assert {name: a.tolist() for name, a in load_torch(tmp_path / "w.pth").items()} == {"a": [1, 1], "b.c": [0, 0, 0]}
    torch.save({"module.a": one, "b": other}, tmp_path / "w.pth")
    assert sorted(load_torch(tmp_path / "w.pth")) == ["b", "module.a"]
