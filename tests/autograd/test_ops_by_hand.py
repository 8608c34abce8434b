"""Indexing, products and norms equal NumPy or values found by hand, and refuse what does not fit."""

import math

import numpy as np
import pytest
from tensors import gradients

from autograd import Tensor, grad, ops
from autograd.gradcheck import gradcheck


def test_getitem_adds_up_repeats_and_scatter_add_is_its_transpose():
    rng = np.random.default_rng(0)
    x, index = rng.standard_normal((4, 3)), np.array([2, 0, 2, 2])
    g = rng.standard_normal((4, 3))
    expected = np.stack([g[1], np.zeros(3), g[0] + g[2] + g[3], np.zeros(3)])
    np.testing.assert_allclose(gradients(lambda x: x[index], x, g=g)[1], expected)
    np.testing.assert_allclose(ops.scatter_add(g, index=index, shape=(4, 3)).data, expected)
    rows, columns = np.array([[0, 0], [1, 1]]), np.array([[1, 1], [2, 0]])
    y, gx = gradients(lambda x: x[rows, columns], x)
    assert y.tolist() == [[x[0, 1], x[0, 1]], [x[1, 2], x[1, 0]]]
    assert gx[0, 1] == 1 + 2 and gx[1, 2] == 3 and gx[1, 0] == 4 and gx.sum() == 10


def test_getitem_with_a_boolean_mask():
    x = np.array([[1.0, -2], [-3, 4]])
    y, gx = gradients(lambda t: t[x > 0], x, g=np.array([5.0, 7.0]))
    assert y.tolist() == [1, 4] and gx.tolist() == [[5, 0], [0, 7]]


def test_split_take_and_their_gradients():
    x = Tensor(np.arange(14.0).reshape(2, 7), requires_grad=True)
    pieces = ops.split(x, [2, 3], axis=1)
    assert [p.shape for p in pieces] == [(2, 2), (2, 1), (2, 4)]
    np.testing.assert_array_equal(np.concatenate([p.data for p in pieces], axis=1), x.data)
    (gx,) = grad((pieces[0].sum() * 2 + pieces[2].sum() * 3), [x])
    assert gx.tolist() == [[2, 2, 0, 3, 3, 3, 3]] * 2
    assert [p.shape for p in ops.split(x, 2)] == [(1, 7)] * 2
    assert [p.shape for p in ops.split(x, 7, axis=-1)] == [(2, 1)] * 7
    with pytest.raises(ValueError, match="cannot split 7 elements into 2 equal parts"):
        ops.split(x, 2, axis=1)
    index = np.array([3, 3, 0])
    np.testing.assert_array_equal(ops.take(x, index, axis=1).data, np.take(x.data, index, axis=1))
    np.testing.assert_array_equal(ops.take(x, index).data, np.take(x.data, index))
    (gx,) = grad(ops.take(x, index, axis=1), [x], g=np.array([[1.0, 2, 4], [0, 0, 0]]))
    assert gx.tolist() == [[4, 0, 0, 3, 0, 0, 0], [0] * 7]


@pytest.mark.parametrize(
    "subscripts", ["ij,jk->ll", "...i,ij->i", "ij,jk->iik", "ij,jk->ix", "ijk,jk", "ij", "i,ij", "iij,jk"]
)
def test_einsum_refuses_what_does_not_fit(subscripts):
    a = np.ones((2, 2))
    with pytest.raises(ValueError, match="einsum "):
        ops.einsum(subscripts, a, a)


EINSUMS = (  # subscripts, shapes
    ("ij,jk", (2, 3), (3, 4)),  # the output is ik
    ("ba", (2, 3)),  # and here ab: sorted
    ("ii", (3, 3)),
    ("ii->i", (3, 3)),
    ("iij,j->i", (2, 2, 3), (3,)),
    ("iijj->ij", (2, 2, 3, 3)),
    ("iii->i", (2, 2, 2)),
    ("ij,jj->i", (2, 3), (3, 3)),
    ("...i,i->...", (2, 4, 3), (3,)),
    ("...ij,...jk", (2, 1, 2, 3), (4, 3, 2)),
    ("i...,...", (2, 3), (3,)),
    ("b...ii->...b", (2, 4, 3, 3)),
    ("...,...", (), (2, 3)),
)


@pytest.mark.parametrize("subscripts, shapes", [(s, shapes) for s, *shapes in EINSUMS])
def test_einsum_as_numpy_writes_it(subscripts, shapes):
    arrays = [np.random.default_rng(i).standard_normal(shape) for i, shape in enumerate(shapes)]
    np.testing.assert_allclose(ops.einsum(subscripts, *arrays).data, np.einsum(subscripts, *arrays), rtol=1e-12)
    gradcheck(lambda *xs: ops.einsum(subscripts, *xs), *arrays, order=2)


def test_einsum_ignores_spaces():
    a, b = np.arange(6.0).reshape(2, 3), np.arange(3.0)
    np.testing.assert_array_equal(ops.einsum("i j, j -> i", a, b).data, a @ b)


@pytest.mark.parametrize("a, b", [((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((3,), (4, 3, 2)), ((4, 2, 3), (3,))])
def test_matmul_of_vectors_is_numpys(a, b):
    a, b = (np.random.default_rng(i).standard_normal(shape) for i, shape in enumerate((a, b)))
    for f in (ops.matmul, lambda a, b: a @ b):
        y = f(Tensor(a), Tensor(b))
        np.testing.assert_allclose(y.data, a @ b, rtol=1e-12)
        assert y.shape == (a @ b).shape
    gradcheck(ops.matmul, a, b, order=2)


def test_matmul_refuses_numbers_and_linear_takes_vectors():
    with pytest.raises(ValueError, match="matmul takes matrices and vectors"):
        ops.matmul(np.array(2.0), np.ones((3, 2)))
    with pytest.raises(ValueError, match="3 columns meet 2 rows"):
        ops.matmul(np.ones(3), np.ones(2))
    assert ops.linear(np.ones(3), np.ones((2, 3))).shape == (2,)


def test_cross_entropy_by_hand():
    x = np.log([[1.0, 3.0], [3.0, 1.0], [1.0, 1.0]])
    target = np.array([1, 1, 0])
    y, gx = gradients(lambda x: ops.cross_entropy(x, target), x, g=np.array(6.0))
    assert y == pytest.approx((math.log(4 / 3) + math.log(4) + math.log(2)) / 3)
    np.testing.assert_allclose(gx, 2 * np.array([[0.25, -0.25], [0.75, -0.75], [-0.5, 0.5]]))
    y, gx = gradients(lambda x: ops.cross_entropy(x, target), np.array([[1e3, -1e3]] * 3))
    assert y == pytest.approx(4e3 / 3) and np.isfinite(gx).all()


def test_layer_norm_refuses_a_shape_that_does_not_fit():
    with pytest.raises(ValueError, match=r"layer_norm over \(4,\) does not fit x of shape \(2, 3\)"):
        ops.layer_norm(np.ones((2, 3)), 4)


def test_batch_norm_moves_its_running_statistics_in_place():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 3, 2, 2)) * 2 + 1
    mean, var = np.zeros(3), np.ones(3)
    y = ops.batch_norm(Tensor(x), mean, var, training=True, momentum=0.25)
    flat = x.transpose(1, 0, 2, 3).reshape(3, -1)
    np.testing.assert_allclose(mean, 0.25 * flat.mean(axis=1))
    np.testing.assert_allclose(var, 0.75 + 0.25 * flat.var(axis=1, ddof=1))
    np.testing.assert_allclose(y.data.mean(axis=(0, 2, 3)), 0, atol=1e-12)
    before = mean.copy(), var.copy()
    evaluated = ops.batch_norm(Tensor(x), mean, var)
    expected = (x - mean.reshape(3, 1, 1)) / np.sqrt(var + 1e-5).reshape(3, 1, 1)
    np.testing.assert_allclose(evaluated.data, expected)
    np.testing.assert_array_equal((mean, var), before)


def test_spectral_normalize_has_no_gradient_for_the_singular_vectors():
    rng = np.random.default_rng(0)
    w = Tensor(rng.standard_normal((3, 4)), requires_grad=True)
    left, s, right = np.linalg.svd(w.data)
    y = ops.spectral_normalize(w, left[:, 0], right[0], 2.5)
    assert np.linalg.norm(y.data, 2) == pytest.approx(2.5)
    (gw,) = grad(y, [w], g=w.data)  # W → cW/σ(W) does not change along W, so ⟨G, W⟩ = 0 wherever G is
    assert gw is not None and abs((gw * w.data).sum()) < 1e-12
    u = Tensor(left[:, 0], requires_grad=True)
    y = ops.spectral_normalize(w, u, right[0], 1.0)
    with pytest.raises(ValueError, match="rule of spectral_normalize returned None"):
        grad(y, [u], g=w.data)
