"""Mutations of files of every kind that this project reads: each must give an InputError or the right result.

A case says how to make a good file, how to read it, and what counts as right. Where a format has a checksum, every
result but the original one is wrong.
"""

import gzip
import hashlib
import io
import json
import pickle
import shutil
import signal
import tarfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from image_files import folder, idx
from PIL import Image

from minigan import checkpoint, hdf5
from minigan.data import load_celeba, load_cifar10, load_images, read_idx
from minigan.data.cache import Recipe, cached
from minigan.data.pictures import open_pictures
from minigan.errors import InputError
from minigan.log import parse_log, read_config
from minigan.metrics.cache import FeatureCache
from minigan.metrics.features import Features
from minigan.metrics.loaders import open_images
from minigan.metrics.statistics import Statistics, load_statistics, save_statistics
from minigan.torch_file import load_torch

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (4, 12, 12, 3), dtype=np.uint8)
SECONDS = 60  # that one file may take
NUMBERS = (b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0" * 8, b"\xff" * 8)


def digest(*arrays: Any) -> list[str]:
    return [hashlib.sha256(repr(np.shape(a)).encode() + np.ascontiguousarray(a).tobytes()).hexdigest() for a in arrays]


@dataclass
class Case:
    """A kind of file. HDF5 has a low weight, because each file without its seal costs a process.

    make(directory) gives the file to mutate. read(file) gives lists of text; `whole`: nothing may be left out."""

    make: Callable[[Path], Path]
    read: Callable[[Path], list[str]]
    checksum: bool
    whole: bool = True
    weight: int = 10

    def is_right(self, found: list[str], expected: list[str]) -> bool:
        return found == expected if self.whole else set(found) <= set(expected)


# ---- the files


def make_checkpoint(directory: Path) -> Path:
    checkpoint.save(directory / "c.h5", {"a": {"x": RNG.normal(size=(9, 9)), "y": np.arange(4)}}, {"steps_done": 3})
    return directory / "c.h5"


def read_checkpoint(path: Path) -> list[str]:
    arrays, meta = checkpoint.load(path)
    flat = [(f"{group}/{name}", a) for group in sorted(arrays) for name, a in sorted(arrays[group].items())]
    return [json.dumps(meta), *(name for name, _ in flat), *digest(*(a for _, a in flat))]


def make_old_checkpoint(directory: Path) -> Path:
    with h5py.File(directory / "c.h5", "w") as f:
        f.attrs["format"], f.attrs["meta"] = checkpoint.FORMAT, '{"steps_done": 3}'
        f["a/x"] = RNG.normal(size=(9, 9))
    return directory / "c.h5"


def make_statistics(name: str) -> Callable[[Path], Path]:
    def make(directory: Path) -> Path:
        features = Features(RNG.normal(size=(20, 5)).astype(np.float32))
        statistics = Statistics.of(features)
        statistics.extractor = {"features": "random", "dimensions": 5, "digest": "d"}
        save_statistics(directory / name, statistics)
        return directory / name

    return make


def read_statistics(path: Path) -> list[str]:
    s = load_statistics(path)
    return [repr((s.count, s.extractor)), *digest(s.mean, s.cov, s.features.values if s.features else 0)]


def make_features(directory: Path) -> Path:
    cache = FeatureCache(directory)
    cache.save("content", "extractor", Features(RNG.normal(size=(20, 5)).astype(np.float32)))
    return cache.path("content", "extractor")


def read_features(path: Path) -> list[str]:
    found = FeatureCache(path.parent).load("content", "extractor")
    if found is None:
        raise InputError("not used")
    return digest(found.values)


def make_hdf5(directory: Path) -> Path:
    with hdf5.writing_hdf5(directory / "samples.h5", seed=3) as file:
        file.array("images", IMAGES, compression="gzip")
    return directory / "samples.h5"


def make_foreign_hdf5(directory: Path) -> Path:
    with h5py.File(directory / "f.h5", "w") as f:
        f.create_dataset("images", data=IMAGES, compression="gzip", chunks=(2, 12, 12, 3))
        f.attrs["note"] = "text of a variable length"
    return directory / "f.h5"


def read_source(path: Path) -> list[str]:
    loader = open_images(path)
    try:
        return [digest(image)[0] for images in loader.batches(3) for image in images]
    finally:
        loader.close()


def make_npy(directory: Path) -> Path:
    np.save(directory / "f.npy", IMAGES)
    return directory / "f.npy"


def make_npz(save: Callable[..., None]) -> Callable[[Path], Path]:
    def make(directory: Path) -> Path:
        save(directory / "f.npz", images=IMAGES, other=np.arange(5))
        return directory / "f.npz"

    return make


def make_idx(opener: Any) -> Callable[[Path], Path]:
    def make(directory: Path) -> Path:
        idx(directory / "f", IMAGES[..., 0], opener)
        return directory / "f"

    return make


def make_csv(opener: Any, name: str) -> Callable[[Path], Path]:
    def make(directory: Path) -> Path:
        with opener(directory / name, "wb") as file:
            file.write(b"label," + b",".join(b"pixel%d" % i for i in range(144)) + b"\n")
            for i, image in enumerate(IMAGES[..., 0]):
                file.write(b",".join(b"%d" % value for value in (i, *image.ravel())) + b"\n")
        return directory / name

    return make


def picture(image: np.ndarray, form: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, form)
    return file.getvalue()


def make_zip(method: int) -> Callable[[Path], Path]:
    def make(directory: Path) -> Path:
        with zipfile.ZipFile(directory / "f.zip", "w", method) as z:
            for i, image in enumerate(IMAGES):
                z.writestr(f"./a/{i}.png", picture(image, "PNG"))
        return directory / "f.zip"

    return make


def make_tar(mode: str) -> Callable[[Path], Path]:
    def make(directory: Path) -> Path:
        with tarfile.open(directory / "f.tar", mode) as t:
            for i, image in enumerate(IMAGES):
                member = tarfile.TarInfo(f"a/{i}.png")
                data = picture(image, "PNG")
                member.size = len(data)
                t.addfile(member, io.BytesIO(data))
        return directory / "f.tar"

    return make


def read_pictures(path: Path) -> list[str]:
    with open_pictures(path) as pictures:
        if not pictures.files:
            raise InputError("none")
    return read_source(path)


def make_picture(form: str) -> Callable[[Path], Path]:
    def make(directory: Path) -> Path:
        (directory / "p").mkdir()
        path = directory / "p" / f"a.{form.lower()}"
        path.write_bytes(picture(IMAGES[0], form))
        return path

    return make


def read_folder(path: Path) -> list[str]:
    return digest(load_images(path.parent).images)


def make_cache(name: str) -> Callable[[Path], Path]:
    def make(directory: Path) -> Path:
        folder(directory / "pictures", IMAGES)
        cached(directory / "pictures", Recipe(8), directory / "cache")
        return next((directory / "cache").glob(f"*/{name}"))

    return make


def read_cache(path: Path) -> list[str]:
    place = path.parents[2]
    found = cached(place / "pictures", Recipe(8), place / "cache")
    return [*found.names, *digest(found.images.hold())]


def batch(n: int = 3) -> dict:
    return {b"data": np.resize(IMAGES, (n, 3072)), b"labels": list(range(n))}


def make_cifar(protocol: int) -> Callable[[Path], Path]:
    def make(directory: Path) -> Path:
        (directory / "test_batch").write_bytes(pickle.dumps(batch(), protocol))
        return directory / "test_batch"

    return make


def make_cifar_tar(directory: Path) -> Path:
    with tarfile.open(directory / "cifar-10-python.tar.gz", "w:gz") as t:
        data = pickle.dumps(batch(), 2)
        member = tarfile.TarInfo("cifar-10-batches-py/test_batch")
        member.size = len(data)
        t.addfile(member, io.BytesIO(data))
    return directory / "cifar-10-python.tar.gz"


def read_cifar(path: Path) -> list[str]:
    data = load_cifar10(path.parent, "test")
    return digest(data.images, data.labels)


def make_torch(zipped: bool) -> Callable[[Path], Path]:
    def make(directory: Path) -> Path:
        import torch

        tensors = {"a.weight": torch.arange(12.0).reshape(3, 4), "b": torch.ones(2, dtype=torch.int64)}
        torch.save(tensors, directory / "w.pth", _use_new_zipfile_serialization=zipped)
        return directory / "w.pth"

    return make


def read_torch(path: Path) -> list[str]:
    tensors = load_torch(path)
    return [*sorted(tensors), *digest(*(np.array(tensors[name][...]) for name in sorted(tensors)))]


def make_log(directory: Path) -> Path:
    records = [{"kind": kind, "step": step, "fid": 3.5} for step in range(5) for kind in ("train", "eval")]
    (directory / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return directory / "log.jsonl"


def make_config(directory: Path) -> Path:
    (directory / "config.json").write_text(json.dumps({"variant": "vitgan", "options": {"steps": 3}, "data": {}}))
    return directory / "config.json"


def make_list(directory: Path) -> Path:
    folder(directory / "img_align_celeba", np.zeros((3, 218, 178, 3), np.uint8))
    (directory / "list_eval_partition.txt").write_text("0.png 0\n1.png 0\n2.png 2\n")
    return directory / "list_eval_partition.txt"


def read_list(path: Path) -> list[str]:
    return digest(load_celeba(path.parent, "train", 8, cache=path.parent / "cache").images)


CASES = {
    "checkpoint": Case(make_checkpoint, read_checkpoint, True, weight=3),
    "checkpoint of an older version": Case(make_old_checkpoint, read_checkpoint, False, weight=1),
    "statistics": Case(make_statistics("s.h5"), read_statistics, True, weight=3),
    "statistics of other tools": Case(make_statistics("s.npz"), read_statistics, True),
    "features": Case(make_features, read_features, True, weight=3),
    "samples.h5": Case(make_hdf5, read_source, True, weight=3),
    "foreign HDF5": Case(make_foreign_hdf5, read_source, False, weight=1),
    "npy": Case(make_npy, read_source, False),
    "npz": Case(make_npz(np.savez), read_source, True),
    "compressed npz": Case(make_npz(np.savez_compressed), read_source, True),
    "IDX": Case(make_idx(open), lambda path: digest(read_idx(path)), False),
    "zipped IDX": Case(make_idx(gzip.open), lambda path: digest(read_idx(path)), True),
    "CSV": Case(make_csv(open, "f.csv"), read_source, False),
    "zipped CSV": Case(make_csv(gzip.open, "f.csv.gz"), read_source, True),
    "zip": Case(make_zip(zipfile.ZIP_STORED), read_pictures, True, whole=False),
    "deflated zip": Case(make_zip(zipfile.ZIP_DEFLATED), read_pictures, True, whole=False),
    "zip by bzip2": Case(make_zip(zipfile.ZIP_BZIP2), read_pictures, True, whole=False),
    "zip by LZMA": Case(make_zip(zipfile.ZIP_LZMA), read_pictures, True, whole=False),
    "tar": Case(make_tar("w"), read_pictures, True, whole=False),
    "tar.gz": Case(make_tar("w:gz"), read_pictures, True, whole=False),
    "tar.bz2": Case(make_tar("w:bz2"), read_pictures, True, whole=False),
    "tar.xz": Case(make_tar("w:xz"), read_pictures, True, whole=False),
    **{form: Case(make_picture(form), read_folder, form == "PNG") for form in ("PNG", "JPEG", "BMP", "GIF", "TIFF")},
    "WebP": Case(make_picture("WEBP"), read_folder, False),
    "images of a cache": Case(make_cache("images.npy"), read_cache, True),
    "checksums of a cache": Case(make_cache("checksums.npy"), read_cache, True),
    "names of a cache": Case(make_cache("source.json"), read_cache, True),
    **{f"CIFAR-10 by protocol {p}": Case(make_cifar(p), read_cifar, False, weight=3) for p in range(6)},
    "CIFAR-10 in a tar": Case(make_cifar_tar, read_cifar, False),
    "torch": Case(make_torch(True), read_torch, True),
    "torch before 1.6": Case(make_torch(False), read_torch, False),
    "log": Case(make_log, lambda path: [json.dumps(parse_log(path)[0])], False),
    "config": Case(make_config, lambda path: [json.dumps(read_config(path.parent))], False),
    "list of CelebA": Case(make_list, read_list, False),
}


# ---- mutations


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """A damaged copy, by one to three of the ways in which files are damaged."""
    for _ in range(rng.integers(1, 4)):
        n = len(data)
        if n == 0:
            return data
        at = int(rng.integers(n))
        length = int(min(n - at, 1 + rng.geometric(0.1)))
        match rng.integers(8):
            case 0 | 1:  # a bit
                data = data[:at] + bytes([data[at] ^ (1 << int(rng.integers(8)))]) + data[at + 1 :]
            case 2:  # other bytes
                data = data[:at] + rng.bytes(length) + data[at + length :]
            case 3:  # zeros
                data = data[:at] + bytes(length) + data[at + length :]
            case 4:  # cut short
                data = data[:at]
            case 5:  # a hole, or something between
                data = data[:at] + (b"" if rng.integers(2) else rng.bytes(length)) + data[at + length * (n % 2) :]
            case 6:  # a number at the edge of its range
                number = NUMBERS[int(rng.integers(len(NUMBERS)))]
                data = data[:at] + number + data[at + len(number) :]
            case 7:  # a part in another place
                to = int(rng.integers(n))
                data = data[:to] + data[at : at + 8 * length] + data[to + 8 * length :]
    return data


class Hang(BaseException):
    pass


def fuzz(name: str, count: int, seed: int, directory: Path) -> tuple[Counter, list[str]]:
    """Try `count` mutations of a case; returns how they ended, and the failures with their seeds."""
    case, ended, failures = CASES[name], Counter(), []
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    with redirect_stderr(io.StringIO()):
        path = case.make(directory)
        good, expected = path.read_bytes(), case.read(path)

    def too_long(number: int, frame: Any) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, too_long)
    try:
        for i in range(count):
            rng = np.random.default_rng([seed, i])
            data = mutate(good, rng)
            path.write_bytes(data)
            started = time.monotonic()
            signal.alarm(SECONDS)
            try:
                with redirect_stderr(io.StringIO()):
                    found = case.read(path)
                how = "same" if case.is_right(found, expected) else "silent" if case.checksum else "different"
                if data == good:
                    how = "same"
            except InputError as e:
                how = "refused" if "\n" not in str(e) and len(str(e)) < 5000 else "not one sentence"
            except Hang:
                how = "hang"
            except Exception as e:
                how = f"traceback {type(e).__name__}: {e}"[:200]
            finally:
                signal.alarm(0)
            ended[how.split()[0] if how.startswith("traceback") else how] += 1
            if how not in ("same", "refused", "different"):
                seconds = time.monotonic() - started
                failures.append(f"{name}, seed {seed}, mutation {i}: {how} after {seconds:.1f} s")
    finally:
        signal.signal(signal.SIGALRM, before)
    return ended, failures
