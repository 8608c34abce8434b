import gzip
import struct
import time

import numpy as np
import pytest
from PIL import Image

from minigan.data import (
    draw_faces,
    load_celeba,
    load_cifar10,
    load_data,
    load_dataset,
    load_images,
    load_pictures,
    read_idx,
    stroke_digits,
)
from minigan.data.csv_images import load_csv
from minigan.data.mnist import load_npz
from minigan.errors import InputError, NoSuchSplit

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx_bytes(array):
    code = CODES[array.dtype.str[1:]]
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write(path, data):
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


def random_images(n, h=5, w=4, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, h, w), dtype=np.uint8)


def write_mnist(folder, prefix="train", n=6, ending="-idx{}-ubyte", seed=0):
    images, labels = random_images(n, seed=seed), (np.arange(n) % 3).astype(np.uint8)
    write(folder / f"{prefix}-images{ending.format(3)}", idx_bytes(images))
    write(folder / f"{prefix}-labels{ending.format(1)}", idx_bytes(labels))
    return images, labels


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


# ---- stroke digits


def test_stroke_digits_have_the_form_of_mnist():
    images, labels = stroke_digits(1000, seed=3)
    assert images.shape == (1000, 28, 28) and images.dtype == np.uint8
    assert labels.shape == (1000,) and labels.dtype == np.int64
    assert (np.bincount(labels) == 100).all()
    assert (images.max(axis=(1, 2)) > 200).all()
    border = np.ones((28, 28), bool)
    border[1:-1, 1:-1] = False
    assert (images[:, border] == 0).all()
    extent = [np.ptp(np.flatnonzero(image.any(1))) + 1 for image in images]
    assert 17 <= np.mean(extent) <= 22 and max(extent) <= 26
    assert 25 < images.mean() < 42  # MNIST: 33.3


def test_stroke_digits_are_a_function_of_the_seed_and_the_index_alone():
    images, labels = stroke_digits(600, seed=7)
    for n in (1, 10, 250, 251):
        shorter = stroke_digits(n, seed=7)
        assert np.array_equal(shorter[0], images[:n]) and np.array_equal(shorter[1], labels[:n])
    assert not np.array_equal(stroke_digits(10, seed=8)[0], images[:10])
    assert len(np.unique(images.reshape(600, -1), axis=0)) == 600


@pytest.mark.slow
def test_stroke_digits_of_a_class_look_alike():
    """A nearest-mean classifier must do far better than chance on digits it has not seen."""
    images, labels = stroke_digits(4000, seed=0)
    pixels = images.reshape(4000, -1).astype(np.float32)
    means = np.stack([pixels[:3000][labels[:3000] == digit].mean(0) for digit in range(10)])
    nearest = ((pixels[3000:, None] - means) ** 2).sum(-1).argmin(1)
    assert (nearest == labels[3000:]).mean() > 0.7


def test_stroke_digits_are_quick():
    start = time.process_time()  # other programs do not count
    stroke_digits(2000)
    assert time.process_time() - start < 5  # 0.3 s on one slow core


# ---- IDX


@pytest.mark.parametrize("name", ["a-idx", "a-idx.gz"])
@pytest.mark.parametrize("code", CODES)
def test_idx_round_trip(tmp_path, code, name):
    array = np.random.default_rng(1).uniform(-100, 100, (3, 2, 4)).astype(code)
    read = read_idx(write(tmp_path / name, idx_bytes(array)))
    assert read.dtype == array.dtype and read.dtype.isnative
    assert np.array_equal(read, array)


@pytest.mark.parametrize("name", ["a-idx", "a-idx.gz"])
def test_idx_truncated_anywhere_is_an_input_error(tmp_path, name):
    data = idx_bytes(np.arange(12, dtype=np.int32).reshape(3, 4))
    for cut in range(len(data)):
        with pytest.raises(InputError, match="truncated|does not fit"):
            read_idx(write(tmp_path / name, data[:cut]))


def test_gzip_truncated_anywhere_is_an_input_error(tmp_path):
    zipped = gzip.compress(idx_bytes(random_images(3)), mtime=0)
    for cut in range(len(zipped)):
        path = tmp_path / "a.gz"
        path.write_bytes(zipped[:cut])
        with pytest.raises(InputError):
            read_idx(path)


@pytest.mark.parametrize(
    "data, message",
    [
        (b"<html>not found</html>", "not an IDX file"),
        (b"\0\0\x07\x01\0\0\0\x01a", "not an IDX file"),
        (b"\1\0\x08\x01\0\0\0\x01a", "not an IDX file"),
        (b"\0\0\x08\x01\0\0\0\x02a", "only 1"),
        (b"\0\0\x08\x01\0\0\0\x02abc", "more"),
        (b"\0\0\x0e\x04" + b"\xff" * 16 + b"abc", "only 3"),
        (b"\0\0\x08\xff" + b"\0" * 4 * 255, "absurd"),
        (b"\0\0\x08\x06" + b"\0" * 4 + b"\xff" * 20, "absurd"),
        (b"\x1f\x8b" + b"garbage" * 9, "gzip"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x02ab", mtime=0) + b"garbage", "gzip"),
        (b"", "truncated"),
    ],
)
def test_wrong_idx_files_are_named_and_explained(tmp_path, data, message):
    path = tmp_path / "wrong-idx"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("zipped", [False, True])
def test_idx_with_flipped_bytes_gives_an_array_or_an_input_error(tmp_path, zipped):
    rng = np.random.default_rng(2)
    data = idx_bytes(rng.uniform(0, 1, (2, 3, 2)).astype(np.float32))
    data = gzip.compress(data, mtime=0) if zipped else data
    errors = 0
    for trial in range(400):
        flipped = bytearray(data)
        for at in rng.integers(0, len(data), 1 + trial % 3):
            flipped[at] ^= int(rng.integers(1, 256))
        path = tmp_path / "flipped-idx"
        path.write_bytes(flipped)
        try:
            assert isinstance(read_idx(path), np.ndarray)
        except InputError:
            errors += 1
    assert errors > 100


def test_a_missing_idx_file_and_a_directory_are_input_errors(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError, match="cannot read"):
            read_idx(path)


# ---- the MNIST family


@pytest.mark.parametrize("ending", ["-idx{}-ubyte", "-idx{}-ubyte.gz", ".idx{}-ubyte"])
def test_mnist_files_under_every_usual_name(tmp_path, ending):
    images, labels = write_mnist(tmp_path, "train", ending=ending)
    test_images, _ = write_mnist(tmp_path, "t10k", n=4, ending=ending, seed=1)
    data = load_dataset(tmp_path)
    assert np.array_equal(data.images, images) and np.array_equal(data.labels, labels)
    assert data.labels.dtype == np.int64 and data.classes == 3 and data.name == tmp_path.name
    assert np.array_equal(load_dataset(tmp_path, "test").images, test_images)


def test_emnist_is_turned_upright_and_a_subset_must_be_chosen(tmp_path):
    stored, _ = write_mnist(tmp_path, "emnist-digits-train", ending="-idx{}-ubyte.gz")
    data = load_dataset(tmp_path)
    assert data.name == "emnist-digits"
    assert np.array_equal(data.images, stored.transpose(0, 2, 1))
    single = load_data(tmp_path / "emnist-digits-train-images-idx3-ubyte.gz")
    assert np.array_equal(single.images, data.images) and single.labels is None

    letters, _ = write_mnist(tmp_path, "emnist-letters-train", seed=5)
    with pytest.raises(InputError, match="emnist-digits, emnist-letters"):
        load_data(tmp_path)
    with pytest.raises(InputError, match="no emnist-mnist files, only emnist-digits, emnist-letters"):
        load_data(tmp_path, subset="emnist-mnist")
    assert np.array_equal(load_data(tmp_path, subset="emnist-letters").images, letters.transpose(0, 2, 1))


def test_mnist_files_that_do_not_belong_together(tmp_path):
    write_mnist(tmp_path)
    with pytest.raises(InputError, match="no test images"):
        load_dataset(tmp_path, "test")
    write(tmp_path / "train-labels-idx1-ubyte", idx_bytes(np.zeros(5, np.uint8)))
    with pytest.raises(InputError, match="5 labels for 6 images"):
        load_dataset(tmp_path)
    write(tmp_path / "train-labels-idx1-ubyte", idx_bytes(np.zeros((6, 2), np.uint8)))
    with pytest.raises(InputError, match="not uint8 labels"):
        load_dataset(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    assert load_dataset(tmp_path).labels is None and load_dataset(tmp_path).classes is None
    for wrong in (np.zeros((6, 5, 4), np.float32), np.zeros(6, np.uint8), np.zeros((0, 28, 28), np.uint8)):
        write(tmp_path / "train-images-idx3-ubyte", idx_bytes(wrong))
        with pytest.raises(InputError, match="not uint8 images"):
            load_dataset(tmp_path)


# ---- folders of images


def test_folder_with_classes(tmp_path):
    images = random_images(4, 6, 6)
    for i, name in enumerate(["10/a.png", "2/a.PNG", "2/b.png", "10/b.png"]):
        save(tmp_path / name, images[i])
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / ".hidden").mkdir()
    save(tmp_path / ".hidden" / "c.png", images[0])
    data = load_images(tmp_path)
    assert data.images.shape == (4, 6, 6) and data.images.dtype == np.uint8
    assert np.array_equal(data.images, images[[0, 3, 1, 2]])  # by path: 10/a 10/b 2/a 2/b
    assert data.labels.tolist() == [1, 1, 0, 0] and data.classes == 2  # by number: 2 before 10


def test_folder_without_classes(tmp_path):
    images = random_images(2, 6, 6)
    save(tmp_path / "one" / "a.png", images[0])
    assert load_images(tmp_path).labels is None  # one folder is no classification
    save(tmp_path / "two" / "deep" / "b.png", images[1])
    data = load_data(tmp_path)
    assert len(data) == 2 and data.labels is None and data.classes is None


def test_folder_of_colours_and_sizes(tmp_path):
    rng = np.random.default_rng(4)
    save(tmp_path / "a.png", rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
    save(tmp_path / "b.png", random_images(1, 9, 9)[0])
    assert load_images(tmp_path).images.shape == (2, 9, 9, 3)
    odd = save(tmp_path / "c.jpg", rng.integers(0, 256, (20, 12, 3), dtype=np.uint8))
    with pytest.raises(InputError, match="c.jpg is 12x20, but .*a.png is 9x9"):
        load_images(tmp_path)
    assert load_data(tmp_path, size=8).images.shape == (3, 8, 8, 3)
    Image.open(odd).convert("P").save(tmp_path / "d.png")
    Image.open(odd).convert("RGBA").save(tmp_path / "e.png")
    assert load_data(tmp_path, size=8).images.shape == (5, 8, 8, 3)


def test_resizing_takes_the_centre_and_averages(tmp_path):
    wide = np.zeros((8, 24), np.uint8)
    wide[:, 8:16] = np.arange(0, 256, 32)[:, None]
    wide[:, :8] = 255
    save(tmp_path / "wide.png", wide)
    assert np.array_equal(load_images(tmp_path, size=8).images[0], wide[:, 8:16])
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 200
    save(tmp_path / "wide.png", stripes)
    assert abs(load_images(tmp_path, size=8).images.astype(int) - 100).max() < 30  # aliasing would give 0 or 200


@pytest.mark.parametrize("content", ["text", "cut", "flipped", "empty"])
def test_a_broken_image_is_named(tmp_path, content):
    good = save(tmp_path / "a.png", random_images(1, 30, 30)[0])
    bad = tmp_path / "b.png"
    data = good.read_bytes()
    broken = {"text": b"hello", "cut": data[:-300], "flipped": data[:60] + b"????" + data[64:], "empty": b""}
    bad.write_bytes(broken[content])
    with pytest.raises(InputError, match="b.png is not a readable"):
        load_images(tmp_path)


def test_image_files_with_flipped_bytes_give_a_dataset_or_an_input_error(tmp_path):
    rng = np.random.default_rng(6)
    for name in ("a.png", "a.jpg"):
        path = save(tmp_path / name[-3:] / name, rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        data = path.read_bytes()
        for _ in range(150):
            flipped = bytearray(data)
            flipped[rng.integers(0, len(data))] ^= int(rng.integers(1, 256))
            path.write_bytes(flipped)
            try:
                assert len(load_images(path.parent, size=8)) == 1
            except InputError:
                pass


def test_folders_that_hold_nothing_to_load(tmp_path):
    with pytest.raises(InputError, match="no picture files"):
        load_data(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        load_data(tmp_path / "none")
    Image.fromarray(np.full((4, 4), 1000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(InputError, match="16-bit"):
        load_data(tmp_path)


# ---- the one entry


def test_load_data_draws_digits_without_a_path():
    train, test = load_data(n=30, seed=2), load_data(n=30, seed=2, split="test")
    assert np.array_equal(train.images, stroke_digits(30, 2)[0])
    assert not np.array_equal(train.images, test.images)
    assert train.classes == 10 and train.labels.dtype == np.int64 and train.name == "stroke-digits"
    larger = load_data(n=30, seed=2, size=32)
    assert larger.images.shape == (30, 32, 32) and larger.images.dtype == np.uint8
    assert np.array_equal(larger.labels, train.labels)


def test_load_data_reads_directories_and_files(tmp_path):
    images, _ = write_mnist(tmp_path)
    assert np.array_equal(load_data(tmp_path).images, images)
    assert load_data(tmp_path, size=16).images.shape == (6, 16, 16)
    assert np.array_equal(load_data(tmp_path / "train-images-idx3-ubyte").images, images)
    with pytest.raises(InputError, match="not uint8 images"):
        load_data(tmp_path / "train-labels-idx1-ubyte")


@pytest.mark.parametrize("wrong", [{"split": "valid"}, {"size": 0}, {"n": 0}, {"seed": -1}])
def test_load_data_refuses_wrong_options(wrong):
    with pytest.raises(InputError):
        load_data(**{"n": 1} | wrong)


@pytest.mark.parametrize(
    "load",
    [
        *(load_data, load_dataset, load_npz, load_csv, load_cifar10, load_celeba, load_pictures),
        lambda path, split: draw_faces(2, split, size=8),
    ],
)
def test_another_split_than_train_and_test_is_one_sentence(tmp_path, load):
    with pytest.raises(InputError, match="the split is train or test, not val") as e:
        load(tmp_path, "val")
    assert not isinstance(e.value, NoSuchSplit)  # which a run goes on after
