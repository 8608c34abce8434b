"""MNIST and EMNIST as tables of text, plain or gzipped: a line an image, its label and then its pixels row by row.

Kaggle's train.csv begins with a line of names, and its test.csv has no labels; other sites leave out the names.
"""

import gzip
import math
import os
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np

from minigan.data.stream import free_share
from minigan.errors import InputError
from minigan.files import reading
from minigan.hdf5 import EXPANSION

LINE = 1 << 20  # characters of a line, at most
LEAST_SIDE = 4  # pixels along an image: three columns are no picture


def is_table(path: str | os.PathLike) -> bool:
    """Whether the name is that of a table: .csv or .csv.gz."""
    return Path(path).name.lower().endswith((".csv", ".csv.gz"))


def begins_as_table(path: str | os.PathLike) -> bool:
    """Whether the first line has as many columns as a table of images: other files are called train.csv too."""
    try:
        with _opened(path) as file:
            return _side(file.readline(LINE).count(b",") + 1) is not None
    except (OSError, EOFError, zlib.error):
        return False


def _opened(path: str | os.PathLike) -> Any:
    with open(path, "rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if zipped else open(path, "rb")


def _side(columns: int) -> int | None:
    """Pixels along the square image of a line, which may begin with a label; None for another number of columns."""
    sides = [side for side in (math.isqrt(columns), math.isqrt(columns - 1)) if columns - side * side in (0, 1)]
    return next((side for side in sides if side >= LEAST_SIDE), None)


def read_table(path: str | os.PathLike) -> tuple[np.ndarray, np.ndarray | None]:
    """The images (N, S, S), uint8, and the labels (N), int64 or None; InputError, one sentence, for any defect.

    EMNIST's tables (their names begin with emnist-) store the images transposed, as its IDX files do.
    """
    with reading(path, "is not a table of whole numbers"), _opened(path) as file:
        limit = min(free_share() / 4, EXPANSION * os.stat(path).st_size)  # 2 bytes a value, copied once
        values = _parse(_lines(file, limit, path))
    side = _side(values.shape[1])
    if side is None:
        raise InputError(f"{path} has {values.shape[1]} columns: not a label and the pixels of a square image")
    labelled = values.shape[1] > side * side
    pixels = values[:, labelled:]
    if pixels.min() < 0 or pixels.max() > 255:
        raise InputError(f"{path} holds pixels of {pixels.min()} to {pixels.max()}, not 0 to 255")
    labels = values[:, 0].astype(np.int64) if labelled else None
    if labels is not None and labels.min() < 0:
        raise InputError(f"{path} holds the label {labels.min()}, which is below 0")
    images = pixels.astype(np.uint8).reshape(-1, side, side)
    if Path(path).name.lower().startswith("emnist-"):
        images = np.ascontiguousarray(images.swapaxes(1, 2))
    return images, labels


def _lines(file: IO[bytes], limit: float, path: str | os.PathLike) -> Iterator[str]:
    total = 0
    while line := file.readline(LINE + 1):
        total += len(line)
        if len(line) > LINE or total > limit:
            raise InputError(f"{path} is no table of images that fits in memory")
        yield line.decode("utf-8-sig" if total == len(line) else "utf-8")


def _parse(lines: Iterator[str]) -> np.ndarray:
    """int16 (rows, columns); ValueError unless every line has as many whole numbers."""
    first = next(lines, "")
    try:
        float(first.split(",")[0])
    except ValueError:  # names of the columns
        first = next(lines, "")
    if not first.strip():
        raise ValueError("it has no line of numbers")
    return np.loadtxt(chain([first], lines), np.int16, delimiter=",", comments=None, ndmin=2)
