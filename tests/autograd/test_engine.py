"""Reverse mode itself: what is differentiated, in which order, what it costs, and what it says when it fails."""

import collections
import gc
import re
import threading
import time
import weakref

import numpy as np
import pytest

from autograd import Tensor, backward, debug, grad, gradcheck, hook, no_grad, op, ops, use_fused
from autograd.modes import HOOKS
from autograd.operation import Op
from autograd.registry import OPS


def normal(*shape, seed=0, dtype="float64"):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def leaf(*shape, seed=0, dtype="float64"):
    return Tensor(normal(*shape, seed=seed, dtype=dtype), requires_grad=True)


def leaves(*values):
    return [Tensor(np.asarray(v, float), requires_grad=True) for v in values]


# What is differentiated


def test_diamond():
    (x,) = leaves([0.5, 2.0])
    a, b = ops.sin(x), x * x
    y = a * b + a
    np.testing.assert_allclose(grad(y, [x], g=np.array([3.0, -1.0]))[0], slope_of_diamond(x.data) * [3, -1])


def slope_of_diamond(x):
    return np.cos(x) * x**2 + np.sin(x) * 2 * x + np.cos(x)


def test_same_input_twice():
    (x,) = leaves([1.0, -2.0])
    assert grad((x + x + x * x - x).sum(), [x])[0].tolist() == [3.0, -3.0]
    assert [a.tolist() for a in grad((2 * x).sum(), [x, x])] == [[2, 2], [2, 2]]


def test_unused_input_is_none_and_not_zero():
    x, unused = leaves([1.0], [1.0])
    constant = Tensor(np.ones(1))
    y = (x * 2).sum()
    assert grad(y, [unused, x, constant])[1].tolist() == [2] and grad(y, [unused, constant]) == [None, None]
    assert grad(Tensor(np.ones(())), [x]) == [None]
    (older,) = leaves([1.0])
    assert grad(y, [older]) == [None]


def test_with_respect_to_intermediates_and_to_y_itself():
    (x,) = leaves([0.5, 2.0])
    h = ops.exp(x)
    y = (h * h).sum()
    gx, gh, gy = grad(y, [x, h, y])
    np.testing.assert_allclose(gh, 2 * h.data)
    np.testing.assert_allclose(gx, 2 * h.data * h.data)
    assert gy == 1 and isinstance(gy, np.ndarray)
    (alone,) = grad(y, [h])
    np.testing.assert_array_equal(alone, gh)


def test_g_may_be_an_array_a_list_or_a_tensor():
    x = leaf(3)
    for g in (np.array([1.0, 2.0, -3.0]), [1, 2, -3], Tensor(np.array([1.0, 2.0, -3.0]))):
        np.testing.assert_allclose(grad(x * x, [x], g=g)[0], 2 * x.data * [1, 2, -3])
    with pytest.raises(ValueError, match=r"y has shape \(3,\): give g"):
        grad(x * x, [x])
    with pytest.raises(ValueError, match=r"g has shape \(2,\), y has shape \(3,\)"):
        grad(x * x, [x], g=np.ones(2))


def test_a_gradient_may_be_differentiated_with_respect_to_g():
    x, g = leaf(3), leaf(3, seed=1)
    (gx,) = grad(ops.sin(x), [x], g=g, create_graph=True)
    np.testing.assert_allclose(grad(gx, [g], g=np.array([1.0, 2, 3]))[0], np.cos(x.data) * [1, 2, 3])


def test_backward_adds_up():
    x, w = leaves([2.0, 3.0], 5.0)
    unused = leaf(2)
    (x * w).sum().backward()
    first = x.grad
    assert first.tolist() == [5, 5] and w.grad == 5 and unused.grad is None
    (x * w).sum().backward()
    assert x.grad.tolist() == [10, 10] and w.grad == 10 and isinstance(w.grad, np.ndarray)
    assert first.tolist() == [5, 5], "the first array was written into"
    backward(x * 3, np.array([1.0, -1.0]))
    assert x.grad.tolist() == [13, 7]
    x.grad = None
    x.sum().backward()
    assert x.grad.tolist() == [1, 1] and x.grad.flags.writeable
    with pytest.raises(ValueError, match="depends on nothing with requires_grad"):
        Tensor(np.ones(())).backward()


def test_grad_touches_no_grad_and_keeps_the_tape():
    (x,) = leaves([2.0])
    y = (x * x).sum()
    assert [grad(y, [x])[0].tolist() for _ in range(2)] == [[4], [4]] and x.grad is None


def test_detached_and_unrecorded():
    (x,) = leaves([2.0])
    assert grad((x * x.detach()).sum(), [x])[0] == 2
    with no_grad():
        y = x * x
    assert y.node is None and not y.requires_grad
    assert (x * x).requires_grad, "no_grad ended"


def test_broadcasting_is_undone():
    x, row, column, scalar = leaf(3, 4), leaf(4, seed=1), leaf(3, 1, seed=2), leaf(seed=3)
    g = normal(2, 3, 4, seed=4)
    stretched = normal(2, 1, 1, seed=5)
    y = (x * row + column) * scalar * stretched
    gx, grow, gcolumn, gscalar = grad(y, [x, row, column, scalar], g=g)
    h = (g * scalar.data * stretched).sum(axis=0)
    np.testing.assert_allclose(gx, h * row.data)
    np.testing.assert_allclose(grow, (h * x.data).sum(axis=0))
    np.testing.assert_allclose(gcolumn, h.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(gscalar, (g * y.data).sum() / scalar.data)


OPERATORS = [
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
    lambda a, b: a / b,
    lambda a, b: abs(a) ** b,
    lambda a, b: a.reshape(4, 1) @ b.reshape(1, 4),
]


@pytest.mark.parametrize("f", OPERATORS)
def test_operators_are_those_of_numpy_on_both_sides(f):
    a, b = normal(4), normal(4, seed=1)
    for left, right in ((leaf(4), leaf(4, seed=1)), (a, leaf(4, seed=1)), (leaf(4), b)):
        y = f(left, right)
        assert isinstance(y, Tensor)
        np.testing.assert_array_equal(y.data, f(a, b))
    gradcheck(f, a, b)
    gradcheck(lambda x: f(a, x), b)
    gradcheck(lambda x: f(x, b), a)


def test_numbers_lists_and_arrays_beside_a_tensor():
    x = leaf(3)
    for y in (1 - x, [1, 1, 1] - x, np.ones(3) - x, np.float64(1) - x):
        assert isinstance(y, Tensor) and grad(y.sum(), [x])[0].tolist() == [-1, -1, -1]
    np.testing.assert_array_equal((2**x).data, 2**x.data)
    with pytest.raises(TypeError, match="not turned into an array silently"):
        np.asarray(x)
    assert type(x < 0) is np.ndarray and type(np.ones(3) < x) is np.ndarray


# Higher orders


def test_second_derivative_of_a_cube():
    (x,) = leaves([-1.0, 0.5, 2.0])
    for cube in (x**3, x * x * x):
        (slope,) = grad(cube, [x], g=np.ones(3), create_graph=True)
        (curvature,) = grad(slope, [x], g=np.ones(3))
        np.testing.assert_allclose(curvature, 6 * x.data)


def test_every_order_of_an_exponential_and_a_sine():
    (x,) = leaves(0.7)
    y, z = ops.exp(2 * x), ops.sin(x)
    for order in range(1, 6):
        (y,), (z,) = grad(y, [x], create_graph=True), grad(z, [x], create_graph=True)
        assert float(y) == pytest.approx(2**order * np.exp(1.4))
        assert float(z) == pytest.approx(np.sin(0.7 + order * np.pi / 2))


def test_mixed_partials_agree():
    x, w = leaves([0.3, 1.2], [0.8, -0.4])
    y = (ops.sin(x * w) * ops.exp(x)).sum()
    gx, gw = grad(y, [x, w], create_graph=True)
    u, v = np.array([1.3, -0.7]), np.array([0.4, 2.0])
    np.testing.assert_allclose(grad(gx, [w], g=u)[0] @ v, grad(gw, [x], g=v)[0] @ u)
    a, b = x.data, w.data
    truth = np.exp(a) * (a * np.cos(a * b) + np.cos(a * b) - a * b * np.sin(a * b))
    np.testing.assert_allclose(grad(gx, [w], g=u)[0], truth * u)


def test_gradient_of_the_r1_penalty():
    """∂/∂W of mean |∂D/∂x|², D(x) = v · tanh(W x): what training a discriminator with R1 needs."""
    x, w, v = leaf(5, 3), leaf(4, 3, seed=1), leaf(4, 1, seed=2)

    def penalty(w, v):
        score = ops.tanh(x @ ops.transpose(w)) @ v
        (gx,) = grad(score.sum(), [x], create_graph=True)
        return (gx * gx).sum(axis=1).mean()

    slopes = (1 - np.tanh(x.data @ w.data.T) ** 2) * v.data[:, 0]
    assert float(penalty(w, v)) == pytest.approx(((slopes @ w.data) ** 2).sum(axis=1).mean())
    gradcheck(penalty, w, v)


def test_mixed_modes_keep_their_places():
    """A first-order pass through a graph that a second-order pass has built, and back."""
    (x,) = leaves([0.4, -1.1])
    y = ops.tanh(x) * x
    (gx,) = grad(y, [x], g=np.ones(2), create_graph=True)
    (plain,) = grad(y, [x], g=np.ones(2))
    np.testing.assert_array_equal(gx.data, plain)
    (both,) = grad((gx * y).sum(), [x])
    (ggx,) = grad(gx, [x], g=np.ones(2))
    np.testing.assert_allclose(both, ggx * y.data + plain * plain)


# What it costs


@pytest.mark.slow
def test_twenty_thousand_deep():
    (x,) = leaves([1.0, 2.0])
    y = x
    for _ in range(20_000):
        y = y + x
    assert grad(y.sum(), [x])[0].tolist() == [20_001, 20_001]
    (gx,) = grad(y.sum(), [x], create_graph=True)
    assert gx.data.tolist() == [20_001, 20_001]
    y.sum().backward()
    del y, gx  # freed without a deep recursion


def test_the_tape_dies_with_the_loss_without_gc():
    x, w = leaf(3, 4), leaf(4, 2, seed=1)
    gc.disable()
    try:
        for create_graph in (False, True):
            h = ops.tanh(x @ w)
            y = (h * h).sum()
            (gx,) = grad(y, [x], create_graph=create_graph)
            dead = [weakref.ref(t) for t in (h, h.data, h.node, y.node, h.node.parents[0])]
            if create_graph:
                dead += [weakref.ref(gx.node), weakref.ref(gx.node.parents[0])]
            del h, y, gx
            assert [r() for r in dead] == [None] * len(dead)
    finally:
        gc.enable()


def test_a_failed_rule_leaves_nothing_behind():
    @Op
    class fails:
        "y = x                      ∂L/∂x raises"

        def forward(xp, x):
            return x * 1

        def backward(xp, g):
            raise RuntimeError("no")

    x = leaf(3)
    y = fails(x)
    dead = weakref.ref(y.node)
    with pytest.raises(RuntimeError):
        grad(y.sum(), [x])
    assert x.grad is None
    del y
    gc.collect()
    assert dead() is None


def test_only_what_a_rule_names_is_kept():
    x = leaf(100)
    a = weakref.ref((x * 1.0).data)
    assert a() is None
    h = ops.tanh(x)  # its rule names y
    kept, y = weakref.ref(h.data), h + 1
    del h
    assert kept() is not None
    z = ops.sin(x + 1)  # add names nothing, sin its input
    assert len(z.node.saved) == 1 and z.node.parents[0].saved == {}
    del y
    assert kept() is None


class counting(collections.Counter):
    """A hook that counts what runs: the launch counter."""

    def __call__(self, op, kind, call):
        self[op.name, kind] += 1
        return call()


def test_only_the_path_is_visited():
    needed = []

    @Op
    class product:
        "y = a b                    ∂L/∂a = g b,   ∂L/∂b = g a"

        def forward(xp, a, b):
            return a * b

        def backward(xp, g, a, b, need):
            needed.append(need)
            return g * b if need[0] else None, g * a if need[1] else None

    x, w = leaf(3), leaf(3, seed=1)
    y = product(ops.sin(x), ops.tanh(w)).sum()
    launches = counting()
    with hook(launches):
        (gx,) = grad(y, [x])
    np.testing.assert_allclose(gx, np.cos(x.data) * np.tanh(w.data))
    assert needed == [(True, False)]  # no weight gradient is computed,
    assert launches == {("sum", "backward"): 1, ("product", "backward"): 1, ("sin", "backward"): 1}  # nor walked to
    launches.clear()
    with hook(launches):
        grad(y, [w])
        grad(y, [ops.sin(x)])
    assert needed == [(True, False), (False, True)]
    assert ("tanh", "backward") in launches and ("sin", "backward") not in launches


def test_every_rule_runs_once():
    (x,) = leaves([1.0])
    y = x
    for _ in range(30):
        y = y + y  # 2³⁰ paths
    launches = counting()
    with hook(launches):
        assert grad(y, [x], g=np.ones(1))[0] == 2**30
    assert launches == {("add", "backward"): 30}


def test_gradients_may_be_shared_but_g_is_never_written():
    (x,) = leaves([1.0, 2.0])
    g = np.array([3.0, 4.0])
    a, b = x + 0, x + 1
    y = a + b + a * b + a
    total, ga = grad(y, [x, a], g=g)
    assert g.tolist() == [3, 4]
    np.testing.assert_allclose(ga, g * (2 + b.data))
    np.testing.assert_allclose(total, g * (3 + a.data + b.data))


# Data types


def test_dtype_is_kept():
    for dtype in ("float32", "float64"):
        x, w = leaf(3, 4, dtype=dtype), leaf(4, 2, seed=1, dtype=dtype)
        y = (ops.tanh(x @ w) * 2 + 1) / 3 - 0.5
        (gx, gw) = grad(y, [x, w], g=normal(3, 2, seed=2, dtype=dtype), create_graph=True)
        (ggw,) = grad((gx * gx).sum(), [w])
        (2 * y.mean()).backward()
        assert {a.dtype for a in (y, gx, gw, ggw, x.grad, w.grad, y.mean())} == {np.dtype(dtype)}


def test_python_numbers_are_weak_and_numpy_numbers_are_not():
    x = leaf(3, dtype="float32")
    for y in (x * 2, 2.5 - x, x**3, 2**x, x / 7, ops.where(x > 0, x, 0.0), ops.maximum(x, 0.1)):
        assert y.dtype == np.float32 and grad(y.sum(), [x])[0].dtype == np.float32
    wide = x * np.float64(2)
    assert wide.dtype == np.float64 and grad(wide.sum(), [x])[0].dtype == np.float32


def test_mixed_precision_gives_each_input_its_own():
    x, w = leaf(3, dtype="float32"), leaf(3, seed=1)
    y = x * w
    gx, gw = grad(y, [x, w], g=np.ones(3))
    assert y.dtype == np.float64 and gx.dtype == np.float32 and gw.dtype == np.float64
    narrow = x * 2
    assert [a.dtype for a in grad(narrow, [x, narrow], g=np.ones(3))] == [np.float32] * 2, "g takes the dtype of y"
    assert grad(ops.astype(x, dtype="float64").sum(), [x])[0].dtype == np.float32


def test_only_floating_point_requires_gradients():
    for data in (np.arange(3), np.ones(2, complex), np.ones(2, bool)):
        with pytest.raises(TypeError, match="only floating-point Tensors can require gradients"):
            Tensor(data, requires_grad=True)


# Recording


def test_in_place_assignment_is_refused_where_it_is_recorded():
    x = leaf(3)
    for t in (x, x * 2):
        with pytest.raises(RuntimeError, match=r"cannot be assigned to in place: .* ops.where\(mask, new, old\)"):
            t[0] = 1.0
    free = x.detach() * 1.0
    free[0] = 7.0
    assert free.data[0] == 7
    y = x
    y += 1  # a new Tensor: x is as it was
    assert y is not x and y.node.op is ops.add


def test_grad_belongs_to_leaves():
    x = leaf(3)
    x.grad = np.ones(3)
    assert x.grad.tolist() == [1, 1, 1]
    for t in (x * 2, Tensor(np.ones(3))):
        with pytest.raises(ValueError, match="only a leaf with requires_grad=True"):
            t.grad = np.ones(3)
    x.requires_grad = False
    assert x.node is None and (x * 2).node is None


def test_no_grad_is_of_one_thread():
    x, recorded = leaf(3), []

    def work():
        recorded.append((x * 2).requires_grad)
        with no_grad():
            inside.set()
            outside.wait(10)
        recorded.append((x * 2).requires_grad)

    inside, outside = threading.Event(), threading.Event()
    thread = threading.Thread(target=work)
    with no_grad():
        thread.start()
        assert inside.wait(10)
    recorded.append((x * 2).requires_grad)  # while the other thread is inside its own
    outside.set()
    thread.join()
    assert recorded == [True, True, True]


def test_no_grad_ends_with_an_exception():
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert (leaf(2) * 2).requires_grad


# Hooks: ten-line users


def test_a_timer():
    seconds = collections.defaultdict(float)

    def timer(op, kind, call):
        start = time.perf_counter()
        out = call()
        seconds[op.name, kind] += time.perf_counter() - start
        return out

    x, w = leaf(64, 64), leaf(64, 64, seed=1)
    with hook(timer):
        ops.tanh(x @ w).sum().backward()
    assert set(seconds) == {(name, kind) for name in ("matmul", "tanh", "sum") for kind in ("forward", "backward")}
    assert min(seconds.values()) > 0


def test_a_nan_finder():
    def nan_finder(op, kind, call):
        out = call()
        for a in out if isinstance(out, tuple) else (out,):
            if a is not None and not np.isfinite(a).all():
                raise FloatingPointError("the first NaN or infinity")
        return out

    x = leaf(3)
    with hook(nan_finder), np.errstate(all="ignore"):
        with pytest.raises(FloatingPointError, match=r"in log\(float64\[3\]\): the first NaN or infinity"):
            ops.exp(ops.log(x * 0.0))
        y = ops.sqrt(x * 0.0).sum()
        with pytest.raises(FloatingPointError, match=r"in the rule of sqrt\(float64\[3\], float64\[3\]\): the first"):
            grad(y, [x])
    assert HOOKS == []


def test_hooks_nest_and_see_the_ops_of_rules_on_tensors():
    order = []

    def named(name):
        def f(op, kind, call):
            order.append(f"{name}:{op.name}:{kind}")
            return call()

        return f

    (x,) = leaves([1.0])
    with hook(named("outer")), hook(named("inner")):
        y = ops.exp(x)
    assert order == ["outer:exp:forward", "inner:exp:forward"]
    order.clear()
    with hook(named("h")):
        grad(y, [x], g=np.ones(1), create_graph=True)
    assert order == ["h:exp:backward", "h:mul:forward"]


# What it says when it fails


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
    pattern = r"recorded at .*test_engine\.py:\d+: y = broken\(x\)  # this line: a rule that fails"
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
