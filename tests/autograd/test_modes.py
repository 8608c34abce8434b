"""Where nothing is recorded, and hooks around every op and rule."""

import collections
import threading
import time

import numpy as np
import pytest
from tensors import leaf, leaves

from autograd import grad, hook, no_grad, ops
from autograd.modes import HOOKS


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
