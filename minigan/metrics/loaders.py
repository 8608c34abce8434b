"""Image loaders: one interface to folders, archives, files, arrays and trained generators.

A loader hands out its images in batches, in order, and never holds all of them. On the way it computes the SHA-256 of
every image's shape and pixels. The sorted hashes give the digest of the whole set. So the digest depends on the images
alone: it is the same for a folder and an HDF5 file of the same images, and it changes with any pixel.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from autograd.arrays import to_host
from minigan import checkpoint
from minigan.data.celeba import draw_faces, find_celeba
from minigan.data.cifar import load_cifar10
from minigan.data.csv_images import load_csv
from minigan.data.dataset import Dataset
from minigan.data.decoding import HINT, is_grey, leave_out, pixels, refuse
from minigan.data.folder import attempt
from minigan.data.load import load_data
from minigan.data.mnist import find_files, load_dataset, read_images
from minigan.data.pictures import open_pictures
from minigan.errors import InputError, NoSuchSplit
from minigan.hdf5 import reading_hdf5
from minigan.labels import one_hot
from minigan.metrics.formats import detect_kind, hdf5_images, is_images, npy_images, npz_images, upright
from minigan.sampling import batch_size, find_checkpoint, generate, image_labels, latents, make_generator

SAMPLES = 10_000  # default number of images of a generator or a drawing program
Images = np.ndarray | list[np.ndarray]  # uint8 (n, H, W) or (n, H, W, 3); a list if the sizes differ


class ImageLoader:
    """Images in order. `hashes`, `shapes`, `digest`, `order` and `warnings()` are known after a pass over `batches`."""

    def __init__(self, name: str, kind: str, count: int, **facts: Any):
        self.name, self.kind = name, kind
        self.facts = facts  # JSON-able, for the record of a comparison
        self.indices = np.arange(count)  # of the images that are used, ascending
        self.hashes: list[bytes] = []
        self.shapes: Counter = Counter()

    def read(self, indices: np.ndarray) -> Images:
        """The images, uint8, at these ascending indices (n,); InputError if they cannot be read."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.indices)

    def subsample(self, n: int, seed: int) -> None:
        """Keep n of the images, drawn by the seed."""
        self.indices = np.sort(np.random.default_rng(seed).permutation(len(self))[:n])

    def batches(self, size: int) -> Iterator[Images]:
        """All images in batches of `size`, uint8 (n, H, W[, 3]) or a list; the last batch may be smaller."""
        self.hashes, self.shapes = [], Counter()
        for i in range(0, len(self), size):
            images = self.read(self.indices[i : i + size])
            for image in images:
                self.shapes[image.shape] += 1
                self.hashes.append(hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest())
            yield images

    def check(self) -> None:
        """InputError if it can be known early that some images cannot be read."""

    def leave_out_unreadable(self) -> None:
        """Go on without the images that cannot be read, and record how many they are."""

    def close(self) -> None:
        """Close what is open."""

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of the sorted hashes."""
        return hashlib.sha256(b"".join(sorted(self.hashes))).hexdigest()

    @property
    def order(self) -> np.ndarray:
        """The indices (N,) that sort the images by their hashes: one order for one set, however it is stored."""
        return np.array(sorted(range(len(self.hashes)), key=self.hashes.__getitem__), np.int64)

    def warnings(self) -> list[str]:
        """Sentences about these images for whoever reads the figures."""
        sizes = {shape[:2] for shape in self.shapes}
        if len(sizes) < 2:
            return []
        (h0, w0), (h1, w1) = min(sizes), max(sizes)
        return [f"{len(sizes)} different sizes, {w0}×{h0} to {w1}×{h1}: each image is resized by itself"]


class ArrayLoader(ImageLoader):
    """An array of images, in memory or mapped from a file, or a list of arrays of several sizes."""

    def __init__(self, images: Any, name: str, kind: str, **facts: Any):
        super().__init__(name, kind, len(images), **facts)
        self.images = images

    def read(self, indices: np.ndarray) -> Images:
        if isinstance(self.images, list):
            return [self.images[i] for i in indices]
        return upright(to_host(self.images[indices]))


class HDF5Loader(ImageLoader):
    """A dataset in an HDF5 file, which is open only while a batch is read."""

    def __init__(self, path: Path, dataset: str, count: int, name: str):
        super().__init__(name, "hdf5", count, dataset=dataset)
        self.path, self.dataset = path, dataset

    def read(self, indices: np.ndarray) -> Images:
        first, last = int(indices[0]), int(indices[-1]) + 1
        rows = slice(first, last) if last - first == len(indices) else indices  # h5py reads a slice much faster
        with reading_hdf5(self.path, f"is damaged: the dataset {self.dataset} cannot be read") as f:
            return upright(f[self.dataset][rows])


class PictureLoader(ImageLoader):
    """Picture files in a folder or an archive, each in its own size; grey or RGB, turned upright by EXIF."""

    def __init__(self, path: Path, name: str, kind: str):
        self.pictures = open_pictures(path)
        try:
            self.pictures.found.check(path)
        except InputError:
            self.pictures.close()
            raise
        super().__init__(name, kind, len(self.pictures.files))
        self.jpegs = 0

    def batches(self, size: int) -> Iterator[Images]:
        self.jpegs = 0
        yield from super().batches(size)

    def read(self, indices: np.ndarray) -> Images:
        try:
            images = [self._open(i) for i in indices]
        except InputError as e:
            raise InputError(f"{e}{HINT}") from None
        return np.stack(images) if len({image.shape for image in images}) == 1 else images

    def check(self) -> None:
        """Look at the heads of all files, so that no bad one ends an hour of work; all bad ones are listed together."""
        bad: dict[str, str] = {}
        for i in self.indices.tolist():
            name = self.pictures.path / self.pictures.files[i]
            if (data := attempt(bad, name, partial(self.pictures.read, i))) is not None:
                attempt(bad, name, partial(is_grey, BytesIO(data), name))
        refuse(bad, self.pictures.path)

    def leave_out_unreadable(self) -> None:
        bad: dict[str, str] = {}
        files = self.pictures.files
        readable = [attempt(bad, files[i], partial(self._open, i)) is not None for i in self.indices.tolist()]
        leave_out(bad, len(readable), self.pictures.path)
        self.indices = self.indices[readable]
        self.facts["unreadable"] = len(bad)

    def close(self) -> None:
        self.pictures.close()

    def _open(self, i: int) -> np.ndarray:
        data, name = BytesIO(self.pictures.read(i)), self.pictures.path / self.pictures.files[i]
        if data.getvalue().startswith(b"\xff\xd8"):
            self.jpegs += 1
        return pixels(data, name, "L" if is_grey(data, name) else "RGB")

    def warnings(self) -> list[str]:
        found = super().warnings()
        if left_out := self.pictures.found.left_out():
            found.append(f"{self.name}{left_out}")
        if self.jpegs:
            files = "1 JPEG file" if self.jpegs == 1 else f"{self.jpegs:,} JPEG files"
            found.append(f"{files}: lossy compression alone changes these metrics")
        return found


class GeneratorLoader(ImageLoader):
    """Images 0 … count − 1 of a seed from the averaged generator of a checkpoint, equal to experiments.generate's."""

    def __init__(self, path: Path, name: str, kind: str, count: int, seed: int, device: str):
        loaded = checkpoint.load(path)
        step = loaded[1].get("steps_done")
        self.generator, self.config = make_generator(*loaded, path, device)
        self.seed, self.batch = seed, batch_size(self.config)
        super().__init__(name, kind, count, checkpoint=path.name, step=step, sampling_seed=seed)
        self.made: tuple[int, np.ndarray] | None = None  # the last generated batch; the next read may begin within it

    def read(self, indices: np.ndarray) -> Images:
        first, last, parts = int(indices[0]), int(indices[-1]) + 1, []
        for start in range(first - first % self.batch, last, self.batch):
            parts.append(self._make(start)[max(first - start, 0) : last - start])
        return np.concatenate(parts)

    def _make(self, start: int) -> np.ndarray:
        if self.made is None or self.made[0] != start:
            numbers = range(start, min(start + self.batch, len(self)))
            z, labels = (
                latents(numbers, self.config.latent, self.seed),
                image_labels(self.generator, numbers, self.seed),
            )
            classes = None if labels is None else one_hot(labels, self.config.classes)
            self.made = start, generate(self.generator, z, self.batch, fill=True, classes=classes)
        return self.made[1]


def open_images(
    spec: Any,
    num: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    skip: bool = False,
    subset: str | None = None,
) -> ImageLoader:
    """The images of `spec`: a path, a name in `DRAWN`, a uint8 array (or an object that slices like one), or a list.

    `num` limits the images: the seed draws that many. A generator, which runs on `device`, and a drawing program make
    `num` images. With `skip`, pictures that cannot be read are left out of those: each is decoded once more.
    `subset` names the set to take from a folder of several, as EMNIST's. InputError for anything else, for what cannot
    be read, and for a set without images.
    """
    if num is not None and num < 1:
        raise InputError(f"the number of images must be at least 1, not {num}")
    if isinstance(spec, str | os.PathLike):
        loader = _open_path(str(spec), num or SAMPLES, seed, device, subset)
    else:
        loader = _open_array(spec)
    if len(loader) == 0:
        raise InputError(f"{loader.name} holds no images")
    if num is not None and num < len(loader):
        loader.subsample(num, seed)
    try:
        if skip:
            loader.leave_out_unreadable()
        else:
            loader.check()
    except InputError:
        loader.close()
        raise
    return loader


def _open_path(name: str, made: int, seed: int, device: str, subset: str | None) -> ImageLoader:
    path, kind = Path(name), detect_kind(name)
    if kind in ("folder", "zip", "tar"):
        return PictureLoader(find_celeba(path)[0] if kind == "folder" else path, name, kind)
    if kind in ("mnist", "cifar-10"):
        of = partial(load_dataset, subset=subset) if len(find_files(path)) > 1 else load_dataset
        data, split = _test_images(of if kind == "mnist" else load_cifar10, path)
        return ArrayLoader(data.images, name, kind, split=split, **({"subset": data.name} if subset else {}))
    if kind in ("run", "checkpoint"):
        return GeneratorLoader(find_checkpoint(path), name, kind, made, seed, device)
    if kind == "hdf5":
        dataset, shape = hdf5_images(path)
        return HDF5Loader(path, dataset, shape[0], name)
    if kind == "npz":
        array, images = npz_images(path)
        return ArrayLoader(images, name, kind, array=array)
    if kind == "npy":
        return ArrayLoader(npy_images(path), name, kind)
    if kind == "csv":
        return ArrayLoader(load_csv(path).images, name, kind)
    if kind == "idx":
        return ArrayLoader(read_images(path), name, kind)
    if kind == "drawn":
        drawn = load_data(None, "test", None, seed, made) if name == "stroke-digits" else draw_faces(made, "test", seed)
        return ArrayLoader(drawn.images, name, kind, drawing_seed=seed)
    raise InputError(f"{path} is a statistics file: it holds no images")


def _test_images(load: Callable[..., Dataset], path: Path) -> tuple[Dataset, str]:
    """The images to compare with, as a run takes them: test images, or training images where there are none."""
    try:
        return load(path, "test"), "test"
    except NoSuchSplit:
        return load(path, "train"), "train"


def _open_array(images: Any) -> ImageLoader:
    if hasattr(images, "dtype"):  # an ndarray, or an object that slices like one
        if not is_images(images.dtype, images.shape):
            raise InputError(f"images are uint8 (N, H, W) or (N, H, W, 3), not {images.dtype} {images.shape}")
        return ArrayLoader(images, f"array {images.shape}", "array")
    images = [np.asarray(image) for image in images]
    for image in images:
        if not is_images(image.dtype, (1, *image.shape)):
            raise InputError(f"an image is uint8 (H, W) or (H, W, 3), not {image.dtype} {image.shape}")
    return ArrayLoader([upright(image[None])[0] for image in images], f"{len(images)} arrays", "array")
