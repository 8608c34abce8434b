"""Classes: how both networks are told them, which ones a batch, a grid and a sample have, and how they are judged."""

import dataclasses

import h5py
import numpy as np
import pytest
from PIL import Image
from tiny_models import VARIANTS, image_batch, latents, networks, tiny, tiny_gan
from tiny_runs import DATA, IMAGES, LABELS, TINY

from autograd import Tensor, gradcheck, no_grad
from autograd.random import RandomStream
from experiments import generate as generate_command
from experiments import mnist
from minigan import checkpoint
from minigan.config import Config, build
from minigan.data import Dataset
from minigan.errors import InputError
from minigan.evaluate import label_accuracy
from minigan.labels import ClassInput, ClassProjection, class_shares, draw_labels, one_hot
from minigan.log import read_log
from minigan.presets import resolve
from minigan.report import write_report
from minigan.sampling import image_labels, load_generator
from minigan.showing import COLUMNS
from minigan.step import GAN
from minigan.train import Run

K = 5


def told(*labels, classes=K):
    return Tensor(one_hot(labels, classes))


# ---- the layers


def test_the_class_adds_its_row_to_w():
    layer = ClassInput(K, 8, rng=RandomStream(0))
    w = np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32)
    rows = layer.embedding.weight.data.T
    np.testing.assert_array_equal(layer(Tensor(w), told(4, 0, 4)).data, w + rows[[4, 0, 4]])
    assert 0.18 < rows.std() < 0.42  # 40 numbers of N(0, 0.3²): five times 0.3/√80


def test_the_class_adds_its_row_times_the_features_to_the_logit():
    layer = ClassProjection(K, 8, norm=None, rng=RandomStream(0))
    h = np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32)
    expected = (layer.embedding.weight.data.T[[1, 1, 3]].astype(float) * h).sum(axis=1)
    np.testing.assert_allclose(layer(Tensor(h), told(1, 1, 3)).data, expected, rtol=1e-5, atol=1e-6)


def test_gradients_of_the_projection_to_second_order():
    layer = ClassProjection(K, 6, norm=None, rng=RandomStream(0))

    def logit(h, weight):
        object.__setattr__(layer.embedding, "weight", weight)
        return layer(h, Tensor(one_hot([1, 1, 3], K).astype(float)))

    rng = np.random.default_rng(0)
    gradcheck(logit, rng.standard_normal((3, 6)), rng.standard_normal((6, K)), order=2)


# ---- the networks


@pytest.mark.parametrize("variant", VARIANTS)
def test_both_networks_tell_classes_apart(variant):
    c = tiny(variant, classes=K)
    generator, discriminator = networks(variant, classes=K)
    z = np.repeat(latents(c, 1), 2, axis=0)
    x = np.repeat(image_batch(c, 1), 2, axis=0)
    with no_grad():
        images, logits = generator(Tensor(z), told(0, 3)).data, discriminator(Tensor(x), told(0, 3)).data
    assert abs(images[0] - images[1]).max() > 1e-3 and abs(logits[0] - logits[1]) > 1e-3


@pytest.mark.parametrize("variant", VARIANTS)
def test_classes_change_no_other_weight(variant):
    """So a seed gives the same networks with labels and without; but for w, which begins three times as large."""
    for plain, labelled in zip(build(tiny(variant)), build(tiny(variant, classes=K)), strict=True):
        more = labelled.state_dict()
        for name, a in plain.state_dict().items():
            larger = name == "mapping.layers.1.weight" and variant != "cnn"
            np.testing.assert_allclose(a * 3 if larger else a, more.pop(name), rtol=1e-6 if larger else 0)
        assert {name.split(".")[0] for name in more} == {"classes"}


def test_a_class_is_given_exactly_where_there_are_classes():
    generator, discriminator = networks("vanilla", classes=K)
    c = tiny("vanilla")
    for network, x in ((generator, latents(c)), (discriminator, image_batch(c))):
        with pytest.raises(ValueError, match="give the classes"):
            network(Tensor(x))
    generator, discriminator = networks("vanilla")
    for network, x in ((generator, latents(c)), (discriminator, image_batch(c))):
        with pytest.raises(ValueError, match="without classes"):
            network(Tensor(x), told(0, 1, 2, 3))


# ---- a step


class Elsewhere:
    """Images that are not held on the device."""

    def __init__(self, images):
        self.images, self.shape, self.ndim, self.nbytes = images, images.shape, images.ndim, images.nbytes
        self.dtype = images.dtype

    def __len__(self):
        return len(self.images)

    def __getitem__(self, rows):
        return self.images[rows]


def watched_gan(streamed):
    """A GAN on images of which every pixel is 10 × the label, and what its discriminator sees."""
    labels = np.random.default_rng(0).integers(0, K, 40)
    images = np.broadcast_to(10 * labels[:, None, None], (40, 28, 28)).astype(np.uint8).copy()
    gan, seen = GAN(tiny(classes=K), Elsewhere(images) if streamed else images, labels=labels), []
    assert (gan.prefetch is not None) == streamed
    forward = gan.discriminator.forward
    gan.discriminator.forward = lambda x, c: seen.append((x.data, c.data.argmax(axis=1))) or forward(x, c)
    return gan, seen


@pytest.mark.parametrize("streamed", [False, True])
def test_real_images_keep_their_labels_held_or_streamed(streamed):
    gan, seen = watched_gan(streamed)
    for _ in range(3):
        gan.step()
    judged = [(x, c) for x, c in seen if len(c) > 4]
    assert len(judged) == 3
    for x, c in judged:
        assert len(c) == 16 and (c.reshape(4, 4) == c[:4]).all()  # real, fake, and both moved by the penalty
        np.testing.assert_array_equal(np.round((x[:4, 0, 0, 0] + 1) * 127.5 / 10), c[:4])
    assert len({tuple(c[:4]) for _, c in judged}) > 1


def test_the_shares_of_the_classes_are_those_of_the_labels():
    gan = GAN(resolve(**TINY, classes=12), IMAGES, labels=LABELS)
    expected = np.bincount(LABELS, minlength=12) / len(LABELS)
    np.testing.assert_allclose(gan.ema.model.classes.shares.data, expected, rtol=1e-6)


@pytest.mark.parametrize("labels", [None, LABELS[:5], LABELS - 1, LABELS + 9], ids=["none", "few", "negative", "many"])
def test_labels_that_do_not_fit_are_refused(labels):
    with pytest.raises(InputError, match="label"):
        GAN(resolve(**TINY, classes=10), IMAGES, labels=labels)


# ---- labels of samples


def test_a_label_belongs_to_its_number_and_comes_by_its_share():
    shares = np.array([0.5, 0, 0.3, 0.2], np.float32)
    labels = draw_labels(shares, range(4000), RandomStream(1))
    np.testing.assert_array_equal(draw_labels(shares, [3999, 7], RandomStream(1)), labels[[3999, 7]])
    found = np.bincount(labels, minlength=4) / 4000
    assert found[1] == 0 and abs(found - shares).max() < 5 * (0.25 / 4000) ** 0.5  # five standard deviations
    assert draw_labels(np.array([0, 1, 0], np.float32), range(9), RandomStream(0)).tolist() == [1] * 9


def test_class_shares_are_a_histogram():
    np.testing.assert_array_equal(class_shares(np.array([2, 0, 2, 2]), 4), np.float32([0.25, 0, 0.75, 0]))


def test_accuracy_by_class():
    found, asked = np.array([3, 3, 1, 0]), np.array([3, 3, 3, 0])
    record = label_accuracy(found, asked)
    assert record["label_accuracy"] == 0.75
    assert record["class_accuracy"] == [1.0, None, None, pytest.approx(2 / 3), *[None] * 6]


# ---- a run


def start(directory, labels=LABELS, **options):
    data = Dataset(IMAGES, labels, "drawn digits", 10)
    gan = GAN(resolve(**{**TINY, "classes": 10, **options}), IMAGES, labels=labels)
    judge = lambda x, asked: {"mean": x.mean(), **label_accuracy(asked, asked)}  # noqa: E731
    return Run(gan, directory, data, "python -m experiments.mnist --labels", evaluate=judge)


def resume(directory, labels=LABELS):
    arrays, meta = checkpoint.load(directory / "checkpoint.h5")
    gan = GAN(Config(**meta["config"]), IMAGES, labels=labels)
    run = Run(gan, directory, Dataset(IMAGES, labels, DATA.name, 10), meta["command"])
    run.load(arrays, meta)
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The directory of a finished run with labels."""
    directory = tmp_path_factory.mktemp("run") / "labels"
    start(directory).train()
    return directory


def test_a_resumed_run_is_the_unbroken_one_bit_for_bit(run, tmp_path):
    broken = start(tmp_path)
    broken.summarise = lambda: None
    step = broken.gan.step

    def stop_at_7():
        step()
        broken.stop_signal = broken.gan.steps_done == 7 or None

    broken.gan.step = stop_at_7
    broken.train()
    resumed = resume(tmp_path)
    resumed.summarise = lambda: None
    assert resumed.gan.steps_done == 7
    resumed.train()
    (a, _), (b, _) = (checkpoint.load(d / "checkpoint.h5") for d in (run, tmp_path))
    for group in a:
        for name in a[group]:
            np.testing.assert_array_equal(a[group][name], b[group][name], err_msg=f"{group} {name}")


def test_a_run_does_not_go_on_with_other_labels(run):
    with pytest.raises(InputError, match="other images"):
        resume(run, labels=np.roll(LABELS, 1))


BLACK = np.zeros((100, 28, 28), np.uint8)


def test_a_row_of_the_grid_is_a_class_and_a_column_one_z(run, tmp_path, monkeypatch):
    made = start(tmp_path)
    asked = []
    monkeypatch.setattr(made.gan, "sample", lambda z, c: asked.append((z, c)) or BLACK[: len(z)])
    assert made.showing.grid().shape == (100, 28, 28)
    [(z, classes)] = asked
    np.testing.assert_array_equal(classes.argmax(axis=1).reshape(10, COLUMNS), np.arange(10)[:, None] + np.zeros(10))
    np.testing.assert_array_equal(z.reshape(10, COLUMNS, -1), np.broadcast_to(z[:COLUMNS], (10, COLUMNS, z.shape[1])))
    np.testing.assert_array_equal(LABELS[made.showing.rows()].reshape(10, COLUMNS), classes.argmax(1).reshape(10, -1))
    with Image.open(run / "samples" / "step-000012.png") as grid:
        assert grid.size == (298, 298)


def test_samples_keep_their_labels_and_the_report_has_the_accuracy_of_each_class(run):
    with h5py.File(run / "samples.h5") as f:
        labels = f["labels"][()]
    assert len(labels) == 20 and set(labels) <= set(LABELS)
    record = read_log(run / "log.jsonl")[-1]
    assert record["label_accuracy"] == 1.0 and len(record["class_accuracy"]) == 10
    page = write_report(run).read_text()
    assert "of the class asked for" in page and f"class {labels[0]}" in page
    assert "a row for each class, a column for each z" in page


# ---- files and commands


def call(*arguments):
    return generate_command.main([*map(str, arguments), "--device", "cpu"])


def made(directory):
    with h5py.File(directory / "samples.h5") as f:
        return f["images"][()], f["labels"][()]


def test_images_of_chosen_classes(run, tmp_path):
    assert call(run, "--label", 7, "--num", 6, "--hdf5", "--out", tmp_path / "one") == 0
    assert call(run, "--label", 2, 7, "--num", 6, "--hdf5", "--grid", "--out", tmp_path / "two") == 0
    assert call(run, "--label", "all", "--num", 20, "--hdf5", "--grid", "--out", tmp_path / "all") == 0
    assert call(run, "--num", 6, "--hdf5", "--interpolation", "--out", tmp_path / "drawn") == 0
    (one, sevens), (two, labels), (_, every), (_, drawn) = (made(tmp_path / n) for n in ("one", "two", "all", "drawn"))
    assert sevens.tolist() == [7] * 6 and labels.tolist() == [2, 7] * 3
    np.testing.assert_array_equal(one[1::2], two[1::2])  # an image depends on its number and its class alone
    known = np.unique(LABELS).tolist()
    assert every.tolist() == [known[i % len(known)] for i in range(20)]
    generator, _ = load_generator(run / "checkpoint.h5")
    np.testing.assert_array_equal(drawn, image_labels(generator, range(6)))
    with Image.open(tmp_path / "two" / "grid.png") as grid:
        assert grid.width > grid.height  # two rows of three


@pytest.mark.parametrize("label", ["17", "-1", "x"])
def test_a_class_that_the_run_does_not_have_is_one_sentence(run, tmp_path, label):
    with pytest.raises(InputError, match="the run has the classes"):
        generate_command.main([str(run), f"--label={label}", "--out", str(tmp_path / "new")])
    assert not (tmp_path / "new").exists()


def test_a_run_without_labels_has_no_class_to_choose(tmp_path):
    gan = tiny_gan("cnn")
    arrays, meta = gan.state()
    config = dataclasses.asdict(gan.config)
    del config["classes"]  # as in a checkpoint from before there were labels
    checkpoint.save(tmp_path / "checkpoint.h5", arrays, {**meta, "config": config})
    assert load_generator(tmp_path / "checkpoint.h5")[1].classes == 0
    with pytest.raises(InputError, match="without --labels"):
        call(tmp_path, "--label", 7)


def test_images_without_labels_are_one_sentence(tmp_path):
    for i in range(4):
        Image.fromarray(IMAGES[i]).save(tmp_path / f"{i}.png")
    with pytest.raises(InputError, match="has no labels"):
        mnist.main(["--labels", "--data", str(tmp_path), "--device", "cpu", "--dry-run"])


def test_weights_of_another_run_keep_the_shares_of_these_images():
    """A run on twice as many ones as zeros starts from one with equal shares."""
    config = resolve(**{**TINY, "classes": 2})
    labels = np.arange(len(IMAGES)) % 2
    other, gan = GAN(config, IMAGES, labels=labels), GAN(config, IMAGES, labels=np.arange(len(IMAGES)) % 3 > 0)
    arrays, _ = other.state()
    gan.start_from(arrays, "a run")
    expected = class_shares(np.arange(len(IMAGES)) % 3 > 0, 2)
    for generator in (gan.generator, gan.ema.model):
        np.testing.assert_array_equal(generator.classes.shares.data, expected)


def test_a_dry_run_keeps_the_labels_of_drawn_images(monkeypatch, capsys):
    """Of 1,000 drawn digits 500 stand for all; on two cores the time that ranks would take is measured too."""
    monkeypatch.setattr("experiments.parts.dry_run.ranks_to_use", lambda gan: 2)
    small = [
        f"--{name.replace('_', '-')}={TINY[name]}" for name in ("g_width", "d_width", "g_depth", "d_depth", "batch")
    ]
    flags = ["--labels", "--digits", "1000", "--device", "cpu", "--no-loops", "--features", "none", "--dry-run"]
    assert mnist.main([*flags, *small, "--g-heads", "1", "--d-heads", "1"]) == 0
    assert "with 2 ranks" in capsys.readouterr().out
