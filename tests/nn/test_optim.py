"""Flat parameters, Adam, the learning rate and EMA, each against its formula."""

import math

import numpy as np
import pytest
from small_net import Net
from tensors import normal

import nn
from autograd import Tensor, grad
from nn import EMA, Adam, BatchNorm2d, FlatParameters, Parameter, Sequential, learning_rate

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
    adam.step(grad(net(Tensor(normal(3, 4, dtype="float32"))).sum(), parameters))
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
    parameters = [Parameter(normal(*shape, seed=i).astype(dtype)) for i, shape in enumerate(SHAPES)]
    adam, record, norms = Adam(parameters, **options), [], []
    for t in range(steps):
        gradients = [
            (np.sin(3 * p.data + t) * 0.5 ** (t % 7) + normal(*p.shape, seed=t)).astype(dtype) for p in parameters
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
        theta, m, v = normal(*shape, seed=i).astype(dtype), np.zeros(shape), np.zeros(shape)
        for t, (parameters, gradients) in enumerate(record, 1):
            g = gradients[i].astype("float64")
            m = b1 * m + (1 - b1) * g
            v = b2 * v + (1 - b2) * g**2
            theta = theta - 0.02 * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + 1e-7)
            np.testing.assert_allclose(parameters[i], theta, rtol=rtol, atol=rtol)
    for norm, (_, gradients) in zip(norms, record, strict=True):
        np.testing.assert_allclose(norm, math.sqrt(sum((g**2).sum() for g in gradients)), rtol=1e-5)


@pytest.mark.parametrize("dtype, rtol", [("float64", 1e-12), ("float32", 1e-4)])
@pytest.mark.parametrize("betas", BETAS)
def test_adam_is_torchs(betas, dtype, rtol):
    torch = pytest.importorskip("torch")
    record, _ = adam_run(dtype, lr=0.02, betas=betas)
    theirs = [torch.tensor(normal(*shape, seed=i).astype(dtype), requires_grad=True) for i, shape in enumerate(SHAPES)]
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
            adam.step([normal(3, seed=t)])

    a, b = (Adam([Parameter(normal(3))], lr=0.1) for _ in range(2))
    run(a, 0, 5)
    state, at_5 = a.state_dict(), a.flat.data.copy()
    assert set(state) == {"m", "v", "t"}
    run(a, 5, 9)
    b.flat.data[...] = at_5
    b.load_state_dict(state)
    run(b, 5, 9)
    np.testing.assert_array_equal(a.flat.data, b.flat.data)


# ---- learning rate


@pytest.mark.parametrize(
    "name, option",
    [(name, {"lr": -0.1}) for name in ("SGD", "Adam", "AdamW")]
    + [(name, {"weight_decay": -1.0}) for name in ("SGD", "AdamW")]
    + [(name, {key: value}) for name in ("Adam", "AdamW") for key, value in (("eps", -1e-8), ("betas", (0.9, 1.0)))]
    + [("Adam", {"betas": (-0.1, 0.9)}), ("SGD", {"momentum": -0.9})],
)
def test_optimisers_refuse_what_torch_refuses(name, option):
    """A negative rate would climb, and a beta of 1 would divide by zero."""
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError):
        getattr(torch.optim, name)([torch.ones(2, requires_grad=True)], **option)
    with pytest.raises(ValueError, match=next(iter(option))):
        getattr(nn, name)([Parameter(np.ones(2))], **option)


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
        adam.flat.data += normal(adam.flat.data.size, seed=t).astype("float32")
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
    net(Tensor(normal(4, 3, 5, 5, dtype="float32") * 3 + 1))
    assert net.layers[0].training and not ema.model.layers[0].training
    assert (ema.model.layers[0].running_mean.data == 0).all()
    ema.step(adam.flat, 0.001)
    for mine, theirs in zip(ema.model.buffers(), net.buffers(), strict=True):
        np.testing.assert_array_equal(mine.data, theirs.data)
        assert mine.data.any() and not np.shares_memory(mine.data, theirs.data)
