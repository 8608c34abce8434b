"""Gradients of gradients."""

import numpy as np
import pytest
from tensors import leaf, leaves

from autograd import grad, gradcheck, ops


def test_second_derivative_of_a_cube():
    (x,) = leaves([-1.0, 0.5, 2.0])
    for cube in (x**3, x * x * x):
        (slope,) = grad(cube, [x], g=np.ones(3), create_graph=True)
        (curvature,) = grad(slope, [x], g=np.ones(3))
        np.testing.assert_allclose(curvature, 6 * x.data)


def test_every_order_of_an_exponential_and_a_sine():
    (x,) = leaves(0.7)
    y, z = ops.exp(2 * x), ops.sin(x)
    for order in range(1, 6):
        (y,), (z,) = grad(y, [x], create_graph=True), grad(z, [x], create_graph=True)
        assert float(y) == pytest.approx(2**order * np.exp(1.4))
        assert float(z) == pytest.approx(np.sin(0.7 + order * np.pi / 2))


def test_mixed_partials_agree():
    x, w = leaves([0.3, 1.2], [0.8, -0.4])
    y = (ops.sin(x * w) * ops.exp(x)).sum()
    gx, gw = grad(y, [x, w], create_graph=True)
    u, v = np.array([1.3, -0.7]), np.array([0.4, 2.0])
    np.testing.assert_allclose(grad(gx, [w], g=u)[0] @ v, grad(gw, [x], g=v)[0] @ u)
    a, b = x.data, w.data
    truth = np.exp(a) * (a * np.cos(a * b) + np.cos(a * b) - a * b * np.sin(a * b))
    np.testing.assert_allclose(grad(gx, [w], g=u)[0], truth * u)


def test_gradient_of_the_r1_penalty():
    """∂/∂W of mean |∂D/∂x|², D(x) = v · tanh(W x): what training a discriminator with R1 needs."""
    x, w, v = leaf(5, 3), leaf(4, 3, seed=1), leaf(4, 1, seed=2)

    def penalty(w, v):
        score = ops.tanh(x @ ops.transpose(w)) @ v
        (gx,) = grad(score.sum(), [x], create_graph=True)
        return (gx * gx).sum(axis=1).mean()

    slopes = (1 - np.tanh(x.data @ w.data.T) ** 2) * v.data[:, 0]
    assert float(penalty(w, v)) == pytest.approx(((slopes @ w.data) ** 2).sum(axis=1).mean())
    gradcheck(penalty, w, v)


def test_mixed_modes_keep_their_places():
    """A first-order pass through a graph that a second-order pass has built, and back."""
    (x,) = leaves([0.4, -1.1])
    y = ops.tanh(x) * x
    (gx,) = grad(y, [x], g=np.ones(2), create_graph=True)
    (plain,) = grad(y, [x], g=np.ones(2))
    np.testing.assert_array_equal(gx.data, plain)
    (both,) = grad((gx * y).sum(), [x])
    (ggx,) = grad(gx, [x], g=np.ones(2))
    np.testing.assert_allclose(both, ggx * y.data + plain * plain)
