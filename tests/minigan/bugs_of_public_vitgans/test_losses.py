"""Bugs of public ViTGANs in the logit and the losses."""

import math

import numpy as np
import pytest
from tiny_models import image_batch, networks, row, tiny, tiny_gan

from autograd import Tensor, grad
from minigan.losses import LOSSES


def test_gelu_after_the_logit():
    """teodorToshkov/ViTGAN-pytorch: a final GELU, so that D never says less than −0.17."""
    for variant in ("vitgan", "vanilla", "relu", "cnn"):
        discriminator = networks(variant, d_norm="none")[1]
        x = Tensor(image_batch(tiny(variant)))
        before = discriminator(x).data
        for p in (discriminator.head.weight, discriminator.head.bias):
            p.data *= -1000
        np.testing.assert_allclose(discriminator(x).data, -1000 * before, rtol=1e-3, atol=1e-2)


def test_relu_run_stuck_at_ln_2():
    """Nicolivain/ViTGAN, MNIST_ReLU; teodorToshkov/ViTGAN-pytorch #5: losses of exactly 0.6931 for all epochs."""
    gan = tiny_gan("relu", loss="nonsaturating", penalty="none", steps=50, log_every=50, g_lr=2e-3, d_lr=2e-3)
    for _ in range(6):
        gan.step()
    logged = [row(gan, k) for k in range(6)]
    assert all(abs(r["loss_g"] - math.log(2)) > 1e-3 and r["grad_norm_g"] > 1e-3 for r in logged)
    assert len({r["loss_d"] for r in logged}) == 6


def test_sigmoid_before_the_cross_entropy():
    """wilile26811249/ViTGAN: log(sigmoid(a)) is −∞ and its gradient NaN for a logit of −200."""
    for name, loss in LOSSES.items():
        real, fake = (Tensor(np.array([a], "float32"), requires_grad=True) for a in (-200.0, 200.0))
        for value in (loss.discriminator(real, fake), loss.generator(real, fake)):
            assert np.isfinite(value.data)
        found = grad(loss.discriminator(real, fake), [real, fake])
        assert [float(g[0]) for g in found] == pytest.approx([-1, 1]), name  # and still full slope


def test_logits_that_broadcast_into_all_pairs():
    """teodorToshkov/ViTGAN-pytorch #4: logits (B, 1) beside (B,) compare everything with everything."""
    for variant in ("vitgan", "cnn"):
        assert networks(variant)[1](Tensor(image_batch(tiny(variant)))).shape == (4,)
    with pytest.raises(ValueError, match="must be equal"):
        LOSSES["relativistic"].discriminator(Tensor(np.zeros((4, 1))), Tensor(np.zeros(4)))


def test_fakes_not_detached_in_the_step_of_d():
    """wilile26811249/ViTGAN: D's loss flows into G."""
    gan = tiny_gan()
    seen = {}
    discriminator_loss = gan.discriminator_loss
    gan.discriminator_loss = lambda real, fake: seen.update(fake=fake) or discriminator_loss(real, fake)
    flat = gan.adam_g.flat.data.copy()
    fake, *_ = gan.judge()
    assert seen["fake"].node is None and fake.node is not None
    np.testing.assert_array_equal(gan.adam_g.flat.data, flat)
    loss, *_ = discriminator_loss(gan.real_batch(), seen["fake"])
    assert set(grad(loss, gan.generator.parameters())) == {None}


def test_step_of_g_changes_d():
    """The other way round: G's loss must not move D."""
    gan = tiny_gan()
    fake, on_real, *_ = gan.judge()
    before = gan.discriminator.state_dict()
    gan.fool(fake, on_real)
    for name, a in gan.discriminator.state_dict().items():
        np.testing.assert_array_equal(a, before[name])
    assert on_real.node is None
    gan.adam_d.update = lambda gradients: 0.0  # from here on G alone is updated
    d, g = gan.adam_d.flat.data.copy(), gan.adam_g.flat.data.copy()
    gan.step()
    np.testing.assert_array_equal(gan.adam_d.flat.data, d)
    assert not np.array_equal(gan.adam_g.flat.data, g)


def test_consistency_loss_overwritten():
    """YouvaADDAD/ViTGAN: d_loss = (real + fake)/2 in the next line throws bCR away."""

    def loss(bcr):
        gan = tiny_gan(bcr=bcr, penalty="none")
        gan.step()
        return row(gan)["loss_d"], gan.discriminator.state_dict()["blocks.0.mlp.up.weight"]

    (without, w0), (one, w1), (two, _) = (loss(bcr) for bcr in (0.0, 1.0, 2.0))
    assert one > without + 1e-3
    assert two - without == pytest.approx(2 * (one - without), rel=1e-3)  # and it has its weight
    assert not np.array_equal(w0, w1)


def test_consistency_averaged_over_real_and_fake():
    """The paper's bCR is a mean over real images plus a mean over fakes, not the mean of both."""
    gan = tiny_gan(bcr=3.0, penalty="none", loss="relativistic")
    gan.discriminator.forward = lambda x: Tensor(np.repeat([0, 1], 8).astype("float32") * 2**0.5)
    loss, *_ = gan.discriminator_loss(gan.real_batch(), gan.real_batch())
    assert loss.item() == pytest.approx(math.log(2) + 3 * (2 + 2))


def test_penalty_without_effect():
    """The same for R1 and R2, in both forms."""
    for penalty in ("fd", "exact"):
        penalties = []
        for which in ("r1", "r2"):
            rows = []
            for gamma in (0.0, 4.0):
                gan = tiny_gan(penalty=penalty, **{"r1": 0.0, "r2": 0.0, which: gamma})
                gan.step()
                rows.append((row(gan), gan.adam_d.flat.data.copy()))
            (none, w0), (some, w1) = rows
            assert none["penalty"] == 0 < some["penalty"]
            assert some["loss_d"] - none["loss_d"] == pytest.approx(some["penalty"], rel=1e-3)
            assert not np.array_equal(w0, w1)
            penalties.append(some["penalty"])
        assert penalties[0] != pytest.approx(penalties[1], rel=1e-3)  # of real, of generated images


def test_fakes_not_augmented_for_g():
    """YouvaADDAD/ViTGAN: D learns on augmented images and then judges plain ones for G."""
    gan = tiny_gan(augment="cutout,brightness", loss="nonsaturating")
    fake, on_real, *_ = gan.judge()
    seen = []
    forward = gan.discriminator.forward
    gan.discriminator.forward = lambda x: seen.append(x) or forward(x)
    state = gan.rng.state
    gradients, _ = gan.fool(fake, on_real)
    gan.rng.state = state
    expected = gan.augment.apply(fake, gan.augment.draw(gan.rng, fake.shape)).data
    np.testing.assert_array_equal(seen[0].data, expected)
    assert abs(expected - fake.data).max() > 0.01
    (through,) = grad(seen[0].sum(), [gan.generator.head.out.bias])
    assert through.any() and all(g.any() for g in gradients)  # and the gradient goes back through the augmentation


def test_real_and_fake_not_augmented_alike_for_d():
    """Augmenting the real images alone would teach D the augmentation."""
    gan = tiny_gan(augment="cutout", augment_p=1.0, penalty="none", background=0.0)
    seen = []
    forward = gan.discriminator.forward
    gan.discriminator.forward = lambda x: seen.append(x.data) or forward(x)
    gan.judge()
    assert seen[0].shape == (8, 1, 28, 28)
    assert ((seen[0] == 0).sum(axis=(1, 2, 3)) >= 49).all()  # every image of the eight has its hole
