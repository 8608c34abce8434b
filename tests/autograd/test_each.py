"""`each(op, calls)`, and a twin that makes all calls at once: one node with several results."""

import numpy as np
import pytest

from autograd import Tensor, debug, explain, grad, no_grad, ops, play, use_fused
from autograd.accelerate.each import Each
from autograd.each import each
from autograd.modes import hook
from autograd.registry import TWINS


class StackedProducts:
    """Linear maps of float32 weights, which may share an x; the gradient of a shared x comes with the first call."""

    def fits(calls):
        return all(w.dtype == np.float32 for _, w, _ in calls)

    def forward(xp, calls):
        return (*(x @ w.T for x, w, _ in calls), "kept")

    def fused(xp, gs, calls, kept, need):
        assert kept == "kept"
        grads = [[g @ w, g.T @ x, None] for g, (x, w, _) in zip(gs, calls, strict=True)]
        if len({id(x) for x, *_ in calls}) == 1:
            grads[0][0] = sum(of_call[0] for of_call in grads)
            for of_call in grads[1:]:
                of_call[0] = None
        return grads


@pytest.fixture
def stacked(monkeypatch):
    monkeypatch.setitem(TWINS, np, {"linear.each": Each(ops.linear, StackedProducts)})


def leaves(*shapes: tuple, dtype: str = "float32") -> list[Tensor]:
    rng = np.random.default_rng(0)
    return [Tensor(rng.standard_normal(s).astype(dtype), requires_grad=True) for s in shapes]


def products(x: Tensor, weights: list[Tensor]) -> list[Tensor]:
    return each(ops.linear, [(x, w, None) for w in weights])


def loss_of(ys: list[Tensor]) -> Tensor:
    return sum(((i + 1) * y * y * y).sum() for i, y in enumerate(ys))


def both(f) -> tuple:
    """f with the twin, and f without any."""
    found = f()
    twins = TWINS.pop(np)
    try:
        return found, f()
    finally:
        TWINS[np] = twins


def close(found, expected) -> None:
    for a, b in zip(found, expected, strict=True):
        a, b = (t.data if isinstance(t, Tensor) else t for t in (a, b))
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())


def test_without_a_twin_it_is_a_loop():
    x, v, w = leaves((2, 3), (4, 3), (5, 3))
    ys = products(x, [v, w])
    assert [y.node.op for y in ys] == [ops.linear, ops.linear]
    np.testing.assert_array_equal(ys[1].data, x.data @ w.data.T)
    assert each(ops.linear, []) == []


def test_a_twin_makes_one_node_of_many_calls(stacked):
    x, v, w = leaves((2, 3), (4, 3), (5, 3))
    ys = products(x, [v, w])
    (node,) = {parent for y in ys for parent in y.node.parents}
    assert node.parents == (x.node, v.node, w.node) and [y.shape for y in ys] == [(2, 4), (2, 5)]
    assert "linear.each" in explain(loss_of(ys)) and "one_of" in explain(loss_of(ys))


@pytest.mark.parametrize("shared", [True, False])
def test_gradients_of_both_orders_are_those_of_the_loop(shared, stacked):
    x, z, v, w = leaves((2, 3), (2, 3), (4, 3), (5, 3))

    def orders():
        ys = each(ops.linear, [(x, v, None), (x if shared else z, w, None)])
        xs = [x, v, w] if shared else [x, z, v, w]
        first = grad(loss_of(ys), xs)
        slopes = grad(loss_of(ys), xs, create_graph=True)
        second = grad(sum((s * s * s).sum() for s in slopes), xs)
        return [*ys, *first, *slopes, *second]

    close(*both(orders))


def test_an_input_of_several_calls_adds_up(stacked):
    """One weight for two x."""
    x, z, w = leaves((2, 3), (2, 3), (4, 3))
    close(*both(lambda: grad(loss_of(each(ops.linear, [(x, w, None), (z, w, None)])), [w, x, z])))


def test_results_that_nothing_reads_have_the_gradient_zero(stacked):
    x, v, w = leaves((2, 3), (4, 3), (5, 3))
    for create_graph in (False, True):
        gx, gv, gw = grad((products(x, [v, w])[1] ** 2).sum(), [x, v, w], create_graph=create_graph)
        assert not np.any(gv.data) and np.any(gw.data) and gv.shape == v.shape
        np.testing.assert_allclose(gx.data, 2 * x.data @ w.data.T @ w.data, rtol=1e-5)


def test_only_what_is_asked_for_is_computed(stacked, monkeypatch):
    needs = []
    fused = StackedProducts.fused
    twin = Each(ops.linear, StackedProducts)
    twin.fused = lambda xp, gs, calls, kept, need: needs.append(need) or fused(xp, gs, calls, kept, need)
    monkeypatch.setitem(TWINS, np, {"linear.each": twin})
    x, v, w = leaves((2, 3), (4, 3), (5, 3))
    grad(loss_of(products(x, [v, w])), [w])
    assert needs == [[(False, False, False), (False, True, False)]]


def test_a_result_may_be_what_is_asked_for(stacked):
    x, v, w = leaves((2, 3), (4, 3), (5, 3))
    first, second = products(x, [v, w])
    y = (first * first).sum() + second.sum()
    g, gx = grad(y, [first, x])
    np.testing.assert_allclose(g, 2 * first.data, rtol=1e-6)
    np.testing.assert_allclose(gx, 2 * first.data @ v.data + np.ones((2, 5)) @ w.data, rtol=1e-5)


def test_a_tape_may_be_walked_twice(stacked):
    x, v, w = leaves((2, 3), (4, 3), (5, 3))
    y = loss_of(products(x, [v, w]))
    for a, b in zip(grad(y, [x, v, w]), grad(y, [x, v, w]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_a_twin_does_not_take_goes_the_readable_way(stacked):
    x, w = leaves((2, 3), (4, 3), dtype="float64")
    assert products(x, [w])[0].node.op is ops.linear
    x, w = leaves((2, 3), (4, 3))
    with use_fused(False):
        assert products(x, [w])[0].node.op is ops.linear
    y = loss_of(products(x, [w]))
    with use_fused(False):  # recorded by the twin, differentiated by the rule
        close(grad(y, [x, w]), both(lambda: grad(loss_of(products(x, [w])), [x, w]))[1])


def test_nothing_is_recorded_where_nothing_is_to_be(stacked):
    x, w = leaves((2, 3), (4, 3))
    with no_grad():
        assert products(x, [w])[0].node is None
    assert products(x.detach(), [w.detach()])[0].node is None


def test_hooks_see_the_results(stacked):
    seen = []

    def look(op, kind, call):
        out = call()
        seen.append((op.name, kind, sum(isinstance(x, np.ndarray) for x in out) if isinstance(out, tuple) else 1))
        return out

    x, v, w = leaves((2, 3), (4, 3), (5, 3))
    with hook(look):
        ys = products(x, [v, w])
    assert seen == [("linear.each", "forward", 2)] and len(ys) == 2
    y = ys[0].sum()
    seen.clear()
    with hook(look):
        grad(y, [x, v])
    assert ("linear.each", "backward", 3) in seen  # of x (all of it with the first call), and both weights


def test_such_a_node_is_explained_and_is_not_played(stacked):
    """A player walks call by call, and says how to have it so."""
    x, v, w = leaves((2, 3), (4, 3), (5, 3))
    with pytest.raises(ValueError, match=r"run f inside use_fused\(False\)"):
        play(loss_of(products(x, [v, w])))
    with use_fused(False):
        y = loss_of(products(x, [v, w]))
    rules = [event.node.op.name for event in play(y).story.events if event.kind == "rule"]
    assert rules.count("linear") == 2


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_write_between_the_calls_and_their_rule_is_noticed(create_graph, stacked):
    x, v, w = leaves((2, 3), (4, 3), (5, 3))
    y = loss_of(products(x, [v, w]))
    w.data -= 1.0
    with pytest.raises(RuntimeError, match="weight of linear.each was written to in place"):
        grad(y, [x], create_graph=create_graph)


def test_debug_seals_the_inputs_of_the_calls(stacked):
    x, v, w = leaves((2, 3), (4, 3), (5, 3))
    with debug():
        y = loss_of(products(x, [v, w]))
    w.data[0] = 9.0
    with pytest.raises(RuntimeError, match=r"weight of linear.each \(recorded at .*\) was written to in place"):
        grad(y, [x])


@pytest.mark.parametrize("kept", [0, 1])
@pytest.mark.parametrize("on", [True, False])
def test_an_x_may_be_a_constant_of_some_calls(kept, on, monkeypatch):
    """Its products as one batch, the twin of a GPU, whose gradient of x is a sum over the calls that want it."""
    from autograd.accelerate.gpu import copy_arrays, twins

    def by_numpy(to, sources):
        for a, b in zip(to, sources, strict=True):
            a[...] = b

    monkeypatch.setattr(copy_arrays, "copy_arrays", by_numpy)
    monkeypatch.setitem(TWINS, np, {"linear.each": twins.GPU["linear.each"]})
    x, *weights = leaves((5, 4), (3, 4), (3, 4), (3, 4))
    taken = [x.detach() if i == kept else x for i in range(3)]
    with use_fused(on):
        ys = each(ops.linear, [(x, w, None) for x, w in zip(taken, weights, strict=True)])
        assert (ys[0].node.op.name == "one_of") == on
        gx, *gws = grad(sum((i + 1) * y.sum() for i, y in enumerate(ys)), [x, *weights])
    expected = sum((i + 1) * w.data.sum(axis=0) for i, w in enumerate(weights) if i != kept)
    np.testing.assert_allclose(gx, np.tile(expected, (5, 1)), rtol=1e-5)
    np.testing.assert_allclose(gws[2], np.tile(3 * x.data.sum(axis=0), (3, 1)), rtol=1e-5, atol=1e-5)


def test_an_error_of_a_twin_says_where(monkeypatch):
    twin = Each(ops.linear, StackedProducts)
    twin.forward = lambda xp, calls: (calls[0][0] @ calls[0][1], None)
    monkeypatch.setitem(TWINS, np, {"linear.each": twin})
    x, w = leaves((2, 3), (4, 3))
    with pytest.raises(
        ValueError, match=r"^in linear.each\(float32\[2, 3\], float32\[4, 3\], NoneType\): the matrices"
    ):
        products(x, [w])
    twin.forward, twin.fused = StackedProducts.forward, lambda *args: 1 / 0
    y = loss_of(products(x, [w]))
    with pytest.raises(ZeroDivisionError, match=r"^in the rule of linear.each\(float32\[2, 4\], float32\[2, 3\]"):
        grad(y, [x])
