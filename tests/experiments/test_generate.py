"""Images from a checkpoint: the same by number, on every device, whole or not at all; interpolation and truncation."""

import dataclasses
import hashlib
import os
import resource
import subprocess
import sys

import h5py
import numpy as np
import pytest
from PIL import Image
from slow import slow_but_the_first
from strict_device import StrictArray
from tiny_models import VARIANTS, latents, shake, tiny, tiny_gan

from autograd import Tensor, no_grad
from experiments import generate as command
from minigan import checkpoint, figures, sampling
from minigan.config import build
from minigan.errors import InputError
from minigan.figures import image_grid, save_loop
from minigan.hdf5 import text
from minigan.sampling import batch_size, closed_path, generate, load_generator, slerp, truncate


def write_checkpoint(path, variant="vitgan", device="cpu", seed=0, **options):
    """A checkpoint as training writes it, after a step; the averaged generator moved off its first weights."""
    gan = tiny_gan(variant, device=device, seed=seed, **options)
    gan.step()
    arrays, meta = gan.state()
    rng = np.random.default_rng(seed)
    arrays["ema"] = {k: v + rng.normal(0, 0.15, v.shape).astype(v.dtype) for k, v in arrays["ema"].items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.save(path, arrays, {**meta, "config": dataclasses.asdict(gan.config)})
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The directory of a run."""
    return write_checkpoint(tmp_path_factory.mktemp("run") / "checkpoint.h5").parent


def call(*arguments):
    return command.main([*map(str, arguments), *([] if "--device" in arguments else ["--device", "cpu"])])


def samples(path):
    with h5py.File(path / "samples.h5") as f:
        made = {name: text(value) or value for name, value in f.attrs.items() if name != "sha256"}
        return f["images"][()], f["z"][()], made


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def read_frames(path):
    with Image.open(path) as image:
        frames = []
        for i in range(image.n_frames):
            image.seek(i)
            frames.append(np.asarray(image.convert("RGB")))
        return np.array(frames), image.info


# What is written


def test_the_sha256_is_of_the_file_that_was_loaded(run, tmp_path, monkeypatch):
    """A training at work replaces the file while it is read: it is read once more."""
    path = tmp_path / "best.h5"
    path.write_bytes((run / "checkpoint.h5").read_bytes())
    arrays, meta = checkpoint.load(path)
    load, loads = checkpoint.load, []

    def replacing(path):
        loaded = load(path)
        if not loads:
            checkpoint.save(path, arrays, {**meta, "steps_done": 7})
        loads.append(path)
        return loaded

    monkeypatch.setattr(checkpoint, "load", replacing)
    assert command.load_hashed(path, "cpu")[-1] == hashlib.sha256(path.read_bytes()).hexdigest() and len(loads) == 2


def test_everything_is_written_and_agrees(run, tmp_path, capsys):
    out = tmp_path / "new" / "out"
    assert call(run, "--num", 30, "--seed", 3, "--out", out) == 0
    names = {"grid.png", "images", "interpolation.gif", "interpolation.png", "samples.h5"}
    assert {p.name for p in out.iterdir()} == names
    images, z, made = samples(out)
    assert images.dtype == np.uint8 and images.shape == (30, 28, 28) and len(np.unique(images, axis=0)) == 30
    np.testing.assert_array_equal(z, sampling.latents(range(30), 6, seed=3))
    generator, _ = load_generator(run / "checkpoint.h5")
    np.testing.assert_array_equal(images, generate(generator, z))
    digest = hashlib.sha256((run / "checkpoint.h5").read_bytes()).hexdigest()
    path = str(run / "checkpoint.h5")
    assert made == {"seed": 3, "truncation": 1.0, "checkpoint": path, "checkpoint_sha256": digest}
    assert [p.name for p in sorted((out / "images").iterdir())] == [f"{i:06d}.png" for i in range(30)]
    for i, image in enumerate(images):
        np.testing.assert_array_equal(read(out / "images" / f"{i:06d}.png"), image)
    np.testing.assert_array_equal(read(out / "grid.png"), image_grid(images, columns=6, scale=3))
    printed = capsys.readouterr().out
    assert path in printed and str(out / "grid.png") in printed


@pytest.mark.slow
def test_only_what_is_asked_for_is_written(run, tmp_path):
    for flag, names in {
        "--folder": ["images"],
        "--grid": ["grid.png"],
        "--hdf5": ["samples.h5"],
        "--interpolation": ["interpolation.gif", "interpolation.png"],
    }.items():
        call(run, "--num", 3, "--out", tmp_path / flag, flag)
        assert sorted(p.name for p in (tmp_path / flag).iterdir()) == names


def test_columns_of_the_grid(run, tmp_path):
    call(run, "--num", 5, "--grid", "--columns", 2, "--hdf5", "--out", tmp_path / "out")
    images = samples(tmp_path / "out")[0]
    np.testing.assert_array_equal(read(tmp_path / "out" / "grid.png"), image_grid(images, columns=2, scale=10))


def test_the_best_checkpoint_of_a_run_is_taken(tmp_path, capsys):
    last = write_checkpoint(tmp_path / "run" / "checkpoint.h5", seed=0)
    best = write_checkpoint(tmp_path / "run" / "best.h5", seed=1)
    sources = {"run": last.parent, "best": best, "last": last}
    for name, source in sources.items():
        call(source, "--hdf5", "--num", 2, "--out", tmp_path / "of" / name)
    assert capsys.readouterr().out.split(":")[0] == str(best)
    by_run, by_best, by_last = (samples(tmp_path / "of" / name)[0] for name in sources)
    np.testing.assert_array_equal(by_run, by_best)
    assert (by_run != by_last).any()


def test_default_directories_never_meet(tmp_path):
    path = write_checkpoint(tmp_path / "run" / "checkpoint.h5")
    for _ in range(2):
        call(path, "--num", 1, "--grid")
    assert sorted(p.name for p in path.parent.iterdir()) == ["checkpoint.h5", "generated", "generated-2"]


# Image i of a seed


def test_an_image_does_not_depend_on_how_many_are_drawn(run, tmp_path):
    few, many = 2, batch_size(tiny()) + 3  # the last batch of the second holds three
    for n in (few, many, many - 1):
        call(run, "--num", n, "--hdf5", "--out", tmp_path / str(n))
    images, z, _ = samples(tmp_path / str(many))
    for n in (few, many - 1):
        for a, b in zip(samples(tmp_path / str(n))[:2], (images, z), strict=True):
            np.testing.assert_array_equal(a, b[:n])


@pytest.mark.slow
def test_latents_are_normal_and_belong_to_their_numbers():
    z = sampling.latents(range(2000), 17, seed=5)
    assert z.shape == (2000, 17) and z.dtype == np.float32
    np.testing.assert_array_equal(sampling.latents([1999, 4, 4], 17, seed=5), z[[1999, 4, 4]])
    assert len(np.unique(z)) > 0.99 * z.size  # no two share a place in the stream
    assert np.abs(z.mean(axis=0)).max() < 0.08 and np.abs(np.cov(z.T) - np.eye(17)).max() < 0.12
    other = sampling.latents(range(2000), 17, seed=6)
    assert len(np.intersect1d(z, other)) < 0.02 * z.size
    assert sampling.latents([2**40], 7).shape == (1, 7) and sampling.latents([], 7).shape == (0, 7)


def test_batches_are_bounded(run, tmp_path, monkeypatch):
    """One size for a model, smaller for larger images."""
    assert batch_size(tiny()) == 250
    assert batch_size(dataclasses.replace(tiny(), image_size=128)) == 11
    seen = []
    forward = type(build(tiny())[0]).forward
    monkeypatch.setattr(type(build(tiny())[0]), "forward", lambda self, z: seen.append(len(z)) or forward(self, z))
    call(run, "--num", 600, "--grid", "--interpolation", "--out", tmp_path / "out")
    assert seen == [250] * 4


# Devices


@pytest.mark.slow
@pytest.mark.parametrize("variant", slow_but_the_first(VARIANTS))
@pytest.mark.parametrize(("trained", "sampled"), slow_but_the_first([("strict", "cpu"), ("cpu", "strict")]))
def test_a_checkpoint_samples_on_the_other_device(tmp_path, variant, trained, sampled):
    path = write_checkpoint(tmp_path / "checkpoint.h5", variant, trained)
    generator, _ = load_generator(path, sampled)
    assert {type(t.data) for _, t in generator.named_tensors()} == {StrictArray if sampled == "strict" else np.ndarray}
    for device in (trained, sampled):
        arguments = ["--num", 3, "--truncation", 0.8, "--interpolation", 0, 1, "--hdf5"]
        call(path, *arguments, "--device", device, "--out", tmp_path / device)
    (images, z, _), (other_images, other_z, _) = (samples(tmp_path / device) for device in (trained, sampled))
    np.testing.assert_array_equal(z, other_z)
    gifs = [read_frames(tmp_path / device / "interpolation.gif")[0] for device in (trained, sampled)]
    for a, b in ((images, other_images), gifs):  # a pixel is a rounded float32: it may differ by one grey level
        np.testing.assert_allclose(a.astype(int), b.astype(int), atol=1)


def test_batch_norm_takes_its_running_statistics(tmp_path):
    path = write_checkpoint(tmp_path / "checkpoint.h5", "cnn", cnn_batch_norm=True)
    generator, config = load_generator(path)
    assert not any(m.training for m in generator.modules())
    z = latents(config, 5)
    np.testing.assert_allclose(generate(generator, z)[:1].astype(int), generate(generator, z[:1]).astype(int), atol=1)


# Interpolation


def angles(z):
    z = z.astype(np.float64)
    u = z / np.linalg.norm(z, axis=1, keepdims=True)
    return np.arccos((u[1:] * u[:-1]).sum(axis=1).clip(-1, 1))


@pytest.mark.parametrize("size", [2, 6, 512])
def test_slerp_turns_evenly_and_keeps_the_length_between_its_ends(size):
    rng = np.random.default_rng(size)
    for _ in range(20):
        a, b = rng.normal(size=(2, size)).astype(np.float32)
        z = slerp(a, b, np.linspace(0, 1, 11))
        assert z.dtype == np.float32
        np.testing.assert_array_equal(z[[0, -1]], [a, b])
        lengths = np.linalg.norm(z.astype(np.float64), axis=1)
        np.testing.assert_allclose(lengths, np.linspace(lengths[0], lengths[-1], 11), rtol=1e-6)
        between = angles(np.array([a, b]))[0]
        np.testing.assert_allclose(angles(z), between / 10, rtol=1e-3)
        assert np.linalg.matrix_rank(z, tol=1e-3) == 2  # in the plane of a and b


def test_slerp_between_the_same_and_opposite_directions():
    a = np.array([3.0, -4.0], np.float32)
    np.testing.assert_allclose(slerp(a, 2 * a, np.array([0, 0.5, 1])), [a, 1.5 * a, 2 * a], rtol=1e-6)
    np.testing.assert_allclose(slerp(a, -a, np.array([0, 0.5, 1])), [a, 0 * a, -a])


def test_a_closed_path_visits_its_keys():
    keys = sampling.latents([5, 2, 9], 6)
    z = closed_path(keys, 8)
    assert z.shape == (24, 6)
    np.testing.assert_array_equal(z[::8], keys)
    np.testing.assert_array_equal(z[16:], slerp(keys[2], keys[0], np.arange(8) / 8))


@pytest.mark.slow
def test_the_animation_passes_through_the_images(run, tmp_path):
    keys = [7, 2, 11]
    call(run, "--num", 12, "--seed", 4, "--hdf5", "--interpolation", *keys, "--out", tmp_path / "out")
    images, z, _ = samples(tmp_path / "out")
    frames, info = read_frames(tmp_path / "out" / "interpolation.gif")
    assert (info["loop"], info["duration"], frames.shape) == (0, 40, (72, 280, 280, 3))
    small = frames[:, ::10, ::10, 0]
    np.testing.assert_array_equal(frames, small.repeat(10, axis=1).repeat(10, axis=2)[..., None].repeat(3, axis=3))
    np.testing.assert_array_equal(small[::24], images[keys])
    generator, _ = load_generator(run / "checkpoint.h5")
    np.testing.assert_array_equal(small, generate(generator, closed_path(z[keys], 24)))
    rows = [small[(24 * k + np.arange(0, 25, 3)) % 72] for k in range(3)]
    np.testing.assert_array_equal(
        read(tmp_path / "out" / "interpolation.png"), image_grid(np.concatenate(rows), 9, scale=2)
    )


def test_colours_of_an_animation_are_near(tmp_path):
    y, x = np.mgrid[0:48, 0:48] / 47
    planes = [np.stack([x, y, (x + y + t) % 1], axis=-1) for t in np.linspace(0, 1, 5)]
    frames = [np.round(255 * plane).astype(np.uint8) for plane in planes]
    save_loop(frames, tmp_path / "colours.gif")
    shown, _ = read_frames(tmp_path / "colours.gif")
    error = shown[:, ::5, ::5].astype(float) - frames
    assert shown.shape == (5, 240, 240, 3)
    assert 10 * np.log10(255**2 / (error**2).mean()) > 30  # dB, of 2,304 colours in every frame


# Truncation


@pytest.mark.parametrize("variant", VARIANTS)
def test_truncation_draws_w_towards_its_mean(variant):
    config = tiny(variant)
    z = Tensor(latents(config, 4000, seed=8))

    def w_of(psi):
        generator = shake(build(config)[0])
        truncate(generator, psi)
        with no_grad():
            return generator.mapping(z).data

    w, half, none = w_of(1), w_of(0.5), w_of(0)
    np.testing.assert_allclose(none, none[:1].repeat(4000, axis=0), atol=1e-6)
    spread = w.std(axis=0)
    assert (np.abs(none[0] - w.mean(axis=0)) < 0.1 * spread).all() and (spread > 0.01).all()
    np.testing.assert_allclose(half, (w + none) / 2, atol=1e-5)


def test_truncation_reaches_the_images(run, tmp_path):
    for psi in (1, 0.5, 0):
        call(run, "--num", 20, "--hdf5", "--truncation", psi, "--out", tmp_path / str(psi))
    spread = [samples(tmp_path / str(psi))[0].std(axis=0).mean() for psi in (1, 0.5, 0)]
    assert spread[0] > 1.5 * spread[1] > 0 and spread[2] == 0
    assert samples(tmp_path / "0.5")[2]["truncation"] == 0.5


# Bad input, and nothing half-written


BAD = {
    "--num must be at least 1": ["--num", "0"],
    "--seed must be from 0": ["--seed", "-1"],
    "--seed must be": ["--seed", str(2**32)],
    "--truncation must be from 0 to 1, not 1.5": ["--truncation", "1.5"],
    "--truncation must be from 0 to 1, not nan": ["--truncation", "nan"],
    "--columns must be at least 1": ["--columns", "0"],
    "--columns goes with --grid": ["--columns", "3", "--hdf5"],
    "two or more images": ["--interpolation", "4"],
    "counted from 0": ["--interpolation", "4", "-1"],
    "images are numbered": ["--interpolation", "0", "99999999999999999999999"],
}


@pytest.mark.parametrize("sentence", BAD)
def test_bad_flags_are_one_sentence(run, sentence, tmp_path):
    with pytest.raises(InputError) as error:
        call(run, *BAD[sentence], "--out", tmp_path / "out")
    assert sentence in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_what_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "text.h5").write_text("text")
    with h5py.File(tmp_path / "other.h5", "w") as f:
        f["images"] = np.zeros(3)
    checkpoint.save(tmp_path / "classifier.h5", {"digits": {"w": np.zeros(3)}}, {})
    path = write_checkpoint(tmp_path / "changed.h5")
    arrays, meta = checkpoint.load(path)
    arrays["ema"].popitem()
    checkpoint.save(path, arrays, meta)
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.iterdir())
    for name, sentence in {
        "absent.h5": "there is no such file or folder",
        "text.h5": "not a readable checkpoint",
        "other.h5": "not of the format 'minigan checkpoint 1'",
        "classifier.h5": "not of a training run",
        "changed.h5": "cannot be read by this version",
        "empty": "not the directory of a run",
    }.items():
        with pytest.raises(InputError, match=sentence) as error:
            call(tmp_path / name)
        assert name in str(error.value) and "\n" not in str(error.value)
    assert sorted(tmp_path.iterdir()) == before


def test_a_directory_that_holds_something_is_left_alone(run, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    for out in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(InputError, match="choose another --out"):
            call(run, "--num", 1, "--out", out)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("mine.txt", "mine")]


def test_a_directory_is_refused_before_the_weights_are_read_or_written(run, tmp_path, monkeypatch):
    (tmp_path / "mine.txt").write_text("mine")
    monkeypatch.setattr(command, "load_hashed", None)
    with pytest.raises(InputError, match="choose another --out"):
        call(run, "--num", 1, "--grid", "--out", tmp_path, "--export", tmp_path / "w.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_an_empty_directory_is_filled(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call(run, "--num", 1, "--grid", "--out", ".")
    assert os.listdir() == ["grid.png"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize("existing", [False, True])
def test_nothing_half_written_stays(run, tmp_path, monkeypatch, error, existing):
    def fail(*_):
        raise error

    monkeypatch.setattr(figures, "save_loop", fail)
    out = tmp_path / "out"
    if existing:
        out.mkdir()
    with pytest.raises(error):
        call(run, "--num", 3, "--out", out)
    assert list(tmp_path.rglob("*")) == ([out] if existing else [])


def process(*arguments):
    """A real process; warnings are errors there too."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "experiments.generate", *map(str, arguments)],
        **{"capture_output": True, "text": True, "timeout": 300},
    )


def test_help_is_quick_and_worth_reading():
    def processor_seconds():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    start = processor_seconds()
    done = process("--help")
    assert processor_seconds() - start < 0.5  # without NumPy and its company
    assert done.returncode == 0
    for word in ("--truncation", "--interpolation", "examples:", "best.h5"):
        assert word in done.stdout


@pytest.mark.slow
def test_a_real_process(run, tmp_path):
    done = process(run, "--num", 2, "--out", tmp_path / "out")
    assert done.returncode == 0 and done.stderr == "" and "interpolation.gif" in done.stdout
    done = process(tmp_path / "nowhere.h5")
    assert (done.returncode, done.stderr) == (2, f"error: {tmp_path / 'nowhere.h5'}: there is no such file or folder\n")
