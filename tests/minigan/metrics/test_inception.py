"""The Inception network of FID beside one written for PyTorch from the published table."""

import json
import tracemalloc

import numpy as np
import pytest
from other_resizers import MODES, pictures, resize_otherwise
from strict_device import strict

from autograd.arrays import to_host
from experiments import fid
from minigan.errors import InputError
from minigan.metrics import inception
from minigan.metrics.frechet import Moments, frechet_distance
from minigan.metrics.inception import BN_EPS, TAPS, Inception, Pool, load_inception, save_inception, shapes
from minigan.metrics.resize import resize

SIZES = [(28, 28), (32, 32, 3), (64, 64, 3), (299, 299, 3), (40, 57, 3)]


def test_the_table_has_the_published_size():
    expected = shapes()
    assert len(expected) == 472 and sum(np.prod(shape) for shape in expected.values()) == 23_885_392
    kernels = [shape for name, shape in expected.items() if name.endswith("conv.weight")]
    assert len(kernels) == 94 and sum(shape[2:] == (1, 1) for shape in kernels) == 40


def torch_inception(*args, **options):
    from experiments.pytorch.inception import TorchInception  # needs PyTorch

    return TorchInception(*args, **options)


@pytest.fixture(scope="module")
def reference(torch, tensors):
    """One picture, and all that PyTorch makes of it."""
    x = resize(pictures((64, 64, 3)), "tf")
    return x, torch_inception(tensors)(x)


def differs(ours, theirs):
    """The largest difference, relative to the value and the spread of all: 1e-4 is the limit."""
    return float((np.abs(ours - theirs) / (np.abs(theirs) + theirs.std())).max())


@pytest.mark.slow
def test_features_are_those_of_pytorch_in_every_mode_and_size(torch, tensors, exported):
    network, other = load_inception(exported), torch_inception(tensors)
    cases = [(mode, pictures(shape)) for mode in MODES for shape in SIZES]
    ours = np.concatenate([resize(images, mode) for mode, images in cases])
    theirs = other(np.concatenate([resize_otherwise(torch, images, mode) for mode, images in cases]))
    assert other.used == tensors.keys() - {"fc.bias"}
    features, logits = network.features_and_logits(ours)
    some = [1, 7, 14]  # of each mode one, of three sizes
    compared = {tap: (network.features(ours[some], tap), theirs[tap][some]) for tap in TAPS[:3]}
    compared |= {2048: (features, theirs[2048]), "logits": (logits, theirs["logits"])}
    for tap, (x, y) in compared.items():
        assert x.dtype == np.float32 and x.shape == (len(y), 1008 if tap == "logits" else tap)
        assert all(differs(a, b) < 1e-4 for a, b in zip(x, y, strict=True)), tap
        alive = y.std(axis=0) > 1e-3 * y.std()  # differs from picture to picture
        assert alive.mean() > 0.5 and y.std() > 0.1 * np.abs(y).mean()
    by_mode = features.reshape(3, 5, 2048)
    for one, two in ((0, 1), (0, 2), (1, 2)):  # a wrong mode is seen, except where nothing is resized
        assert all(differs(by_mode[one, i], by_mode[two, i]) > 1e-3 for i in (0, 1, 2, 4))


def changed(layers, change):
    if isinstance(layers, list):
        return [changed(layer, change) for layer in layers]
    return change(tuple(changed(inner, change) for inner in layers) if isinstance(layers, tuple) else layers)


def swap(name, i, j):
    """Two branches in the wrong order, in the tuple whose branch i is the convolution `name`."""

    def change(layer):
        if not isinstance(layer, tuple) or getattr(layer[i][0], "name", "") != name:
            return layer
        order = list(range(len(layer)))
        order[i], order[j] = j, i
        return tuple(layer[k] for k in order)

    return change


def averages(layer):
    return Pool("average") if layer == Pool("max") else layer


MUTATIONS = {
    "an average in Mixed_7c": averages,
    "branches of Mixed_5c": swap("Mixed_5c.branch1x1", 0, 3),
    "branches of Mixed_6b": swap("Mixed_6b.branch7x7_1", 1, 2),
    "branches of Mixed_7c": swap("Mixed_7c.branch3x3_2a", 0, 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_wrong_network_is_noticed(network, reference, monkeypatch, mutation):
    x, theirs = reference
    layers = changed(network.layers, MUTATIONS[mutation])
    assert layers != network.layers and changed(network.layers, lambda layer: layer) == network.layers
    monkeypatch.setattr(network, "layers", layers)
    assert differs(network.features(x), theirs[2048]) > 1e-2


@pytest.mark.slow
def test_a_wrong_epsilon_and_wrong_statistics_are_noticed(tensors, network, reference, monkeypatch):
    x, theirs = reference
    assert BN_EPS == 1e-3 and differs(network.features(x), theirs[2048]) < 1e-4
    with monkeypatch.context() as patch:
        patch.setattr(inception, "BN_EPS", 1e-5)
        assert differs(Inception(tensors).features(x), theirs[2048]) > 1e-2
    name = "Mixed_7c.branch3x3dbl_3b.bn.running_mean"
    assert differs(Inception({**tensors, name: -tensors[name]}).features(x), theirs[2048]) > 1e-2


@pytest.mark.slow
def test_batches_of_any_size_give_the_same_features(network, monkeypatch):
    x = resize(pictures((32, 32, 3), 3), "tf")
    one = network.features(x, 768)
    monkeypatch.setattr(inception, "CPU_CHUNK", 2)
    np.testing.assert_allclose(network.features(x, 768), one, rtol=1e-4, atol=1e-4)
    assert network.features(x[:0]).shape == (0, 2048) and network.features(x[:0], 64).shape == (0, 64)


@pytest.mark.slow
def test_the_network_runs_on_the_device(tensors, network):
    x = resize(pictures((32, 32, 3), 2), "tf")
    on_device = Inception(tensors, device="strict").features(strict.asarray(x), 192)
    np.testing.assert_allclose(to_host(on_device), network.features(x, 192), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_a_pass_takes_little_memory(network):
    x = resize(pictures((64, 64, 3), 2), "tf")
    tracemalloc.start()
    network.features(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


@pytest.mark.slow
def test_what_the_network_does_not_take_is_an_error(network):
    with pytest.raises(InputError, match="64, 192, 768, 2048"):
        network.features(np.zeros((1, 3, 299, 299), np.float32), 1024)
    with pytest.raises(InputError, match="299"):
        network.features(np.zeros((1, 3, 32, 32), np.float32))


@pytest.mark.slow
def test_the_command_compares_with_inception_features(tensors, network, tmp_path, capsys):
    """From two files of images and one of weights to a number under its full name, against the pieces by hand."""
    weights, sides = tmp_path / "inception.h5", []
    save_inception(weights, tensors, source="random", source_sha256="0" * 64)
    for seed in (1, 2):
        np.save(tmp_path / f"{seed}.npy", pictures((32, 32, 3), 4, seed))
        sides.append(network.features(resize(pictures((32, 32, 3), 4, seed), "clean"), 64))
    command = [str(tmp_path / "1.npy"), str(tmp_path / "2.npy"), "--inception", str(weights), "--device", "cpu"]
    assert fid.main([*command, "--mode", "clean", "--tap", "64", "--metrics", "fid", "--json", "-"]) == 0
    record = json.loads(capsys.readouterr().out)
    a, b = (Moments().update(side) for side in sides)
    expected = frechet_distance(a.mean, a.cov, b.mean, b.cov)
    (value,) = record["metrics"].values()
    assert value == pytest.approx(expected, rel=1e-4) and "FID-64" in json.dumps(record)
    weights.unlink()  # 91 MiB
