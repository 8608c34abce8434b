"""The layers and optimisers of nn/, each against its formula and, where PyTorch is installed, against PyTorch."""

import importlib.util
import math
import re

import numpy as np
import pytest
from strict_device import StrictArray, strict
from tiny_models import in_float64, shake

from autograd import Tensor, grad, ops
from autograd.modes import hook
from autograd.random import RandomStream
from nn import (
    EMA,
    Adam,
    BatchNorm2d,
    Buffer,
    Conv2d,
    ConvTranspose2d,
    FlatParameters,
    FourierFeatures,
    LayerNorm,
    Linear,
    Module,
    MultiHeadAttention,
    Parameter,
    SelfModulatedLayerNorm,
    Sequential,
    SirenLayer,
    SpectralNorm,
    init,
    learning_rate,
    manual_seed,
    normalized,
    pixel_coordinates,
    power_iteration,
)

if importlib.util.find_spec("torch"):
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(1)  # the arrays are tiny
needs_torch = pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="torch is not installed")


def array(*shape, seed=0, dtype="float64"):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def rng(seed=0):
    return RandomStream(seed)


class Net(Module):
    """One of everything, in an order that is not alphabetical."""

    def __init__(self, seed=0):
        self.zeta = Linear(4, 6, norm="isn", rng=rng(seed))
        self.scale = Parameter(array(6, dtype="float32"))
        self.blocks = [Linear(6, 6, rng=rng(seed + 1)), ops.relu, LayerNorm(6)]
        self.note = Buffer(array(2, dtype="float32"))
        self.alpha = Linear(6, 3, bias=False, rng=rng(seed + 2))
        self.nothing = None

    def forward(self, x):
        h = self.zeta(x) * self.scale
        for block in self.blocks:
            h = block(h)
        return self.alpha(h)


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
    adam.step(grad(net(Tensor(array(2, 3, dtype="float32"))).sum(), net.parameters()))
    np.testing.assert_array_equal(net.layers[1].weight.data.ravel(), adam.flat.data)


def test_a_layer_without_forward_says_so():
    class Empty(Module):
        pass

    with pytest.raises(NotImplementedError, match="Empty defines no forward"):
        Empty()(1)


def test_sequential_applies_layers_and_functions_in_order():
    a, b = Linear(3, 4, rng=rng(1)), Linear(4, 2, rng=rng(2))
    net = Sequential(a, ops.relu, b, lambda x: x * 2)
    x = array(5, 3, dtype="float32")
    hidden = np.maximum(x @ a.weight.data.T + a.bias.data, 0)
    np.testing.assert_allclose(net(Tensor(x)).data, 2 * (hidden @ b.weight.data.T + b.bias.data), rtol=1e-5, atol=1e-6)
    assert [name for name, _ in net.named_parameters()][:3] == ["layers.0.weight", "layers.0.bias", "layers.2.weight"]


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
    x = Tensor(array(3, 4, dtype="float32"))
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
    x = Tensor(array(3, 4, dtype="float32"))
    found = grad(other(x).sum(), [*net.parameters(), *other.parameters()])
    n = len(net.parameters())
    assert found[:n] == [None] * n and all(g is not None for g in found[n:])


# ---- flat parameters


def test_parameters_stay_views_of_the_flat_array():
    net = Net()
    parameters = net.parameters()
    values = [p.data.copy() for p in parameters]
    adam = Adam(parameters, lr=0.01)
    for p, value in zip(parameters, values, strict=True):
        np.testing.assert_array_equal(p.data, value)

    def check():
        np.testing.assert_array_equal(np.concatenate([p.data.ravel() for p in net.parameters()]), adam.flat.data)
        for p in net.parameters():
            assert np.shares_memory(p.data, adam.flat.data)

    check()
    adam.step(grad(net(Tensor(array(3, 4, dtype="float32"))).sum(), parameters))
    check()
    assert all(not np.array_equal(p.data, v) for p, v in zip(parameters, values, strict=True))
    net.copy()
    net.load_state_dict(Net(5).state_dict())
    check()
    np.testing.assert_array_equal(net.alpha.weight.data, Net(5).alpha.weight.data)


def test_gather_aligns_gradients_and_counts_none_as_zero():
    flat = FlatParameters([Parameter(np.zeros((2, 3))), Parameter(np.zeros(2)), Parameter(np.zeros(()))])
    found = flat.gather([np.arange(6.0).reshape(3, 2).T, None, np.asarray(7.0)])
    np.testing.assert_array_equal(found, [0, 2, 4, 1, 3, 5, 0, 0, 7])
    with pytest.raises(ValueError):
        flat.gather([np.zeros((2, 3))])


# ---- Adam


SHAPES = [(3, 4), (5,), (), (2, 1, 3)]


def adam_run(dtype, steps=50, **options):
    """The trajectory of Adam on gradients that depend on the parameters: [(parameters, gradients)], and its norms."""
    parameters = [Parameter(array(*shape, seed=i).astype(dtype)) for i, shape in enumerate(SHAPES)]
    adam, record, norms = Adam(parameters, **options), [], []
    for t in range(steps):
        gradients = [
            (np.sin(3 * p.data + t) * 0.5 ** (t % 7) + array(*p.shape, seed=t)).astype(dtype) for p in parameters
        ]
        norms.append(adam.step(gradients))
        record.append(([p.data.copy() for p in parameters], gradients))
    assert all(p.dtype == dtype for p in parameters)
    return record, norms


BETAS = [(0.9, 0.999), (0.0, 0.99), (0.5, 0.9)]


@pytest.mark.parametrize("dtype, rtol", [("float64", 1e-12), ("float32", 1e-4)])
@pytest.mark.parametrize("betas", BETAS)
def test_adam_is_the_plain_formula(betas, dtype, rtol):
    record, norms = adam_run(dtype, lr=0.02, betas=betas, eps=1e-7)
    b1, b2 = betas
    for i, shape in enumerate(SHAPES):
        theta, m, v = array(*shape, seed=i).astype(dtype), np.zeros(shape), np.zeros(shape)
        for t, (parameters, gradients) in enumerate(record, 1):
            g = gradients[i].astype("float64")
            m = b1 * m + (1 - b1) * g
            v = b2 * v + (1 - b2) * g**2
            theta = theta - 0.02 * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + 1e-7)
            np.testing.assert_allclose(parameters[i], theta, rtol=rtol, atol=rtol)
    for norm, (_, gradients) in zip(norms, record, strict=True):
        np.testing.assert_allclose(norm, math.sqrt(sum((g**2).sum() for g in gradients)), rtol=1e-5)


@needs_torch
@pytest.mark.parametrize("dtype, rtol", [("float64", 1e-12), ("float32", 1e-4)])
@pytest.mark.parametrize("betas", BETAS)
def test_adam_is_torchs(betas, dtype, rtol):
    record, _ = adam_run(dtype, lr=0.02, betas=betas)
    theirs = [torch.tensor(array(*shape, seed=i).astype(dtype), requires_grad=True) for i, shape in enumerate(SHAPES)]
    adam = torch.optim.Adam(theirs, lr=0.02, betas=betas)
    for parameters, gradients in record:
        for p, g in zip(theirs, gradients, strict=True):
            p.grad = torch.tensor(g)
        adam.step()
        for p, q in zip(parameters, theirs, strict=True):
            np.testing.assert_allclose(p, q.detach().numpy(), rtol=rtol, atol=rtol)


def test_adam_takes_the_learning_rate_of_the_moment():
    p = Parameter(np.zeros(3))
    adam = Adam([p], lr=1.0, betas=(0.0, 0.99), eps=0.0)
    g = np.array([2.0, -3.0, 0.5])
    adam.lr = 0.25
    adam.step([g])
    np.testing.assert_allclose(p.data, -0.25 * np.sign(g))


def test_max_norm_shortens_long_gradients_only():
    """A step of Adam hides the length of the gradient; its moments show it."""
    long, short = [np.array([3.0, 0.0]), np.array([[4.0]])], [np.array([0.3, 0.0]), np.array([[0.4]])]
    for gradients, norm, factor in ((long, 5.0, 0.2), (short, 0.5, 1.0)):
        adam = Adam([Parameter(np.zeros(2)), Parameter(np.zeros((1, 1)))], betas=(0.5, 0.9), max_norm=1.0)
        returned = adam.step(gradients)
        np.testing.assert_allclose(returned, norm)
        expected = factor * np.concatenate([g.ravel() for g in gradients])
        np.testing.assert_allclose(adam.m, 0.5 * expected, rtol=1e-9)
        np.testing.assert_allclose(adam.v, 0.1 * expected**2, rtol=1e-9)
    assert gradients[0][0] == 0.3  # the caller's arrays are not written
    adam.step([np.zeros(2), None])
    assert np.isfinite(adam.flat.data).all()


def test_adam_goes_on_from_its_state():
    def run(adam, first, last):
        for t in range(first, last):
            adam.step([array(3, seed=t)])

    a, b = (Adam([Parameter(array(3))], lr=0.1) for _ in range(2))
    run(a, 0, 5)
    state, at_5 = a.state_dict(), a.flat.data.copy()
    assert set(state) == {"m", "v", "t"}
    run(a, 5, 9)
    b.flat.data[...] = at_5
    b.load_state_dict(state)
    run(b, 5, 9)
    np.testing.assert_array_equal(a.flat.data, b.flat.data)


# ---- learning rate


def test_learning_rate_schedules():
    def schedule(*args, steps=100, **options):
        return [learning_rate(k, steps, *args, **options) for k in range(steps)]

    assert schedule(0, "constant") == schedule(1, "constant") == [1.0] * 100
    np.testing.assert_allclose(schedule(10, "constant")[:12], [*np.arange(1, 11) / 10, 1, 1])
    np.testing.assert_allclose(schedule(1, "linear"), 1 - np.arange(100) / 100)
    cosine = 0.5 * (1 + np.cos(np.pi * np.arange(100) / 100))
    np.testing.assert_allclose(schedule(1, "cosine"), cosine)
    np.testing.assert_allclose(schedule(10, "cosine"), cosine * np.minimum(np.arange(1, 101) / 10, 1))
    np.testing.assert_allclose(schedule(1, "cosine", 0.1), 0.1 + 0.9 * cosine)
    assert learning_rate(500, 100, 1, "linear", 0.2) == pytest.approx(0.2)  # past the end it stays down
    assert learning_rate(0, 0, 0, "constant") == 1.0
    assert all(type(x) is float for x in schedule(10, "cosine"))  # a NumPy scalar would turn float32 into float64
    with pytest.raises(ValueError, match="decay 'step': use constant, linear, cosine"):
        learning_rate(0, 1, 1, "step")


# ---- EMA


def test_ema_is_its_formula():
    net = Net()
    adam = Adam(net.parameters(), lr=0.1)
    ema = EMA(net)
    average = adam.flat.data.astype("float64")
    for t, decay in enumerate((0.0, 0.5, 0.9, 0.99)):
        adam.flat.data += array(adam.flat.data.size, seed=t).astype("float32")
        before = adam.flat.data.copy()
        ema.step(adam.flat, 1 - decay)
        average = decay * average + (1 - decay) * before
        found = np.concatenate([p.data.ravel() for p in ema.model.parameters()])
        np.testing.assert_allclose(found, average, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(adam.flat.data, before)  # the source is only read
        if decay == 0:
            np.testing.assert_array_equal(found, before)


def test_ema_copies_buffers_and_is_in_eval_mode():
    net = Sequential(BatchNorm2d(3))
    adam, ema = Adam(net.parameters()), EMA(net)
    net(Tensor(array(4, 3, 5, 5, dtype="float32") * 3 + 1))
    assert net.layers[0].training and not ema.model.layers[0].training
    assert (ema.model.layers[0].running_mean.data == 0).all()
    ema.step(adam.flat, 0.001)
    for mine, theirs in zip(ema.model.buffers(), net.buffers(), strict=True):
        np.testing.assert_array_equal(mine.data, theirs.data)
        assert mine.data.any() and not np.shares_memory(mine.data, theirs.data)


# ---- spectral norm


def sigma(matrix):
    return np.linalg.svd(matrix.reshape(len(matrix), -1), compute_uv=False)[0]


def random_unit(n, seed):
    v = array(n, seed=seed)
    return v / np.linalg.norm(v)


def start_anywhere(spectral, seed=0):
    """Forget the singular vectors."""
    spectral.u.data[...], spectral.v.data[...] = (random_unit(b.size, seed) for b in (spectral.u, spectral.v))


@pytest.mark.parametrize("shape", [(12, 20), (20, 12), (1, 7), (6, 3, 4, 4)])
def test_power_iteration_finds_the_largest_singular_value(shape):
    weight = Parameter(array(*shape, seed=3))
    spectral = SpectralNorm(weight)
    matrix = weight.data.reshape(len(weight.data), -1)
    exact = sigma(matrix)
    assert spectral.sigma_init.data == pytest.approx(exact, rel=1e-12)
    assert spectral.u.data @ matrix @ spectral.v.data == pytest.approx(exact, rel=1e-12)
    start_anywhere(spectral)
    estimates = []
    for _ in range(300):
        spectral.power_iteration(weight)
        estimates.append(spectral.u.data @ matrix @ spectral.v.data)
        assert np.linalg.norm(spectral.u.data) == pytest.approx(1) == pytest.approx(np.linalg.norm(spectral.v.data))
    assert (np.diff(estimates) > -1e-12).all()  # from below, and never back
    assert estimates[-1] == pytest.approx(exact, rel=1e-6)
    many = SpectralNorm(weight)
    start_anywhere(many)
    many.power_iteration(weight, steps=300)
    np.testing.assert_array_equal(many.u.data, spectral.u.data)


def test_one_power_iteration_is_its_formula():
    weight, spectral = Parameter(array(4, 6)), SpectralNorm(Parameter(array(4, 6)))
    start_anywhere(spectral)
    u = spectral.u.data.copy()
    arrays = spectral.u.data, spectral.v.data
    spectral.power_iteration(weight)
    v = weight.data.T @ u / np.linalg.norm(weight.data.T @ u)
    np.testing.assert_allclose(spectral.v.data, v, rtol=1e-12)
    np.testing.assert_allclose(spectral.u.data, weight.data @ v / np.linalg.norm(weight.data @ v), rtol=1e-12)
    assert spectral.u.data is arrays[0] and spectral.v.data is arrays[1]  # in place


def test_improved_starts_as_the_weight_itself_and_plain_at_sigma_1():
    for norm, expected in (("isn", None), ("sn", 1.0)):
        layer = Linear(9, 7, norm=norm, rng=rng(2))
        effective = layer.spectral(layer.weight).data
        assert effective.dtype == np.float32
        assert sigma(effective) == pytest.approx(expected or sigma(layer.weight.data), rel=1e-5)
        if norm == "isn":
            np.testing.assert_allclose(effective, layer.weight.data, rtol=1e-5)


def linear(norm, seed):
    return Linear(12, 16, norm=norm, rng=rng(seed))


def conv(norm, seed):
    return Conv2d(3, 8, 3, norm=norm, rng=rng(seed))


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["isn", "sn"])
@pytest.mark.parametrize("make, shape", [(linear, (8, 12)), (conv, (8, 3, 5, 5))])
def test_sigma_stays_within_one_percent_over_many_updates(make, shape, norm):
    """While a layer learns what another does, one power iteration an update follows its largest singular value."""

    def worst(iterations):
        layer, teacher = make(norm, 4), make(None, 5)
        adam = Adam(layer.parameters(), lr=5e-4, betas=(0.0, 0.99))
        start = layer.weight.data.copy()
        target = sigma(layer.spectral(layer.weight).data)
        errors = []
        for k in range(200):
            for _ in range(iterations):
                power_iteration(layer)
            errors.append(abs(sigma(layer.spectral(layer.weight).data) / target - 1))
            x = Tensor(array(*shape, seed=k, dtype="float32"))
            difference = layer(x) - teacher(x) * 2
            adam.step(grad((difference * difference).mean(), layer.parameters()))
        assert np.linalg.norm(layer.weight.data - start) > 0.1 * np.linalg.norm(start)
        return max(errors)

    assert worst(1) < 0.01 < worst(0)


@pytest.mark.parametrize("norm, improved", [("isn", True), ("sn", False)])
def test_gradient_of_the_normalised_weight_is_its_formula(norm, improved):
    layer = in_float64(Linear(5, 4, norm=norm, rng=rng(1)))
    start_anywhere(layer.spectral)  # not the singular vectors: the formula holds for any u and v
    w, u, v = layer.weight.data, layer.spectral.u.data, layer.spectral.v.data
    g = array(4, 5, seed=9)
    y = layer.spectral(layer.weight)
    s = u @ w @ v
    c = (layer.spectral.sigma_init.data if improved else 1.0) / s
    np.testing.assert_allclose(y.data, c * w, rtol=1e-12)
    (found,) = grad(y, [layer.weight], g=g)
    np.testing.assert_allclose(found, c * (g - (g * w).sum() / s * np.outer(u, v)), rtol=1e-12)


@needs_torch
@pytest.mark.parametrize("norm", ["isn", "sn"])
@pytest.mark.parametrize("kernel", [(), (3, 2)])
def test_spectral_norm_is_torchs_with_the_same_u_and_v(norm, kernel):
    weight = Parameter(array(6, 4, *kernel))
    ours = SpectralNorm(weight, improved=norm == "isn")
    start_anywhere(ours)
    theirs = torch.nn.Conv2d(4, 6, kernel) if kernel else torch.nn.Linear(4, 6)
    theirs.weight = torch.nn.Parameter(torch.tensor(weight.data))
    torch.nn.utils.parametrizations.spectral_norm(theirs)
    theirs.eval()  # no power iteration
    parametrization = theirs.parametrizations.weight[0]
    parametrization._u, parametrization._v = torch.tensor(ours.u.data), torch.tensor(ours.v.data)
    scale = float(ours.sigma_init.data) if norm == "isn" else 1.0
    g = array(*weight.shape, seed=5)
    y = theirs.weight * scale
    (expected,) = torch.autograd.grad(y, theirs.parametrizations.weight.original, torch.tensor(g))
    found = ours(weight)
    np.testing.assert_allclose(found.data, y.detach().numpy(), rtol=1e-10)
    np.testing.assert_allclose(grad(found, [weight], g=g)[0], expected.numpy(), rtol=1e-9, atol=1e-12)


def test_one_call_iterates_every_spectral_norm_below():
    net = Sequential(Linear(4, 4, norm="isn", rng=rng()), Sequential(Conv2d(2, 3, 3, norm="sn", rng=rng(1))))
    spectral = [m for m in net.modules() if isinstance(m, SpectralNorm)]
    assert len(spectral) == 2
    for s in spectral:
        start_anywhere(s)
    before = [s.u.data.copy() for s in spectral]
    power_iteration(net)
    assert all(not np.allclose(s.u.data, u) for s, u in zip(spectral, before, strict=True))
    power_iteration(Linear(2, 2, rng=rng()))  # nothing to do is no error


def test_a_bound_holds_after_each_power_iteration_and_leaves_smaller_weights_alone():
    both = [Linear(6, 8, norm="bound", rng=rng()), Conv2d(2, 3, 3, norm="bound", rng=rng(1))]
    net = Sequential(*both)
    first = [sigma(layer.weight.data) for layer in both]
    for factor, held in ((2.9, False), (5.0, True)):
        for layer, start in zip(both, first, strict=True):
            layer.weight.data *= factor * start / sigma(layer.weight.data)
        before = [layer.weight.data.copy() for layer in both]
        power_iteration(net)
        for layer, start, w in zip(both, first, before, strict=True):
            assert sigma(layer.weight.data) == pytest.approx(start * (3 if held else factor), rel=1e-5)
            np.testing.assert_allclose(layer.weight.data, w * (3 / factor if held else 1), rtol=1e-5, atol=0)
            assert layer.spectral(layer.weight) is layer.weight


def test_a_rule_that_reads_a_weight_after_it_was_bounded_says_so():
    layer = Linear(4, 4, norm="bound", rng=rng())
    y = layer(Tensor(array(2, 4), requires_grad=True))
    power_iteration(layer)
    with pytest.raises(RuntimeError, match="written to"):
        y.sum().backward()


def test_inside_normalized_the_weights_are_normed_once():
    """The values and gradients of two passes are those without it; a copy and the state know nothing of it."""
    net = Sequential(
        Linear(18, 6, norm="isn", rng=rng()), lambda x: x.reshape(-1, 2, 3, 3), Conv2d(2, 3, 3, norm="sn", rng=rng(1))
    )
    for layer in (net.layers[0], net.layers[2]):
        start_anywhere(layer.spectral)
    x, ran = Tensor(array(3, 18, dtype="float32")), []

    def count(op, kind, call):
        ran.append((op.name, kind))
        return call()

    def two_passes():
        ran.clear()
        with hook(count):
            y = (net(x) ** 2).sum() + net(x * 2).sum()
            grads = grad(y, net.parameters())
        return y.data, grads, [ran.count(("spectral_normalize", kind)) for kind in ("forward", "backward")]

    expected, grads, often = two_passes()
    assert often == [4, 4]
    names = set(net.state_dict())
    with normalized(net):
        found, grads_once, once = two_passes()
        assert once == [0, 2] and set(net.state_dict()) == names
        np.testing.assert_array_equal(net.copy()(x).data, net(x).data)
    np.testing.assert_array_equal(found, expected)
    for a, b in zip(grads_once, grads, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())
    with pytest.raises(RuntimeError, match="stop"), normalized(net):
        raise RuntimeError("stop")
    assert two_passes()[2] == [4, 4]
    with normalized(Linear(2, 2, rng=rng())):  # nothing to do is no error
        pass


def test_the_state_of_a_spectral_norm_is_saved():
    a, b = (Linear(5, 4, norm="isn", rng=rng(seed)) for seed in (0, 1))
    start_anywhere(a.spectral, seed=7)
    b.load_state_dict(a.state_dict())
    for name in ("u", "v", "sigma_init"):
        mine, theirs = getattr(a.spectral, name), getattr(b.spectral, name)
        assert isinstance(mine, Buffer)
        np.testing.assert_array_equal(mine.data, theirs.data)


def test_unknown_norm():
    for make in (lambda: Linear(2, 2, norm="spectral"), lambda: Conv2d(2, 2, 1, norm="spectral")):
        with pytest.raises(ValueError, match="norm 'spectral': use None, 'sn', 'isn' or 'bound'"):
            make()


# ---- initial values


def test_normal_initialisations_have_their_spread():
    wide = {
        "linear": (Linear(400, 300, rng=rng()), 3**-0.5 / 20),
        "gain": (Linear(400, 300, gain=0.7, rng=rng()), 0.7 / 20),
        "conv": (Conv2d(40, 60, 5, rng=rng()), math.sqrt(2 / 1.04 / 1000)),
    }
    for name, (layer, std) in wide.items():
        w = layer.weight.data
        assert w.dtype == np.float32 and w.std() == pytest.approx(std, rel=0.02), name
        assert abs(w.mean()) < 5 * std / math.sqrt(w.size)
        assert abs(w).max() > 3.5 * std  # normal, not uniform
        assert not layer.bias.data.any()


def test_uniform_initialisations_have_their_bounds():
    first, later = SirenLayer(2, 4000, 30.0, first=True, rng=rng()), SirenLayer(200, 300, 30.0, rng=rng())
    cases = {
        "siren first": (first.linear.weight, 1 / 2),
        "siren later": (later.linear.weight, math.sqrt(6 / 200) / 30),
        "siren phase": (first.linear.bias, math.pi / 30),
        "fourier": (FourierFeatures(2, 4000, rng=rng()).linear.weight, math.sqrt(9 / 2)),
        "xavier": (Tensor(init.xavier_uniform(rng(), (200, 100), 1.5)), 1.5 * math.sqrt(6 / 300)),
    }
    for name, (weight, bound) in cases.items():
        w = weight.data
        assert w.dtype == np.float32, name
        assert 0.99 * bound < abs(w).max() <= bound * (1 + 1e-6), name
        assert w.std() == pytest.approx(bound / math.sqrt(3), rel=0.03), name


def test_siren_layers_keep_the_spread_of_their_inputs():
    """Section 3.2 of SIREN: through any number of layers the activations are distributed as the sine of a uniform."""
    g = rng(3)
    h = Tensor(g.uniform(-1, 1, (2000, 2)))
    net = [SirenLayer(2, 128, 30.0, True, rng=g), *(SirenLayer(128, 128, 30.0, rng=g) for _ in range(3))]
    for layer in net:
        h = layer(h)
        assert h.data.std() == pytest.approx(math.sqrt(0.5), abs=0.06)


def test_fan_counts_the_window():
    assert init.fan((8, 3)) == (3, 8) and init.fan((8, 3, 4, 5)) == (60, 160)


def test_a_seed_fixes_the_weights():
    a, b, c = Linear(6, 5, rng=rng(3)), Linear(6, 5, rng=rng(3)), Linear(6, 5, rng=rng(4))
    np.testing.assert_array_equal(a.weight.data, b.weight.data)
    assert not np.array_equal(a.weight.data, c.weight.data)
    g = rng(3)
    assert not np.array_equal(Linear(6, 5, rng=g).weight.data, Linear(6, 5, rng=g).weight.data)
    manual_seed(3)
    first, second = Linear(6, 5), SirenLayer(3, 3)
    manual_seed(3)
    np.testing.assert_array_equal(first.weight.data, Linear(6, 5).weight.data)
    np.testing.assert_array_equal(second.linear.weight.data, SirenLayer(3, 3).linear.weight.data)
    np.testing.assert_array_equal(first.weight.data, a.weight.data)


def test_sine_layers_are_their_formula():
    x = array(5, 3, dtype="float32")
    for layer, omega in ((SirenLayer(3, 4, 7.0, rng=rng()), 7.0), (FourierFeatures(3, 4, rng=rng()), 1.0)):
        w, b = layer.linear.weight.data, layer.linear.bias.data
        assert b.any()
        np.testing.assert_allclose(layer(Tensor(x)).data, np.sin(omega * (x @ w.T + b)), atol=1e-5)


def test_pixel_coordinates_are_centres_row_by_row():
    found = pixel_coordinates(2, 4)
    assert found.dtype == np.float32
    x, y = [-0.75, -0.25, 0.25, 0.75], [-0.5, 0.5]
    np.testing.assert_array_equal(found, [(a, b) for b in y for a in x])


# ---- layers beside PyTorch


def check_beside_torch(layer, function, x, rtol=1e-10):
    """Values and gradients of a float64 layer, for x and every parameter, beside `function(x, *parameters)`."""
    parameters = layer.parameters()
    theirs = [torch.tensor(p.data.copy(), requires_grad=True) for p in parameters]
    tx = torch.tensor(x, requires_grad=True)
    expected = function(tx, *theirs)
    g = array(*expected.shape, seed=11)
    gradients = torch.autograd.grad(expected, [tx, *theirs], torch.tensor(g))
    ours = Tensor(x, requires_grad=True)
    y = layer(ours)
    assert y.dtype == np.float64
    np.testing.assert_allclose(y.data, expected.detach().numpy(), rtol=rtol, atol=rtol)
    for a, b in zip(grad(y, [ours, *parameters], g=g), gradients, strict=True):
        assert abs(b.numpy()).max() > 1e-6
        np.testing.assert_allclose(a, b.numpy(), rtol=rtol, atol=rtol * 10)


def prepared(layer):
    return shake(in_float64(layer), std=0.3)


@needs_torch
@pytest.mark.parametrize("shape", [(5, 3), (2, 4, 3), (3,)])
def test_linear_is_torchs(shape):
    check_beside_torch(prepared(Linear(3, 6, rng=rng())), F.linear, array(*shape))
    check_beside_torch(prepared(Linear(3, 6, bias=False, rng=rng())), F.linear, array(*shape))


@needs_torch
@pytest.mark.parametrize(
    "options", [{}, {"stride": 2, "padding": 1}, {"padding": (0, 2), "dilation": (2, 1)}, {"bias": False}]
)
def test_conv2d_is_torchs(options):
    layer = prepared(Conv2d(3, 4, (3, 2), rng=rng(), **options))
    options = {k: v for k, v in options.items() if k != "bias"}
    check_beside_torch(layer, lambda x, *p: F.conv2d(x, *p, **options), array(2, 3, 7, 6))


@needs_torch
@pytest.mark.parametrize(
    "options", [{}, {"stride": 2, "padding": 1}, {"stride": (2, 3), "output_padding": (1, 2)}, {"bias": False}]
)
def test_conv_transpose2d_is_torchs(options):
    layer = prepared(ConvTranspose2d(3, 4, (4, 3), rng=rng(), **options))
    options = {k: v for k, v in options.items() if k != "bias"}
    check_beside_torch(layer, lambda x, *p: F.conv_transpose2d(x, *p, **options), array(2, 3, 4, 5))


@needs_torch
def test_layer_norm_is_torchs():
    layer = prepared(LayerNorm(6, eps=1e-3))
    check_beside_torch(layer, lambda x, w, b: F.layer_norm(x, (6,), w, b, 1e-3), array(2, 4, 6))


@needs_torch
def test_batch_norm_is_torchs_in_training_and_after():
    layer = prepared(BatchNorm2d(3, momentum=0.3))
    mean, var = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)

    def function(training):
        return lambda x, w, b: F.batch_norm(x, mean, var, w, b, training, 0.3)

    for seed in range(3):
        check_beside_torch(layer, function(True), array(4, 3, 5, 2, seed=seed) * 2 + 1)
        np.testing.assert_allclose(layer.running_mean.data, mean.numpy(), rtol=1e-12)
        np.testing.assert_allclose(layer.running_var.data, var.numpy(), rtol=1e-12)
    layer.eval()
    check_beside_torch(layer, function(False), array(4, 3, 5, 2, seed=9))
    np.testing.assert_allclose(layer.running_mean.data, mean.numpy(), rtol=1e-12)


@needs_torch
def test_self_modulated_layer_norm_is_gamma_and_beta_of_w_around_torchs():
    layer = prepared(SelfModulatedLayerNorm(6, 4, rng=rng()))
    w = array(2, 4, seed=3)
    tw = torch.tensor(w, requires_grad=True)

    def function(h, gw, gb, bw, bb):
        gamma, beta = tw @ gw.T + gb, tw @ bw.T + bb
        return gamma[:, None] * F.layer_norm(h, (6,)) + beta[:, None]

    check_beside_torch(modulated_by(layer, Tensor(w)), function, array(2, 5, 6))
    h, g = array(2, 5, 6), array(2, 5, 6, seed=8)
    latent = Tensor(w, requires_grad=True)
    (found,) = grad(layer(Tensor(h), *layer.style(latent)), [latent], g=g)
    theirs = [torch.tensor(p.data) for p in layer.parameters()]
    (expected,) = torch.autograd.grad(function(torch.tensor(h), *theirs), tw, torch.tensor(g))
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-10, atol=1e-10)


def modulated_by(layer, w):
    """A self-modulated layer norm of h alone."""

    class Partial(Module):
        def __init__(self):
            self.layer = layer

        def forward(self, x):
            return layer(x, *layer.style(w))

    return Partial()


def test_self_modulation_starts_as_a_plain_layer_norm_for_w_0():
    layer = SelfModulatedLayerNorm(6, 4, rng=rng())
    h = array(2, 5, 6, dtype="float32")
    plain = LayerNorm(6)(Tensor(h)).data
    np.testing.assert_array_equal(layer(Tensor(h), *layer.style(Tensor(np.zeros((2, 4), "float32")))).data, plain)


# ---- attention


def torch_attention(layer, heads, similarity):
    """softmax(S) V by PyTorch: SDPA for dot, explicit distances for the others; tied if there is no key weight."""
    tied = layer.key is None

    def function(x, *p):
        wq, wk, wv, wo, bo = (p[0], p[0], *p[1:]) if tied else p
        batch, tokens, features = x.shape
        q, k, v = (F.linear(x, w).reshape(batch, tokens, heads, -1).transpose(1, 2) for w in (wq, wk, wv))
        scale = 1 / math.sqrt(features // heads)
        if similarity == "dot":
            y = F.scaled_dot_product_attention(q, k, v)
        else:
            difference = q[:, :, :, None] - k[:, :, None]  # (B, H, N, N, d)
            if similarity == "l2":
                scores = -scale * difference.square().sum(-1)
            elif similarity == "l1":
                scores = -scale * torch.cdist(q, k, p=1.0)
            else:
                scores = scale * torch.cdist(q, k, p=2.0)
            y = torch.softmax(scores, -1) @ v
        return F.linear(y.transpose(1, 2).reshape(batch, tokens, features), wo, bo)

    return function


@needs_torch
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("similarity", ["dot", "l2", "l1", "l2_printed"])
def test_attention_is_torchs(similarity, tied):
    layer = prepared(MultiHeadAttention(6, 2, similarity, tied, rng=rng()))
    assert (layer.key is None) == tied
    check_beside_torch(layer, torch_attention(layer, 2, similarity), array(2, 5, 6), rtol=1e-8)


def test_distances_tie_queries_and_keys_unless_told_otherwise():
    for similarity, tied in {"dot": False, "l2": True, "l1": True, "l2_printed": True}.items():
        names = [n for n, _ in MultiHeadAttention(4, 2, similarity, rng=rng()).named_parameters()]
        assert ("key.weight" not in names) == tied
        assert {"query.weight", "value.weight", "out.weight", "out.bias"} <= set(names)
    with pytest.raises(ValueError, match="6 features cannot be shared by 4 heads"):
        MultiHeadAttention(6, 4)


def test_heads_do_not_mix_before_the_output():
    layer = MultiHeadAttention(6, 3, rng=rng())
    layer.out.weight.data[...] = np.eye(6)
    x = array(1, 4, 6, dtype="float32")
    before = layer(Tensor(x)).data
    layer.query.weight.data[2:4] += 1  # the second head's
    change = abs(layer(Tensor(x)).data - before).max(axis=(0, 1))
    assert (change[2:4] > 1e-4).all() and not change[[0, 1, 4, 5]].any()


# ---- devices


class Everything(Module):
    """Every layer, on images (B, 2, 8, 8)."""

    def __init__(self):
        g = rng(1)
        self.down = Conv2d(2, 4, 4, 2, 1, norm="isn", rng=g)
        self.batch_norm = BatchNorm2d(4)
        self.up = ConvTranspose2d(4, 2, 4, 2, 1, rng=g)
        self.embed = Linear(16, 8, norm="sn", rng=g)
        self.modulated = SelfModulatedLayerNorm(8, 8, rng=g)
        self.attention = [MultiHeadAttention(8, 2, s, rng=g) for s in ("dot", "l2", "l1", "l2_printed")]
        self.norm = LayerNorm(8)
        self.siren = SirenLayer(8, 8, rng=g)
        self.features = FourierFeatures(2, 8, rng=g)
        self.where = Buffer(pixel_coordinates(2, 4))

    def forward(self, x):
        x = self.up(ops.relu(self.batch_norm(self.down(x))))
        h = self.embed(x.reshape(len(x), 8, 16)) + self.features(self.where)
        for attention in self.attention:
            h = h + attention(self.modulated(h, *self.modulated.style(h[:, 0])))
        return self.siren(self.norm(h)).mean(axis=1)


def test_every_layer_and_optimiser_runs_on_the_device_and_gives_the_same_numbers():
    def run(device, x, g, guard):
        net = Everything()
        assert net.to(device) is net
        adam = Adam(net.parameters(), lr=0.01, max_norm=1.0)
        ema = EMA(net)
        with guard:
            for _ in range(2):
                power_iteration(net)
                norm = adam.step(grad(net(Tensor(x)), net.parameters(), g=g))
                ema.step(adam.flat, 0.5)
        return net, adam, ema, norm

    x, g = array(3, 2, 8, 8, dtype="float32"), array(3, 8, seed=1, dtype="float32")
    net, adam, ema, norm = run("strict", strict.asarray(x), strict.asarray(g), strict.step())
    for _, t in [*net.named_tensors(), *ema.model.named_tensors()]:
        assert type(t.data) is StrictArray
    assert type(norm) is StrictArray and type(adam.flat.data) is StrictArray
    host, host_adam, host_ema, host_norm = run("cpu", x, g, strict.step())
    for mine, theirs in ((net, host), (ema.model, host_ema.model), (adam, host_adam)):
        state = mine.state_dict()
        assert state
        for name, expected in theirs.state_dict().items():
            assert type(state[name]) is np.ndarray
            np.testing.assert_array_equal(state[name], expected, err_msg=name)
    assert float(norm) == host_norm
    net.to("cpu")
    for (name, a), (_, b) in zip(net.named_tensors(), host.named_tensors(), strict=True):
        assert type(a.data) is np.ndarray and a.dtype == b.dtype, name
        np.testing.assert_array_equal(a.data, b.data)


def test_load_state_dict_fills_a_model_on_the_device():
    net, source = Everything().to("strict"), shake(Everything())
    arrays = [t.data for _, t in net.named_tensors()]
    net.load_state_dict(source.state_dict())
    for (name, t), a in zip(net.named_tensors(), arrays, strict=True):
        assert t.data is a
        np.testing.assert_array_equal(strict.asnumpy(a), source.state_dict()[name])


def test_every_error_of_the_state_names_the_model():
    with pytest.raises(ValueError, match=re.escape("does not fit this Linear: missing bias, weight; unknown nothing")):
        Linear(2, 2, rng=rng()).load_state_dict({})
