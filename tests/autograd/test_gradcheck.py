"""Right gradients pass at nasty places, and what cannot be checked is told from a wrong rule."""

import numpy as np
import pytest
from tensors import normal

from autograd import GradcheckError, Tensor, gradcheck, no_grad, ops

X, ROWS = normal(3, 4), normal(5, 4, seed=2)

# Right ones


def softmax(x):
    e = ops.exp(x - ops.max(x, axis=-1, keepdims=True))
    return e / ops.sum(e, axis=-1, keepdims=True)


def layer_norm(x):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / ops.sqrt((centred * centred).mean(axis=-1, keepdims=True) + 1e-12)


def decades(*shape, low=-6, high=6, seed=0):
    """Signed values spread evenly over the powers of ten."""
    rng = np.random.default_rng(seed)
    return rng.choice([-1, 1], shape) * 10 ** rng.uniform(low, high, shape)


RIGHT = {
    "softmax": (softmax, normal(3, 5)),
    "softmax of large values": (softmax, 100 * normal(3, 5)),
    "softmax summed: a gradient of zero": (lambda x: softmax(x).sum(), normal(3, 5)),
    "layer norm": (layer_norm, normal(3, 5)),
    "layer norm of 10⁶": (layer_norm, 1e6 * normal(3, 5)),
    "layer norm of 10⁻⁵": (layer_norm, 1e-5 * normal(3, 5)),
    "layer norm of an offset": (layer_norm, 100 + normal(3, 5)),
    "twelve decades": (ops.mul, decades(4, 5), decades(5, seed=1)),
    "a ratio over twelve decades": (ops.div, decades(4, 5), decades(5, seed=1)),
    "powers over twelve decades": (lambda x: x**3, decades(9)),
    "roots near 0": (ops.sqrt, abs(decades(9, low=-12, high=0))),
    "logarithms near 0": (ops.log, abs(decades(9, low=-12, high=6))),
    "inputs of different scales": (lambda x, w, b: ops.tanh(x @ w + b), 1e6 * X, 1e-6 * normal(4, 2), normal(2)),
    "e¹⁰⁰": (ops.exp, np.array([-100.0, 0.0, 100.0])),
    "waves": (ops.sin, 100 * X),
    "0-d": (lambda a, b: a * ops.sin(b), np.array(0.3), np.array(-2.0)),
    "axes of length 1": (lambda x, w: x * w + ops.mean(x, axis=1, keepdims=True), normal(3, 1, 1), normal(1, 4, 1)),
    "an axis of length 1 to normalise": (layer_norm, normal(3, 1)),
    "no elements": (ops.tanh, np.zeros((0, 3))),
    "no elements, and a sum of them": (lambda x, w: x.sum() + w.sum(), np.zeros((0, 3)), np.zeros(0)),
    "a product over no elements": (lambda a, b: a @ b, np.zeros((2, 0)), np.zeros((0, 3))),
    "one input without elements": (lambda x, w: x.sum() + w, np.zeros((0, 3)), normal(2)),
    "zeros": (lambda x: ops.tanh(x) + x, np.zeros(3)),
    "some zeros": (lambda x: x * x * x, np.array([0.0, 1e-3, 2.0])),
    "an unused input": (lambda x, unused: ops.tanh(x), X, ROWS),
    "no dependence": (lambda x: x * 0.0 + 1.0, X),
    "a difference of large numbers": (lambda x: (x + 1e6) - 1e6, X),
    "a kink one step away": (ops.relu, np.array([1e-3, -1e-3, 1.0, 30.0])),
    "beside a kink": (ops.abs, np.array([1e-14, -1.0])),
    "a bounded domain": (lambda x: ops.log(1 - x) + ops.sqrt(x), np.array([1e-6, 0.5, 1 - 1e-4])),
    "the same input twice": (lambda x: x * x + x, X),
    "a strided input": (lambda x: ops.tanh(x) * x, np.asfortranarray(normal(6, 4))[::2]),
    "slopes of a slope": (lambda x: ops.gelu(x @ ops.transpose(x)), X),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_gradients_pass(name):
    f, *xs = RIGHT[name]
    for seed in range(3):
        gradcheck(f, *xs, seed=seed)


def test_inputs_are_left_as_they_were():
    x, w = X.copy(), Tensor(ROWS.copy(), requires_grad=True)
    gradcheck(lambda x, w: ops.tanh(x) * w[:3], x, w)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(w.data, ROWS)
    assert x.flags.writeable and w.data.flags.writeable and w.grad is None
    constant = Tensor(X.copy())
    gradcheck(lambda w: (constant * 1.0).reshape((4, 3)) @ w[:3], w)
    assert constant.data.flags.writeable


# Points where nothing can be measured


@pytest.mark.parametrize(
    "f, x, where, left, right",
    [
        (ops.relu, [-1.0, 0.0, 2.0], r"x\[1\] = 0", "0", "1"),
        (ops.abs, [0.0, 1.0], r"x\[0\] = 0", "-1", "1"),
        (lambda x: ops.max(x), [3.0, 1.0, 3.0], r"x\[0\] = 3", "0", "1"),
        (lambda x: ops.clip(x, -2, 2).mean(), [2.0, 0.5, 0.1], r"x\[0\] = 2", "0.333", "0"),
        (lambda x: ops.abs(x - 1e6), np.array(1e6), "x = 1e\\+06", "-1", "1"),
    ],
)
def test_kinks_are_told_from_wrong_rules(f, x, where, left, right):
    message = rf"a kink lies within the step at input 0 \(x\), at {where}: "
    message += f"the derivative is {left} from the left and {right} from the right. Move the test point."
    with pytest.raises(GradcheckError, match=message):
        gradcheck(f, np.asarray(x))


def test_kinks_of_the_gradient():
    with pytest.raises(GradcheckError, match="a kink of the gradient lies within the step"):
        gradcheck(lambda x: ops.relu(x) ** 2, np.array([0.0, 1.0]))
    gradcheck(lambda x: ops.relu(x) ** 2, np.array([0.0, 1.0]), order=1)


@pytest.mark.parametrize(
    "f, x, message",
    [
        (ops.sqrt, np.array([0.0, 1.0]), "cannot be measured at this point"),
        (lambda x: ops.sin(1e14 * x), np.array([1.0, 2.0]), "cannot be measured at this point"),
        (ops.log, np.array([0.0, 1.0]), "f is not finite at this point"),
        (lambda x: x * np.random.default_rng().uniform(), X, "another result when called again"),
    ],
)
def test_useless_points_say_so(f, x, message):
    with pytest.raises(GradcheckError, match=message):
        gradcheck(f, x)


@pytest.mark.parametrize(
    "f, xs, message",
    [
        (ops.tanh, [X.astype(np.float32)], r"float64 only, and input 0 is float32: pass np.array"),
        (ops.tanh, [Tensor(X.astype(np.float32))], "input 0 is float32"),
        (lambda x, i: x[i], [X, np.array([0, 1])], "input 1 is int64: .* close over indices"),
        (lambda x: ops.astype(x, dtype="float32"), [X], "f returned float32 for float64 inputs"),
        (lambda x: x.data, [X], "returns one Tensor, not ndarray"),
        (lambda x: (x, x), [X], "returns one Tensor, not tuple"),
        (ops.tanh, [], "at least one input"),
    ],
)
def test_only_float64_tensors(f, xs, message):
    with pytest.raises(TypeError, match=message):
        gradcheck(f, *xs)


def test_errors_of_f_itself_pass_through():
    with pytest.raises(ValueError, match=r"in matmul\(float64\[3, 4\], float64\[3, 4\]\)"):
        gradcheck(ops.matmul, X, X)


def test_no_grad_around_it_does_not_make_every_gradient_zero():
    with no_grad():
        gradcheck(ops.tanh, X)
