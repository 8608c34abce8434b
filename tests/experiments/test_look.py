"""`python -m experiments.images DIR --look` and `--holdout`: what there is to train on, and what is kept from it."""

import numpy as np
import pytest
from PIL import Image

from experiments import images
from experiments.parts.look import survey
from minigan.data import load_pictures
from minigan.data.load import held_out
from minigan.errors import InputError


@pytest.fixture
def folder(tmp_path):
    """Six grey pictures of two sizes in two classes, a text file that says it is a picture, and another file."""
    root = tmp_path / "pictures"
    for i in range(6):
        place = root / ("cats" if i < 4 else "dogs") / f"{i}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8 + 4 * (i % 2)), 40 * i, np.uint8)).save(place)
    (root / "dogs" / "<b>.jpg").write_text("no picture")
    (root / "notes.txt").write_text("notes")
    return root


def test_look_says_what_was_found_and_trains_nothing(folder, tmp_path, capsys):
    out = tmp_path / "look"
    assert (
        images.main([str(folder), "--look", "--size", "8", "--cache", str(tmp_path / "cache"), "--out", str(out)]) == 0
    )
    printed = capsys.readouterr()
    assert "6 pictures, 8 × 8 grey for training" in printed.out
    assert "sizes 8 × 8 (3), 12 × 8 (3)" in printed.out and "formats PNG L (6)" in printed.out
    assert "2 classes by sub-folder: cats (4), dogs (2)" in printed.out
    assert "1 cannot be read" in printed.out and "1 other files: .txt (1)" in printed.out
    page = (out / "index.html").read_text()
    assert "dogs/&lt;b&gt;.jpg" in page and "it begins as no known format does" in page and "<b>.jpg" not in page
    with Image.open(out / "grid.png") as grid:
        assert sorted(set(np.asarray(grid).ravel()) - {0}) == [40, 80, 120, 160, 200]
    assert sorted(path.name for path in out.iterdir()) == ["grid.png", "index.html"]


def test_look_says_which_pictures_will_be_enlarged(folder, tmp_path):
    lines = survey(folder, 16, tmp_path / "cache").lines()
    assert "6 of 6 are smaller than 16 pixels, so they are enlarged" in lines


def test_the_same_pictures_are_held_out_whatever_their_order():
    names = [f"{i}.png" for i in range(1000)]
    out = {name for name, held in zip(names, held_out(names, 0.1), strict=True) if held}
    back = names[::-1] + ["another.png"]
    again = {name for name, held in zip(back, held_out(back, 0.1), strict=True) if held}
    assert len(out) == 100 and len(out - again) <= 1


def test_holdout_splits_the_pictures_and_their_labels(folder, tmp_path):
    (folder / "dogs" / "<b>.jpg").unlink()
    parts = {s: load_pictures(folder, s, 8, tmp_path / "cache", holdout=1 / 3) for s in ("train", "test")}
    shades = {split: sorted(data.images[:, 0, 0].tolist()) for split, data in parts.items()}
    assert sorted(shades["train"] + shades["test"]) == [0, 40, 80, 120, 160, 200] and len(shades["test"]) == 2
    for data in parts.values():
        np.testing.assert_array_equal(data.labels, data.images[:, 0, 0] >= 160)  # the last two are dogs
    assert parts["train"].digest != parts["test"].digest
    with pytest.raises(InputError, match="has no test images of its own"):
        load_pictures(folder, "test", 8, tmp_path / "cache")
    with pytest.raises(InputError, match="--holdout 0.01 of 6 pictures leaves no test images"):
        load_pictures(folder, "test", 8, tmp_path / "cache", holdout=0.01)


@pytest.mark.parametrize(
    "flags, sentence",
    [
        (["--look"], "give the pictures: a folder, a zip or a tar"),
        (["nowhere", "--look"], "nowhere"),
        (["x", "--data", "y"], "give the pictures once: x or --data y"),
        (["x", "--holdout", "1"], "--holdout must be between 0 and 1, not 1"),
        (["x", "--look", "--resume", "y"], "--look is for pictures"),
    ],
)
def test_bad_flags_are_one_sentence(flags, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        images.main([*flags, "--cache", str(tmp_path)])
