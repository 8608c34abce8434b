"""The ten most telling checks, in under five seconds: run them before every commit."""

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest

from autograd import GradcheckError, Tensor, explain, grad, gradcheck, hook, ops
from autograd.operation import Op

ROOT = Path(__file__).resolve().parent.parent


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def test_the_chain_rule_by_hand():
    x, w = (Tensor(np.array(v), requires_grad=True) for v in (2.0, 3.0))
    y = ops.exp(x) * w + x * x  # ∂y/∂x = w eˣ + 2x,   ∂y/∂w = eˣ
    gx, gw = grad(y, [x, w])
    assert gx == pytest.approx(3 * np.exp(2) + 4) and gw == pytest.approx(np.exp(2))


def test_every_path_counts_and_every_rule_runs_once():
    x = Tensor(np.ones(2), requires_grad=True)
    y, rules = x, []
    for _ in range(40):
        y = y + y  # 2⁴⁰ paths from x to y
    with hook(lambda op, kind, call: rules.append(op.name) or call()):
        assert grad(y, [x], g=np.array([1.0, -3.0]))[0].tolist() == [2**40, -3 * 2**40]
    assert rules == ["add"] * 40


def test_five_thousand_deep_and_freed_without_gc():
    x = Tensor(np.ones(2), requires_grad=True)
    y = x
    gc.disable()
    try:
        for _ in range(5000):
            y = y + x
        assert grad(y.sum(), [x])[0].tolist() == [5001, 5001]
        dead = weakref.ref(y.node)
        del y
        assert dead() is None
    finally:
        gc.enable()


def test_derivatives_of_derivatives():
    x = Tensor(np.array([-1.0, 0.5, 2.0]), requires_grad=True)
    (slope,) = grad(x**3, [x], g=np.ones(3), create_graph=True)
    (curvature,) = grad(slope, [x], g=np.ones(3), create_graph=True)
    np.testing.assert_allclose(curvature.data, 6 * x.data)
    np.testing.assert_allclose(grad(curvature, [x], g=np.ones(3))[0], 6)


@pytest.mark.parametrize(
    "f, shapes",
    [
        (ops.linear, [(2, 3, 4), (5, 4), (5,)]),
        (ops.gelu, [(3, 4)]),
        (ops.softmax, [(3, 4)]),
        (lambda x, w, b: ops.layer_norm(x, (4,), w, b), [(3, 4), (4,), (4,)]),
        (lambda x, w, b: ops.conv2d(x, w, b, stride=2, padding=1), [(2, 2, 5, 4), (3, 2, 3, 3), (3,)]),
        (ops.attention, [(1, 2, 3, 2), (1, 2, 4, 2), (1, 2, 4, 3)]),
    ],
)
def test_gradients_to_second_order(f, shapes):
    gradcheck(f, *(normal(*shape, seed=i) for i, shape in enumerate(shapes)))


def test_a_wrong_rule_is_caught_and_named():
    @Op
    class softmax:
        "y = eˣ / Σ eˣ              ∂L/∂x = y g   (wrong: − y Σ g y)"

        def forward(xp, x):
            return xp.exp(x) / xp.exp(x).sum(axis=1, keepdims=True)

        def backward(xp, g, y):
            return y * g

    with pytest.raises(GradcheckError, match="the error is a multiple of y along axis 1"):
        gradcheck(softmax, normal(3, 4))


def test_penalty_on_a_slope_reaches_the_weights():
    x = Tensor(normal(5, 3), requires_grad=True)

    def r1(w, v):
        (gx,) = grad((ops.tanh(x @ w) @ v).sum(), [x], create_graph=True)
        return (gx * gx).sum(axis=1).mean()

    gradcheck(r1, normal(3, 4, seed=1), normal(4, 1, seed=2), order=1)


def test_float32_stays_float32():
    x, w = (Tensor(normal(4, 4, seed=i).astype("float32"), requires_grad=True) for i in range(2))
    y = (2 * ops.softmax(x @ w) - 0.5).mean()
    gradients = grad(y, [x, w], create_graph=True)
    assert {t.dtype for t in (y, *gradients, *grad((gradients[0] ** 2).sum(), [w]))} == {np.dtype("float32")}


def test_a_network_learns_and_explains_itself():
    """Exclusive or by 300 steps of plain gradient descent."""
    x, target = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0.0], [1], [1], [0]])
    W1, b1, W2, b2 = parameters = [
        Tensor(a, requires_grad=True) for a in (normal(2, 8), np.zeros(8), normal(8, 1), np.zeros(1))
    ]
    for _ in range(300):
        logits = ops.tanh(x @ W1 + b1) @ W2 + b2
        loss = (ops.softplus(logits) - target * logits).mean()
        for p, g in zip(parameters, grad(loss, parameters), strict=True):
            p.data -= g
    assert ((logits.data > 0) == target).all() and float(loss) < 0.05
    steps = [line.split()[1] for line in explain(loss).splitlines() if line.split()[0].isdigit()]
    assert steps == "matmul add tanh matmul add softplus mul sub mean".split()
