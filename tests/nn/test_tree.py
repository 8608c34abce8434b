"""The tree of a model and its state: in which order, what reaches every layer, what is saved, loaded and copied."""

import re

import numpy as np
import pytest
from small_net import Net
from tensors import normal, rng

from autograd import Tensor, grad, ops
from nn import Adam, BatchNorm2d, FlatParameters, LayerNorm, Linear, Module, MultiHeadAttention, Sequential, SirenLayer

PARAMETERS = [
    *("scale", "zeta.weight", "zeta.bias", "blocks.0.weight", "blocks.0.bias", "blocks.2.weight", "blocks.2.bias"),
    "alpha.weight",
]


# ---- the tree


def test_parameters_come_in_the_order_they_were_defined():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == PARAMETERS
    assert [type(m).__name__ for m in net.modules()] == [
        "Net",
        "Linear",
        "SpectralNorm",
        "Linear",
        "LayerNorm",
        "Linear",
    ]
    assert [name for name, _ in net.named_children()] == ["zeta", "blocks.0", "blocks.2", "alpha"]
    assert [p.shape for p in net.parameters()] == [(6,), (6, 4), (6,), (6, 6), (6,), (6,), (6,), (3, 6)]
    assert net.count() == 6 + 24 + 6 + 36 + 6 + 6 + 6 + 18
    assert len(net.buffers()) == 4 and all(b.node is None for b in net.buffers())


def test_train_and_eval_reach_every_layer():
    net = Sequential(BatchNorm2d(2), Sequential(BatchNorm2d(2)))
    assert all(m.training for m in net.modules())
    assert net.eval() is net and not any(m.training for m in net.modules())
    assert all(m.training for m in net.train().modules())


def test_a_parameter_in_two_places_is_trained_once():
    net = Sequential(Linear(3, 3, bias=False, rng=rng()), Linear(3, 3, bias=False, rng=rng(1)))
    net.layers[1].weight = net.layers[0].weight
    assert net.count() == 9 and len(net.parameters()) == 1
    assert set(net.state_dict()) == {"layers.0.weight", "layers.1.weight"}
    other = net.copy()
    assert other.layers[0].weight is other.layers[1].weight is not net.layers[0].weight
    adam = Adam(net.parameters(), lr=0.1)
    adam.step(grad(net(Tensor(normal(2, 3, dtype="float32"))).sum(), net.parameters()))
    np.testing.assert_array_equal(net.layers[1].weight.data.ravel(), adam.flat.data)


def test_a_layer_without_forward_says_so():
    class Empty(Module):
        pass

    with pytest.raises(NotImplementedError, match="Empty defines no forward"):
        Empty()(1)


def test_sequential_applies_layers_and_functions_in_order():
    a, b = Linear(3, 4, rng=rng(1)), Linear(4, 2, rng=rng(2))
    net = Sequential(a, ops.relu, b, lambda x: x * 2)
    x = normal(5, 3, dtype="float32")
    hidden = np.maximum(x @ a.weight.data.T + a.bias.data, 0)
    np.testing.assert_allclose(net(Tensor(x)).data, 2 * (hidden @ b.weight.data.T + b.bias.data), rtol=1e-5, atol=1e-6)
    assert [name for name, _ in net.named_parameters()][:3] == ["layers.0.weight", "layers.0.bias", "layers.2.weight"]


def test_sequential_is_indexed_as_torchs():
    layers = [Linear(3, 4, rng=rng(1)), ops.relu, Linear(4, 2, rng=rng(2))]
    net = Sequential(*layers)
    assert len(net) == 3 and list(net) == layers
    assert net[0] is layers[0] and net[-1] is layers[2]
    assert isinstance(net[1:], Sequential) and list(net[1:]) == layers[1:]
    with pytest.raises(IndexError):
        net[3]


def test_repr_shows_shapes_and_counts():
    assert repr(Sequential(Linear(3, 4, norm="sn", rng=rng()), ops.relu, LayerNorm(1200))) == (
        "Sequential()  2,416 parameters\n"
        "  layers.0: Linear()  16 parameters\n"
        "    weight: float32 [4, 3]\n"
        "    bias: float32 [4]\n"
        "    spectral: SpectralNorm(plain)  0 parameters\n"
        "      u: float32 [4]  (buffer)\n"
        "      v: float32 [3]  (buffer)\n"
        "      sigma_init: float32 []  (buffer)\n"
        "  layers.2: LayerNorm()  2,400 parameters\n"
        "    weight: float32 [1200]\n"
        "    bias: float32 [1200]"
    )
    assert "SirenLayer(omega=30)" in repr(SirenLayer(2, 4, rng=rng()))
    assert "MultiHeadAttention(2 heads, l2, tied)" in repr(MultiHeadAttention(4, 2, "l2", rng=rng()))
    assert "MultiHeadAttention(2 heads, dot)" in repr(MultiHeadAttention(4, 2, rng=rng()))


# ---- state


def test_state_dict_round_trip():
    a, b = Net(0), Net(10)
    state = a.state_dict()
    assert list(state) == [name for name, _ in a.named_tensors()]
    assert {"zeta.spectral.u", "zeta.spectral.v", "zeta.spectral.sigma_init", "note"} < set(state)
    b.load_state_dict(state)
    x = Tensor(normal(3, 4, dtype="float32"))
    np.testing.assert_array_equal(a(x).data, b(x).data)
    before = a.state_dict()
    for name, value in state.items():  # copies: nobody's weights change with them
        value += 1
        np.testing.assert_array_equal(a.state_dict()[name], before[name])
        np.testing.assert_array_equal(b.state_dict()[name], before[name])


def test_load_state_dict_keeps_dtype_and_array():
    net = Net()
    arrays = {name: t.data for name, t in net.named_tensors()}
    net.load_state_dict({name: np.full(a.shape, 0.5) for name, a in arrays.items()})
    for name, t in net.named_tensors():
        assert t.data is arrays[name] and t.dtype == np.float32 and (t.data == 0.5).all()


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda s: s.pop("alpha.weight"), "does not fit this Net: missing alpha.weight; unknown nothing"),
        (lambda s: s.pop("zeta.spectral.u"), "missing zeta.spectral.u"),
        (lambda s: s.update(gamma=np.ones(2)), "missing nothing; unknown gamma"),
        (lambda s: s.update({"note": np.ones(3)}), r"note: the state has shape \(3,\), the model \(2,\)"),
        (lambda s: s.update({"alpha.weight": np.ones((6, 3))}), r"alpha.weight: .*\(6, 3\).*\(3, 6\)"),
        (lambda s: s.update({"zeta.spectral.sigma_init": np.ones(1)}), "sigma_init: the state has shape"),
        (lambda s: s.update({"alpha.weight": np.full((3, 6), "x")}), "could not convert"),
    ],
)
def test_load_state_dict_is_all_or_nothing(spoil, message):
    net = Net()
    before = net.state_dict()
    state = {name: a + 1 for name, a in before.items()}
    spoil(state)
    with pytest.raises(ValueError, match=message):
        net.load_state_dict(state)
    for name, a in net.state_dict().items():
        np.testing.assert_array_equal(a, before[name])


def test_copy_shares_nothing():
    net = Net()
    flat = FlatParameters(net.parameters())
    other = net.copy()
    mine, theirs = dict(net.named_tensors()), dict(other.named_tensors())
    assert list(mine) == list(theirs)
    for name in mine:
        assert type(mine[name]) is type(theirs[name])
        np.testing.assert_array_equal(mine[name].data, theirs[name].data)
        assert not np.shares_memory(mine[name].data, theirs[name].data)
    before = other.state_dict()
    flat.data += 1
    net.note.data += 1
    for name, a in other.state_dict().items():
        np.testing.assert_array_equal(a, before[name])
    x = Tensor(normal(3, 4, dtype="float32"))
    found = grad(other(x).sum(), [*net.parameters(), *other.parameters()])
    n = len(net.parameters())
    assert found[:n] == [None] * n and all(g is not None for g in found[n:])


def test_every_error_of_the_state_names_the_model():
    with pytest.raises(ValueError, match=re.escape("does not fit this Linear: missing bias, weight; unknown nothing")):
        Linear(2, 2, rng=rng()).load_state_dict({})
