"""What people hand to an op or to grad: it is taken, or one sentence says what to give instead."""

import pickle

import numpy as np
import pytest
from tensors import cotangent, leaf, made, normal, vector

from autograd import Tensor, explain, grad, mermaid, no_grad, ops

# What carries a gradient


@pytest.mark.parametrize("dtype", [int, "int32", bool, np.uint8])
def test_integers_and_booleans_carry_no_gradient(dtype):
    """A step function is constant wherever it has a derivative."""
    x = vector(1.5, 2.5)
    y = x.astype(dtype)
    assert not y.requires_grad and grad(y.sum(), [x]) == [None]
    np.testing.assert_array_equal(grad((x * y).sum(), [x])[0], np.array([1.5, 2.5]).astype(dtype))
    rounded = made(lambda xp, x: xp.floor(x).astype("int64"), lambda xp, g: g)
    assert not rounded(x).requires_grad  # of any op


def test_complex_results_are_refused():
    with pytest.raises(TypeError, match="mul returned complex numbers, which are not differentiated"):
        vector(1.0) * np.array([1j])


def test_grad_takes_tensors_and_real_numbers():
    x = vector(1.0)
    for y, xs in ((x.sum(), [np.ones(1)]), (np.ones(1), [x]), (3.0, [x])):
        with pytest.raises(TypeError, match=r"grad\(y, xs\) takes Tensors, not"):
            grad(y, xs)
    with pytest.raises(TypeError, match="g is complex128: complex numbers are not differentiated"):
        grad(x, [x], g=np.array([1j]))


# What forward accepts, the rule can differentiate


def test_options_and_conditions_that_are_none():
    x = vector(1.0, 2.0)
    with pytest.raises(ValueError, match="approximate='erf': use 'none' or 'tanh'"):
        ops.gelu(x, approximate="erf")
    with pytest.raises(TypeError, match="the condition is boolean, as x > 0 is, not float64"):
        ops.where(x, x, 0.0)
    with pytest.raises(ValueError, match="batch_norm outside training needs running_mean and running_var"):
        ops.batch_norm(np.ones((2, 2)), None, None)


@pytest.mark.parametrize("similarity", ops.SIMILARITIES)
def test_attention_refuses_what_does_not_fit(similarity):
    q, wide, long = np.ones((1, 1, 2, 3)), np.ones((1, 1, 2, 4)), np.ones((1, 1, 3, 3))
    for k, v in ((wide, q), (q, long), (long, q)):
        with pytest.raises(ValueError, match="in attention.*differ in their number of (features|tokens)"):
            ops.attention(q, k, v, similarity=similarity)


def test_concatenate_of_flattened_arrays_and_splits():
    """numpy.concatenate(axis=None) and numpy.split."""
    a, b = vector(1.0, 2.0), Tensor(np.ones((1, 2)), requires_grad=True)
    y = ops.concatenate([a, b], axis=None)
    ga, gb = grad(y, [a, b], np.arange(4.0))
    assert y.data.tolist() == [1, 2, 1, 1] and ga.tolist() == [0, 1] and gb.tolist() == [[2, 3]]
    assert [p.shape for p in ops.split(np.zeros((0, 2)), 2)] == [(0, 2), (0, 2)]
    assert [p.data.tolist() for p in ops.split(a, np.int64(2))] == [[1], [2]]
    with pytest.raises(ValueError, match="cannot split 2 elements into 0 equal parts"):
        ops.split(a, 0)
    assert ops.max_pool2d(np.ones((1, 1, 4, 4)), np.int64(2)).shape == (1, 1, 2, 2)


def test_gradients_of_another_dtype_inside_no_grad():
    """The cast of the cotangent is on the tape of the gradient, as the gradient is."""
    x, g = vector(1.0, 2.0), Tensor(np.ones(2, "float32"), requires_grad=True)
    y = x * x
    with no_grad():
        (gx,) = grad(y, [x], g, create_graph=True)
    assert grad(gx.sum(), [g])[0].tolist() == [2, 4]


# What is refused, or taken


def test_shapes_by_integers_of_numpy():
    two, x = np.int64(2), Tensor(np.arange(6.0), requires_grad=True)
    assert x.reshape(two, np.int64(3)).shape == x.view(two, -1).shape == (2, 3)
    assert x.reshape(np.int64(6)).shape == x.permute(np.int64(0)).shape == x.transpose(None).shape == (6,)
    assert ops.layer_norm(x, np.int64(6)).shape == (6,)
    assert grad(ops.transpose(x, 0), [x], np.arange(6.0))[0].tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("shift", [np.int64(1), np.uint8(1), 1, (1, 2), [1, 2], np.array([1, 2])], ids=repr)
def test_roll_by_any_integers(shift):
    axis = None if np.ndim(shift) == 0 else (0, 1)
    x, g = leaf(3, 4), normal(3, 4, seed=1)
    y = ops.roll(x, shift, axis)
    np.testing.assert_array_equal(y.data, np.roll(x.data, shift, axis))
    (gx,) = grad(y, [x], g)
    np.testing.assert_array_equal(np.roll(gx, shift, axis), g)


@pytest.mark.parametrize("widths", [{0: (1, 2)}, {-1: 1}, {1: (0, 3), 0: (2, 0)}], ids=repr)
def test_pad_by_a_dict_of_axes(widths):
    x = leaf(2, 3)
    expected = np.zeros((2, 3))
    both = [(0, 0), (0, 0)]
    for axis, width in widths.items():
        both[axis] = width if isinstance(width, tuple) else (width, width)
    expected = np.pad(x.data, both)
    y = ops.pad(x, widths)
    np.testing.assert_array_equal(y.data, expected)
    g = cotangent(y)
    np.testing.assert_array_equal(grad(y, [x], g)[0], grad(ops.pad(x, both), [x], g)[0])
    with pytest.raises(IndexError, match="out of bounds"):  # as every axis
        ops.pad(x, {2: 1})


def test_names_of_leaves_are_names_of_tensors():
    y = vector(1.0).sum()
    for show in (explain, mermaid):
        with pytest.raises(TypeError, match=r"names\['x'\] is ndarray: names label"):
            show(y, names={"x": np.ones(1)})


def test_an_unpickled_float16_array_is_computed_in_float32():
    """Its dtype is another object. The mean and the deviation of 0 … 1000 are finite, those of raw float16 are not."""
    a = np.linspace(0, 1000, 8).astype("float16")
    expected = (a.astype(float) - a.astype(float).mean()) / a.astype(float).std()
    for b in (pickle.loads(pickle.dumps(a)), a.astype(">f2")):
        y = ops.layer_norm(Tensor(b), 8)
        assert y.dtype == np.float16
        np.testing.assert_allclose(y.data, expected, rtol=1e-3)  # float16 has 11 bits


def test_ops_take_plain_numbers_and_lists():
    for found, expected in (
        (ops.sigmoid(0.0), 0.5),
        (ops.softplus(0.0), np.log(2)),
        (ops.gelu(0.0), 0.0),
        (ops.silu(0), 0.0),
        (ops.erf(0.0), 0.0),
        (ops.softmax(3.0), 1.0),
        (ops.sum(3.0), 3.0),
        (ops.max(3), 3.0),
        (ops.reshape(2.0, (1, 1)), [[2.0]]),
        (ops.power(2, 3), 8),
        (ops.layer_norm([-1.0, 1.0], 2, eps=0), [-1, 1]),
        (ops.split([1, 2, 3, 4], 2)[1], [3, 4]),
        (ops.take([1, 2, 3], np.array([2, 0])), [3, 1]),
    ):
        np.testing.assert_allclose(found.data, expected, rtol=1e-15)
    assert ops.add(np.float32(1), 1.0).dtype == np.float32  # as in NumPy


def test_none_among_arrays_is_refused():
    x = vector(1.0, 2.0)
    for f in (lambda: ops.where(x.data > 1, x, None), lambda: ops.stack([Tensor(1.0), None])):
        with pytest.raises(TypeError, match="made an array of Python objects: is None among its inputs"):
            f()


def test_a_bias_may_be_larger_than_what_it_is_added_to():
    """By broadcasting, as x̂ w + b of NumPy; its gradients sum over what was stretched."""
    x, w, b = (np.random.default_rng(i).standard_normal(s) for i, s in enumerate(((1, 3), 3, (2, 3))))
    std = np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    normed = (x - x.mean(-1, keepdims=True)) / std
    xs = [Tensor(a, requires_grad=True) for a in (x, w, b)]
    y = ops.layer_norm(xs[0], 3, *xs[1:])
    np.testing.assert_allclose(y.data, normed * w + b, rtol=1e-12)
    g = np.random.default_rng(3).standard_normal((2, 3))
    gx, gw, gb = grad(y, xs, g)
    np.testing.assert_allclose(gw, (g * normed).sum(0), rtol=1e-12)
    np.testing.assert_array_equal(gb, g)
    slope = (g * w).sum(0, keepdims=True)
    slope = slope - slope.mean(-1, keepdims=True) - normed * (slope * normed).mean(-1, keepdims=True)
    np.testing.assert_allclose(gx, slope / std, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(gx, grad(y, xs, g, create_graph=True)[0].data, rtol=1e-9, atol=1e-12)


def test_batch_norm_says_what_it_needs():
    with pytest.raises(ValueError, match="in training needs more than one value for each channel"):
        ops.batch_norm(np.ones((1, 3)), None, None, training=True)
    with pytest.raises(ValueError, match="takes running_mean and running_var together, or None for both"):
        ops.batch_norm(np.ones((2, 3)), np.zeros(3), None, training=True)


def test_attention_needs_features():
    with pytest.raises(ValueError, match="have no features"):
        ops.attention(*[np.ones((1, 1, 2, 0))] * 3)


def test_a_bias_that_does_not_fit():
    for f in (ops.bias_gelu, ops.bias_sine):
        with pytest.raises(ValueError, match="the bias has 3 elements, and the last axis of x has 4"):
            f(np.ones((2, 4)), np.ones(3))
    for shape in ((1,), (4,), (1, 3), (2, 3), ()):  # some of them would broadcast
        with pytest.raises(ValueError, match=r"linear with a weight \(3, 4\) takes a bias \(3,\), not"):
            ops.linear(np.ones((2, 4)), np.ones((3, 4)), np.ones(shape))
