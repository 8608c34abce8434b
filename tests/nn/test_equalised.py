"""Equalised learning rates: Adam on w = c v moves w as Adam on v does, and c is the spread that w was drawn with."""

import math

import numpy as np
import pytest

from autograd import Tensor, accelerate, grad, ops
from autograd.random import RandomStream
from nn import (
    Adam,
    AdamW,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Embedding,
    FourierFeatures,
    LayerNorm,
    Linear,
    Parameter,
    Sequential,
    SirenLayer,
    he_constants,
)

STEPS = 6
OPTIONS = {"lr": 0.03, "betas": (0.3, 0.9), "eps": 1e-2}  # an ε that matters: for w it is ε/c


def network():
    """A network in float64 whose weights have four different constants."""
    layers = [Linear(3, 8, gain=2.0, rng=RandomStream(1)), Linear(8, 8, rng=RandomStream(2)), LayerNorm(8)]
    net = Sequential(layers[0], ops.tanh, layers[1], layers[2], Linear(8, 2, bias=False, gain=1.0, rng=RandomStream(3)))
    for p in net.parameters():
        p.data = p.data.astype(np.float64)
    return net


def batch(k):
    rng = np.random.default_rng(k)
    return rng.standard_normal((5, 3)), rng.standard_normal((5, 2)) * 10.0 ** (k % 3 - 1)


def trained(net, **options):
    """The weights after each step, by Adam with He's constants as scales, and the norms that it returned."""
    adam = Adam(net.parameters(), scales=he_constants(net), **OPTIONS, **options)
    course, norms = [], []
    for k in range(STEPS):
        x, target = batch(k)
        difference = net(Tensor(x)) - target
        norms.append(float(adam.step(grad((difference * difference).sum(), net.parameters()))))
        course.append([p.data.copy() for p in net.parameters()])
    return course, norms


@pytest.mark.parametrize("max_norm", [None, 0.5])
def test_it_is_adam_in_torch_on_weights_that_are_scaled_in_every_forward(max_norm):
    """As Karras et al. write it: v from N(0, 1) is trained, and the network multiplies it by gain/√fan_in."""
    torch = pytest.importorskip("torch")
    net = network()
    c1, c2, c3 = 2 / math.sqrt(3), 3**-0.5 / math.sqrt(8), 1 / math.sqrt(8)
    scales = [c1, 1, c2, 1, 1, 1, c3]
    np.testing.assert_allclose(he_constants(net), scales, rtol=1e-15)
    v = [torch.tensor(p.data / c, requires_grad=True) for p, c in zip(net.parameters(), scales, strict=True)]
    adam = torch.optim.Adam(v, **OPTIONS)
    course, norms = trained(net, max_norm=max_norm)
    for k, (weights, norm) in enumerate(zip(course, norms, strict=True)):
        x, target = map(torch.tensor, batch(k))
        h = torch.tanh(x @ (c1 * v[0]).T + v[1]) @ (c2 * v[2]).T + v[3]
        h = torch.nn.functional.layer_norm(h, (8,), v[4], v[5]) @ (c3 * v[6]).T
        adam.zero_grad()
        ((h - target) ** 2).sum().backward()
        length = math.sqrt(sum(float((p.grad**2).sum()) for p in v))
        for p in v:
            p.grad *= 1.0 if max_norm is None else min(1.0, max_norm / length)
        adam.step()
        np.testing.assert_allclose(norm, length, rtol=1e-10)
        for w, p, c in zip(weights, v, scales, strict=True):
            np.testing.assert_allclose(w, c * p.detach().numpy(), rtol=1e-10, atol=1e-12)


def test_it_is_the_plain_formula_on_v():
    """Without PyTorch: v ← v − lr m̂/(√v̂ + ε), with g = c ∂L/∂w, and w = c v."""
    c, w, rng = 0.07, np.array([0.02, -0.1, 0.05]), np.random.default_rng(0)
    p = Parameter(w.copy())
    adam = Adam([p], scales=[c], **OPTIONS)
    v, m, s, (b1, b2) = w / c, 0, 0, OPTIONS["betas"]
    for t in range(1, STEPS + 1):
        slope = rng.standard_normal(3)
        adam.step([slope])
        m, s = b1 * m + (1 - b1) * c * slope, b2 * s + (1 - b2) * (c * slope) ** 2
        v = v - OPTIONS["lr"] * m / (1 - b1**t) / (np.sqrt(s / (1 - b2**t)) + OPTIONS["eps"])
        np.testing.assert_allclose(p.data, c * v, rtol=1e-12)


@pytest.mark.parametrize("kind", ["cpu", None])
def test_scales_of_1_change_no_bit(kind):
    if kind and not accelerate.use(kind):
        pytest.skip("numba is not installed")
    courses = []
    for scales in (None, [1.0, 1.0]):
        layer = Linear(7, 5, rng=RandomStream(0))
        adam = Adam(layer.parameters(), scales=scales, max_norm=1.0, betas=(0.5, 0.9))
        for k in range(3):
            rng = np.random.default_rng(k)
            norm = adam.step([rng.standard_normal(p.shape).astype(np.float32) for p in layer.parameters()])
        courses.append([adam.flat.data, adam.m, adam.v, norm])
    for a, b in zip(*courses, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_compiled_loop_is_the_formula(monkeypatch):
    """Parameters of three constants, one without a gradient and an empty one; clipped. In float32, by its eps."""
    if not accelerate.use("cpu"):
        pytest.skip("numba is not installed")
    import autograd.accelerate.cpu.adam as loops

    ran, loop = [], loops.adam
    monkeypatch.setattr(loops, "adam", lambda *args: (ran.append(1), loop(*args)))
    shapes, scales = [(4, 3), (5,), (2, 2), (0, 3)], [0.3, 1.0, 0.01, 0.5]
    rng, found = np.random.default_rng(0), []
    values = [rng.standard_normal(shape) for shape in shapes]
    gradients = [[rng.standard_normal(shape) for shape in shapes] for _ in range(3)]
    for dtype in (np.float32, np.float64):
        adam = Adam([Parameter(x.astype(dtype)) for x in values], scales=scales, max_norm=0.4, **OPTIONS)
        for a, b, _, d in gradients:
            norm = adam.step([a.astype(dtype), b.astype(dtype), None, d.astype(dtype)])
        found.append((adam.flat.data, adam.m, adam.v, norm))
    assert len(ran) == 3  # float64 is left to NumPy
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=30 * np.finfo(np.float32).eps, atol=1e-7)


def test_there_is_a_number_for_each_parameter():
    for optimiser in (Adam, AdamW):
        with pytest.raises(ValueError, match="got 1 scales for 2 parameters"):
            optimiser([Parameter(np.ones(2)), Parameter(np.ones(3))], scales=[1.0])


DRAWN = {  # a layer with many weights, and He's constant by hand
    "linear": (lambda rng: Linear(64, 300, gain=1.5, rng=rng), 1.5 / 8),
    "conv": (lambda rng: Conv2d(20, 100, (2, 5), rng=rng), math.sqrt(2 / 1.04 / 200)),
    "conv 1d": (lambda rng: Conv1d(20, 200, 5, rng=rng), math.sqrt(2 / 1.04 / 100)),
    "transposed": (lambda rng: ConvTranspose2d(100, 20, 3, rng=rng), math.sqrt(2 / 1.04 / 180)),
    "first of SIREN": (lambda rng: SirenLayer(20, 1000, 30.0, first=True, rng=rng), 1 / 20 / math.sqrt(3)),
    "SIREN": (lambda rng: SirenLayer(64, 300, 30.0, rng=rng), math.sqrt(2 / 64) / 30),
    "Fourier features": (lambda rng: FourierFeatures(20, 1000, rng=rng), math.sqrt(1.5)),
}


@pytest.mark.parametrize("name", DRAWN)
def test_the_constant_is_the_spread_of_the_weight_as_drawn(name):
    """The spread of n weights is off by 1/√(2n) of itself; 5 of these are room enough, for a fixed seed."""
    make, constant = DRAWN[name]
    layer = make(RandomStream(0))
    weight, bias = layer.parameters()
    np.testing.assert_allclose(he_constants(layer), [constant, 1.0], rtol=1e-12)
    np.testing.assert_allclose(np.std(weight.data), constant, rtol=5 / math.sqrt(2 * weight.size))
    assert bias.ndim == 1


def test_what_is_no_map_has_no_constant_and_a_layer_in_two_places_counts_once():
    shared = Linear(16, 16, rng=RandomStream(0))
    net = Sequential(Embedding(4, 16), shared, LayerNorm(16), shared)
    assert he_constants(net) == [1.0, 3**-0.5 / 4, 1.0, 1.0, 1.0]
