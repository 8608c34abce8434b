"""What a discriminator is like inside: σ and stable rank by NumPy, slopes by differences; training is left alone."""

import numpy as np
import pytest
from tiny_models import image_batch, networks, tiny
from tiny_runs import start

from autograd import Tensor
from minigan import checkpoint
from minigan.log import read_log
from minigan.spectra import slopes, spectra, spectrum, weights


def test_the_spectrum_of_a_matrix_is_that_of_its_singular_values():
    u, v = (np.linalg.qr(np.random.default_rng(s).standard_normal((5, 5)))[0] for s in (0, 1))
    sigma, rank = spectrum(u @ np.diag([4.0, 2, 2, 1, 0]) @ v)
    assert sigma == pytest.approx(4, rel=1e-12) and rank == pytest.approx(25 / 16, rel=1e-12)  # ‖W‖²_F = 25
    assert spectrum(np.eye(7))[1] == pytest.approx(7)
    assert np.isnan(spectrum(np.zeros((2, 2)))).all() and np.isnan(spectrum(np.full((2, 2), np.inf))).all()


@pytest.mark.parametrize(
    "variant, norm, layers", [("vitgan", "isn", 7), ("vitgan", "none", 7), ("vanilla", "none", 8), ("cnn", "sn", None)]
)
def test_every_layer_is_measured_as_it_is_applied(variant, norm, layers):
    _, discriminator = networks(variant, d_norm=norm)
    found = dict(weights(discriminator))
    assert layers in (None, len(found)) and len(found) > 2  # tied L2 attention has no map of its own for the keys
    for name, matrix in found.items():
        layer = discriminator
        for part in name.split("."):
            layer = layer[int(part)] if part.isdigit() else getattr(layer, part)
        weight = layer.weight.data.reshape(len(layer.weight.data), -1).astype(np.float64)
        if norm != "none":  # c W with c = σ₀/(uᵀWv), or 1/(uᵀWv) (Miyato et al., 1802.05957)
            s = layer.spectral
            first = s.sigma_init.data if s.improved else 1.0
            weight = weight * first / (s.u.data.astype(np.float64) @ weight @ s.v.data.astype(np.float64))
        np.testing.assert_allclose(matrix, weight, rtol=1e-4, atol=1e-6)  # float32, sums of up to 200 terms


def test_the_slope_is_that_of_differences_along_the_gradient():
    config = tiny(d_similarity="l2")
    _, discriminator = networks()
    x = image_batch(config)
    found = slopes(discriminator, x)
    step, steepest = 1e-2, 0.0
    rng = np.random.default_rng(0)
    for _ in range(20):  # no direction is steeper than the gradient
        d = rng.standard_normal(x.shape).astype("float32")
        d /= np.sqrt((d**2).sum((1, 2, 3), keepdims=True))
        rise = discriminator(Tensor(x + step * d)).data - discriminator(Tensor(x - step * d)).data
        steepest = max(steepest, float(np.max(np.abs(rise) / (2 * step) / found)))
    assert found.shape == (4,) and (found > 0).all() and steepest < 1
    figures = spectra(discriminator, x, x[:2])
    assert figures["slope_real"] == pytest.approx(found.mean()) and figures["slope_real_most"] == pytest.approx(
        max(found)
    )
    assert figures["slope_fake"] == pytest.approx(found[:2].mean(), rel=1e-4)  # other sizes of batch round otherwise


@pytest.mark.slow
def test_a_measured_run_trains_as_an_unmeasured_one(tmp_path):
    start(tmp_path / "plain", steps=3).train()
    start(tmp_path / "measured", steps=3, spectra_every=2).train()
    plain, measured = (checkpoint.load(tmp_path / name / "checkpoint.h5")[0] for name in ("plain", "measured"))
    for group in ("generator", "discriminator", "ema"):
        for name, array in plain[group].items():
            np.testing.assert_array_equal(measured[group][name], array, err_msg=name)
    records = [r for r in read_log(tmp_path / "measured" / "log.jsonl") if r["kind"] == "spectra"]
    assert [r["step"] for r in records] == [0, 2, 3] and records[0]["rank embed"] >= 1
    assert not any(r["kind"] == "spectra" for r in read_log(tmp_path / "plain" / "log.jsonl"))
