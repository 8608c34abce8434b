"""Pickles of plain values and arrays are read, damaged ones are refused, and none takes much time or memory."""

import io
import pickle
import struct
import time
import tracemalloc

import numpy as np
import pytest
from torch_files import found, many_dicts, program

from minigan.errors import InputError
from minigan.unpickle import NUMPY, PickledDict, restricted_load

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
