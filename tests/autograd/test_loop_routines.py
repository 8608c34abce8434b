"""A training by loops draws, updates and bounds as the readable forms do."""

import numpy as np
import pytest
from slow import slow_but_the_first
from tensors import EPS, normal
from tiny_models import VARIANTS, tiny_gan

from autograd import accelerate
from autograd.random import RandomStream

numba = pytest.importorskip("numba")

from autograd.accelerate.cpu import spectral as spectral_loops  # noqa: E402
from nn import Adam, Conv2d, Linear, Module, Sequential, manual_seed, power_iteration  # noqa: E402

pytestmark = pytest.mark.usefixtures("loops")


def test_random_words_are_those_of_numpy():
    for seed, start, n in ((0, 0, 9), (2**63 + 11, 2**32 - 2, 1000), (7, 2**40, 1)):
        found = RandomStream(seed)
        found.state = (seed, start)
        accelerate.use("cpu")
        words = found.bits(n)
        accelerate.use(None)
        found.state = (seed, start)
        np.testing.assert_array_equal(words, found.bits(n))


class Bounded(Module):
    """Layers under one norm; the weights of the first have outgrown any bound."""

    def __init__(self, norm, dtype="float32"):
        layers = [Linear(33, 17, norm=norm), Conv2d(3, 8, 3, norm=norm), Linear(5, 64, norm=norm)]
        layers[0].weight.data *= 7
        for k, layer in enumerate(layers):
            for buffer in (layer.spectral.u, layer.spectral.v):
                unit = normal(*buffer.shape, seed=k)
                buffer.data = (unit / np.linalg.norm(unit)).astype(dtype)
            layer.spectral.sigma_init.data = layer.spectral.sigma_init.data.astype(dtype)
            layer.weight.data = layer.weight.data.astype(dtype)
        self.layers = layers


def counted(monkeypatch):
    """How often each loop has run, from here on."""
    ran = {"iterate": 0, "limit": 0}

    def count(name, loop):
        def run(*args):
            ran[name] += 1
            loop(*args)

        return run

    for name in ran:
        monkeypatch.setattr(spectral_loops, name, count(name, getattr(spectral_loops, name)))
    return ran


@pytest.mark.parametrize("norm", ["bound", "isn"])
def test_power_iterations_and_bounds_are_those_of_the_readable_form_in_float64(norm, monkeypatch):
    ran = counted(monkeypatch)
    manual_seed(3)
    by_loops = Bounded(norm)
    manual_seed(3)
    readable = Bounded(norm, "float64")
    before = by_loops.layers[1].weight.data.copy()
    for _ in range(3):
        power_iteration(by_loops)
        power_iteration(readable)
    for ours, theirs in zip(by_loops.layers, readable.layers, strict=True):
        assert ours.weight.data.dtype == "float32" and theirs.weight.data.dtype == "float64"
        for a, b in ((ours.spectral.u, theirs.spectral.u), (ours.spectral.v, theirs.spectral.v)):
            np.testing.assert_allclose(a.data, b.data, atol=20 * EPS)
        largest = abs(theirs.weight.data).max()
        np.testing.assert_allclose(ours.weight.data, theirs.weight.data, rtol=0, atol=40 * EPS * largest)
    np.testing.assert_array_equal(by_loops.layers[1].weight.data, before)  # within its bound: not one bit changes
    assert ran == {"iterate": 9, "limit": 9 if norm == "bound" else 0}  # the three layers in float32
    grown = readable.layers[0]
    estimate = grown.spectral.u.data @ grown.weight.data @ grown.spectral.v.data  # of σ, by the last iteration
    times = estimate / grown.spectral.sigma_init.data
    assert times > 4 if norm == "isn" else times == pytest.approx(3, rel=1e-12)


def test_what_no_loop_can_write_into_is_bounded_too(monkeypatch):
    """A kernel in the order of Fortran, whose matrix would be a copy, and a matrix that is BLAS's affair."""
    ran = counted(monkeypatch)
    layers = [Conv2d(3, 8, 3, norm="bound"), Linear(300, 300, norm="bound"), Linear(8, 8, norm="bound")]
    layers[0].weight.data = np.asfortranarray(layers[0].weight.data)
    for layer in layers:
        layer.weight.data *= 20
    power_iteration(Sequential(*layers))
    assert ran == {"iterate": 1, "limit": 1}  # of the last
    for layer in layers:
        matrix = layer.weight.data.reshape(len(layer.weight.data), -1)
        grown = np.linalg.svd(matrix, compute_uv=False)[0] / layer.spectral.sigma_init.data
        assert grown == pytest.approx(3, rel=1e-4)  # u and v start as the singular vectors


def test_a_weight_that_is_nan_stays_nan_under_a_bound():
    layer = Linear(4, 4, norm="bound")
    layer.weight.data[1, 2] = np.nan
    power_iteration(layer)
    assert np.isnan(layer.weight.data).any() and np.isnan(layer.spectral.u.data).all()


@pytest.mark.parametrize("variant", slow_but_the_first(VARIANTS))
def test_three_training_steps_agree(variant):
    gans = []
    for on in (True, False):
        accelerate.use("cpu" if on else None)
        gan = tiny_gan(variant=variant)
        gan.adam_d.eps = gan.adam_g.eps = 0.01  # 1e-8 would make ±lr of a gradient that is 0 but for rounding
        for _ in range(3):
            gan.step()
        gans.append(gan)
    found, expected = gans
    np.testing.assert_allclose(found.stats[:3], expected.stats[:3], rtol=1e-4, atol=1e-5)
    a, b = found.state()[0], expected.state()[0]
    for group in ("adam_d", "adam_g", "discriminator", "generator", "ema"):
        for name, x in b[group].items():
            close = 3e-4 * np.abs(x).max() + 2e-6  # products that round by 2 units more move a bias by 1.5e-6
            np.testing.assert_allclose(a[group][name], x, rtol=0, atol=close, err_msg=f"{group} {name}")


def test_a_parameter_with_another_array_is_noticed():
    """The optimiser would go on with the old array, which nothing reads."""
    layer = Linear(3, 2)
    optimiser = Adam(layer.parameters())
    layer.weight.data = layer.weight.data.copy()
    with pytest.raises(RuntimeError, match="given another array"):
        optimiser.step([np.ones_like(p.data) for p in layer.parameters()])
