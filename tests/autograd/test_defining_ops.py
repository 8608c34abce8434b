"""An op of one's own: what is checked when it is defined and when its rule runs, and what the errors say."""

import re

import numpy as np
import pytest
from tensors import leaf, normal

from autograd import Tensor, debug, grad, gradcheck, op, ops, use_fused
from autograd.operation import Op
from autograd.registry import OPS


@Op
class broken:
    "y = 2 x                    ∂L/∂x raises"

    def forward(xp, x, *, scale=2):
        return x * scale

    def backward(xp, g, y, *, scale):
        raise RuntimeError("a rule that fails")


def test_errors_name_the_op_and_the_shapes():
    x = leaf(3, 4)
    with pytest.raises(ValueError, match=r"^in add\(float64\[3, 4\], float32\[5\]\): operands could not be broadcast"):
        x + np.ones(5, "float32")
    with pytest.raises(
        ValueError, match=r"^in mean\(float64\[3, 4\], axis=2, keepdims=False\): axis 2 is out of bounds"
    ):
        x.mean(axis=2)
    y = broken(x, scale=3)
    with pytest.raises(
        RuntimeError, match=r"^in the rule of broken\(float64\[3, 4\], float64\[3, 4\], scale=3\): a rule"
    ):
        grad(y.sum(), [x])
    with pytest.raises(TypeError, match=r"sum\(\) got two values of axis"):
        ops.sum(np.ones((2, 2)), 0, axis=1)
    with pytest.raises(TypeError, match=r"tanh\(\) takes at most 1 arguments, got 2"):
        ops.tanh(x, 1)
    with pytest.raises(TypeError, match=r"^in tanh\(float64\[3, 4\], axis=1\): .* unexpected keyword argument 'axis'"):
        ops.tanh(x, axis=1)


def test_debug_names_the_line_that_ran_the_op():
    x = leaf(2)
    with debug():
        y = broken(x)  # this line
    pattern = r"recorded at .*test_defining_ops\.py:\d+: y = broken\(x\)  # this line: a rule that fails"
    with pytest.raises(RuntimeError, match=pattern):
        grad(y.sum(), [x])
    assert broken(x).node.seen is None


def wrong_rule(returned):
    class rule:
        "y = a b                    ∂L/∂a, ∂L/∂b: not what they should be"

        def forward(xp, a, b):
            return a * b

        def backward(xp, g, a, b):
            return returned(g)

    return Op(rule)


@pytest.mark.parametrize(
    "returned, message",
    [
        (lambda g: g, "the rule of rule returned 1 gradients for 2 inputs: return a tuple, one for each"),
        (lambda g: [g, g], "the rule of rule returned a list of 2: return a tuple"),
        (lambda g: (g, None), "the rule of rule returned None for an input that needs a gradient"),
        (lambda g: (g, 1.0), r"the rule of rule returned float for an input of shape \(3,\)"),
        (lambda g: (g, g[:2]), r"the rule of rule returned a gradient of shape \(2,\) for an input of shape \(3,\)"),
        (lambda g: (g, g.sum()), r"returned a gradient of shape \(\) for an input of shape \(3,\)"),
    ],
)
def test_what_a_rule_returns_is_checked(returned, message):
    a, b = leaf(3), leaf(3, seed=1)
    for inputs in ([a, b], [b]):
        with pytest.raises(ValueError, match=message):
            grad(wrong_rule(returned)(a, b), inputs, g=np.ones(3))


def test_a_rule_must_not_leave_the_graph():
    a, b = leaf(3), leaf(3, seed=1)
    y = wrong_rule(lambda g: (g, getattr(g, "data", g) if isinstance(g, Tensor) else g))(a, b)
    grad(y, [b], g=np.ones(3))
    with pytest.raises(ValueError, match="was given Tensors and returned ndarray: it treats something as a constant"):
        grad(y, [b], g=np.ones(3), create_graph=True)


def forward(xp, x, *, axis=None):
    return x


def backward_rule(xp, g):
    return g


@pytest.mark.parametrize(
    "members, message",
    [
        ({"__doc__": None}, "has no docstring: write its formula and the formula of its gradient"),
        ({"forward": None}, r"has no forward; an op is a class with a docstring, forward\(xp, ...\) and backward\("),
        ({"backward": None}, r"has no backward; an op is a class with"),
        ({"forward": lambda x: x}, r"forward must begin with xp: def forward\(xp, x, \*, option=default\)"),
        ({"forward": lambda: 0}, "forward must begin with xp"),
        ({"backward": lambda g, xp: g}, r"must begin with \(xp, g\)"),
        (
            {"backward": lambda xp, g, z: g},
            r"names 'z'; it may name \['y', 'shapes', 'need', 'x'\], and options after \*",
        ),
        ({"backward": lambda xp, g, axis: g}, r"names 'axis'; it may name .*, and options after \*"),
        ({"backward": lambda xp, g, *, dim: g}, r"names option 'dim'; forward has \['axis'\]"),
        ({"fused": lambda xp, g, mean: g}, "names 'mean'; it may name"),
    ],
)
def test_the_contract_of_an_op_is_checked_where_it_is_defined(members, message):
    members = {"__doc__": "y = x   ∂L/∂x = g", "forward": forward, "backward": backward_rule} | members
    before = dict(OPS)
    with pytest.raises(TypeError, match=f"^op mistaken: .*{message}"):
        op(type("mistaken", (), {k: v for k, v in members.items() if v is not None}))
    assert before == OPS


def test_an_op_is_defined_once():
    with pytest.raises(TypeError, match="op tanh is defined twice"):
        op(type("tanh", (), {"__doc__": "y   ∂L/∂x", "forward": forward, "backward": backward_rule}))
    assert OPS["tanh"] is ops.tanh


def test_an_op_of_ones_own():
    """The whole of what a student writes; every order follows."""

    @Op
    class bump:
        "y = s x e^(−x²)            ∂L/∂x = g s (1 − 2 x²) e^(−x²)"

        def forward(xp, x, *, s=1.0):
            return s * x * xp.exp(-x * x)

        def backward(xp, g, x, *, s):
            return g * s * (1 - 2 * x * x) * xp.exp(-x * x)

    gradcheck(bump, normal(3))
    gradcheck(lambda x: bump(x, s=2.5), normal(2, 2))
    np.testing.assert_array_equal(bump(normal(3), 2.0).data, 2 * bump(normal(3)).data)  # options by position, as NumPy
    assert re.match(r"<op bump: y = s x e", repr(bump))


def test_fused_twins_are_used_in_first_order_passes_only():
    calls = []

    @Op
    class twin:
        "y = x²                     ∂L/∂x = 2 g x"

        residuals = ("doubled",)

        def forward(xp, x):
            return x * x, 2 * x

        def backward(xp, g, x):
            calls.append("rule")
            return 2 * g * x

        def fused(xp, g, doubled):
            calls.append("fused")
            return g * doubled

    x = leaf(3)
    y = twin(x).sum()
    (a,) = grad(y, [x])
    with use_fused(False):
        (b,) = grad(y, [x])
    (c,) = grad(y, [x], create_graph=True)
    assert calls == ["fused", "rule", "rule"]
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(a, c.data)
    gradcheck(twin, x)


def test_an_op_of_a_session_may_be_defined_again():
    """In __main__, a prompt or a notebook, the last definition counts; in a file a second one is a mistake."""

    def define(module, slope):
        class tried_twice:
            "y = 2x                     ∂L/∂x = 2g"

            def forward(xp, x):
                return 2 * x

            def backward(xp, g):
                return slope * g

        tried_twice.__module__ = module
        return op(tried_twice)

    try:
        define("__main__", 3)
        x = Tensor(np.array(1.0), requires_grad=True)
        assert grad(define("__main__", 2)(x), [x])[0] == 2
        with pytest.raises(TypeError, match="defined twice"):
            define("a_file", 2)
    finally:
        del OPS["tried_twice"]


def test_numpys_function_in_a_rule_is_ours_on_tensors():
    class np_for_xp:
        "y = eˣ                     ∂L/∂x = g eˣ"

        def forward(xp, x):
            return xp.exp(x)

        def backward(xp, g, x):
            return g * np.exp(x)

    x = Tensor(np.ones(2), requires_grad=True)
    (slope,) = grad(Op(np_for_xp)(x).sum(), [x], create_graph=True)
    np.testing.assert_allclose(grad(slope.sum(), [x])[0], np.exp([1.0, 1.0]))
