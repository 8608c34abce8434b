"""Pictures cropped and resized once, into an HDF5 file that later runs read in seconds.

The name of the file holds a digest of the source's list of files and of what is made of them, so that a changed source
is never answered with old images. It is filled as NAME.part, which a killed build leaves to the next one.
"""

import hashlib
import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
from tqdm import tqdm

from minigan.data.folder import is_grey, pixels
from minigan.data.pictures import Pictures, open_pictures
from minigan.data.stored import ChunkFile, StoredImages, allocate
from minigan.errors import InputError
from minigan.lock import hold_lock

FORMAT = "minigan images 1"  # to be raised with every change of the pixels that are made of a picture
DAMAGED = (KeyError, ValueError, TypeError, AttributeError, RuntimeError)  # h5py's, for damaged files


@dataclass
class Recipe:
    """What is made of every picture."""

    size: int
    crop: int | None = None  # of an aligned CelebA image, its central pixels; None: the central square of any picture
    mode: str | None = None  # "L" or "RGB"; None: grey if all pictures are


@dataclass
class Cached:
    images: StoredImages
    names: list[str]  # of the pictures, within their folder or archive
    path: Path


def cache_directory() -> Path:
    """$XDG_CACHE_HOME/minigan, by default ~/.cache/minigan: the place of the data may be read-only."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "minigan"


def cached(
    source: str | os.PathLike, recipe: Recipe, directory: str | os.PathLike | None = None, progress: bool = True
) -> Cached:
    """The pictures of a folder, zip or tar by the recipe, put into the cache directory first if they are not there."""
    directory = Path(directory) if directory else cache_directory()
    with open_pictures(source) as pictures:
        key = hashlib.sha256(json.dumps([FORMAT, pictures.key, asdict(recipe)]).encode()).hexdigest()
        name = Path(source).resolve().name.split(".")[0] or "images"
        path = directory / f"{name}-{recipe.size}-{key[:16]}.h5"
        if not path.exists():
            if not pictures.files:
                raise InputError(f"{source} holds no PNG or JPEG images")
            try:
                directory.mkdir(parents=True, exist_ok=True)
                lock = path.with_name(path.name + ".lock")
                with hold_lock(lock, f"waiting for another process that writes {path}", wait=True):
                    if not path.exists():
                        _build(path, key, pictures, recipe, progress)
                    lock.unlink(missing_ok=True)
            except OSError as e:
                raise InputError(f"cannot write {path}: {e.strerror or e}; --cache names another directory") from e
    return _read(path, key)


def _read(path: Path, key: str) -> Cached:
    try:
        with h5py.File(path, "r") as f:
            if (f.attrs["format"], f.attrs["key"]) != (FORMAT, key):
                raise InputError(f"{path} holds something else than its name says: delete it, and it is made again")
            names = [name.decode("utf-8", "surrogateescape") for name in f["names"][()]]
            intact = f.attrs["names_sha256"] == _names_digest(names)
        images = StoredImages(ChunkFile(path))
    except (OSError, *DAMAGED) as e:
        raise InputError(f"{path} is damaged ({e}): delete it, and it is made again") from e
    if not intact or len(names) != len(images) or not images.file.checksums.all():
        raise InputError(f"{path} is damaged: delete it, and it is made again")
    return Cached(images, names, path)


def _build(path: Path, key: str, pictures: Pictures, recipe: Recipe, progress: bool) -> None:
    """Fill NAME.part, begun here or by a build that was killed, and give it its name."""
    part = path.with_name(path.name + ".part")
    file = _begun(part, key)
    if file is None:
        _begin(part, key, pictures, recipe)
        file = ChunkFile(part, write=True)
    mode = "RGB" if len(file.shape) == 4 else "L"

    def picture(i: int, data: bytes) -> np.ndarray:
        return pixels(BytesIO(data), f"{pictures.path}: {pictures.files[i]}", mode, recipe.size, recipe.crop)

    print(f"writing {len(pictures.files):,} images to {path}, once", file=sys.stderr)
    bar = tqdm(total=file.shape[0], desc="resizing", unit="image", disable=not progress)
    try:
        with ThreadPoolExecutor() as pool, bar:
            for chunk in range(len(file.checksums)):
                rows = range(chunk * file.rows, min((chunk + 1) * file.rows, file.shape[0]))
                if not (file.checksums[chunk] and file.is_whole(chunk, file.read_chunk(chunk))):
                    made = list(pool.map(picture, rows, (pictures.read(i) for i in rows)))
                    file.write_chunk(chunk, np.stack(made))
                bar.update(len(rows))
        file.flush()
    finally:
        file.close()
    os.replace(part, path)


def _begun(part: Path, key: str) -> ChunkFile | None:
    """The unfinished file of an earlier build of the same, if there is one."""
    try:
        with h5py.File(part, "r") as f:
            return ChunkFile(part, write=True) if f.attrs["key"] == key else None
    except (OSError, *DAMAGED):
        return None


def _begin(part: Path, key: str, pictures: Pictures, recipe: Recipe) -> None:
    """Write the file with everything but the pixels, whole or not at all."""
    count = len(pictures.files)
    mode = recipe.mode
    if mode is None:
        grey = (is_grey(BytesIO(pictures.read(i)), f"{pictures.path}: {pictures.files[i]}") for i in range(count))
        mode = "L" if all(grey) else "RGB"
    temporary = part.with_name(f"{part.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        with h5py.File(temporary, "w") as f:
            f.attrs.update(format=FORMAT, key=key, recipe=json.dumps(asdict(recipe)), source=pictures.path.name)
            f.attrs["names_sha256"] = _names_digest(pictures.files)
            names = [name.encode("utf-8", "surrogateescape") for name in pictures.files]
            f.create_dataset("names", data=names, dtype=h5py.string_dtype())
            allocate(f, (count, recipe.size, recipe.size, *([3] if mode == "RGB" else [])))
        with open(temporary, "rb") as raw:
            os.fsync(raw.fileno())
        os.replace(temporary, part)
    finally:
        temporary.unlink(missing_ok=True)


def _names_digest(names: list[str]) -> str:
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()
