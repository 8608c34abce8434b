"""Writes in place, noticed: a rule that reads an array which changed after its op would give a wrong gradient."""

import functools
import itertools
import math
import weakref
import zlib
from collections.abc import Sequence
from typing import Any

from autograd.arrays import MODULES, is_array, to_host

NUMBERS = itertools.count()  # of nodes and of writes, in the order of time


class Writes:
    """When arrays were last written to in place: a rule that read one afterwards would return a wrong gradient.

    Written through our own interface, that is: `tensor[i] = …`, `tensor.data -= …`, optimisers, `load_state_dict`.
    Nodes and writes draw their numbers from one counter, so a write is later than a node if its number is larger.
    A write counts for every view of the array that owns the memory. Where a view does not lead to that array, a write
    through the one goes unnoticed in the other: two arrays of one buffer (np.frombuffer), `sliding_window_view`.
    """

    def __init__(self) -> None:
        self.last = -1.0  # number of the last write: younger nodes look nothing up
        self.numbers: dict[int, int] = {}  # by the id of the array that owns the memory, as long as it lives
        self.owners: dict[int, weakref.ref] = {}

    def note(self, *arrays: Any) -> None:
        """These arrays have been written to."""
        now = next(NUMBERS)
        self.last = max(self.last, now)
        for a in arrays:
            owner = owner_of(a)
            if id(owner) not in self.owners:
                self.owners[id(owner)] = weakref.ref(owner, functools.partial(self._forget, id(owner)))
            self.numbers[id(owner)] = now

    def _forget(self, key: int, dead: weakref.ref) -> None:
        """An array has died, and another one may get its id."""
        if self.owners.get(key) is dead:
            del self.owners[key], self.numbers[key]

    def check_always(self) -> None:
        """From now on every rule looks for writes. Debug mode compares checksums: it finds unnoted writes too."""
        self.last = math.inf

    def since(self, number: int, arrays: Sequence) -> bool:
        """Whether memory of one of the arrays was written to after the node of that number was recorded."""
        for a in arrays:
            if type(a) in MODULES and self.numbers.get(id(owner_of(a)), -1) > number:
                return True
        return False


def owner_of(a: Any) -> Any:
    """The array that owns the memory of a."""
    while type(a.base) in MODULES:
        a = a.base
    return a


WRITES = Writes()


def checksums(arrays: Sequence) -> list[int | None]:
    """One of each array; from a GPU this copies and waits."""
    return [zlib.crc32(to_host(a).tobytes()) if is_array(a) else None for a in arrays]


def arrays_in(value: Any) -> list:
    """The arrays in what a node keeps: a value, or a tuple or list of them."""
    if isinstance(value, (tuple, list)):
        return [a for v in value for a in arrays_in(v)]
    return [value] if is_array(value) else []


def check_unwritten(node: Any, name: str, arrays: Sequence) -> None:
    """RuntimeError if one of the arrays that a node keeps by this name was written to since the node was recorded."""
    seen = node.seen
    if WRITES.since(node.id, arrays) or seen and name in seen.seal and seen.seal[name] != checksums(arrays):
        where = f" (recorded at {seen.site})" if seen else ""
        raise RuntimeError(
            f"{name} of {node.op.name}{where} was written to in place after the op had run, so the gradient would be "
            "wrong: call grad before you write, or write into a copy"
        )
