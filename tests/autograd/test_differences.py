"""The differences that gradcheck compares with know their error."""

import numpy as np
import pytest

from autograd.gradcheck.differences import slope

CURVES = {
    "exp": (np.exp, np.exp),
    "sin 30": (lambda x: np.sin(30 * x), lambda x: 30 * np.cos(30 * x)),
    "tanh 1000": (lambda x: np.tanh(1000 * x), lambda x: 1000 * (1 - np.tanh(1000 * x) ** 2)),
    "1/x": (lambda x: 1 / x, lambda x: -1 / x**2),
    "log": (np.log, lambda x: 1 / x),
    "x − 1": (lambda x: x - 1, np.ones_like),
    "cube": (lambda x: x**3, lambda x: 3 * x**2),
    "constant": (lambda x: 0 * x + 5, np.zeros_like),
}


@pytest.mark.parametrize("name", CURVES)
def test_differences_know_their_error(name):
    f, derivative = CURVES[name]
    for scale in (1e-6, 1e-3, 1.0):
        x = scale * np.random.default_rng(0).uniform(0.5, 1.5, 20)
        s = slope(lambda t, x=x: f(x + t * x), abs(f(x)))
        truth = derivative(x) * x
        assert (abs(s.value - truth) <= 30 * s.error).all()
        assert (s.error <= 1e-6 * abs(truth) + 1e-9 * abs(f(x))).all()
        assert not s.kinked.any()
