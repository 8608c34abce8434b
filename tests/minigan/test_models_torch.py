"""The networks and a whole training step beside those in PyTorch, which the benchmark measures too."""

import numpy as np
import pytest
from slow import slow_but_the_first
from tiny_models import image_batch, in_float64, latents, networks, shake, tiny, tiny_gan

from autograd import Tensor, grad
from minigan.losses import gradient_penalty
from nn import EMA, Lookahead, he_constants

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # the arrays are tiny

from experiments.pytorch.gan import TorchGAN, exact_penalty  # noqa: E402 - they need PyTorch
from experiments.pytorch.models import TWINS  # noqa: E402

# ---- values and gradients

CONFIGS = {
    "vitgan": {"d_depth": 2, "g_depth": 2},
    "vanilla": {"variant": "vanilla"},
    "vanilla of the paper": {"variant": "vanilla-paper"},
    "relu": {"variant": "relu"},
    "rgb, sine, fourier": {
        **{"channels": 3, "g_head": "fourier", "g_position": "sine", "d_position": "sine", "activation": "gelu"},
        **{"image_size": 32, "g_patch": 8, "d_patch": 4, "d_overlap": 2, "background": 0.0},
    },
    "linear head, l1, plain SN": {"g_head": "linear", "d_similarity": "l1", "d_norm": "sn", "activation": "silu"},
    "l2 as printed, no norm": {"d_similarity": "l2_printed", "d_norm": "none", "g_mapping": 1},
    "dot in D": {"d_similarity": "dot", "d_heads": 4, "g_heads": 1, "d_overlap": 0},
    "as published": {"g_tokens": False, "g_style_rate": 1.0, "g_overlap": 0, "g_reach": 1.0},
    "a bound, three pixels of overlap": {"d_norm": "bound", "g_overlap": 3, "g_reach": 2.0, "channels": 3},
    "three points a pixel": {"g_points": 3},
    "one point a pixel, no overlap": {"g_points": 1, "g_overlap": 0},
    "cnn": {"variant": "cnn"},
    "cnn, batch norm, SN": {"variant": "cnn", "cnn_batch_norm": True, "d_norm": "sn", "channels": 3},
}
everywhere = pytest.mark.parametrize("options", CONFIGS.values(), ids=CONFIGS)


def turn(network, seed=5):
    """Singular vectors that are not those of the start."""
    rng = np.random.default_rng(seed)
    for name, t in network.named_tensors():
        if name.endswith(("spectral.u", "spectral.v")):
            t.data[...] = t.data + 0.1 * rng.standard_normal(t.shape).astype(t.dtype)
            t.data /= np.linalg.norm(t.data)


def both(options, dtype):
    """[(network, its PyTorch twin, an input)] for G and for D."""
    c = tiny(**options)
    pair = networks(**options)
    turn(pair[1])
    if dtype == "float64":
        pair = [in_float64(network) for network in pair]
    twins = [TWINS[type(network).__name__](network, c) for network in pair]
    return list(zip(pair, twins, (latents(c, 4, dtype), image_batch(c, 4, dtype)), strict=True))


@everywhere
@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-4), ("float64", 1e-9)])
def test_values(options, dtype, tolerance):
    for network, twin, x in both(options, dtype):
        y = network(Tensor(x)).data
        assert y.dtype == dtype and y.std() > 1e-3
        np.testing.assert_allclose(y, twin(torch.tensor(x)).detach().numpy(), rtol=tolerance, atol=tolerance)


@everywhere
def test_gradients(options):
    for network, twin, x in both(options, "float64"):
        theirs = torch.tensor(x, requires_grad=True)
        y = twin(theirs)
        g = np.random.default_rng(7).standard_normal(tuple(y.shape))
        expected = torch.autograd.grad(y, [theirs, *twin.weights.values()], torch.tensor(g))
        ours = Tensor(x, requires_grad=True)
        found = grad(network(ours), [ours, *network.parameters()], g=g)
        for name, a, b in zip(["x", *twin.weights], found, expected, strict=True):
            np.testing.assert_allclose(a, b.numpy(), rtol=1e-7, atol=1e-9, err_msg=name)


@everywhere
def test_second_order_gradients_of_exact_r1(options):
    _, (network, twin, x) = both(options, "float64")
    expected = exact_penalty(twin, torch.tensor(x))
    found = gradient_penalty(network, x)
    np.testing.assert_allclose(found.item(), expected.item(), rtol=1e-9)
    theirs = torch.autograd.grad(expected, list(twin.weights.values()), allow_unused=True)
    for name, a, b in zip(twin.weights, grad(found, network.parameters()), theirs, strict=True):
        if a is None:
            assert b is None or not b.any(), name
        else:
            np.testing.assert_allclose(a, b.numpy(), rtol=1e-7, atol=1e-9 * max(1, abs(a).max()), err_msg=name)


# ---- a whole step

STEPS = {
    "finite differences": {"penalty": "fd", "loss": "relativistic", "r1": 3.0, "r2": 2.0},
    "every second step": {"penalty": "fd", "penalty_every": 2, "d_norm": "sn", "decay": "linear", "d_similarity": "l1"},
    "exact, nonsaturating": {"penalty": "exact", "loss": "nonsaturating", "r2": 0.0, "ema_ramp": 0.5},
    "bcr, hinge, clipped": {"penalty": "none", "loss": "hinge", "bcr": 2.0, "max_norm": 0.5},
    "bound": {"d_norm": "bound", "d_lr": 0.05},  # so fast that weights reach the bound
    "vanilla": {"variant": "vanilla", "penalty": "exact", "loss": "relativistic"},
    "cnn": {"variant": "cnn", "penalty": "fd", "loss": "relativistic"},
    "equalised": {"equalised": True, "g_lr": 0.02, "d_lr": 0.02},
    "lookahead": {"lookahead": 2, "g_lr": 0.01, "d_lr": 0.01},
    "whitened": {"optimizer": "shampoo", "g_width": 32, "d_width": 32},  # narrower matrices are Adam's
}


class Equalised:
    """PyTorch's Adam on v = w/c in place of the weights w, as Karras et al. have it."""

    def __init__(self, adam, scales):
        weights = adam.param_groups[0]["params"]
        self.param_groups, self.pairs = adam.param_groups, list(zip(weights, scales, strict=True))
        self.v = [(w / c).detach() for w, c in self.pairs]
        self.adam = torch.optim.Adam(self.v, betas=adam.param_groups[0]["betas"])

    @torch.no_grad()
    def step(self):
        for v, (w, c) in zip(self.v, self.pairs, strict=True):
            v.grad = c * w.grad
        self.adam.param_groups[0]["lr"] = self.param_groups[0]["lr"]
        self.adam.step()
        for v, (w, c) in zip(self.v, self.pairs, strict=True):
            w.copy_(c * v)


def gan_in_float64(**options):
    """Adam without momentum turns rounding into signs, so steps are compared in float64."""
    gan = tiny_gan(**options)
    for network in (gan.generator, gan.discriminator):
        shake(in_float64(network))
    gan.adam_g = gan.optimiser(gan.generator, gan.config.g_lr)
    gan.adam_d = gan.optimiser(gan.discriminator, gan.config.d_lr)
    for name, adam in (("discriminator", gan.adam_d), ("generator", gan.adam_g)):
        if gan.lookahead:
            gan.lookahead[name] = Lookahead(adam.flat, gan.config.lookahead)
    gan.ema = EMA(gan.generator)
    return gan


@pytest.mark.parametrize(
    "options, best", slow_but_the_first([(o, False) for o in STEPS.values()] + [(STEPS["finite differences"], True)])
)
def test_whole_steps(options, best):
    gan = gan_in_float64(**{"g_lr": 2e-3, "d_lr": 1e-3, **options})
    twin = TorchGAN(gan, best)
    if gan.config.equalised:
        twin.adam_g = Equalised(twin.adam_g, he_constants(gan.generator))
        twin.adam_d = Equalised(twin.adam_d, he_constants(gan.discriminator))
    if gan.config.optimizer == "shampoo":
        assert gan.adam_g.alike and gan.adam_d.alike
        for optimizer in (gan.adam_g, gan.adam_d, twin.adam_g, twin.adam_d):
            optimizer.every = 1  # the root is another one in each step
    start = gan.generator.state_dict(), gan.discriminator.state_dict()
    for _ in range(3):
        weight = gan.penalty_weight()
        gan.step()
        twin.step(gan.adam_d.lr, gan.adam_g.lr, weight)
    pairs = [
        (gan.generator.state_dict(), twin.g.p),
        (gan.discriminator.state_dict(), twin.d.p),
        (dict(gan.ema.model.named_parameters()), twin.average),
    ]
    # Adam divides a gradient by its own size. Where a gradient is 0 but for its rounding (1e-16), a step differs by
    # lr · 1e-16 / 1e-8, and the gradients of the next step differ with it. So the tolerance grows with D's lr, but for
    # equalised rates, which are multiplied by constants well below 1.
    atol = 1e-7 if gan.config.equalised else 1e-7 * max(1, gan.config.d_lr / 2e-3)
    for ours, theirs in pairs:
        for name, a in ours.items():
            a = a.data if isinstance(a, Tensor) else a
            np.testing.assert_allclose(a, theirs[name].detach().numpy(), rtol=1e-6, atol=atol, err_msg=name)
    for before, (after, _), trained in zip(start, pairs[:2], (twin.g.weights, twin.d.weights), strict=True):
        still = [name for name in trained if np.array_equal(before[name], after[name])]
        assert not set(still) - {"norm.bias", "head.bias"}  # common to all logits: see test_models.py
