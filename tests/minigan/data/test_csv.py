"""CSV files of images, as Kaggle and others publish MNIST and its relatives. The right values are NumPy's."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from minigan.data import csv_images, load_data
from minigan.errors import InputError
from minigan.metrics.loaders import open_images

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 9, 9), dtype=np.uint8)
LABELS = np.array([3, 0, 9, 9, 1, 4])
PIXELS = [f"pixel{i}" for i in range(81)]


def write(path, *columns, header=None, end="\n", opener=open):
    table = np.concatenate([np.asarray(c).reshape(6, -1) for c in columns], axis=1)
    lines = [*([",".join(header)] if header else []), *(",".join(map(str, row)) for row in table)]
    with opener(path, "wb") as file:
        file.write(end.join([*lines, ""]).encode())
    return path


FORMS = {
    "label and pixel0 to pixel783 (Kaggle)": {"columns": (LABELS, IMAGES), "header": ["label", *PIXELS]},
    "without a header": {"columns": (LABELS, IMAGES)},
    "pixels alone (Kaggle's test.csv)": {"columns": (IMAGES,), "header": PIXELS},
    "class at the end (OpenML)": {"columns": (IMAGES, LABELS), "header": [*PIXELS, "class"]},
    "names like 1x1, in quotes": {"columns": (LABELS, IMAGES), "header": ['"label"', *(f'"1x{i}"' for i in range(81))]},
    "target at the end (scikit-learn)": {"columns": (IMAGES, LABELS), "header": [*PIXELS, "target"]},
    "digit at the end": {"columns": (IMAGES, LABELS), "header": [*PIXELS, "digit"]},
    "y at the end, pixels numbered (pandas)": {"columns": (IMAGES, LABELS), "header": [*map(str, range(81)), "y"]},
    "a spreadsheet's": {"columns": (LABELS, IMAGES), "header": ["\ufefflabel", *PIXELS], "end": "\r\n"},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "opener"), [("a.csv", open), ("A.CSV.gz", gzip.open)])
def test_every_form_is_read(tmp_path, form, name, opener):
    how = dict(FORMS[form])
    columns = how.pop("columns")
    path = write(tmp_path / name, *columns, **how, opener=opener)
    data = load_data(path)
    np.testing.assert_array_equal(data.images, IMAGES)
    if len(columns) == 1:
        assert data.labels is data.classes is None
    else:
        np.testing.assert_array_equal(data.labels, LABELS)
        assert data.labels.dtype == np.int64 and data.classes == 10
    np.testing.assert_array_equal(np.concatenate(list(open_images(path).batches(4))), IMAGES)


def test_the_test_images_lie_beside_the_training_images(tmp_path):
    path = write(tmp_path / "mnist_train.csv", LABELS, IMAGES)
    np.testing.assert_array_equal(load_data(path, "test").images, IMAGES)  # every split is the whole
    write(tmp_path / "mnist_test.csv", LABELS, IMAGES[::-1])
    np.testing.assert_array_equal(load_data(path, "test").images, IMAGES[::-1])
    np.testing.assert_array_equal(load_data(path).images, IMAGES)
    assert load_data(path, size=5).images.shape == (6, 5, 5)


def test_images_of_emnist_are_turned_upright(tmp_path):
    """As from IDX files: EMNIST stores them transposed in both."""
    turned = IMAGES.swapaxes(1, 2)
    np.testing.assert_array_equal(
        load_data(write(tmp_path / "emnist-letters-train.csv", LABELS, IMAGES)).images, turned
    )
    np.testing.assert_array_equal(load_data(write(tmp_path / "EMNIST-digits.csv", IMAGES)).images, turned)


@pytest.mark.parametrize(
    ("columns", "header", "says"),
    [
        ((LABELS, IMAGES), [str(i) for i in range(82)], "line 1 numbers the columns"),  # pandas, without names
        ((IMAGES,), [str(i) for i in range(81)], "line 1 numbers the columns"),
        ((LABELS, IMAGES), [f"x{i}" for i in range(82)], "does not say whether x0 and x81 is the label"),
        ((LABELS, IMAGES), ["label", *PIXELS[:-1], "class"], "does not say whether label and class is the label"),
        ((0 * LABELS, IMAGES), None, "its first column is constant"),  # a corner: the label stands last
    ],
)
def test_a_label_in_doubt_is_refused(tmp_path, columns, header, says):
    with pytest.raises(InputError, match=says):
        load_data(write(tmp_path / "a.csv", *columns, header=header))


def test_pixels_are_no_labels(tmp_path):
    lines = [",".join(["7"] * 4 + [str(i % 10)]) for i in range(224)]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(f"{i},{line[2:]}" for i, line in enumerate(lines)))  # 224 values of a pixel, then labels
    with pytest.raises(InputError, match="its first column has 224 values, too many for labels"):
        load_data(path)


LINE = ",".join(["7"] * 82)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no images"),
        ("\n \n", "holds no images"),
        (",".join(["label", *PIXELS]) + "\n", "holds no images"),
        ("file,class\na.png,3\n", "has 2 columns, not a label and the pixels of a square image"),
        ("1;2;3;4;5\n", "has 1 columns"),
        ("," + LINE, "has 83 columns"),  # with the row numbers of pandas
        (f"{LINE}\n{LINE},7\n", "line 2 has 83 values, and the first has 82"),
        (f"{LINE}\n\n{LINE[:-4]}", "line 3 has 80 values"),  # cut short
        (LINE.replace("7", "256", 1), "line 1 holds more than whole numbers from 0 to 255"),
        (LINE.replace("7", "-1", 1), "line 1 holds more than whole"),
        (LINE.replace("7", "0.5"), "line 1 holds more than whole"),
        (f"{LINE}\n{LINE[:-1]}\0", "line 2 holds more than whole"),
        (f"{LINE}\n{LINE[:-1]}", "line 2 holds more than whole"),
        ("7" * (1 << 20), "line 1 is longer than 1,048,576 bytes"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, says):
    Path(tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=says) as e:
        load_data(tmp_path / "a.csv")
    assert str(tmp_path / "a.csv") in str(e.value) and "\n" not in str(e.value)


def test_gigabytes_in_a_small_file_are_refused(tmp_path, monkeypatch):
    path = write(tmp_path / "a.csv.gz", LABELS, IMAGES, opener=gzip.open)
    monkeypatch.setattr(csv_images, "free_share", lambda: 4 * 82)
    with pytest.raises(InputError, match="does not fit in memory"):
        load_data(path)
    path.write_bytes(path.read_bytes()[:-20])
    monkeypatch.undo()
    with pytest.raises(InputError, match="gzip data end too early|damaged gzip"):
        load_data(path)
