"""Matrix products by cuBLAS: every way in which operands can lie, on a stand-in for the library; on a GPU if there is
one."""

import numpy as np
import pytest
from fake_cublas import FakeCublas, fake_blas, multiply_by
from strict_device import strict

from autograd import grad, ops, use_tf32
from autograd.accelerate.gpu import blas
from autograd.accelerate.gpu.blas import COMPUTE_32F, COMPUTE_TF32, WORKSPACE, BlasError
from autograd.arrays import best_device, device_module, to_device, to_host
from autograd.tensor import Tensor

DEVICES = ["fake", *(["cuda"] if best_device() == "cuda" else [])]


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def turned(*shape: int) -> np.ndarray:
    """A matrix (or a batch) of that shape, lying column by column."""
    return normal(*shape[:-2], shape[-1], shape[-2]).swapaxes(-1, -2)


def heads(batch: int, heads: int, tokens: int, d: int) -> np.ndarray:
    """(B, H, N, d) in the memory of (B, N, H, d)."""
    return normal(batch, tokens, heads, d).swapaxes(1, 2)


class Counted(FakeCublas):
    """A cuBLAS that knows how often it was asked."""

    products = 0

    def cublasGemmStridedBatchedEx(self, handle, *args):
        self.products += 1
        return super().cublasGemmStridedBatchedEx(handle, *args)


OPERANDS = {  # a, b, products in cuBLAS, copies
    "by rows": (normal(5, 3), normal(3, 7), 1, 0),
    "a by columns": (turned(5, 3), normal(3, 7), 1, 0),
    "b by columns": (normal(5, 3), turned(3, 7), 1, 0),
    "both by columns": (turned(5, 3), turned(3, 7), 1, 0),
    "part of wider rows": (normal(5, 9)[:, 2:5], turned(9, 7)[4:7], 1, 0),
    "one row": (normal(1, 3), normal(3, 7), 1, 0),
    "one column": (normal(5, 3), normal(3, 4)[:, 1:2], 1, 0),
    "one row of a column": (normal(6, 3)[:, 1:2].T, normal(6, 2), 1, 0),
    "inner product": (normal(1, 1), turned(1, 1), 1, 0),
    "vector, matrix": (normal(3), normal(3, 7), 1, 0),
    "matrix, vector": (turned(5, 3), normal(6)[::2], 1, 0),
    "two vectors": (normal(4), normal(4), 1, 0),
    "vector, batch": (normal(3), normal(2, 3, 4), 1, 0),
    "batch": (normal(4, 5, 3), turned(4, 3, 7), 1, 0),
    "batch of batches": (normal(2, 3, 5, 4), turned(2, 3, 4, 6), 1, 0),
    "one b for all": (normal(4, 5, 3), normal(3, 7), 1, 0),
    "one a for each": (normal(2, 1, 5, 3), normal(4, 3, 7), 2, 0),
    "queries, keys": (heads(4, 3, 6, 5), heads(4, 3, 7, 5).swapaxes(-1, -2), 3, 0),
    "probabilities, values": (normal(2, 5, 6, 7), heads(2, 5, 7, 4), 2, 0),
    "their gradients": (normal(4, 3, 6, 7).swapaxes(-1, -2), heads(4, 3, 6, 5), 3, 0),
    "a weight, columns of a convolution": (normal(4, 6), normal(6, 3, 5).transpose(1, 0, 2), 1, 0),
    "its transpose, images": (turned(6, 4), normal(3, 4, 5), 1, 0),
    "every second column": (normal(5, 6)[:, ::2], normal(3, 7), 1, 1),
    "backwards": (normal(5, 3)[::-1], normal(3, 7), 1, 1),
    "one row for all": (np.broadcast_to(normal(3), (5, 3)), normal(3, 7), 1, 1),
    "nothing": (normal(0, 3), normal(3, 7), 0, 0),
    "sums of nothing": (normal(5, 0), normal(0, 7), 0, 0),
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", OPERANDS)
def test_products_equal_numpys(name, device, monkeypatch):
    a, b, products, copies = OPERANDS[name]
    library, copied = Counted(), []
    if device == "cuda":
        found = to_host(blas.matmul(*(_as_they_lie(x) for x in (a, b))))
    else:
        readable = blas._readable
        monkeypatch.setattr(blas, "_readable", lambda x: copied.append(readable(x)[0] is not x) or readable(x))
        monkeypatch.setattr(blas.launch, "empty", lambda like, shape: np.full(shape, np.nan, np.float32))
        found = fake_blas(library).matmul(a, b)
        assert (library.products, sum(copied)) == (products, copies)
    expected = np.matmul(a.astype(np.float64), b)
    assert found.dtype == np.float32 and found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-6)


def _as_they_lie(x: np.ndarray):
    """x on the GPU, with the strides that it has here."""
    xp, whole = device_module("cuda"), x
    while isinstance(whole.base, np.ndarray):
        whole = whole.base
    first = (x.ctypes.data - whole.ctypes.data) // 4
    return xp.lib.stride_tricks.as_strided(xp.asarray(whole).reshape(-1)[first:], x.shape, x.strides)


def test_the_stream_is_set_before_the_workspace_and_both_once():
    library = FakeCublas()
    handle = fake_blas(library)
    for _ in range(2):
        handle.matmul(normal(2, 3), normal(3, 4))
    assert library.calls == ["create", "stream", "workspace"] and library.workspace == WORKSPACE


def test_tf32_is_a_choice():
    library = FakeCublas()
    handle = fake_blas(library)
    handle.matmul(normal(2, 3), normal(3, 4))
    with use_tf32(True):
        handle.matmul(normal(2, 3), normal(3, 4))
    assert library.modes == [COMPUTE_32F, COMPUTE_TF32]


def test_what_cublas_refuses_is_named():
    library = FakeCublas()
    library.cublasGemmStridedBatchedEx = lambda *args: 13
    with pytest.raises(BlasError, match="cublasGemmStridedBatchedEx: status 13 EXECUTION_FAILED"):
        fake_blas(library).matmul(normal(2, 3), normal(3, 4))
    library.cublasCreate_v2 = lambda *args: 99
    with pytest.raises(BlasError, match="cublasCreate_v2: status 99$"):
        fake_blas(library)


def test_operands_are_checked():
    handle = fake_blas()
    for a, b in (
        (normal(2, 3), normal(4, 5)),
        (normal(2, 2, 3), normal(3, 3, 5)),
        (normal(2, 3), normal(3, 4).astype(np.float64)),
    ):
        with pytest.raises(ValueError):
            handle.matmul(a, b)


@pytest.mark.parametrize("alpha, beta", [(1.0, 0.0), (0.25, 0.5), (-2.0, 1.0)])
def test_a_product_is_added_to_what_is_there(alpha, beta):
    """Also of a transposed view, as the second moments of rows are, and of several at once."""
    for rows, c in ((normal(7, 5), normal(5, 5)), (normal(3, 7, 5), normal(3, 5, 5))):
        expected = alpha * rows.swapaxes(-1, -2) @ rows + beta * c
        fake_blas().accumulate(c, rows.swapaxes(-1, -2), rows, alpha, beta)
        np.testing.assert_allclose(c, expected, rtol=1e-5, atol=1e-5)


def test_what_a_product_is_added_to_is_checked():
    handle, rows = fake_blas(), normal(7, 5)
    wrong = [(normal(5, 4), rows.T), (normal(5, 10)[:, ::2], rows.T), (normal(7, 5), rows), (normal(2, 5, 5), rows.T)]
    for c, a in (*wrong, (normal(1, 5, 5), rows.T[None])):
        with pytest.raises(ValueError, match="accumulate: "):
            handle.accumulate(c, a, rows, 1.0, 1.0)
    with pytest.raises(ValueError, match="accumulate takes float32"):
        handle.accumulate(np.zeros((5, 5)), rows.T, rows, 1.0, 1.0)


def test_ops_on_a_device_multiply_through_it(monkeypatch):
    """Values and gradients of every op with a product in it, first and second order, are NumPy's."""
    library = Counted()
    multiply_by(monkeypatch, library, {})
    monkeypatch.setitem(strict.__dict__, "matmul", None)  # nothing goes around it
    u, v = normal(5), normal(3)
    for f, shapes in (
        (ops.matmul, [(2, 5, 3), (3, 4)]),
        (ops.linear, [(2, 5, 3), (4, 3), (4,)]),
        (ops.attention, [(2, 2, 5, 4)] * 3),
        (lambda q, k, v: ops.attention(q, k, v, similarity="l2"), [(2, 2, 5, 4)] * 3),
        (lambda x, w: ops.conv2d(x, w, padding=1), [(2, 3, 5, 5), (4, 3, 3, 3)]),
        (lambda x, w: ops.conv_transpose2d(x, w, stride=2), [(2, 3, 3, 3), (3, 4, 2, 2)]),
        (lambda w: ops.spectral_normalize(w, _like(w, u), _like(w, v), 1.0), [(5, 3)]),
    ):
        arrays = [normal(*shape) for shape in shapes]
        host, device = ([Tensor(to_device(a, d), requires_grad=True) for a in arrays] for d in ("cpu", "strict"))
        for a, b in zip(_two_orders(f, host), _two_orders(f, device), strict=True):
            np.testing.assert_allclose(to_host(b.data), a.data, rtol=0, atol=2e-5 * np.abs(a.data).max())
    assert library.products > 50


def _like(x, host):
    return to_device(host, "cpu" if type(x.data) is np.ndarray else "strict")


def _two_orders(f, xs):
    y = f(*xs)
    g = grad((y * y).sum(), xs, create_graph=True)
    first = grad((y * y * y).sum(), xs)
    return [y, *g, *map(Tensor, first), *map(Tensor, grad(sum((a * a).sum() for a in g), xs))]
