"""Wrong rules must be caught, and named for what they are; right ones must pass at nasty places."""

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
