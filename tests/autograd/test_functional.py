"""Jacobians, Hessians and products with them: against formulas, and against PyTorch where it is installed."""

import numpy as np
import pytest

from autograd import Tensor, grad, hessian, hvp, jacobian, no_grad, ops, vjp

X = np.random.default_rng(0).standard_normal((3, 4))
A = np.random.default_rng(1).standard_normal((5, 4))


def test_the_jacobian_of_a_linear_map_is_its_matrix():
    found = jacobian(lambda x: ops.linear(x, A), X[0])
    assert found.shape == (5, 4)
    np.testing.assert_allclose(found, A, rtol=1e-14)


def test_the_jacobian_of_softmax():
    p = np.exp(X[0]) / np.exp(X[0]).sum()
    np.testing.assert_allclose(jacobian(ops.softmax, X[0]), np.diag(p) - np.outer(p, p), atol=1e-15)


def test_the_hessian_of_a_quadratic_form_and_its_product():
    v = np.random.default_rng(2).standard_normal(4)

    def f(x):
        return (ops.linear(x, A) ** 2).sum() / 2

    np.testing.assert_allclose(hessian(f, X[0]), A.T @ A, rtol=1e-13)
    value, product = hvp(f, Tensor(X[0]), v)
    np.testing.assert_allclose(value, np.sum((A @ X[0]) ** 2) / 2)
    np.testing.assert_allclose(product, A.T @ A @ v, rtol=1e-13)


def test_vjp_is_a_row_of_the_jacobian():
    v = np.random.default_rng(3).standard_normal((3, 4))
    value, product = vjp(ops.tanh, X, v)
    np.testing.assert_array_equal(value, np.tanh(X))
    np.testing.assert_allclose(product, np.tensordot(v, jacobian(ops.tanh, X), 2), atol=1e-15)


def test_what_does_not_depend_on_x_has_zeros():
    c = Tensor(np.ones(2))
    np.testing.assert_array_equal(jacobian(lambda x: c + 1, X), np.zeros((2, 3, 4)))
    np.testing.assert_array_equal(hessian(lambda x: x.sum(), X[0]), np.zeros((4, 4)))
    np.testing.assert_array_equal(hvp(lambda x: x.sum(), X[0], X[1])[1], np.zeros(4))


def test_a_hessian_needs_one_output():
    with pytest.raises(ValueError, match="y has shape"):
        hessian(ops.tanh, X)


def test_they_equal_those_of_pytorch():
    torch = pytest.importorskip("torch")
    from torch.autograd import functional

    def f(lib):
        return lambda x: lib.softmax(lib.tanh(x) * x, -1)

    np.testing.assert_allclose(
        jacobian(f(ops), X), functional.jacobian(f(torch), torch.tensor(X)).numpy(), rtol=1e-12, atol=1e-14
    )
    ours = hessian(lambda x: (f(ops)(x) ** 2).sum(), X)
    theirs = functional.hessian(lambda x: (f(torch)(x) ** 2).sum(), torch.tensor(X)).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-14)


def test_derivatives_inside_no_grad():
    """Σ x³ has the slope 3x² and the Hessian diag 6x; torch, too, records for create_graph inside no_grad."""
    x = np.array([1.0, 2.0])

    def f(x):
        return (x * x * x).sum()

    leaf = Tensor(x, requires_grad=True)
    y = f(leaf)
    with no_grad():
        np.testing.assert_allclose(jacobian(f, x), 3 * x**2)
        np.testing.assert_allclose(hessian(f, x), np.diag(6 * x))
        np.testing.assert_allclose(hvp(f, x, x)[1], 6 * x * x)
        (slope,) = grad(y, [leaf], create_graph=True)
        assert (leaf * 2).node is None
    np.testing.assert_allclose(grad(slope.sum(), [leaf])[0], 6 * x)


def test_hvp_needs_v():
    with pytest.raises(ValueError, match=r"hvp\(f, x, v\) needs v, an array in the shape of x"):
        hvp(lambda x: x.sum(), X[0], None)


def test_the_hessian_of_a_power_whose_exponent_is_0():
    """∂²(a^b)/∂a∂b = a^(b−1) (1 + b ln a) = ½, and ∂²/∂b² = (ln a)², at a = 2, b = 0. PyTorch, which masks the slope
    wherever b = 0, loses a part of the first."""
    found = hessian(lambda x: (x[0:1] ** x[1:2]).sum(), np.array([2.0, 0.0]))
    np.testing.assert_allclose(found, [[0, 0.5], [0.5, np.log(2) ** 2]], rtol=1e-14)
    for a in (0.0, 1e-320, np.inf, np.nan):  # the slope of a⁰ is 0 everywhere, as in PyTorch
        assert jacobian(lambda a: a ** np.array([0.0]), np.array([a])) == 0
