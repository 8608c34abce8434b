"""A folder of pictures as one array; the pixels of a picture file."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from minigan.data.dataset import Dataset
from minigan.errors import InputError

_SUFFIXES = (".png", ".jpg", ".jpeg")
_GREY = {"1", "L", "LA"}
_ALIGNED = (178, 218)  # width and height of the aligned CelebA images


def load_images(path: str | os.PathLike, size: int | None = None) -> Dataset:
    """All PNG and JPEG files under a folder, sorted by path: (N, H, W) if all are grey, else (N, H, W, 3).

    `size` crops each image to its central square and resizes it; without it, all images must have one size. If every
    image lies in a direct sub-folder of `path`, and there are at least two of them, the sub-folders are the classes.
    Hidden files, hidden folders and other files are ignored.
    """
    root = Path(path)
    files = _find(root)
    if not files:
        raise InputError(f"{root} holds no PNG or JPEG images")
    mode = "L" if all(is_grey(file, file) for file in files) else "RGB"
    images = None
    for i, file in enumerate(files):
        image = pixels(file, file, mode, size)
        if images is None:
            images = np.empty((len(files), *image.shape), np.uint8)
        if image.shape != images.shape[1:]:
            (h, w), (h0, w0) = image.shape[:2], images.shape[1:3]
            raise InputError(f"{file} is {w}x{h}, but {files[0]} is {w0}x{h0}: give one size for all")
        images[i] = image
    assert images is not None
    labels, classes = label([file.relative_to(root) for file in files])
    return Dataset(images, labels, root.resolve().name, classes)


def is_picture(name: str) -> bool:
    """Whether a relative path has the suffix of a PNG or JPEG file, and no part of it is hidden."""
    return name.lower().endswith(_SUFFIXES) and "/." not in f"/{name}"


def walk_pictures(folder: str, prefix: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """The relative name, with slashes, and the stat of every picture under a folder, in no particular order."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                yield from walk_pictures(entry.path, f"{prefix}{entry.name}/")
            elif is_picture(entry.name) and entry.is_file():
                yield prefix + entry.name, entry.stat()


def is_grey(source: Path | BinaryIO, name: object) -> bool:
    with _opened(source, name) as image:
        return image.mode in _GREY


def pixels(
    source: Path | BinaryIO, name: object, mode: str, size: int | None = None, crop: int | None = None
) -> np.ndarray:
    """The pixels of a picture, turned upright: uint8 (H, W) in mode "L", (H, W, 3) in mode "RGB".

    `size` resizes the central square. `crop` takes the central crop x crop pixels of an aligned CelebA image instead;
    InputError for other images. `name` is for error messages.
    """
    with _opened(source, name) as image:
        upright = ImageOps.exif_transpose(image).convert(mode)
        if crop is not None and upright.size != _ALIGNED:
            raise InputError(
                f"{name} is {upright.width}x{upright.height}, not an aligned CelebA image of 178x218; "
                "experiments.images takes pictures of any size"
            )
        return np.asarray(upright if size is None else square(upright, size, crop))


def square(image: Image.Image, size: int, side: int | None = None) -> Image.Image:
    """The central square of an image, by default the largest, resized to size x size (bicubic, antialiased)."""
    side = side or min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    return image.crop(box).resize(
        (size, size), Image.Resampling.BICUBIC
    )  # resize(box=…) would read pixels beyond the box


def label(files: Sequence[PurePath]) -> tuple[np.ndarray | None, int | None]:
    """The classes of relative paths by sub-folder, and their number; None unless every file lies in one of several."""
    parents = [file.parts[:-1] for file in files]
    names = {parent[0] for parent in parents if len(parent) == 1}
    if len(names) < 2 or any(len(parent) != 1 for parent in parents):
        return None, None
    numbers = all(name.isdecimal() for name in names)
    order = sorted(names, key=lambda name: (int(name) if numbers else 0, name))  # 2 before 10
    index = {name: i for i, name in enumerate(order)}
    return np.array([index[parent[0]] for parent in parents], np.int64), len(order)


def _find(root: Path) -> list[Path]:
    try:
        if not root.is_dir():
            raise InputError(f"{root} is not a folder")
        return sorted(root / name for name, _ in walk_pictures(str(root)))
    except OSError as error:
        raise InputError(f"cannot read {root}: {error.strerror or error}") from None


@contextmanager
def _opened(source: Path | BinaryIO, name: object) -> Iterator[Image.Image]:
    try:
        with Image.open(source, formats=("PNG", "JPEG")) as image:
            if image.mode.startswith("I"):
                raise InputError(f"{name} has 16-bit pixels: convert it to 8 bits")
            yield image
    except InputError:
        raise
    except Exception as error:  # for damaged files Pillow raises nearly anything
        raise InputError(f"{name} is not a readable PNG or JPEG image") from error
