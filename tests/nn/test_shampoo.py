"""Shampoo: its formula, written another way; PyTorch's Adam on the same gradients; what it is for; its state."""

import inspect

import numpy as np
import pytest
from tensors import normal

from autograd import Tensor, grad
from nn import Adam, Linear, Parameter, Sequential, Shampoo, Tanh

# By columns, by columns though there are more of them, by rows, and four that are Adam's: too few rows, too few
# columns, both sides too long, and no matrix.
SHAPES = [(7, 5), (5, 7), (6, 20), (2, 7), (7, 3), (11, 12), (4, 2, 8)]
SIZES = {"smallest": 4, "largest": 9}


def start(dtype="float64"):
    return [Parameter(normal(*shape, seed=i).astype(dtype)) for i, shape in enumerate(SHAPES)]


def gradients(t, dtype="float64"):
    """Rows with much in common, as those of a layer whose inputs have a mean."""
    common = [3 * normal(shape[-1], seed=100 + i) for i, shape in enumerate(SHAPES)]
    noise = [normal(*shape, seed=1000 * t + i) for i, shape in enumerate(SHAPES)]
    return [(normal(*x.shape[:-1], 1, seed=t) * c + x).astype(dtype) for c, x in zip(common, noise, strict=True)]


def root_by_svd(c):
    """C^(−1/2) of the definition, by the singular values of C."""
    u, s, _ = np.linalg.svd(c)
    return u @ np.diag((s / s.mean() + 1e-4) ** -0.5) @ u.T


SCALES = [0.5, 2.0, 1.0, 3.0, 1.0, 0.7, 1.0]


@pytest.mark.parametrize(
    "options",
    [{"betas": (0.0, 0.99)}, {"betas": (0.9, 0.999)}, {"eps": 0.1, "max_norm": 2.0, "scales": SCALES}],
    ids=["no momentum", "momentum", "eps, clipped, scaled"],
)
def test_it_is_adam_on_whitened_gradients(options):
    ours, theirs, roots, moments = start(), start(), {}, {}
    shampoo = Shampoo(ours, lr=0.02, **options, every=10, **SIZES)
    adam = Adam(theirs, lr=0.02, **options)
    betas = adam.betas
    for t in range(25):
        given = gradients(t)
        expected = list(given)
        for i in (0, 1, 2):
            rows = given[i] if i < 2 else given[i].T
            if t in (10, 20):
                roots[i] = root_by_svd(moments[i])
            moments[i] = betas[1] * moments.get(i, 0) + (1 - betas[1]) * np.mean([np.outer(r, r) for r in rows], axis=0)
            white = rows @ roots.get(i, np.eye(rows.shape[1]))
            expected[i] = white if i < 2 else white.T
        norm = shampoo.step(given)
        np.testing.assert_allclose(norm, adam.step(expected), rtol=1e-9)
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a.data, b.data, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-9), ("float32", 2e-5)])
def test_it_is_its_twin_in_pytorch(dtype, tolerance):
    """Eigenvalues of these roots are below 5, so the rounding of a product, 1e-7, stays small in steps of 0.02."""
    torch = pytest.importorskip("torch")
    from experiments.pytorch.shampoo import Shampoo as TorchShampoo

    for name in ("every", "smallest", "largest"):
        assert len({inspect.signature(kind).parameters[name].default for kind in (Shampoo, TorchShampoo)}) == 1
    ours = start(dtype)
    theirs = [torch.tensor(p.data.copy(), requires_grad=True) for p in ours]
    shampoo = Shampoo(ours, lr=0.02, betas=(0.0, 0.99), every=10, **SIZES)
    twin = TorchShampoo(theirs, lr=0.02, betas=(0.0, 0.99), every=10, **SIZES)
    for t in range(25):
        shampoo.step(gradients(t, dtype))
        for w, g in zip(theirs, gradients(t, dtype), strict=True):
            w.grad = torch.tensor(g)
        twin.step()
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.data, b.detach().numpy(), rtol=tolerance, atol=tolerance)


def test_steps_become_as_long_in_all_directions():
    """Adam's steps go along what the rows have in common; those of Shampoo go along it as along any other direction."""

    def spread(kind, **options):
        p = Parameter(np.zeros((40, 32)))
        optimizer, steps = kind([p], lr=1.0, betas=(0.0, 0.99), **options), []
        common = normal(32, seed=5)
        for t in range(400):
            before = p.data.copy()
            optimizer.step([5 * normal(40, 1, seed=2 * t) * common + normal(40, 32, seed=2 * t + 1)])
            steps += [p.data - before] * (t >= 200)
        values = np.linalg.eigvalsh(np.mean([s.T @ s for s in steps], axis=0))
        return values[-1] / values.mean()

    assert spread(Adam) > 15  # of 32, were all of a step along one direction
    assert spread(Shampoo) < 1.5


def test_it_learns_faster_where_inputs_have_a_mean():
    """A regression on inputs around (3, …, 3): the loss after 150 steps of either, at the best of four rates."""

    def loss_after(kind, lr, **options):
        x, weights = normal(64, 32, seed=1) + 3, normal(32, 32, seed=2) / 32**0.5
        net = Sequential(Linear(32, 32), Tanh(), Linear(32, 32))
        for i, p in enumerate(net.parameters()):
            p.data = (normal(*p.shape, seed=10 + i) / 6).astype("float64")
        optimizer = kind(net.parameters(), lr=lr, betas=(0.9, 0.99), **options)
        for _ in range(150):
            error = net(Tensor(x)) - np.tanh(x @ weights)
            loss = (error * error).mean()
            optimizer.step(grad(loss, net.parameters()))
        return loss.item()

    rates = (1e-3, 3e-3, 1e-2, 3e-2)
    adam, shampoo = min(loss_after(Adam, lr) for lr in rates), min(loss_after(Shampoo, lr, every=10) for lr in rates)
    assert shampoo < 0.5 * adam, (shampoo, adam)


# ---- state and borders


def run(optimizer, first, last):
    for t in range(first, last):
        optimizer.step(gradients(t))


@pytest.mark.parametrize("at", [1, 9, 10, 13])
def test_it_goes_on_from_its_state(at):
    """Also in the middle between two roots, where the one in use is of a C that is gone."""
    a, b = (Shampoo(start(), lr=0.1, every=10, **SIZES) for _ in range(2))
    run(a, 0, at)
    state, weights = a.state_dict(), a.flat.data.copy()
    factors = [f"{kind}_{shape}" for kind in ("factor", "inverse_root") for shape in ("7x5", "5x7", "6x20")]
    assert set(state) == {"m", "v", "t", *factors}
    run(a, at, 22)
    b.flat.data[...] = weights
    b.load_state_dict(state)
    run(b, at, 22)
    np.testing.assert_array_equal(a.flat.data, b.flat.data)
    with pytest.raises(ValueError, match="does not fit this Shampoo: missing factor_5x7"):
        b.load_state_dict(Adam(start()).state_dict())


def test_a_parameter_without_a_gradient_stays_and_so_does_its_factor():
    """And those of other matrices of its shape move."""
    shampoo = Shampoo([Parameter(normal(6, 5, seed=i)) for i in range(2)], lr=0.1, smallest=4)
    shampoo.step([normal(6, 5, seed=2), normal(6, 5, seed=3)])
    before, factors = shampoo.flat.data.copy(), shampoo.alike[6, 5].factors.copy()
    shampoo.step([None, normal(6, 5, seed=4)])
    still = np.split(shampoo.flat.data == before, 2)
    assert still[0].all() and not still[1].any()
    np.testing.assert_array_equal(shampoo.alike[6, 5].factors[0], factors[0])
    assert not np.allclose(shampoo.alike[6, 5].factors[1], factors[1])


def test_a_gradient_of_zeros_moves_nothing():
    shampoo = Shampoo([Parameter(normal(6, 5))], every=2, smallest=4)
    before = shampoo.flat.data.copy()
    for _ in range(5):
        shampoo.step([np.zeros((6, 5))])
    np.testing.assert_array_equal(shampoo.flat.data, before)


@pytest.mark.parametrize("shape", [(6, 5), (40, 32)])  # LAPACK refuses NaN of some sizes, and computes with others
def test_nan_reaches_the_weights_and_raises_nothing(shape):
    """As with Adam: the training loop sees it in the losses, and says which op it came from."""
    shampoo = Shampoo([Parameter(normal(*shape))], every=2, smallest=4)
    for g in (normal(*shape, seed=1), np.full(shape, np.nan), *[normal(*shape, seed=2)] * 3):
        shampoo.step([g])
    assert np.isnan(shampoo.flat.data).all()


def test_every_is_at_least_one():
    with pytest.raises(ValueError, match="every must be at least 1, not 0"):
        Shampoo(start(), every=0)
