"""cuBLAS's calls on host memory, column by column as the original reads it; it refuses what the original refuses."""

import ctypes
from types import SimpleNamespace
from typing import Any

import numpy as np
from strict_device import strict

from autograd.accelerate.gpu import blas
from autograd.accelerate.gpu.blas import COMPUTE_32F, COMPUTE_TF32, DEFAULT_ALGORITHM, REAL_32F, WORKSPACE, Blas
from autograd.registry import TWINS

INVALID_VALUE = 7


class FakeCublas:
    """The library, as ctypes would show it. `calls`: the names called; `modes`: how each product was to be computed."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.modes: list[int] = []
        self.workspace = 0

    def cublasCreate_v2(self, handle: Any) -> int:
        self.calls.append("create")
        return 0

    def cublasDestroy_v2(self, handle: Any) -> int:
        self.calls.append("destroy")
        return 0

    def cublasSetStream_v2(self, handle: Any, stream: Any) -> int:
        self.calls.append("stream")
        self.workspace = 0  # as the original does
        return 0

    def cublasSetWorkspace_v2(self, handle: Any, address: Any, size: Any) -> int:
        self.calls.append("workspace")
        self.workspace = size.value
        return 0 if address.value % 256 == 0 else INVALID_VALUE

    def cublasGemmStridedBatchedEx(self, handle, *args) -> int:
        """C ← α op(A) op(B) + β C: op(A) (m, k), op(B) (k, n), C (m, n); element (i, j) at i + j · leading."""
        values = _values(args)
        trans_a, trans_b, m, n, k, alpha, *values = values
        a, type_a, lead_a, step_a, b, type_b, lead_b, step_b, beta, c, type_c, lead_c, step_c, batch, *how = values
        sizes = ((k, m) if trans_a else (m, k), (n, k) if trans_b else (k, n), (m, n))
        leads, types = (lead_a, lead_b, lead_c), {type_a, type_b, type_c}
        if types != {REAL_32F} or how[1] != DEFAULT_ALGORITHM or how[0] not in (COMPUTE_32F, COMPUTE_TF32):
            return INVALID_VALUE
        if min(m, n, k, batch) < 1 or any(lead < max(1, rows) for lead, (rows, _) in zip(leads, sizes, strict=True)):
            return INVALID_VALUE
        self.modes.append(how[0])
        for i in range(batch):
            starts = (a + 4 * i * step_a, b + 4 * i * step_b, c + 4 * i * step_c)
            x, y, z = (_columns(*each) for each in zip(starts, sizes, leads, strict=True))
            product = np.matmul(x.T if trans_a else x, y.T if trans_b else y)
            z[...] = alpha * product + (beta * z if beta else 0)
        return 0


def added_to(args: Any) -> list[np.ndarray]:
    """Of a call of cublasGemmStridedBatchedEx: each C, if the products are added to what is there."""
    values = _values(args)
    m, n, beta, c, lead_c, step_c, batch = (values[i] for i in (2, 3, 14, 15, 17, 18, 19))
    return [_columns(c + 4 * i * step_c, (m, n), lead_c) for i in range(batch)] if beta else []


def _values(args: Any) -> list[Any]:
    return [a.value if hasattr(a, "value") else a._obj.value for a in args]


def _columns(address: int, size: tuple[int, int], leading: int) -> np.ndarray:
    rows, columns = size
    flat = np.ctypeslib.as_array((ctypes.c_float * ((columns - 1) * leading + rows)).from_address(address))
    return np.lib.stride_tricks.as_strided(flat, size, (4, 4 * leading))


def fake_blas(library: Any = None) -> Blas:
    """A handle of ours on the fake library."""
    return Blas(library or FakeCublas(), 0, SimpleNamespace(ptr=2 * WORKSPACE))


def product_twin(handle: Blas) -> Any:
    """The twin of `numerics.matmul` by a handle on the fake library."""

    def matmul(xp: Any, a: Any, b: Any, out: Any = None) -> Any:
        y = handle.matmul(a, b)
        if out is None:
            return y
        out[...] = y
        return out

    return matmul


def multiply_by(monkeypatch: Any, library: Any, kernels: dict[str, Any]) -> None:
    """Device strict takes these twins, and all of its products go through the fake library."""
    handle = fake_blas(library)
    monkeypatch.setitem(TWINS, strict, {**kernels, "autograd.ops.numerics.matmul": product_twin(handle)})
    monkeypatch.setattr(blas, "accumulate", handle.accumulate)
