"""Files of torch.save: their tensors are read as PyTorch reads them, and a damaged file is an error."""

import pickle
import random
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from torch_files import (
    CONTAINERS,
    FLOATS,
    RAW,
    VALUES,
    number,
    parameter,
    state_dict,
    storage,
    stream_file,
    tensor,
    text,
    zip_file,
)

from minigan.errors import InputError
from minigan.torch_file import load_torch


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
