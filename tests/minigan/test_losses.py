import math

import numpy as np
import pytest

from autograd import Tensor, grad, no_grad, ops
from autograd.random import RandomStream
from minigan.losses import LOSSES, balanced_consistency, finite_difference_penalty, gradient_penalty
from nn import Adam, LayerNorm, Linear, Module, MultiHeadAttention, Sequential

PLAYERS = [(name, player) for name in LOSSES for player in ("discriminator", "generator")]


def logits(n=16, scale=3.0, seed=0, dtype="float64"):
    rng = np.random.default_rng(seed)
    return [(rng.normal(size=n) * scale).astype(dtype) for _ in range(2)]


def leaves(arrays):
    return [Tensor(a, requires_grad=True) for a in arrays]


def in_float64(module):
    for p in module.parameters():
        p.requires_grad = False
        p.data = p.data.astype("float64")
        p.requires_grad = True
    return module


def mlp_discriminator(seed=0, hidden=7):
    rng = RandomStream(seed)
    layers = [Linear(5, hidden, rng=rng), ops.silu, Linear(hidden, hidden, rng=rng), ops.gelu]
    return in_float64(Sequential(*layers, Linear(hidden, 1, rng=rng), lambda y: y.reshape(-1)))


class AttentionDiscriminator(Module):
    """Tokens (B, N, 6) -> logits (B,), with everything a transformer discriminator has."""

    def __init__(self, similarity="l2", seed=0):
        rng = RandomStream(seed)
        self.embed = Linear(6, 8, rng=rng)
        self.norm = LayerNorm(8)
        self.attention = MultiHeadAttention(8, 2, similarity, rng=rng)
        self.wide = Linear(8, 16, rng=rng)
        self.head = Linear(16, 1, rng=rng)

    def forward(self, x):
        h = self.embed(x)
        h = h + self.attention(self.norm(h))
        return self.head(ops.gelu(self.wide(h))).mean(axis=1).reshape(-1)


def along(f, parameters, direction, step):
    """f() with every parameter moved by step · its direction."""
    for p, d in zip(parameters, direction, strict=True):
        p.data += step * d
    value = f().data.item()
    for p, d in zip(parameters, direction, strict=True):
        p.data -= step * d
    return value


def check_gradient_by_differences(f, parameters, seed=1, step=1e-3, rtol=1e-7):
    """d f / d parameters along a random direction, against fourth-order differences."""
    rng = np.random.default_rng(seed)
    direction = [rng.normal(size=p.shape) for p in parameters]
    found = sum((g * d).sum() for g, d in zip(grad(f(), parameters), direction, strict=True) if g is not None)
    values = [along(f, parameters, direction, k * step) for k in (-2, -1, 1, 2)]
    numeric = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
    assert abs(numeric) > 1e-3
    assert abs(found - numeric) < rtol * max(1, abs(numeric))


# ---- values


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


FORMULAS = {
    ("minimax", "discriminator"): lambda r, f: -(np.log(sigmoid(r)).mean() + np.log(1 - sigmoid(f)).mean()),
    ("minimax", "generator"): lambda r, f: np.log(1 - sigmoid(f)).mean(),
    ("nonsaturating", "discriminator"): lambda r, f: -(np.log(sigmoid(r)).mean() + np.log(1 - sigmoid(f)).mean()),
    ("nonsaturating", "generator"): lambda r, f: -np.log(sigmoid(f)).mean(),
    ("hinge", "discriminator"): lambda r, f: -np.minimum(0, r - 1).mean() - np.minimum(0, -f - 1).mean(),
    ("hinge", "generator"): lambda r, f: -f.mean(),
    ("relativistic", "discriminator"): lambda r, f: -np.log(sigmoid(r - f)).mean(),
    ("relativistic", "generator"): lambda r, f: -np.log(sigmoid(f - r)).mean(),
}


def test_every_loss_has_a_formula_here():
    assert list(FORMULAS) == PLAYERS


@pytest.mark.parametrize("name, player", PLAYERS)
def test_losses_equal_their_printed_formulas(name, player):
    real, fake = logits()
    loss = getattr(LOSSES[name], player)(Tensor(real), Tensor(fake))
    assert isinstance(loss, Tensor) and loss.shape == ()
    np.testing.assert_allclose(loss.data, FORMULAS[name, player](real, fake), rtol=1e-12)


def test_in_the_minimax_game_the_generator_minimises_what_the_discriminator_maximises():
    real, fake = leaves(logits())
    value = -LOSSES["minimax"].discriminator(real, fake)  # E log σ(D(x)) + E log(1 − σ(D(G(z))))
    (of_value,) = grad(value, [fake])
    (of_loss,) = grad(LOSSES["minimax"].generator(real, fake), [fake])
    np.testing.assert_allclose(of_loss, of_value, rtol=1e-14)


@pytest.mark.parametrize(
    "name, of_discriminator, of_generator",
    [("minimax", 2, -1), ("nonsaturating", 2, 1), ("relativistic", 1, 1), ("hinge", 2 / math.log(2), 0)],
)
def test_losses_of_an_undecided_discriminator_in_units_of_ln_2(name, of_discriminator, of_generator):
    zero, ln2 = Tensor(np.zeros(4)), math.log(2)
    assert LOSSES[name].discriminator(zero, zero).item() / ln2 == pytest.approx(of_discriminator)
    assert LOSSES[name].generator(zero, zero).item() / ln2 == pytest.approx(of_generator)


@pytest.mark.parametrize("name, player", PLAYERS)
def test_losses_and_their_gradients_equal_torchs(name, player):
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    bce = F.binary_cross_entropy_with_logits
    of_torch = {
        ("minimax", "discriminator"): lambda r, f: bce(r, torch.ones_like(r)) + bce(f, torch.zeros_like(f)),
        ("minimax", "generator"): lambda r, f: -bce(f, torch.zeros_like(f)),
        ("nonsaturating", "discriminator"): lambda r, f: bce(r, torch.ones_like(r)) + bce(f, torch.zeros_like(f)),
        ("nonsaturating", "generator"): lambda r, f: bce(f, torch.ones_like(f)),
        ("hinge", "discriminator"): lambda r, f: F.relu(1 - r).mean() + F.relu(1 + f).mean(),
        ("hinge", "generator"): lambda r, f: -f.mean(),
        ("relativistic", "discriminator"): lambda r, f: bce(r - f, torch.ones_like(r)),
        ("relativistic", "generator"): lambda r, f: bce(f - r, torch.ones_like(r)),
    }[name, player]
    arrays = logits(seed=3)
    ours, theirs = leaves(arrays), [torch.tensor(a, requires_grad=True) for a in arrays]
    loss, expected = getattr(LOSSES[name], player)(*ours), of_torch(*theirs)
    np.testing.assert_allclose(loss.data, expected.item(), rtol=1e-12)
    expected.backward()
    for g, x in zip(grad(loss, ours), theirs, strict=True):
        if g is None:
            assert x.grad is None
        else:
            np.testing.assert_allclose(g, x.grad.numpy(), rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("name, player", PLAYERS)
def test_losses_have_the_right_first_and_second_derivatives(name, player):
    arrays = [0.5 * a for a in logits(seed=1)]  # no hinge within a step of these
    assert min(np.abs(np.abs(a) - 1).min() for a in arrays) > 0.02
    x = leaves(arrays)
    loss = getattr(LOSSES[name], player)
    check_gradient_by_differences(lambda: loss(*x), x)
    if name == "hinge":
        return  # piecewise linear
    weights = np.random.default_rng(5).normal(size=(2, 16))

    def slope_along_weights():
        slopes = grad(loss(*x), x, create_graph=True)
        return 10.0 * sum((g * w).sum() for g, w in zip(slopes, weights, strict=True) if g is not None)

    check_gradient_by_differences(slope_along_weights, x)


@pytest.mark.parametrize("name, player", PLAYERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_huge_logits_give_finite_losses_and_gradients(name, player, dtype):
    signs = np.array([1, 1, -1, -1], dtype)
    x = leaves([1e4 * signs, 1e4 * np.roll(signs, 1)])  # every pair of signs
    loss = getattr(LOSSES[name], player)(*x)
    assert loss.dtype == dtype and np.isfinite(loss.data)
    gradients = [g for g in grad(loss, x) if g is not None]
    assert gradients
    for g in gradients:
        assert g.dtype == dtype and np.isfinite(g).all() and np.abs(g).max() <= 0.25
    assert any(np.abs(g).max() > 0.1 for g in gradients)


def test_a_rejected_fake_pulls_on_every_generator_but_the_minimax_one():
    def slope(name):
        real, fake = leaves([np.array([8.0]), np.array([-8.0])])
        return grad(LOSSES[name].generator(real, fake), [fake])[0].item()

    assert -1e-3 < slope("minimax") < 0
    assert all(slope(name) < -0.99 for name in ("nonsaturating", "hinge", "relativistic"))


# ---- signs


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_push_real_logits_up_and_fake_logits_down_for_the_discriminator_alone(name):
    real, fake = leaves(logits(scale=0.3))
    of_real, of_fake = grad(LOSSES[name].discriminator(real, fake), [real, fake])
    assert (of_real < 0).all() and (of_fake > 0).all()
    (of_fake,) = grad(LOSSES[name].generator(real, fake), [fake])
    assert (of_fake < 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_a_step_of_each_network_moves_the_logits_its_own_way(name):
    rng = np.random.default_rng(6)
    x, z = Tensor(rng.normal(size=(32, 5)) + 1.5), Tensor(rng.normal(size=(32, 3)))
    discriminator, generator = mlp_discriminator(), in_float64(Linear(3, 5, rng=RandomStream(8)))
    generator.bias.data -= 1.5  # far from x, so that D need not trade one mean for the other

    def means():
        with no_grad():
            return discriminator(x).mean().item(), discriminator(generator(z)).mean().item()

    real, fake = means()
    weights = discriminator.parameters()
    loss = LOSSES[name].discriminator(discriminator(x), discriminator(generator(z).detach()))
    for p, g in zip(weights, grad(loss, weights), strict=True):
        p.data -= 0.05 * g
    better_real, better_fake = means()
    assert better_real > real and better_fake < fake

    weights = generator.parameters()
    loss = LOSSES[name].generator(discriminator(x), discriminator(generator(z)))
    for p, g in zip(weights, grad(loss, weights), strict=True):
        p.data -= 0.05 * g
    unmoved, fooled = means()
    assert unmoved == better_real and fooled > better_fake


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
def test_a_generator_that_only_shifts_finds_the_data(name):
    rng = np.random.default_rng(7)
    data = rng.normal(size=(64, 2)) + np.array([2.0, -1.0])
    shift = Tensor(np.zeros(2), requires_grad=True)
    discriminator = in_float64(Sequential(Linear(2, 1, bias=False, rng=RandomStream(1)), lambda y: y.reshape(-1)))
    optimisers = [Adam(discriminator.parameters(), 0.05, (0, 0.99)), Adam([shift], 0.05, (0, 0.99))]
    distances = []
    for _ in range(300):
        real, z = Tensor(data[rng.integers(64, size=32)]), rng.normal(size=(32, 2))
        fake = shift + z
        loss = LOSSES[name].discriminator(discriminator(real), discriminator(fake.detach()))
        loss = loss + 0.5 * gradient_penalty(discriminator, real)
        optimisers[0].step(grad(loss, discriminator.parameters()))
        optimisers[1].step(grad(LOSSES[name].generator(discriminator(real), discriminator(fake)), [shift]))
        distances.append(np.linalg.norm(shift.data - data.mean(axis=0)))
    assert np.mean(distances[-50:]) < 0.5 < 2 < distances[0]


# ---- pairing


def test_the_relativistic_loss_sees_differences_of_its_pairs_only():
    real, fake = logits(seed=8)
    for player in ("discriminator", "generator"):
        loss = getattr(LOSSES["relativistic"], player)
        value = loss(Tensor(real), Tensor(fake)).item()
        common = np.random.default_rng(9).normal(size=real.shape) * 100
        assert loss(Tensor(real + common), Tensor(fake + common)).item() == pytest.approx(value, rel=1e-9)
        assert abs(loss(Tensor(real), Tensor(np.roll(fake, 1))).item() - value) > 1e-2
        x = leaves([real, fake])
        of_real, of_fake = grad(loss(*x), x)
        np.testing.assert_allclose(of_real, -of_fake, rtol=1e-14)


@pytest.mark.parametrize(
    "f",
    [
        LOSSES["relativistic"].discriminator,
        LOSSES["relativistic"].generator,
        balanced_consistency,
        lambda a, b: finite_difference_penalty(a, b, 0.1),
    ],
)
def test_logits_that_would_broadcast_into_all_pairs_are_refused(f):
    with pytest.raises(ValueError, match=r"shapes \(4, 1\) and \(4,\)|shapes \(4,\) and \(4, 1\)"):
        f(Tensor(np.zeros((4, 1))), Tensor(np.zeros(4)))


def test_balanced_consistency_is_the_mean_squared_change():
    a, b = logits(seed=10)
    x = leaves([a, b])
    value = balanced_consistency(*x)
    np.testing.assert_allclose(value.data, sum((s - t) ** 2 for s, t in zip(a, b, strict=True)) / 16, rtol=1e-13)
    of_a, of_b = grad(value, x)
    np.testing.assert_allclose(of_a, 2 * (a - b) / 16, rtol=1e-13)
    np.testing.assert_allclose(of_b, -of_a, rtol=1e-14)


# ---- exact penalty


def test_the_penalty_of_a_quadratic_is_known():
    rng = np.random.default_rng(11)
    a, x = rng.normal(size=(4, 4)), rng.normal(size=(6, 4))
    a = a + a.T
    matrix = Tensor(a, requires_grad=True)
    penalty = gradient_penalty(lambda x: 0.5 * ((x @ matrix) * x).sum(axis=1), x)  # D = ½ xᵀAx, ∇D = Ax
    np.testing.assert_allclose(penalty.data, ((x @ a) ** 2).sum() / 6, rtol=1e-13)
    (g,) = grad(penalty, [matrix])
    # ½(A + Aᵀ)x is the slope of any A, so d‖·‖² = (Ax xᵀ + x (Ax)ᵀ)
    expected = (np.einsum("bi,bj->ij", x @ a, x) + np.einsum("bi,bj->ij", x, x @ a)) / 6
    np.testing.assert_allclose(g, expected, rtol=1e-12)


@pytest.mark.parametrize("similarity", ["l2", "dot", "l1"])
def test_the_penalty_is_the_mean_of_the_squared_norms_of_all_partial_derivatives(similarity):
    d = in_float64(AttentionDiscriminator(similarity))
    x = np.random.default_rng(12).normal(size=(3, 4, 6))
    step, total = 1e-5, 0.0
    for i in range(4):
        for j in range(6):
            e = np.zeros_like(x)
            e[:, i, j] = step
            with no_grad():
                total += (((d(Tensor(x + e)) - d(Tensor(x - e))).data / (2 * step)) ** 2).mean()
    assert total > 1e-3
    np.testing.assert_allclose(gradient_penalty(d, x).data, total, rtol=1e-7)


@pytest.mark.parametrize("similarity", ["l2", "dot", "l1"])
def test_the_gradient_of_the_penalty_in_the_weights_of_a_transformer(similarity):
    d = in_float64(AttentionDiscriminator(similarity))
    x = np.random.default_rng(13).normal(size=(3, 4, 6))
    check_gradient_by_differences(lambda: gradient_penalty(d, x), d.parameters(), step=1e-4, rtol=1e-6)


def test_the_penalty_and_its_gradient_equal_torchs():
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    d = mlp_discriminator()
    x = np.random.default_rng(14).normal(size=(9, 5))
    w = [torch.tensor(p.data, requires_grad=True) for p in d.parameters()]
    leaf = torch.tensor(x, requires_grad=True)
    y = F.linear(F.gelu(F.linear(F.silu(F.linear(leaf, w[0], w[1])), w[2], w[3])), w[4], w[5])[:, 0]
    (slope,) = torch.autograd.grad(y.sum(), [leaf], create_graph=True)
    expected = slope.square().sum(dim=1).mean()
    penalty = gradient_penalty(d, x)
    np.testing.assert_allclose(penalty.data, expected.item(), rtol=1e-12)
    theirs = torch.autograd.grad(expected, w, allow_unused=True)
    for g, t in zip(grad(penalty, d.parameters()), theirs, strict=True):
        expected = 0 if t is None else t.numpy()
        np.testing.assert_allclose(0 if g is None else g, expected, rtol=1e-9, atol=1e-13)


def test_the_penalty_detaches_its_images():
    d = mlp_discriminator()
    x = Tensor(np.random.default_rng(15).normal(size=(4, 5)), requires_grad=True)
    before = x.data.copy()
    penalty = gradient_penalty(d, x * 1.0)
    assert grad(penalty, [x]) == [None]
    assert gradient_penalty(d, x.data).item() == penalty.item()
    assert (x.data == before).all() and all(p.grad is None for p in d.parameters())


def test_every_term_stays_in_float32():
    d = AttentionDiscriminator()
    rng = RandomStream(16)
    x, moved = rng.normal((4, 4, 6)), rng.normal((4, 4, 6))
    terms = [
        gradient_penalty(d, x),
        finite_difference_penalty(d(Tensor(x)), d(Tensor(moved)), 0.01),
        balanced_consistency(d(Tensor(x)), d(Tensor(moved))),
        *(getattr(LOSSES[name], player)(d(Tensor(x)), d(Tensor(moved))) for name, player in PLAYERS),
    ]
    for term in terms:
        gradients = [g for g in grad(term, d.parameters()) if g is not None]
        assert gradients
        assert term.dtype == "float32" and all(g.dtype == "float32" for g in gradients)


# ---- penalty by finite differences


@pytest.mark.parametrize("make", [mlp_discriminator, lambda: in_float64(AttentionDiscriminator())])
def test_finite_differences_tend_to_the_slope_along_the_noise(make):
    d, rng = make(), np.random.default_rng(17)
    x = rng.normal(size=(64, 5) if isinstance(d, Sequential) else (64, 4, 6))
    noise = rng.normal(size=x.shape)
    leaf = Tensor(x, requires_grad=True)
    (slope,) = grad(d(leaf).sum(), [leaf])
    limit = ((slope * noise).reshape(64, -1).sum(axis=1) ** 2).mean()
    sigmas = (1e-2, 1e-3, 1e-4)
    errors = [
        abs(finite_difference_penalty(d(Tensor(x)), d(Tensor(x + s * noise)), s).item() - limit) / limit for s in sigmas
    ]
    assert errors[0] < 0.2
    assert errors[1] < errors[0] / 5 and errors[2] < errors[1] / 5  # first order in σ


@pytest.mark.slow
@pytest.mark.parametrize("make", [mlp_discriminator, lambda: in_float64(AttentionDiscriminator())])
def test_averaged_over_the_noise_finite_differences_are_the_exact_penalty(make):
    d, rng, repeats = make(), np.random.default_rng(18), 2000
    x = rng.normal(size=(3, 5) if isinstance(d, Sequential) else (3, 4, 6))
    many = np.repeat(x, repeats, axis=0)
    noise = rng.normal(size=many.shape)
    weights, exact = d.parameters(), gradient_penalty(d, x)

    def estimate(sigma):
        return finite_difference_penalty(d(Tensor(many)), d(Tensor(many + sigma * noise)), sigma)

    near = 4 * math.sqrt(2 / repeats)  # (ε·∇D)² has the standard deviation √2 ‖∇D‖²: four standard errors at most
    assert estimate(1e-3).item() == pytest.approx(exact.item(), rel=near)
    far = abs(estimate(10.0).item() / exact.item() - 1)
    assert far > 2 * near  # a wide step measures something else
    found = np.concatenate([g.ravel() for g in grad(estimate(1e-3), weights) if g is not None])
    expected = np.concatenate(
        [np.zeros(p.size) if g is None else g.ravel() for g, p in zip(grad(exact, weights), weights, strict=True)]
    )
    assert np.linalg.norm(found - expected) < 0.1 * np.linalg.norm(expected)


def test_finite_differences_in_float32_survive_the_default_sigma():
    d, rng = AttentionDiscriminator(), np.random.default_rng(19)
    d.head.bias.data[...] = 5  # logits far from 0, where the difference loses digits
    x, noise = rng.normal(size=(64, 4, 6)).astype("float32"), rng.normal(size=(64, 4, 6)).astype("float32")
    penalty = finite_difference_penalty(d(Tensor(x)), d(Tensor(x + 0.01 * noise)), 0.01)
    in_float64(d)
    x, noise = x.astype("float64"), noise.astype("float64")
    exact = finite_difference_penalty(d(Tensor(x)), d(Tensor(x + 0.01 * noise)), 0.01)
    assert penalty.dtype == "float32" and penalty.item() == pytest.approx(exact.item(), rel=1e-2)
