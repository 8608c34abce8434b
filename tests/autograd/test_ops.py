"""One contract for every op (the registry drives it), and what each op does where it is delicate."""

import inspect
import itertools
import math
import tracemalloc

import numpy as np
import pytest

from autograd import DeviceError, Tensor, accelerate, grad, no_grad, ops, use_fused
from autograd.arrays import to_host, use_cuda
from autograd.gradcheck import gradcheck
from autograd.ops.examples import EXAMPLES, Example, on_device
from autograd.registry import OPS


def cases(keep=lambda example: True):
    """A parameter for each example of each op."""
    every = [(f"{name}-{i}", e) for name, examples in EXAMPLES.items() for i, e in enumerate(examples)]
    return pytest.mark.parametrize("example", [pytest.param(e, id=label) for label, e in every if keep(e)])


def record(example: Example, inputs: list, only=None):
    """y and the Tensors that want a gradient: all of `wrt`, or those of `only`."""
    wanted = example.wrt if only is None else only
    xs = [Tensor(x, requires_grad=True) if i in wanted else x for i, x in enumerate(inputs)]
    return example.op.apply(*xs, **example.options), [xs[i] for i in wanted]


def cotangent(y: Tensor, seed: int = 1) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).standard_normal(y.shape), y.dtype)


def raw_rules(y: Tensor, g: np.ndarray, need: tuple) -> dict:
    """What fused, the rule on arrays and the rule on Tensors return, before the engine sums or casts anything."""
    op, node = y.node.op, y.node
    with use_fused(False):
        found = {"rule": op.run_rule(node, g, need, False), "rule on Tensors": op.run_rule(node, Tensor(g), need, True)}
    if op.fused:
        found["fused"] = op.run_rule(node, g, need, False)
    return found


def same(a, b, tolerance):
    """Equal but for rounding, relative to the largest element."""
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1e-300, np.abs(b).max(initial=0)))


def test_every_op_has_examples():
    library = {name for name, op in OPS.items() if op.__module__.startswith(("autograd.", "nn.", "minigan."))}
    assert library == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_docstring_shows_the_gradient(name):
    doc = inspect.cleandoc(OPS[name].doc)
    assert "∂" in doc or "no gradient" in doc, doc


@cases()
def test_gradients_have_shape_and_dtype_of_the_inputs_and_nothing_is_written(example):
    inputs = example.inputs()
    copies = [x.copy() if isinstance(x, np.ndarray) else x for x in inputs]
    for x in inputs:
        if isinstance(x, np.ndarray):
            x.setflags(write=False)
    y, xs = record(example, inputs)
    y.data.setflags(write=False)
    y_copy, g = y.data.copy(), cotangent(y)
    g_copy = g.copy()
    g.setflags(write=False)
    first = [[a.copy() for a in grad(y, xs, g=g)] for _ in range(2)]  # twice: what the node saved is unwritten too
    tensors = grad(y, xs, g=Tensor(g), create_graph=True)
    for x, once, twice, on_tensors in zip(xs, *first, tensors, strict=True):
        assert once.shape == on_tensors.shape == x.shape
        assert once.dtype == on_tensors.dtype == x.dtype
        np.testing.assert_array_equal(once, twice)
        same(on_tensors.data, once, 1e-10)
    for now, before in zip([*inputs, y.data, g], [*copies, y_copy, g_copy], strict=True):
        np.testing.assert_array_equal(now, before)


LAYOUTS = {
    "transposed": lambda x: np.array(x, order="F"),
    "strided": lambda x: np.repeat(x, 2, axis=-1)[..., ::2] if x.ndim else x,
    "reversed": lambda x: np.flip(np.flip(x).copy()),
    "broadcast": lambda x: np.broadcast_to(x[:1].copy(), x.shape) if x.ndim else x,
}


@cases()
def test_any_memory_layout_gives_the_same(example):
    inputs = example.inputs()
    for layout, change in LAYOUTS.items():
        changed = [change(x) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in inputs]
        plain = [np.array(x, order="C") if isinstance(x, np.ndarray) else x for x in changed]
        y, xs = record(example, changed)
        y_plain, xs_plain = record(example, plain)
        g = cotangent(y)
        same(y.data, y_plain.data, 1e-12)
        for a, b in zip(grad(y, xs, g=np.array(g, order="F")), grad(y_plain, xs_plain, g=g), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12, err_msg=layout)


@cases(lambda e: e.op.name != "astype")
def test_float32_stays_float32(example):
    y, xs = record(example, example.inputs("float32"))
    assert y.dtype == np.float32
    need = tuple(p is not None for p in y.node.parents)
    for rule, gradients in raw_rules(y, cotangent(y), need).items():
        dtypes = [a.dtype for a, wanted in zip(gradients, need, strict=False) if wanted]
        assert dtypes == [np.float32] * len(xs), rule


@cases(lambda e: e.op.fused)
@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-10), ("float32", 1e-4)])
def test_fused_equals_the_rule(example, dtype, tolerance):
    y, xs = record(example, example.inputs(dtype))
    g = cotangent(y)
    fused = grad(y, xs, g=g)
    with use_fused(False):
        rule = grad(y, xs, g=g)
    for a, b in zip(fused, rule, strict=True):
        same(a, b, tolerance)


@cases(lambda e: len(e.wrt) > 1)
def test_asking_for_some_inputs_gives_the_same_as_asking_for_all(example):
    y, xs = record(example, example.inputs())
    g = cotangent(y)
    everything = grad(y, xs, g=g)
    for n in range(1, len(xs)):
        for some in itertools.combinations(range(len(xs)), n):
            y_some, alone = record(example, example.inputs(), [example.wrt[i] for i in some])  # the others constants
            same(y_some.data, y.data, 0)
            for found in (
                grad(y, [xs[i] for i in some], g=g),
                grad(y_some, alone, g=g),
                [t.data for t in grad(y, [xs[i] for i in some], g=Tensor(g), create_graph=True)],
            ):
                for i, a in zip(some, found, strict=True):
                    same(a, everything[i], 1e-12)


@cases(lambda e: e.options.get("dtype") != "float32")
def test_gradcheck_first_and_second_order(example):
    inputs = example.inputs()

    def f(*xs):
        full = list(inputs)
        for i, x in zip(example.wrt, xs, strict=True):
            full[i] = x
        return example.op.apply(*full, **example.options)

    gradcheck(f, *(inputs[i] for i in example.wrt), order=2)


def test_cupy_equals_numpy():
    try:
        use_cuda()
    except DeviceError as e:
        pytest.skip(str(e))
    import cupy

    wrong = []
    for name, examples in EXAMPLES.items():
        for i, example in enumerate(examples):
            inputs = example.inputs()
            y, xs = record(example, inputs)
            g = cotangent(y)
            there = example._replace(options=example.options_on(cupy.asarray))
            y_there, xs_there = record(there, on_device(inputs, cupy.asarray))
            found = [y_there.data, *grad(y_there, xs_there, g=cupy.asarray(g))]
            with use_fused(False):
                found += grad(y_there, xs_there, g=cupy.asarray(g))
            gradients = grad(y, xs, g=g)
            for a, b in zip(found, [y.data, *gradients, *gradients], strict=True):
                if type(a) is not cupy.ndarray or a.dtype != b.dtype or not np.allclose(to_host(a), b, 1e-9, 1e-9):
                    wrong.append(f"{name}-{i}")
    assert not wrong


# Where the ops are delicate


def gradients(f, *arrays, g=None):
    """y and the gradients at these values (float64), with the cotangent 1, 2, 3, … unless given."""
    xs = [Tensor(np.asarray(a, float), requires_grad=True) for a in arrays]
    y = f(*xs)
    g = np.arange(1.0, y.size + 1).reshape(y.shape) if g is None else g
    return (y.data, *grad(y, xs, g=g))


def test_ties_are_split_evenly():
    for f in (ops.maximum, ops.minimum):
        _, ga, gb = gradients(f, [1, 2, 3], [1, 0, 3])
        assert ga.tolist() == [0.5, 2.0 * (f is ops.maximum), 1.5]
        assert (ga + gb).tolist() == [1, 2, 3]
    assert gradients(lambda x: ops.maximum(x, 0.0), [0.0, -1, 1])[1].tolist() == [0.5, 0, 3]
    x = [[1, 5, 5, 5], [2, 2, 2, 2.0]]
    assert gradients(lambda x: ops.max(x, axis=1), x)[1].tolist() == [[0, 1 / 3, 1 / 3, 1 / 3], [0.5] * 4]
    assert gradients(lambda x: ops.min(x, axis=1), x)[1].tolist() == [[1, 0, 0, 0], [0.5] * 4]
    assert gradients(ops.max, [7.0, 7, 1])[1].tolist() == [0.5, 0.5, 0]


def test_max_pool_gives_all_to_the_first_of_equals():
    x = np.array([[0.0, 3, 3, 1], [3, 2, 2, 3]]).reshape(1, 1, 2, 4)
    gx = gradients(lambda x: ops.max_pool2d(x, 2), x)[1]
    assert gx[0, 0].tolist() == [[0, 1, 2, 0], [0, 0, 0, 0]]


def test_kinks():
    assert gradients(ops.relu, [-1, 0, 1])[1].tolist() == [0, 0, 3]
    assert gradients(ops.leaky_relu, [-1, 0, 1])[1].tolist() == [0.01, 0.02, 3]
    assert gradients(ops.abs, [-1, 0, 1])[1].tolist() == [-1, 0, 3]
    clip = [-2, -1, 0, 1, 2]
    assert gradients(lambda x: ops.clip(x, -1, 1), clip)[1].tolist() == [0, 2, 3, 4, 0]  # the bounds belong to it
    assert gradients(lambda x: ops.clip(x, min=-1), clip)[1].tolist() == [0, 2, 3, 4, 5]
    assert gradients(lambda x: ops.clip(x, max=1), clip)[1].tolist() == [1, 2, 3, 4, 0]


FAR = np.array([-1e3, -50, 0, 50, 1e3])
SMOOTH_STEPS = {
    "sigmoid": ([0, math.exp(-50), 0.5, 1, 1], [0, math.exp(-50), 0.25, 0, 0]),
    "softplus": ([0, math.exp(-50), math.log(2), 50, 1e3], [0, math.exp(-50), 0.5, 1, 1]),
    "silu": ([0, -50 * math.exp(-50), 0, 50, 1e3], [0, -49 * math.exp(-50), 0.5, 1, 1]),
    "gelu": ([0, 0, 0, 50, 1e3], [0, 0, 0.5, 1, 1]),
    "tanh": ([-1, -1, 0, 1, 1], [0, 0, 1, 0, 0]),
    "erf": ([-1, -1, 0, 1, 1], [0, 0, 2 / math.sqrt(math.pi), 0, 0]),
}


@pytest.mark.parametrize("name", SMOOTH_STEPS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_far_out_nothing_overflows(name, dtype):
    values, slopes = SMOOTH_STEPS[name]
    forms = [{}, {"approximate": "tanh"}] if name == "gelu" else [{}]
    for options in forms:
        x = Tensor(FAR.astype(dtype), requires_grad=True)
        y = OPS[name](x, **options)
        np.testing.assert_allclose(y.data, values, atol=1e-7)
        (gx,) = grad(y, [x], g=np.ones(5, dtype), create_graph=True)
        np.testing.assert_allclose(gx.data, slopes, atol=1e-7)
        (ggx,) = grad(gx, [x], g=np.ones(5, dtype))
        assert np.isfinite(ggx).all()


def test_erf_in_float32_is_right_to_the_last_digits():
    x = np.concatenate([np.linspace(-6, 6, 20_001), 10.0 ** np.arange(-30, 30)]).astype("float32")
    exact = np.array([math.erf(v) for v in x.tolist()])
    np.testing.assert_allclose(ops.erf(x).data, exact, rtol=5e-7, atol=0)  # 4 units; NumPy's exp takes 2.5 of them
    assert np.isnan(ops.erf(np.float32([np.nan])).data).all()


def test_softplus_keeps_its_small_tail():
    x = np.array([-700.0, -100, -10])
    np.testing.assert_allclose(ops.softplus(x).data, np.log1p(np.exp(x)), rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_exponentials_of_large_values(dtype):
    x = Tensor(
        np.array([[1e4, 1e4, 0], [-1e4, -1e4, -1e4], [1e38, 1, 2], [-1e38, -1e38, 1e38]], dtype), requires_grad=True
    )
    expected = [1e4 + math.log(2), -1e4 + math.log(3), 1e38, 1e38]
    y = ops.logsumexp(x, axis=1)
    np.testing.assert_allclose(y.data, expected, rtol=1e-6)
    weights = [[0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3], [1, 0, 0], [0, 0, 1]]
    np.testing.assert_allclose(grad(y, [x], g=np.ones(4, dtype))[0], weights, rtol=2e-3)  # e^(x − y), y = 1e4 rounded
    np.testing.assert_allclose(ops.softmax(x).data, weights, rtol=1e-6)
    assert np.isfinite(ops.log_softmax(x).data[:2]).all()
    with no_grad():
        assert float(ops.logsumexp(x)) == np.dtype(dtype).type(1e38)


@pytest.mark.parametrize("exponent, slope_at_0", [(0, 0), (1, 1), (2, 0), (3, 0), (0.5, math.inf), (1.5, 0)])
def test_power_at_0(exponent, slope_at_0):
    x = Tensor(np.array([0.0, 4.0]), requires_grad=True)
    y = x**exponent
    assert y.data.tolist() == [0.0**exponent, 4.0**exponent]
    with np.errstate(divide="ignore"):
        (gx,) = grad(y, [x], g=np.array([2.0, 3.0]))
    assert gx[0] == (2 * slope_at_0 if slope_at_0 else 0) and gx[1] == 3 * exponent * 4 ** (exponent - 1)


def test_power_minus_one_and_its_pole():
    x = Tensor(np.array([0.0, 4.0]), requires_grad=True)
    with np.errstate(divide="ignore"):
        y = x**-1
        (gx,) = grad(y, [x], g=np.ones(2))
    assert y.data.tolist() == [math.inf, 0.25] and gx.tolist() == [-math.inf, -1 / 16]


def test_power_at_0_to_second_order():
    for exponent, curvature in ((0, None), (1, None), (2, 2.0), (3, 0.0)):
        x = Tensor(np.array(0.0), requires_grad=True)
        (gx,) = grad(x**exponent, [x], create_graph=True)
        (ggx,) = grad(gx, [x])
        assert ggx is None or ggx == curvature, exponent


def test_getitem_adds_up_repeats_and_scatter_add_is_its_transpose():
    rng = np.random.default_rng(0)
    x, index = rng.standard_normal((4, 3)), np.array([2, 0, 2, 2])
    g = rng.standard_normal((4, 3))
    expected = np.stack([g[1], np.zeros(3), g[0] + g[2] + g[3], np.zeros(3)])
    np.testing.assert_allclose(gradients(lambda x: x[index], x, g=g)[1], expected)
    np.testing.assert_allclose(ops.scatter_add(g, index=index, shape=(4, 3)).data, expected)
    rows, columns = np.array([[0, 0], [1, 1]]), np.array([[1, 1], [2, 0]])
    y, gx = gradients(lambda x: x[rows, columns], x)
    assert y.tolist() == [[x[0, 1], x[0, 1]], [x[1, 2], x[1, 0]]]
    assert gx[0, 1] == 1 + 2 and gx[1, 2] == 3 and gx[1, 0] == 4 and gx.sum() == 10


def test_getitem_with_a_boolean_mask():
    x = np.array([[1.0, -2], [-3, 4]])
    y, gx = gradients(lambda t: t[x > 0], x, g=np.array([5.0, 7.0]))
    assert y.tolist() == [1, 4] and gx.tolist() == [[5, 0], [0, 7]]


def test_split_take_and_their_gradients():
    x = Tensor(np.arange(14.0).reshape(2, 7), requires_grad=True)
    pieces = ops.split(x, [2, 3], axis=1)
    assert [p.shape for p in pieces] == [(2, 2), (2, 1), (2, 4)]
    np.testing.assert_array_equal(np.concatenate([p.data for p in pieces], axis=1), x.data)
    (gx,) = grad((pieces[0].sum() * 2 + pieces[2].sum() * 3), [x])
    assert gx.tolist() == [[2, 2, 0, 3, 3, 3, 3]] * 2
    assert [p.shape for p in ops.split(x, 2)] == [(1, 7)] * 2
    assert [p.shape for p in ops.split(x, 7, axis=-1)] == [(2, 1)] * 7
    with pytest.raises(ValueError, match="cannot split 7 elements into 2 equal parts"):
        ops.split(x, 2, axis=1)
    index = np.array([3, 3, 0])
    np.testing.assert_array_equal(ops.take(x, index, axis=1).data, np.take(x.data, index, axis=1))
    np.testing.assert_array_equal(ops.take(x, index).data, np.take(x.data, index))
    (gx,) = grad(ops.take(x, index, axis=1), [x], g=np.array([[1.0, 2, 4], [0, 0, 0]]))
    assert gx.tolist() == [[4, 0, 0, 3, 0, 0, 0], [0] * 7]


@pytest.mark.parametrize(
    "subscripts", ["ij,jk->ll", "...i,ij->i", "ij,jk->iik", "ij,jk->ix", "ijk,jk", "ij", "i,ij", "iij,jk"]
)
def test_einsum_refuses_what_does_not_fit(subscripts):
    a = np.ones((2, 2))
    with pytest.raises(ValueError, match="einsum "):
        ops.einsum(subscripts, a, a)


EINSUMS = (  # subscripts, shapes
    ("ij,jk", (2, 3), (3, 4)),  # the output is ik
    ("ba", (2, 3)),  # and here ab: sorted
    ("ii", (3, 3)),
    ("ii->i", (3, 3)),
    ("iij,j->i", (2, 2, 3), (3,)),
    ("iijj->ij", (2, 2, 3, 3)),
    ("iii->i", (2, 2, 2)),
    ("ij,jj->i", (2, 3), (3, 3)),
    ("...i,i->...", (2, 4, 3), (3,)),
    ("...ij,...jk", (2, 1, 2, 3), (4, 3, 2)),
    ("i...,...", (2, 3), (3,)),
    ("b...ii->...b", (2, 4, 3, 3)),
    ("...,...", (), (2, 3)),
)


@pytest.mark.parametrize("subscripts, shapes", [(s, shapes) for s, *shapes in EINSUMS])
def test_einsum_as_numpy_writes_it(subscripts, shapes):
    arrays = [np.random.default_rng(i).standard_normal(shape) for i, shape in enumerate(shapes)]
    np.testing.assert_allclose(ops.einsum(subscripts, *arrays).data, np.einsum(subscripts, *arrays), rtol=1e-12)
    gradcheck(lambda *xs: ops.einsum(subscripts, *xs), *arrays, order=2)


def test_einsum_ignores_spaces():
    a, b = np.arange(6.0).reshape(2, 3), np.arange(3.0)
    np.testing.assert_array_equal(ops.einsum("i j, j -> i", a, b).data, a @ b)


@pytest.mark.parametrize("a, b", [((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((3,), (4, 3, 2)), ((4, 2, 3), (3,))])
def test_matmul_of_vectors_is_numpys(a, b):
    a, b = (np.random.default_rng(i).standard_normal(shape) for i, shape in enumerate((a, b)))
    for f in (ops.matmul, lambda a, b: a @ b):
        y = f(Tensor(a), Tensor(b))
        np.testing.assert_allclose(y.data, a @ b, rtol=1e-12)
        assert y.shape == (a @ b).shape
    gradcheck(ops.matmul, a, b, order=2)


def test_matmul_refuses_numbers_and_linear_takes_vectors():
    with pytest.raises(ValueError, match="matmul takes matrices and vectors"):
        ops.matmul(np.array(2.0), np.ones((3, 2)))
    with pytest.raises(ValueError, match="3 columns meet 2 rows"):
        ops.matmul(np.ones(3), np.ones(2))
    assert ops.linear(np.ones(3), np.ones((2, 3))).shape == (2,)


def test_cross_entropy_by_hand():
    x = np.log([[1.0, 3.0], [3.0, 1.0], [1.0, 1.0]])
    target = np.array([1, 1, 0])
    y, gx = gradients(lambda x: ops.cross_entropy(x, target), x, g=np.array(6.0))
    assert y == pytest.approx((math.log(4 / 3) + math.log(4) + math.log(2)) / 3)
    np.testing.assert_allclose(gx, 2 * np.array([[0.25, -0.25], [0.75, -0.75], [-0.5, 0.5]]))
    y, gx = gradients(lambda x: ops.cross_entropy(x, target), np.array([[1e3, -1e3]] * 3))
    assert y == pytest.approx(4e3 / 3) and np.isfinite(gx).all()


def test_layer_norm_refuses_a_shape_that_does_not_fit():
    with pytest.raises(ValueError, match=r"layer_norm over \(4,\) does not fit x of shape \(2, 3\)"):
        ops.layer_norm(np.ones((2, 3)), 4)


def test_batch_norm_moves_its_running_statistics_in_place():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 3, 2, 2)) * 2 + 1
    mean, var = np.zeros(3), np.ones(3)
    y = ops.batch_norm(Tensor(x), mean, var, training=True, momentum=0.25)
    flat = x.transpose(1, 0, 2, 3).reshape(3, -1)
    np.testing.assert_allclose(mean, 0.25 * flat.mean(axis=1))
    np.testing.assert_allclose(var, 0.75 + 0.25 * flat.var(axis=1, ddof=1))
    np.testing.assert_allclose(y.data.mean(axis=(0, 2, 3)), 0, atol=1e-12)
    before = mean.copy(), var.copy()
    evaluated = ops.batch_norm(Tensor(x), mean, var)
    expected = (x - mean.reshape(3, 1, 1)) / np.sqrt(var + 1e-5).reshape(3, 1, 1)
    np.testing.assert_allclose(evaluated.data, expected)
    np.testing.assert_array_equal((mean, var), before)


def test_spectral_normalize_has_no_gradient_for_the_singular_vectors():
    rng = np.random.default_rng(0)
    w = Tensor(rng.standard_normal((3, 4)), requires_grad=True)
    left, s, right = np.linalg.svd(w.data)
    y = ops.spectral_normalize(w, left[:, 0], right[0], 2.5)
    assert np.linalg.norm(y.data, 2) == pytest.approx(2.5)
    (gw,) = grad(y, [w], g=w.data)  # W → cW/σ(W) does not change along W, so ⟨G, W⟩ = 0 wherever G is
    assert gw is not None and abs((gw * w.data).sum()) < 1e-12
    u = Tensor(left[:, 0], requires_grad=True)
    y = ops.spectral_normalize(w, u, right[0], 1.0)
    with pytest.raises(ValueError, match="rule of spectral_normalize returned None"):
        grad(y, [u], g=w.data)


# Attention


def scores(similarity: str, q, k, scale: float) -> np.ndarray:
    """S by its formula, with every difference written out."""
    differences = q[..., :, None, :] - k[..., None, :, :]
    if similarity == "dot":
        return scale * (q[..., :, None, :] * k[..., None, :, :]).sum(axis=-1)
    if similarity == "l2":
        return -scale * (differences**2).sum(axis=-1)
    if similarity == "l1":
        return -scale * np.abs(differences).sum(axis=-1)
    return scale * np.sqrt((differences**2).sum(axis=-1))


@pytest.mark.parametrize("similarity", ops.SIMILARITIES)
def test_attention_equals_its_formula(similarity):
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal(s) for s in [(2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 7)])
    for scale in (None, 0.3):
        s = scores(similarity, q, k, 1 / math.sqrt(4) if scale is None else scale)
        p = np.exp(s) / np.exp(s).sum(axis=-1, keepdims=True)
        y = ops.attention(q, k, v, similarity=similarity, scale=scale)
        np.testing.assert_allclose(y.data, p @ v, rtol=1e-12, atol=1e-13)
    identity = np.broadcast_to(np.eye(6), (2, 3, 6, 6))
    p = ops.attention(q, k, identity, similarity=similarity).data  # the probabilities themselves
    assert (p > 0).all()
    np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=1e-14)


def test_tied_l2_attends_most_to_itself_and_l2_printed_least():
    q = np.random.default_rng(0).standard_normal((2, 2, 6, 3))
    identity = np.broadcast_to(np.eye(6), (2, 2, 6, 6))
    for similarity, extreme in (("l2", np.argmax), ("l1", np.argmax), ("l2_printed", np.argmin)):
        p = ops.attention(q, q, identity, similarity=similarity).data
        assert (extreme(p, axis=-1) == np.arange(6)).all(), similarity


def test_attention_far_out():
    rng = np.random.default_rng(0)
    q, k, v = (Tensor(1e3 * rng.standard_normal((1, 1, 4, 3)), requires_grad=True) for _ in range(3))
    for similarity in ops.SIMILARITIES:
        y = ops.attention(q, k, v, similarity=similarity)
        assert all(np.isfinite(a).all() for a in [y.data, *grad(y, [q, k, v], g=cotangent(y))])


def test_l2_printed_has_a_finite_gradient_where_q_is_k():
    x = Tensor(np.random.default_rng(0).standard_normal((1, 2, 4, 3)), requires_grad=True)
    y = ops.attention(x, x, x, similarity="l2_printed")
    for fused in (True, False):
        with use_fused(fused):
            (gx,) = grad(y, [x], g=cotangent(y))
        assert np.isfinite(gx).all() and np.abs(gx).max() > 0.1
    (gx,) = grad(y, [x], g=cotangent(y), create_graph=True)
    (ggx,) = grad(gx, [x], g=cotangent(gx, seed=2))
    assert np.isfinite(ggx).all()


@pytest.mark.parametrize("similarity", ops.SIMILARITIES)
@pytest.mark.parametrize("fused", [True, False])
def test_attention_never_holds_a_tensor_with_d_beside_n_by_n(similarity, fused):
    n, d = 48, 64
    rng = np.random.default_rng(0)
    q, k, v = (Tensor(rng.standard_normal((2, 1, n, d)), requires_grad=True) for _ in range(3))
    scores_bytes = 2 * n * n * 8
    g = rng.standard_normal(q.shape)
    tracemalloc.start()
    try:
        with use_fused(fused):
            grad(ops.attention(q, k, v, similarity=similarity), [q, k, v], g=g)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 * scores_bytes < d * scores_bytes


def test_attention_refuses_a_similarity_that_does_not_exist():
    with pytest.raises(ValueError, match="similarity 'cosine': use one of dot, l2, l1, l2_printed"):
        ops.attention(*np.ones((3, 1, 1, 2, 2)), similarity="cosine")


def test_sigmoid_keeps_its_digits_on_both_sides():
    x = np.array([-80, -20, -1, 0, 1, 20], np.float32)
    exact = 1 / (1 + np.exp(-x.astype(np.float64)))
    np.testing.assert_allclose(ops.sigmoid(Tensor(x)).data, exact, rtol=3e-7)
    slope = grad(ops.softplus(t := Tensor(x, requires_grad=True)).sum(), [t])[0]
    np.testing.assert_allclose(slope, exact, rtol=3e-7)
    np.testing.assert_allclose(ops.silu(Tensor(x)).data, x * exact, rtol=3e-7)


def test_power_with_an_array_of_exponents_at_zero():
    a = Tensor(np.array([0.0, 0.0, 2.0]), requires_grad=True)
    b = Tensor(np.array([2.0, 0.0, 3.0]), requires_grad=True)
    to_a, to_b = grad((a**b).sum(), [a, b])
    np.testing.assert_allclose(to_a, [0, 0, 12])
    np.testing.assert_allclose(to_b, [0, 0, 8 * np.log(2)])


@pytest.mark.parametrize("similarity", ops.SIMILARITIES)
@pytest.mark.parametrize("fast", [None, "cpu"])
def test_attention_returns_its_weights_in_one_layout(similarity, fast):
    """(B, H, Nq, Nk), rows that add to 1, and Y = P V, whatever is switched on."""
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal((2, 3, n, 4)).astype("float32") for n in (2, 5, 5))
    before = "cpu" if accelerate.in_use("cpu") else None
    accelerate.use(fast)
    try:
        y, weights = ops.attention(Tensor(q, requires_grad=True), k, v, similarity=similarity, return_weights=True)
    finally:
        accelerate.use(before)
    assert weights.shape == (2, 3, 2, 5)
    np.testing.assert_allclose(weights.data.sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(weights.data @ v, y.data, atol=1e-5)
    gap = q[:, :, :, None] - k[:, :, None]
    scores = {"dot": q @ k.swapaxes(-1, -2), "l2": -(gap**2).sum(-1), "l1": -abs(gap).sum(-1)}
    scores["l2_printed"] = np.sqrt((gap**2).sum(-1))
    e = np.exp(scores[similarity] / 2)
    np.testing.assert_allclose(weights.data, e / e.sum(-1, keepdims=True), rtol=1e-5)
