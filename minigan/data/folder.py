"""A folder of pictures as one array."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from minigan.data.dataset import Dataset
from minigan.errors import InputError

_SUFFIXES = {".png", ".jpg", ".jpeg"}
_GREY = {"1", "L", "LA"}


def load_images(path: str | os.PathLike, size: int | None = None) -> Dataset:
    """Every PNG and JPEG under a folder, sorted by path: (N, H, W) if all are grey, else (N, H, W, 3).

    With `size` each image is cropped to its central square and resized; without, all must have the same size.
    When every image lies in a sub-folder of `path` itself, and there are two or more, they are the classes.
    Hidden files and folders are ignored, like those of other kinds.
    """
    root = Path(path)
    files = _find(root)
    if not files:
        raise InputError(f"{root} holds no PNG or JPEG images")
    mode = "L" if all(_mode(file) in _GREY for file in files) else "RGB"
    images = None
    for i, file in enumerate(files):
        image = _pixels(file, mode, size)
        if images is None:
            images = np.empty((len(files), *image.shape), np.uint8)
        if image.shape != images.shape[1:]:
            (h, w), (h0, w0) = image.shape[:2], images.shape[1:3]
            raise InputError(f"{file} is {w}x{h}, but {files[0]} is {w0}x{h0}: give one size for all")
        images[i] = image
    assert images is not None
    labels, classes = _label(root, files)
    return Dataset(images, labels, root.resolve().name, classes)


def square(image: Image.Image, size: int) -> Image.Image:
    """The central square of an image, resized to size x size (bicubic, antialiased)."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    return image.resize((size, size), Image.Resampling.BICUBIC, box=box)


def _find(root: Path) -> list[Path]:
    try:
        if not root.is_dir():
            raise InputError(f"{root} is not a folder")
        files = [path for path in root.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file()]
    except OSError as error:
        raise InputError(f"cannot read {root}: {error.strerror or error}") from None
    return sorted(file for file in files if not any(p.startswith(".") for p in file.relative_to(root).parts))


def _label(root: Path, files: list[Path]) -> tuple[np.ndarray | None, int | None]:
    parents = [file.relative_to(root).parts[:-1] for file in files]
    names = {parent[0] for parent in parents if len(parent) == 1}
    if len(names) < 2 or any(len(parent) != 1 for parent in parents):
        return None, None
    numbers = all(name.isdecimal() for name in names)
    order = sorted(names, key=lambda name: (int(name) if numbers else 0, name))  # 2 before 10
    index = {name: i for i, name in enumerate(order)}
    return np.array([index[parent[0]] for parent in parents], np.int64), len(order)


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(file, formats=("PNG", "JPEG")) as image:
            if image.mode.startswith("I"):
                raise InputError(f"{file} has 16-bit pixels: convert it to 8 bits")
            yield image
    except InputError:
        raise
    except Exception as error:  # on damaged files Pillow raises nearly anything
        raise InputError(f"{file} is not a readable PNG or JPEG image") from error


def _mode(file: Path) -> str:
    with _opened(file) as image:
        return image.mode


def _pixels(file: Path, mode: str, size: int | None) -> np.ndarray:
    with _opened(file) as image:
        upright = ImageOps.exif_transpose(image).convert(mode)
        return np.asarray(upright if size is None else square(upright, size))
