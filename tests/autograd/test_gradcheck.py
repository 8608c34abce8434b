"""Wrong rules must be caught, and named for what they are; right ones must pass at nasty places."""

import inspect
import linecache
import pickle
import re

import numpy as np
import pytest

from autograd import GradcheckError, Tensor, gradcheck, no_grad, ops
from autograd.gradcheck.differences import slope
from autograd.operation import Op
from autograd.registry import OPS


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def raw(x):
    """Off the graph: what a rule must not do."""
    return x.detach() if isinstance(x, Tensor) else x


# Wrong on purpose. `Op` defines an op without registering it.


@Op
class flipped:
    "y = −x                     ∂L/∂x = g   (wrong: −g)"

    def forward(xp, x):
        return -x

    def backward(xp, g):
        return g * 1.0


@Op
class halved:
    "y = tanh x                 ∂L/∂x = ½ g (1 − y²)   (wrong: no ½)"

    def forward(xp, x):
        return xp.tanh(x)

    def backward(xp, g, y):
        return 0.5 * g * (1 - y * y)


@Op
class averaged:
    "y = Σ x along the last axis              ∂L/∂x = g / n   (wrong: g)"

    def forward(xp, x):
        return x.sum(axis=-1, keepdims=True)

    def backward(xp, g, shapes):
        return xp.broadcast_to(g, shapes[0]) / shapes[0][-1]


def standardise(x):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / (centred * centred).mean(axis=-1, keepdims=True) ** 0.5


@Op
class without_mean_of_g:
    "y = (x − μ)/σ              ∂L/∂x = (g − y mean(g y))/σ   (wrong: − mean g)"

    def forward(xp, x):
        return standardise(x)

    def backward(xp, g, x):
        sigma = ((x - x.mean(axis=-1, keepdims=True)) ** 2).mean(axis=-1, keepdims=True) ** 0.5
        y = (x - x.mean(axis=-1, keepdims=True)) / sigma
        return (g - y * (g * y).mean(axis=-1, keepdims=True)) / sigma


@Op
class without_mean_of_gy:
    "y = (x − μ)/σ              ∂L/∂x = (g − mean g)/σ   (wrong: − y mean(g y))"

    def forward(xp, x):
        return standardise(x)

    def backward(xp, g, x):
        sigma = ((x - x.mean(axis=-1, keepdims=True)) ** 2).mean(axis=-1, keepdims=True) ** 0.5
        return (g - g.mean(axis=-1, keepdims=True)) / sigma


@Op
class without_both_means:
    "y = (x − μ)/σ              ∂L/∂x = g/σ   (wrong: two means)"

    def forward(xp, x):
        return standardise(x)

    def backward(xp, g, x):
        return g / ((x - x.mean(axis=-1, keepdims=True)) ** 2).mean(axis=-1, keepdims=True) ** 0.5


@Op
class softmax_without_sum:
    "y = eˣ / Σ eˣ              ∂L/∂x = y g   (wrong: − y Σ g y)"

    def forward(xp, x):
        e = xp.exp(x - x.max(axis=0, keepdims=True))
        return e / e.sum(axis=0, keepdims=True)

    def backward(xp, g, y):
        return y * g


@Op
class matmul_transposed:
    "Y = A B                    ∂L/∂A = (G Bᵀ)ᵀ   (wrong),   ∂L/∂B = Aᵀ G"

    def forward(xp, a, b):
        return xp.matmul(a, b)

    def backward(xp, g, a, b):
        return xp.matmul(b, xp.swapaxes(g, -1, -2)), xp.matmul(xp.swapaxes(a, -1, -2), g)


@Op
class zero:
    "y = eˣ                     ∂L/∂x = 0   (wrong: g y)"

    def forward(xp, x):
        return xp.exp(x)

    def backward(xp, g):
        return 0.0 * g


@Op
class swapped:
    "y = a b                    ∂L/∂a = g a,   ∂L/∂b = g b   (wrong way round)"

    def forward(xp, a, b):
        return a * b

    def backward(xp, g, a, b):
        return g * a, g * b


@Op
class one_row_of_g:
    "y = x w                    ∂L/∂w = g x of the last row   (wrong: summed over the rows)"

    def forward(xp, x, w):
        return x * w

    def backward(xp, g, x, w):
        return g * w, (g * x)[-1]


@Op
class tiled:
    "y = [x, x]                 ∂L/∂x = g   (wrong: the two halves summed)"

    def forward(xp, x):
        return xp.concatenate([x, x])

    def backward(xp, g):
        return g


@Op
class tanh_of_tanh:
    "y = tanh x                 ∂L/∂x = g (1 − tanh² y)   (wrong: 1 − y²)"

    def forward(xp, x):
        return xp.tanh(x)

    def backward(xp, g, y):
        return g * (1 - xp.tanh(y) ** 2)


@Op
class relu_open:
    "y = max(x, 0)              ∂L/∂x = g   (wrong for x < 0)"

    def forward(xp, x):
        return xp.maximum(x, 0)

    def backward(xp, g):
        return g * 1.0


@Op
class leaky_relu_squared:
    "y = x if x > 0 else x / 10 ∂L/∂x = g if x > 0 else g / 100   (wrong: g / 10)"

    def forward(xp, x):
        return xp.where(x > 0, x, 0.1 * x)

    def backward(xp, g, x):
        return xp.where(x > 0, g, 0.01 * g)


@Op
class clipped_too_early:
    "y = min(max(x, −2), 2)     ∂L/∂x = g [|x| < 1]   (wrong: [|x| < 2])"

    def forward(xp, x):
        return xp.clip(x, -2, 2)

    def backward(xp, g, x):
        return g * (abs(x) < 1)


@Op
class difference_without_end:
    "y_i = x_(i+1) − x_i        ∂L/∂x, but not for the last x"

    def forward(xp, x):
        return x[:, 1:] - x[:, :-1]

    def backward(xp, g):
        inner = xp.pad(g, ((0, 0), (1, 0)))[:, :-1] - g
        return xp.pad(inner, ((0, 0), (0, 1)))


@Op
class one_element:
    "y = x²                     ∂L/∂x = 2 g x, but 1.3 for the first element"

    def forward(xp, x):
        return x * x

    def backward(xp, g, x):
        first = np.zeros(x.shape)
        first.flat[0] = 1.3
        return 2 * g * x * (1 - first / 1.3) + first


@Op
class not_a_number:
    "y = x²                     ∂L/∂x = 2 g x (0/0)"

    def forward(xp, x):
        return x * x

    def backward(xp, g, x):
        return 2 * g * x * ((x - x) / (x - x))


@Op
class cancelling:
    "y = eˣ                     ∂L/∂x = g ((1 + 3·10⁻¹⁰ y) − 1) / 3·10⁻¹⁰   (right but for rounding)"

    def forward(xp, x):
        return xp.exp(x)

    def backward(xp, g, y):
        return g * (((1 + 3e-10 * y) - 1) / 3e-10)


@Op
class constant_slope:
    "y = x³                     ∂L/∂x = 3 g x², with x² taken as a constant   (wrong to second order)"

    def forward(xp, x):
        return x * x * x

    def backward(xp, g, x):
        return g * 3 * raw(x) ** 2


@Op
class constant_factor:
    "y = x⁴                     ∂L/∂x = 4 g x³, with one x taken as a constant   (wrong to second order)"

    def forward(xp, x):
        return x**4

    def backward(xp, g, x):
        return g * 4 * x**2 * raw(x)


@Op
class constant_g:
    "y = x³                     ∂L/∂x = 3 g x², with g taken as a constant   (wrong to second order)"

    def forward(xp, x):
        return x * x * x

    def backward(xp, g, x):
        return raw(g) * 3 * x**2


@Op
class raw_data:
    "y = x³                     ∂L/∂x = 3 g x², computed on x.data and g.data   (no second order at all)"

    def forward(xp, x):
        return x * x * x

    def backward(xp, g, x):
        return (
            getattr(raw(g), "data", g) * 3 * getattr(raw(x), "data", x) ** 2 if isinstance(x, Tensor) else g * 3 * x**2
        )


@Op
class numpy_only:
    "y = sin x                  ∂L/∂x = g cos x, with np in the place of xp"

    def forward(xp, x):
        return xp.sin(x)

    def backward(xp, g, x):
        return g * np.cos(x)


@Op
class writes_input:
    "y = 2 x, made in x itself  ∂L/∂x = 2 g"

    def forward(xp, x):
        x *= 2
        return x

    def backward(xp, g):
        return 2.0 * g


@Op
class writes_g:
    "y = 2 x                    ∂L/∂x = 2 g, made in g itself"

    def forward(xp, x):
        return 2 * x

    def backward(xp, g):
        g *= 2
        return g


@Op
class writes_y:
    "y = eˣ                     ∂L/∂x = g y, made in y itself"

    def forward(xp, x):
        return xp.exp(x)

    def backward(xp, g, y):
        y *= g
        return y


@Op
class single_precision:
    "y = eˣ                     ∂L/∂x = g y in float32"

    def forward(xp, x):
        return xp.exp(x)

    def backward(xp, g, y):
        return (g * y).astype(np.float32)


@Op
class fused_differs:
    "y = x²                     ∂L/∂x = 2 g x, but backward and fused disagree"

    def forward(xp, x):
        return x * x

    def backward(xp, g, x):
        return 3 * g * x

    def fused(xp, g, x):
        return 2 * g * x


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
    (numpy_only, (X,), ["The first order is right", "xp = autograd.ops", "in the rule of numpy_only"]),
    (writes_input, (X,), [r"in writes_input\(float64\[3, 4\]\)", "read-only\nIt writes into what it was given"]),
    (writes_g, (X,), ["in the rule of writes_g", "read-only\nIt writes into what it was given"]),
    (writes_y, (X,), ["in the rule of writes_y", "read-only\nIt writes into what it was given"]),
    (single_precision, (X,), ["in the rule of single_precision", "returned float32 for a float64 input"]),
    (fused_differs, (X,), ["right on arrays and different on Tensors: `fused` and `backward` disagree"]),
]


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


def test_large_inputs_are_told_to_shrink():
    with pytest.raises(GradcheckError, match="x has 600 elements: check fewer of them for a diagnosis"):
        gradcheck(halved, normal(600))


def test_private_ops_are_not_registered():
    assert not {case[0].name for case in WRONG} & set(OPS)


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


# The differences themselves


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


# Hints come in steps


def failure(op, *xs, **options):
    with pytest.raises(GradcheckError) as caught:
        gradcheck(op, *xs, **options)
    return caught.value


def test_the_first_hint_is_what_is_wrong():
    found = "analytic = 0.5 × numeric everywhere: look for a missing factor 2"
    assert failure(halved, X).hints[0] == f"the gradient of x is wrong: {found}"
    kink = failure(ops.relu, np.array([0.0, 1.0]))
    assert kink.hints == [str(kink)]  # nothing is wrong with the rule, so there is nothing to change


class wrong_tanh:
    "y = tanh x                 ∂L/∂x = g y     (wrong: 1 − y²)"

    def forward(xp, x):
        return xp.tanh(x)

    def backward(xp, g, y):
        return g * y


LINE = inspect.getsourcelines(wrong_tanh.backward)[1] + 1


def test_hints_name_the_line_and_the_edit_that_makes_the_rule_right():
    error = failure(Op(wrong_tanh), X)
    _, where, what = error.hints
    assert where == f"look at line {LINE} of test_gradcheck.py"
    assert what == f"line {LINE}: `g * y` becomes `g * (1 - y * y)`"
    assert where not in str(error) and what not in str(error)
    assert where in str(failure(Op(wrong_tanh), X, hints=2)) and what not in str(failure(Op(wrong_tanh), X, hints=2))
    assert str(failure(Op(wrong_tanh), X, hints=3)).endswith(f"\n\n  {where}\n  {what}")
    again = failure(Op(wrong_tanh), X)  # the search left the rule as it was
    assert str(again) == str(error)


# What a student writes: the forward, the wrong rule, its inputs, and the repair.
SLIPS = {
    "x for y": ("xp.tanh(x)", "x", "g * (1 - x * x)", (X,), "`g * (1 - y * y)`, and the signature names y"),
    "a term forgotten": ("x * x + x", "x", "g * (2 * x)", (X,), "`g * (2 * x + 1)`"),
    "the wrong function": ("xp.sin(x)", "x", "g * xp.sin(x)", (X,), "`g * xp.cos(x)`"),
    "the wrong axis": (
        "xp.exp(x) / xp.exp(x).sum(axis=0, keepdims=True)",
        "y",
        "y * (g - (g * y).sum(axis=1, keepdims=True))",
        (SQUARE,),
        "`y * (g - (g * y).sum(axis=0, keepdims=True))`",
    ),
    "keepdims forgotten": (
        "xp.exp(x) / xp.exp(x).sum(axis=1, keepdims=True)",
        "y",
        "y * (g - (g * y).sum(axis=1))",
        (X,),
        "`y * (g - (g * y).sum(axis=1, keepdims=True))`",
    ),
    "factors exchanged": (
        "xp.matmul(a, b)",
        "a, b",
        "(xp.matmul(g, xp.swapaxes(b, -1, -2)), xp.matmul(g, xp.swapaxes(a, -1, -2)))",
        (SQUARE, SQUARE[::-1]),
        "`xp.matmul(xp.swapaxes(a, -1, -2), g)`",
    ),
    "gradients exchanged": ("a * b", "a, b", "(g * a, g * b)", (X, ROWS[0]), "`(g * b, g * a)`"),
    "a transpose forgotten": (
        "xp.matmul(a, b)",
        "a, b",
        "(xp.matmul(g, b), xp.matmul(xp.swapaxes(a, -1, -2), g))",
        (X, ROWS[:4]),
        "`xp.matmul(g, xp.swapaxes(b, -1, -2))`",
    ),
}


@pytest.mark.parametrize("name", SLIPS)
def test_one_edit_mends_a_slip(name):
    forward, kept, rule, xs, mended = SLIPS[name]
    inputs = "a, b" if len(xs) == 2 else "x"
    lines = [
        "class slip:\n",
        "    'y = f(x)    a formula'\n",
        f"    def forward(xp, {inputs}): return {forward}\n",
        f"    def backward(xp, g, {kept}):\n",
        f"        return {rule}\n",
    ]
    file = f"<cell {name}>"  # as a notebook does it: the source stands in linecache alone
    linecache.cache[file] = (len("".join(lines)), None, lines, file)
    scope: dict = {}
    exec(compile("".join(lines), file, "exec"), scope)
    assert failure(Op(scope["slip"]), *xs).hints[2].endswith(f"becomes {mended}")


def test_a_rule_typed_at_the_prompt_has_no_line():
    scope: dict = {}
    exec("class f:\n 'y = x'\n def forward(xp, x): return x * 1.0\n def backward(xp, g): return g * 2", scope)
    assert len(failure(Op(scope["f"]), X).hints) == 1


def test_a_rule_that_prints_is_not_heard_during_the_search(capsys):
    @Op
    class loud:
        "y = tanh x     ∂L/∂x = g y   (wrong: 1 − y²)"

        def forward(xp, x):
            return xp.tanh(x)

        def backward(xp, g, y):
            print("here")
            return g * y

    error = failure(loud, X)
    capsys.readouterr()
    assert error.hints[2].endswith("becomes `g * (1 - y * y)`")
    assert capsys.readouterr() == ("", "")


def test_an_error_may_go_to_another_process():
    error = failure(Op(wrong_tanh), X)
    copied = pickle.loads(pickle.dumps(error))
    assert str(copied) == str(error) and copied.hints == error.hints[:1]


def test_each_new_version_that_fails_is_told_more():
    versions = [wrong_tanh, *(type("wrong_tanh", (wrong_tanh,), dict(vars(wrong_tanh))) for _ in range(2))]

    def second(xp, g, y):
        return g * (y + 1)

    def third(xp, g, y):
        return g * (1 + y * y)

    versions[1].backward, versions[2].backward = second, third
    lengths = []
    for version in versions:
        message = [str(failure(Op(version), X)) for _ in range(2)]  # the same one again is no new try
        lengths.append(len(message[0].splitlines()))
        assert message[0] == message[1]
    assert lengths == [lengths[0], lengths[0] + 2, lengths[0] + 3]
    right = Op(type("wrong_tanh", (), {**vars(wrong_tanh), "backward": lambda xp, g, y: g * (1 - y * y)}))
    gradcheck(right, X)
    assert "look at line" not in str(failure(Op(wrong_tanh), X))


# The forward, the wrong rule, its inputs, and what must be said: a fact about the values, derived by hand.
NAMED = {
    "a factor forgotten": ("xp.tanh(x)", "y", "g * 1.0", (X,), r"the gradient lacks the factor \(1 − y²\)"),
    "at one element": ("xp.tanh(x)", "y", "g * 1.0", (np.array(0.3),), r"the gradient lacks the factor \(1 − y²\)"),
    "a factor twice": ("xp.exp(x)", "y", "g * y * y", (X,), "the gradient has one factor too many: y$"),
    "another factor": (
        "xp.sin(x)",
        "x",
        "g * xp.sin(x)",
        (X,),
        "the gradient has the factor y where cos x belongs",
    ),
    "another input": ("a * b", "a, b", "(g * a, g * b)", (X, ROWS[0]), "has the factor a where b belongs"),
    "a term forgotten": ("x * x + x", "x", "g * (2 * x)", (X,), "analytic − numeric = −g: this term is missing"),
    "a product turned round": (
        "xp.matmul(a, b)",
        "a, b",
        "(xp.matmul(g, xp.swapaxes(b, -1, -2)), xp.matmul(g, xp.swapaxes(a, -1, -2)))",
        (SQUARE, SQUARE[::-1]),
        "the rule returns g aᵀ where aᵀ g belongs",
    ),
    "the sum over the wrong axis": (
        "a + b",
        "y",
        "(g, g.sum(axis=1))",
        (SQUARE, ROWS[0]),
        "the rule returns Σ[(]g[)] over axis 1 where Σ[(]g[)] over axis 0 belongs",
    ),
    "an axis reversed": ("x[::-1] * 1.0", "y", "g * 1.0", (X,), "the numeric gradient reversed along axis 0"),
    "an axis moved": ("xp.roll(x, 1, axis=1)", "y", "g * 1.0", (X,), "moved by 1 along axis 1"),
    "g forgotten in a sum": (
        "(x * x).sum(axis=1)",
        "x",
        "2 * x + 0 * g.sum()",
        (X,),
        "the gradient of Σ y, not of Σ g y: the rule forgot g",
    ),
    "axes exchanged": (
        "xp.transpose(x, (1, 2, 0))",
        "y",
        "xp.transpose(g, (1, 2, 0))",
        (normal(3, 3, 3),),
        "transposed, its axes in the order",
    ),
}


@pytest.mark.parametrize("name", NAMED)
def test_mistakes_are_named(name):
    forward, kept, rule, xs, words = NAMED[name]
    scope: dict = {}
    inputs = "a, b" if len(xs) == 2 else "x"
    body = f" def forward(xp, {inputs}): return {forward}\n def backward(xp, g, {kept}): return {rule}\n"
    exec(f"class slip:\n 'y = f(x)    a formula'\n{body}", scope)
    found = failure(Op(scope["slip"]), *xs, order=1).hints[0]
    assert re.search(words, found), found


# Shapes that do not fit: the op, both shapes, the usual cause


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: ops.matmul(Tensor(X), Tensor(X)),
            r"in matmul\(float64\[3, 4\], float64\[3, 4\]\): .*4 columns meet 3 rows; is one of them transposed\?",
        ),
        (
            lambda: ops.linear(Tensor(normal(2, 5)), Tensor(X)),
            r"in linear\(float64\[2, 5\], float64\[3, 4\], .*: linear of x \(2, 5\) needs a weight \(out, 5\)",
        ),
        (
            lambda: ops.add(Tensor(X), Tensor(X[:, 0])),
            r"in add\(float64\[3, 4\], float64\[3\]\): .*is one transposed, or does a sum lack keepdims=True\?",
        ),
    ],
)
def test_shapes_that_do_not_fit_are_told_with_the_cause(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "rule, cause",
    [
        ("xp.swapaxes(xp.matmul(g, xp.swapaxes(b, -1, -2)), -1, -2)", r"shape \(4, 3\) .* \(3, 4\): transposed\?"),
        ("xp.matmul(g, xp.swapaxes(b, -1, -2)).sum(axis=1)", r"shape \(3,\) .* \(3, 4\): is there a sum too many\?"),
        ("xp.broadcast_to(b, (2, 4, 2))", r"shape \(2, 4, 2\) .* \(3, 4\): is a sum missing\?"),
        ("b", r"shape \(4, 2\) .* \(3, 4\), which is the shape of another input: are two gradients exchanged\?"),
        (
            "xp.matmul(g, b)",
            r"rule of slip\(float64\[3, 2\], .*size 4 is different from 2; is one of them transposed\?",
        ),
    ],
)
def test_gradients_of_a_wrong_shape_are_told_with_the_cause(rule, cause):
    class slip:
        "Y = A B       ∂L/∂A = G Bᵀ   (wrong)"

        def forward(xp, a, b):
            return xp.matmul(a, b)

    scope: dict = {}
    exec(f"def backward(xp, g, b): return {rule}, None", scope)
    slip.backward = scope["backward"]
    assert re.search(cause, str(failure(Op(slip), X, ROWS[:4, :2])))
