"""Reading pickles without running them.

A pickle is a program for a stack machine. Two of its instructions, GLOBAL (import anything) and REDUCE (call it), make
loading one the same as running it. This machine has the instructions for data; GLOBAL looks into a table, REDUCE calls
what came from that table, BUILD reaches objects made for it, and every other way to make an object is missing. Nothing
is imported, and no method that the pickle could choose is called.
"""

import io
import pickletools
import struct
import warnings
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np

from minigan.errors import InputError

VALUES = frozenset(  # instructions that push their argument
    """INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8
    BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8""".split()
)
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
PYTHON2_STRINGS = frozenset({"STRING", "BINSTRING", "SHORT_BINSTRING"})
KEYS = (str, bytes, int)  # the types of a dictionary's keys; hashing a hostile tuple can take forever

Allowed = Mapping[tuple[str, str], Any]


class Buildable:
    """What a function of the table returns if the pickle may set its state afterwards."""

    def build(self, state: Any) -> None:
        raise NotImplementedError


class PickledDict(dict, Buildable):
    """Stands for collections.OrderedDict; attributes, such as the `_metadata` of PyTorch's state dicts, are dropped."""

    def __init__(self, items: Any = None):  # Python 2 gave the items at once, as a list
        if items is None:
            return
        if type(items) is not list:
            raise TypeError("items that are no list")
        for key, value in items:
            _put(self, key, value)
        items.clear()  # so that no pickle makes a thousand large dicts of one large list

    def build(self, state: Any) -> None:
        pass


def restricted_load(
    source: bytes | BinaryIO,
    allowed: Allowed,
    *,
    persistent_load: Callable[[Any], Any] | None = None,
    encoding: str = "ASCII",
) -> Any:
    """The object in a pickle, made of plain values, lists, tuples, dicts and what the table `allowed` makes.

    source: bytes, or a seekable stream in memory, which is left behind the pickle's last byte.
    allowed: (module, name) → what the pickle gets for it; callables may be called by the pickle, so they must check
    their arguments. persistent_load: turns a persistent id into an object. encoding: of Python 2's strings, or "bytes".
    Raises InputError for damaged pickles and, by its name, for whatever is not in the table.
    """
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with warnings.catch_warnings():  # of escapes in text that Python does not know
            warnings.simplefilter("ignore", DeprecationWarning)
            return _run(stream, allowed, persistent_load, encoding)
    except (ValueError, TypeError, LookupError, OverflowError, MemoryError, struct.error) as e:
        raise InputError(f"not a readable pickle ({type(e).__name__}: {str(e)[:200]})") from e


def _run(stream: BinaryIO, allowed: Allowed, persistent_load: Callable[[Any], Any] | None, encoding: str) -> Any:
    stack: list[Any] = []
    marks: list[int] = []  # heights of the stack
    memo: dict[int, Any] = {}
    argument: Any

    def since_mark() -> list[Any]:
        items = stack[marks[-1] :]
        del stack[marks.pop() :]
        return items

    for opcode, argument, _ in pickletools.genops(stream):
        name = opcode.name
        if name in VALUES:
            stack.append(argument)
            continue
        if name in CONSTANTS:
            stack.append(CONSTANTS[name])
            continue
        if name in PYTHON2_STRINGS:
            raw = argument.encode("latin-1")
            stack.append(raw if encoding == "bytes" else raw.decode(encoding))
            continue
        match name:
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "MARK":
                marks.append(len(stack))
            case "EMPTY_LIST":
                stack.append([])
            case "LIST":
                stack.append(since_mark())
            case "APPEND":
                _extend(stack[-2], [stack.pop()])
            case "APPENDS":
                items = since_mark()
                _extend(stack[-1], items)
            case "EMPTY_DICT":
                stack.append({})
            case "DICT":
                items = since_mark()
                stack.append({})
                _update(stack[-1], items)
            case "SETITEM":
                key, value = stack[-2:]
                del stack[-2:]
                _update(stack[-1], [key, value])
            case "SETITEMS":
                items = since_mark()
                _update(stack[-1], items)
            case "TUPLE":
                stack.append(tuple(since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                n = int(name[-1])
                if len(stack) < n:
                    raise IndexError("the stack is empty")
                stack[-n:] = [tuple(stack[-n:])]
            case "POP":
                stack.pop()
            case "POP_MARK":
                since_mark()
            case "DUP":
                stack.append(stack[-1])
            case "GLOBAL":
                stack.append(_find(allowed, *argument.split(" ", 1)))
            case "STACK_GLOBAL":
                module, name = stack[-2:]
                stack[-2:] = [_find(allowed, module, name)]
            case "BINPERSID":
                if persistent_load is None:
                    raise InputError("the pickle refers to objects outside of it, which is not expected here")
                stack.append(persistent_load(stack.pop()))
            case "REDUCE":
                function, arguments = stack[-2:]
                if not callable(function) or all(function is not known for known in allowed.values()):
                    raise InputError(f"the pickle calls an object of type {type(function).__name__}: refused")
                if type(arguments) is not tuple:
                    raise TypeError("arguments that are no tuple")
                stack[-2:] = [function(*arguments)]
            case "BUILD":
                state = stack.pop()
                if not isinstance(stack[-1], Buildable):
                    raise InputError(
                        f"the pickle sets the state of an object of type {type(stack[-1]).__name__}: refused"
                    )
                stack[-1].build(state)
            case "PROTO" | "FRAME":
                pass
            case "STOP":
                return stack.pop()
            case _:
                raise InputError(f"the pickle uses the instruction {name}: refused, it can make objects of any class")


def _find(allowed: Allowed, module: Any, name: Any) -> Any:
    if not (type(module) is type(name) is str):
        raise TypeError("a class whose name is no text")
    if (module, name) not in allowed:
        raise InputError(f"the pickle asks for {f'{module}.{name}'[:200]!r}: refused, only plain data is read")
    return allowed[module, name]


def _extend(target: Any, items: list[Any]) -> None:
    if type(target) is not list:
        raise TypeError("items for what is no list")
    target.extend(items)


def _update(target: Any, items: list[Any]) -> None:
    """Put [key, value, key, value, …] into a dict."""
    if type(target) not in (dict, PickledDict) or len(items) % 2:
        raise TypeError("keys and values for what is no dict")
    for key, value in zip(items[::2], items[1::2], strict=True):
        _put(target, key, value)


def _put(target: dict, key: Any, value: Any) -> None:
    if type(key) not in KEYS:
        raise TypeError(f"a dict key of type {type(key).__name__}")
    target[key] = value


class PickledDType(Buildable):
    """Stands for numpy.dtype("u1", align, copy): numbers and booleans only."""

    def __init__(self, code: str | bytes, *_: Any):
        code = code.decode("ascii") if isinstance(code, bytes) else code
        if type(code) is not str or code[:1] not in tuple("biuf") or not code[1:].isdecimal():
            kind = repr(code[:20]) if type(code) is str else type(code).__name__  # a tuple's text may be without end
            raise InputError(f"the pickle holds an array of type {kind}: only numbers and booleans are read")
        self.dtype = np.dtype(code)

    def build(self, state: Any) -> None:
        """state: (version, byte order, None, None, None, −1, −1, 0)"""
        order: Any = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "|", "=") or any(part is not None for part in state[2:5]):
            raise ValueError("an array of records")
        self.dtype = self.dtype.newbyteorder(order)


class PickledArray(Buildable):
    """Stands for a NumPy array; the values are in `array`, which cannot be written into, and is empty until `build`."""

    array = np.zeros(0)

    def build(self, state: Any) -> None:
        """state: (version, shape, dtype, Fortran order?, the values as bytes)"""
        _, shape, kind, fortran, data = state
        if not isinstance(kind, PickledDType) or type(data) is not bytes or any(type(n) is not int for n in shape):
            raise TypeError("an array of something else than numbers")
        self.array = np.frombuffer(data, kind.dtype).reshape(shape, order="F" if fortran else "C")


def _encode(text: Any, encoding: Any) -> bytes:
    """Stands for _codecs.encode, in which Python 3 wraps bytes for the protocols of Python 2."""
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise TypeError("an encoding other than latin1")
    return text.encode("latin-1")


NUMPY: dict[tuple[str, str], Any] = {  # NumPy arrays of numbers, as PickledArray
    ("numpy.core.multiarray", "_reconstruct"): lambda *_: PickledArray(),
    ("numpy._core.multiarray", "_reconstruct"): lambda *_: PickledArray(),
    ("numpy", "ndarray"): "numpy.ndarray",  # an argument of _reconstruct
    ("numpy", "dtype"): PickledDType,
    ("_codecs", "encode"): _encode,
}
