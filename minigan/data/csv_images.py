"""Small images as lines of numbers, as Kaggle and others publish MNIST and its relatives: CSV, plain or gzipped.

A line is an image: its label and its pixels from 0 to 255, row by row. A header may name them, the label may be missing
or, where a header says so, stand last. Images stay as they stand in the file.
"""

import math
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minigan.data.dataset import Dataset
from minigan.data.idx import opened
from minigan.data.stream import free_share
from minigan.errors import InputError

LINE = 1 << 20  # bytes of a line, at most
BYTES = {b"%d" % i: i for i in range(256)}  # a look-up takes a third of the time of int()
LABELS = (b"label", b"class")  # names of the label in a header


def is_csv(path: str | os.PathLike) -> bool:
    return str(path).lower().endswith((".csv", ".csv.gz"))


def load_csv(path: str | os.PathLike, split: str = "train") -> Dataset:
    """The images of a CSV file, uint8 (N, side, side), and their labels if it has any.

    The test images of mnist_train.csv are those of mnist_test.csv beside it; any other file is every split.
    InputError for any defect, with the number of the line.
    """
    path = Path(path)
    test = path.with_name(path.name.replace("train", "test"))
    path = test if split == "test" and test.is_file() else path
    values, label = _read(path)
    side = math.isqrt(values.shape[1])
    if "emnist" in path.name.lower():
        print(f"{path}: the images stay as they stand in the file, and EMNIST's stand transposed", file=sys.stderr)
    if side * side == values.shape[1]:
        return Dataset(values.reshape(-1, side, side), None, path.name, None)
    labels = values[:, label].astype(np.int64)
    images = np.ascontiguousarray(values[:, 1:] if label == 0 else values[:, :-1])
    return Dataset(images.reshape(-1, side, side), labels, path.name, int(labels.max()) + 1)


def _read(path: Path) -> tuple[np.ndarray, int]:
    """All numbers, uint8 (lines, columns), and the column of the label."""
    data, columns, label, most = bytearray(), 0, 0, free_share()
    with opened(path) as file:
        for number, fields in _lines(file, path):
            if not columns:
                columns, side = len(fields), math.isqrt(len(fields))
                if side < 2 or columns - side * side > 1:
                    raise InputError(f"{path} has {columns} columns, not a label and the pixels of a square image")
                if re.search(rb"[a-z]", fields[0], re.IGNORECASE):  # a header
                    label = -1 if fields[-1].lower() in LABELS else 0
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


def _lines(file: Any, path: Path) -> Iterator[tuple[int, list[bytes]]]:
    """(number, fields) of the lines that are not empty."""
    number = 0
    while line := file.readline(LINE):
        number += 1
        if len(line) == LINE:  # the file may have no lines at all
            raise InputError(f"{path} is no CSV file of images: line {number} is longer than {LINE:,} bytes")
        if line := line.strip():
            yield number, line.removeprefix(b"\xef\xbb\xbf").translate(None, b'" ').split(b",")
