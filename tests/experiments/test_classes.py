"""Classes in the commands: by name and by number, from folders, and of a run that --init names."""

import argparse
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from PIL import Image
from tiny_runs import IMAGES, LABELS, TINY

from experiments import generate as generate_command
from experiments import mnist
from experiments.parts.classes import classes_of
from minigan import checkpoint
from minigan.config import build
from minigan.data import Dataset
from minigan.errors import InputError
from minigan.presets import resolve
from minigan.showing import MOST_ROWS, Showing, classes_shown


@pytest.mark.parametrize(
    "names, asked, found",
    [
        (["cat", "dog", "2"], ["dog", "2"], [1, 2]),
        (["5", "3", "x"], ["3", "x"], [1, 2]),  # the name 3, not the number
        (["cat", "all", "dog"], ["all"], [1]),
        (["cat", "ape", "dog"], ["all"], [0, 1, 2]),
        ([], ["2", "0"], [2, 0]),
    ],
)
def test_a_class_is_asked_for_by_name_or_by_number(names, asked, found):
    generator = build(resolve(**{**TINY, "classes": 3}))[0]
    args = argparse.Namespace(label=asked, checkpoint="run")
    labels_of = generate_command.choose_labels(args, generator, names)
    assert args.label == found and labels_of(range(4)).tolist() == [found[i % len(found)] for i in range(4)]


@pytest.mark.parametrize(
    "names, asked, sentence",
    [
        (["5", "3", "x"], ["0"], "--label 0: the run has the classes 5, 3, x"),
        (["a", "b", "c"], ["3"], "--label 3: the run has the classes a, b, c"),
        (["a", "b", "c"], ["all", "b"], "--label all stands alone"),
        ([], ["0", "all"], "--label all stands alone"),
    ],
)
def test_what_is_no_class_is_one_sentence(names, asked, sentence):
    generator = build(resolve(**{**TINY, "classes": 3}))[0]
    with pytest.raises(InputError, match=sentence):
        generate_command.choose_labels(argparse.Namespace(label=asked, checkpoint="run"), generator, names)


@pytest.mark.parametrize("names", [None, "abc", ["a", "b"], ["a", "b", 3], {"a": 1, "b": 2, "c": 3}])
def test_names_that_do_not_fit_the_classes_are_none(names):
    assert generate_command.class_names({"class_names": names}, resolve(**{**TINY, "classes": 3})) == []
    assert generate_command.class_names({}, resolve(**{**TINY, "classes": 3})) == []


@pytest.mark.slow
def test_a_folder_for_each_class_trains_and_is_compared(tmp_path, monkeypatch, capsys):
    from experiments import fid

    monkeypatch.chdir(tmp_path)
    for i in range(12):
        place = tmp_path / "data" / "abc"[i % 3]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(IMAGES[i]).save(place / f"{i}.png")
    sizes = [f"--{n.replace('_', '-')}={v}" for n, v in TINY.items()]
    flags = ["--labels", "--data", "data", "--device", "cpu", "--no-loops", "--out", "run", *sizes]
    assert mnist.main(flags) == 0
    assert checkpoint.load(tmp_path / "run" / "checkpoint.h5")[1]["config"]["classes"] == 3
    for label in ("b", "1"):
        assert generate_command.main(["run", "--label", label, "--num", "2", "--hdf5", "--out", f"drawn-{label}"]) == 0
        assert "label b" in capsys.readouterr().out
    named, numbered = (h5py.File(tmp_path / f"drawn-{label}" / "samples.h5") for label in ("b", "1"))
    np.testing.assert_array_equal(named["images"][:], numbered["images"][:])
    with pytest.raises(InputError, match="--label z: the run has the classes a, b, c; give some of them, or all"):
        generate_command.main(["run", "--label", "z", "--out", "none"])
    assert "a row for each class (a, b, c)" in (tmp_path / "run" / "report.html").read_text()

    place = tmp_path / "data" / "d"  # a class more, after the run
    place.mkdir()
    for name in ("12.png", "13.png"):
        Image.fromarray(IMAGES[0]).save(place / name)
    with pytest.raises(InputError, match=r"run: the run was trained on other images than these \(data\)"):
        mnist.main(["--resume", "run", "--steps", "99", "--device", "cpu"])
    init = ["--init", "run", "--device", "cpu", "--dry-run", "--steps", "1"]
    with pytest.raises(InputError, match="--init: .* was trained with 3 classes, and data has 4"):
        mnist.main([*init, "--data", "data"])
    with pytest.raises(InputError, match="--init: .* was trained with 3 classes: a has no labels"):
        mnist.main([*init, "--data", "data/a"])
    assert fid.main(["run", "data", "--num", "6", "--device", "cpu", "--features", "random"]) == 0
    assert "random-FID" in capsys.readouterr().out


def test_labels_that_another_run_does_not_know_are_refused():
    weights = lambda classes: SimpleNamespace(config=SimpleNamespace(classes=classes), path="RUN")  # noqa: E731
    digits, bare = Dataset(IMAGES, LABELS, "some digits", 10), Dataset(IMAGES, None, "pictures", None)
    assert classes_of(weights(12), digits, True) == classes_of(weights(12), digits, False) == 12
    assert classes_of(weights(0), bare, False) == 0
    for known, data, asked, sentence in (
        (9, digits, False, "--init: RUN was trained with 9 classes, and some digits has 10"),
        (9, bare, False, "--init: RUN was trained with 9 classes: pictures has no labels"),
        (9, bare, True, "--labels: pictures has no labels"),
        (0, digits, True, "without --labels"),
    ):
        with pytest.raises(InputError, match=sentence):
            classes_of(weights(known), data, asked)


def test_the_rows_of_a_grid_are_named_as_they_are_shown():
    """Only classes that have a row are named. Not all of many classes have one, and a class without images has none."""
    names = [f"class {k}" for k in range(42)]
    labels = np.delete(np.arange(42), 3)
    gan = SimpleNamespace(config=SimpleNamespace(classes=42))
    showing = Showing(gan, Dataset(np.zeros((41, 28, 28), np.uint8), labels, "some", 42, class_names=names))
    assert showing.row_names == [names[k] for k in classes_shown(labels)] and len(showing.row_names) == MOST_ROWS
    assert names[0] in showing.row_names and names[-1] in showing.row_names and names[3] not in showing.row_names
    showing.gan.config.classes = 0
    assert showing.row_names is None
