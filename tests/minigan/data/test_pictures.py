"""Pictures in folders and archives are read alike, and what cannot be read is one sentence."""

import os
import zipfile

import numpy as np
import pytest
from picture_sources import as_folder, as_tar, as_zip, encoded, finished, noise, pixels_of, there

from minigan.data import load_pictures
from minigan.data.cache import Recipe, cached
from minigan.data.pictures import open_pictures
from minigan.errors import InputError


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


@pytest.mark.parametrize("data", [b"\x1f\x8b\x08", b"\x1f\x8b\x08\0" + bytes(6) + b"\xff" * 40])
def test_an_archive_damaged_from_its_first_bytes_is_one_sentence(tmp_path, data):
    (tmp_path / "cut.tar.gz").write_bytes(data)
    with pytest.raises(InputError, match="cut.tar.gz is (a damaged|neither a folder)"):
        open_pictures(tmp_path / "cut.tar.gz")


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
