"""A training step as a CUDA graph: run once under capture, and from then on replayed by a single call.

A replay makes the launches of the captured step again: the same kernels, on the same addresses, with the same Python
numbers. So whatever changes from step to step must lie in memory, written before the step begins: numbers in
`autograd.arrays.Numbers`, the position of random numbers by `RandomStream.advance`. A captured step may not wait for
the device, copy from or to the host, or choose by a value.

Tested on the CPU against a stand-in for CUDA; not run on a GPU yet.
"""

import contextlib
import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from autograd.accelerate.gpu import blas
from autograd.arrays import DeviceError

WARM_UP = 3  # steps before the capture: kernels are compiled, cuBLAS has its workspace, and the pool all its blocks


class CaptureError(DeviceError):
    """A step does something that no graph can hold; the message says what."""


class GraphedStep:
    """`run()` as a graph. Each call replays it, on the current stream, and returns the arrays that run returned, with
    new values.

    run: launches the same work on the same arrays each time. save() and restore(saved): undo the changes of the three
    warm-up steps. Building the graph counts as no step: the first call is the first step. Raises CaptureError where the
    step cannot be captured.
    """

    def __init__(self, xp: Any, run: Callable[[], Any], save: Callable[[], Any], restore: Callable[[Any], None]):
        self.cuda = xp.cuda
        self.stream = self.cuda.Stream(non_blocking=True)
        # A pool for the graph alone, which lives as long as the graph. The pool takes the temporaries of the capture
        # for free memory: an array outside the graph that got this memory would be overwritten by the next replay.
        self.pool = self.cuda.MemoryPool()
        self.held: list[Any] = []  # the graph and its result
        # Not at the end of the process: the driver frees everything then, and a broken device would raise once more.
        weakref.finalize(self, _give_back, self.held, self.stream.ptr, self.pool).atexit = False
        self.cuda.get_current_stream().synchronize()
        saved = save()
        with self._apart():
            for _ in range(WARM_UP):
                run()
        restore(saved)
        self.cuda.get_current_stream().synchronize()
        with self._apart(), _no_collection():
            self.stream.begin_capture()
            try:
                result = run()
                self.held += [self.stream.end_capture(), result]
            except BaseException as e:
                with contextlib.suppress(Exception):  # raises the same error again
                    self.stream.end_capture()
                if isinstance(e, MemoryError) or not isinstance(e, Exception):
                    raise
                raise CaptureError(f"the step cannot be captured as a CUDA graph: {' '.join(str(e).split())}") from e

    @contextlib.contextmanager
    def _apart(self) -> Iterator[None]:
        """On the stream and in the memory of the graph."""
        with self.stream, self.cuda.using_allocator(self.pool.malloc):
            yield
        self.stream.synchronize()

    @property
    def graph(self) -> Any:
        return self.held[0]

    def __call__(self) -> Any:
        self.graph.launch(self.cuda.get_current_stream())
        return self.held[1]


def _give_back(held: list, stream: int, pool: Any) -> None:
    """What a dropped graph had goes back to the device: a pool of CuPy keeps its memory until it is told to free it."""
    held.clear()
    blas.release(stream)
    pool.free_all_blocks()


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage collection inside: freeing an old array there could call what a capture forbids."""
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
