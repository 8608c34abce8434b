"""Every op at the edge of its domain: the values and gradients of PyTorch, or of the formula, and no error in a rule.

Part of the library's promise: what forward accepts, the rule can differentiate.
"""

import math
import warnings

import numpy as np
import pytest
from edge_examples import ALONE, EDGES, LINE, Edge

from autograd import Tensor, accelerate, grad, ops, use_fused
from autograd.accelerate.twin import CPU
from autograd.ops.examples import EXAMPLES
from autograd.registry import OPS

pytestmark = [  # NumPy warns of every infinity, PyTorch of a variance of nothing
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:.*degrees of freedom"),
]
inf, nan = np.inf, np.nan
TOLERANCE = {"float64": 1e-11, "float32": 2e-5}  # the longest sums here have a hundred terms


def cast(edge: Edge, dtype: str) -> tuple[list, list[int]]:
    """The inputs in a dtype, and which of them are differentiated."""
    inputs = [x.astype(dtype) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in edge.inputs]
    return inputs, [i for i, x in enumerate(inputs) if isinstance(x, np.ndarray) and x.dtype.kind == "f"][
        : 1 if edge.name == "spectral_normalize" else None
    ]


def weights(shape: tuple) -> np.ndarray:
    return np.random.default_rng(5).uniform(0.5, 1.5, shape)


def ours(edge: Edge, dtype: str, create_graph: bool = False) -> list:
    """y, and the gradients of Σ weights · y."""
    inputs, wrt = cast(edge, dtype)
    xs = [Tensor(x, requires_grad=True) if i in wrt else x for i, x in enumerate(inputs)]
    y = OPS[edge.name].apply(*xs, **edge.options)
    g = weights(y.shape).astype(y.dtype)
    found = grad(y, [xs[i] for i in wrt], g=Tensor(g) if create_graph else g, create_graph=create_graph)
    return [y.data, *(a.data if isinstance(a, Tensor) else a for a in found)]


def same(found: list, expected: list, tolerance: float) -> None:
    for a, b in zip(found, expected, strict=True):
        if b is None:  # PyTorch found no path
            assert not np.any(a)
            continue
        assert a.shape == b.shape and a.dtype == b.dtype
        size = abs(b[np.isfinite(b)]).max(initial=1)
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * min(size, 1e6), equal_nan=True)


def check_all(edges: list[Edge], check) -> None:
    """check(edge) for every edge; the failures together."""
    wrong = []
    for edge in edges:
        try:
            check(edge)
        except Exception as e:
            wrong.append(f"{edge}: {type(e).__name__} {e}")
    assert not wrong, "\n".join(wrong)


names = pytest.mark.parametrize("name", EXAMPLES)
dtypes = pytest.mark.parametrize("dtype", TOLERANCE)


def test_every_op_has_an_edge():
    assert {e.name for e in EDGES} == set(EXAMPLES)


@names
@dtypes
def test_edges_beside_torch(name, dtype):
    pytest.importorskip("torch")
    from torch_ops import TORCH, torch

    def check(edge):
        inputs, wrt = cast(edge, dtype)
        xs = [torch.tensor(x, requires_grad=i in wrt) if isinstance(x, np.ndarray) else x for i, x in enumerate(inputs)]
        y = TORCH[name](*xs, **edge.options)
        g = torch.tensor(weights(tuple(y.shape))).to(y.dtype)
        gradients = torch.autograd.grad(y, [xs[i] for i in wrt], g, allow_unused=True)
        expected = [y.detach().numpy(), *(None if a is None else a.numpy() for a in gradients)]
        same(ours(edge, dtype), expected, TOLERANCE[dtype])

    check_all([e for e in EDGES if e.name == name and not e.limits], check)


@names
@dtypes
def test_all_forms_of_a_rule_agree(name, dtype):
    """The rule on arrays, on Tensors, and its fused form. None fails where forward did not."""

    def check(edge):
        fused = ours(edge, dtype)
        with use_fused(False):
            same(ours(edge, dtype), fused, TOLERANCE[dtype])
        same(ours(edge, dtype, create_graph=True), fused, TOLERANCE[dtype])
        for x, g in zip((edge.inputs[i] for i in cast(edge, dtype)[1]), fused[1:], strict=True):
            assert g.shape == x.shape

    check_all([e for e in EDGES + ALONE if e.name == name], check)


@pytest.mark.slow  # the loops are compiled, or loaded
def test_loops_agree():
    if not accelerate.use("cpu"):
        pytest.skip("numba is not installed")

    def check(edge):
        accelerate.use(None)
        expected = ours(edge, "float32")
        accelerate.use("cpu")
        same(ours(edge, "float32"), expected, TOLERANCE["float32"])

    check_all([e for e in EDGES + ALONE if e.name in CPU], check)


def test_float16_is_computed_in_float32():
    """Values and gradients are those of float32, rounded once: right to the last digit."""
    wrong = []
    for name, examples in EXAMPLES.items():
        for example in examples:
            half = example.inputs("float16")
            single = [x.astype("float32") if getattr(x, "dtype", None) == np.float16 else x for x in half]
            results = []
            for inputs in (half, single):
                xs = [Tensor(x, requires_grad=True) if i in example.wrt else x for i, x in enumerate(inputs)]
                y = example.op.apply(*xs, **example.options)
                g = weights(y.shape).astype("float16").astype(y.dtype)
                results.append([y.data, *grad(y, [xs[i] for i in example.wrt], g=g)])
            rounded = [a.astype(b.dtype) for a, b in zip(results[1], results[0], strict=True)]
            dtypes = {a.dtype for a in results[0][1:]} | ({results[0][0].dtype} if name != "astype" else set())
            if dtypes != {np.dtype("float16")} or not all(map(np.array_equal, results[0], rounded)):
                wrong.append(str(example))
    assert not wrong


def test_float16_beside_wider_numbers():
    x = np.array([[1.0, 2.0, 4.0]], "float16")
    y = ops.normalize(x, np.ones(3, "float32"), np.zeros(3, "float32"), axes=(-1,), eps=1e-5)
    exact = (x - x.mean(dtype=float)) / np.sqrt(x.var(dtype=float) + 1e-5)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.data, exact, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int64"])
def test_integers_give_what_their_values_give(dtype):
    """Sums, products and differences are NumPy's, and wrap around. The other ops compute in floating point."""
    wraps = {
        "sub",
        "neg",
        "power",
        "pad",
        "einsum",
        "conv2d",
        "conv_transpose2d",
        "conv2d_weight",
        "spectral_normalize",
    }
    wrong = []
    for name in EXAMPLES.keys() - wraps:
        for example in EXAMPLES[name]:
            draw = np.random.default_rng(1)
            floats = [getattr(x, "dtype", None) == np.float64 for x in example.inputs()]
            ints = [
                draw.integers(0, 6, x.shape).astype(dtype) if is_float else x
                for x, is_float in zip(example.inputs(), floats, strict=True)
            ]
            exact = [x.astype(float) if is_float else x for x, is_float in zip(ints, floats, strict=True)]
            found, expected = (example.op.apply(*xs, **example.options).data for xs in (ints, exact))
            digits = 2e-3 if found.dtype == np.float16 else 1e-6  # NumPy's e^x of uint8 is float16
            if not np.allclose(np.asarray(found, float), expected, rtol=digits, equal_nan=True):
                wrong.append(f"{example}: {found.ravel()[:4]} for {expected.ravel()[:4]}")
    assert not wrong, "\n".join(wrong)


# The right values, written down


def gradients(f, *arrays):
    xs = [Tensor(np.asarray(a, float), requires_grad=True) for a in arrays]
    y = f(*xs)
    return (y.data, *grad(y, xs, g=np.ones(y.shape)))


def equal(found, expected):
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected, float))


def test_logsumexp_of_infinities():
    """scipy.special.logsumexp; the gradient is softmax, which is not defined where several are infinite."""
    for row, value in (
        ([-inf, -inf], -inf),
        ([inf, 0.0], inf),
        ([inf, inf], inf),
        ([-inf, 0.0], 0.0),
        ([nan, 0.0], nan),
    ):
        equal(ops.logsumexp(np.array([row]), axis=1).data, [value])
        equal(ops.logsumexp(np.array(row)).data, value)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # −∞ is the right value: nothing to warn of
        equal(ops.logsumexp(np.full((2, 2), -inf), axis=0).data, [-inf, -inf])
    equal(ops.logsumexp(np.zeros((2, 0)), axis=1).data, [-inf, -inf])
    equal(gradients(lambda x: ops.logsumexp(x, axis=-1), [[-inf, 0.0]])[1], [[0, 1]])


def test_ties_at_infinity_are_split_evenly():
    for f in (ops.maximum, ops.minimum):
        _, a, b = gradients(f, [inf, -inf, 2.0], [inf, -inf, 2.0])
        equal(a, [0.5] * 3)
        equal(b, [0.5] * 3)
    equal(gradients(lambda x: ops.maximum(x, -inf), [-inf, 1.0])[1], [0.5, 1])


@pytest.mark.parametrize("name, options", [("silu", {}), ("gelu", {}), ("gelu", {"approximate": "tanh"})])
@dtypes
def test_smooth_steps_have_their_limits_at_infinity(name, options, dtype):
    """x σ(x) and x Φ(x): 0 and ∞, slopes 0 and 1. (PyTorch computes −∞ · 0 and has NaN.)"""
    far = np.array([-inf, -1e30, -1e4, 1e4, 1e30, inf, nan], dtype)
    for fused in (True, False):
        with use_fused(fused):
            x = Tensor(far, requires_grad=True)
            y = OPS[name](x, **options)
            equal(y.data, np.where(far < 0, 0, far))
            equal(grad(y, [x], g=np.ones_like(far))[0], np.where(far < 0, 0, np.where(far > 0, 1, far)))


def test_nan_stays_nan():
    """Wherever a value depends on the number, NaN comes out."""
    for name in (
        "neg",
        "exp",
        "log",
        "sqrt",
        "abs",
        "sin",
        "tanh",
        "sigmoid",
        "softplus",
        "erf",
        "relu",
        "silu",
        "gelu",
    ):
        assert np.isnan(OPS[name](np.array([nan])).data).all(), name
    for name in ("sum", "mean", "max", "min", "var", "logsumexp", "softmax", "log_softmax"):
        assert np.isnan(OPS[name](np.array([nan, 1.0])).data).any(), name
    for f in (ops.maximum, ops.minimum):
        assert np.isnan(f(np.array([nan, 1.0]), np.array([1.0, nan])).data).all()
    assert np.isnan(ops.abs(LINE).data[-1]) and np.isnan(gradients(ops.abs, [nan])[1]).all()


def test_a_masked_row_of_softmax():
    """e^(−∞) = 0 beside finite numbers; a row of −∞ alone has no distribution: NaN, as in PyTorch."""
    equal(ops.softmax(np.array([[-inf, 0.0], [0.0, -inf]])).data, [[0, 1], [1, 0]])
    assert np.isnan(ops.softmax(np.array([[-inf, -inf]])).data).all()
    y, gx = gradients(ops.softmax, [[-inf, 0.0, 0.0]])
    equal(y, [[0, 0.5, 0.5]])
    equal(gx, [[0, 0, 0]])


def test_pooling_of_minus_infinity():
    """The frame is −∞ too, and no gradient may go there: all to the first of equals inside, as in PyTorch."""
    x = np.full((1, 1, 2, 2), -inf)
    equal(gradients(lambda x: ops.max_pool2d(x, 2, padding=1), x)[1], np.ones((1, 1, 2, 2)))
    equal(gradients(lambda x: ops.max_pool2d(x, 2), x)[1], [[[[1, 0], [0, 0]]]])
    x[0, 0, 1, 0] = nan
    equal(gradients(lambda x: ops.max_pool2d(x, 2), x)[1], [[[[0, 0], [1, 0]]]])


def test_powers_of_a_negative_or_zero_base():
    """∂aᵇ/∂b = aᵇ ln a: NaN for a < 0, 0 for a = 0 < b, −∞ for a = 0 > b."""
    for base in (-2.0, np.array(-2.0), -2):
        x = Tensor([2.0, 3.0], requires_grad=True)
        y = base**x if not isinstance(base, np.ndarray) else Tensor(base) ** x
        equal(y.data, [4, -8])
        equal(grad(y.sum(), [x])[0], [nan, nan])
    for base in (0.0, np.array(0.0)):
        x = Tensor([-1.0, 0.0, 2.0], requires_grad=True)
        equal(grad(ops.power(base, x).sum(), [x])[0], [-inf, 0, 0])


def test_variance_without_degrees_of_freedom():
    """(Σ (x − x̄)²)/0: 0/0 for one number, as in NumPy and PyTorch, and its gradient likewise."""
    for x, options in ((np.ones(1), {}), (np.ones((2, 1)), {"axis": 1}), (np.array(1.0), {})):
        y, gx = gradients(lambda x, options=options: ops.var(x, ddof=1, **options), x)
        assert np.isnan(y).all() and np.isnan(gx).all() and gx.shape == x.shape
    for ddof in (2, 3):  # n − ddof counts as 0 below it, as in NumPy, and as in PyTorch over all axes
        y, gx = gradients(lambda x, ddof=ddof: ops.var(x, ddof=ddof), [1.0, 2.0])
        equal(y, inf)
        equal(gx, [-inf, inf])
        y, gx = gradients(lambda x, ddof=ddof: ops.std(x, ddof=ddof), [1.0, 2.0])
        equal(y, inf)
        assert np.isnan(gx).all()  # as PyTorch's


def test_a_number_without_axes_has_axis_0():
    """As in PyTorch: 0 and −1 name the number itself."""
    for name in ("sum", "mean", "max", "min", "logsumexp"):
        for axis in (0, -1):
            y, gx = gradients(lambda x, name=name, axis=axis: OPS[name](x, axis=axis), 3.0)
            assert y.shape == gx.shape == () and y == 3 and gx == 1
    assert gradients(lambda x: ops.var(x, axis=0), 3.0)[1] == 0
    equal(gradients(lambda x: ops.softmax(x, axis=0), 3.0), [1, 0])


def test_einsum_undoes_broadcasting():
    """A letter of length 1 in one operand is stretched, so its gradient is a sum."""
    a, b = np.array([[1.0, 2.0]]), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    y, ga, gb = gradients(lambda a, b: ops.einsum("bi,bi->b", a, b), a, b)
    equal(y, [5, 11, 17])
    equal(ga, [[9, 12]])
    equal(gb, np.broadcast_to(a, b.shape))


def test_an_infinite_pixel_stays_where_it_is():
    """Bilinear interpolation mixes two neighbours along each axis: the others stay finite."""
    x = np.zeros((1, 1, 4, 4))
    x[0, 0, 0, 0] = inf
    y = ops.interpolate(x, scale_factor=2, mode="bilinear").data
    assert np.isfinite(y[0, 0, 3:, 3:]).all() and (y[0, 0, 0, 0], y[0, 0, 1, 1]) == (inf, inf)


def test_unsigned_integers_do_not_wrap_around():
    """Of losses and of a bias: the values are those of the same numbers in float64."""
    a, b = np.array([0, 20, 255], np.uint8), np.array([255, 25, 200], np.uint8)
    for f in (ops.mse_loss, ops.binary_cross_entropy_with_logits, ops.bias_gelu, ops.bias_sine):
        found, expected = f(a, b).data, f(a.astype(float), b.astype(float)).data
        assert found.dtype == np.float64
        equal(found, expected)


def test_power_of_two_dtypes():
    assert ops.linear(np.ones((2, 3), int), np.ones((1, 3), int), np.array([0.5])).data.tolist() == [[3.5], [3.5]]
    assert math.isclose(ops.sigmoid(np.array([5], "uint8")).data[0], 1 / (1 + math.exp(-5)))
