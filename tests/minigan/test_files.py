"""Files are written whole or not at all, whatever the disk does; a damaged HDF5 file is never read."""

import errno
import os
import re
import resource
import subprocess
import sys

import h5py
import numpy as np
import pytest
from slow import slow_but_the_first

from minigan import checkpoint, hdf5
from minigan.errors import InputError
from minigan.files import sweep, write_bytes, writing
from minigan.hdf5 import SEAL_BYTES, array_names, reading_hdf5, writing_hdf5
from minigan.metrics.cache import FeatureCache
from minigan.metrics.features import Features
from minigan.metrics.formats import hdf5_images

RNG = np.random.default_rng(0)
ARRAYS = {"a": {"x": RNG.normal(size=(40, 50)), "y": np.arange(7)}, "b": {"z": np.float32(3.5)}}
META = {"name": "données \udcff", "step": 3}


@pytest.fixture
def saved(tmp_path):
    checkpoint.save(tmp_path / "c.h5", ARRAYS, META)
    return tmp_path / "c.h5"


def assert_whole(path):
    arrays, meta = checkpoint.load(path)
    assert meta == META and arrays.keys() == ARRAYS.keys()
    for group, tensors in ARRAYS.items():
        for name, array in tensors.items():
            np.testing.assert_array_equal(arrays[group][name], array, strict=True)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO])
def test_a_disk_that_fails_at_any_write_leaves_the_old_file(saved, code, monkeypatch):
    """Every write of a checkpoint fails once; the last round has as many writes as there are, and succeeds."""
    real, left = os.fsync, [0]
    before = saved.read_bytes()

    class Failing:
        def __init__(self, raw):
            self.raw = raw

        def write(self, data):
            left[0] -= 1
            if left[0] < 0:
                raise OSError(code, os.strerror(code))
            return self.raw.write(data[:1000])  # a part at a time, as the system may do

        def __getattr__(self, name):
            return getattr(self.raw, name)

    raw_sink = hdf5._Sink
    monkeypatch.setattr(hdf5, "_Sink", lambda raw: raw_sink(Failing(raw)))
    monkeypatch.setattr(os, "fsync", real)
    for allowed in range(100):
        left[0] = allowed
        try:
            checkpoint.save(saved, {"a": {"x": np.zeros((40, 50))}}, META)
        except InputError as e:
            assert str(e) == f"cannot write {saved}: {os.strerror(code)}"
            assert saved.read_bytes() == before and os.listdir(saved.parent) == ["c.h5"]
        else:
            break
    assert 10 < allowed < 99 and not checkpoint.load(saved)[0]["a"]["x"].any()


def test_an_error_or_a_kill_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "f"
    write_bytes(path, b"old")
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), writing(path) as file:
            file.write(b"new")
            raise error
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["f"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_FSIZE")
def test_a_limit_on_the_size_of_files_is_one_sentence(tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    code = "import sys; from experiments.mnist import run; run()"
    small = "--digits 20 --batch 4 --g-width 8 --g-heads 2 --g-depth 1 --d-width 8 --d-heads 2 --d-depth 1 --latent 8"
    flags = [*small.split(), "--g-head-width", "8", "--features", "none", "--steps", "2", "--out", str(tmp_path / "r")]
    done = subprocess.run([sys.executable, "-c", code, *flags], preexec_fn=limit, capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert re.fullmatch(r"error: cannot write .*/r/.*: File too large", done.stderr.splitlines()[-1])
    assert not [name for *_, names in os.walk(tmp_path) for name in names if name.endswith(".tmp")]


def test_litter_is_swept_and_nothing_else(tmp_path):
    litter = [".curves.png.1234", ".c.h5.77.tmp", "checkpoint.h5.tmp"]
    kept = ["checkpoint.h5", ".hidden", ".lock", "notes.tmp", "my.h5.tmp", ".backup.2024"]
    for name in litter + kept:
        (tmp_path / name).write_text("")
    sweep(tmp_path, older=1000)
    assert len(os.listdir(tmp_path)) == 9
    sweep(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(kept)


def test_any_changed_byte_is_found(saved):
    assert_whole(saved)
    data = saved.read_bytes()
    for place in RNG.integers(0, len(data) - SEAL_BYTES, 300):
        changed = bytearray(data)
        changed[place] ^= 1 << RNG.integers(8)
        saved.write_bytes(changed)
        with pytest.raises(InputError, match="not a readable checkpoint .it is damaged: its SHA-256 differs"):
            checkpoint.load(saved)
    saved.write_bytes(data)
    assert_whole(saved)


@pytest.mark.slow
def test_a_file_that_another_program_rewrote_is_checked_by_what_it_says(saved):
    """h5py drops the seal. Then names, dtypes, shapes, arrays and attributes decide."""

    def edit(change):
        checkpoint.save(saved, ARRAYS, META)
        with h5py.File(saved, "r+") as f:
            change(f)

    def replace(f, name, values):
        del f[name]
        f[name] = values

    edit(lambda f: f.flush())
    assert_whole(saved)
    edit(lambda f: replace(f, "a/y", np.arange(7)))
    assert_whole(saved)
    for change in (
        lambda f: f["a/x"].__setitem__((3, 4), 0),
        lambda f: f.attrs.__setitem__("meta", "{}"),
        lambda f: f.move("a/x", "a/w"),
        lambda f: replace(f, "a/y", np.arange(7, dtype=np.int32)),
        lambda f: replace(f, "a/y", np.arange(7)[None]),
        lambda f: f.create_dataset("a/new", data=1),
        lambda f: f["a"].attrs.__setitem__("note", "x"),
    ):
        edit(change)
        with pytest.raises(InputError, match="not a readable checkpoint .it is damaged: its SHA-256 differs"):
            checkpoint.load(saved)


def test_a_file_of_an_older_version_loads_and_says_so(tmp_path, capsys):
    with h5py.File(tmp_path / "old.h5", "w") as f:
        f.attrs["format"], f.attrs["meta"] = checkpoint.FORMAT, '{"step": 3}'
        f["a/x"] = np.arange(3)
    arrays, meta = checkpoint.load(tmp_path / "old.h5")
    assert meta == {"step": 3} and arrays["a"]["x"].tolist() == [0, 1, 2]
    said = capsys.readouterr().err
    assert said == f"{tmp_path}/old.h5 has no SHA-256, as an older version wrote it: damage would not show\n"


def test_rows_that_are_appended_are_sealed_as_a_whole_array(tmp_path):
    images = RNG.integers(0, 9, (10, 6, 6), dtype=np.uint8)
    with writing_hdf5(tmp_path / "rows.h5", checkpoint="bad\udcff") as file:
        append = file.rows("images", images.shape, images[:4])
        for start in (0, 4, 8):
            append(images[start : start + 4])
    with h5py.File(tmp_path / "rows.h5", "r+") as f:  # drops the seal, so what the file says is compared
        f.flush()
    with reading_hdf5(tmp_path / "rows.h5") as f:
        assert array_names(f) == ["images"] and hdf5.text(f.attrs["checkpoint"]) == "bad\udcff"
        np.testing.assert_array_equal(f["images"], images)


def test_links_are_not_followed_and_sizes_not_believed(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as f:
        f["secret"] = np.arange(3)
    for make in (
        lambda f: f.create_dataset("a/x", (1 << 40,), "f4", chunks=(1 << 10,)),
        lambda f: f.create_dataset("x", data=1),
    ):
        with h5py.File(tmp_path / "c.h5", "w") as f:
            f.attrs["format"], f.attrs["meta"] = checkpoint.FORMAT, "{}"
            make(f)
        with pytest.raises(InputError, match="not a readable checkpoint"):
            checkpoint.load(tmp_path / "c.h5")
    with h5py.File(tmp_path / "c.h5", "w") as f:
        f.attrs["format"], f.attrs["meta"] = checkpoint.FORMAT, "{}"
        f["a/x"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "secret")
    assert checkpoint.load(tmp_path / "c.h5")[0] == {}


@pytest.mark.parametrize("rows, chunk", slow_but_the_first([(1 << 34, 64), (1 << 20, 1 << 20)]))
def test_sizes_are_not_believed_before_the_sha_is_compared(tmp_path, rows, chunk):
    """Reading 2³⁴ images that were never written takes minutes, and one chunk of 800 MiB as much memory."""
    with h5py.File(tmp_path / "c.h5", "w") as f:
        f.create_dataset("images", (rows, 28, 28), "u1", chunks=(chunk, 28, 28))
        f.attrs["sha256"] = np.bytes_(b"0" * 64)
    with pytest.raises(InputError, match="images cannot be uint8 .* in a file of this size"):
        hdf5_images(tmp_path / "c.h5")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the system ends a process after its time")
def test_a_heap_without_an_end_is_left_after_a_while(tmp_path, monkeypatch):
    """An object of 2⁶⁴ − 16 bytes and its 16 bytes of header end where they begin, so HDF5 2.0 reads it for ever."""
    path = tmp_path / "heap.h5"
    with h5py.File(path, "w") as f:
        f.attrs["meta"] = "text of a variable length"
    data = bytearray(path.read_bytes())
    size = data.index(b"GCOL") + 24
    data[size : size + 8] = (2**64 - 16).to_bytes(8, "little")
    path.write_bytes(data)
    monkeypatch.setattr(hdf5, "PROBE_SECONDS", 1)
    with pytest.raises(InputError, match="cannot be read"), reading_hdf5(path):
        pass


def test_features_of_an_older_version_are_used_and_it_is_said(tmp_path, capsys):
    cache, values = FeatureCache(tmp_path), RNG.normal(size=(4, 3)).astype(np.float32)
    with h5py.File(cache.path("content", "extractor"), "w") as f:
        f.attrs.update(content="content", extractor="extractor")
        f.create_dataset("features", data=values, fletcher32=True)
    np.testing.assert_array_equal(cache.load("content", "extractor").values, values)
    assert "has no SHA-256" in capsys.readouterr().err
    cache.save("content", "extractor", Features(values + 1))
    path = cache.path("content", "extractor")
    path.write_bytes(path.read_bytes().replace((values + 1).tobytes(), values.tobytes()))
    assert cache.load("content", "extractor") is None
