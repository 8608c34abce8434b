"""The networks and a whole training step beside an implementation in PyTorch, written from the papers' equations.

Weights are shared by name; nothing else is. Equation numbers are those of ViTGAN (2107.04589).
"""

import math

import numpy as np
import pytest
from tiny_models import image_batch, in_float64, latents, networks, shake, tiny, tiny_gan

from autograd import Tensor, grad
from autograd.random import Generator as Random
from minigan.data.stream import batch_rows
from minigan.losses import gradient_penalty
from nn import EMA, Adam

torch = pytest.importorskip("torch")
F = torch.nn.functional
torch.set_num_threads(1)  # the arrays are tiny

ACTIVATIONS = {"gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "relu": F.relu, "silu": F.silu}


# ---- the networks in PyTorch: functions of p (tensors by name), an input and the configuration


def weight(p, name):
    """W, or with spectral norm σ₀ W/σ or W/σ, σ = uᵀWv (eq. 7; the plain one is told by σ₀ = None)."""
    w = p[f"{name}.weight"]
    if f"{name}.spectral.u" not in p:
        return w
    sigma = p[f"{name}.spectral.u"] @ w.reshape(len(w), -1) @ p[f"{name}.spectral.v"]
    return w / sigma * (p[f"{name}.spectral.sigma_init"] if p["improved"] else 1)


def linear(p, name, x):
    return x @ weight(p, name).T + p.get(f"{name}.bias", 0)


def norm(p, name, h, w=None):
    """Layer norm, or with a latent w the self-modulated one (eq. 14)."""
    if w is None:
        return F.layer_norm(h, h.shape[-1:], p[f"{name}.weight"], p[f"{name}.bias"])
    gamma, beta = linear(p, f"{name}.gamma", w), linear(p, f"{name}.beta", w)
    return gamma[:, None] * F.layer_norm(h, h.shape[-1:]) + beta[:, None]


def scores(q, k, similarity):
    """Before the softmax: q kᵀ/√d, or distances as Kim et al. (2006.04710) define them or eq. 6 prints them."""
    d = q.shape[-1]
    if similarity == "dot":
        return q @ k.transpose(-1, -2) / math.sqrt(d)
    difference = q[..., :, None, :] - k[..., None, :, :]  # (B, H, N, N, d)
    if similarity == "l2":
        return -(difference**2).sum(-1) / math.sqrt(d)
    if similarity == "l1":
        return -difference.abs().sum(-1) / math.sqrt(d)
    squared = (difference**2).sum(-1)
    own = squared == 0  # the root has no slope where a token meets itself
    return torch.where(own, torch.zeros_like(squared), torch.where(own, 1.0, squared).sqrt()) / math.sqrt(d)


def attention(p, name, x, heads, similarity):
    batch, tokens, features = x.shape
    keys = "key" if f"{name}.key.weight" in p else "query"
    q, k, v = (
        linear(p, f"{name}.{part}", x).reshape(batch, tokens, heads, features // heads).permute(0, 2, 1, 3)
        for part in ("query", keys, "value")
    )
    y = scores(q, k, similarity).softmax(-1) @ v
    return linear(p, f"{name}.out", y.permute(0, 2, 1, 3).reshape(batch, tokens, features))


def block(p, name, h, w, heads, similarity, activation):
    """Eq. 2-3 and 10-11."""
    h = h + attention(p, f"{name}.attention", norm(p, f"{name}.norm1", h, w), heads, similarity)
    hidden = ACTIVATIONS[activation](linear(p, f"{name}.mlp.up", norm(p, f"{name}.norm2", h, w)))
    return h + linear(p, f"{name}.mlp.down", hidden)


def position(p, name, grid):
    if f"{name}.table" in p:
        return p[f"{name}.table"]
    return torch.sin(linear(p, f"{name}.encode.linear", centres(grid, p)))[None]


def centres(n, p):
    """Of n × n pixels in [−1, 1]², (n², 2) as (x, y); float32, as a model keeps them."""
    c = (2 * torch.arange(n, dtype=torch.float64) + 1) / n - 1
    y, x = torch.meshgrid(c, c, indexing="ij")
    return torch.stack([x, y], -1).reshape(-1, 2).to(torch.float32).to(p["dtype"])


def generator(p, z, c):
    grid, patch, channels = c.image_size // c.g_patch, c.g_patch, c.channels
    w = z
    for i in range(c.g_mapping):
        w = linear(p, f"mapping.layers.{i}", w if i == 0 else F.leaky_relu(w, 0.2))
    h = position(p, "position", grid).expand(len(z), -1, -1)
    if not c.g_modulated:
        h, w = h + linear(p, "tokens", w).reshape(len(z), grid**2, -1), None
    for i in range(c.g_depth):
        h = block(p, f"blocks.{i}", h, w, c.g_heads, "dot", c.activation)
    y = norm(p, "norm", h, w)
    if c.g_head == "linear":
        pixels = linear(p, "head.out", y).reshape(len(z), grid**2, patch**2, channels)
    else:
        omega = c.g_omega if c.g_head == "siren" else 1.0
        e = torch.sin(omega * linear(p, "head.encode.linear", centres(patch, p)))  # (P², hidden)
        pixels = linear(p, "head.out", e * linear(p, "head.modulate", y)[:, :, None])  # (B, N, P², C)
    rows = []
    for r in range(grid):
        patches = [
            pixels[:, r * grid + s].reshape(len(z), patch, patch, channels).permute(0, 3, 1, 2) for s in range(grid)
        ]
        rows.append(torch.cat(patches, 3))
    return torch.tanh(torch.cat(rows, 2))


def discriminator(p, x, c):
    patch, o, grid = c.d_patch, c.d_overlap, c.image_size // c.d_patch
    side = patch + 2 * o
    framed = F.pad(x - c.background, (o, o, o, o))
    windows = [
        framed[:, :, r * patch : r * patch + side, s * patch : s * patch + side].reshape(len(x), -1)
        for r in range(grid)
        for s in range(grid)
    ]
    h = linear(p, "embed", torch.stack(windows, 1)) + position(p, "position", grid)
    h = torch.cat([p["class_token"].expand(len(x), -1, -1), h], 1)
    for i in range(c.d_depth):
        h = block(p, f"blocks.{i}", h, None, c.d_heads, c.d_similarity, c.activation)
    return linear(p, "head", norm(p, "norm", h)[:, 0])[:, 0]


def conv_generator(p, z, c):
    w = linear(p, "mapping.layers.1", F.leaky_relu(linear(p, "mapping.layers.0", z), 0.2))
    h = linear(p, "project", F.leaky_relu(w, 0.2)).reshape(len(z), -1, 7, 7)  # of images of 28 pixels
    for i in range(2):
        h = F.interpolate(F.leaky_relu(h, 0.2), scale_factor=2, mode="nearest")
        h = F.conv2d(h, p[f"convs.{i}.weight"], p[f"convs.{i}.bias"], padding=1)
        if c.cnn_batch_norm:
            h = F.batch_norm(h, None, None, p[f"norms.{i}.weight"], p[f"norms.{i}.bias"], training=True)
    return torch.tanh(F.conv2d(F.leaky_relu(h, 0.2), p["out.weight"], p["out.bias"], padding=1))


def conv_discriminator(p, x, c):
    x = x - c.background
    for i in range(2):
        x = F.leaky_relu(F.conv2d(x, weight(p, f"downs.{i}"), p[f"downs.{i}.bias"], stride=2, padding=1), 0.2)
    return linear(p, "head", F.leaky_relu(linear(p, "hidden", x.flatten(1)), 0.2))[:, 0]


def functions(c):
    return (conv_generator, conv_discriminator) if c.variant == "cnn" else (generator, discriminator)


def shared(network, c):
    """The network's tensors for PyTorch, by name, and those that are trained."""
    p = {name: torch.tensor(a) for name, a in network.state_dict().items()}
    trained = [name for name, _ in network.named_parameters()]
    for name in trained:
        p[name].requires_grad_(True)
    return {**p, "improved": c.d_norm == "isn", "dtype": p[trained[0]].dtype}, trained


# ---- values and gradients

CONFIGS = {
    "vitgan": {"d_depth": 2, "g_depth": 2},
    "vanilla": {"variant": "vanilla"},
    "relu": {"variant": "relu"},
    "rgb, sine, fourier": {
        **{"channels": 3, "g_head": "fourier", "g_position": "sine", "d_position": "sine", "activation": "gelu"},
        **{"image_size": 32, "g_patch": 8, "d_patch": 4, "d_overlap": 2, "background": 0.0},
    },
    "linear head, l1, plain SN": {"g_head": "linear", "d_similarity": "l1", "d_norm": "sn", "activation": "silu"},
    "l2 as printed, no norm": {"d_similarity": "l2_printed", "d_norm": "none", "g_mapping": 1},
    "dot in D": {"d_similarity": "dot", "d_heads": 4, "g_heads": 1, "d_overlap": 0},
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
    """[(network, its PyTorch twin as a function of p and x, an input)] for G and for D."""
    c = tiny(**options)
    pair = networks(**options)
    turn(pair[1])
    if dtype == "float64":
        pair = [in_float64(network) for network in pair]
    return c, list(zip(pair, functions(c), (latents(c, 4, dtype), image_batch(c, 4, dtype)), strict=True))


@everywhere
@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-4), ("float64", 1e-9)])
def test_values(options, dtype, tolerance):
    c, cases = both(options, dtype)
    for network, function, x in cases:
        p, _ = shared(network, c)
        y = network(Tensor(x)).data
        assert y.dtype == dtype and y.std() > 1e-3
        np.testing.assert_allclose(y, function(p, torch.tensor(x), c).detach().numpy(), rtol=tolerance, atol=tolerance)


@everywhere
def test_gradients(options):
    c, cases = both(options, "float64")
    for network, function, x in cases:
        p, trained = shared(network, c)
        theirs = torch.tensor(x, requires_grad=True)
        y = function(p, theirs, c)
        g = np.random.default_rng(7).standard_normal(tuple(y.shape))
        expected = torch.autograd.grad(y, [theirs, *(p[name] for name in trained)], torch.tensor(g))
        ours = Tensor(x, requires_grad=True)
        found = grad(network(ours), [ours, *network.parameters()], g=g)
        for name, a, b in zip(["x", *trained], found, expected, strict=True):
            np.testing.assert_allclose(a, b.numpy(), rtol=1e-7, atol=1e-9, err_msg=name)


def torch_penalty(f, x):
    """E ‖∇D‖² with its graph."""
    x = x.detach().requires_grad_(True)
    (slope,) = torch.autograd.grad(f(x).sum(), x, create_graph=True)
    return slope.square().sum() / len(x)


@everywhere
def test_second_order_gradients_of_exact_r1(options):
    c, [_, (network, function, x)] = both(options, "float64")
    p, trained = shared(network, c)
    expected = torch_penalty(lambda t: function(p, t, c), torch.tensor(x))
    found = gradient_penalty(network, x)
    np.testing.assert_allclose(found.item(), expected.item(), rtol=1e-9)
    theirs = torch.autograd.grad(expected, [p[name] for name in trained], allow_unused=True)
    for name, a, b in zip(trained, grad(found, network.parameters()), theirs, strict=True):
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
    "vanilla": {"variant": "vanilla", "penalty": "exact", "loss": "relativistic"},
    "cnn": {"variant": "cnn", "penalty": "fd", "loss": "relativistic"},
}


def losses(c):
    """(L_D, L_G) of logits on real and fake, from log-probabilities."""
    log = F.logsigmoid
    if c.loss == "relativistic":
        return (lambda r, f: -log(r - f).mean()), (lambda r, f: -log(f - r).mean())
    if c.loss == "nonsaturating":
        return (lambda r, f: -log(r).mean() - log(-f).mean()), (lambda r, f: -log(f).mean())
    return (lambda r, f: (1 - r).clamp(min=0).mean() + (1 + f).clamp(min=0).mean()), (lambda r, f: -f.mean())


class TorchGAN:
    """The same GAN in PyTorch: weights of `gan`, random numbers of generators with the same seeds."""

    def __init__(self, gan):
        self.c, self.gan = gan.config, gan
        self.pg, self.names_g = shared(gan.generator, self.c)
        self.pd, self.names_d = shared(gan.discriminator, self.c)
        self.average = {name: self.pg[name].detach().clone() for name in self.names_g}
        make = torch.optim.Adam
        betas = (self.c.beta1, self.c.beta2)
        self.adam_g = make([self.pg[n] for n in self.names_g], lr=self.c.g_lr, betas=betas)
        self.adam_d = make([self.pd[n] for n in self.names_d], lr=self.c.d_lr, betas=betas)
        self.rng = Random(*gan.rng.state[:1])
        self.k = 0

    def g(self, z):
        return functions(self.c)[0](self.pg, z, self.c)

    def d(self, x):
        return functions(self.c)[1](self.pd, x, self.c)

    def step(self, lr_d, lr_g, penalty_weight):
        """Power iteration, D's update, power iteration, the same fakes through the new D, G's update, the average.

        What the schedules give is an input: test_models.py looks at them.
        """
        c, self.penalty_weight = self.c, penalty_weight * self.c.penalty_every
        self.adam_d.param_groups[0]["lr"], self.adam_g.param_groups[0]["lr"] = lr_d, lr_g
        self.power_iteration()
        loss, real, fake = self.loss_d(**self.draw(self.rng))
        self.update(self.adam_d, loss)
        self.power_iteration()
        self.update(self.adam_g, losses(c)[1](real.detach(), self.d(fake)))

        decay = min(c.ema, self.k / (self.k + c.ema_ramp))
        for name in self.names_g:
            self.average[name] = decay * self.average[name] + (1 - decay) * self.pg[name].detach()
        self.k += 1

    @torch.no_grad()
    def power_iteration(self):
        for name in [n[: -len(".spectral.u")] for n in self.pd if n.endswith(".spectral.u")]:
            w = self.pd[f"{name}.weight"]
            v = F.normalize(self.pd[f"{name}.spectral.u"] @ w.reshape(len(w), -1), dim=0)
            self.pd[f"{name}.spectral.v"] = v
            self.pd[f"{name}.spectral.u"] = F.normalize(w.reshape(len(w), -1) @ v, dim=0)

    def draw(self, rng):
        """The random numbers of a step, in the order in which it asks for them."""
        c, n = self.c, self.c.batch
        images = self.gan.images[batch_rows(c.seed, self.k, n, len(self.gan.images))]
        real = (images.reshape(n, 1, c.image_size, c.image_size).astype("float32") * (2 / 255) - 1).astype("float64")
        share = {"real": torch.tensor(real), "z": torch.tensor(rng.normal((n, c.latent)).astype("float64"))}
        shape = (2 * n, *real.shape[1:])
        if c.penalty == "fd" and self.k % c.penalty_every == 0:
            share["noise"] = torch.tensor(rng.normal(shape).astype("float64"))
        if c.bcr:
            share["drawn"] = self.gan.consistency.draw(rng, shape)
        return share

    def loss_d(self, real, z, noise=None, drawn=None):
        c = self.c
        fake = self.g(z)
        judged = fake.detach()
        on_real, on_fake = self.d(real), self.d(judged)
        loss = losses(c)[0](on_real, on_fake)
        if noise is not None:
            for x, logits, part, gamma in ((real, on_real, 0, c.r1), (judged, on_fake, 1, c.r2)):
                slope = (self.d(x + c.fd_sigma * noise.chunk(2)[part]) - logits) / c.fd_sigma
                loss = loss + self.penalty_weight * gamma / 2 * slope.square().mean()
        elif c.penalty == "exact" and self.k % c.penalty_every == 0:
            for x, gamma in ((real, c.r1), (judged, c.r2)):
                loss = loss + self.penalty_weight * gamma / 2 * torch_penalty(self.d, x)
        if c.bcr:
            moved = self.gan.consistency.apply(Tensor(torch.cat([real, judged]).numpy()), drawn).data
            for logits, x in zip((on_real, on_fake), torch.tensor(moved).chunk(2), strict=True):
                loss = loss + c.bcr * (logits - self.d(x)).square().mean()
        return loss, on_real, fake

    def update(self, adam, loss):
        parameters = adam.param_groups[0]["params"]
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        for q, g in zip(parameters, gradients, strict=True):
            q.grad = torch.zeros_like(q) if g is None else g
        if self.c.max_norm:
            torch.nn.utils.clip_grad_norm_(parameters, self.c.max_norm)
        adam.step()


def gan_in_float64(**options):
    """Adam without momentum turns rounding into signs, so steps are compared in float64."""
    gan = tiny_gan(**options)
    for network in (gan.generator, gan.discriminator):
        shake(in_float64(network))
    betas, max_norm = (gan.config.beta1, gan.config.beta2), gan.config.max_norm or None
    gan.adam_g = Adam(gan.generator.parameters(), gan.config.g_lr, betas, max_norm=max_norm)
    gan.adam_d = Adam(gan.discriminator.parameters(), gan.config.d_lr, betas, max_norm=max_norm)
    gan.ema = EMA(gan.generator)
    return gan


@pytest.mark.parametrize("options", STEPS.values(), ids=STEPS)
def test_whole_steps(options):
    gan = gan_in_float64(**options, g_lr=2e-3, d_lr=1e-3)
    twin = TorchGAN(gan)
    start = gan.generator.state_dict(), gan.discriminator.state_dict()
    for _ in range(3):
        weight = gan.penalty_weight()
        gan.step()
        twin.step(gan.adam_d.lr, gan.adam_g.lr, weight)
    pairs = [
        (gan.generator.state_dict(), twin.pg),
        (gan.discriminator.state_dict(), twin.pd),
        (dict(gan.ema.model.named_parameters()), twin.average),
    ]
    for ours, theirs in pairs:
        for name, a in ours.items():
            a = a.data if isinstance(a, Tensor) else a
            np.testing.assert_allclose(a, theirs[name].detach().numpy(), rtol=1e-6, atol=1e-7, err_msg=name)
    for before, (after, _), trained in zip(start, pairs[:2], (twin.names_g, twin.names_d), strict=True):
        still = [name for name in trained if np.array_equal(before[name], after[name])]
        assert not set(still) - {"norm.bias", "head.bias"}  # common to all logits: see test_models.py
