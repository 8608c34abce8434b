"""Functions made of ops: NumPy's and PyTorch's values, gradients to second order, and the values at the edge.

A rule may call them on xp too, so a test walks the functions that rules call.
"""

import inspect
import math
import operator
import re
from pathlib import Path

import numpy as np
import pytest

from autograd import Tensor, grad, gradcheck, hessian, ops
from autograd.ops import numerics
from autograd.registry import OPS
from autograd.registry import ops as table

ROOT = Path(__file__).parents[2]
inf, nan = math.inf, math.nan


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape)


X, ROWS = normal(2, 3, 4), np.array([[0, 2, 1, 1], [2, 0, 0, -1]])
CASES = {  # name: [arguments …]; the first is differentiated
    "prod": [(X,), (X, 1), (X, (0, -1)), (normal(5), 0)],
    "squeeze": [(normal(1, 2, 1),), (normal(1, 2, 1), -1), (normal(1, 2, 1), (0, 2)), (normal(),)],
    "expand_dims": [(X, 0), (X, -1), (X, (0, 2)), (normal(), 0)],
    "moveaxis": [(X, 0, -1), (X, (0, 1), (-1, 0)), (X, [2], [0])],
    "repeat": [(X, 2), (X, 3, 1), (X, [1, 0, 2], -2), (X, 0, 0)],
    "tile": [(X, 2), (X, (2, 1, 3)), (normal(3), (2, 2)), (X, (1, 2)), (X, (0, 1, 1)), (normal(), 2)],
    "sort": [(X,), (X, 0), (X, None), (normal(0, 3), 0)],
    "take_along_axis": [(normal(2, 3), ROWS, 1), (normal(2, 4), ROWS[:1] % 2, 0), (normal(2, 3), ROWS[0], None)],
    "diagonal": [(normal(3, 4),), (normal(3, 4), 1), (normal(3, 4), -2), (X, 0, 2, 0), (normal(2, 3), 5)],
    "trace": [(normal(3, 3),), (normal(3, 4), -1), (X, 0, 1, 2)],
    "tril": [(normal(3, 3),), (X, 1), (X, -1), (normal(3),)],
    "triu": [(normal(3, 3),), (X, 1), (X, -1)],
    "outer": [(normal(3), normal(2)), (normal(2, 2), normal(3)), (normal(0), normal(3))],
    "dot": [
        (normal(3), normal(3)),
        (normal(2, 3), normal(3)),
        (normal(2, 3), normal(3, 2)),
        (normal(), normal(3)),
        (X, normal(2, 4, 3)),
        (normal(4), normal(2, 4, 3)),
    ],
    "norm": [(X[0], 1, 0), (X[0], inf, 1, True), (X[0],), (X[0, 0], 2), (X[0], "fro")],
    "cumsum": [(X,), (X, 1), (normal(),)],
}
each_case = pytest.mark.parametrize("name, args", [(name, args) for name, cases in CASES.items() for args in cases])


@each_case
def test_values_are_numpys(name, args):
    f = getattr(np.linalg if name == "norm" else np, name)
    expected, found = np.asarray(f(*args)), getattr(ops, name)(*args)
    assert isinstance(found, Tensor) and found.shape == expected.shape
    np.testing.assert_allclose(found.data, expected, rtol=1e-12)


@each_case
def test_lists_and_integers_of_numpy_are_taken(name, args):
    """What ops take as an array may be a list, and a number of axes or places may be one of NumPy's."""

    def numpys(v):
        return np.int64(v) if type(v) is int else tuple(map(numpys, v)) if type(v) is tuple else v

    first, *rest = args
    f, expected = getattr(ops, name), getattr(ops, name)(*args).data
    np.testing.assert_array_equal(f(first.tolist(), *rest).data.reshape(expected.shape), expected)
    x = Tensor(first, requires_grad=True)
    y = f(x, *map(numpys, rest))
    np.testing.assert_array_equal(y.data, expected)
    if x.size:
        assert grad(y.sum(), [x])[0].shape == x.shape


def test_other_functions_take_lists():
    image, kernel, q = normal(1, 1, 2, 2), normal(1, 1, 3, 3), normal(1, 3, 2)
    for f, *arrays in (
        (lambda x, i: ops.gather(x, 1, i), X[0], ROWS[:, :2] % 2),
        (lambda x, m: ops.masked_fill(x, m, 0.0), X[0], X[0] > 0),
        (lambda x, w, b: ops.batch_norm(x, None, None, w, b, training=True), X[0], normal(4), normal(4)),
        (lambda x: ops.batch_norm(x, np.zeros(4), np.ones(4)), X[0]),
        (lambda x: ops.layer_norm(x, 4), X[0]),
        (lambda x, w, b: ops.upsample_conv2d(x, w, b), image, kernel, normal(1)),
        (lambda x: ops.avg_pool2d(x, 2, 1, 1, count_include_pad=False), image),
        (lambda q, k, v: ops.attention(q, k, v, causal=True), q, q, q),
        (lambda q, k: ops.attention_weights(q, k, causal=True), q, q),
        (lambda x: ops.pad(x, {0: 1}), X[0]),
        (lambda x: ops.split(x, 2)[1], X),
        (lambda x: ops.take(x, [1, 0], 1), X),
    ):
        np.testing.assert_array_equal(f(*(a.tolist() for a in arrays)).data, f(*arrays).data)


@each_case
def test_gradients_to_second_order(name, args):
    if args[0].size:
        x, *rest = args
        differentiated = [x, *(a for a in rest if isinstance(a, np.ndarray) and a.dtype.kind == "f")]
        gradcheck(lambda *xs: getattr(ops, name)(*xs, *rest[len(xs) - 1 :]), *differentiated, order=2)
    else:
        t = Tensor(args[0], requires_grad=True)
        assert grad(getattr(ops, name)(t, *args[1:]).sum(), [t])[0].shape == t.shape


def test_gather_and_masked_fill_are_pytorchs():
    torch = pytest.importorskip("torch")
    a, index = normal(3, 4), np.array([[0, 3], [2, 2]])
    mask = normal(3, 4) > 0
    for ours, theirs in (
        (lambda x: ops.gather(x, 1, Tensor(index)), lambda x: torch.gather(x, 1, torch.tensor(index))),
        (lambda x: ops.gather(x, -2, index[1:]), lambda x: torch.gather(x, -2, torch.tensor(index[1:]))),
        (lambda x: ops.masked_fill(x, mask, -inf), lambda x: torch.masked_fill(x, torch.tensor(mask), -inf)),
        (lambda x: ops.prod(x, 1), lambda x: torch.prod(x, 1)),
    ):
        x, x_torch = Tensor(a, requires_grad=True), torch.tensor(a, requires_grad=True)
        y, y_torch = ours(x), theirs(x_torch)
        assert y.shape == tuple(y_torch.shape)
        np.testing.assert_allclose(y.data, y_torch.detach().numpy(), rtol=1e-14)
        g = np.random.default_rng(1).standard_normal(y.shape)
        (expected,) = torch.autograd.grad(y_torch, [x_torch], torch.tensor(g))
        np.testing.assert_allclose(grad(y, [x], g=g)[0], expected.numpy(), rtol=1e-12)


def test_functions_without_gradient():
    x = np.array([[1.0, 3, 3], [nan, -0.5, 2]])
    for name in ("argmax", "argmin"):
        for axis in (None, 0, -1):
            found = getattr(ops, name)(Tensor(x, requires_grad=True), axis)
            np.testing.assert_array_equal(found.data, getattr(np, name)(x, axis))
            assert not found.requires_grad and found.dtype.kind == "i"
    np.testing.assert_array_equal(ops.argsort(x).data, np.argsort(x, kind="stable"))
    np.testing.assert_array_equal(ops.sort(x).data, np.sort(x))  # NaN last
    for name in ("sign", "floor", "ceil"):
        np.testing.assert_array_equal(getattr(ops, name)(x).data, getattr(np, name)(x))


def test_one_hot_is_pytorchs():
    assert ops.one_hot([1, 0, 2]).data.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
    assert ops.one_hot(np.array([[1], [0]]), 2).shape == (2, 1, 2)
    assert ops.one_hot(np.zeros((0, 2), int), 3).shape == (0, 2, 3)
    assert ops.one_hot([0]).dtype == np.int64
    for wrong in (-1, 3):
        with pytest.raises(ValueError, match=f"class {wrong} is none of the 3 classes"):
            ops.one_hot([0, wrong], 3)
    with pytest.raises(TypeError, match="takes integers"):
        ops.one_hot([0.0])


def test_prod_of_zeros_and_of_nothing():
    """The gradient is the product of the others (PyTorch's values), also where a factor is 0: nothing is divided."""
    for a, expected in (([2.0, 0, 3], [0, 6, 0]), ([0.0, 0, 3], [0, 0, 0]), ([2.0, 5], [5, 2]), ([7.0], [1])):
        x = Tensor(a, requires_grad=True)
        (gx,) = grad(ops.prod(x), [x], create_graph=True)
        assert gx.data.tolist() == expected
    x = Tensor([2.0, 0, 3], requires_grad=True)
    (gx,) = grad(ops.prod(x), [x], create_graph=True)
    assert grad(gx, [x], g=np.array([0.0, 0, 1]))[0].tolist() == [0, 2, 0]  # ∂²y/∂x₂∂x₃ = x₁
    assert ops.prod(np.zeros((2, 0)), 1).data.tolist() == [1, 1] and float(ops.prod(np.zeros(0))) == 1
    assert ops.prod(np.array([2, 3], "uint8")).data == 6
    assert np.isnan(ops.prod(np.array([nan, 0])).data)


def test_norm_and_std_have_no_slope_where_they_are_0():
    for f in (ops.norm, ops.std):
        x = Tensor(np.zeros(3), requires_grad=True)
        assert grad(f(x), [x])[0].tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="norm of order 1"):
        ops.norm(np.ones((2, 2)), 1)


def test_norm_has_no_second_derivative_where_it_is_0():
    """As std; PyTorch's vector_norm has NaN there."""
    for f in (ops.norm, ops.std):
        np.testing.assert_array_equal(hessian(f, np.zeros(2)), np.zeros((2, 2)))
    x = Tensor([[0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    (gx,) = grad(ops.norm(x, axis=1).sum(), [x], create_graph=True)
    np.testing.assert_allclose(grad((gx * gx[::-1]).sum(), [x])[0], 0, atol=1e-15)
    np.testing.assert_allclose(grad(gx[1, 0], [x])[0], [[0, 0], [16 / 125, -12 / 125]], rtol=1e-12)


def test_the_order_of_a_norm_over_one_axis():
    for axis in (np.int64(1), (1,)):
        for order in (1, 2, inf):
            expected = np.linalg.norm(X[0], order, axis)
            np.testing.assert_allclose(ops.norm(X[0], order, axis).data, expected, rtol=1e-14)


def test_sums_of_equals_go_back_to_where_they_came_from():
    x = Tensor([3.0, 1, 1], requires_grad=True)
    assert grad(ops.sort(x), [x], g=np.array([1.0, 2, 4]))[0].tolist() == [4, 1, 2]


def test_what_does_not_fit_is_refused():
    for wrong, message in (
        (lambda: ops.squeeze(X, 0), "only an axis of length 1"),
        (lambda: ops.squeeze(X, 5), "out of bounds"),
        (lambda: ops.expand_dims(X, (0, 0)), "repeated axis"),
        (lambda: ops.moveaxis(X, (0, 1), 0), "2 axes to 1 places"),
        (lambda: ops.take_along_axis(X, ROWS, 1), "x has 3 axes, and indices 2"),
        (lambda: ops.gather(X, 1, ROWS), "x has 3 axes, and index 2"),
        (lambda: ops.gather(X, 3, X.astype(int)), "axis 3 is out of bounds"),
        (lambda: ops.take(X, [0], 3), "axis 3 is out of bounds"),
        (lambda: ops.take(X, [0], -4), "axis -4 is out of bounds"),
        (lambda: ops.take(2.0, [0], 1), "axis 1 is out of bounds"),
        (lambda: ops.split(X, 2, 3), "axis 3 is out of bounds"),
        (lambda: ops.repeat(X, 2, 3), "axis 3 is out of bounds"),
        (lambda: Tensor(X).flatten(7), "axis 7 is out of bounds"),
        (lambda: Tensor(X).flatten(2, 1), "flatten from axis 2 to axis 1, which stands before it"),
    ):
        with pytest.raises(ValueError, match=message):
            wrong()


def test_an_index_may_be_a_tensor():
    x, i = Tensor(normal(4, 3), requires_grad=True), Tensor(np.array([2, 0, 2]))
    for y in (x[i], ops.take(x, i, 0), ops.getitem(x, i), x[i, 0:2], x[(i, Tensor(1))]):
        assert y.requires_grad
    np.testing.assert_array_equal(x[i].data, x.data[i.data])
    np.testing.assert_array_equal(x[i, Tensor(1)].data, x.data[i.data, 1])
    np.testing.assert_array_equal(grad(x[i].sum(), [x])[0][:, 0], [1, 0, 2, 0])


# What rules call


def rules() -> dict[str, str]:
    """The source of every rule: the library's, and those of the exercises and of the documentation."""
    found = {name: inspect.getsource(op.backward) for name, op in OPS.items() if op.__module__.startswith("autograd.")}
    texts = [*ROOT.glob("experiments/learn/exercises/*/s*.py"), *ROOT.glob("*.md")]
    for path in texts:
        for n, rule in enumerate(path.read_text(encoding="utf-8").split("def backward(")[1:]):
            found[f"{path.parent.name}/{path.name} {n}"] = re.split(r"\n\S|\n    def ", rule)[0]
    return found


def is_there(name: str) -> bool:
    try:
        operator.attrgetter(name)(table)
    except AttributeError:
        return False
    return True


def test_ops_has_what_rules_call():
    missing = [
        f"{rule}: xp.{name}"
        for rule, source in rules().items()
        for name in re.findall(r"\bxp\.([\w.]*\w)\(", source)
        if not is_there(name)
    ]
    assert missing == []
    assert len(rules()) > 80


@pytest.mark.parametrize("name", ["square", "log1p", "dot", "linalg.norm", "cumsum", "subtract", "multiply", "isnan"])
def test_ops_has_what_students_call(name):
    """The functions that failed under create_graph in rules of students."""
    assert is_there(name)


def test_numerics_finds_its_functions_on_tensors():
    for f in (numerics.sigmoid, numerics.erf, numerics.within):
        assert f(table, Tensor(np.ones(3))).shape == (3,)
