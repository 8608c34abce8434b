"""Pictures in folders and archives, the cache that is made of them, and the commands that train on them."""

import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile

import numpy as np
import pytest
from PIL import Image

from experiments import celeba, images
from minigan import checkpoint
from minigan.data import cache, describe_celeba, draw_faces, load_celeba, load_pictures, stored
from minigan.data.cache import Recipe, cached
from minigan.data.pictures import open_pictures
from minigan.errors import InputError

TINY = (
    "--g-width 16 --g-depth 1 --d-width 16 --d-depth 1 --g-heads 2 --d-heads 2 --latent 8 --g-head-width 8 --batch 4 "
    "--eval-samples 12 --log-every 2 --features none --device cpu"
).split()


def encoded(array, kind="JPEG"):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind)
    return buffer.getvalue()


def noise(n, h, w, seed=0):
    """Blotches, which survive JPEG."""
    coarse = np.random.default_rng(seed).integers(0, 256, (n, -(-h // 8), -(-w // 8), 3), dtype=np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)[:, :h, :w]


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Where the cache goes; its blocks hold three images of 16 × 16."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(stored, "BLOCK_BYTES", 3 * 16 * 16 * 3)
    return tmp_path / "home" / "minigan"


@pytest.fixture
def files():
    """Ten pictures in two folders, by name."""
    return {f"{'ab'[i % 2]}/{i}.jpg": encoded(image) for i, image in enumerate(noise(10, 40, 30))}


def as_folder(path, files):
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def as_zip(path, files, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def as_tar(path, files, mode="w", prefix=""):
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def pixels_of(source, **recipe):
    return cached(source, Recipe(16, **recipe)).images.hold()


def there(directory):
    return sorted(path.name for path in directory.iterdir()) if directory.exists() else []


def finished(directory):
    return [name for name in there(directory) if not name.endswith((".part", ".lock"))]


# ---- where pictures lie


def test_a_folder_a_zip_and_a_tar_are_the_same(tmp_path, store, files):
    expected = pixels_of(as_folder(tmp_path / "folder", files))
    assert expected.shape == (10, 16, 16, 3) and len(np.unique(expected)) > 50
    by_name = dict(sorted(files.items()))  # a tar is read in its own order
    hidden = {".hidden.jpg": b"", "a/._0.jpg": b"", "__MACOSX/a/._1.jpg": b"", "notes.txt": b"text"}
    for source in (
        as_zip(tmp_path / "stored.zip", files),
        as_zip(tmp_path / "packed.zip", {**files, **hidden}, compression=zipfile.ZIP_DEFLATED),
        as_tar(tmp_path / "plain.tar", {**by_name, **hidden}),
        as_tar(tmp_path / "packed.tar.gz", by_name, "w:gz", prefix="./"),
    ):
        np.testing.assert_array_equal(pixels_of(source), expected, err_msg=source.name)
        assert cached(source, Recipe(16)).names == sorted(files)
    assert there(tmp_path / "folder") == ["a", "b"]  # nothing is written beside the data


def test_pictures_are_cropped_to_their_centre_and_resized_without_aliasing(tmp_path, store):
    wide = np.zeros((64, 192, 3), np.uint8)
    wide[:, :64] = wide[:, 128:] = 255
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    sources = {"wide.png": wide, "tall.png": wide.transpose(1, 0, 2), "stripes.png": stripes}
    made = pixels_of(as_folder(tmp_path / "f", {name: encoded(a, "PNG") for name, a in sources.items()})).astype(int)
    assert abs(made[0] - 100).max() < 30  # stripes
    assert (made[1:] == 0).all()


def test_grey_pictures_stay_grey_unless_one_has_colour(tmp_path, store):
    grey = {f"{i}.png": encoded(image[..., 0], "PNG") for i, image in enumerate(noise(4, 20, 20))}
    folder = as_folder(tmp_path / "f", grey)
    assert pixels_of(folder).shape == (4, 16, 16) and load_pictures(folder, size=8).images.shape == (4, 8, 8)
    as_folder(folder, {"4.jpg": encoded(noise(1, 20, 20)[0])})
    assert pixels_of(folder).shape == (5, 16, 16, 3)


def test_sub_folders_are_classes(tmp_path, store, files):
    data = load_pictures(as_folder(tmp_path / "f", files), size=16)
    assert data.classes == 2 and data.labels.tolist() == [0] * 5 + [1] * 5 and data.name == "f"
    with pytest.raises(InputError, match="no test images"):
        load_pictures(tmp_path / "f", "test")


@pytest.mark.parametrize("kind", ["none", "text", "zip", "tar", "encrypted", "empty", "broken"])
def test_sources_that_cannot_be_read_are_one_sentence(tmp_path, store, files, kind):
    path = tmp_path / "source"
    if kind == "text":
        path.write_text("hello")
    elif kind == "zip":
        data = bytearray(as_zip(path, files).read_bytes())
        data[200:300] = bytes(100)
        path.write_bytes(data)
    elif kind == "tar":
        path.write_bytes(as_tar(path, files, "w:gz").read_bytes()[:-3000])
    elif kind == "encrypted":
        data = as_zip(path, files).read_bytes()
        path.write_bytes(data.replace(b"PK\1\2\x14\3\x14\0\0", b"PK\1\2\x14\3\x14\0\1"))
    elif kind == "empty":
        path.mkdir()
    elif kind == "broken":
        as_folder(path, {**files, "b/77.jpg": b"not a JPEG"})
    with pytest.raises(InputError, match="source|77.jpg") as caught:
        pixels_of(path)
    assert "\n" not in str(caught.value)
    assert not finished(store)


# ---- the cache


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


@pytest.mark.parametrize("data", [b"\x1f\x8b\x08", b"\x1f\x8b\x08\0" + bytes(6) + b"\xff" * 40])
def test_an_archive_damaged_from_its_first_bytes_is_one_sentence(tmp_path, data):
    (tmp_path / "cut.tar.gz").write_bytes(data)
    with pytest.raises(InputError, match="cut.tar.gz is (a damaged|neither a folder)"):
        open_pictures(tmp_path / "cut.tar.gz")


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


# ---- CelebA


@pytest.fixture
def aligned(tmp_path, store):
    """A folder like CelebA's, of 20 images; the third is grey."""
    faces = {f"img_align_celeba/{i + 1:06}.jpg": encoded(face) for i, face in enumerate(noise(20, 218, 178))}
    faces["img_align_celeba/000003.jpg"] = encoded(noise(1, 218, 178)[0, ..., 0])
    return as_folder(tmp_path / "celeba", faces)


def test_celeba_in_a_folder_or_a_zip_wherever_they_lie(tmp_path, aligned):
    data = load_celeba(aligned, size=16)
    assert data.images.shape == (18, 16, 16, 3) and data.name == "CelebA" and data.labels is None and data.digest
    files = {path.name: path.read_bytes() for path in (aligned / "img_align_celeba").iterdir()}
    (tmp_path / "zipped" / "Img").mkdir(parents=True)
    archive = as_zip(
        tmp_path / "zipped/Img/img_align_celeba.zip", {f"img_align_celeba/{n}": d for n, d in files.items()}
    )
    for path in (aligned / "img_align_celeba", archive, archive.parent, tmp_path / "zipped"):
        np.testing.assert_array_equal(load_celeba(path, size=16).images, data.images)
    grey = data.images[2].astype(int)
    assert np.ptp(grey, axis=-1).max() == 0 and np.ptp(data.images[3].astype(int), axis=-1).max() > 50


def test_the_crop_is_the_centre_of_the_aligned_image(tmp_path, store):
    image = np.zeros((218, 178, 3), np.uint8)
    image[39:179, 19:159] = 255  # the central 140
    image[39, 19] = (255, 0, 0)
    folder = as_folder(tmp_path / "f", {f"{i}.png": encoded(image, "PNG") for i in range(2)})
    assert (load_celeba(folder, size=140, crop=140).images[0] == image[39:179, 19:159]).all()
    whole = load_celeba(folder, size=178, crop=178).images[0]
    assert (whole == image[20:198]).all()
    assert load_celeba(folder, size=32).images.min() > 200


def test_the_official_split_and_the_split_without_it(aligned):
    train, test = load_celeba(aligned, size=16), load_celeba(aligned, "test", size=16)
    assert len(train) == 18 and len(test) == 2
    everything = np.concatenate([train.images, test.images])
    assert "the last tenth by name" in describe_celeba(aligned, 16, 140)

    parts = {f"{i + 1:06}.jpg": (0, 1, 2, 0)[i % 4] for i in range(20)}
    for name, line in (("list_eval_partition.csv", "{},{}"), ("list_eval_partition.txt", "{} {}")):
        header = ["image_id,partition"] if name.endswith("csv") else []
        (aligned / name).write_text("\n".join([*header, *(line.format(*item) for item in parts.items())]) + "\n")
        split = np.array(list(parts.values()))
        for path in (aligned, aligned / "img_align_celeba"):
            np.testing.assert_array_equal(load_celeba(path, size=16).images, everything[split == 0])
            np.testing.assert_array_equal(load_celeba(path, "test", 16, stream=True).images[:], everything[split == 2])
        assert f"split by {name}" in describe_celeba(aligned, 16, 140)
    (aligned / "list_eval_partition.txt").write_text("000001.jpg 0\n")
    with pytest.raises(InputError, match="does not say to which split .*000002.jpg"):
        load_celeba(aligned, size=16)
    (aligned / "list_eval_partition.txt").write_text("".join(f"{name} 0\n" for name in parts))
    with pytest.raises(InputError, match="no test images"):
        load_celeba(aligned, "test", size=16)


def test_pictures_that_are_not_aligned_celeba_are_named(tmp_path, store):
    sizes = {"a.jpg": (218, 178), "b.jpg": (178, 218)}
    folder = as_folder(tmp_path / "f", {name: encoded(noise(1, *size)[0]) for name, size in sizes.items()})
    with pytest.raises(InputError, match="b.jpg is 218x178, not an aligned CelebA image .*experiments.images"):
        load_celeba(folder, size=16)


def test_drawn_faces_stand_in_and_test_faces_are_others():
    train, test = draw_faces(6, size=32), draw_faces(6, "test", size=32)
    assert train.images.shape == (6, 32, 32, 3) and train.name == "drawn faces" and train.labels is None
    assert not (train.images == test.images).all(axis=(1, 2, 3)).any()
    for wrong in ({"n": 0}, {"seed": -1}, {"size": 0}):
        with pytest.raises(InputError, match="cannot draw"):
            draw_faces(**{"n": 1} | wrong)


# ---- the commands


@pytest.mark.slow
def test_the_celeba_command_on_drawn_faces(tmp_path):
    out = tmp_path / "run"
    assert celeba.main([*TINY, "--faces", "12", "--size", "32", "--steps", "2", "--out", str(out)]) == 0
    assert "not CelebA" in (out / "report.html").read_text()
    config = json.loads((out / "config.json").read_text())
    assert config["options"]["image_size"] == 32 and config["options"]["channels"] == 3
    assert config["data"]["faces"] == 12


@pytest.mark.slow
def test_the_celeba_command_streams_and_resumes_from_anywhere(tmp_path, aligned, monkeypatch):
    monkeypatch.chdir(tmp_path)
    common = [*TINY, "--data", "celeba", "--size", "32", "--steps", "4"]
    monkeypatch.setattr("minigan.train.Run.summarise", lambda self: None)
    assert celeba.main([*common, "--stream", "--out", "streamed", "--cache", "kept"]) == 0
    assert celeba.main([*common, "--no-stream", "--out", "held"]) == 0
    assert there(tmp_path / "kept") and there(tmp_path / "home" / "minigan")
    arrays, meta = checkpoint.load(tmp_path / "streamed/checkpoint.h5")
    expected, meta_held = checkpoint.load(tmp_path / "held/checkpoint.h5")
    for name, array in expected["generator"].items():
        np.testing.assert_array_equal(arrays["generator"][name], array)
    assert meta["data_hash"] == meta_held["data_hash"]
    assert meta["data"]["stream"] is True and meta["data"]["crop"] == 140 and "140 × 140" in meta["data"]["note"]
    for key in ("path", "cache"):
        assert os.path.isabs(meta["data"][key])

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    meta["config"]["steps"] = 6
    checkpoint.save(tmp_path / "streamed/checkpoint.h5", arrays, meta)
    assert celeba.main(["--resume", str(tmp_path / "streamed"), "--device", "cpu"]) == 0
    assert checkpoint.load(tmp_path / "streamed/checkpoint.h5")[1]["steps_done"] == 6


def test_the_images_command_takes_any_archive(tmp_path, store, files, monkeypatch):
    monkeypatch.setattr("minigan.train.Run.summarise", lambda self: None)
    source, out = as_tar(tmp_path / "some.tar.gz", files, "w:gz"), tmp_path / "run"
    assert images.main([*TINY, "--data", str(source), "--size", "16", "--steps", "1", "--out", str(out)]) == 0
    assert json.loads((out / "config.json").read_text())["data"]["images"] == 10


@pytest.mark.parametrize(
    ("main", "arguments", "message"),
    [
        (images.main, [], "give the pictures: a folder"),
        (images.main, ["--data", "nowhere"], "does not exist"),
        (images.main, ["--data", ".", "--size", "0"], "must be positive"),
        (celeba.main, ["--data", "nowhere"], "does not exist"),
        (celeba.main, ["--data", ".", "--faces", "3"], "does not go with --data"),
        (celeba.main, ["--crop", "178"], "needs --data"),
        (celeba.main, ["--no-stream"], "needs --data"),
        (celeba.main, ["--skip-unreadable"], "needs --data"),
        (celeba.main, ["--faces", "0"], "cannot draw 0 faces"),
    ],
)
def test_wrong_flags_are_one_sentence(store, tmp_path, monkeypatch, main, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        main([*arguments, "--device", "cpu"])


def test_names_of_every_kind(tmp_path, store):
    picture = encoded(noise(1, 20, 20)[0])
    names = ["ä ö.jpg", "日本/x.JPEG", os.fsdecode(b"caf\xe9.png")]
    try:
        folder = as_folder(tmp_path / "f", dict.fromkeys(names, picture))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert sorted(cached(folder, Recipe(16)).names) == sorted(names)
    with open_pictures(folder) as pictures:
        assert pictures.read(0) == picture
