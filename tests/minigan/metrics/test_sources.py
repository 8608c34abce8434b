"""Image loaders: the same images in any container have the same digest, other images never do."""

import gzip
import io
import os
import shutil
import zipfile

import h5py
import numpy as np
import pytest
from image_files import folder, hdf5, idx
from PIL import Image
from tiny_models import draw_images, tiny
from tiny_runs import write_run

from minigan import checkpoint
from minigan.data import stroke_digits
from minigan.data.faces import faces
from minigan.errors import InputError
from minigan.metrics.formats import detect_kind
from minigan.metrics.loaders import open_images
from minigan.sampling import generate, latents

GREY = draw_images(tiny(), 7, seed=1)
COLOUR = np.random.default_rng(2).integers(0, 256, (7, 12, 10, 3), dtype=np.uint8)  # not square


def numpy_file(save, path, *arrays, **named):
    with open(path, "wb") as file:  # NumPy would append a suffix to a path
        save(file, *arrays, **named)


def pack(path, images, form):
    folder(path.with_name("packed"), images)
    shutil.move(shutil.make_archive(path, form, path.with_name("packed")), path)


def passed(spec, size=3, **options):
    """A source after a whole pass, and its images."""
    source = open_images(spec, **options)
    images = [image for images in source.batches(size) for image in images]
    source.close()
    return source, images


WRITERS = {
    "folder": lambda p, x: folder(p, x),
    "zip": lambda p, x: pack(p, x, "zip"),
    "tar": lambda p, x: pack(p, x, "tar"),
    "tar gzipped": lambda p, x: pack(p, x, "gztar"),
    "idx": lambda p, x: idx(p, x),
    "idx gzipped": lambda p, x: idx(p, x, gzip.open),
    "hdf5": lambda p, x: hdf5(p, images=x, labels=np.arange(len(x), dtype=np.uint8)),
    "hdf5 by any name": lambda p, x: hdf5(p, **{"a/pictures": x, "other": np.zeros(3)}),
    "hdf5 channels first": lambda p, x: hdf5(p, imgs=x[:, None] if x.ndim == 3 else x.transpose(0, 3, 1, 2)),
    "npz": lambda p, x: numpy_file(np.savez, p, images=x, zeros=np.zeros_like(x)),
    "npz without a name": lambda p, x: numpy_file(np.savez_compressed, p, x),
    "npy": lambda p, x: numpy_file(np.save, p, x),
    "npy with one channel": lambda p, x: numpy_file(np.save, p, x[..., None] if x.ndim == 3 else x),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("images", [GREY, COLOUR], ids=["grey", "colour"])
def test_every_container_gives_the_same_images_and_digest(tmp_path, writer, images):
    if writer.startswith("idx") and images.ndim == 4:
        pytest.skip("IDX files hold grey images")
    path = tmp_path / "file without a suffix"
    WRITERS[writer](path, images)
    source, found = passed(path)
    np.testing.assert_array_equal(found, images)
    assert len(source) == 7 and source.digest == passed(images)[0].digest
    assert source.kind == detect_kind(path) == writer.split()[0]


def test_the_digest_is_of_sizes_and_pixels_and_of_nothing_else(tmp_path):
    digest = passed(COLOUR)[0].digest
    folder(tmp_path / "renamed", COLOUR[::-1], [f"{'zyx'[i % 3]}/{i}.PNG" for i in range(7)])
    assert passed(tmp_path / "renamed")[0].digest == digest
    assert passed(COLOUR[[3, 1, 0, 2, 6, 5, 4]], size=4)[0].digest == digest
    changed = COLOUR.copy()
    changed[4, 5, 6, 1] ^= 1
    others = [changed, COLOUR[:6], COLOUR.reshape(7, 10, 12, 3), COLOUR[[0, 0, 1, 2, 3, 4, 5, 6]]]
    digests = {passed(images)[0].digest for images in others}
    assert len(digests) == 4 and digest not in digests


def test_order_sorts_images_alike_wherever_they_lie():
    shuffled = np.random.default_rng(0).permutation(7)
    a, b = passed(COLOUR)[0], passed(COLOUR[shuffled], size=2)[0]
    np.testing.assert_array_equal(COLOUR[a.order], COLOUR[shuffled][b.order])


def test_a_folder_may_mix_sizes_colours_and_formats(tmp_path):
    folder(tmp_path / "x", [COLOUR[0], COLOUR[1, :8], GREY[0]], ["a/0.png", "1.png", "2.png"])
    Image.fromarray(COLOUR[2]).save(tmp_path / "x" / "3.jpeg", quality=90)
    Image.fromarray(COLOUR[3]).convert("P").save(tmp_path / "x" / "palette.png")
    (tmp_path / "x" / ".hidden.png").write_bytes(b"")
    (tmp_path / "x" / "notes.txt").write_text("no image")
    source, found = passed(tmp_path / "x", size=5)
    assert sorted(image.shape for image in found) == [(8, 10, 3), (12, 10, 3), (12, 10, 3), (12, 10, 3), (28, 28)]
    sentences = " ".join(source.warnings())
    assert "3 different sizes, 10×8 to 28×28" in sentences and "1 JPEG file" in sentences
    assert passed(COLOUR)[0].warnings() == []


def test_a_list_of_arrays_may_mix_sizes_too():
    source, found = passed([COLOUR[0], GREY[0], COLOUR[1, :5], COLOUR[2, ..., :1]])
    assert [image.shape for image in found] == [(12, 10, 3), (28, 28), (5, 10, 3), (12, 10)]
    assert "3 different sizes" in source.warnings()[0]


@pytest.mark.parametrize("writer", ["folder", "hdf5", "npy", "npz"])
def test_num_draws_by_the_seed(tmp_path, writer):
    path = tmp_path / "x"
    WRITERS[writer](path, COLOUR)
    source, found = passed(path, num=4, seed=3)
    again = passed(path, num=4, seed=3)[1]
    np.testing.assert_array_equal(found, again)
    assert len(source) == len(found) == 4 and len({image.tobytes() for image in found}) == 4
    assert {image.tobytes() for image in found} <= {image.tobytes() for image in COLOUR}
    assert len({passed(path, num=4, seed=s)[0].digest for s in range(5)}) > 1
    assert len(passed(path, num=100)[1]) == 7


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.mark.slow
def test_a_checkpoint_samples_images_that_depend_on_the_seed_alone(trained):
    source, found = passed(trained / "best.h5", num=300, seed=5)
    assert source.kind == "checkpoint" and source.facts["step"] == 20 and source.facts["sampling_seed"] == 5
    fewer, first = passed(trained / "best.h5", size=70, num=260, seed=5)
    np.testing.assert_array_equal(found[:260], first)
    np.testing.assert_array_equal(
        found, generate(source.generator, latents(range(300), source.config.latent, 5), source.batch, fill=True)
    )
    assert passed(trained / "best.h5", num=300, seed=6)[0].digest != source.digest
    assert len(np.unique([image.tobytes() for image in found])) > 250


def test_the_step_and_the_weights_are_of_one_file(trained, monkeypatch):
    """A training at work may replace the checkpoint between two looks at it."""
    load, loads = checkpoint.load, []
    monkeypatch.setattr(checkpoint, "load", lambda path: loads.append(path) or load(path))
    assert open_images(trained / "best.h5", num=5).facts["step"] == 20 and len(loads) == 1


def test_a_run_directory_is_its_best_checkpoint_or_else_its_last(trained, tmp_path):
    run, best = passed(trained, num=5)[0], passed(trained / "best.h5", num=5)[0]
    assert (run.kind, run.facts["checkpoint"], run.digest) == ("run", "best.h5", best.digest)
    (tmp_path / "checkpoint.h5").write_bytes((trained / "checkpoint.h5").read_bytes())
    other = passed(tmp_path, num=5)[0]
    assert other.facts["checkpoint"] == "checkpoint.h5" and other.facts["step"] == 10 and other.digest != run.digest


def test_drawn_images_are_none_of_training():
    digits = np.array(passed("stroke-digits", num=40, seed=3)[1])
    people = np.array(passed("faces", num=3)[1])
    assert digits.shape == (40, 28, 28) and people.shape == (3, 64, 64, 3)
    for seed in (0, 3):
        assert not (digits[:, None] == stroke_digits(40, seed)[0]).all(axis=(2, 3)).any()
    assert not np.array_equal(people, faces(3, 0))


def cut(path):
    idx(path, GREY, gzip.open)
    path.write_bytes(path.read_bytes()[:18])


def more_than_fits(path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (2**30, 2**10, 2**10)}
    )
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("images.npy", header.getvalue())


def damaged_header(path, old, new):
    numpy_file(np.save, path, COLOUR)
    path.write_bytes(path.read_bytes().replace(old, new))


def test_strange_attributes_do_not_matter(tmp_path):
    hdf5(tmp_path / "f.h5", images=GREY)
    with h5py.File(tmp_path / "f.h5", "r+") as f:
        f.attrs["format"] = np.arange(3)
    np.testing.assert_array_equal(passed(tmp_path / "f.h5")[1], GREY)


def bad_png(path):
    folder(path, COLOUR)
    whole = (path / "3.png").read_bytes()
    (path / "3.png").write_bytes(whole[: len(whole) // 2])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda p: None, "does not exist"),
        (lambda p: p.mkdir(), "holds no picture files"),
        (lambda p: (p.mkdir(), idx(p / "train-images-idx3-ubyte", GREY[:, :0])), "not uint8 images"),
        (bad_png, r"3\.png is not a readable image"),
        (lambda p: p.write_text("hello"), "is not a folder, zip or tar of pictures, nor an IDX, CSV, HDF5"),
        (lambda p: Image.fromarray(GREY[0]).save(p, "PNG"), "is a single image"),
        (lambda p: hdf5(p, images=COLOUR.astype(np.float32)), r"holds no images.*but images float32 \(7, 12, 10, 3\)"),
        (lambda p: hdf5(p, a=COLOUR, b=COLOUR), r"several arrays that can be images \(a, b\)"),
        (lambda p: hdf5(p, images=COLOUR[:0]), "holds no images"),
        (lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100)), "cannot be read"),
        (lambda p: numpy_file(np.savez, p, x=np.zeros(3)), r"holds no images.*but x float64 \(3,\)"),
        (lambda p: p.write_bytes(b"PK\x03\x04" + bytes(50)), "cannot be read"),
        (lambda p: numpy_file(np.save, p, COLOUR[0]), "holds no images"),
        (lambda p: numpy_file(np.save, p, np.array([None])), "cannot be read"),
        (lambda p: damaged_header(p, b"'|u1'", b"'|u1("), "cannot be read"),
        (lambda p: damaged_header(p, b"False", b"  Fa("), "cannot be read"),
        (lambda p: idx(p, GREY[:, :0]), "not uint8 images"),
        (cut, "cannot be read"),
        (more_than_fits, "cannot be read"),
        (os.mkfifo, "neither a file nor a folder"),
        (lambda p: checkpoint.save(p, {}, {}), "not of a training run"),
    ],
)
def test_bad_sources_are_one_sentence(tmp_path, make, sentence):
    path = tmp_path / "source"
    make(path)
    with pytest.raises(InputError, match=sentence) as caught:
        passed(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("images", [COLOUR[:0], COLOUR[0], COLOUR / 255, [], [GREY[0], GREY[0] / 255], [GREY]])
def test_bad_arrays_are_one_sentence(images):
    with pytest.raises(InputError, match="uint8|holds no images"):
        open_images(images)


def test_num_is_positive():
    with pytest.raises(InputError, match="at least 1, not 0"):
        open_images(COLOUR, num=0)


def test_a_folder_of_runs_is_no_folder_of_images(tmp_path):
    (tmp_path / "runs" / "one").mkdir(parents=True)
    (tmp_path / "runs" / "one" / "checkpoint.h5").write_bytes(b"")
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(tmp_path / "runs" / "one" / "samples.png")
    with pytest.raises(InputError, match="holds training runs, not images: give one of them, such as .*one"):
        open_images(tmp_path / "runs")
