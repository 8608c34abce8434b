"""Wrong rules must be caught, and named for what they are."""

import re

import numpy as np
import pytest
from tensors import normal
from wrong_ops import (
    averaged,
    cancelling,
    clipped_too_early,
    constant_factor,
    constant_g,
    constant_slope,
    difference_without_end,
    flipped,
    fused_differs,
    halved,
    leaky_relu_squared,
    matmul_transposed,
    not_a_number,
    numpy_only,
    one_element,
    one_row_of_g,
    raw_data,
    relu_open,
    single_precision,
    softmax_without_sum,
    swapped,
    tanh_of_tanh,
    tiled,
    without_both_means,
    without_mean_of_g,
    without_mean_of_gy,
    writes_g,
    writes_input,
    writes_y,
    zero,
)

from autograd import GradcheckError, gradcheck, ops
from autograd.operation import Op
from autograd.registry import OPS

X, SQUARE, ROWS = normal(3, 4), normal(4, 4, seed=1), normal(5, 4, seed=2)
SECOND = "the first order is right, the second order is wrong"
CONSTANT = r"treated as a constant \(raw .data\?\)"

WRONG = [
    (flipped, (X,), ["gradient of x is wrong", "sign flipped: analytic = −1 × numeric everywhere"]),
    (halved, (X,), ["analytic = 0.5 × numeric everywhere: look for a missing factor 2\n", "12 of 12 elements"]),
    (
        averaged,
        (X,),
        ["analytic = 0.25 × numeric everywhere", "4 is the length of axis 1 of x: a mean where a sum belongs"],
    ),
    (
        without_mean_of_g,
        (X,),
        ["the error is constant along axis 1: look for a missing or wrong mean or sum"],
    ),
    (
        without_mean_of_gy,
        (X,),
        ["the error is a multiple of y along axis 1", r"missing or wrong y Σ g y or y mean"],
    ),
    (without_both_means, (X,), [r"the error is a \+ b y along axis 1", "both a mean of g and"]),
    (softmax_without_sum, (ROWS,), ["the error is a multiple of y along axis 0"]),
    (
        matmul_transposed,
        (SQUARE, SQUARE[::-1]),
        ["gradient of a is", "analytic equals the numeric gradient transposed"],
    ),
    (zero, (X,), ["analytic is zero everywhere"]),
    (swapped, (X, ROWS[:3]), ["analytic is the gradient of b: are the two swapped"]),
    (
        one_row_of_g,
        (X, ROWS[0]),
        ["gradient of w is", r"through y\[2\] alone: look for a missing sum over axis 0 of g"],
    ),
    (one_row_of_g, (X[:, None], ROWS[:2]), ["gradient of w is", r"through y\[2\] alone"]),
    (tiled, (X,), ["the rule of tiled", r"returned a gradient of shape \(6, 4\) for an input of shape \(3, 4\)"]),
    (tanh_of_tanh, (X,), ["no simple pattern", "1[0-2] of 12 elements are wrong"]),
    (relu_open, (X,), ["right only where x > 0"]),
    (leaky_relu_squared, (X,), ["right only where x > 0; analytic = 0.1 × numeric there"]),
    (clipped_too_early, (3 * X,), ["right in part; analytic is zero there"]),
    (
        difference_without_end,
        (X,),
        ["wrong only at index 3 of axis 1, whose length is 4: look at the ends", "analytic is zero there"],
    ),
    (one_element, (X,), ["right in part", "1 of 12 elements is wrong", r"\[0, 0\]"]),
    (not_a_number, (X,), ["analytic is NaN or infinite in 12 of 12 elements"]),
    (cancelling, (X,), ["right to about six digits, element by element"]),
    (constant_slope, (X,), ["second-order gradient of x", SECOND, CONSTANT, "analytic is zero"]),
    (constant_factor, (X,), ["second-order gradient of x", SECOND, CONSTANT, "analytic = 0.666667 × numeric"]),
    (constant_g, (X,), ["second-order gradient of g", SECOND, CONSTANT, "analytic is zero"]),
    (raw_data, (X,), ["The first order is right", "raw_data was given Tensors and returned", "as a constant"]),
    (writes_input, (X,), [r"in writes_input\(float64\[3, 4\]\)", "read-only\nIt writes into what it was given"]),
    (writes_g, (X,), ["in the rule of writes_g", "read-only\nIt writes into what it was given"]),
    (writes_y, (X,), ["in the rule of writes_y", "read-only\nIt writes into what it was given"]),
    (single_precision, (X,), ["in the rule of single_precision", "returned float32 for a float64 input"]),
    (fused_differs, (X,), ["right on arrays and different on Tensors: `fused` and `backward` disagree"]),
]


def test_np_in_the_place_of_xp_is_right_to_second_order():
    """NumPy's functions of a Tensor are those of ops."""
    gradcheck(numpy_only, X)


@pytest.mark.parametrize("op, inputs, words", [pytest.param(*case, id=case[0].name) for case in WRONG])
def test_wrong_rules_are_caught_and_named(op, inputs, words):
    for seed in range(3):
        with pytest.raises(GradcheckError) as caught:
            gradcheck(op, *inputs, seed=seed)
        message = str(caught.value)
        assert message.startswith(f"gradcheck of {op.name}: ")
        for pattern in words:
            assert re.search(pattern, message), message


def test_a_failure_is_a_short_report():
    with pytest.raises(GradcheckError) as caught:
        gradcheck(halved, X)
    title, _, finding, count, _, heads, *rows, _, along = str(caught.value).splitlines()
    assert title == "gradcheck of halved: the gradient of x is wrong"
    assert finding == "  analytic = 0.5 × numeric everywhere: look for a missing factor 2"
    assert count == "  12 of 12 elements are wrong, the worst:"
    assert heads.split() == ["index", "x", "analytic", "numeric", "analytic", "/", "numeric"]
    assert len(rows) == 5 and len({len(row) for row in [heads, *rows]}) == 1  # a table, its columns flush
    for row in rows:
        i, j, x, analytic, numeric, ratio = (float(s) for s in re.sub(r"[\[\],]", " ", row).split())
        assert x == pytest.approx(X[int(i), int(j)], rel=1e-4) and ratio == 0.5 == pytest.approx(analytic / numeric)
    assert re.fullmatch(r"  along a random direction: analytic \S+, numeric \S+ ± \S+", along)


def test_functions_are_named_with_their_ops_and_parameters():
    def loss(weight, image):
        return relu_open(image * weight).sum()

    with pytest.raises(GradcheckError, match=r"gradcheck of loss \(mul, relu_open, sum\): the gradient of weight is"):
        gradcheck(loss, X, ROWS[0])
    with pytest.raises(GradcheckError, match=r"gradcheck of f \(halved\): the gradient of x0 is"):
        gradcheck(lambda *xs: halved(xs[0]), X, ROWS)
    with pytest.raises(GradcheckError, match=r"gradcheck of f \(mul, halved\): the gradient of image is"):
        gradcheck(lambda image, scale=2.0: halved(image * scale), X)


def test_options_of_an_op_are_given_by_name():
    @Op
    class careless:
        "y = eˣ / Σ eˣ              ∂L/∂x = y (g − Σ g y)"

        def forward(xp, x, *, axis=-1):
            e = xp.exp(x)
            return e / e.sum(axis=axis, keepdims=True)

        def backward(xp, g, y, *, axis=-1):
            return y * (g - (g * y).sum(axis=-1, keepdims=True))  # wrong unless axis is the last one

    x = normal(3, 4)
    gradcheck(ops.softmax, x, axis=0)
    gradcheck(careless, x, axis=1)
    with pytest.raises(GradcheckError, match="gradcheck of careless: the gradient of x is wrong") as caught:
        gradcheck(careless, x, axis=0)
    assert caught.value.hints[2].endswith("(g * y).sum(axis=axis, keepdims=True))`")
    with pytest.raises(TypeError, match="axes"):
        gradcheck(ops.softmax, x, axes=0)


def test_options_of_a_function_are_given_by_name():
    def power(x, n):
        return x**n

    gradcheck(power, normal(3), n=3)
    gradcheck(ops.matmul, normal(2, 3), b=normal(3, 4))


def test_large_inputs_are_told_to_shrink():
    with pytest.raises(GradcheckError, match="x has 600 elements: check fewer of them for a diagnosis"):
        gradcheck(halved, normal(600))


def test_private_ops_are_not_registered():
    assert not {case[0].name for case in WRONG} & set(OPS)


def test_a_wrong_part_is_not_drowned_by_a_large_one():
    @Op
    class wrong_when_small:
        "y = x²                     ∂L/∂x = 2 g x for |x| > 1, else g x   (wrong)"

        def forward(xp, x):
            return x * x

        def backward(xp, g, x):
            return xp.where(abs(x) > 1, 2 * g * x, g * x)

    with pytest.raises(GradcheckError, match=r"right only where \|x\| > "):
        gradcheck(wrong_when_small, np.array([-1e3, -0.1, 1e4, 0.2, 5e3]))
    for seed in range(5):
        wrong = np.full(5, 1e2)
        wrong[seed] = 1e-2
        with pytest.raises(GradcheckError):
            gradcheck(wrong_when_small, wrong, seed=seed)


def test_a_rule_that_forgot_g_is_told_so():
    class forgetful:
        "y = sin x                  ∂L/∂x = cos x     (wrong: g is missing)"

        def forward(xp, x):
            return xp.sin(x)

        def backward(xp, g, x):
            return xp.cos(x) + 0 * g

    with pytest.raises(GradcheckError, match="the rule forgot g"):
        gradcheck(Op(forgetful), np.array([0.3, 1.0, 2.0]))


def test_an_infinite_gradient_is_wrong():
    @Op
    class infinite:
        "y = x                  ∂L/∂x = g, but infinite for the first element"

        def forward(xp, x):
            return x * 1.0

        def backward(xp, g):
            return g * np.array([np.inf, 1.0, 1.0])

    for seed in range(3):
        with pytest.raises(GradcheckError, match="analytic is NaN or infinite in 1 of 3 elements"):
            gradcheck(infinite, X[0, :3], order=1, seed=seed)
