"""What people write as an op: it is right, or one sentence says what to write instead."""

import numpy as np
import pytest
from tensors import made, vector

import nn
from autograd import Tensor, grad, gradcheck, hook, op, ops
from autograd.gradcheck import GradcheckError
from autograd.operation import Op

# Names


def test_an_input_may_be_called_y_to_every_order():
    class product:
        "m = x y                    ∂L/∂x = g y,   ∂L/∂y = g x"

        residuals = ("twice",)

        def forward(xp, x, y):
            return x * y, 2 * x

        def backward(xp, g, x, y):
            return g * y, g * x

        def fused(xp, g, y, twice):
            return g * y, g * twice * 0.5

    product = Op(product)
    gradcheck(product, np.array([2.0, -1.0]), np.array([5.0, 3.0]))
    a, b = vector(2.0), vector(5.0)
    (ga,) = grad(product(a, b).sum(), [a], create_graph=True)
    to_a, to_b = grad(ga.sum(), [a, b])
    assert to_a is None and to_b == 1  # ∂²(xy)/∂x∂y


@pytest.mark.parametrize("name", ["g", "need", "shapes"])
def test_names_that_a_rule_means_otherwise_are_refused(name):
    forward = eval(f"lambda xp, {name}: {name}")
    with pytest.raises(TypeError, match=f"an input may not be called '{name}'.*choose another name"):
        made(forward, lambda xp, g: g)


@pytest.mark.parametrize("name", ["g", "need", "shapes", "y", "x"])
def test_a_residual_shares_no_name(name):
    with pytest.raises(TypeError, match=f"a residual may not be called '{name}'.*choose another name"):
        made(lambda xp, x: (x, x), lambda xp, g: g, residuals=(name,))


def test_inputs_and_options_may_be_given_by_name():
    x = vector(2.0)
    assert ops.mul(x, b=3.0).data == ops.mul(b=3.0, a=x).data == 6
    assert ops.sum(x=x, axis=0).data == 2
    with pytest.raises(TypeError, match=r"mul\(a, b\) was called without b"):
        ops.mul(x)
    with pytest.raises(TypeError, match="unexpected keyword argument 'c'"):
        ops.mul(x, x, c=1)


# What forward, a rule and a hook return


def test_a_forgotten_return_is_said():
    x = vector(1.0)
    silent = made(lambda xp, x: None, lambda xp, g: g)
    for run in (lambda: silent(x), lambda: gradcheck(silent, np.ones(2))):
        with pytest.raises(TypeError, match="forward of made returned None: a `return` is missing"):
            run()

    def forgetful(op, kind, call):
        call()

    with hook(forgetful), pytest.raises(TypeError, match="in sum.*hook forgetful returned None: a `return` is missing"):
        x.sum()
    y = x.sum()
    with hook(forgetful), pytest.raises(TypeError, match="in the rule of sum.*hook forgetful returned None"):
        grad(y, [x])


@pytest.mark.parametrize(
    "returned, message",
    [
        (lambda x: ops.exp(x), "returned a Tensor: forward works on arrays, so call the functions of xp"),
        (lambda x: [x], "returned list: it returns one array"),
        (lambda x: (x, x), "returned tuple: it returns one array"),
        (lambda x: "x", "returned str: it returns one array"),
    ],
)
def test_what_forward_returns_is_checked(returned, message):
    with pytest.raises(TypeError, match=f"forward of made {message}"):
        made(lambda xp, x: returned(x), lambda xp, g: g)(vector(1.0))


def test_residuals_that_are_not_returned():
    broken = made(lambda xp, x: x, lambda xp, g: g, residuals=("kept",))
    with pytest.raises(TypeError, match=r"forward of made has residuals: it returns the tuple \(y, kept\)"):
        broken(vector(1.0))


@pytest.mark.parametrize(
    "returned, message",
    [
        (lambda g: (g, g), "returned 2 gradients for 1 inputs: return a tuple, one for each"),
        (lambda g: (), "returned 0 gradients for 1 inputs"),
        (lambda g: [g], "returned list for an input of shape"),
        (lambda g: None, "returned None for an input that needs a gradient"),
    ],
)
def test_what_a_rule_returns_is_checked(returned, message):
    x = vector(1.0)
    y = made(lambda xp, x: 2 * x, lambda xp, g: returned(g))(x)
    for create_graph in (False, True):
        with pytest.raises(ValueError, match=f"the rule of made {message}"):
            grad(y, [x], create_graph=create_graph)


def test_a_list_of_gradients_is_named():
    x = vector(1.0)
    y = made(lambda xp, a, b: a * b, lambda xp, g, a, b: [g * b, g * a])(x, x)
    with pytest.raises(ValueError, match="made returned a list of 2: return a tuple, one gradient for each input"):
        grad(y, [x])


# Messages


def test_ops_inside_forward():
    for inner in (lambda xp, x: xp.sum(ops.exp(x)), lambda xp, x: xp.multiply(ops.exp(x), 2)):
        with pytest.raises(TypeError, match="made returned a Tensor: forward works on arrays, so call"):
            made(inner, lambda xp, g: g)(vector(1.0))


def test_an_option_before_the_star():
    with pytest.raises(TypeError, match=r"op made: n has a default, so it is an option: write options after \*"):
        made(lambda xp, x, n=2: x, lambda xp, g: g)


def test_a_tensor_as_option():
    x = vector(1.0)
    with pytest.raises(TypeError, match="min holds a Tensor, and no gradient flows through an option: give its .data"):
        x.clip(Tensor(0.0))


@pytest.mark.parametrize(
    "rule, message",
    [
        (lambda xp, g: xp.flip(xp.cumprod(xp.flip(g))), r"autograd.ops has no 'cumprod'.*abs, .*where.*order=1"),
        (lambda xp, g: g * xp.linalg.vector_norm(g), r"autograd.ops has no 'vector_norm'.*norm.*order=1"),
        (lambda xp, g: g * np.ptp(g), "np.ptp of a Tensor is not differentiated here; under create_graph a rule"),
        (lambda xp, g: np.asarray(g), "a Tensor is not turned into an array silently; under create_graph a rule"),
        (lambda xp, g: np.floor_divide(g, 1), "np.floor_divide of a Tensor is not differentiated here; under create"),
        (lambda xp, g: g.round(), "no attribute 'round'; rules run on Tensors under create_graph, which have .* sum"),
    ],
)
def test_a_rule_that_does_not_run_on_tensors(rule, message):
    x = vector(1.0, 2.0, 3.0)
    y = made(lambda xp, x: x + 0, rule)(x)
    assert grad(y, [x], np.ones(3))[0] is not None
    with pytest.raises((TypeError, AttributeError), match=f"in the rule of made.*{message}"):
        grad(y, [x], np.ones(3), create_graph=True)


def test_matrices_that_do_not_fit():
    a = np.ones((2, 3))
    with pytest.raises(
        ValueError, match=r"^in matmul\(float64\[2, 3\], float64\[2, 3\]\): 3 columns meet 2 rows; is one of them trans"
    ):
        ops.matmul(a, a)
    with pytest.raises(
        ValueError, match=r"linear of x \(5, 4\) needs a weight \(out, 4\), not \(4, 2\); is one of them"
    ):
        ops.linear(np.ones((5, 4)), np.ones((4, 2)))
    with pytest.raises(ValueError, match=r"in linear.*linear of x \(3, 5\) needs a weight \(out, 5\), not \(2, 4\)"):
        nn.Linear(4, 2)(Tensor(np.ones((3, 5))))
    transposed = made(lambda xp, a, b: xp.matmul(a, b), lambda xp, g, a, b: (xp.matmul(g, b), xp.matmul(a, g)))
    with pytest.raises(GradcheckError, match=r"rule of made\(float64\[2, 4\], .*the matrices do not fit.*transposed\?"):
        gradcheck(transposed, a, np.ones((3, 4)))


def test_defining_an_op_again_says_how():
    with pytest.raises(
        TypeError, match=r"op relu is defined twice, first in autograd.ops.*another name, .*OPS.pop\('relu'\)"
    ):

        @op
        class relu:
            "y = x                      ∂L/∂x = g"

            def forward(xp, x):
                return x

            def backward(xp, g):
                return g


def test_rules_are_called_by_their_place():
    with pytest.raises(TypeError, match="op made: backward must begin with"):
        made(lambda xp, x: x, lambda g: g)
    with pytest.raises(TypeError, match="op made: fused names 'z'"):
        made(lambda xp, x: x, lambda xp, g: g, fused=lambda xp, g, z: g)


# What is refused


def rule(xp, g):
    return g


@pytest.mark.parametrize(
    "forward, more, message",
    [
        (lambda xp, x, **o: x, {}, r"forward takes \*\*o: name each option after \*, \(xp, x, \*, option=default\)"),
        (lambda xp, a, *xs: a, {}, r"forward takes a beside \*xs: take them all as \*xs"),
        (lambda xp, x, *, y=1: x, {}, "an option may not be called 'y'"),
        (lambda xp, x, *, g=1: x, {}, "an option may not be called 'g'"),
        (lambda xp, x, *, need=1: x, {}, "an option may not be called 'need'"),
        (lambda xp, x, *, shapes=1: x, {}, "an option may not be called 'shapes'"),
        (lambda xp, x: (x, x), {"residuals": "phi"}, r'should be a tuple of names: residuals = \("phi",\)'),
        (lambda xp, *, n=1: n, {}, r"forward has no inputs: give it at least one array, def forward\(xp, x\)"),
    ],
)
def test_definitions_that_could_not_work_are_refused(forward, more, message):
    with pytest.raises(TypeError, match=f"op made: .*{message}"):
        made(forward, rule, **more)


def test_a_rule_that_sums_too_much_of_one_element():
    x = vector(1.0)
    with pytest.raises(
        ValueError, match=r"rule of made returned a gradient of shape \(\) for an input of shape \(1,\)"
    ):
        grad(made(lambda xp, x: x, lambda xp, g: g.sum())(x), [x])
