"""CIFAR-10 in every form it comes in, and pickles that are something else."""

import hashlib
import io
import json
import os
import pickle
import struct
import tarfile

import numpy as np
import pytest

from experiments import cifar10
from minigan.data import load_cifar10
from minigan.data.download import SOURCES, Source
from minigan.errors import InputError, NoSuchSplit

BATCHES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def batch(seed, n=6):
    """Random planes and labels, as CIFAR-10 stores them: uint8 (n, 3072), red first."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 3072), dtype=np.uint8), rng.integers(0, 10, n).tolist()


def old_pickle(planes, labels):
    """Byte for byte what Python 2 and its NumPy wrote, as in the file that is published."""
    n, data = len(planes), planes.tobytes()
    dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
    array += b"(K\x01(K" + bytes([n]) + b"M\x00\x0ct" + dtype + b"\x89T" + struct.pack("<i", len(data)) + data + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    text = b"U\x15training batch 1 of 5"
    return b"\x80\x02}(U\x0bbatch_label" + text + b"U\x06labels" + numbers + b"U\x04data" + array + b"u."


def new_pickle(planes, labels, protocol=2, **more):
    return pickle.dumps({b"data": planes, b"labels": labels, **more}, protocol)


def binary(planes, labels):
    return np.concatenate([np.array(labels, np.uint8)[:, None], planes], axis=1).tobytes()


def write(folder, form=old_pickle, suffix=""):
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(BATCHES):
        (folder / (name + suffix)).write_bytes(form(*batch(seed)))
    (folder / "batches.meta").write_bytes(b"not read")
    return folder


def pack(path, folder):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, folder.name)
    return path


@pytest.fixture
def tree(tmp_path):
    """CIFAR-10 in all its forms, under one folder."""
    py = write(tmp_path / "cifar-10-batches-py")
    binaries = write(tmp_path / "cifar-10-batches-bin", binary, ".bin")
    pack(tmp_path / "packed" / "cifar-10-python.tar.gz", py)
    pack(tmp_path / "packed-bin" / "cifar-10-binary.tar.gz", binaries)
    write(tmp_path / "new", new_pickle)
    return tmp_path


def test_every_form_gives_the_same_images(tree):
    planes, labels = zip(*(batch(seed) for seed in range(5)), strict=True)
    expected = np.concatenate(planes).reshape(30, 3, 32, 32).transpose(0, 2, 3, 1)
    for place in ("", "cifar-10-batches-py", "cifar-10-batches-bin", "packed", "packed-bin", "new"):
        data = load_cifar10(tree / place)
        np.testing.assert_array_equal(data.images, expected, err_msg=place)
        assert data.labels.tolist() == sum(labels, []) and data.labels.dtype == np.int64
        assert (data.name, data.classes, data.images.flags["C_CONTIGUOUS"]) == ("CIFAR-10", 10, True)
        test = load_cifar10(tree / place, "test")
        assert len(test) == 6 and test.labels.tolist() == batch(5)[1]
    archive = load_cifar10(tree / "packed/cifar-10-python.tar.gz")
    np.testing.assert_array_equal(archive.images, expected)


def test_the_planes_are_red_green_and_blue(tmp_path):
    planes = np.repeat(np.uint8([[200, 100, 50]]), 1024, axis=1)
    planes[0, 32 * 3 + 5] = 255  # red, row 3, column 5
    for name in BATCHES:
        (tmp_path / name).write_bytes(old_pickle(planes, [7]))
    image = load_cifar10(tmp_path).images[0]
    assert image[3, 5].tolist() == [255, 100, 50] and image[5, 3].tolist() == [200, 100, 50]


class Trojan:
    def __reduce__(self):
        return os.system, ("touch trojan",)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pickle.dumps(Trojan(), 2), "asks for 'posix.system': refused"),
        (pickle.dumps({b"data": Trojan(), b"labels": []}, 4), "asks for 'posix.system': refused"),
        (new_pickle(*batch(0), extra=Trojan()), "refused"),
        (b"cos\nsystem\n(S'touch trojan'\ntR.", "asks for 'os.system': refused"),
        (b"hello", "not a readable pickle"),
        (old_pickle(*batch(0))[:-900], "not a readable pickle"),
        (pickle.dumps([1, 2]), "not of a CIFAR-10 batch"),
        (pickle.dumps({"data": 1, "labels": 2}), "its data are"),
        (new_pickle(batch(0)[0][:, :1024], batch(0)[1]), r"uint8 \(6, 1024\)"),
        (new_pickle(batch(0)[0].astype(np.int64), batch(0)[1]), r"int64 \(6, 3072\)"),
        (new_pickle(batch(0)[0].reshape(-1), batch(0)[1]), "its data are"),
        (new_pickle(batch(0)[0], batch(0)[1][:5]), "not 6 numbers from 0 to 9"),
        (new_pickle(batch(0)[0], [*batch(0)[1][:5], 10]), "not 6 numbers from 0 to 9"),
        (new_pickle(batch(0)[0], [*batch(0)[1][:5], "3"]), "not 6 numbers from 0 to 9"),
        (new_pickle(batch(0)[0][:0], [], 3), "its data are"),
    ],
)
def test_pickles_that_are_no_batch_are_refused_and_not_run(tmp_path, monkeypatch, data, message):
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    (tmp_path / "data_batch_2").write_bytes(data)
    with pytest.raises(InputError, match=f"data_batch_2: .*{message}") as caught:
        load_cifar10(tmp_path)
    assert "\n" not in str(caught.value) and not (tmp_path / "trojan").exists()


def test_an_array_that_was_never_filled_is_refused(tmp_path):
    write(tmp_path)
    hollow = (
        b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btRU\x06labels]u."
    )
    (tmp_path / "data_batch_1").write_bytes(hollow)
    with pytest.raises(InputError, match="its data are"):
        load_cifar10(tmp_path)


def test_files_that_are_missing_or_damaged(tree):
    with pytest.raises(InputError, match="does not exist; --download"):
        load_cifar10(tree / "nowhere")
    (tree / "empty").mkdir()
    with pytest.raises(InputError, match="holds no CIFAR-10"):
        load_cifar10(tree / "empty")
    (tree / "new/data_batch_3").unlink()
    with pytest.raises(InputError, match="new lacks data_batch_3"):
        load_cifar10(tree / "new")
    (tree / "cifar-10-batches-py/test_batch").unlink()
    with pytest.raises(NoSuchSplit, match="cifar-10-batches-py lacks test_batch"):  # training works without it
        load_cifar10(tree / "cifar-10-batches-py", "test")
    archive = tree / "packed/cifar-10-python.tar.gz"
    for wrong in (archive.read_bytes()[:50_000], b"text", b""):
        archive.write_bytes(wrong)
        with pytest.raises(InputError, match="cifar-10-python.tar.gz .*"):
            load_cifar10(archive)
    (tree / "cifar-10-batches-bin/test_batch.bin").write_bytes(bytes(3073 * 2 + 1))
    with pytest.raises(InputError, match="6147 bytes are not a multiple of 3073"):
        load_cifar10(tree / "cifar-10-batches-bin", "test")


def test_flipped_bytes_give_images_or_an_input_error(tmp_path):
    write(tmp_path)
    good, rng, errors = old_pickle(*batch(5)), np.random.default_rng(0), 0
    head = [i for i in range(len(good)) if i < 400 or i > len(good) - 20]  # the rest is pixels
    for at in rng.choice(head, 300):
        flipped = bytearray(good)
        flipped[at] ^= 1 << rng.integers(8)
        (tmp_path / "test_batch").write_bytes(flipped)
        try:
            assert load_cifar10(tmp_path, "test").images.shape[1:] == (32, 32, 3)
        except InputError:
            errors += 1
    assert errors > 50


# ---- the command

TINY = (
    "--g-width 16 --g-depth 1 --d-width 16 --d-depth 1 --g-heads 2 --d-heads 2 --latent 8 --g-head-width 8 --batch 4 "
    "--eval-samples 4 --features none --device cpu --steps 1"
).split()


def test_the_command_fetches_checks_and_trains(tree, monkeypatch, tmp_path):
    monkeypatch.setattr("minigan.train.Run.summarise", lambda self: None)
    data = (tree / "packed/cifar-10-python.tar.gz").read_bytes()
    known = {"cifar-10-python.tar.gz": (len(data), hashlib.md5(data).hexdigest())}
    monkeypatch.setitem(SOURCES, "cifar-10", Source((), known))  # no mirrors: only what is there can pass
    out = tmp_path / "run"
    assert cifar10.main([*TINY, "--data", str(tree / "packed"), "--download", "--out", str(out)]) == 0
    assert json.loads((out / "config.json").read_text())["data"]["images"] == 30
    (tree / "packed/cifar-10-python.tar.gz").write_bytes(data[:-1] + b"?")
    with pytest.raises(InputError, match="cannot download cifar-10-python.tar.gz"):
        cifar10.main([*TINY, "--data", str(tree / "packed"), "--download"])


def test_without_data_one_sentence_says_what_to_do():
    with pytest.raises(InputError, match="--data DIR --download to fetch it"):
        cifar10.main([])
    with pytest.raises(InputError, match="--download needs --data"):
        cifar10.main(["--download", "--resume", "runs/x"])


def test_the_published_file_is_known():
    assert SOURCES["cifar-10"].files == {"cifar-10-python.tar.gz": (170498071, "c58f30108f718f92721af3b95e74349a")}


def test_a_tar_with_other_things_in_it(tree):
    path = tree / "odd.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("x/data_batch_1")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        for seed, name in enumerate(BATCHES):
            data = old_pickle(*batch(seed))
            member = tarfile.TarInfo(f"deep/er/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    assert len(load_cifar10(path)) == 30
