"""What people write, and what they hand in: it is right, or one sentence says what to write instead."""

import copy
import pickle

import numpy as np
import pytest

import nn
from autograd import Tensor, backward, debug, explain, grad, gradcheck, hook, mermaid, no_grad, op, ops
from autograd.gradcheck import GradcheckError
from autograd.operation import Op
from autograd.writes import WRITES, Writes


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values), requires_grad=True)


def made(forward, backward, **more) -> Op:
    """An op that is not registered."""
    return Op(type("made", (), {"__doc__": "y = …  ∂L/∂x = …", "forward": forward, "backward": backward, **more}))


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
    a, b = leaf(2.0), leaf(5.0)
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
    x = leaf(2.0)
    assert ops.mul(x, b=3.0).data == ops.mul(b=3.0, a=x).data == 6
    assert ops.sum(x=x, axis=0).data == 2
    with pytest.raises(TypeError, match=r"mul\(a, b\) was called without b"):
        ops.mul(x)
    with pytest.raises(TypeError, match="unexpected keyword argument 'c'"):
        ops.mul(x, x, c=1)


# What carries a gradient


@pytest.mark.parametrize("dtype", [int, "int32", bool, np.uint8])
def test_integers_and_booleans_carry_no_gradient(dtype):
    """A step function is constant wherever it has a derivative."""
    x = leaf(1.5, 2.5)
    y = x.astype(dtype)
    assert not y.requires_grad and grad(y.sum(), [x]) == [None]
    np.testing.assert_array_equal(grad((x * y).sum(), [x])[0], np.array([1.5, 2.5]).astype(dtype))
    rounded = made(lambda xp, x: xp.floor(x).astype("int64"), lambda xp, g: g)
    assert not rounded(x).requires_grad  # of any op


def test_complex_results_are_refused():
    with pytest.raises(TypeError, match="mul returned complex numbers, which are not differentiated"):
        leaf(1.0) * np.array([1j])


def test_grad_takes_tensors_and_real_numbers():
    x = leaf(1.0)
    for y, xs in ((x.sum(), [np.ones(1)]), (np.ones(1), [x]), (3.0, [x])):
        with pytest.raises(TypeError, match=r"grad\(y, xs\) takes Tensors, not"):
            grad(y, xs)
    with pytest.raises(TypeError, match="g is complex128: complex numbers are not differentiated"):
        grad(x, [x], g=np.array([1j]))


# What forward accepts, the rule can differentiate


def test_options_and_conditions_that_are_none():
    x = leaf(1.0, 2.0)
    with pytest.raises(ValueError, match="approximate='erf': use 'none' or 'tanh'"):
        ops.gelu(x, approximate="erf")
    with pytest.raises(TypeError, match="the condition is boolean, as x > 0 is, not float64"):
        ops.where(x, x, 0.0)
    with pytest.raises(ValueError, match="batch_norm outside training needs running_mean and running_var"):
        ops.batch_norm(np.ones((2, 2)), None, None)


@pytest.mark.parametrize("similarity", ops.SIMILARITIES)
def test_attention_refuses_what_does_not_fit(similarity):
    q, wide, long = np.ones((1, 1, 2, 3)), np.ones((1, 1, 2, 4)), np.ones((1, 1, 3, 3))
    for k, v in ((wide, q), (q, long), (long, q)):
        with pytest.raises(ValueError, match="in attention.*differ in their number of (features|tokens)"):
            ops.attention(q, k, v, similarity=similarity)


def test_concatenate_of_flattened_arrays_and_splits():
    """numpy.concatenate(axis=None) and numpy.split."""
    a, b = leaf(1.0, 2.0), Tensor(np.ones((1, 2)), requires_grad=True)
    y = ops.concatenate([a, b], axis=None)
    ga, gb = grad(y, [a, b], np.arange(4.0))
    assert y.data.tolist() == [1, 2, 1, 1] and ga.tolist() == [0, 1] and gb.tolist() == [[2, 3]]
    assert [p.shape for p in ops.split(np.zeros((0, 2)), 2)] == [(0, 2), (0, 2)]
    assert [p.data.tolist() for p in ops.split(a, np.int64(2))] == [[1], [2]]
    with pytest.raises(ValueError, match="cannot split 2 elements into 0 equal parts"):
        ops.split(a, 0)
    assert ops.max_pool2d(np.ones((1, 1, 4, 4)), np.int64(2)).shape == (1, 1, 2, 2)


# What forward, a rule and a hook return


def test_a_forgotten_return_is_said():
    x = leaf(1.0)
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
        made(lambda xp, x: returned(x), lambda xp, g: g)(leaf(1.0))


def test_residuals_that_are_not_returned():
    broken = made(lambda xp, x: x, lambda xp, g: g, residuals=("kept",))
    with pytest.raises(TypeError, match=r"forward of made has residuals: it returns the tuple \(y, kept\)"):
        broken(leaf(1.0))


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
    x = leaf(1.0)
    y = made(lambda xp, x: 2 * x, lambda xp, g: returned(g))(x)
    for create_graph in (False, True):
        with pytest.raises(ValueError, match=f"the rule of made {message}"):
            grad(y, [x], create_graph=create_graph)


def test_a_list_of_gradients_is_named():
    x = leaf(1.0)
    y = made(lambda xp, a, b: a * b, lambda xp, g, a, b: [g * b, g * a])(x, x)
    with pytest.raises(ValueError, match="made returned a list of 2: return a tuple, one gradient for each input"):
        grad(y, [x])


# What is written into between an op and its rule


def write_data(a, b, y):
    a.data -= 1.0


def write_item(a, b, y):
    b[0] = 9.0


def write_view(a, b, y):
    Tensor(b.data[1:])[0] = 9.0


def write_result(a, b, y):
    y.detach()[0] = 9.0


@pytest.mark.parametrize("write, hurt", [(write_data, "a"), (write_item, "b"), (write_view, "b"), (write_result, "y")])
def test_a_write_after_the_op_is_noticed(write, hurt):
    a, b = leaf(1.0, 2.0), Tensor(np.array([3.0, 4.0]))
    y = made(lambda xp, a, b: a * b, lambda xp, g, a, b, y: (g * b + 0 * y, g * a))(a, b)
    write(a, b, y)
    for create_graph in (False, True):
        with pytest.raises(RuntimeError, match=f"{hurt} of made was written to in place .* call grad before you write"):
            grad(y, [a], np.ones(2), create_graph)


def test_a_write_before_the_op_or_into_another_array_hurts_nothing():
    a, b = leaf(1.0, 2.0), Tensor(np.array([3.0, 4.0]))
    b[0] = 5.0
    y = a * b
    a.data = a.data + 1  # another array: the tape keeps the old one
    Tensor(np.zeros(3))[0] = 1.0
    np.testing.assert_array_equal(grad(y, [a], np.ones(2))[0], [5, 4])
    assert a.data.tolist() == [2, 3]


def test_sums_and_products_need_only_what_their_rules_name():
    a = leaf(1.0, 2.0)
    y = (a + 1).sum()
    a.data *= 2.0
    np.testing.assert_array_equal(grad(y, [a])[0], [1, 1])


def test_optimisers_and_modules_write_too():
    layer = nn.Linear(2, 2)
    x = Tensor(np.ones((1, 2), "float32"), requires_grad=True)
    adam, average = nn.Adam(layer.parameters()), nn.EMA(layer)
    writes = (
        lambda: adam.step([np.ones_like(p.data) for p in layer.parameters()]),
        lambda: layer.load_state_dict(layer.state_dict()),
    )
    for write in writes:
        y = layer(x).sum()
        write()
        with pytest.raises(RuntimeError, match="weight of linear was written to in place"):
            grad(y, [x])
    y = average.model(x).sum()
    average.step(adam.flat, 0.5)
    with pytest.raises(RuntimeError, match="weight of linear was written to in place"):
        grad(y, [x])
    normed = nn.Linear(2, 2, norm="sn")
    y = normed(x).sum()
    nn.power_iteration(normed)
    with pytest.raises(RuntimeError, match="[uv] of spectral_normalize was written to in place"):
        grad(y, normed.parameters())


def test_debug_notices_what_numpy_writes():
    a = leaf(1.0, 2.0)
    with debug():
        y, z = (a * a).sum(), (a * a).sum()
    np.testing.assert_array_equal(grad(z, [a])[0], [2, 4])
    a.data[0] = 9.0
    with pytest.raises(RuntimeError, match=r"a of mul \(recorded at .*y, z = .*\) was written to in place"):
        grad(y, [a])


def test_data_of_a_leaf_keeps_its_kind():
    a = leaf(1.0, 2.0)
    with pytest.raises(TypeError, match="this Tensor requires gradients, so its data cannot become int64"):
        a.data = np.array([1, 2])
    a.data = np.ones((3, 1), "float32")
    (ga,) = grad((a * a).sum(), [a])
    assert ga.shape == (3, 1) and ga.dtype == np.float32


def test_nothing_is_looked_up_for_nodes_younger_than_the_last_write(monkeypatch):
    monkeypatch.setattr(WRITES, "last", -1.0)
    b = Tensor(np.ones(2))
    b[0] = 2.0
    a = leaf(1.0, 2.0)
    y = (a * b).sum()
    assert y.node.id > WRITES.last
    monkeypatch.setattr(WRITES, "since", None)  # would fail if it were called
    grad(y, [a])


# What becomes an array


class OnlyDlpack:
    def __dlpack__(self, **options):
        return np.arange(3.0).__dlpack__(**options)

    def __dlpack_device__(self):
        return (1, 0)


class OnlyArray:
    def __array__(self, dtype=None, copy=None):
        return np.arange(3.0)


@pytest.mark.parametrize("foreign", [OnlyDlpack(), OnlyArray(), [0.0, 1.0, 2.0], memoryview(np.arange(3.0))])
def test_foreign_arrays_become_arrays_of_numbers(foreign):
    assert Tensor(foreign).dtype == np.float64 and Tensor(foreign).data.tolist() == [0, 1, 2]
    x = leaf(1.0, 1.0, 1.0)
    for create_graph in (False, True):  # an op keeps it for its rule
        np.testing.assert_array_equal(
            np.array(grad((x * foreign).sum(), [x], create_graph=create_graph)[0].data), [0, 1, 2]
        )


@pytest.mark.parametrize("other", [None, object(), "abc", [[1], [1, 2]], [None, 1.0]], ids=str)
def test_what_is_no_array_of_numbers_is_refused(other):
    with pytest.raises(TypeError, match="is not an array of numbers"):
        Tensor(other)


# Messages


def test_ops_inside_forward():
    for inner in (lambda xp, x: xp.sum(ops.exp(x)), lambda xp, x: xp.multiply(ops.exp(x), 2)):
        with pytest.raises(TypeError, match="made returned a Tensor: forward works on arrays, so call"):
            made(inner, lambda xp, g: g)(leaf(1.0))


def test_an_option_before_the_star():
    with pytest.raises(TypeError, match=r"op made: n has a default, so it is an option: write options after \*"):
        made(lambda xp, x, n=2: x, lambda xp, g: g)


def test_a_tensor_as_option():
    x = leaf(1.0)
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
    x = leaf(1.0, 2.0, 3.0)
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


def test_a_tensor_of_one_number_has_formats():
    loss = Tensor(np.array(1.23456))
    assert f"{loss:.3f}" == "1.235" and f"{loss:>8.1e}" == " 1.2e+00" and f"{loss}" == str(loss)
    with pytest.raises(ValueError, match="size 1"):
        f"{Tensor([1.0, 2.0]):.3f}"


def test_only_leaves_are_copied():
    x = leaf(1.0, 2.0)
    other = copy.deepcopy(x)
    assert other.requires_grad and other.data is not x.data and other.data.tolist() == [1, 2]
    assert not copy.deepcopy(Tensor(1.0)).requires_grad
    with pytest.raises(TypeError, match=r"only leaves are copied, and this is a result of sum: copy x.detach\(\)"):
        copy.deepcopy({"loss": x.sum()})
    assert pickle.loads(pickle.dumps(x.detach())).data.tolist() == [1, 2]


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


def test_names_of_leaves_are_names_of_tensors():
    y = leaf(1.0).sum()
    for show in (explain, mermaid):
        with pytest.raises(TypeError, match=r"names\['x'\] is ndarray: names label"):
            show(y, names={"x": np.ones(1)})


def test_rules_are_called_by_their_place():
    with pytest.raises(TypeError, match="op made: backward must begin with"):
        made(lambda xp, x: x, lambda g: g)
    with pytest.raises(TypeError, match="op made: fused names 'z'"):
        made(lambda xp, x: x, lambda xp, g: g, fused=lambda xp, g, z: g)


# Targets of cross_entropy

LOGITS = np.array([[1.0, 2, 3], [0, 0, 1]])


def test_targets_of_any_integer_type_or_a_list():
    """ln Σ eˣ − x[target], by hand."""
    expected = (np.log(np.exp(LOGITS).sum(axis=1)) - LOGITS[[0, 1], [1, 0]]).mean()
    for target in ([1, 0], (1, 0), np.array([1, 0], "uint8"), np.array([1, 0], "int32"), Tensor(np.array([1, 0]))):
        x = Tensor(LOGITS, requires_grad=True)
        y = ops.cross_entropy(x, target)
        (gx,) = grad(y, [x])
        softmax = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(y.data, expected, rtol=1e-14)
        np.testing.assert_allclose(gx, (softmax - np.eye(3)[[1, 0]]) / 2, rtol=1e-13)


@pytest.mark.parametrize(
    "shape, target, error, message",
    [
        ((2, 3), np.zeros((2, 1), int), ValueError, r"a target for each row, \(rows,\), not \(2, 3\) and \(2, 1\)"),
        ((2, 3), np.zeros(1, int), ValueError, "a target for each row"),
        ((2, 3), np.zeros(3, int), ValueError, "a target for each row"),
        ((2, 3), 1, ValueError, "a target for each row"),
        ((2, 4, 3), np.zeros((2, 4), int), ValueError, r"reshape \(B, T, V\) to \(B·T, V\), and its targets \(B, T\)"),
        ((2, 2), np.eye(2), ValueError, "a target for each row"),
        ((3,), np.array(1), ValueError, "takes logits"),
        ((2, 3), np.array([-1, 0]), ValueError, "target -1 is none of the 3 classes, 0 to 2"),
        ((2, 3), np.array([0, 3]), ValueError, "target 3 is none of the 3 classes, 0 to 2"),
        ((2, 3), [0, -100], ValueError, "target -100 is none"),
        ((2, 3), np.zeros(2), TypeError, "integers, not float64"),
        ((2, 3), [True, False], TypeError, "integers, not bool"),
    ],
)
def test_other_targets_are_refused(shape, target, error, message):
    with pytest.raises(error, match=f"in cross_entropy.*{message}"):
        ops.cross_entropy(Tensor(np.ones(shape), requires_grad=True), target)


# What the tape keeps, and what it refuses


def test_a_recorded_value_is_not_assigned_in_place():
    w, b = leaf(1.0, 2.0, 3.0), Tensor(np.zeros(3))
    with pytest.raises(RuntimeError, match=r"the value is recorded.*ops.where\(.*ops.stack.*ops.scatter_add"):
        b[0] = (w * 2).sum()
    assert (b.data == 0).all()
    with no_grad():
        b[0] = (w * 2).sum()
    assert b.data.tolist() == [12, 0, 0]


def test_an_unpickled_float16_array_is_computed_in_float32():
    """Its dtype is another object. The mean and the deviation of 0 … 1000 are finite, those of raw float16 are not."""
    a = np.linspace(0, 1000, 8).astype("float16")
    expected = (a.astype(float) - a.astype(float).mean()) / a.astype(float).std()
    for b in (pickle.loads(pickle.dumps(a)), a.astype(">f2")):
        y = ops.layer_norm(Tensor(b), 8)
        assert y.dtype == np.float16
        np.testing.assert_allclose(y.data, expected, rtol=1e-3)  # float16 has 11 bits


def test_options_that_change_after_the_op_hurt_no_rule():
    x, index = leaf(1.0, 2.0, 3.0), np.array([0, 1])
    y, z = x[index] * np.array([10.0, 20.0]), x[index, None] * np.array([[10.0], [20.0]])
    mask = np.array([True, False, True])
    masked = x[mask] * np.array([1.0, 2.0])
    index[:], mask[:] = 2, False
    for found in (y, z):
        np.testing.assert_array_equal(grad(found.sum(), [x])[0], [10, 20, 0])
    np.testing.assert_array_equal(grad(masked.sum(), [x])[0], [1, 0, 2])
    axes, g = [1, 2, 0], np.arange(24.0).reshape(3, 4, 2)
    x = Tensor(np.zeros((2, 3, 4)), requires_grad=True)
    y = ops.transpose(x, axes)
    axes[:] = 0, 1, 2
    np.testing.assert_array_equal(grad(y, [x], g)[0], np.transpose(g, (2, 0, 1)))


def test_debug_seals_the_arrays_among_options():
    """Those of a device are not copied. Here the tape's own copy changes."""
    x = leaf(1.0, 2.0, 3.0)
    with debug():
        y = x[np.array([0, 1])]
    y.node.options["index"][:] = 2
    with pytest.raises(RuntimeError, match=r"index of getitem \(recorded at .*\) was written to in place"):
        grad(y, [x], np.ones(2))


def test_power_iteration_of_one_layer_and_running_statistics_are_noticed():
    layer = nn.Linear(2, 2, norm="sn")
    y = layer(Tensor(np.ones((1, 2), "float32"))).sum()
    layer.spectral.power_iteration(layer.weight)
    with pytest.raises(RuntimeError, match="[uv] of spectral_normalize was written to in place"):
        grad(y, layer.parameters())
    x, mean, var = Tensor(np.ones((2, 3)), requires_grad=True), Tensor(np.zeros(3)), Tensor(np.ones(3))
    y = (x * mean).sum()
    ops.batch_norm(x, mean, var, training=True)
    with pytest.raises(RuntimeError, match="b of mul was written to in place"):
        grad(y, [x])


def test_writes_are_forgotten_with_their_arrays():
    writes = Writes()
    a = np.zeros(4)
    writes.note(a[1:], np.zeros(3))
    assert list(writes.numbers) == list(writes.owners) == [id(a)]
    assert writes.since(-1, [a[:2]]) and not writes.since(-1, [np.zeros(4)])
    del a
    assert not writes.numbers and not writes.owners


# What is refused, or taken


def test_node_and_requires_grad_are_named():
    with pytest.raises(TypeError, match="positional argument"):
        Tensor([1.0], True)


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
    x = leaf(1.0)
    with pytest.raises(
        ValueError, match=r"rule of made returned a gradient of shape \(\) for an input of shape \(1,\)"
    ):
        grad(made(lambda xp, x: x, lambda xp, g: g.sum())(x), [x])


def test_ops_take_plain_numbers_and_lists():
    for found, expected in (
        (ops.sigmoid(0.0), 0.5),
        (ops.softplus(0.0), np.log(2)),
        (ops.gelu(0.0), 0.0),
        (ops.silu(0), 0.0),
        (ops.erf(0.0), 0.0),
        (ops.softmax(3.0), 1.0),
        (ops.sum(3.0), 3.0),
        (ops.max(3), 3.0),
        (ops.reshape(2.0, (1, 1)), [[2.0]]),
        (ops.power(2, 3), 8),
        (ops.layer_norm([-1.0, 1.0], 2, eps=0), [-1, 1]),
        (ops.split([1, 2, 3, 4], 2)[1], [3, 4]),
        (ops.take([1, 2, 3], np.array([2, 0])), [3, 1]),
    ):
        np.testing.assert_allclose(found.data, expected, rtol=1e-15)
    assert ops.add(np.float32(1), 1.0).dtype == np.float32  # as in NumPy


def test_none_among_arrays_is_refused():
    x = leaf(1.0, 2.0)
    for f in (lambda: ops.where(x.data > 1, x, None), lambda: ops.stack([Tensor(1.0), None])):
        with pytest.raises(TypeError, match="made an array of Python objects: is None among its inputs"):
            f()


def test_a_bias_may_be_larger_than_what_it_is_added_to():
    """By broadcasting, as x̂ w + b of NumPy; its gradients sum over what was stretched."""
    x, w, b = (np.random.default_rng(i).standard_normal(s) for i, s in enumerate(((1, 3), 3, (2, 3))))
    normed = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    xs = [Tensor(a, requires_grad=True) for a in (x, w, b)]
    y = ops.layer_norm(xs[0], 3, *xs[1:])
    np.testing.assert_allclose(y.data, normed * w + b, rtol=1e-12)
    (gx, gw, gb), g = grad(y, xs, np.ones((2, 3))), np.ones((2, 3))
    np.testing.assert_allclose(gw, (g * normed).sum(0), rtol=1e-12)
    np.testing.assert_array_equal(gb, g)
    np.testing.assert_allclose(gx, grad(y, xs, g, create_graph=True)[0].data, rtol=1e-9, atol=1e-12)


def test_batch_norm_says_what_it_needs():
    with pytest.raises(ValueError, match="in training needs more than one value for each channel"):
        ops.batch_norm(np.ones((1, 3)), None, None, training=True)
    with pytest.raises(ValueError, match="takes running_mean and running_var together, or None for both"):
        ops.batch_norm(np.ones((2, 3)), np.zeros(3), None, training=True)


def test_gradients_of_leaves_fit():
    x = leaf(1.0, 2.0)
    with pytest.raises(ValueError, match=r"the gradient of a leaf of shape \(2,\) is an array of this shape, or None"):
        x.grad = np.ones(3)
    x.grad = np.ones(2)
    x.data = np.ones(2)
    assert x.grad is not None
    x.data = np.ones(3)
    assert x.grad is None
    (x * 2).sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 2, 2])


def test_results_stay_recorded():
    y = leaf(1.0) * 2
    y.requires_grad = True  # as it is
    with pytest.raises(RuntimeError, match=r"this is a result of mul, which stays recorded: use x.detach\(\)"):
        y.requires_grad = False
    with pytest.raises(TypeError, match=r"backward\(y\) takes a Tensor, not ndarray"):
        backward(np.ones(1))


def test_attention_needs_features():
    with pytest.raises(ValueError, match="have no features"):
        ops.attention(*[np.ones((1, 1, 2, 0))] * 3)


def test_a_bias_that_does_not_fit():
    for f in (ops.bias_gelu, ops.bias_sine):
        with pytest.raises(ValueError, match="the bias has 3 elements, and the last axis of x has 4"):
            f(np.ones((2, 4)), np.ones(3))
