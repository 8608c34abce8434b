"""Reading pickles without executing them; docs/unpickling.md says why `pickle.Unpickler.find_class` is not enough.

A pickle is a program for a stack machine. Loading one with `pickle` can execute any code, because the instruction
GLOBAL imports any object and REDUCE calls it. The machine in this file knows only the instructions that build data:

    GLOBAL, STACK_GLOBAL   look the name up in a table; nothing is imported
    REDUCE                 calls functions of that table, and nothing else
    BUILD                  calls the method `build` of classes in this file, and nothing else
    INST, OBJ, NEWOBJ, …   are refused

Its work and its memory are proportional to the length of the pickle. Calls may make bytes of a few times that length.
"""

import io
import os
import pickletools
import struct
import warnings
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np

from minigan.errors import InputError

Allowed = Mapping[tuple[str, str], Any]  # (module, name): what the pickle gets for it

VALUES = frozenset(  # instructions that push their argument
    """INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8
    BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8""".split()
)
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}  # instructions that push these
LARGEST_KEY = 2**31  # Python's hash repeats above 2⁶¹ − 1, and keys of one hash make a dict slow without limit
MADE = 4  # bytes that calls may make for each byte of the pickle, which may call for one string again and again
KEYS = (str, bytes, int)  # types of dict keys; not tuples, because hashing a nested tuple can take forever


def restricted_load(
    source: bytes | BinaryIO,
    allowed: Allowed,
    *,
    persistent_load: Callable[[Any], Any] | None = None,
    encoding: str = "ASCII",
) -> Any:
    """The object in a pickle, made of plain values, lists, tuples, dicts and what the table `allowed` makes.

    source: bytes, or a seekable stream in memory; the stream is left after the last byte of the pickle.
    allowed: the pickle may call the functions in it, so they must check their arguments.
    persistent_load: turns a persistent id into an object.
    encoding: of the strings of Python 2, or "bytes" to keep them as bytes.

    InputError for damaged pickles, and for every name that is not in the table.
    """
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with warnings.catch_warnings():  # about unknown escapes in text
            warnings.simplefilter("ignore", DeprecationWarning)
            return _Machine(allowed, persistent_load, encoding).run(stream)
    except (ValueError, TypeError, LookupError, OverflowError, MemoryError, struct.error) as e:
        raise InputError(f"not a readable pickle ({type(e).__name__}: {str(e)[:200]})") from e


class _Machine:
    """The stack machine: a stack of objects, marks at heights of the stack, and a memo of numbered objects."""

    def __init__(self, allowed: Allowed, persistent_load: Callable[[Any], Any] | None, encoding: str):
        self.allowed, self.persistent_load, self.encoding = allowed, persistent_load, encoding
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.budget = 0  # bytes that calls may still make

    def run(self, stream: BinaryIO) -> Any:
        start = stream.tell()
        self.budget = MADE * (stream.seek(0, os.SEEK_END) - start)
        stream.seek(start)
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name == "STOP":
                return self.stack.pop()
            self.step(opcode.name, argument)
        raise ValueError("the pickle has no end")  # not reached: genops raises this itself

    def step(self, name: str, argument: Any) -> None:
        """Execute one instruction."""
        stack, memo = self.stack, self.memo
        match name:
            # Values
            case _ if name in VALUES:
                stack.append(argument)
            case _ if name in CONSTANTS:
                stack.append(CONSTANTS[name])
            case "STRING" | "BINSTRING" | "SHORT_BINSTRING":
                stack.append(self.python2_string(argument))

            # Lists, dicts and tuples
            case "EMPTY_LIST":
                stack.append([])
            case "LIST":
                stack.append(self.pop_to_mark())
            case "APPEND":
                item = stack.pop()
                extend(stack[-1], [item])
            case "APPENDS":
                items = self.pop_to_mark()
                extend(stack[-1], items)
            case "EMPTY_DICT":
                stack.append({})
            case "DICT":
                items = self.pop_to_mark()
                stack.append({})
                update(stack[-1], items)
            case "SETITEM":
                items = self.pop(2)
                update(stack[-1], items)
            case "SETITEMS":
                items = self.pop_to_mark()
                update(stack[-1], items)
            case "TUPLE":
                stack.append(tuple(self.pop_to_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(self.pop(int(name[-1]))))

            # The stack, its marks and the memo
            case "MARK":
                self.marks.append(len(stack))
            case "POP":
                stack.pop()
            case "POP_MARK":
                self.pop_to_mark()
            case "DUP":
                stack.append(stack[-1])
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                if not 0 <= argument < LARGEST_KEY:
                    raise ValueError("a number in the memo that is too large")
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])

            # Names, calls and states: what makes other pickles dangerous
            case "GLOBAL":
                stack.append(self.find(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                stack.append(self.find(*self.pop(2)))
            case "BINPERSID":
                stack.append(self.find_persistent(stack.pop()))
            case "REDUCE":
                stack.append(self.call(*self.pop(2)))
            case "BUILD":
                state = stack.pop()
                build(stack[-1], state)

            case "PROTO" | "FRAME":
                pass
            case _:
                raise InputError(f"the pickle uses the instruction {name}: refused, it makes more than plain data")

    def pop(self, n: int) -> list[Any]:
        """Take the last n objects from the stack."""
        if len(self.stack) < n:
            raise IndexError("the stack is empty")
        items = self.stack[-n:]
        del self.stack[-n:]
        return items

    def pop_to_mark(self) -> list[Any]:
        """Take all objects after the last mark from the stack."""
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def python2_string(self, argument: str) -> str | bytes:
        raw = argument.encode("latin-1")
        return raw if self.encoding == "bytes" else raw.decode(self.encoding)

    def find(self, module: Any, name: Any) -> Any:
        if not (type(module) is type(name) is str):
            raise TypeError("the name of a class is not text")
        if (module, name) not in self.allowed:
            raise InputError(f"the pickle asks for {f'{module}.{name}'[:200]!r}: refused, only plain data is read")
        return self.allowed[module, name]

    def find_persistent(self, pid: Any) -> Any:
        if self.persistent_load is None:
            raise InputError("the pickle refers to objects outside of it, which is not expected here")
        return self.persistent_load(pid)

    def call(self, function: Any, arguments: Any) -> Any:
        if not callable(function) or all(function is not known for known in self.allowed.values()):
            raise InputError(f"the pickle calls an object of type {type(function).__name__}: refused")
        if type(arguments) is not tuple:
            raise TypeError("the arguments of a call are not a tuple")
        made = function(*arguments)
        self.budget -= made.array.nbytes if isinstance(made, PickledArray) else len(made) if type(made) is bytes else 0
        if self.budget < 0:
            raise InputError("the pickle makes many times its own length of data: refused")
        return made


def extend(target: Any, items: list[Any]) -> None:
    """What APPENDS does; TypeError unless the target is a list."""
    if type(target) is not list:
        raise TypeError("items are added to something that is not a list")
    target.extend(items)


def update(target: Any, items: list[Any]) -> None:
    """Put [key, value, key, value, …] into a dict; TypeError or ValueError for other targets and for odd keys."""
    if type(target) not in (dict, PickledDict) or len(items) % 2:
        raise TypeError("keys and values are added to something that is not a dict")
    for key, value in zip(items[::2], items[1::2], strict=True):
        if type(key) not in KEYS:
            raise TypeError(f"a dict key of type {type(key).__name__}")
        if type(key) is int and abs(key) >= LARGEST_KEY:
            raise ValueError("a number as dict key that is too large")
        target[key] = value


def build(target: Any, state: Any) -> None:
    """What BUILD does; InputError unless the target is one of our stand-ins."""
    if not isinstance(target, Buildable):
        raise InputError(f"the pickle sets the state of an object of type {type(target).__name__}: refused")
    target.build(state)


# What a table `allowed` may give to a pickle.


class Buildable:
    """A class whose state the pickle may set."""

    def build(self, state: Any) -> None:
        """Take the state that the pickle gives."""
        raise NotImplementedError


class PickledDict(dict, Buildable):
    """In place of collections.OrderedDict; attributes such as the `_metadata` of PyTorch's state dicts are dropped.

    TypeError for items that do not come in a list.
    """

    def __init__(self, items: Any = None):  # Python 2 passed the items at once, as a list of pairs
        if items is None:
            return
        if type(items) is not list:
            raise TypeError("the items of a dict are not a list")
        for key, value in items:
            update(self, [key, value])
        items.clear()  # so that no pickle makes a thousand large dicts from one large list

    def build(self, state: Any) -> None:
        pass


class PickledDType(Buildable):
    """In place of numpy.dtype("u1", align, copy), for numbers and booleans only: InputError for others."""

    def __init__(self, code: str | bytes, *_: Any):
        code = code.decode("ascii") if isinstance(code, bytes) else code
        if type(code) is not str or code[:1] not in tuple("biuf") or not code[1:].isdecimal():
            kind = repr(code[:20]) if type(code) is str else type(code).__name__  # the repr of a tuple can be endless
            raise InputError(f"the pickle holds an array of type {kind}: only numbers and booleans are read")
        self.dtype = np.dtype(code)

    def build(self, state: Any) -> None:
        """state: (version, byte order, None, None, None, −1, −1, 0). ValueError for an array of records."""
        order: Any = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "|", "=") or any(part is not None for part in state[2:5]):
            raise ValueError("an array of records")
        self.dtype = self.dtype.newbyteorder(order)


class PickledArray(Buildable):
    """In place of a NumPy array; `array` holds the values, read-only, and is empty until `build`."""

    array = np.zeros(0)

    def build(self, state: Any) -> None:
        """state: (version, shape, dtype, Fortran order?, the values as bytes). TypeError for anything but numbers."""
        _, shape, kind, fortran, data = state
        if not isinstance(kind, PickledDType) or type(data) is not bytes or any(type(n) is not int for n in shape):
            raise TypeError("an array of something else than numbers")
        self.array = np.frombuffer(data, kind.dtype).reshape(shape, order="F" if fortran else "C")


def frombuffer(data: Any, kind: Any, shape: Any, order: Any) -> PickledArray:
    """In place of numpy._core.numeric._frombuffer, which pickle protocol 5 uses for arrays."""
    array = PickledArray()
    array.build((1, shape, kind, order == "F", bytes(data) if type(data) is bytearray else data))
    return array


def scalar(kind: Any, data: Any) -> Any:
    """In place of numpy._core.multiarray.scalar: one number. TypeError for anything else."""
    if not isinstance(kind, PickledDType) or type(data) is not bytes or len(data) != kind.dtype.itemsize:
        raise TypeError("a number of an unknown type")
    return np.frombuffer(data, kind.dtype)[0]


def encode(text: Any, encoding: Any) -> bytes:
    """In place of _codecs.encode, in which Python 3 wraps bytes for the pickle protocols of Python 2.

    TypeError for another encoding than latin1.
    """
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise TypeError("an encoding other than latin1")
    return text.encode("latin-1")


NUMPY: dict[tuple[str, str], Any] = {  # for NumPy arrays of numbers, as PickledArray
    ("numpy.core.multiarray", "_reconstruct"): lambda *_: PickledArray(),
    ("numpy._core.multiarray", "_reconstruct"): lambda *_: PickledArray(),
    ("numpy.core.multiarray", "scalar"): scalar,
    ("numpy._core.multiarray", "scalar"): scalar,
    ("numpy.core.numeric", "_frombuffer"): frombuffer,
    ("numpy._core.numeric", "_frombuffer"): frombuffer,
    ("numpy", "ndarray"): "numpy.ndarray",  # an argument of _reconstruct
    ("numpy", "dtype"): PickledDType,
    ("_codecs", "encode"): encode,
}
