"""Bugs of public ViTGANs in logs, averages and the evaluation."""

import json

import numpy as np
import pytest
from tensors import normal
from tiny_models import latents, row, tiny_gan

from autograd import Tensor
from minigan.data import Dataset
from minigan.step import STATS
from minigan.train import Run


def test_fake_loss_logs_the_real_one():
    """Nicolivain/ViTGAN: train_disc_fake_loss is the loss on real images."""
    gan = tiny_gan(penalty="none")
    seen = []
    judge = gan.judge

    def watched():
        state, weights = gan.rng.state, gan.discriminator.copy()
        out = judge()
        after, gan.rng.state = gan.rng.state, state
        seen.append((weights, gan.real_batch(), out[0]))
        gan.rng.state = after
        return out

    gan.judge = watched
    gan.step()
    [(discriminator, real, fake)] = seen
    on_real, on_fake = discriminator(real).data, discriminator(fake).data
    logged = row(gan)
    assert logged["d_real"] == pytest.approx(on_real.mean(), rel=1e-4)
    assert logged["d_fake"] == pytest.approx(on_fake.mean(), rel=1e-4)
    assert abs(logged["d_real"] - logged["d_fake"]) > 1e-3
    assert logged["loss_d"] == pytest.approx(np.log1p(np.exp(on_fake - on_real)).mean(), rel=1e-4)
    now = gan.discriminator(fake).data  # G is judged by the new D
    assert logged["loss_g"] == pytest.approx(np.log1p(np.exp(on_real - now)).mean(), rel=1e-4)


def test_logged_numbers_divided_by_the_wrong_count(tmp_path):
    """Nicolivain/ViTGAN: what is logged as FID is FID/len(dataloader); a line of the log is the mean of its steps."""
    gan = tiny_gan(steps=7, log_every=5)
    run = Run(gan, tmp_path, Dataset(gan.images, None, "", None), "")
    run.seconds, rows = 1.0, []
    for k in range(7):
        gan.step()
        rows.append(gan.stats[k % 5].copy())
        if k in (4, 6):
            run._log()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    for line, part in zip(lines, (rows[:5], rows[5:]), strict=True):
        np.testing.assert_allclose([line[name] for name in STATS], np.mean(part, axis=0), atol=1e-5)


def test_fid_of_a_mean_that_is_not_squared():
    """The poster prints |μ₁ − μ₂|; the distance has its square, and is 0 for equal sets, in any number of batches."""
    from minigan.metrics.frechet import Moments, frechet_distance

    x = normal(50, 3)
    whole = Moments().update(x)
    parts = Moments().update(x[:17]).update(x[17:])
    np.testing.assert_allclose([*parts.mean, *parts.cov.ravel()], [*whole.mean, *whole.cov.ravel()], atol=1e-12)
    assert frechet_distance(whole.mean, whole.cov, parts.mean, parts.cov) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(whole.mean + [3, 0, 4], whole.cov, whole.mean, whole.cov) == pytest.approx(25)


def test_fid_of_a_handful_of_samples(tmp_path):
    """Nicolivain/ViTGAN: at most 20 random batches; here as many samples as asked for, always of the same z."""
    gan = tiny_gan(eval_samples=37)
    counts = []
    run = Run(
        gan, tmp_path, Dataset(gan.images, None, "", None), "", evaluate=lambda samples: counts.append(samples) or {}
    )
    run.finish()
    run.finish()
    assert counts[0].shape == (37, 28, 28)
    assert not any(m.training for m in gan.ema.model.modules())
    np.testing.assert_array_equal(counts[0], counts[1])


def test_average_of_g_never_used_for_samples():
    """teodorToshkov/ViTGAN-pytorch: an EMA is kept, and samples come from the raw generator."""
    gan = tiny_gan()
    for _ in range(3):
        gan.step()
    z = latents(gan.config)
    for p in gan.generator.parameters():
        p.data[...] = np.nan
    images = gan.sample(z)
    expected = ((gan.ema.model(Tensor(z)).data[:, 0] + 1) * 127.5 + 0.5).astype("uint8")
    np.testing.assert_array_equal(images, expected)


def test_average_of_g_never_updated():
    """teodorToshkov/ViTGAN-pytorch: the EMA iterates over an exhausted generator of parameters, so over nothing."""
    gan = tiny_gan(ema=0.9, ema_ramp=1e-3)
    gan.step()
    for p, q in zip(gan.ema.model.parameters(), gan.generator.parameters(), strict=True):
        np.testing.assert_array_equal(p.data, q.data)  # the first step: all of G
    for _ in range(2):
        before = [p.data.copy() for p in gan.ema.model.parameters()]
        gan.step()
        for p, q, old in zip(gan.ema.model.parameters(), gan.generator.parameters(), before, strict=True):
            np.testing.assert_allclose(p.data, 0.9 * old + 0.1 * q.data, rtol=1e-4, atol=1e-6)


def test_average_with_its_weights_swapped():
    """wilile26811249/ViTGAN: add_(1 − alpha, x) in the old argument order."""
    gan = tiny_gan(ema=0.999, ema_ramp=1e-3)
    gan.step()
    start = gan.ema.model.state_dict()["head.out.weight"]
    gan.generator.head.out.weight.data += 1
    gan.ema.step(gan.adam_g.flat, 0.001)
    np.testing.assert_allclose(gan.ema.model.state_dict()["head.out.weight"] - start, 0.001, rtol=0.01)
