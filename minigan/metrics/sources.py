"""Where the images of a metric come from: one interface over folders, files, arrays and trained generators.

A source hands its images out in blocks, in order, and never holds them all. On the way it takes a SHA-256 of every
image's size and pixels. Sorted, these are the content's digest: it depends neither on names nor on the order nor on the
container, so that the same pictures in a folder and in an HDF5 file are the same content, and other pictures under an
old name are not.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from autograd.arrays import to_host
from minigan import checkpoint
from minigan.data.celeba import draw_faces
from minigan.data.folder import is_grey, pixels
from minigan.data.load import load_data
from minigan.data.mnist import find_files, read_images
from minigan.data.pictures import open_pictures
from minigan.errors import InputError
from minigan.metrics.containers import hdf5_images, is_images, npy_images, npz_images, sniff, upright
from minigan.sampling import batch_size, find_checkpoint, generate, latents, load_generator

SAMPLES = 10_000  # images of a generator, or of a drawing program, if not told
Images = np.ndarray | list[np.ndarray]  # uint8 (n, H, W) or (n, H, W, 3); a list where the sizes differ


class Source:
    """Images in order: `len`, `blocks(size)`, and after a whole pass over the blocks `digest` and `warnings()`."""

    def __init__(self, name: str, kind: str, count: int, **facts: Any):
        self.name, self.kind = name, kind
        self.facts = facts  # JSON-able, for the record
        self.chosen = np.arange(count)
        self.hashes: list[bytes] = []
        self.shapes: Counter = Counter()

    def read(self, places: np.ndarray) -> Images:
        """The images at these places, which ascend."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.chosen)

    def choose(self, n: int, seed: int) -> None:
        """Keep n of the images, drawn by the seed."""
        self.chosen = np.sort(np.random.default_rng(seed).permutation(len(self))[:n])

    def blocks(self, size: int) -> Iterator[Images]:
        """All images in blocks of `size`, the last one as it comes."""
        self.hashes, self.shapes = [], Counter()
        for i in range(0, len(self), size):
            images = self.read(self.chosen[i : i + size])
            for image in images:
                self.shapes[image.shape] += 1
                self.hashes.append(hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest())
            yield images

    def close(self) -> None:
        """Give back what is open."""

    @property
    def digest(self) -> str:
        return hashlib.sha256(b"".join(sorted(self.hashes))).hexdigest()

    @property
    def order(self) -> np.ndarray:
        """The places of the images in the order of their hashes: the same for the same content."""
        return np.array(sorted(range(len(self.hashes)), key=self.hashes.__getitem__), np.int64)

    def warnings(self) -> list[str]:
        """What a person should know about these images, in sentences."""
        found = []
        sizes = {shape[:2] for shape in self.shapes}
        if len(sizes) > 1:
            (h0, w0), (h1, w1) = min(sizes), max(sizes)
            found.append(f"{len(sizes)} different sizes, {w0}×{h0} to {w1}×{h1}: each image is resized by itself")
        return found


class ArraySource(Source):
    """Images of one size that can be sliced: an array in memory or mapped, or a list of arrays of several sizes."""

    def __init__(self, images: Any, name: str, kind: str, **facts: Any):
        super().__init__(name, kind, len(images), **facts)
        self.images = images

    def read(self, places: np.ndarray) -> Images:
        if isinstance(self.images, list):
            return [self.images[i] for i in places]
        return upright(to_host(self.images[places]))


class DatasetSource(Source):
    """A dataset of an HDF5 file, opened for every block and closed again."""

    def __init__(self, path: Path, dataset: str, count: int, name: str):
        super().__init__(name, "hdf5", count, dataset=dataset)
        self.path, self.dataset = path, dataset

    def read(self, places: np.ndarray) -> Images:
        first, last = int(places[0]), int(places[-1]) + 1
        try:
            with h5py.File(self.path, "r") as f:  # a slice where it will do: the library is slow at single rows
                return upright(f[self.dataset][slice(first, last) if last - first == len(places) else places])
        except (OSError, RuntimeError) as e:
            raise InputError(f"{self.path}: the dataset {self.dataset} is damaged ({e})") from e


class PictureSource(Source):
    """PNG and JPEG files in a folder or an archive, each in its own size; grey or RGB, upright by EXIF."""

    def __init__(self, path: Path, name: str, kind: str):
        self.pictures = open_pictures(path)
        if not self.pictures.files:
            other = ": name one of its IDX files" if kind == "folder" and find_files(path) else ""
            raise InputError(f"{path} holds no PNG or JPEG images{other}")
        super().__init__(name, kind, len(self.pictures.files))
        self.lossy = 0

    def blocks(self, size: int) -> Iterator[Images]:
        self.lossy = 0
        yield from super().blocks(size)

    def read(self, places: np.ndarray) -> Images:
        images = [self._open(i) for i in places]
        return np.stack(images) if len({image.shape for image in images}) == 1 else images

    def close(self) -> None:
        self.pictures.close()

    def _open(self, i: int) -> np.ndarray:
        data, name = BytesIO(self.pictures.read(i)), self.pictures.path / self.pictures.files[i]
        self.lossy += data.getvalue()[:2] == b"\xff\xd8"
        return pixels(data, name, "L" if is_grey(data, name) else "RGB")

    def warnings(self) -> list[str]:
        found = super().warnings()
        if self.lossy:
            files = "1 JPEG file" if self.lossy == 1 else f"{self.lossy:,} JPEG files"
            found.append(f"{files}: lossy compression alone moves these metrics")
        return found


class GeneratorSource(Source):
    """Images 0 … count − 1 of a seed from the averaged generator of a checkpoint: those of experiments.generate."""

    def __init__(self, path: Path, name: str, kind: str, count: int, seed: int, device: str):
        step = checkpoint.load(path)[1].get("steps_done")
        self.generator, self.config = load_generator(path, device)
        self.seed, self.batch = seed, batch_size(self.config)
        super().__init__(name, kind, count, checkpoint=path.name, step=step, sampling_seed=seed)
        self.made: tuple[int, np.ndarray] | None = None  # the last batch: a block may end within it

    def read(self, places: np.ndarray) -> Images:
        first, last, parts = int(places[0]), int(places[-1]) + 1, []
        for start in range(first - first % self.batch, last, self.batch):
            parts.append(self._make(start)[max(first - start, 0) : last - start])
        return np.concatenate(parts)

    def _make(self, start: int) -> np.ndarray:
        if self.made is None or self.made[0] != start:
            z = latents(range(start, min(start + self.batch, len(self))), self.config.latent, self.seed)
            self.made = start, generate(self.generator, z, self.batch, fill=True)
        return self.made[1]


def open_source(spec: Any, num: int | None = None, seed: int = 0, device: str = "cpu") -> Source:
    """The images that `spec` names: a path, a name in `DRAWN`, a uint8 array or what slices like one, or a list of
    images of several sizes.

    Of more than `num` images the seed draws that many; a generator (on the device) and a drawing program make `num`.
    """
    if num is not None and num < 1:
        raise InputError(f"the number of images must be at least 1, not {num}")
    path = isinstance(spec, str | os.PathLike)
    source = _open_path(str(spec), num or SAMPLES, seed, device) if path else _open_array(spec)
    if len(source) == 0:
        raise InputError(f"{source.name} holds no images")
    if num is not None and num < len(source):
        source.choose(num, seed)
    return source


def _open_path(name: str, made: int, seed: int, device: str) -> Source:
    path, kind = Path(name), sniff(name)
    if kind in ("folder", "zip", "tar"):
        return PictureSource(path, name, kind)
    if kind in ("run", "checkpoint"):
        return GeneratorSource(find_checkpoint(path), name, kind, made, seed, device)
    if kind == "hdf5":
        dataset, shape = hdf5_images(path)
        return DatasetSource(path, dataset, shape[0], name)
    if kind == "npz":
        array, images = npz_images(path)
        return ArraySource(images, name, kind, array=array)
    if kind == "npy":
        return ArraySource(npy_images(path), name, kind)
    if kind == "idx":
        return ArraySource(read_images(path), name, kind)
    if kind == "drawn":
        drawn = load_data(None, "test", None, seed, made) if name == "stroke-digits" else draw_faces(made, "test", seed)
        return ArraySource(drawn.images, name, kind, drawing_seed=seed)
    raise InputError(f"{path} is a statistics file: it holds no images")


def _open_array(images: Any) -> Source:
    if hasattr(images, "dtype"):  # an ndarray, or what can be sliced like one
        if not is_images(images.dtype, images.shape):
            raise InputError(f"images are uint8 (N, H, W) or (N, H, W, 3), not {images.dtype} {images.shape}")
        return ArraySource(images, f"array {images.shape}", "array")
    images = [np.asarray(image) for image in images]
    for image in images:
        if not is_images(image.dtype, (1, *image.shape)):
            raise InputError(f"an image is uint8 (H, W) or (H, W, 3), not {image.dtype} {image.shape}")
    return ArraySource([upright(image[None])[0] for image in images], f"{len(images)} arrays", "array")
