"""What reverse mode costs: which rules run, what the tape keeps, when it is freed."""

import collections
import gc
import weakref

import numpy as np
import pytest
from tensors import leaf, leaves

from autograd import grad, hook, ops
from autograd.operation import Op


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
