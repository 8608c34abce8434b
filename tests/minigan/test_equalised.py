"""Training with equalised learning rates: how far a weight moves, and that a run goes on as the unbroken one."""

import numpy as np
import pytest
from tiny_models import tiny_gan

from nn import he_constants

OPTIONS = {"equalised": True, "g_lr": 2e-2, "d_lr": 1e-2, "warmup": 0, "d_norm": "none", "beta1": 0.0, "beta2": 0.99}


@pytest.mark.parametrize("start", ["drawn", "of another run"])
def test_the_first_step_of_a_weight_is_its_constant_times_the_rate(start):
    """Without momentum the first step of Adam is ± its rate, where the gradient is not about 0.

    With --init too: the constant is that of the weight as it would be drawn, whatever is there. Float32 weights below 4
    hold a step to 2 · 2⁻²³; the longest step of each parameter is looked at, whose gradient is well above ε.
    """
    gan = tiny_gan(**OPTIONS)
    if start != "drawn":
        other = tiny_gan(seed=3, d_norm="none")
        other.step()
        gan.start_from(other.state()[0], "a run")
    networks = [(gan.generator, gan.adam_g, 2e-2), (gan.discriminator, gan.adam_d, 1e-2)]
    before = [[p.data.copy() for p in network.parameters()] for network, _, _ in networks]
    gan.step()
    looked_at = set()
    for (network, adam, rate), old in zip(networks, before, strict=True):
        slopes = adam.flat.split(np.abs(adam.m))
        for p, was, slope, c in zip(network.parameters(), old, slopes, he_constants(network), strict=True):
            place = np.unravel_index(slope.argmax(), slope.shape)
            if slope[place] > 1e-4:  # of c ∂L/∂w; ε is 1e-8
                step = abs(p.data[place] - was[place])
                np.testing.assert_allclose(step, c * rate, rtol=2e-4, atol=2 * 2.0**-23)
                looked_at.add(round(c, 6))
    assert len(looked_at) >= 5


def test_the_default_has_none():
    gan = tiny_gan()
    assert gan.adam_g.scales is None and gan.adam_d.scales is None and not gan.config.equalised


def test_a_state_goes_on_as_the_unbroken_run():
    whole, first = tiny_gan(**OPTIONS), tiny_gan(**OPTIONS)
    for _ in range(3):
        whole.step()
    first.step()
    again = tiny_gan(**OPTIONS)
    again.load_state(*first.state())
    again.step()
    again.step()
    for group, arrays in whole.state()[0].items():
        for name, a in arrays.items():
            np.testing.assert_array_equal(a, again.state()[0][group][name], err_msg=f"{group} {name}")
