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
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from minigan.data.decoding import is_grey, leave_out, pixels, refuse
from minigan.data.folder import attempt
from minigan.data.pictures import Pictures, open_pictures
from minigan.data.stored import StoredImages, allocate, block_slices, checksum, open_arrays
from minigan.errors import InputError
from minigan.files import remove, why, write_bytes
from minigan.lock import hold_lock
from minigan.progress import Progress

FORMAT = "minigan images 2"  # raise it when the pixels made from a picture change
# What `_read_source` and `open_arrays` raise for damaged files.
DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
AT_ONCE = 32  # pictures that are in memory as files, at most
BYTES_AT_ONCE = 1 << 26  # of these files; one alone may have more
NAME_BYTES = 100  # of a source's name in that of its directory; file systems take 255 for all of it


@dataclass
class Recipe:
    """What becomes of every picture."""

    size: int  # height and width in pixels
    crop: int | None = None  # central pixels of an aligned CelebA image; None: the central square of any picture
    mode: str | None = None  # "L" or "RGB"; None: grey if all pictures are


@dataclass
class Cached:
    """Pictures that lie decoded in a cache file, N of them in one size."""

    images: StoredImages
    names: list[str]  # of the pictures, relative to their folder or archive
    skipped: dict[str, str]  # names of unreadable pictures that were left out: why


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


def cached(
    source: str | os.PathLike, recipe: Recipe, directory: str | os.PathLike | None = None, skip: bool = False
) -> Cached:
    """The pictures of a folder, zip or tar, made by the recipe; they are built in the cache directory at first use.

    Unreadable pictures are refused, all together. With `skip` they are left out, and `skipped` says which and why.
    InputError for these, for a source without pictures, and for a cache that is damaged or cannot be written.
    """
    place = Path(directory) if directory else cache_directory()
    if place is None:
        raise InputError("there is no home directory to keep the resized images in: name a directory with --cache")
    with open_pictures(source) as pictures:
        key = hashlib.sha256(json.dumps([FORMAT, pictures.key, asdict(recipe)]).encode()).hexdigest()
        encoded = os.fsencode(Path(source).resolve().name.split(".")[0])[:NAME_BYTES]
        name = os.fsdecode(encoded) or "images"
        path = place / f"{name}-{recipe.size}-{key[:16]}"
        lock = path.with_name(path.name + ".lock")
        if not path.exists():
            pictures.found.check(source)
            try:
                place.mkdir(parents=True, exist_ok=True)
                with hold_lock(lock, f"waiting for another process that writes {path}", wait=True):
                    try:
                        if not path.exists():
                            _Build(path, key, pictures, recipe, skip).run()
                    except (InputError, OSError):  # a kill leaves the part for the next build, an error does not
                        shutil.rmtree(path.with_name(path.name + ".part"), ignore_errors=True)
                        raise
                    finally:
                        remove(lock)
            except OSError as e:
                raise InputError(f"cannot write {path}: {e.strerror or e}; --cache names another directory") from e
        remove(lock)  # of a process that was killed after its build
    found = _read(path, key)
    if not skip:
        refuse(found.skipped, source)
    leave_out(found.skipped, len(found.names) + len(found.skipped), source)
    return found


def _read(path: Path, key: str) -> Cached:
    try:
        source = _read_source(path)
        names, skipped = source["names"], source.get("skipped", {})
        images, found = StoredImages(path), source["key"]
        if len(names) != len(images) or not images.checksums.all() or not skipped.keys() <= set(names):
            raise ValueError("it is not complete")
    except DAMAGED as e:
        raise InputError(f"{path} is damaged ({why(e)}): delete it to make it again") from e
    if found != key:
        raise InputError(f"{path} holds other images than its name says: delete it to make it again")
    if skipped:
        rows = np.array([i for i, name in enumerate(names) if name not in skipped], np.int64)
        images, names = images.take(rows), [names[i] for i in rows]
    return Cached(images, names, skipped)


def _read_source(path: Path) -> dict[str, Any]:
    """What source.json says; one of DAMAGED if it is damaged."""
    source = json.loads((path / "source.json").read_text("ascii"))
    if source["names_sha256"] != _digest(source["names"]):
        raise ValueError("the SHA-256 of its names differs")
    if "skipped" in source and source["skipped_sha256"] != _digest(source["skipped"]):
        raise ValueError("the SHA-256 of what was skipped differs")
    return source


class _Build:
    """Completes the directory NAME.part, begun here or by a build that was killed, and gives it its name."""

    def __init__(self, path: Path, key: str, pictures: Pictures, recipe: Recipe, skip: bool):
        self.path, self.key, self.pictures, self.recipe, self.skip = path, key, pictures, recipe, skip
        self.part = path.with_name(path.name + ".part")
        self.bad: dict[str, str] = {}  # unreadable pictures: why

    def run(self) -> None:
        if not _is_begun(self.part, self.key):
            self.begin()
        images, checksums = open_arrays(self.part, "r+")
        if not self.bad:
            self.bad = dict(_read_source(self.part).get("skipped", {}))
        mode = "RGB" if images.ndim == 4 else "L"
        left_out = self.pictures.found.left_out()
        print(f"writing {len(images):,} images to {self.path}, once{left_out}", file=sys.stderr)
        done: dict[int, int] = {}  # blocks with an unreadable picture: their checksums, written when it is known which
        with ThreadPoolExecutor() as pool, Progress(total=len(images), desc="resizing", unit="image") as bar:
            for block, rows in enumerate(block_slices(images.shape)):
                if checksum(block, images[rows]) != checksums[block]:
                    for start in range(rows.start, rows.stop, AT_ONCE):
                        self.fill(images, range(start, min(start + AT_ONCE, rows.stop)), mode, pool)
                    if any(name in self.bad for name in self.pictures.files[rows]):
                        done[block] = checksum(block, images[rows])
                    else:
                        checksums[block] = checksum(block, images[rows])
                bar.update(rows.stop - rows.start)
        if not self.skip:
            refuse(self.bad, self.pictures.path)
        if len(self.bad) == len(images):
            leave_out(self.bad, len(images), self.pictures.path)
        images.flush()
        if done:
            self.write_source(skipped=self.bad, skipped_sha256=_digest(self.bad))
        for block, value in done.items():
            checksums[block] = value
        checksums.flush()
        os.replace(self.part, self.path)

    def fill(self, images: np.ndarray, numbers: range, mode: str, pool: ThreadPoolExecutor) -> None:
        """Decode a few pictures; an unreadable one stays black."""

        def picture(i: int, data: bytes | None) -> np.ndarray | None:
            if data is None:
                return None
            name = f"{self.pictures.path}: {self.pictures.files[i]}"
            read = partial(pixels, BytesIO(data), name, mode, self.recipe.size, self.recipe.crop)
            return attempt(self.bad, self.pictures.files[i], read)

        waiting: dict[int, bytes | None] = {}
        for i in numbers:
            waiting[i] = self.content(i)
            if i == numbers[-1] or sum(len(data or b"") for data in waiting.values()) >= BYTES_AT_ONCE:
                for j, image in zip(waiting, pool.map(picture, waiting.keys(), waiting.values()), strict=True):
                    if image is not None:
                        images[j] = image
                waiting = {}

    def content(self, i: int) -> bytes | None:
        """The bytes of a picture; None if it is known to be unreadable, or turns out to be."""
        name = self.pictures.files[i]
        return None if name in self.bad else attempt(self.bad, name, partial(self.pictures.read, i))

    def begin(self) -> None:
        """Write everything but the pixels, source.json last: without it `_is_begun` is False."""
        if self.part.is_dir():
            shutil.rmtree(self.part)
        self.part.unlink(missing_ok=True)
        self.part.mkdir()
        grey = self.check_heads()
        mode = self.recipe.mode or ("L" if grey else "RGB")
        channels = [3] if mode == "RGB" else []
        allocate(self.part, (len(self.pictures.files), self.recipe.size, self.recipe.size, *channels))
        self.write_source()

    def check_heads(self) -> bool:
        """Whether all pictures are grey. The heads of all files are read, so that unreadable ones are known early."""
        grey = True
        for i, name in enumerate(self.pictures.files):
            data = self.content(i)
            if data is not None:
                read = partial(is_grey, BytesIO(data), f"{self.pictures.path}: {name}")
                grey &= attempt(self.bad, name, read) is not False
        if not self.skip:
            refuse(self.bad, self.pictures.path)
        return grey

    def write_source(self, **more: Any) -> None:
        names = self.pictures.files
        source = {"key": self.key, "source": self.pictures.path.name, "recipe": asdict(self.recipe), "names": names}
        source |= {"names_sha256": _digest(names), **more}
        write_bytes(self.part / "source.json", json.dumps(source).encode("ascii"))


def _is_begun(part: Path, key: str) -> bool:
    """Whether an earlier build of the same images left its directory."""
    try:
        open_arrays(part)
        return _read_source(part)["key"] == key
    except DAMAGED:
        return False


def _digest(value: list[str] | dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(value).encode("ascii")).hexdigest()
