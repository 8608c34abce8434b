"""Matrix products by cuBLAS, through a handle of our own. Twin: `autograd.ops.numerics.matmul`.

CuPy's own products may not be captured in a CUDA graph, they copy a transposed operand before they read it, and they
use TF32 for single matrices only. Here a transpose is a flag, a batch is a stride, and nothing is copied.

cuBLAS stores matrices column by column, so the memory of a row-major A reads as Aᵀ there. We ask it for Cᵀ = Bᵀ Aᵀ: the
operands change places, and the result in memory is C, row by row.

Tested on the CPU against a stand-in for cuBLAS; not run on a GPU yet.
"""

import ctypes
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from autograd.accelerate.gpu import launch
from autograd.modes import state

FLOAT = 4  # bytes
WORKSPACE = 32 * 2**20  # bytes: what NVIDIA advises on Hopper
REAL_32F, COMPUTE_32F, COMPUTE_TF32, DEFAULT_ALGORITHM = 0, 68, 77, -1  # from library_types.h and cublas_api.h
STATUS = {
    1: "NOT_INITIALIZED",
    3: "ALLOC_FAILED",
    7: "INVALID_VALUE",
    8: "ARCH_MISMATCH",
    11: "MAPPING_ERROR",
    13: "EXECUTION_FAILED",
    14: "INTERNAL_ERROR",
    15: "NOT_SUPPORTED",
    16: "LICENSE_ERROR",
}


class BlasError(RuntimeError):
    """cuBLAS refused a call; the message names its status."""


class Blas:
    """cuBLAS on one stream. The workspace is ours, or a captured graph would allocate one for each product.

    workspace: device memory of WORKSPACE bytes, of which `ptr` is the address. BlasError if cuBLAS refuses a call.
    """

    def __init__(self, library: Any, stream: int, workspace: Any):
        self.library, self.workspace, self.handle = library, workspace, ctypes.c_void_p()
        self._call("cublasCreate_v2", ctypes.byref(self.handle))
        self._call("cublasSetStream_v2", self.handle, ctypes.c_void_p(stream))  # forgets a workspace, so it goes first
        self._call("cublasSetWorkspace_v2", self.handle, ctypes.c_void_p(workspace.ptr), ctypes.c_size_t(WORKSPACE))

    def close(self) -> None:
        self._call("cublasDestroy_v2", self.handle)

    def _call(self, name: str, *args: Any) -> None:
        status = getattr(self.library, name)(*args)
        if status:
            raise BlasError(f"{name}: status {status} {STATUS.get(status, '')}".rstrip())

    def matmul(self, a: Any, b: Any) -> Any:
        """a @ b, float32, with NumPy's rules for batches and vectors.

        An operand is copied only if cuBLAS cannot read it: neither its rows nor its columns are contiguous.
        """
        if a.ndim == 1 or b.ndim == 1:
            y = self.matmul(a[None] if a.ndim == 1 else a, b[:, None] if b.ndim == 1 else b)
            return y.reshape((*(a.shape[:-1] if a.ndim > 1 else b.shape[:-2]), *(b.shape[-1:] if b.ndim > 1 else ())))
        launch.require(a.dtype == b.dtype == np.float32, f"matmul by cuBLAS of {a.dtype} and {b.dtype}")
        launch.require(a.shape[-1] == b.shape[-2], f"matmul: {a.shape} and {b.shape} do not fit")
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        c = launch.empty(a, (*batch, a.shape[-2], b.shape[-1]))
        if c.size == 0 or a.size == 0:  # no sums, or sums of nothing
            c.fill(0)
            return c
        self._write(c, a, b)
        return c

    def accumulate(self, c: Any, a: Any, b: Any, alpha: float, beta: float) -> None:
        """c ← alpha a @ b + beta c, in place: a (…, rows, k), b (…, k, columns), c contiguous; float32."""
        launch.require(a.dtype == b.dtype == c.dtype == np.float32, "accumulate takes float32")
        alike = a.ndim == b.ndim >= 2 and a.shape[:-2] == b.shape[:-2] and a.shape[-1] == b.shape[-2]
        launch.require(alike, f"accumulate: {a.shape} and {b.shape} do not fit")
        fits = c.shape == (*a.shape[:-1], b.shape[-1]) and c.flags.c_contiguous and c.size > 0
        launch.require(fits, f"accumulate: c {c.shape} is not a contiguous array for {a.shape} times {b.shape}")
        self._write(c, a, b, alpha, beta)

    def _write(self, c: Any, a: Any, b: Any, alpha: float = 1.0, beta: float = 0.0) -> None:
        """c ← alpha a @ b + beta c, where a and b are broadcast to the batch of c."""
        (a, read_a), (b, read_b) = _readable(a), _readable(b)
        batch = c.shape[:-2]
        inner, starts = _batches(batch, *(_strides(x, batch) for x in (a, b, c)))
        for start in starts:
            addresses = [launch.address(x) + FLOAT * offset for x, offset in zip((a, b, c), start, strict=True)]
            self._products(c.shape[-2:], a.shape[-1], read_a, read_b, addresses, inner, alpha, beta)

    def _products(
        self,
        shape: Any,
        k: int,
        a: "Layout",
        b: "Layout",
        addresses: list[int],
        batch: "Batch",
        alpha: float,
        beta: float,
    ) -> None:
        """C (rows, columns) = alpha A (rows, k) B (k, columns) + beta C, once for each of the batch."""
        rows, columns = shape
        pointer_a, pointer_b, pointer_c = map(ctypes.c_void_p, addresses)
        integer, stride, factors = ctypes.c_int, ctypes.c_longlong, (ctypes.c_float(alpha), ctypes.c_float(beta))
        self._call(
            "cublasGemmStridedBatchedEx",
            *(self.handle, integer(b.transposed), integer(a.transposed), integer(columns), integer(rows), integer(k)),
            *(ctypes.byref(factors[0]), pointer_b, integer(REAL_32F), integer(b.leading), stride(batch.b)),
            *(pointer_a, integer(REAL_32F), integer(a.leading), stride(batch.a)),
            *(ctypes.byref(factors[1]), pointer_c, integer(REAL_32F), integer(columns), stride(batch.c)),
            *(integer(batch.n), integer(COMPUTE_TF32 if state.tf32 else COMPUTE_32F), integer(DEFAULT_ALGORITHM)),
        )


class Layout(NamedTuple):
    """How the last two axes lie: by rows, or by columns (`transposed`); floats from one row (column) to the next."""

    transposed: bool
    leading: int


class Batch(NamedTuple):
    """n products; floats from one a, b and c to the next."""

    n: int
    a: int
    b: int
    c: int


def _readable(x: Any) -> tuple[Any, Layout]:
    """x and its layout; a copy of x if it has none."""
    (rows, columns), (down, right) = x.shape[-2:], (s // FLOAT for s in x.strides[-2:])
    if (right == 1 or columns == 1) and (down >= columns or rows == 1):  # a stride along one element says nothing
        return x, Layout(False, columns if rows == 1 else down)
    if (down == 1 or rows == 1) and (right >= rows or columns == 1):
        return x, Layout(True, rows if columns == 1 else right)
    return x.copy(order="C"), Layout(False, columns)


def _strides(x: Any, batch: tuple[int, ...]) -> list[int]:
    """Floats from one matrix of x to the next along each axis of `batch`; 0 where x has but one for all."""
    strides = [0 if n == 1 else s // FLOAT for n, s in zip(x.shape[:-2], x.strides, strict=False)]
    return [0] * (len(batch) - len(strides)) + strides


def _batches(sizes: tuple[int, ...], *strides: list[int]) -> tuple[Batch, Iterator[list[int]]]:
    """The batch axes as one that cuBLAS walks along, the longest, and where in a, b and c each of its walks starts.

    Neighbouring axes that one stride can walk are merged. Heads (B, H, N, d) in the memory of (B, N, H, d) stay two.
    """
    axes: list[tuple[int, ...]] = []
    for n, *steps in zip(sizes, *strides, strict=True):
        if axes and all(outer == n * step for outer, step in zip(axes[-1][1:], steps, strict=True)):
            axes[-1] = (axes[-1][0] * n, *steps)
        elif n > 1:
            axes.append((n, *steps))
    inner = max(axes, default=(1, 0, 0, 0))
    if axes:
        axes.remove(inner)
    places = itertools.product(*(range(n) for n, *_ in axes))
    starts = ([sum(i * axis[x] for i, axis in zip(place, axes, strict=True)) for x in (1, 2, 3)] for place in places)
    return Batch(*inner), starts


def matmul(a: Any, b: Any) -> Any:
    """a @ b of CuPy arrays, on the current stream: `Blas.matmul` where both are float32."""
    import cupy

    if not a.dtype == b.dtype == np.float32:
        return cupy.matmul(a, b)
    return on_stream(cupy.cuda.get_current_stream().ptr).matmul(a, b)


def accumulate(c: Any, a: Any, b: Any, alpha: float, beta: float) -> None:
    """c ← alpha a @ b + beta c, in place, on the current stream: see `Blas.accumulate`."""
    import cupy

    on_stream(cupy.cuda.get_current_stream().ptr).accumulate(c, a, b, alpha, beta)


HANDLES: dict[int, Blas] = {}  # by the address of the stream


def on_stream(stream: int) -> Blas:
    if stream not in HANDLES:
        HANDLES[stream] = _open(stream)
    return HANDLES[stream]


def release(stream: int) -> None:
    """Give back the handle and the workspace of a stream that is used no more. Another may get its address."""
    if used := HANDLES.pop(stream, None):
        used.close()


def _open(stream: int) -> Blas:
    import cupy
    from cuda.pathfinder import load_nvidia_dynamic_lib  # comes with CuPy, and finds what CuPy finds

    library = ctypes.CDLL(load_nvidia_dynamic_lib("cublas").abs_path)
    return Blas(library, stream, cupy.cuda.alloc(WORKSPACE))
