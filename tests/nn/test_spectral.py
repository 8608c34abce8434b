"""Spectral norm, plain, improved and as a bound: its power iteration, its values, its gradient, its state."""

import numpy as np
import pytest
from tensors import normal, rng
from tiny_models import in_float64

from autograd import Tensor, grad
from autograd.modes import hook
from nn import Adam, Buffer, Conv2d, Linear, Parameter, Sequential, SpectralNorm, normalized, power_iteration
from nn.spectral import make_spectral_norm


def sigma(matrix):
    return np.linalg.svd(matrix.reshape(len(matrix), -1), compute_uv=False)[0]


def random_unit(n, seed):
    v = normal(n, seed=seed)
    return v / np.linalg.norm(v)


def start_anywhere(spectral, seed=0):
    """Forget the singular vectors."""
    spectral.u.data[...], spectral.v.data[...] = (random_unit(b.size, seed) for b in (spectral.u, spectral.v))


@pytest.mark.parametrize("shape", [(12, 20), (20, 12), (1, 7), (6, 3, 4, 4)])
def test_power_iteration_finds_the_largest_singular_value(shape):
    weight = Parameter(normal(*shape, seed=3))
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
    weight, spectral = Parameter(normal(4, 6)), SpectralNorm(Parameter(normal(4, 6)))
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
            x = Tensor(normal(*shape, seed=k, dtype="float32"))
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
    g = normal(4, 5, seed=9)
    y = layer.spectral(layer.weight)
    s = u @ w @ v
    c = (layer.spectral.sigma_init.data if improved else 1.0) / s
    np.testing.assert_allclose(y.data, c * w, rtol=1e-12)
    (found,) = grad(y, [layer.weight], g=g)
    np.testing.assert_allclose(found, c * (g - (g * w).sum() / s * np.outer(u, v)), rtol=1e-12)


@pytest.mark.parametrize("norm", ["isn", "sn"])
@pytest.mark.parametrize("kernel", [(), (3, 2)])
def test_spectral_norm_is_torchs_with_the_same_u_and_v(norm, kernel):
    torch = pytest.importorskip("torch")
    weight = Parameter(normal(6, 4, *kernel))
    ours = SpectralNorm(weight, improved=norm == "isn")
    start_anywhere(ours)
    theirs = torch.nn.Conv2d(4, 6, kernel) if kernel else torch.nn.Linear(4, 6)
    theirs.weight = torch.nn.Parameter(torch.tensor(weight.data))
    torch.nn.utils.parametrizations.spectral_norm(theirs)
    theirs.eval()  # no power iteration
    parametrization = theirs.parametrizations.weight[0]
    parametrization._u, parametrization._v = torch.tensor(ours.u.data), torch.tensor(ours.v.data)
    scale = float(ours.sigma_init.data) if norm == "isn" else 1.0
    g = normal(*weight.shape, seed=5)
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
    y = layer(Tensor(normal(2, 4), requires_grad=True))
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
    x, ran = Tensor(normal(3, 18, dtype="float32")), []

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


@pytest.mark.parametrize("norm", ["sn", "isn", "bound"])
def test_a_weight_of_zeros_is_refused(norm):
    with pytest.raises(ValueError, match="a weight of zeros cannot be divided by its largest singular value"):
        make_spectral_norm(norm, Parameter(np.zeros((3, 4), "float32")))
