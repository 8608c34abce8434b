"""The learning rates and the weight of the penalties over a run."""

import numpy as np
import pytest
from tiny_models import tiny_gan


def test_learning_rates_rise_over_the_warmup_and_follow_the_decay():
    gan = tiny_gan(steps=20, warmup=4, decay="constant", g_lr=0.001, d_lr=0.002)
    for factor in (0.25, 0.5, 0.75, 1.0, 1.0):
        gan.step()
        assert (gan.adam_g.lr, gan.adam_d.lr) == pytest.approx((0.001 * factor, 0.002 * factor))
    gan = tiny_gan(steps=4, warmup=1, decay="cosine", g_lr=0.001, d_lr=0.002)
    rates = []
    for _ in range(4):
        gan.step()
        rates.append((gan.adam_g.lr, gan.adam_d.lr))
    assert rates[0] == pytest.approx((0.001, 0.002)) and (np.diff(rates, axis=0) < 0).all()


def test_penalties_rise_along_a_geometric_curve():
    gan = tiny_gan(steps=40, penalty_start=0.01, penalty_ramp=0.5)
    weights = []
    for gan.steps_done in range(40):
        weights.append(gan.penalty_weight())
    np.testing.assert_allclose(weights[:21], 0.01 ** (1 - np.arange(21) / 20))
    assert all(type(w) is float and 0 < w <= 1 for w in weights)
