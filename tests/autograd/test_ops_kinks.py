"""Ops have the right values and slopes where they are delicate: at ties and kinks, far out, and at 0."""

import math

import numpy as np
import pytest
from tensors import gradients

from autograd import Tensor, grad, no_grad, ops
from autograd.registry import OPS


def test_ties_are_split_evenly():
    for f in (ops.maximum, ops.minimum):
        _, ga, gb = gradients(f, [1, 2, 3], [1, 0, 3])
        assert ga.tolist() == [0.5, 2.0 * (f is ops.maximum), 1.5]
        assert (ga + gb).tolist() == [1, 2, 3]
    assert gradients(lambda x: ops.maximum(x, 0.0), [0.0, -1, 1])[1].tolist() == [0.5, 0, 3]
    x = [[1, 5, 5, 5], [2, 2, 2, 2.0]]
    assert gradients(lambda x: ops.max(x, axis=1), x)[1].tolist() == [[0, 1 / 3, 1 / 3, 1 / 3], [0.5] * 4]
    assert gradients(lambda x: ops.min(x, axis=1), x)[1].tolist() == [[1, 0, 0, 0], [0.5] * 4]
    assert gradients(ops.max, [7.0, 7, 1])[1].tolist() == [0.5, 0.5, 0]


def test_max_pool_gives_all_to_the_first_of_equals():
    x = np.array([[0.0, 3, 3, 1], [3, 2, 2, 3]]).reshape(1, 1, 2, 4)
    gx = gradients(lambda x: ops.max_pool2d(x, 2), x)[1]
    assert gx[0, 0].tolist() == [[0, 1, 2, 0], [0, 0, 0, 0]]


def test_kinks():
    assert gradients(ops.relu, [-1, 0, 1])[1].tolist() == [0, 0, 3]
    assert gradients(ops.leaky_relu, [-1, 0, 1])[1].tolist() == [0.01, 0.02, 3]
    assert gradients(ops.abs, [-1, 0, 1])[1].tolist() == [-1, 0, 3]
    clip = [-2, -1, 0, 1, 2]
    assert gradients(lambda x: ops.clip(x, -1, 1), clip)[1].tolist() == [0, 2, 3, 4, 0]  # the bounds belong to it
    assert gradients(lambda x: ops.clip(x, min=-1), clip)[1].tolist() == [0, 2, 3, 4, 5]
    assert gradients(lambda x: ops.clip(x, max=1), clip)[1].tolist() == [1, 2, 3, 4, 0]


FAR = np.array([-1e3, -50, 0, 50, 1e3])
SMOOTH_STEPS = {
    "sigmoid": ([0, math.exp(-50), 0.5, 1, 1], [0, math.exp(-50), 0.25, 0, 0]),
    "softplus": ([0, math.exp(-50), math.log(2), 50, 1e3], [0, math.exp(-50), 0.5, 1, 1]),
    "silu": ([0, -50 * math.exp(-50), 0, 50, 1e3], [0, -49 * math.exp(-50), 0.5, 1, 1]),
    "gelu": ([0, 0, 0, 50, 1e3], [0, 0, 0.5, 1, 1]),
    "tanh": ([-1, -1, 0, 1, 1], [0, 0, 1, 0, 0]),
    "erf": ([-1, -1, 0, 1, 1], [0, 0, 2 / math.sqrt(math.pi), 0, 0]),
}


@pytest.mark.parametrize("name", SMOOTH_STEPS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_far_out_nothing_overflows(name, dtype):
    values, slopes = SMOOTH_STEPS[name]
    forms = [{}, {"approximate": "tanh"}] if name == "gelu" else [{}]
    for options in forms:
        x = Tensor(FAR.astype(dtype), requires_grad=True)
        y = OPS[name](x, **options)
        np.testing.assert_allclose(y.data, values, atol=1e-7)
        (gx,) = grad(y, [x], g=np.ones(5, dtype), create_graph=True)
        np.testing.assert_allclose(gx.data, slopes, atol=1e-7)
        (ggx,) = grad(gx, [x], g=np.ones(5, dtype))
        assert np.isfinite(ggx).all()


def test_erf_in_float32_is_right_to_the_last_digits():
    x = np.concatenate([np.linspace(-6, 6, 20_001), 10.0 ** np.arange(-30, 30)]).astype("float32")
    exact = np.array([math.erf(v) for v in x.tolist()])
    np.testing.assert_allclose(ops.erf(x).data, exact, rtol=5e-7, atol=0)  # 4 units; NumPy's exp takes 2.5 of them
    assert np.isnan(ops.erf(np.float32([np.nan])).data).all()


def test_softplus_keeps_its_small_tail():
    x = np.array([-700.0, -100, -10])
    np.testing.assert_allclose(ops.softplus(x).data, np.log1p(np.exp(x)), rtol=1e-14)


def test_sigmoid_keeps_its_digits_on_both_sides():
    x = np.array([-80, -20, -1, 0, 1, 20], np.float32)
    exact = 1 / (1 + np.exp(-x.astype(np.float64)))
    np.testing.assert_allclose(ops.sigmoid(Tensor(x)).data, exact, rtol=3e-7)
    slope = grad(ops.softplus(t := Tensor(x, requires_grad=True)).sum(), [t])[0]
    np.testing.assert_allclose(slope, exact, rtol=3e-7)
    np.testing.assert_allclose(ops.silu(Tensor(x)).data, x * exact, rtol=3e-7)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_exponentials_of_large_values(dtype):
    x = Tensor(
        np.array([[1e4, 1e4, 0], [-1e4, -1e4, -1e4], [1e38, 1, 2], [-1e38, -1e38, 1e38]], dtype), requires_grad=True
    )
    expected = [1e4 + math.log(2), -1e4 + math.log(3), 1e38, 1e38]
    y = ops.logsumexp(x, axis=1)
    np.testing.assert_allclose(y.data, expected, rtol=1e-6)
    weights = [[0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3], [1, 0, 0], [0, 0, 1]]
    np.testing.assert_allclose(grad(y, [x], g=np.ones(4, dtype))[0], weights, rtol=2e-3)  # e^(x − y), y = 1e4 rounded
    np.testing.assert_allclose(ops.softmax(x).data, weights, rtol=1e-6)
    assert np.isfinite(ops.log_softmax(x).data[:2]).all()
    with no_grad():
        assert float(ops.logsumexp(x)) == np.dtype(dtype).type(1e38)


@pytest.mark.parametrize("exponent, slope_at_0", [(0, 0), (1, 1), (2, 0), (3, 0), (0.5, math.inf), (1.5, 0)])
def test_power_at_0(exponent, slope_at_0):
    x = Tensor(np.array([0.0, 4.0]), requires_grad=True)
    y = x**exponent
    assert y.data.tolist() == [0.0**exponent, 4.0**exponent]
    with np.errstate(divide="ignore"):
        (gx,) = grad(y, [x], g=np.array([2.0, 3.0]))
    assert gx[0] == (2 * slope_at_0 if slope_at_0 else 0) and gx[1] == 3 * exponent * 4 ** (exponent - 1)


def test_power_minus_one_and_its_pole():
    x = Tensor(np.array([0.0, 4.0]), requires_grad=True)
    with np.errstate(divide="ignore"):
        y = x**-1
        (gx,) = grad(y, [x], g=np.ones(2))
    assert y.data.tolist() == [math.inf, 0.25] and gx.tolist() == [-math.inf, -1 / 16]


def test_power_at_0_to_second_order():
    for exponent, curvature in ((0, None), (1, None), (2, 2.0), (3, 0.0)):
        x = Tensor(np.array(0.0), requires_grad=True)
        (gx,) = grad(x**exponent, [x], create_graph=True)
        (ggx,) = grad(gx, [x])
        assert ggx is None or ggx == curvature, exponent


def test_power_with_an_array_of_exponents_at_zero():
    a = Tensor(np.array([0.0, 0.0, 2.0]), requires_grad=True)
    b = Tensor(np.array([2.0, 0.0, 3.0]), requires_grad=True)
    to_a, to_b = grad((a**b).sum(), [a, b])
    np.testing.assert_allclose(to_a, [0, 0, 12])
    np.testing.assert_allclose(to_b, [0, 0, 8 * np.log(2)])
