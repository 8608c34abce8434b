"""Small images as lines of numbers, as Kaggle and others publish MNIST and its relatives: CSV, plain or gzipped.

A line is an image: its label and its pixels from 0 to 255, row by row. The label may be missing. A header says whether
the label stands first or last: names of pixels hold a digit (pixel0, 1x1), and the name of the label holds none.
Without a header it stands first. A file in doubt is refused, because a wrong label column shifts every pixel too.
"""

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minigan.data.dataset import Dataset, check_split
from minigan.data.idx import opened
from minigan.data.mnist import upright
from minigan.data.stream import free_share
from minigan.errors import InputError

LINE = 1 << 20  # bytes of a line, at most
BYTES = {b"%d" % i: i for i in range(256)}  # a look-up takes a third of the time of int()
MOST_CLASSES = 100  # of labels that no header names


def is_csv(path: str | os.PathLike) -> bool:
    """Whether the name of a file is that of a CSV table, packed by gzip or not."""
    return str(path).lower().endswith((".csv", ".csv.gz"))


def load_csv(path: str | os.PathLike, split: str = "train") -> Dataset:
    """The images of a CSV file, uint8 (N, side, side), and their labels, int64 (N,), if it has any.

    The test images of mnist_train.csv are those of mnist_test.csv beside it; any other file is every split.
    InputError for any defect, with the number of the line.
    """
    check_split(split)
    path = Path(path)
    test = path.with_name(path.name.replace("train", "test"))
    path = test if split == "test" and test.is_file() else path
    values, label = _read(path)
    side = math.isqrt(values.shape[1])
    if side * side == values.shape[1]:
        return Dataset(upright(values.reshape(-1, side, side), path), None, path.name, None)
    if label is None:
        label = 0
        _check_first_is_label(values, path)
    labels = values[:, label].astype(np.int64)
    images = np.ascontiguousarray(values[:, 1:] if label == 0 else values[:, :-1])
    return Dataset(upright(images.reshape(-1, side, side), path), labels, path.name, int(labels.max()) + 1)


def _read(path: Path) -> tuple[np.ndarray, int | None]:
    """All numbers, uint8 (lines, columns), and the column of the label, 0 or -1; None without a header."""
    label: int | None = None
    data, columns, most = bytearray(), 0, free_share()
    with opened(path) as file:
        for number, fields in _lines(file, path):
            if not columns:
                columns, side = len(fields), math.isqrt(len(fields))
                if side < 2 or columns - side * side > 1:
                    raise InputError(f"{path} has {columns} columns, not a label and the pixels of a square image")
                if fields == [b"%d" % i for i in range(columns)]:
                    raise InputError(f"{path}: line 1 numbers the columns; {NAME_THEM}")
                if re.search(rb"[a-z]", b",".join(fields), re.IGNORECASE):  # a header
                    label = _label_column(fields, path) if columns > side * side else None
                    continue
            if len(fields) != columns:
                raise InputError(f"{path}: line {number} has {len(fields)} values, and the first has {columns}")
            try:
                data += bytes(map(BYTES.__getitem__, fields))
            except KeyError:
                raise InputError(f"{path}: line {number} holds more than whole numbers from 0 to 255") from None
            if 2 * len(data) > most:  # labels are taken out into a copy
                raise InputError(f"{path} does not fit in memory")
    if not data:
        raise InputError(f"{path} holds no images")
    return np.frombuffer(data, np.uint8).reshape(-1, columns), label


NAME_THEM = "give it a header such as label,pixel0,pixel1, or one that ends in label"


def _label_column(names: list[bytes], path: Path) -> int:
    """0 or -1: the one end of a header whose name holds no digit."""
    first, last = (not re.search(rb"\d", names[end]) for end in (0, -1))
    if first == last:
        ends = " and ".join(name[:20].decode(errors="replace") for name in (names[0], names[-1]))
        raise InputError(f"{path}: its header does not say whether {ends} is the label; {NAME_THEM}")
    return 0 if first else -1


def _check_first_is_label(values: np.ndarray, path: Path) -> None:
    """InputError if the first column of a file without a header can hardly be its label."""
    found = len(np.unique(values[:, 0]))
    if found > MOST_CLASSES:
        raise InputError(f"{path}: its first column has {found} values, too many for labels; {NAME_THEM}")
    if found == 1 and (values[:, -1] != values[0, -1]).any():  # as scikit-learn's digits: a corner, always black
        raise InputError(f"{path}: its first column is constant, so its last may be the label; {NAME_THEM}")


def _lines(file: Any, path: Path) -> Iterator[tuple[int, list[bytes]]]:
    """(number, fields) of the lines that are not empty."""
    number = 0
    while line := file.readline(LINE):
        number += 1
        if len(line) == LINE:  # the file may have no lines at all
            raise InputError(f"{path} is no CSV file of images: line {number} is longer than {LINE:,} bytes")
        if line := line.strip():
            yield number, line.removeprefix(b"\xef\xbb\xbf").translate(None, b'" ').split(b",")
