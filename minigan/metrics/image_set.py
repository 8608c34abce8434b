"""One of the two image sets of a comparison: images that go through an extractor, or a statistics file."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minigan.errors import InputError
from minigan.metrics.cache import FeatureCache
from minigan.metrics.extractors import Extractor, label_and_key, make_extractor
from minigan.metrics.features import Features
from minigan.metrics.formats import detect_kind
from minigan.metrics.frechet import Moments
from minigan.metrics.loaders import ImageLoader, open_images
from minigan.metrics.statistics import Statistics, load_statistics
from minigan.progress import Progress

ROWS = 4096  # feature vectors that join the moments together


@dataclass
class ImageSet:
    """A measured set of images: its statistics, and what is known of the images."""

    name: str
    kind: str  # see `detect_kind`; "array" for arrays
    statistics: Statistics
    loader: ImageLoader | None = None  # None for a statistics file
    extracted: int = 0  # images that went through the extractor; 0 if the cache had their features
    seconds: float = 0.0  # spent on reading and extracting
    warnings: list[str] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """JSON-able facts."""
        facts = {} if self.loader is None else self.loader.facts
        count, content = self.statistics.count, self.statistics.content
        return {"name": self.name, "kind": self.kind, "count": count, "content": content, **facts}


def open_image_set(
    spec: Any,
    num: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    skip: bool = False,
    subset: str | None = None,
) -> ImageLoader | ImageSet:
    """The loader of the images of `spec` (see `open_images`), or the ImageSet of a statistics file.

    InputError for a set that cannot be read, or of one image.
    """
    if isinstance(spec, str | os.PathLike) and detect_kind(spec) == "statistics":
        return ImageSet(str(spec), "statistics", load_statistics(spec))
    loader = open_images(spec, num, seed, device, skip, subset)
    if len(loader) < 2:
        raise InputError(f"{loader.name} gives one image: a comparison needs at least 2")
    return loader


def choose_extractor(
    opened: list[ImageLoader | ImageSet],
    features: str = "auto",
    weights: str | Path | None = None,
    mode: str | None = None,
    tap: int | None = None,
    device: str = "cpu",
    batch: int | None = None,
) -> Extractor | None:
    """The extractor for these image sets, see `compare_images`; None if all of them are statistics files.

    InputError for options of "inception" beside other features.
    """
    files = [item.statistics.extractor for item in opened if isinstance(item, ImageSet)]
    loaders = [item for item in opened if isinstance(item, ImageLoader)]
    if not loaders:
        return None
    if features == "auto":
        features = "random"
        if files:
            made = files[0] or {"features": "inception"}  # other tools write statistics of nothing else
            features, mode, tap = made["features"], mode or made.get("mode"), tap or made.get("dimensions")
        elif weights:
            features = "inception"
        elif all(_is_digit(loader) for loader in loaders):
            features = "digits"
    if features != "inception" and (weights or mode or (tap and not files)):
        raise InputError(f"weights, resize modes and taps belong to inception features, not to {features} features")
    extractor = make_extractor(features, weights=weights, mode=mode or "tf", tap=tap or 2048, device=device)
    if batch is not None:
        extractor.batch = batch
    return extractor


def check_extractor(file: ImageSet, extractor: dict[str, Any] | None, dimensions: int) -> None:
    """InputError unless a statistics file fits an extractor, given as `Extractor.describe` with its digest."""
    own, length = file.statistics.extractor, len(file.statistics.mean)
    if own and extractor and own["digest"] != extractor["digest"]:
        raise InputError(
            f"{file.name} holds statistics of {_in_words(own)}: they do not compare with {_in_words(extractor)}"
        )
    if length != dimensions:
        raise InputError(
            f"{file.name} holds statistics of {length:,} features: they do not compare with {dimensions:,}"
        )


def _in_words(extractor: dict[str, Any]) -> str:
    label, _ = label_and_key(extractor["features"], extractor["dimensions"])
    weights = f"weights {extractor['weights_sha256'][:8]}" if extractor.get("weights_sha256") else None
    details = extractor.get("mode"), weights, f"digest {extractor['digest'][:8]}"
    return f"{label} ({', '.join(filter(None, details))})"


def _is_digit(loader: ImageLoader) -> bool:
    """Whether the first image is 28 × 28 and grey: one channel, or three equal ones."""
    image = loader.read(loader.indices[:1])[0]
    return image.shape[:2] == (28, 28) and (image.ndim == 2 or not np.ptp(image, axis=2).any())


def measure(
    loader: ImageLoader,
    extractor: Extractor,
    keep: bool = True,
    cache: FeatureCache | None = None,
    bar: str | None = None,
) -> ImageSet:
    """Send all images of a loader through an extractor once, unless the cache has their features; close the loader.

    `keep` the features, sorted by the hashes of the images, so that no metric depends on the order of files. `bar`
    names a progress bar on stderr. Errors are those of the loader and of the extractor.
    """
    started = time.perf_counter()
    features = None
    warnings: list[str] = []
    if cache is not None:
        with _bar(loader, None if bar is None else f"{bar} (reading)") as progress:
            for images in loader.batches(extractor.batch):
                progress.update(len(images))
        features = cache.load(loader.digest, extractor.digest)
    extracted = len(loader) if features is None else 0
    if features is None and not keep and cache is None:
        moments = _stream(_extract(loader, extractor, bar))
    else:
        if features is None:
            features = _gather(_extract(loader, extractor, bar), len(loader), extractor.dimensions)[loader.order]
            if cache is not None:
                try:
                    cache.save(loader.digest, extractor.digest, features)
                except InputError as e:  # do not throw away what may have taken hours
                    warnings.append(f"the features could not be kept in the cache ({e})")
        moments = Moments().update(features.values)
    loader.close()
    described = {**extractor.describe, "digest": extractor.digest}
    statistics = Statistics(moments.mean, moments.cov, moments.count, described, loader.digest, features)
    return ImageSet(loader.name, loader.kind, statistics, loader, extracted, time.perf_counter() - started, warnings)


def _stream(parts: Iterator[Features]) -> Moments:
    """The moments alone. Several batches join them together, because each join costs D × D."""
    moments = Moments()
    waiting: list[np.ndarray] = []
    for part in parts:
        waiting.append(part.values)
        if sum(map(len, waiting)) >= ROWS:
            moments.update(np.concatenate(waiting))
            waiting = []
    if waiting:
        moments.update(np.concatenate(waiting))
    return moments


def _gather(parts: Iterator[Features], n: int, dimensions: int) -> Features:
    values = np.empty((n, dimensions), np.float32)
    probabilities: np.ndarray | None = None
    done = 0
    for part in parts:
        rows = slice(done, done + len(part))
        values[rows] = part.values
        if part.probabilities is not None:
            if probabilities is None:
                probabilities = np.empty((n, part.probabilities.shape[1]), np.float32)
            probabilities[rows] = part.probabilities
        done += len(part)
    return Features(values, probabilities)


def _extract(loader: ImageLoader, extractor: Extractor, bar: str | None) -> Iterator[Features]:
    with _bar(loader, bar) as progress:
        for images in loader.batches(extractor.batch):
            yield extractor(images)
            progress.update(len(images))


def _bar(loader: ImageLoader, name: str | None) -> Progress:
    return Progress(total=len(loader), desc=name, unit="img", disable=name is None, dynamic_ncols=True)
