"""Reverse mode itself: what is differentiated, and in which data type."""

import numpy as np
import pytest
from tensors import leaf, leaves, normal

from autograd import Tensor, backward, grad, gradcheck, no_grad, ops

# What is differentiated


def test_diamond():
    (x,) = leaves([0.5, 2.0])
    a, b = ops.sin(x), x * x
    y = a * b + a
    np.testing.assert_allclose(grad(y, [x], g=np.array([3.0, -1.0]))[0], slope_of_diamond(x.data) * [3, -1])


def slope_of_diamond(x):
    return np.cos(x) * x**2 + np.sin(x) * 2 * x + np.cos(x)


def test_same_input_twice():
    (x,) = leaves([1.0, -2.0])
    assert grad((x + x + x * x - x).sum(), [x])[0].tolist() == [3.0, -3.0]
    assert [a.tolist() for a in grad((2 * x).sum(), [x, x])] == [[2, 2], [2, 2]]


def test_unused_input_is_none_and_not_zero():
    x, unused = leaves([1.0], [1.0])
    constant = Tensor(np.ones(1))
    y = (x * 2).sum()
    assert grad(y, [unused, x, constant])[1].tolist() == [2] and grad(y, [unused, constant]) == [None, None]
    assert grad(Tensor(np.ones(())), [x]) == [None]
    (older,) = leaves([1.0])
    assert grad(y, [older]) == [None]


def test_with_respect_to_intermediates_and_to_y_itself():
    (x,) = leaves([0.5, 2.0])
    h = ops.exp(x)
    y = (h * h).sum()
    gx, gh, gy = grad(y, [x, h, y])
    np.testing.assert_allclose(gh, 2 * h.data)
    np.testing.assert_allclose(gx, 2 * h.data * h.data)
    assert gy == 1 and isinstance(gy, np.ndarray)
    (alone,) = grad(y, [h])
    np.testing.assert_array_equal(alone, gh)


def test_g_may_be_an_array_a_list_or_a_tensor():
    x = leaf(3)
    for g in (np.array([1.0, 2.0, -3.0]), [1, 2, -3], Tensor(np.array([1.0, 2.0, -3.0]))):
        np.testing.assert_allclose(grad(x * x, [x], g=g)[0], 2 * x.data * [1, 2, -3])
    with pytest.raises(ValueError, match=r"y has shape \(3,\): give g"):
        grad(x * x, [x])
    with pytest.raises(ValueError, match=r"g has shape \(2,\), y has shape \(3,\)"):
        grad(x * x, [x], g=np.ones(2))


def test_a_gradient_may_be_differentiated_with_respect_to_g():
    x, g = leaf(3), leaf(3, seed=1)
    (gx,) = grad(ops.sin(x), [x], g=g, create_graph=True)
    np.testing.assert_allclose(grad(gx, [g], g=np.array([1.0, 2, 3]))[0], np.cos(x.data) * [1, 2, 3])


def test_backward_adds_up():
    x, w = leaves([2.0, 3.0], 5.0)
    unused = leaf(2)
    (x * w).sum().backward()
    first = x.grad
    assert first.tolist() == [5, 5] and w.grad == 5 and unused.grad is None
    (x * w).sum().backward()
    assert x.grad.tolist() == [10, 10] and w.grad == 10 and isinstance(w.grad, np.ndarray)
    assert first.tolist() == [5, 5], "the first array was written into"
    backward(x * 3, np.array([1.0, -1.0]))
    assert x.grad.tolist() == [13, 7]
    x.grad = None
    x.sum().backward()
    assert x.grad.tolist() == [1, 1] and x.grad.flags.writeable
    with pytest.raises(ValueError, match="depends on nothing with requires_grad"):
        Tensor(np.ones(())).backward()


def test_grad_touches_no_grad_and_keeps_the_tape():
    (x,) = leaves([2.0])
    y = (x * x).sum()
    assert [grad(y, [x])[0].tolist() for _ in range(2)] == [[4], [4]] and x.grad is None


def test_detached_and_unrecorded():
    (x,) = leaves([2.0])
    assert grad((x * x.detach()).sum(), [x])[0] == 2
    with no_grad():
        y = x * x
    assert y.node is None and not y.requires_grad
    assert (x * x).requires_grad, "no_grad ended"


def test_broadcasting_is_undone():
    x, row, column, scalar = leaf(3, 4), leaf(4, seed=1), leaf(3, 1, seed=2), leaf(seed=3)
    g = normal(2, 3, 4, seed=4)
    stretched = normal(2, 1, 1, seed=5)
    y = (x * row + column) * scalar * stretched
    gx, grow, gcolumn, gscalar = grad(y, [x, row, column, scalar], g=g)
    h = (g * scalar.data * stretched).sum(axis=0)
    np.testing.assert_allclose(gx, h * row.data)
    np.testing.assert_allclose(grow, (h * x.data).sum(axis=0))
    np.testing.assert_allclose(gcolumn, h.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(gscalar, (g * y.data).sum() / scalar.data)


OPERATORS = [
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
    lambda a, b: a / b,
    lambda a, b: abs(a) ** b,
    lambda a, b: a.reshape(4, 1) @ b.reshape(1, 4),
]


@pytest.mark.parametrize("f", OPERATORS)
def test_operators_are_those_of_numpy_on_both_sides(f):
    a, b = normal(4), normal(4, seed=1)
    for left, right in ((leaf(4), leaf(4, seed=1)), (a, leaf(4, seed=1)), (leaf(4), b)):
        y = f(left, right)
        assert isinstance(y, Tensor)
        np.testing.assert_array_equal(y.data, f(a, b))
    gradcheck(f, a, b)
    gradcheck(lambda x: f(a, x), b)
    gradcheck(lambda x: f(x, b), a)


def test_numbers_lists_and_arrays_beside_a_tensor():
    x = leaf(3)
    for y in (1 - x, [1, 1, 1] - x, np.ones(3) - x, np.float64(1) - x):
        assert isinstance(y, Tensor) and grad(y.sum(), [x])[0].tolist() == [-1, -1, -1]
    np.testing.assert_array_equal((2**x).data, 2**x.data)
    with pytest.raises(TypeError, match="not turned into an array silently"):
        np.asarray(x)
    assert type(x < 0) is np.ndarray and type(np.ones(3) < x) is np.ndarray


# Data types


def test_dtype_is_kept():
    for dtype in ("float32", "float64"):
        x, w = leaf(3, 4, dtype=dtype), leaf(4, 2, seed=1, dtype=dtype)
        y = (ops.tanh(x @ w) * 2 + 1) / 3 - 0.5
        (gx, gw) = grad(y, [x, w], g=normal(3, 2, seed=2, dtype=dtype), create_graph=True)
        (ggw,) = grad((gx * gx).sum(), [w])
        (2 * y.mean()).backward()
        assert {a.dtype for a in (y, gx, gw, ggw, x.grad, w.grad, y.mean())} == {np.dtype(dtype)}


def test_python_numbers_are_weak_and_numpy_numbers_are_not():
    x = leaf(3, dtype="float32")
    for y in (x * 2, 2.5 - x, x**3, 2**x, x / 7, ops.where(x > 0, x, 0.0), ops.maximum(x, 0.1)):
        assert y.dtype == np.float32 and grad(y.sum(), [x])[0].dtype == np.float32
    wide = x * np.float64(2)
    assert wide.dtype == np.float64 and grad(wide.sum(), [x])[0].dtype == np.float32


def test_mixed_precision_gives_each_input_its_own():
    x, w = leaf(3, dtype="float32"), leaf(3, seed=1)
    y = x * w
    gx, gw = grad(y, [x, w], g=np.ones(3))
    assert y.dtype == np.float64 and gx.dtype == np.float32 and gw.dtype == np.float64
    narrow = x * 2
    assert [a.dtype for a in grad(narrow, [x, narrow], g=np.ones(3))] == [np.float32] * 2, "g takes the dtype of y"
    assert grad(ops.astype(x, dtype="float64").sum(), [x])[0].dtype == np.float32
