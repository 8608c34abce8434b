"""Pictures as people have them: every format that Pillow reads, any names and links in archives, odd metadata."""

import gzip
import io
import os
import struct
import subprocess
import sys
import tarfile
import warnings
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, features

from minigan.data import cache, load_images
from minigan.data.cache import Recipe, cached
from minigan.data.cifar import load_cifar10
from minigan.data.decoding import FORMATS, pixels, refuse
from minigan.data.folder import find_pictures
from minigan.data.pictures import open_pictures, plain_name
from minigan.errors import InputError
from minigan.metrics.formats import detect_kind
from minigan.metrics.loaders import open_images

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)


def png(values=PIXELS, **options):
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG", **options)
    return file.getvalue()


def names_of(path):
    with open_pictures(path) as pictures:
        for i in range(len(pictures.files)):
            assert pictures.read(i) == png()
        return pictures.files, dict(pictures.found.others)


# ---- formats


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "GIF", "PPM", "TGA", "PCX", "SGI", "DDS", "WEBP", "JPEG2000"])
def test_every_format_counts_as_a_picture(tmp_path, form):
    if form in ("WEBP", "JPEG2000") and not features.check({"WEBP": "webp", "JPEG2000": "jpg_2000"}[form]):
        pytest.skip("this Pillow lacks the format")
    few = (PIXELS // 128) * 255  # eight colours, which a palette holds
    suffix = FORMATS[form].split()[0]
    Image.fromarray(few).save(tmp_path / f"a{suffix.upper()}", form, **({"lossless": True} if form == "WEBP" else {}))
    images = load_images(tmp_path).images
    np.testing.assert_array_equal(images[0], few)


def test_a_wrong_suffix_does_not_matter_and_wide_pixels_are_refused(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png", "BMP")
    np.testing.assert_array_equal(load_images(tmp_path).images[0], PIXELS)
    for values, kind in ((np.zeros((9, 9), np.uint16), "16-bit"), (np.zeros((9, 9), np.float32), "floating-point")):
        Image.fromarray(values).save(tmp_path / "b.tiff")
        with pytest.raises(InputError, match=f"b.tiff has {kind} pixels"):
            load_images(tmp_path)


SEE_THROUGH = np.array([[[9, 9, 9, 255], [200, 0, 0, 0]], [[0, 0, 0, 128], [0, 0, 0, 0]]], np.uint8)
ON_WHITE = np.array([[9, 255], [127, 255]], np.uint8)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "TGA"])
@pytest.mark.parametrize("kind", ["RGBA", "LA"])
def test_transparent_pixels_are_laid_onto_white(kind, form):
    file = io.BytesIO()
    Image.fromarray(SEE_THROUGH if kind == "RGBA" else SEE_THROUGH[:, :, 2:].copy()).save(file, form)
    np.testing.assert_array_equal(pixels(file, "a", "L"), ON_WHITE)
    np.testing.assert_array_equal(pixels(file, "a", "RGB"), np.stack([ON_WHITE] * 3, axis=2))


@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_a_transparent_colour_becomes_white(form):
    file, image = io.BytesIO(), Image.fromarray(np.array([[0, 1]], np.uint8))
    image.putpalette([9, 9, 9, 255, 0, 0])
    image.save(file, form, transparency=0)
    np.testing.assert_array_equal(pixels(file, "a", "RGB"), [[[255, 255, 255], [255, 0, 0]]])
    if form == "PNG":
        data = png(np.array([[3, 7]], np.uint8), transparency=7)
        np.testing.assert_array_equal(pixels(io.BytesIO(data), "a", "L"), [[3, 255]])


# ---- metadata


def exif(*entries):
    """EXIF with these (tag, type, count, value)."""
    packed = b"".join(struct.pack("<HHI", *e[:3]) + e[3].ljust(4, b"\0")[:4] for e in entries)
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + packed + b"\0\0\0\0"


TURNED = (0x112, 3, 1, struct.pack("<H", 6))  # orientation 6: Pillow's exif_transpose turns it by 270 degrees
ODD = {
    "the orientation alone": (exif(TURNED), True),
    "a resolution as text": (exif(TURNED, (0x11A, 2, 3, b"72\0")), True),
    "a resolution as bytes": (exif(TURNED, (0x11A, 7, 4, b"\0\0\0H")), True),
    "a width as text": (exif(TURNED, (0x100, 2, 3, b"30\0")), True),
    "an orientation as text": (exif((0x112, 2, 2, b"6\0")), False),
    "an orientation of 77": (exif((0x112, 3, 1, struct.pack("<H", 77))), False),
    "a directory that is cut": (exif(TURNED)[:20], False),
    "nothing": (b"Exif\0\0", False),
    "two heads": (b"Exif\0\0" + exif(TURNED), True),
}


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_odd_exif_never_decides_about_good_pixels(case, form):
    data, turned = ODD[case]
    file, bare = io.BytesIO(), io.BytesIO()
    Image.fromarray(PIXELS).save(file, form, exif=data)
    Image.fromarray(PIXELS).save(bare, form)
    expected = Image.open(bare).convert("RGB")
    expected = expected.transpose(Image.Transpose.ROTATE_270) if turned else expected
    np.testing.assert_array_equal(pixels(file, "a", "RGB"), np.asarray(expected))


def test_large_texts_and_damaged_profiles_do_not_matter():
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "x" * 3_000_000, zip=True)  # Pillow refuses texts of more than 1 MiB
    good = png(pnginfo=info)
    profile = b"name\0\0" + b"no zlib data"
    chunk = struct.pack(">I", len(profile)) + b"iCCP" + profile
    chunk += struct.pack(">I", zlib.crc32(chunk[4:]))
    for data in (good, good[:33] + chunk + good[33:]):
        np.testing.assert_array_equal(pixels(io.BytesIO(data), "a", "RGB"), PIXELS)


def test_a_picture_that_claims_to_be_huge_is_one_sentence():
    head = struct.pack(">II5B", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = png()[:16] + head + struct.pack(">I", zlib.crc32(b"IHDR" + head)) + png()[33:]
    with pytest.raises(InputError, match="a is not a readable image .*3600000000"), warnings.catch_warnings():
        pixels(io.BytesIO(data), "a", "RGB")


@pytest.mark.slow
def test_a_large_picture_is_read_without_a_word(tmp_path):
    """Pillow warns above 89 million pixels, in the words of its own source file."""
    Image.fromarray(np.zeros((10_000, 9_000), np.uint8)).save(tmp_path / "a.png")
    program = "import sys; from minigan.data import load_images; print(load_images(sys.argv[1], 8).images.shape)"
    done = subprocess.run([sys.executable, "-W", "default", "-c", program, tmp_path], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("(1, 8, 8)\n", "")


# ---- archives and folders


def test_names_as_archivers_write_them():
    names = {"./a/1.png": "a/1.png", "a\\1.png": "a/1.png", "/a/1.png": "a/1.png", "C:\\a\\1.png": "a/1.png"}
    names |= {"a//b/./1.png": "a/b/1.png", "././1.png": "1.png", ".\\a\\1.png": "a/1.png"}
    names |= {"../a/1.png": "a/1.png", "a/../../b/1.png": "b/1.png", "..\\1.png": "1.png", "a/..b/": "a/..b/"}
    for written, plain in names.items():
        assert plain_name(written) == plain


def test_a_zip_gives_every_picture_and_counts_the_rest(tmp_path):
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as z:
        for name in ("./a/1.png", "a\\2.png", "/b/3.PNG", "a/", "notes.txt", "__MACOSX/a/._1.png", ".DS_Store"):
            z.writestr(name, b"" if name.endswith("/") else png())
        for name, target in (("b/link.png", "../a/1.png"), ("b/broken.png", "nowhere.png"), ("b/loop.png", "loop.png")):
            link = zipfile.ZipInfo(name)
            link.external_attr = 0o120777 << 16
            z.writestr(link, target)
        with pytest.warns(UserWarning, match="Duplicate name"):
            z.writestr("./a/1.png", png())
    files, others = names_of(tmp_path / "z.zip")
    assert files == ["a/1.png", "a/2.png", "b/3.PNG", "b/link.png"]
    assert others == {".txt": 1, "hidden": 2, "link to nothing": 2}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_a_tar_gives_every_picture_and_counts_the_rest(tmp_path, mode):
    with tarfile.open(tmp_path / "t.tar", mode) as t:

        def add(name, kind=tarfile.REGTYPE, link=""):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            member.size = len(png()) if kind == tarfile.REGTYPE else 0
            t.addfile(member, io.BytesIO(png()))

        for name in ("./a/1.png", "a/2.png", "/a/3.png", "a/._2.png", "list.csv"):
            add(name)
        add("b/soft.png", tarfile.SYMTYPE, "../a/2.png")
        add("b/hard.png", tarfile.LNKTYPE, "a/2.png")
        add("b/broken.png", tarfile.SYMTYPE, "nowhere")
        add("b", tarfile.DIRTYPE)
        add("./a/1.png")
    files, others = names_of(tmp_path / "t.tar")
    assert sorted(files) == ["a/1.png", "a/2.png", "a/3.png", "b/hard.png", "b/soft.png"]
    assert others == {"hidden": 1, ".csv": 1, "link to nothing": 1}


def test_folders_reached_by_links_count_once(tmp_path):
    for name in ("data/a/1.png", "elsewhere/2.png", "data/.hidden/3.png", "data/notes.txt", "data/Thumbs.db"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png())
    os.symlink(tmp_path / "elsewhere", tmp_path / "data" / "link")
    os.symlink(tmp_path / "data", tmp_path / "data" / "a" / "loop")
    os.symlink(tmp_path / "data" / "a", tmp_path / "data" / "again")
    os.symlink("nowhere", tmp_path / "data" / "dangling.png")
    os.symlink(tmp_path / "elsewhere" / "2.png", tmp_path / "data" / "file.png")
    files, others = names_of(tmp_path / "data")
    assert files == ["a/1.png", "file.png", "link/2.png"]
    assert others == {"hidden": 1, ".txt": 1, ".db": 1, "link to nothing": 1}


def test_a_link_to_itself_and_a_locked_folder_end_nothing(tmp_path, monkeypatch):
    for name in ("a.png", "locked/b.png", "open/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(png())
    os.symlink("loop.png", tmp_path / "loop.png")
    scandir = os.scandir

    def refuse(path):  # as the system does for a folder without read permission, but not for root
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    files, others = names_of(tmp_path)
    assert files == ["a.png", "open/c.png"] and others == {"link to nothing": 1, "unreadable folder": 1}
    with pytest.raises(InputError, match="cannot read .*locked: Permission denied"):
        find_pictures(tmp_path / "locked")


def test_what_is_left_out_is_said(tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(png())
    (tmp_path / "b.txt").write_text("")
    load_images(tmp_path)
    assert capsys.readouterr().err == f"{tmp_path}: 1 pictures; 1 other file is left out (1 .txt)\n"


@pytest.mark.parametrize("method", ["ZIP_STORED", "ZIP_DEFLATED", "ZIP_BZIP2", "ZIP_LZMA"])
def test_damage_in_every_compression_is_one_sentence(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "z.zip", "w", getattr(zipfile, method)) as z:
        z.writestr("a.png", png())
    good = (tmp_path / "z.zip").read_bytes()
    for place in RNG.integers(30, len(good) - 100, 60):
        (tmp_path / "z.zip").write_bytes(good[:place] + bytes([good[place] ^ 0x55]) + good[place + 1 :])
        try:
            with open_pictures(tmp_path / "z.zip") as pictures:
                assert all(pictures.read(i) == png() for i in range(len(pictures.files)))
        except InputError as e:
            assert "\n" not in str(e)


def test_an_archive_that_unpacks_to_gigabytes_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "z.zip", "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("a.png", RNG.bytes(1 << 20))
    data = bytearray((tmp_path / "z.zip").read_bytes())
    size = data.rindex(b"PK\x01\x02") + 24  # the size that the directory gives
    for claimed, says in ((3 << 30, "unpacks to 3 GiB"), (300 << 20, "too many for a picture")):
        data[size : size + 4] = struct.pack("<I", claimed)
        (tmp_path / "z.zip").write_bytes(data)
        with pytest.raises(InputError, match=says), open_pictures(tmp_path / "z.zip") as pictures:
            pictures.read(0)


# ---- unreadable pictures


def test_a_png_whose_checksum_is_cut_off_is_refused():
    """Pillow reads it, and would return the changed pixel. A file that lacks its end alone is read."""
    noise = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    whole = png(noise, compress_level=0)
    changed = bytearray(whole)
    changed[200] ^= 1
    for cut in (14, 15, 16):  # the empty part IEND has 12 bytes, the checksum before it 4
        with pytest.raises(InputError, match="it ends within its part IDAT"):
            pixels(io.BytesIO(changed[:-cut]), "a.png", "RGB")
    for end in (12, 5, 0):
        np.testing.assert_array_equal(pixels(io.BytesIO(whole[: len(whole) - end]), "a.png", "RGB"), noise)


@pytest.fixture
def damaged(tmp_path):
    """Eleven pictures, of which one is text, one lacks half its pixels and one has a damaged checksum."""
    (tmp_path / "pictures").mkdir()
    noise = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for i in range(11):
        (tmp_path / "pictures" / f"{i:02}.png").write_bytes(png(np.roll(noise, i)))
    whole = png(noise)
    half = b"IDAT" + whole[41 : len(whole) // 2]
    half = whole[:33] + struct.pack(">I", len(half) - 4) + half + struct.pack(">I", zlib.crc32(half)) + whole[-12:]
    for i, data in ((2, b"text"), (5, half), (7, whole[:300] + b"damaged!" + whole[308:])):
        (tmp_path / "pictures" / f"{i:02}.png").write_bytes(data)
    return tmp_path / "pictures"


def bomb(path, kind, size, members):
    """A compressed tar whose headers claim `size` bytes."""
    head = tarfile.TarInfo("a")
    head.type, head.size = kind, size
    with gzip.open(path, "wb") as file:
        for _ in range(members):
            file.write(head.tobuf(tarfile.GNU_FORMAT) + bytes(size))
        file.write(bytes(1024))
    return path


@pytest.mark.parametrize("read", [open_pictures, detect_kind, lambda path: load_cifar10(path)])
@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_headers_of_a_tar_are_not_read_whole(tmp_path, kind, read, monkeypatch):
    """tarfile reads them into memory; a long name has a few hundred bytes."""
    asked = []
    block = tarfile.TarInfo._block
    monkeypatch.setattr(tarfile.TarInfo, "_block", lambda self, size: asked.append(size) or block(self, size))
    for size, members in ((2 << 20, 1), (300 << 10, 8)):
        try:
            read(bomb(tmp_path / "t.tar.gz", kind, size, members))
        except InputError as e:
            assert "\n" not in str(e)
        assert sum(asked) <= 1 << 20
        asked.clear()


def test_long_names_and_pax_headers_are_read(tmp_path):
    name = "a" * 90 + "/" + "b" * 90 + "é.png"
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(tmp_path / "t.tar", "w", format=form) as t:
            for i in range(3):
                member = tarfile.TarInfo(f"{i}{name}")
                member.size = len(png())
                t.addfile(member, io.BytesIO(png()))
        assert names_of(tmp_path / "t.tar")[0] == [f"{i}{name}" for i in range(3)]


def test_a_sparse_file_in_a_tar_is_refused(tmp_path):
    """The map of its holes has no end that its header would tell."""
    with pytest.raises(InputError, match="is neither a folder nor a zip or tar"):
        open_pictures(bomb(tmp_path / "t.tar.gz", tarfile.GNUTYPE_SPARSE, 512, 1))


def test_few_large_files_are_in_memory_at_once(tmp_path, monkeypatch):
    for i in range(4):
        (tmp_path / f"{i}.png").write_bytes(png())
    events, content, decode = [], cache._Build.content, cache.pixels
    monkeypatch.setattr(cache._Build, "content", lambda self, i: events.append("read") or content(self, i))
    monkeypatch.setattr(cache, "pixels", lambda *args: events.append("decoded") or decode(*args))
    monkeypatch.setattr(cache._Build, "check_heads", lambda self: False)
    monkeypatch.setattr(cache, "BYTES_AT_ONCE", 2 * len(png()))
    assert cached(tmp_path, Recipe(8), tmp_path / ".cache").names == [f"{i}.png" for i in range(4)]
    assert events == ["read", "read", "decoded", "decoded"] * 2


@pytest.mark.parametrize("letter", ["x", "é"])
def test_a_long_name_of_a_folder_has_room_in_the_cache(tmp_path, letter):
    folder = tmp_path / (letter * (240 // len(letter.encode())))
    folder.mkdir()
    (folder / "a.png").write_bytes(png())
    found = cached(folder, Recipe(8), tmp_path / "cache")
    assert len(found.images) == 1 and letter * 50 + "-8-" in str(next((tmp_path / "cache").iterdir()))


def test_all_unreadable_pictures_are_listed_together(damaged, tmp_path):
    """Files that are no pictures at once, the others when all have been decoded."""
    (damaged / "08.png").write_bytes((damaged / "05.png").read_bytes())
    for first, second in (("02", "07"), ("05", "08")):
        says = rf"2 pictures of .*{first}\.png.*{second}\.png.*--skip-unreadable goes on"
        with pytest.raises(InputError, match=says) as e:
            cached(damaged, Recipe(16, mode="RGB"), tmp_path / "cache")
        assert "\n" not in str(e.value) and os.listdir(tmp_path / "cache") == []
        for name in (first, second):
            (damaged / f"{name}.png").write_bytes(png())
    assert cached(damaged, Recipe(16, mode="RGB"), tmp_path / "cache").skipped == {}


def test_they_are_listed_by_name_whichever_thread_was_first():
    with pytest.raises(InputError, match="2 pictures of DIR cannot be read: one; two; --skip"):
        refuse({"b.png": "two", "a.png": "one"}, "DIR")
    with pytest.raises(InputError, match="21 pictures .* 19; …"):
        refuse({f"{i:02}": str(i) for i in range(21)}, "DIR")


def test_fid_lists_them_before_its_work(damaged):
    with pytest.raises(InputError, match=r"2 pictures of .*02\.png.*07\.png.*--skip-unreadable goes on"):
        open_images(damaged)


def test_without_a_cache_they_are_skipped_too(damaged, capsys):
    """In what --data of experiments.mnist and what experiments.fid read: as if the three files were not there."""
    expected = [pixels(path, path, "RGB") for path in sorted(damaged.iterdir()) if path.stem not in ("02", "05", "07")]
    data, loader = load_images(damaged, skip=True), open_images(damaged, skip=True)
    np.testing.assert_array_equal(data.images, expected)
    np.testing.assert_array_equal(np.concatenate(list(loader.batches(3))), expected)
    assert data.skipped == loader.facts["unreadable"] == 3 and len(loader) == 8
    assert capsys.readouterr().err.count(f"3 unreadable pictures of {damaged} are left out") == 2
    few = open_images(damaged, num=6, seed=1, skip=True)  # of the six that are drawn
    assert len(few) + few.facts["unreadable"] == 6
    for path in damaged.iterdir():
        path.write_bytes(b"text")
    for load in (load_images, open_images):
        with pytest.raises(InputError, match="no picture of .* can be read: .*00.png is not a readable image"):
            load(damaged, skip=True)


@pytest.mark.parametrize("mode", ["RGB", None])
def test_skipped_pictures_are_recorded_and_the_others_right(damaged, tmp_path, mode, capsys):
    found = cached(damaged, Recipe(64, mode=mode), tmp_path / "cache", skip=True)
    assert sorted(found.skipped) == ["02.png", "05.png", "07.png"] and len(found.images) == len(found.names) == 8
    for name, image in zip(found.names, found.images.hold(), strict=True):
        np.testing.assert_array_equal(image, pixels(damaged / name, name, "RGB"))
    assert "3 unreadable pictures" in capsys.readouterr().err
    again = cached(damaged, Recipe(64, mode=mode), tmp_path / "cache", skip=True)
    assert again.names == found.names and again.images.digest == found.images.digest
    with pytest.raises(InputError, match="3 pictures"):
        cached(damaged, Recipe(64, mode=mode), tmp_path / "cache")


def test_fid_reads_formats_and_names_too(tmp_path):
    for i in range(3):
        Image.fromarray(np.roll(PIXELS, i)).save(tmp_path / f"{i}.bmp")
    loader = open_images(tmp_path)
    np.testing.assert_array_equal(np.concatenate(list(loader.batches(2)))[1], np.roll(PIXELS, 1))
