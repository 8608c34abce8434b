"""`generate --project` and `--export`: the nearest w, and weights that other programs read."""

import dataclasses
import json
import struct

import h5py
import numpy as np
import pytest
from PIL import Image
from tiny_models import latents, networks, tiny, tiny_gan

from autograd import Tensor
from experiments import generate as command
from minigan import checkpoint
from minigan.errors import InputError
from minigan.projection import distances, project
from minigan.safetensors import write_safetensors
from minigan.sampling import generate


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The directory of a run, whose averaged generator is moved off its first weights."""
    gan = tiny_gan("vitgan")
    arrays, meta = gan.state()
    rng = np.random.default_rng(0)
    arrays["ema"] = {k: v + rng.normal(0, 0.15, v.shape).astype(v.dtype) for k, v in arrays["ema"].items()}
    directory = tmp_path_factory.mktemp("run")
    checkpoint.save(directory / "checkpoint.h5", arrays, {**meta, "config": dataclasses.asdict(gan.config)})
    return directory


def read_safetensors(data):
    """By the format's definition: header length, JSON header, values."""
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    metadata, arrays = header.pop("__metadata__"), {}
    for name, entry in header.items():
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        dtype = {"F32": "<f4", "F64": "<f8", "I64": "<i8"}[entry["dtype"]]
        arrays[name] = np.frombuffer(data[start:end], dtype).reshape(entry["shape"])
    return arrays, metadata, length


def test_the_distance_is_the_mean_over_the_scales_by_numpy():
    rng = np.random.default_rng(1)
    x, goal = rng.normal(size=(2, 3, 28, 28)), rng.normal(size=(1, 3, 28, 28))
    expected = np.zeros(2)
    for k in (1, 2, 4):
        small = (x - goal).reshape(2, 3, 28 // k, k, 28 // k, k).mean(axis=(3, 5))
        expected += (small**2).mean(axis=(1, 2, 3)) / 3
    np.testing.assert_allclose(distances(Tensor(x), goal).data, expected, rtol=1e-12)
    odd = np.ones((1, 1, 27, 27))  # neither a half nor a quarter of it is whole
    np.testing.assert_allclose(distances(Tensor(3 * odd), odd).data, 4.0, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["vitgan", "cnn"])
def test_an_image_of_the_generator_is_found_again(variant):
    """A few steps bring the distance to a twentieth of that of the nearest of a thousand random w."""
    config = tiny(variant)
    generator, _ = networks(variant)
    generator.eval()
    (target,) = generate(generator, latents(config, 1, "float32"))
    mapping, steps = generator.mapping, []
    found = project(generator, target, 250, steps=60, each=lambda: steps.append(1))
    assert found.distance < 0.05 * found.first and len(steps) == 60 and found.frames.shape == (61, *target.shape)
    assert generator.mapping is mapping and all(p.grad is None for p in generator.parameters())


@pytest.mark.slow
def test_a_projection_is_written_as_grid_film_and_w(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("minigan.projection.STEPS", 4)
    monkeypatch.setattr("minigan.projection.DRAWN", 20)
    Image.fromarray(np.random.default_rng(2).integers(0, 256, (40, 50, 3), np.uint8)).save(tmp_path / "a.png")
    out = tmp_path / "out"
    arguments = [str(run), "--project", str(tmp_path / "a.png"), "--out", str(out), "--device", "cpu"]
    assert command.main(arguments) == 0
    assert sorted(path.name for path in out.iterdir()) == ["projection.gif", "projection.h5", "projection.png"]
    with h5py.File(out / "projection.h5") as file:
        assert file["w"].shape == (16,) and file["target"].shape == file["nearest"].shape == (28, 28)
        assert file.attrs["distance"] > 0
    assert "mean squared error" in capsys.readouterr().out


@pytest.mark.parametrize(
    "flags, sentence",
    [
        (["--project", "nowhere.png"], "--project nowhere.png is not a file"),
        (["--project", __file__], "is not a readable image"),
        (["--export", "weights.pt"], "name a file that ends in .safetensors"),
    ],
)
def test_bad_input_is_one_sentence(run, tmp_path, flags, sentence):
    with pytest.raises(InputError, match=sentence):
        command.main([str(run), *flags, "--out", str(tmp_path / "out"), "--device", "cpu"])
    assert not (tmp_path / "out").exists()


def test_exported_weights_are_the_averaged_generator(run, tmp_path):
    path = tmp_path / "weights.safetensors"
    assert command.main([str(run), "--export", str(path), "--device", "cpu"]) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["weights.safetensors"]
    arrays, metadata, length = read_safetensors(path.read_bytes())
    ema = checkpoint.load(run / "checkpoint.h5")[0]["ema"]
    assert arrays.keys() == ema.keys() and length % 8 == 0
    for name, value in ema.items():
        np.testing.assert_array_equal(arrays[name], value)
    assert json.loads(metadata["config"])["g_width"] == 16


def test_the_package_safetensors_reads_what_is_written(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    arrays = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "ü": np.array(7, np.int64),
        "empty": np.zeros((0, 2)),
    }
    write_safetensors(tmp_path / "x.safetensors", arrays, {"note": "text"})
    for name, value in numpy.load_file(tmp_path / "x.safetensors").items():
        np.testing.assert_array_equal(value, arrays[name])


@pytest.mark.slow
def test_pytorch_draws_the_same_images_from_the_exported_weights(run, tmp_path):
    """The lines of docs/runs.md, with a reader of the test's own where safetensors is not installed."""
    torch = pytest.importorskip("torch")
    from experiments.pytorch.models import TWINS
    from minigan.config import build
    from minigan.presets import saved_config
    from minigan.sampling import load_generator

    path = tmp_path / "weights.safetensors"
    command.main([str(run), "--export", str(path), "--device", "cpu"])
    arrays, metadata, _ = read_safetensors(path.read_bytes())
    config = saved_config({"config": json.loads(metadata["config"])}, path)
    network, _ = build(config)
    network.eval().load_state_dict(arrays)
    assert network.level.data != 0
    twin = TWINS[type(network).__name__](network, config)
    z = latents(config, 3, "float32")
    ours = load_generator(run / "checkpoint.h5")[0](Tensor(z)).data
    np.testing.assert_allclose(twin(torch.from_numpy(z)).detach().numpy(), ours, rtol=1e-4, atol=1e-4)
