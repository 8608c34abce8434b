"""CelebA, aligned and cropped (Liu, Luo, Wang, Tang, "Deep learning face attributes in the wild", ICCV 2015).

202,599 JPEG images of 178 x 218 pixels, in img_align_celeba.zip, which is read in place, or in a folder. Papers crop to
different central squares, of 140 pixels (score-based models), 148, 178 or 108 (DCGAN), so their FIDs do not compare.
"""

import codecs
import os
import re
from pathlib import Path, PurePosixPath

import numpy as np

from minigan.data.cache import Recipe, cached
from minigan.data.dataset import Dataset, check_split
from minigan.data.faces import faces
from minigan.data.stream import hold_or_stream
from minigan.errors import InputError, NoSuchSplit
from minigan.files import reading

TEST_SEED = 1 << 32  # added to the seed of test faces; training seeds are below it, so no training face is among them
LIST_BYTES = 1 << 28
_SPLITS = {"train": 0, "test": 2}  # 1 is validation
_PARTITIONS = ("list_eval_partition.txt", "list_eval_partition.csv", "Eval/list_eval_partition.txt")


def load_celeba(
    path: str | os.PathLike,
    split: str = "train",
    size: int = 64,
    crop: int = 140,
    cache: str | os.PathLike | None = None,
    stream: bool | None = None,
    skip: bool = False,
) -> Dataset:
    """The central crop x crop pixels of the aligned images, resized to size x size: uint8 (N, size, size, 3).

    path: the zip, or a folder that holds the JPEGs or the zip. The split follows list_eval_partition.txt if it lies
    beside them; else the last tenth by name is for testing. See `cached` for `cache`, `skip` and errors, and
    `hold_or_stream` for `stream`. NoSuchSplit if the split ("train" or "test") has no images, and InputError if the
    list lacks an image.
    """
    check_split(split)
    source, partition = find_celeba(path)
    found = cached(source, Recipe(size, crop, "RGB"), cache, skip)
    parts = _parts(found.names, partition)
    rows = np.flatnonzero(parts == _SPLITS[split])
    if not len(rows):
        raise NoSuchSplit(f"{source} holds no {split} images")
    images = found.images.take(rows)
    return Dataset(hold_or_stream(images, stream), None, "CelebA", None, images.digest, len(found.skipped))


def find_celeba(path: str | os.PathLike) -> tuple[Path, Path | None]:
    """The folder or zip of the images, and the file that lists the splits, if there is one."""
    path = Path(path)
    inside = ("img_align_celeba", "img_align_celeba.zip", "Img/img_align_celeba.zip")
    source = next((path / name for name in inside if (path / name).exists()), path)
    folders = dict.fromkeys((path, source.parent, path.parent))
    lists = (folder / name for folder in folders for name in _PARTITIONS)
    return source, next((file for file in lists if file.is_file()), None)


def describe_celeba(path: str | os.PathLike, size: int, crop: int) -> str:
    """How the images are prepared, in words for the record of a run."""
    _, partition = find_celeba(path)
    split = f"split by {partition.name}" if partition else "the last tenth by name are the test images"
    return f"CelebA, the central {crop} × {crop} pixels resized to {size} × {size}; {split}"


def draw_faces(n: int, split: str = "train", seed: int = 0, size: int = 64) -> Dataset:
    """n faces drawn by a program, not CelebA: uint8 (n, size, size, 3). Train and test faces differ.

    InputError for n or size below 1, for seeds outside 0 … 2³² − 1, and for other splits.
    """
    check_split(split)
    if n < 1 or size < 1 or not 0 <= seed < TEST_SEED:
        raise InputError(f"cannot draw {n} faces of {size} pixels from seed {seed}: at least 1, and 0 … 2³² - 1")
    return Dataset(faces(n, seed if split == "train" else seed + TEST_SEED, size), None, "drawn faces", None)


def _text(path: Path) -> str:
    """A list as text: UTF-8, with or without a byte order mark, or the UTF-16 of spreadsheets."""
    if path.stat().st_size > LIST_BYTES:
        raise ValueError("it is too long for a list")
    data = path.read_bytes()
    return data.decode("utf-16" if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig")


def _stem(name: str) -> str:
    """000001.jpg → 000001: some copies of the images have other suffixes than the list."""
    return PurePosixPath(name).stem.lower()


def _parts(names: list[str], partition: Path | None) -> np.ndarray:
    """For every image 0 (train), 1 (validation) or 2 (test)."""
    if partition is None:
        return np.where(np.arange(len(names)) < len(names) - len(names) // 10, 0, 2)
    with reading(partition):
        lines = _text(partition).splitlines()
    rows = (re.split(r"[\s,;|\"]+", line.strip(' \t"')) for line in lines)  # as text files and spreadsheets write them
    listed = {_stem(row[0]): row[1] for row in rows if len(row) == 2}
    parts = [listed.get(_stem(name)) for name in names]
    for name, part in zip(names, parts, strict=True):
        if part not in ("0", "1", "2"):
            raise InputError(f"{partition} does not say to which split {name} belongs")
    return np.array(parts, np.int64)
