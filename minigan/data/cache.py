"""Pictures cropped and resized once, into a directory that later runs open in seconds.

The directory's name holds a digest of the list of picture files and of the recipe. So a changed source never gets old
images. The directory is called NAME.part until it is complete; a build that is killed leaves it for the next one.
"""

import hashlib
import json
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from minigan.data.folder import is_grey, pixels
from minigan.data.pictures import Pictures, open_pictures
from minigan.data.stored import StoredImages, allocate, block_slices, checksum, open_arrays
from minigan.errors import InputError
from minigan.files import remove, write_bytes
from minigan.lock import hold_lock
from minigan.progress import Progress

FORMAT = "minigan images 1"  # raise it when the pixels made from a picture change
DAMAGED = (OSError, ValueError, KeyError, TypeError)  # what `_read_source` and `open_arrays` raise for damaged files


@dataclass
class Recipe:
    """What becomes of every picture."""

    size: int  # height and width in pixels
    crop: int | None = None  # central pixels of an aligned CelebA image; None: the central square of any picture
    mode: str | None = None  # "L" or "RGB"; None: grey if all pictures are


@dataclass
class Cached:
    images: StoredImages
    names: list[str]  # of the pictures, relative to their folder or archive


def cache_directory() -> Path | None:
    """$XDG_CACHE_HOME/minigan, by default ~/.cache/minigan; not beside the data, which may be read-only.

    None for a user without a home, such as one without a name in a container.
    """
    if named := os.environ.get("XDG_CACHE_HOME"):
        return Path(named) / "minigan"
    try:
        return Path.home() / ".cache" / "minigan"
    except RuntimeError:
        return None


def cached(source: str | os.PathLike, recipe: Recipe, directory: str | os.PathLike | None = None) -> Cached:
    """The pictures of a folder, zip or tar, made by the recipe; they are built in the cache directory at first use."""
    place = Path(directory) if directory else cache_directory()
    if place is None:
        raise InputError("there is no home directory to keep the resized images in: name a directory with --cache")
    with open_pictures(source) as pictures:
        key = hashlib.sha256(json.dumps([FORMAT, pictures.key, asdict(recipe)]).encode()).hexdigest()
        name = Path(source).resolve().name.split(".")[0] or "images"
        path = place / f"{name}-{recipe.size}-{key[:16]}"
        lock = path.with_name(path.name + ".lock")
        if not path.exists():
            if not pictures.files:
                raise InputError(f"{source} holds no PNG or JPEG images")
            try:
                place.mkdir(parents=True, exist_ok=True)
                with hold_lock(lock, f"waiting for another process that writes {path}", wait=True):
                    try:
                        if not path.exists():
                            _build(path, key, pictures, recipe)
                    except (InputError, OSError):  # a kill leaves the part for the next build, an error does not
                        shutil.rmtree(path.with_name(path.name + ".part"), ignore_errors=True)
                        raise
                    finally:
                        remove(lock)
            except OSError as e:
                raise InputError(f"cannot write {path}: {e.strerror or e}; --cache names another directory") from e
        remove(lock)  # of a process that was killed after its build
    return _read(path, key)


def _read(path: Path, key: str) -> Cached:
    try:
        found, names = _read_source(path)
        images = StoredImages(path)
        if len(names) != len(images) or not images.checksums.all():
            raise ValueError("it is not complete")
    except DAMAGED as e:
        raise InputError(f"{path} is damaged ({e}): delete it to make it again") from e
    if found != key:
        raise InputError(f"{path} holds other images than its name says: delete it to make it again")
    return Cached(images, names)


def _read_source(path: Path) -> tuple[str, list[str]]:
    """The key and the names in source.json; ValueError, KeyError or TypeError if it is damaged."""
    source = json.loads((path / "source.json").read_text("ascii"))
    if source["names_sha256"] != _digest(source["names"]):
        raise ValueError("the SHA-256 of its names differs")
    return source["key"], source["names"]


def _build(path: Path, key: str, pictures: Pictures, recipe: Recipe) -> None:
    """Complete the directory NAME.part, begun here or by a build that was killed, and give it its name."""
    part = path.with_name(path.name + ".part")
    if not _is_begun(part, key):
        _begin(part, key, pictures, recipe)
    images, checksums = open_arrays(part, "r+")
    mode = "RGB" if images.ndim == 4 else "L"

    def picture(i: int, data: bytes) -> np.ndarray:
        return pixels(BytesIO(data), f"{pictures.path}: {pictures.files[i]}", mode, recipe.size, recipe.crop)

    print(f"writing {len(images):,} images to {path}, once", file=sys.stderr)
    with ThreadPoolExecutor() as pool, Progress(total=len(images), desc="resizing", unit="image") as bar:
        for block, rows in enumerate(block_slices(images.shape)):
            if checksum(block, images[rows]) != checksums[block]:
                numbers = range(rows.start, rows.stop)
                images[rows] = list(pool.map(picture, numbers, (pictures.read(i) for i in numbers)))
                checksums[block] = checksum(block, images[rows])
            bar.update(rows.stop - rows.start)
    images.flush()
    checksums.flush()
    os.replace(part, path)


def _is_begun(part: Path, key: str) -> bool:
    """Whether an earlier build of the same images left its directory."""
    try:
        open_arrays(part)
        return _read_source(part)[0] == key
    except DAMAGED:
        return False


def _begin(part: Path, key: str, pictures: Pictures, recipe: Recipe) -> None:
    """Write everything but the pixels, source.json last: without it `_is_begun` is False."""
    if part.is_dir():
        shutil.rmtree(part)
    part.unlink(missing_ok=True)
    part.mkdir()
    count = len(pictures.files)
    mode = recipe.mode
    if mode is None:
        grey = (is_grey(BytesIO(pictures.read(i)), f"{pictures.path}: {pictures.files[i]}") for i in range(count))
        mode = "L" if all(grey) else "RGB"
    channels = [3] if mode == "RGB" else []
    allocate(part, (count, recipe.size, recipe.size, *channels))
    names = pictures.files
    source = {"key": key, "source": pictures.path.name, "recipe": asdict(recipe), "names": names}
    source["names_sha256"] = _digest(names)
    write_bytes(part / "source.json", json.dumps(source).encode("ascii"))


def _digest(names: list[str]) -> str:
    return hashlib.sha256(json.dumps(names).encode("ascii")).hexdigest()
