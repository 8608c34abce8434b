"""CUDA graphs for device "strict": what `autograd.accelerate.gpu.graph` asks of `cupy.cuda`, and the rules of a
capture.

    with fake_cuda() as cuda:             # strict.cuda
        step = GraphedStep(strict, ...)   # work is recorded, then undone: a capture runs nothing
        step()                            # the same work again, on the same memory

Under capture the host may not wait or copy (as in strict.step()), new arrays must come from the pool of the graph, and
the garbage collector must be off. Temporaries hold NaN when a replay begins.
"""

import contextlib
import gc
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from strict_device import StrictArray, StrictError, _wrap, strict


class Recording:
    """The work of a capture: what was run, and where its results lie."""

    def __init__(self, cuda: "FakeCuda"):
        self.cuda = cuda
        self.work: list[tuple[Callable[[], Any], list[np.ndarray | None]]] = []
        self.old: list[tuple[np.ndarray, np.ndarray]] = []  # what was written over
        self.new: list[np.ndarray] = []

    def record(self, run: Callable[[], Any], reads: Sequence, writes: Sequence[np.ndarray]) -> Any:
        self.old += [(a, a.copy()) for a in writes]
        result = _wrap(run())
        inputs = [x for r in reads for x in _listed(r) if isinstance(x, np.ndarray)]
        arrays = [r._host if isinstance(r, StrictArray) else None for r in _listed(result)]
        fresh = [None if any(a is None or np.may_share_memory(a, x) for x in inputs) else a for a in arrays]
        if any(a is not None for a in fresh) and not self.cuda.pools:
            raise StrictError("memory from another pool than the graph's")
        self.new += [a for a in fresh if a is not None]
        self.work.append((run, fresh))
        return result

    def undo(self) -> None:
        for array, before in reversed(self.old):
            array[...] = before
        self.old.clear()

    def launch(self, stream: Any) -> None:
        if strict.recorder is not None:
            raise StrictError("a graph is launched while another is captured")
        for a in self.new:
            a.fill(np.nan if a.dtype.kind == "f" else 1)
        for run, results in self.work:
            for a, b in zip(results, _listed(run()), strict=True):
                if a is not None:
                    a[...] = b
        self.cuda.launches += 1


def _listed(x: Any) -> Sequence:
    return x if isinstance(x, tuple | list) else [x]


class Stream:
    def __init__(self, cuda: "FakeCuda", non_blocking: bool = False):
        self.cuda, self.non_blocking, self.ptr = cuda, non_blocking, id(self)
        self.capture = contextlib.ExitStack()

    def __enter__(self) -> None:
        self.cuda.streams.append(self)

    def __exit__(self, *error: Any) -> None:
        self.cuda.streams.pop()

    def synchronize(self) -> None:
        strict.waits("synchronize")

    def begin_capture(self) -> None:
        assert self.non_blocking and self.cuda.streams[-1] is self, "a capture needs a stream of its own, made current"
        assert not gc.isenabled(), "the garbage collector runs under capture"
        self.capture.enter_context(strict.step())
        strict.recorder = Recording(self.cuda)

    def end_capture(self) -> Recording:
        recording, strict.recorder = strict.recorder, None
        self.capture.close()
        recording.undo()
        return recording


class FakeCuda:
    """Streams and pools, as far as they matter here."""

    def __init__(self) -> None:
        self.streams = [Stream(self)]
        self.pools: list[Any] = []
        self.launches = 0  # of graphs

    def Stream(self, non_blocking: bool = False) -> Stream:
        return Stream(self, non_blocking)

    def get_current_stream(self) -> Stream:
        return self.streams[-1]

    def Device(self) -> Any:
        return SimpleNamespace(mem_info=(2**40, 2**40))

    class MemoryPool:
        freed = False

        def malloc(self, size: int) -> None:
            raise NotImplementedError

        def free_all_blocks(self) -> None:
            self.freed = True

    @contextlib.contextmanager
    def using_allocator(self, malloc: Any) -> Iterator[None]:
        self.pools.append(malloc)
        try:
            yield
        finally:
            self.pools.pop()


@contextlib.contextmanager
def fake_cuda() -> Iterator[FakeCuda]:
    strict.cuda = FakeCuda()
    try:
        yield strict.cuda
    finally:
        del strict.cuda
        strict.recorder = None


def work_of(run: Callable[[], Any]) -> int:
    """How many pieces of work a function gives the device."""
    strict.recorder = counter = _Counter()
    try:
        run()
    finally:
        strict.recorder = None
    return counter.pieces


class _Counter:
    """A recorder that only counts."""

    pieces = 0

    def record(self, run: Callable[[], Any], reads: Sequence, writes: Sequence[np.ndarray]) -> Any:
        self.pieces += 1
        return _wrap(run())
