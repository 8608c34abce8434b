"""One side of a comparison: images on their way through an extractor, or a statistics file."""

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from minigan.errors import InputError
from minigan.metrics.cache import FeatureCache
from minigan.metrics.compare import Features
from minigan.metrics.containers import sniff
from minigan.metrics.features import Extractor, label_and_key, make_extractor
from minigan.metrics.frechet import Moments
from minigan.metrics.sources import Source, open_source
from minigan.metrics.statistics import Statistics, load_statistics

ROWS = 4096  # feature vectors that join the moments together


@dataclass
class Side:
    """What a comparison knows of one side."""

    name: str
    kind: str
    statistics: Statistics
    source: Source | None = None  # None for a statistics file
    extracted: int = 0  # images that went through the extractor; 0 where the features were there already
    seconds: float = 0.0  # that reading and extracting took
    warnings: list[str] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """JSON-able facts."""
        s, facts = self.statistics, {} if self.source is None else self.source.facts
        return {"name": self.name, "kind": self.kind, "count": s.count, "content": s.content, **facts}


def open_side(spec: Any, num: int | None = None, seed: int = 0, device: str = "cpu") -> Source | Side:
    """The images that `spec` names (see `open_source`), or the statistics file that it is."""
    if isinstance(spec, str | os.PathLike) and sniff(spec) == "statistics":
        return Side(str(spec), "statistics", load_statistics(spec))
    source = open_source(spec, num, seed, device)
    if len(source) < 2:
        raise InputError(f"{source.name} gives one image: sets of images are compared from 2 on")
    return source


def choose_extractor(
    sides: list[Source | Side],
    features: str = "auto",
    weights: str | Path | None = None,
    mode: str | None = None,
    tap: int | None = None,
    device: str = "cpu",
    batch: int | None = None,
) -> Extractor | None:
    """The extractor for these sides, see `evaluate_pair`; None where all of them are statistics files."""
    files = [side.statistics.extractor for side in sides if isinstance(side, Side)]
    sources = [side for side in sides if isinstance(side, Source)]
    if not sources:
        return None
    if features == "auto":
        features = "random"
        if files:
            made = files[0] or {"features": "inception"}  # other tools measure nothing else
            features, mode, tap = made["features"], mode or made.get("mode"), tap or made.get("dimensions")
        elif weights:
            features = "inception"
        elif all(_is_digit(source) for source in sources):
            features = "digits"
    if features != "inception" and (weights or mode or (tap and not files)):
        raise InputError(f"weights, resize modes and taps are of inception features, not of {features} features")
    extractor = make_extractor(features, weights=weights, mode=mode or "tf", tap=tap or 2048, device=device)
    if batch is not None:
        extractor.batch = batch
    return extractor


def check_extractor(side: Side, extractor: dict[str, Any] | None, dimensions: int) -> None:
    """InputError unless a statistics file can be of this extractor, `Extractor.describe` with its digest."""
    own, length = side.statistics.extractor, len(side.statistics.mean)
    if own and extractor and own["digest"] != extractor["digest"]:
        raise InputError(
            f"{side.name} holds statistics of {_in_words(own)}: they do not compare with {_in_words(extractor)}"
        )
    if length != dimensions:
        raise InputError(
            f"{side.name} holds statistics of {length:,} features: they do not compare with {dimensions:,}"
        )


def _in_words(extractor: dict[str, Any]) -> str:
    label, _ = label_and_key(extractor["features"], extractor["dimensions"])
    weights = f"weights {extractor['weights_sha256'][:8]}" if "weights_sha256" in extractor else None
    details = extractor.get("mode"), weights, f"digest {extractor['digest'][:8]}"
    return f"{label} ({', '.join(filter(None, details))})"


def _is_digit(source: Source) -> bool:
    """Whether the first image is grey, 28 × 28: as one channel or three equal ones."""
    image = source.read(source.chosen[:1])[0]
    return image.shape[:2] == (28, 28) and (image.ndim == 2 or not np.ptp(image, axis=2).any())


def measure(
    source: Source, extractor: Extractor, keep: bool = True, cache: FeatureCache | None = None, bar: str | None = None
) -> Side:
    """Send all images of a source through an extractor, once, or not at all where the cache has their features.

    The source is closed then. `keep` the features, in the order of the images' hashes, so that no metric depends on the
    order of files. `bar`: the name of a progress bar on stderr.
    """
    started = time.perf_counter()
    features, moments = None, Moments()
    if cache is not None:
        with _bar(source, bar and f"{bar} (reading)") as progress:
            for images in source.blocks(extractor.batch):
                progress.update(len(images))
        features = cache.load(source.digest, extractor.digest)
    extracted = len(source) if features is None else 0
    warnings = []
    if features is None and not keep and cache is None:
        _stream(_extract(source, extractor, bar), moments)
    else:
        if features is None:
            features = _gather(_extract(source, extractor, bar), len(source), extractor.dimensions)[source.order]
            if cache is not None:
                try:
                    cache.save(source.digest, extractor.digest, features)
                except OSError as e:  # after hours, perhaps: the figures are worth more
                    warnings.append(f"the features could not be kept in the cache ({e})")
        for i in range(0, len(features), ROWS):
            moments.update(features.values[i : i + ROWS])
    source.close()
    described = {**extractor.describe, "digest": extractor.digest}
    statistics = Statistics(moments.mean, moments.cov, moments.count, described, source.digest, features)
    return Side(source.name, source.kind, statistics, source, extracted, time.perf_counter() - started, warnings)


def _stream(parts: Iterator[Features], moments: Moments) -> None:
    """Only the moments: the features of many batches join them together, as each join costs D × D."""
    waiting: list[np.ndarray] = []
    for part in parts:
        waiting.append(part.values)
        if sum(map(len, waiting)) >= ROWS:
            moments.update(np.concatenate(waiting))
            waiting = []
    if waiting:
        moments.update(np.concatenate(waiting))


def _gather(parts: Iterator[Features], n: int, dimensions: int) -> Features:
    values = np.empty((n, dimensions), np.float32)
    probabilities: np.ndarray | None = None
    done = 0
    for part in parts:
        place = slice(done, done + len(part))
        values[place] = part.values
        if part.probabilities is not None:
            if probabilities is None:
                probabilities = np.empty((n, part.probabilities.shape[1]), np.float32)
            probabilities[place] = part.probabilities
        done += len(part)
    return Features(values, probabilities)


def _extract(source: Source, extractor: Extractor, bar: str | None) -> Iterator[Features]:
    with _bar(source, bar) as progress:
        for images in source.blocks(extractor.batch):
            yield extractor(images)
            progress.update(len(images))


def _bar(source: Source, name: str | None) -> tqdm:
    return tqdm(total=len(source), desc=name, unit="img", disable=name is None, file=sys.stderr, dynamic_ncols=True)
