"""The pictures of a folder: which they are, and all of them as one array."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

import numpy as np

from minigan.data.dataset import Dataset
from minigan.data.decoding import SUFFIXES, is_grey, leave_out, pixels, refuse
from minigan.data.stream import fits
from minigan.errors import InputError
from minigan.files import why


def load_images(path: str | os.PathLike, size: int | None = None, skip: bool = False) -> Dataset:
    """All picture files under a folder, sorted by path: uint8 (N, H, W) if all are grey, else (N, H, W, 3).

    `size` crops each image to its central square and resizes it; without it, all images must have one size. If every
    image lies in a direct sub-folder of `path`, and there are at least two of them, the sub-folders are the classes.
    Hidden files, hidden folders and other files are left out, and stderr says how many. Unreadable pictures are
    refused, all together; with `skip` they are left out too. InputError for these, for sizes that differ, and for a
    folder without pictures or with more than the memory holds.
    """
    root = Path(path)
    found = find_pictures(root)
    files = [root / name for name in found.files]
    found.check(root)
    if found.others:
        print(f"{root}: {len(files):,} pictures{found.left_out()}", file=sys.stderr)
    bad: dict[str, str] = {}
    grey = [attempt(bad, file, partial(is_grey, file, file)) for file in files]
    mode = "L" if all(is_it is not False for is_it in grey) else "RGB"
    images, kept = None, list[Path]()
    for file in files:
        image = None if str(file) in bad else attempt(bad, file, partial(pixels, file, file, mode, size))
        if image is None:
            continue
        if images is None:
            if not fits(len(files) * image.nbytes):
                raise InputError(f"the pictures of {root} do not fit in memory: give a size, or use experiments.images")
            first, images = file, np.empty((len(files), *image.shape), np.uint8)
        if image.shape != images.shape[1:]:
            (h, w), (h0, w0) = image.shape[:2], images.shape[1:3]
            raise InputError(f"{file} is {w}x{h}, but {first} is {w0}x{h0}: give a size for all, as --size 28")
        images[len(kept)] = image
        kept.append(file.relative_to(root))
    if not skip:
        refuse(bad, root)
    leave_out(bad, len(files), root)
    assert images is not None
    labels, names = label(kept)
    classes = len(names) if names else None
    return Dataset(images[: len(kept)], labels, root.resolve().name, classes, skipped=len(bad), class_names=names)


def attempt(bad: dict[str, str], name: object, read: Callable[[], Any]) -> Any:
    """What `read` gives; where it raises InputError, the sentence is noted in `bad`, and None is given."""
    try:
        return read()
    except InputError as e:
        bad[str(name)] = str(e)
        return None


def is_picture(name: str) -> bool:
    """Whether a relative path has the suffix of a picture file, and no part of it is hidden."""
    return name.lower().endswith(SUFFIXES) and "/." not in f"/{name}"


@dataclass
class Found:
    """The picture files under a folder or in an archive, and what else there is."""

    files: dict[str, Any] = field(default_factory=dict)  # relative name with slashes: stat, or member of an archive
    others: Counter = field(default_factory=Counter)  # suffix, or what it is: how many

    def note(self, name: str, item: Any, regular: bool = True) -> None:
        """Take a file for a picture, or count it."""
        if not regular:
            self.others["link to nothing"] += 1
        elif is_picture(name):
            self.files[name] = item
        elif "/." in f"/{name}":
            self.others["hidden"] += 1
        else:
            self.others[PurePosixPath(name).suffix.lower() or "no suffix"] += 1

    def check(self, place: str | os.PathLike) -> None:
        """InputError if there is no picture at `place`."""
        if not self.files:
            raise InputError(f"{place} holds no picture files{self.left_out()}")

    def left_out(self) -> str:
        """A clause that says what was left out, "" for nothing."""
        count = sum(self.others.values())
        kinds = ", ".join(f"{n} {kind}" for kind, n in self.others.most_common(5))
        return f"; {count:,} other {'file is' if count == 1 else 'files are'} left out ({kinds})" if count else ""


def find_pictures(root: Path) -> Found:
    """All picture files under a folder, by path; InputError for anything that is not a folder or cannot be read.

    Links are followed; a folder that is reached twice counts once.
    """
    found, seen = Found(), set()

    def walk(path: str, prefix: str) -> None:
        place = os.stat(path)
        if (place.st_dev, place.st_ino) in seen:
            return
        seen.add((place.st_dev, place.st_ino))
        with os.scandir(path) as listed:
            entries = sorted(listed, key=lambda entry: (entry.is_symlink(), entry.name))
        for entry in entries:
            try:
                folder, stat = entry.is_dir(), entry.stat() if entry.is_file() else None
            except OSError:  # a link that leads to itself
                found.note(prefix + entry.name, None, regular=False)
                continue
            if not folder:
                found.note(prefix + entry.name, stat, regular=stat is not None)
            elif entry.name.startswith("."):
                found.others["hidden"] += 1
            else:
                try:
                    walk(entry.path, f"{prefix}{entry.name}/")
                except OSError:  # it may not be listed
                    found.others["unreadable folder"] += 1

    try:
        if not root.is_dir():
            raise InputError(f"{root} is not a folder")
        walk(str(root), "")
    except (OSError, RecursionError) as error:
        raise InputError(f"cannot read {root}: {why(error)}") from None
    found.files = dict(sorted(found.files.items(), key=lambda item: item[0].split("/")))
    return found


def label(files: Sequence[PurePath]) -> tuple[np.ndarray | None, list[str] | None]:
    """The classes of relative paths by sub-folder, int64 (N,), and the names of these in the order of the classes.

    None for both unless every file lies in one of several sub-folders.
    """
    parents = [file.parts[:-1] for file in files]
    names = {parent[0] for parent in parents if len(parent) == 1}
    if len(names) < 2 or any(len(parent) != 1 for parent in parents):
        return None, None
    numbers = all(name.isdecimal() for name in names)
    order = sorted(names, key=lambda name: (int(name) if numbers else 0, name))  # 2 before 10
    index = {name: i for i, name in enumerate(order)}
    return np.array([index[parent[0]] for parent in parents], np.int64), order
