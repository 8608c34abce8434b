"""The cache that is made of pictures: built once, whatever interrupts it, and never accepted damaged."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from picture_sources import as_folder, as_zip, encoded, finished, noise, pixels_of, there

from minigan.data import cache, stored
from minigan.data.cache import Recipe, cached
from minigan.errors import InputError


def test_the_second_time_the_pictures_are_not_read(tmp_path, store, files, monkeypatch, capsys):
    folder = as_folder(tmp_path / "f", files)
    first = cached(folder, Recipe(16))
    assert there(store) == [first.images.directory.name] and "writing 10 images" in capsys.readouterr().err
    monkeypatch.setattr(cache, "pixels", None)
    second = cached(folder, Recipe(16))
    np.testing.assert_array_equal(second.images.hold(), first.images.hold())
    assert second.names == first.names and second.images.digest == first.images.digest
    assert capsys.readouterr().err == ""
    source = json.loads((first.images.directory / "source.json").read_text())
    assert source["recipe"] == {"size": 16, "crop": None, "mode": None} and source["names"][0] == "a/0.jpg"
    assert np.load(first.images.directory / "images.npy").shape == (10, 16, 16, 3)


@pytest.mark.parametrize("archive", [False, True])
def test_a_changed_source_is_noticed(tmp_path, store, files, archive):
    def write(files):
        return as_zip(tmp_path / "f.zip", files) if archive else as_folder(tmp_path / "f", files)

    before = pixels_of(write(files))
    files["a/2.jpg"] = encoded(255 - noise(10, 40, 30)[2])
    changed = pixels_of(write(files))
    assert (before[1] != changed[1]).any() and (before[[0, 2, 9]] == changed[[0, 2, 9]]).all()
    assert len(pixels_of(write({**files, "b/11.jpg": files["a/2.jpg"]}))) == 11
    assert pixels_of(write(files), mode="L").shape == (11 - archive, 16, 16)  # another recipe


class Killed(BaseException):
    pass


def kill_at(n, monkeypatch, how=Killed):
    """Let the n-th picture end everything; returns the list of the pictures that were made."""
    made, make = [], cache.pixels

    def counting(source, name, *args):
        if len(made) == n:
            raise how
        made.append(str(name))
        return make(source, name, *args)

    monkeypatch.setattr(cache, "pixels", counting)
    return made


@pytest.mark.parametrize("n", [0, 4, 9])
def test_a_killed_build_goes_on_where_it_was(tmp_path, store, files, monkeypatch, n):
    folder = as_folder(tmp_path / "f", files)
    expected = cached(folder, Recipe(16), tmp_path / "other").images.hold()
    with monkeypatch.context() as patch:
        kill_at(n, patch)
        with pytest.raises(Killed):
            pixels_of(folder)
    assert not finished(store)
    made = kill_at(99, monkeypatch)
    np.testing.assert_array_equal(pixels_of(folder), expected)
    assert len(made) <= 10 - n // 3 * 3 and len(there(store)) == 1


@pytest.mark.slow
def test_a_build_that_is_really_killed_goes_on(tmp_path, store, files):
    folder = as_folder(tmp_path / "f", files)
    code = (
        "import os, signal, sys\n"
        "from minigan.data import cache, stored\n"
        "stored.BLOCK_BYTES = 3 * 16 * 16 * 3\n"
        "checksum = cache.checksum\n"
        "def kill(block, images):\n"
        "    if block == 1 and images.any():\n"  # the second block is written, its checksum is not
        "        images[1:] = 0\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return checksum(block, images)\n"
        "cache.checksum = kill\n"
        "cache.cached(sys.argv[1], cache.Recipe(16))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (part,) = (name for name in there(store) if name.endswith(".part"))
    assert np.load(store / part / "checksums.npy").astype(bool).tolist() == [True, False, False, False]
    expected = cached(folder, Recipe(16), tmp_path / "other").images.hold()
    np.testing.assert_array_equal(pixels_of(folder), expected)


def begin(folder, store, monkeypatch, n=7):
    """A build that was killed after n pictures; its file."""
    with monkeypatch.context() as patch:
        kill_at(n, patch)
        with pytest.raises(Killed):
            pixels_of(folder)
    (part,) = store.glob("*.part")
    return part


def test_what_a_killed_build_wrote_wrongly_is_made_again(tmp_path, store, files, monkeypatch):
    folder = as_folder(tmp_path / "f", files)
    part = begin(folder, store, monkeypatch)
    images, checksums = stored.open_arrays(part, "r+")
    assert checksums[1]
    images[4, 2] = 0
    made = kill_at(99, monkeypatch)
    np.testing.assert_array_equal(pixels_of(folder), cached(folder, Recipe(16), tmp_path / "other").images.hold())
    assert len({name for name in made if name.endswith(("6.jpg", "8.jpg", "1.jpg"))}) == 3  # the second block


@pytest.mark.parametrize("wrong", ["text", "cut", "empty", "another", "file"])
def test_a_wrong_part_is_begun_anew(tmp_path, store, files, monkeypatch, wrong):
    folder = as_folder(tmp_path / "f", files)
    part = begin(folder, store, monkeypatch)
    if wrong == "another":
        text = (part / "source.json").read_text()
        (part / "source.json").write_text(text.replace(json.loads(text)["key"], "0" * 64))
    elif wrong == "file":
        shutil.rmtree(part)
        part.write_text("hello")
    else:
        name = "images.npy" if wrong == "cut" else "source.json"
        data = {"text": b"hello", "cut": (part / name).read_bytes()[:900], "empty": b""}[wrong]
        (part / name).write_bytes(data)
    np.testing.assert_array_equal(pixels_of(folder), cached(folder, Recipe(16), tmp_path / "other").images.hold())
    assert len(there(store)) == 1


def test_nothing_half_written_or_damaged_is_accepted(tmp_path, store, files, monkeypatch):
    folder = as_folder(tmp_path / "f", files)
    part = begin(folder, store, monkeypatch)
    whole = part.with_suffix("")
    part.rename(whole)
    with pytest.raises(InputError, match=r"is damaged \(it is not complete\): delete it to make it again"):
        pixels_of(folder)
    shutil.rmtree(whole)
    pixels_of(folder)
    for name in ("images.npy", "checksums.npy", "source.json"):
        good = (whole / name).read_bytes()
        for wrong in (b"", b"hello", b"PK\3\4" + bytes(40), good[:100], good[:-20]):
            (whole / name).write_bytes(wrong)
            with pytest.raises(InputError, match="is damaged .*delete it to make it again"):
                pixels_of(folder)
        (whole / name).unlink()
        with pytest.raises(InputError, match="is damaged .*delete it to make it again"):
            pixels_of(folder)
        (whole / name).write_bytes(good)
    text = (whole / "source.json").read_text()
    (whole / "source.json").write_text(text.replace('"a/0.jpg"', '"a/1.jpg"', 1))
    with pytest.raises(InputError, match="is damaged"):
        pixels_of(folder)
    (whole / "source.json").write_text(text.replace(json.loads(text)["key"], "0" * 64))
    with pytest.raises(InputError, match="holds other images than its name says"):
        pixels_of(folder)


@pytest.mark.slow
def test_a_cache_with_flipped_bytes_gives_the_images_or_an_input_error(tmp_path, store, files):
    folder = as_folder(tmp_path / "f", files)
    directory, expected = cached(folder, Recipe(16)).images.directory, pixels_of(folder)
    rng, errors = np.random.default_rng(0), 0
    for name in ("images.npy", "checksums.npy", "source.json"):
        good = (directory / name).read_bytes()
        for at in [*range(0, min(len(good), 130)), *rng.integers(0, len(good), 40)]:
            (directory / name).write_bytes(good[:at] + bytes([good[at] ^ 1 << rng.integers(8)]) + good[at + 1 :])
            try:
                np.testing.assert_array_equal(pixels_of(folder), expected)
            except InputError:
                errors += 1
        (directory / name).write_bytes(good)
    assert errors > 300


def test_two_builds_at_once_do_the_work_once(tmp_path, store, files, monkeypatch):
    folder = as_folder(tmp_path / "f", files)
    made, make = [], cache.pixels

    def slow(source, name, *args):
        made.append(name)
        time.sleep(0.01)
        return make(source, name, *args)

    monkeypatch.setattr(cache, "pixels", slow)
    builds = [threading.Thread(target=pixels_of, args=(folder,)) for _ in range(3)]
    for build in builds:
        build.start()
    for build in builds:
        build.join()
    assert len(made) == 10 and len(there(store)) == 1


def test_a_cache_directory_that_cannot_be_written_is_one_sentence(tmp_path, store, files):
    folder = as_folder(tmp_path / "f", files)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write .*--cache names another directory"):
        cached(folder, Recipe(16), tmp_path / "file" / "deep")


def test_a_full_disk_is_one_sentence_and_costs_the_next_build_nothing(tmp_path, store, files, monkeypatch):
    folder = as_folder(tmp_path / "f", files)
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", lambda *args: full_disk(), raising=False)
        with pytest.raises(InputError, match="cannot write .*: No space left on device; --cache names another"):
            cached(folder, Recipe(16))
    assert not finished(store)
    assert len(pixels_of(folder)) == 10 and len(there(store)) == 1


def full_disk():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
