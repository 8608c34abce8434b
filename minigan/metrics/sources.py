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
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import ImageOps

from minigan import checkpoint
from minigan.data.folder import _find, _opened
from minigan.data.mnist import find_files, read_images
from minigan.errors import InputError
from minigan.metrics.containers import hdf5_images, is_images, npy_images, npz_images, sniff, upright
from minigan.sampling import batch_size, find_checkpoint, generate, latents, load_generator

SAMPLES = 10_000  # images of a generator, or of a drawing program, if not told
TEST_STREAM = 1 << 32  # added to the seed: drawn images that no run was trained on
Images = np.ndarray | list[np.ndarray]  # uint8 (n, H, W) or (n, H, W, 3); a list where the sizes differ


class Source:
    """Images in order: `len`, `blocks(size)`, and after a whole pass over the blocks `digest` and `warnings()`."""

    def __init__(self, name: str, kind: str, count: int, **facts: Any):
        self.name, self.kind, self.available = name, kind, count
        self.facts = facts  # JSON-able, for the record
        self.chosen: np.ndarray | None = None
        self.hashes: list[bytes] = []
        self.shapes: Counter = Counter()

    def read(self, first: int, last: int) -> Images:
        """Images first … last − 1."""
        raise NotImplementedError

    def __len__(self) -> int:
        return self.available if self.chosen is None else len(self.chosen)

    def choose(self, n: int, seed: int) -> None:
        """Keep n of the images, drawn by the seed."""
        self.chosen = np.sort(np.random.default_rng(seed).permutation(self.available)[:n])

    def blocks(self, size: int) -> Iterator[Images]:
        """All images in blocks of `size`, the last one as it comes."""
        self.hashes, self.shapes = [], Counter()
        for i in range(0, len(self), size):
            if self.chosen is None:
                images = self.read(i, min(i + size, len(self)))
            else:
                part = self.chosen[i : i + size]
                images = _pick(self.read(int(part[0]), int(part[-1]) + 1), part - part[0])
            for image in images:
                self.shapes[image.shape] += 1
                self.hashes.append(hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest())
            yield images

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

    def read(self, first: int, last: int) -> Images:
        images = self.images[first:last]
        return images if isinstance(images, list) else upright(np.asarray(images))


class DatasetSource(Source):
    """A dataset of an HDF5 file, opened for every block and closed again."""

    def __init__(self, path: Path, dataset: str, count: int, name: str):
        super().__init__(name, "hdf5", count, dataset=dataset)
        self.path, self.dataset = path, dataset

    def read(self, first: int, last: int) -> Images:
        try:
            with h5py.File(self.path, "r") as f:
                return upright(f[self.dataset][first:last])
        except (OSError, RuntimeError) as e:
            raise InputError(f"{self.path}: the dataset {self.dataset} is damaged ({e})") from e


class FolderSource(Source):
    """Every PNG and JPEG under a folder, sorted by path, each in its own size; grey or RGB, upright by EXIF."""

    def __init__(self, path: Path, name: str):
        self.files = _find(path)
        if not self.files:
            other = ": name one of its IDX files" if find_files(path) else ""
            raise InputError(f"{path} holds no PNG or JPEG images{other}")
        super().__init__(name, "folder", len(self.files))
        self.lossy = 0

    def blocks(self, size: int) -> Iterator[Images]:
        self.lossy = 0
        yield from super().blocks(size)

    def read(self, first: int, last: int) -> Images:
        images = [self._open(file) for file in self.files[first:last]]
        return np.stack(images) if len({image.shape for image in images}) == 1 else images

    def _open(self, file: Path) -> np.ndarray:
        with _opened(file) as image:
            self.lossy += image.format == "JPEG"
            return np.asarray(ImageOps.exif_transpose(image).convert("L" if image.mode in ("1", "L", "LA") else "RGB"))

    def warnings(self) -> list[str]:
        found = super().warnings()
        if self.lossy:
            found.append(f"{self.lossy:,} JPEG files: lossy compression alone moves these metrics")
        return found


class GeneratorSource(Source):
    """Images 0 … count − 1 of a seed from the averaged generator of a checkpoint: those of experiments.generate."""

    def __init__(self, path: Path, name: str, kind: str, count: int, seed: int, device: str):
        step = checkpoint.load(path)[1].get("steps_done")
        self.generator, self.config = load_generator(path, device)
        self.seed, self.batch = seed, batch_size(self.config)
        super().__init__(name, kind, count, checkpoint=path.name, step=step, sampling_seed=seed)
        self.made: tuple[int, np.ndarray] | None = None  # the last batch: a block may end within it

    def read(self, first: int, last: int) -> Images:
        parts = []
        for start in range(first - first % self.batch, last, self.batch):
            parts.append(self._make(start)[max(first - start, 0) : last - start])
        return np.concatenate(parts)

    def _make(self, start: int) -> np.ndarray:
        if self.made is None or self.made[0] != start:
            z = latents(range(start, min(start + self.batch, self.available)), self.config.latent, self.seed)
            self.made = start, generate(self.generator, z, self.batch, fill=True)
        return self.made[1]


def open_source(spec: Any, num: int | None = None, seed: int = 0, device: str = "cpu") -> Source:
    """The images that `spec` names: a path, a name in `DRAWN`, a uint8 array, or a list of images of several sizes.

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
    if kind == "folder":
        return FolderSource(path, name)
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
        return ArraySource(_draw(name, made, seed), name, kind, drawing_seed=seed)
    raise InputError(f"{path} is a statistics file: it holds no images")


def _draw(name: str, n: int, seed: int) -> np.ndarray:
    from minigan.data.faces import faces
    from minigan.data.strokes import stroke_digits

    return stroke_digits(n, seed + TEST_STREAM)[0] if name == "stroke-digits" else faces(n, seed + TEST_STREAM)


def _open_array(images: Any) -> Source:
    if isinstance(images, np.ndarray):
        if not is_images(images.dtype, images.shape):
            raise InputError(f"images are uint8 (N, H, W) or (N, H, W, 3), not {images.dtype} {images.shape}")
        return ArraySource(images, f"array {images.shape}", "array")
    images = [np.asarray(image) for image in images]
    for image in images:
        if not is_images(image.dtype, (1, *image.shape)):
            raise InputError(f"an image is uint8 (H, W) or (H, W, 3), not {image.dtype} {image.shape}")
    return ArraySource([upright(image[None])[0] for image in images], f"{len(images)} arrays", "array")


def _pick(images: Images, places: np.ndarray) -> Images:
    return images[places] if isinstance(images, np.ndarray) else [images[i] for i in places]
