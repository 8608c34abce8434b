"""Bugs of public ViTGANs in spectral normalisation."""

import numpy as np
import pytest
from tensors import normal
from tiny_models import image_batch, latents, layers, networks, tiny, tiny_gan

from autograd import Tensor, grad
from autograd.random import RandomStream
from minigan.config import build
from minigan.presets import resolve
from minigan.vitgan import Discriminator, Generator
from nn import Adam, Linear, MultiHeadAttention, SpectralNorm, power_iteration


def test_isn_option_swallowed():
    """Nicolivain/ViTGAN: spectral_scaling=True vanishes in **kwargs, and every run trains without ISN."""
    discriminator = Discriminator(width=8, depth=2, heads=2, norm="isn", rng=RandomStream(0))
    linears = layers(discriminator, Linear)
    assert len(linears) == 2 * 5 + 2 and all(m.spectral.improved for m in linears)
    for wrong in ({"spectral_scaling": True}, {"spectral_rescaling": True}, {"mapping_mlp_params": {}}):
        for network in (Generator, Discriminator):
            with pytest.raises(TypeError):
                network(**wrong, rng=RandomStream(0))
        with pytest.raises(TypeError):
            Linear(2, 2, **wrong)
        with pytest.raises(TypeError):
            resolve(**wrong)


def test_isn_commented_out_of_attention():
    """tfwcn/VITGAN-tf2: projections of the attention go without; here no linear map of D escapes, and all are used."""
    discriminator = networks()[1]
    for layer in layers(discriminator, MultiHeadAttention):
        assert layer.query.spectral and layer.value.spectral and layer.out.spectral
    x = Tensor(image_batch(tiny()))
    before = discriminator(x).data
    for spectral in layers(discriminator, SpectralNorm):  # each one counts in the forward
        spectral.sigma_init.data *= 2
        assert abs(discriminator(x).data - before).max() > 1e-4
        spectral.sigma_init.data /= 2


def test_isn_with_the_ratio_inverted():
    """Nicolivain/ViTGAN until February 2022: σ/σ₀, which doubles the growth that it should undo."""
    layer = Linear(6, 5, norm="isn", rng=RandomStream(0))
    first = layer.spectral(layer.weight).data
    layer.weight.data *= 3
    power_iteration(layer)
    np.testing.assert_allclose(layer.spectral(layer.weight).data, first, rtol=1e-5)


def test_isn_detaches_the_weights_from_the_optimiser():
    """wilile26811249/ViTGAN, Nicolivain/ViTGAN: a new nn.Parameter per forward, while Adam updates the old one."""
    discriminator = networks()[1]
    parameters = discriminator.parameters()
    adam = Adam(parameters, lr=0.01)
    arrays = [p.data for p in parameters]
    x = Tensor(image_batch(tiny()))
    for _ in range(2):
        power_iteration(discriminator)
        before = discriminator(x).data
        adam.step(grad(discriminator(x).sum(), parameters))
        for p, q, a in zip(parameters, discriminator.parameters(), arrays, strict=True):
            assert p is q and p.data is a and np.shares_memory(a, adam.flat.data)
        assert (discriminator(x).data != before).all()


def test_singular_vectors_forgotten_after_every_forward():
    """mlpc-ucsd/ViTGAN, teodorToshkov/ViTGAN-pytorch: u and v are locals, so one iteration starts anew each time."""
    layer = Linear(20, 30, norm="isn", rng=RandomStream(0))
    spectral, matrix = layer.spectral, layer.weight.data
    exact = np.linalg.svd(matrix, compute_uv=False)[0]
    spectral.u.data[...] = 30**-0.5
    power_iteration(layer)
    once = spectral.u.data @ matrix @ spectral.v.data
    for _ in range(100):
        power_iteration(layer)
    assert once < 0.95 * exact
    assert spectral.u.data @ matrix @ spectral.v.data == pytest.approx(exact, rel=1e-3)
    kept = spectral.u.data.copy(), spectral.v.data.copy()
    for _ in range(3):
        layer(Tensor(normal(2, 20, dtype="float32")))
    np.testing.assert_array_equal(spectral.u.data, kept[0])
    np.testing.assert_array_equal(spectral.v.data, kept[1])


def test_power_iteration_never_called():
    """The estimates follow the weights: every spectral norm of D iterates as often in each step, whatever it judges."""
    gan = tiny_gan(bcr=1.0)
    calls = []
    for spectral in layers(gan.discriminator, SpectralNorm):
        iterate = spectral.power_iteration
        spectral.power_iteration = lambda weight, iterate=iterate: calls.append(weight) or iterate(weight)
    before = gan.discriminator.embed.spectral.u.data.copy()
    gan.step()
    assert len(calls) == 2 * 7  # before the update of D, and before that of G
    gan.step()
    assert len(calls) == 4 * 7
    assert {id(w) for w in calls} <= {id(p) for p in gan.discriminator.parameters()}
    assert not np.array_equal(before, gan.discriminator.embed.spectral.u.data)


def test_singular_vectors_and_scale_not_in_the_state():
    """mlpc-ucsd/ViTGAN: the multiplier is a plain attribute, lost with every checkpoint."""
    a, b = networks()[1], networks(seed=1)[1]
    for spectral in layers(a, SpectralNorm):
        spectral.sigma_init.data *= 1.5
    assert sum(name.endswith(("spectral.u", "spectral.v", "sigma_init")) for name in a.state_dict()) == 3 * 7
    b.load_state_dict(a.state_dict())
    x = Tensor(image_batch(tiny()))
    np.testing.assert_array_equal(a(x).data, b(x).data)


def test_svd_in_every_forward(monkeypatch):
    """wilile26811249/ViTGAN, Nicolivain/ViTGAN: 48 SVDs per forward of D; here one per weight when it is made."""
    calls = []
    svd = np.linalg.svd
    monkeypatch.setattr(np.linalg, "svd", lambda *args, **options: calls.append(1) or svd(*args, **options))
    gan = tiny_gan()
    assert len(calls) == 7
    gan.step()
    gan.sample(latents(gan.config))
    assert len(calls) == 7


def test_spectral_norm_takes_the_weight_out_of_the_parameters():
    """mlpc-ucsd/ViTGAN #5: after the first forward G has fewer parameters than its average."""
    gan = tiny_gan(g_depth=2)
    for _ in range(2):
        for network in (gan.generator, gan.discriminator):
            assert network.count() == sum(p.size for p in network.parameters())
        mine, average = gan.generator.state_dict(), gan.ema.model.state_dict()
        assert {n: a.shape for n, a in mine.items()} == {n: a.shape for n, a in average.items()}
        gan.step()
    assert gan.discriminator.count() == build(gan.config)[1].count()
