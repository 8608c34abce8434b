"""Training steps on the strict stand-in for a GPU: nothing waits for the device, and the numbers are the CPU's."""

import dataclasses

import numpy as np
import pytest
from slow import slow_but_the_first
from strict_device import StrictArray, StrictError, strict
from tiny_models import VARIANTS, latents, tiny_gan

from autograd import Tensor
from autograd.arrays import to_host
from minigan.losses import LOSSES, Loss
from minigan.step import GAN, STATS

CONFIGS = {
    **{variant: {"variant": variant} for variant in VARIANTS},
    "exact penalty, bcr, augmentation": {
        **{"penalty": "exact", "bcr": 1.0, "max_norm": 1.0, "channels": 3},
        "augment": "translation,cutout,color,flip",
    },
    "paper": {
        **{"loss": "nonsaturating", "bcr": 10.0, "penalty": "none", "augment": "translation,cutout", "augment_p": 0.8},
        **{"g_head": "fourier", "g_position": "sine", "d_position": "sine", "activation": "gelu", "equalised": True},
    },
    "every second step": {"penalty_every": 2, "d_norm": "sn"},
    "l1, hinge, linear head": {"d_similarity": "l1", "loss": "hinge", "g_head": "linear"},
    "l2 as printed, minimax": {"d_similarity": "l2_printed", "loss": "minimax", "penalty": "exact"},
    "batch norm": {"variant": "cnn", "cnn_batch_norm": True},
    "labels": {"classes": 5, "bcr": 1.0},
    "labels, exact penalty": {"variant": "cnn", "classes": 5, "penalty": "exact", "d_norm": "sn"},
}


def two_steps(**options) -> GAN:
    gan = tiny_gan(**options)
    with strict.step():
        gan.step()
        gan.step()
    return gan


def device_arrays(gan: GAN) -> dict:
    networks = {"G": gan.generator, "D": gan.discriminator, "average": gan.ema.model}
    tensors = {f"{k} {name}": t.data for k, network in networks.items() for name, t in network.named_tensors()}
    adams = {f"{k} {part}": getattr(a, part) for k, a in {"g": gan.adam_g, "d": gan.adam_d}.items() for part in "mv"}
    return {**tensors, **adams, "stats": gan.stats, "images": gan.images}


@pytest.mark.parametrize("options", slow_but_the_first(CONFIGS.values()), ids=CONFIGS)
def test_steps_stay_on_the_device_and_give_the_cpus_numbers(options):
    device, host = two_steps(**options, device="strict"), two_steps(**options)
    for name, a in device_arrays(device).items():
        assert type(a) is StrictArray, name
    (found, found_meta), (expected, expected_meta) = device.state(), host.state()
    assert found_meta == expected_meta and found_meta["steps_done"] == 2
    for group in expected:
        assert found[group].keys() == expected[group].keys()
        for name, a in expected[group].items():
            b = found[group][name]
            assert type(b) is np.ndarray and b.dtype == a.dtype and np.isfinite(a).all()
            np.testing.assert_array_equal(a, b, err_msg=f"{group} {name}")
    assert np.isfinite(found["stats"]["rows"][:2]).all() and found["stats"]["rows"][:2].any(axis=0)[[0, 1, 2, 4]].all()


def test_samples_come_back_to_the_host_between_steps():
    device, host = two_steps(device="strict"), two_steps()
    z = latents(host.config, 3)
    images = device.sample(strict.asarray(z))
    assert type(images) is np.ndarray and images.dtype == np.uint8
    np.testing.assert_array_equal(images, host.sample(z))
    with strict.step(), pytest.raises(StrictError, match="asnumpy"):
        device.sample(strict.zeros((1, host.config.latent), dtype="float32"))


def test_training_goes_on_from_a_state_of_the_other_device():
    host = two_steps()
    device = tiny_gan(device="strict")
    device.step()
    device.load_state(*host.state())
    assert all(type(a) is StrictArray for a in device_arrays(device).values())
    host.step()
    with strict.step():
        device.step()
    for group, arrays in host.state()[0].items():
        for name, a in arrays.items():
            np.testing.assert_array_equal(a, device.state()[0][group][name], err_msg=f"{group} {name}")


def test_a_state_is_a_copy():
    """Taken now, it must not follow the training that goes on."""
    for device in ("cpu", "strict"):
        gan = tiny_gan(device=device)
        gan.step()
        arrays, meta = gan.state()
        kept = {(group, name): a.copy() for group in arrays for name, a in arrays[group].items()}
        gan.step()
        for (group, name), a in kept.items():
            np.testing.assert_array_equal(arrays[group][name], a, err_msg=f"{group} {name}")
        assert meta["steps_done"] == 1
        gan.load_state(arrays, meta)
        gan.step()
        again = tiny_gan(device=device)
        again.step()
        again.step()
        np.testing.assert_array_equal(to_host(again.adam_g.flat.data), to_host(gan.adam_g.flat.data))


# ---- the test above can fail: a step that waits is caught


def wait_in_loss(wait):
    def sabotage(gan):
        def discriminator(real, fake):
            wait(real)
            return LOSSES["relativistic"].discriminator(real, fake)

        gan.loss = Loss(discriminator, LOSSES["relativistic"].generator)

    return sabotage


def log_now(gan):
    ema = gan.ema.update

    def update(weights):
        ema(weights)
        float(gan.stats[0, STATS.index("loss_d")])

    gan.ema.update = update


def upload_a_batch(gan):
    draw = gan.real_batch
    gan.real_batch = lambda: Tensor(draw().data * strict.asarray(np.float32(1)))


def normalise_on_the_host(gan):
    layer = gan.discriminator.embed
    layer.spectral.power_iteration = lambda weight: np.linalg.svd(to_host(weight.data))


SABOTAGE = {
    "item": wait_in_loss(lambda t: t.mean().item()),
    "float": wait_in_loss(lambda t: float(t.mean())),
    "bool": wait_in_loss(lambda t: 1 if (t > 0).any() else 0),
    "asnumpy": wait_in_loss(lambda t: t.numpy()),
    "boolean mask": wait_in_loss(lambda t: t.data[t > 0]),
    "str": wait_in_loss(lambda t: f"loss {t.data}"),
    "float ": log_now,
    "asarray of host data": upload_a_batch,
    "asnumpy ": normalise_on_the_host,
}


@pytest.mark.parametrize("what", SABOTAGE)
def test_a_step_that_waits_is_caught(what):
    gan = tiny_gan(device="strict", loss="relativistic")
    SABOTAGE[what](gan)
    gan.step()  # outside the discipline it is only slow
    with strict.step(), pytest.raises(StrictError, match=what.strip()):
        gan.step()


def test_host_arrays_in_a_step_are_refused():
    gan = tiny_gan(device="strict")
    gan.images = strict.asnumpy(gan.images)
    with pytest.raises((TypeError, IndexError)):
        gan.step()


def test_devices_do_not_change_the_configuration():
    device, host = tiny_gan(device="strict"), tiny_gan()
    assert dataclasses.asdict(device.config) == dataclasses.asdict(host.config)
    assert (device.device, host.device) == ("strict", "cpu")
