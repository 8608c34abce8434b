"""What is written into between an op and its rule is noticed."""

import numpy as np
import pytest
from tensors import made, vector

import nn
from autograd import Tensor, debug, grad, ops
from autograd.writes import WRITES, Writes


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
    a, b = vector(1.0, 2.0), Tensor(np.array([3.0, 4.0]))
    y = made(lambda xp, a, b: a * b, lambda xp, g, a, b, y: (g * b + 0 * y, g * a))(a, b)
    write(a, b, y)
    for create_graph in (False, True):
        with pytest.raises(RuntimeError, match=f"{hurt} of made was written to in place .* call grad before you write"):
            grad(y, [a], np.ones(2), create_graph)


def test_a_write_before_the_op_or_into_another_array_hurts_nothing():
    a, b = vector(1.0, 2.0), Tensor(np.array([3.0, 4.0]))
    b[0] = 5.0
    y = a * b
    a.data = a.data + 1  # another array: the tape keeps the old one
    Tensor(np.zeros(3))[0] = 1.0
    np.testing.assert_array_equal(grad(y, [a], np.ones(2))[0], [5, 4])
    assert a.data.tolist() == [2, 3]


def test_sums_and_products_need_only_what_their_rules_name():
    a = vector(1.0, 2.0)
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
    a = vector(1.0, 2.0)
    with debug():
        y, z = (a * a).sum(), (a * a).sum()
    np.testing.assert_array_equal(grad(z, [a])[0], [2, 4])
    a.data[0] = 9.0
    with pytest.raises(RuntimeError, match=r"a of mul \(recorded at .*y, z = .*\) was written to in place"):
        grad(y, [a])


def test_nothing_is_looked_up_for_nodes_younger_than_the_last_write(monkeypatch):
    monkeypatch.setattr(WRITES, "last", -1.0)
    b = Tensor(np.ones(2))
    b[0] = 2.0
    a = vector(1.0, 2.0)
    y = (a * b).sum()
    assert y.node.id > WRITES.last
    monkeypatch.setattr(WRITES, "since", None)  # would fail if it were called
    grad(y, [a])


def test_options_that_change_after_the_op_hurt_no_rule():
    x, index = vector(1.0, 2.0, 3.0), np.array([0, 1])
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
    x = vector(1.0, 2.0, 3.0)
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
