"""The Inception network of FID beside one written for PyTorch from the published table, and the way of its weights."""

import hashlib
import json
import os
import subprocess
import sys
import tracemalloc
from contextlib import contextmanager

import h5py
import numpy as np
import pytest
from PIL import Image
from strict_device import strict
from torch_files import program, state_dict, storage, tensor, zip_file

from autograd.arrays import DeviceError, to_host
from experiments import fid
from experiments.bench.inception import random_tensors
from experiments.export_inception import main
from minigan.errors import InputError
from minigan.hdf5 import text
from minigan.metrics import inception
from minigan.metrics.frechet import Moments, frechet_distance
from minigan.metrics.inception import (
    ARCHITECTURE,
    BN_EPS,
    TAPS,
    Inception,
    Pool,
    load_inception,
    save_inception,
    shapes,
)
from minigan.metrics.resize import MATRICES, matrix, resize

MODES = ("torch", "tf", "clean")
SIZES = [(28, 28), (32, 32, 3), (64, 64, 3), (299, 299, 3), (40, 57, 3)]


def pictures(shape, n=1, seed=0):
    """Blobs and edges with noise, uint8 (n, *shape): smooth pictures hide how they were resized, noise all else."""
    rng = np.random.default_rng([seed, *shape])
    coarse = rng.uniform(0, 255, (n, 5, 6, *shape[2:]))
    fine = np.repeat(np.repeat(coarse, -(-shape[0] // 5), axis=1), -(-shape[1] // 6), axis=2)
    fine = fine[:, : shape[0], : shape[1]] + rng.normal(0, 20, (n, *shape))
    return fine.clip(0, 255).astype(np.uint8)


# resizing


def tensorflow_resize(image, m):
    """TensorFlow 1's resize_bilinear of (H, W), as its kernel does it: float32, corner by corner."""
    image = image.astype(np.float32)

    def places(n):
        scale = np.float32(n) / np.float32(m)
        found = []
        for i in range(m):
            at = np.float32(i) * scale
            low = int(at)
            found.append((low, min(low + 1, n - 1), at - np.float32(low)))
        return found

    y = np.empty((m, m), np.float32)
    columns = places(image.shape[1])
    left, right, t = (np.array(c) for c in zip(*columns, strict=True))
    for r, (low, high, s) in enumerate(places(image.shape[0])):
        top = image[low, left] + (image[low, right] - image[low, left]) * t
        bottom = image[high, left] + (image[high, right] - image[high, left]) * t
        y[r] = top + (bottom - top) * s
    return y


def pillow_resize(image, m):
    return np.asarray(Image.fromarray(image.astype(np.float32)).resize((m, m), Image.Resampling.BICUBIC))


def torch_resize(torch, image, m):
    x = torch.tensor(image)[None, None].float()
    return torch.nn.functional.interpolate(x, (m, m), mode="bilinear", align_corners=False)[0, 0].numpy()


def resize_otherwise(torch, images, mode, m=299):
    """What `resize` should give, by the resizers that the modes are named after, and each with its scale."""
    by_mode = {
        "torch": lambda image: torch_resize(torch, image, m) / 255 * 2 - 1,
        "tf": lambda image: (tensorflow_resize(image, m) - 128) / 128,
        "clean": lambda image: (np.clip(pillow_resize(image, m), 0, 255) - 128) / 128,
    }
    images = images[..., None] if images.ndim == 3 else images
    planes = [[by_mode[mode](image[..., c]) for c in (0, 1, 2)[: image.shape[2]]] for image in images]
    return np.broadcast_to(np.array(planes, np.float32), (len(images), 3, m, m))


@pytest.mark.parametrize("n", [1, 2, 3, 28, 32, 64, 218, 299, 300, 512, 1000])
@pytest.mark.parametrize("m", [299, 64])
def test_clean_is_pillows_bicubic(n, m):
    image = np.random.default_rng(n).integers(0, 256, (n, n + n // 3))
    ours = matrix("clean", n, m) @ image.astype(np.float32) @ matrix("clean", n + n // 3, m).T
    np.testing.assert_allclose(ours, pillow_resize(image, m), atol=2e-4)  # of 255


@pytest.mark.parametrize("n", [1, 2, 28, 32, 64, 218, 299, 300, 1000])
def test_tf_is_tensorflows_loop_and_torch_is_interpolate(n):
    image = np.random.default_rng(n).integers(0, 256, (n, n + n // 3))
    by = {mode: matrix(mode, n, 299) @ image.astype("f4") @ matrix(mode, n + n // 3, 299).T for mode in MATRICES}
    np.testing.assert_allclose(by["tf"], tensorflow_resize(image, 299), atol=1e-3)  # of 255
    torch = pytest.importorskip("torch")
    np.testing.assert_allclose(by["torch"], torch_resize(torch, image, 299), atol=5e-3)


@pytest.mark.parametrize("mode", MODES)
def test_resizing_keeps_what_is_flat_and_its_scale(mode):
    for shape in [(28, 28), (40, 57, 3), (400, 310, 3)]:
        for value in (0, 3, 128, 255):
            y = resize(np.full((2, *shape), value, np.uint8), mode)
            assert y.dtype == np.float32 and y.shape == (2, 3, 299, 299) and y.flags.c_contiguous
            np.testing.assert_allclose(y, value / 127.5 - 1 if mode == "torch" else value / 128 - 1, atol=1e-5)


def test_grey_is_three_equal_channels_and_colour_keeps_its_order():
    grey = pictures((28, 28))
    colour = np.stack([grey, grey // 2, grey // 4], axis=-1)
    y = resize(grey, "tf")
    np.testing.assert_array_equal(y[:, 0], y[:, 1])
    np.testing.assert_array_equal(y[:, 0], y[:, 2])
    for c, plane in enumerate(np.moveaxis(colour, -1, 0)):
        np.testing.assert_allclose(resize(colour, "tf")[:, c], resize(plane, "tf")[:, 0], atol=1e-5)


def test_the_modes_differ_and_clean_is_clipped():
    images = np.where(pictures((64, 64), seed=3) > 127, 255, 0).astype(np.uint8)
    y = {mode: resize(images, mode) for mode in MODES}
    assert np.abs(y["tf"] - y["torch"]).mean() > 0.01 and np.abs(y["clean"] - y["torch"]).mean() > 0.01
    assert y["clean"].min() == -1 and y["clean"].max() == np.float32(127 / 128)
    with pytest.raises(InputError, match="torch, tf, clean"):
        resize(images, "nearest")


def test_resizing_stays_on_the_device():
    for mode, images in zip(MODES, [pictures((28, 28)), pictures((40, 57, 3)), pictures((64, 64, 3))], strict=True):
        on_device = resize(strict.asarray(images), mode, 75, strict)
        np.testing.assert_array_equal(to_host(on_device), resize(images, mode, 75))


# the table


def test_the_table_has_the_published_size():
    expected = shapes()
    assert len(expected) == 472 and sum(np.prod(shape) for shape in expected.values()) == 23_885_392
    kernels = [shape for name, shape in expected.items() if name.endswith("conv.weight")]
    assert len(kernels) == 94 and sum(shape[2:] == (1, 1) for shape in kernels) == 40


# parity


def torch_inception(*args, **options):
    from experiments.pytorch.inception import TorchInception  # needs PyTorch

    return TorchInception(*args, **options)


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # two wait for each other where the machine is busy
    with torch.no_grad():
        yield torch
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tensors():
    return random_tensors()


@pytest.fixture(scope="module")
def network(tensors):
    return Inception(tensors)


@pytest.fixture(scope="module")
def exported(torch, tensors, tmp_path_factory):
    """The weights written by PyTorch with the counters of its batch norm, and exported by the command."""
    directory = tmp_path_factory.mktemp("inception")
    state = {name: torch.tensor(a) for name, a in tensors.items()}
    state |= {name.replace("running_var", "num_batches_tracked"): torch.tensor(3) for name in tensors if "_var" in name}
    torch.save(state, directory / "weights.pth")
    assert main([str(directory / "weights.pth"), str(directory / "inception.h5")]) == 0
    (directory / "weights.pth").unlink()
    yield directory / "inception.h5"
    (directory / "inception.h5").unlink()  # pytest keeps its directories for a while, and this is 91 MiB


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


# the file


@contextmanager
def edited(path, name, value, sealed=True):
    """A file in which an attribute, or the first number of a dataset, is another one for a while.

    sealed=False: without its SHA-256 too, as a file of an older version.
    """
    with h5py.File(path) as f:
        seal = f.attrs["sha256"]

    def exchange(value, sealed):
        with h5py.File(path, "r+") as f:
            if sealed:
                f.attrs["sha256"] = seal
            else:
                del f.attrs["sha256"]
            holder, key = (f[name], 0) if name in f else (f.attrs, name)
            old = holder[key]
            holder[key] = value
            return old

    old = exchange(value, sealed)
    yield
    exchange(old, True)


@pytest.mark.slow
def test_the_file_holds_the_tensors_and_where_they_are_from(exported, tensors):
    with h5py.File(exported) as f:
        assert len(f["params"]) == 472
        for name, a in tensors.items():
            assert f["params"][name].dtype == np.float32
            np.testing.assert_array_equal(f["params"][name], a)
        assert text(f.attrs["architecture"]) == ARCHITECTURE
        assert f.attrs["bn_eps"] == 1e-3 and f.attrs["format_version"] == 1
        assert text(f.attrs["source"]) == "weights.pth" and len(f.attrs["source_sha256"]) == 64
    assert [p.name for p in exported.parent.iterdir()] == ["inception.h5"]


@pytest.mark.slow
def test_the_older_container_gives_the_same_network(torch, tensors, network, tmp_path):
    state = {name: torch.nn.Parameter(torch.tensor(a)) for name, a in tensors.items()}
    torch.save({"state_dict": state}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    digest = hashlib.sha256((tmp_path / "old.pth").read_bytes()).hexdigest()
    (tmp_path / "old.pth").rename(tmp_path / f"old-{digest[:8]}.pth")
    assert main([str(tmp_path / f"old-{digest[:8]}.pth"), str(tmp_path / "x.h5")]) == 0
    with h5py.File(tmp_path / "x.h5") as f:
        assert text(f.attrs["source_sha256"]) == digest
    assert load_inception(tmp_path / "x.h5").digest == network.digest
    for path in tmp_path.iterdir():
        path.unlink()


def test_the_digest_changes_with_the_weights_and_the_network(tensors, network, monkeypatch):
    name = "Conv2d_1a_3x3.bn.bias"
    others = [inception.digest({**tensors, name: tensors[name] + 1})]
    monkeypatch.setattr(inception, "BN_EPS", 1e-5)
    others.append(inception.digest(tensors))
    assert len({network.digest, *others}) == 3


@pytest.mark.slow
def test_only_an_undamaged_file_of_this_network_is_loaded(exported, tmp_path):
    for name, value, sentence in [
        ("params/Mixed_6d.branch_pool.bn.weight", 0.123, "damaged"),
        ("bn_eps", 1e-5, "damaged"),
        ("architecture", "another", f"another, not {ARCHITECTURE}"),
        ("format_version", 2, "not Inception weights"),
        ("format", "another", "not Inception weights"),
        ("params/fc.bias", np.nan, "fc.bias holds values"),
    ]:
        with edited(exported, name, value), pytest.raises(InputError, match="SHA-256 differs"):
            load_inception(exported)
        with edited(exported, name, value, sealed=False), pytest.raises(InputError, match=sentence) as error:
            load_inception(exported)
        assert str(error.value).startswith(str(exported)) and "\n" not in str(error.value)
    with pytest.raises(InputError, match="there is no such file"):
        load_inception(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(InputError, match="not a readable file"):
        load_inception(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as f:
        f["params/x"] = 1
    with pytest.raises(InputError, match="not Inception weights"):
        load_inception(tmp_path / "other.h5")
    with pytest.raises(InputError, match="not Inception weights"):
        load_inception(inception.__file__.replace("inception.py", "digits.h5"))
    with open(exported, "rb") as f:
        (tmp_path / "cut.h5").write_bytes(f.read(300_000))
    with pytest.raises(InputError, match="not a readable file"):
        load_inception(tmp_path / "cut.h5")
    with pytest.raises(DeviceError):
        load_inception(exported, device="tpu")


# the command, on small files: all tensors of a kind share one number


def weights_file(path, expected, **extra):
    one = storage("FloatStorage", "0", 1)
    entries = {name: tensor(one, 0, shape, (0,) * len(shape)) for name, shape in expected.items()}
    return zip_file(path, state_dict({**entries, **extra}), {"0": np.float32(0.5).tobytes(), "1": bytes(8)})


COUNTER = tensor(storage("LongStorage", "1", 1), 0, (), ())


def refused(argv, capsys):
    with pytest.raises(InputError) as error:
        main([str(a) for a in argv])
    assert "\n" not in str(error.value) and capsys.readouterr().out == ""
    return str(error.value)


@pytest.mark.slow
def test_every_tensor_must_be_there_and_nothing_else(tmp_path, capsys):
    path, out = tmp_path / "w.pth", tmp_path / "out.h5"
    good = shapes()
    for expected, extra, sentence in [
        ({k: v for k, v in good.items() if k != "Mixed_6a.branch3x3.bn.bias"}, {}, "lacks Mixed_6a.branch3x3.bn.bias"),
        ({k: v for k, v in good.items() if "7c" not in k}, {}, "lacks Mixed_7c.branch1x1.bn.bias, .* and 40 more"),
        (good | {"Mixed_8a.conv.weight": (1,)}, {}, "does not know Mixed_8a.conv.weight"),
        (good, {"Mixed_8a.bn.num_batches_tracked": COUNTER}, "does not know Mixed_8a.bn.num_batches_tracked"),
        (good | {"AuxLogits.fc.weight": (1008, 768)}, {}, "does not know AuxLogits.fc.weight"),
        (good | {"Mixed_5b.branch5x5_2.conv.weight": (64, 48, 3, 3)}, {}, "float32 .64, 48, 5, 5.*64, 48, 3, 3"),
        (good | {"fc.weight": (10, 2048), "fc.bias": (10,)}, {}, "fc.weight must be float32 .1008, 2048"),
        (good, {"fc.bias": tensor(storage("DoubleStorage", "1", 1), 0, (1008,), (0,))}, "fc.bias .* is float64"),
    ]:
        with pytest.raises(InputError, match=sentence) as error:
            main([str(weights_file(path, expected, **extra)), str(out)])
        assert str(error.value).startswith(str(path))
        assert [p.name for p in tmp_path.iterdir()] == ["w.pth"]


@pytest.mark.slow
def test_counters_are_skipped_and_the_other_file_is_named(tmp_path, capsys):
    path = weights_file(tmp_path / "w.pth", shapes(), **{"Conv2d_1a_3x3.bn.num_batches_tracked": COUNTER})
    assert main([str(path), str(tmp_path / "x.h5")]) == 0
    line = capsys.readouterr().out
    assert f"{ARCHITECTURE}, 472 tensors, 23,885,392 values" in line and "6726825d" in line and line.count("\n") == 1
    (tmp_path / "x.h5").unlink()


@pytest.mark.slow
def test_torchvisions_weights_are_refused(tmp_path, capsys):
    auxiliary = {"AuxLogits.conv0.conv.weight": (128, 768, 1, 1), "AuxLogits.fc.bias": (1000,)}
    classes = {"fc.weight": (1000, 2048), "fc.bias": (1000,)}
    path = weights_file(tmp_path / "inception_v3.pth", shapes() | classes | auxiliary)
    assert "does not know AuxLogits" in refused([path, tmp_path / "x.h5"], capsys)
    path = weights_file(tmp_path / "inception_v3.pth", shapes() | classes)
    assert "fc.weight must be float32 (1008, 2048)" in refused([path, tmp_path / "x.h5"], capsys)


def test_the_hash_in_the_name_is_checked(tmp_path, capsys):
    path = weights_file(tmp_path / "pt_inception-2015-12-05-6726825d.pth", shapes())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert f"begins with {digest[:8]}, not with 6726825d" in refused([path, tmp_path / "x.h5"], capsys)
    assert not (tmp_path / "x.h5").exists()


def test_files_and_directories_that_do_not_fit(tmp_path, capsys):
    path = weights_file(tmp_path / "w.pth", shapes())
    before = path.read_bytes()
    assert "no such file" in refused([tmp_path / "none.pth", tmp_path / "x.h5"], capsys)
    assert "no such file" in refused([tmp_path, tmp_path / "x.h5"], capsys)
    os.mkfifo(tmp_path / "pipe")
    for out in (tmp_path, tmp_path / "pipe"):
        assert "must be a file" in refused([path, out], capsys)
    assert "must be a file" in refused([path, tmp_path / "none" / "x.h5"], capsys)
    assert "replace the weights" in refused([path, path], capsys)
    assert path.read_bytes() == before


@pytest.mark.slow
def test_the_command_runs_nothing_and_ends_with_status_2(tmp_path):
    harm = tmp_path / "harm"
    graph = b"cos\nsystem\n(X" + len(f"touch {harm}").to_bytes(4, "little") + f"touch {harm}".encode() + b"tR"
    path = zip_file(tmp_path / "w.pth", graph, {})
    assert program(graph) in path.read_bytes()
    command = [sys.executable, "-m", "experiments.export_inception", path, tmp_path / "x.h5"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: ") and "os.system" in done.stderr and done.stderr.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["w.pth"]


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
