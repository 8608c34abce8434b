"""Datasets as other tools and sites leave them on the disk, and files that claim more than they hold."""

import codecs
import gzip
import io
import os
import pickle
import struct

import numpy as np
import pytest
from image_files import idx
from PIL import Image

from minigan.data import load_celeba, load_cifar10, load_data, load_dataset, load_pictures, read_idx
from minigan.errors import InputError
from minigan.metrics.frechet import frechet_distance
from minigan.metrics.loaders import open_images
from minigan.metrics.statistics import Statistics, load_statistics, save_statistics
from minigan.unpickle import NUMPY, PickledArray, restricted_load

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 9, 9), dtype=np.uint8)

NAMES = [
    "MNIST/raw/train-images-idx3-ubyte",  # torchvision, given its root
    "raw/train-images-idx3-ubyte.gz",
    "train-images.idx3-ubyte",  # Kaggle
    "train-images-idx3-ubyte/train-images-idx3-ubyte",  # unpacked into a folder of its name
    "train-images.idx3-ubyte/train-images.idx3-ubyte",
    "Train-Images-idx3-ubyte.gz",
    "train-images-idx3-ubyte.idx3",
    "gzip/emnist-digits-train-images-idx3-ubyte.gz",  # EMNIST's own archive
    "EMNIST/raw/emnist-letters-train-images-idx3-ubyte",
]


@pytest.mark.parametrize("name", NAMES)
def test_mnist_under_all_its_names(tmp_path, name):
    path = tmp_path / "data" / name
    path.parent.mkdir(parents=True)
    idx(path, IMAGES, gzip.open if name.endswith("gz") else open)
    expected = IMAGES.swapaxes(1, 2) if "emnist-" in name else IMAGES  # EMNIST stores images transposed
    np.testing.assert_array_equal(load_data(tmp_path / "data").images, expected)
    loader = open_images(tmp_path / "data")
    np.testing.assert_array_equal(np.concatenate(list(loader.batches(4))), expected)
    assert loader.facts["split"] == "train"


def test_two_datasets_of_torchvision_in_one_root_are_named(tmp_path):
    for name in ("MNIST", "FashionMNIST"):
        (tmp_path / name / "raw").mkdir(parents=True)
        idx(tmp_path / name / "raw" / "train-images-idx3-ubyte", IMAGES)
    with pytest.raises(InputError, match="holds several datasets: give one of .*FashionMNIST/raw, .*MNIST/raw"):
        load_data(tmp_path)
    assert load_dataset(tmp_path / "MNIST").name == "MNIST"


def test_a_set_of_emnist_is_chosen(tmp_path):
    for i, name in enumerate(("digits", "letters")):
        idx(tmp_path / f"emnist-{name}-test-images-idx3-ubyte", IMAGES[i:])
    with pytest.raises(InputError, match=r"emnist-digits, emnist-letters\): choose one with --subset"):
        open_images(tmp_path)
    loader = open_images(tmp_path, subset="emnist-letters")
    np.testing.assert_array_equal(np.concatenate(list(loader.batches(9))), IMAGES[1:].swapaxes(1, 2))
    assert loader.facts["subset"] == "emnist-letters"


def test_mnist_of_keras(tmp_path):
    labels = np.arange(6, dtype=np.uint8)
    np.savez_compressed(tmp_path / "mnist.npz", x_train=IMAGES, y_train=labels, x_test=IMAGES[:2], y_test=labels[:2])
    data = load_data(tmp_path / "mnist.npz", "test")
    np.testing.assert_array_equal(data.images, IMAGES[:2])
    assert data.labels.tolist() == [0, 1] and data.name == "mnist"
    images = open_images(tmp_path / "mnist.npz")  # of fid too, beside the training images in the same file
    np.testing.assert_array_equal(np.concatenate(list(images.batches(4))), IMAGES[:2])
    np.savez(tmp_path / "other.npz", x=IMAGES)
    with pytest.raises(InputError, match="is no mnist.npz: it holds x, not x_train"):
        load_data(tmp_path / "other.npz")


def cifar(protocol, n=3):
    pixels, labels = RNG.integers(0, 256, (n, 3072), dtype=np.uint8), list(range(n))
    return pickle.dumps({b"data": pixels, b"labels": labels}, protocol), pixels


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_cifar_of_every_pickle_protocol(tmp_path, protocol):
    data, pixels = cifar(protocol)
    (tmp_path / "test_batch").write_bytes(data)
    loaded = load_cifar10(tmp_path, "test")
    np.testing.assert_array_equal(loaded.images, pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    numbers = pickle.dumps({"data": pixels, "labels": [np.int64(1), np.int64(0), np.int64(2)]}, protocol)
    (tmp_path / "test_batch").write_bytes(numbers)
    assert load_cifar10(tmp_path, "test").labels.tolist() == [1, 0, 2]


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_protocol_5(order):
    array = np.asarray(RNG.normal(size=(3, 4)), order=order)
    loaded = restricted_load(pickle.dumps(array, 5), NUMPY)
    assert isinstance(loaded, PickledArray)
    np.testing.assert_array_equal(loaded.array, array)


def test_both_versions_of_cifar_in_one_folder(tmp_path):
    data, pixels = cifar(4)
    for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
        (tmp_path / name).write_bytes(data)
        (tmp_path / f"{name}.bin").write_bytes(bytes(3073))
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(data)  # not complete
    assert len(load_cifar10(tmp_path).images) == 15
    loader = open_images(tmp_path)
    expected = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(np.concatenate(list(loader.batches(2))), expected)


LISTS = {
    "with a byte order mark": codecs.BOM_UTF8 + b"000001.jpg 0\n000002.jpg 2\n000003.jpg 0\n",
    "of Windows": b"000001.jpg 0\r\n000002.jpg 2\r\n000003.jpg 0\r\n",
    "of Kaggle": b"image_id,partition\n000001.jpg,0\n000002.jpg,2\n000003.jpg,0\n",
    "of a German spreadsheet": b'"image_id";"partition"\r\n"000001.jpg";"0"\r\n"000002.jpg";"2"\r\n000003.jpg;0\r\n',
    "as Unicode text": "image_id\tpartition\r\n000001.jpg\t0\r\n000002.jpg\t2\r\n000003.jpg\t0\r\n".encode("utf-16"),
    "of PNG files": b"000001.png 0\n000002.png 2\n000003.png 0",
}


@pytest.mark.parametrize("case", LISTS)
def test_lists_of_celeba_as_people_have_them(tmp_path, case):
    (tmp_path / "img_align_celeba").mkdir()
    for i in range(1, 4):
        Image.fromarray(np.full((218, 178, 3), 50 * i, np.uint8)).save(tmp_path / "img_align_celeba" / f"{i:06}.jpg")
    (tmp_path / "list_eval_partition.txt").write_bytes(LISTS[case])
    images = load_celeba(tmp_path, "test", 8, cache=tmp_path / "cache").images
    assert images.shape == (1, 8, 8, 3) and abs(int(images[0, 4, 4, 0]) - 100) < 2  # lossy by a level
    assert len(open_images(tmp_path)) == 3  # what training takes, experiments.fid takes


def test_statistics_with_rounding_noise_below_zero(tmp_path):
    """A constant feature has a variance of 0; other programs write −1e-17."""
    mean, cov = np.array([1.0, 2.0, 3.0]), np.diag([1.0, 0.5, -1e-17])
    np.savez(tmp_path / "s.npz", mu=mean, sigma=cov)
    loaded = load_statistics(tmp_path / "s.npz")
    np.testing.assert_array_equal(loaded.cov, np.diag([1.0, 0.5, 0.0]))
    distance = frechet_distance(loaded.mean, loaded.cov, mean + 1, np.diag([1.0, 0.5, 0.0]))
    np.testing.assert_allclose(distance, 3.0, rtol=1e-6)  # |μ₁ − μ₂|² = 3, equal covariances
    np.savez(tmp_path / "s.npz", mu=mean, sigma=np.diag([1.0, 0.5, -0.1]))
    with pytest.raises(InputError, match="negative variance"):
        load_statistics(tmp_path / "s.npz")


# ---- files that claim too much


def test_sizes_that_a_file_claims_are_not_believed(tmp_path):
    head = struct.pack(">HBB3I", 0, 8, 3, 60_000, 28_000, 28_000)
    for name, opener in (("plain", open), ("zipped", gzip.open)):
        with opener(tmp_path / name, "wb") as file:
            file.write(head + bytes(100))
        with pytest.raises(InputError, match="does not fit its header"):
            read_idx(tmp_path / name)
    with pytest.raises(InputError, match="dict key that is too large"):
        restricted_load(pickle.dumps({i * (2**61 - 1): 0 for i in range(3, 6)}), {})
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (1 << 40, 9, 9)})
    (tmp_path / "f.npy").write_bytes(header.getvalue())
    with pytest.raises(InputError, match="cannot be read"):
        open_images(tmp_path / "f.npy")


@pytest.mark.parametrize(
    "change",
    [
        {"count": "many"}, {"count": True}, {"count": -5}, {"count": 1e300}, {"extractor": "x"}, {"extractor": [1]},
        {"extractor": {"features": [], "dimensions": 3, "digest": ""}}, {"content": 7},
        {"extractor": {"features": "random", "dimensions": "3", "digest": ""}},
        {"extractor": {"features": "random", "dimensions": 3, "digest": "", "mode": {}}},
        {"extractor": {"features": "random", "dimensions": 3, "digest": "", "weights_sha256": 5}},
    ],
)  # fmt: skip
def test_edited_metadata_of_statistics_are_one_sentence(tmp_path, change, monkeypatch):
    extractor = {"features": "random", "dimensions": 3, "digest": "d"}
    statistics = Statistics(np.zeros(3), np.eye(3), 10, extractor, "content")
    for key, value in change.items():
        setattr(statistics, key, value)
    save_statistics(tmp_path / "s.h5", statistics)
    with pytest.raises(InputError, match="not a readable statistics file") as error:
        load_statistics(tmp_path / "s.h5")
    assert "\n" not in str(error.value)


def test_an_npz_whose_directory_says_that_an_array_is_longer_is_refused(tmp_path):
    """zipfile compares the checksum where a member ends, and NumPy would stop before that."""
    np.savez(tmp_path / "s.npz", mu=np.zeros(3), sigma=np.eye(3))
    data = bytearray((tmp_path / "s.npz").read_bytes())
    size = data.rindex(b"PK\x01\x02") + 20  # of sigma, as it is stored and as it is unpacked
    length = struct.unpack_from("<I", data, size)[0]
    data[size : size + 8] = struct.pack("<II", length + (1 << 20), length + (1 << 20))
    data[data.rindex(b"\x93NUMPY") + 150] ^= 1  # a number of sigma
    (tmp_path / "s.npz").write_bytes(data)
    with pytest.raises(InputError, match=r"sigma\.npy goes on after its array"):
        load_statistics(tmp_path / "s.npz")


def test_a_file_that_holds_no_images_is_told_what_would(tmp_path):
    Image.new("L", (28, 28)).save(tmp_path / "one.png")
    (tmp_path / "notes.md").write_text("# Notes\n")
    for name in ("one.png", "notes.md"):
        with pytest.raises(InputError, match=f"{name} is not an IDX file, a CSV file, an .npz or a folder of pictures"):
            load_data(tmp_path / name)


def test_a_set_that_is_missing_is_told_how_to_fetch_it(tmp_path):
    with pytest.raises(InputError, match=r"does not exist; python -m .* --data .*kmnist --download kmnist fetches it$"):
        load_data(tmp_path / "kmnist")
    with pytest.raises(InputError, match="does not exist$"):
        load_data(tmp_path / "digits")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_or_a_device_is_no_data(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # to read it would never end
    for path in (tmp_path / "pipe", os.devnull):
        with pytest.raises(InputError, match="neither a file nor a folder"):
            load_data(path)
        with pytest.raises(InputError, match="neither a file nor a folder"):
            load_pictures(path)
