"""Generated images compared with real ones: every metric, from one forward pass over each image set."""

import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from minigan.errors import InputError
from minigan.metrics.cache import FeatureCache
from minigan.metrics.comparison_warnings import comparison_warnings
from minigan.metrics.compute import check_metrics, compute_metrics
from minigan.metrics.extractors import Extractor, label_and_key
from minigan.metrics.image_set import ImageSet, check_extractor, choose_extractor, measure, open_image_set
from minigan.metrics.inception_score import SPLITS
from minigan.metrics.kid import SUBSET_SIZE, SUBSETS
from minigan.metrics.loaders import ImageLoader

USUAL = ("frechet", "kid", "prdc", "inception_score")


@dataclass
class Comparison:
    """The result of `compare_images`; `label` and `key` name its Fréchet distance."""

    label: str  # "FID", "digit-FID", "random-FID"
    key: str  # the same name as a JSON key: "fid", "digit_fid", "random_fid"
    values: dict[str, float]  # by the keys of `compute_metrics`
    left_out: dict[str, str]  # metric: why it is missing
    warnings: list[str]
    fake: ImageSet
    real: ImageSet
    settings: dict[str, Any]  # JSON-able: what else the values depend on
    seconds: float  # wall time of the whole comparison

    @property
    def images_per_second(self) -> float | None:
        """The speed of reading and extracting; None if all features were known already."""
        extracted = self.fake.extracted + self.real.extracted
        return extracted / (self.fake.seconds + self.real.seconds) if extracted else None

    def record(self) -> dict[str, Any]:
        """Everything as JSON-able values, the Fréchet distance under its own key."""
        speed = self.images_per_second
        return {
            "metrics": {name.replace("frechet", self.key): value for name, value in self.values.items()},
            "left_out": self.left_out,
            "fake": self.fake.record(),
            "real": self.real.record(),
            **self.settings,
            "versions": versions(),
            "seconds": round(self.seconds, 3),
            "images_per_second": None if speed is None else round(speed, 1),
            "warnings": self.warnings,
        }


def compare_images(
    fake: Any,
    real: Any,
    *,
    features: str | Extractor = "auto",
    weights: str | Path | None = None,
    mode: str | None = None,
    tap: int | None = None,
    metrics: Sequence[str] = USUAL,
    num: int | None = None,
    k: int = 5,
    seed: int = 0,
    batch: int | None = None,
    cache: str | Path | None = None,
    keep_features: bool = False,
    device: str = "cpu",
    skip: bool = False,
    subset: str | None = None,
    progress: bool = False,
) -> Comparison:
    """Compare generated images with real ones. The order matters: swapping them swaps precision and recall.

    fake, real: each a path (see `python -m experiments.fid --help`), a uint8 array (N, H, W) or (N, H, W, 3), or a
        list of images of several sizes.
    features: an Extractor or its name. "auto" takes the extractor of a statistics file if there is one, else
        inception if there are `weights`, digits if both sets begin with a grey 28 × 28 image, and random otherwise.
    weights, mode, tap: see `make_extractor`.
    metrics: some of `minigan.metrics.compute.METRICS`; `left_out` says which could not be computed, and why.
    num: use that many images of each set, drawn by `seed`.
    k: neighbours for precision, recall, density and coverage.
    batch: images per forward pass.
    cache: a directory that keeps features between calls.
    keep_features: keep the features in the result too.
    skip: leave pictures out that cannot be read, and record how many; else they are refused, all together.
    subset: the set to take from a folder of several, as EMNIST's.
    progress: show progress bars on stderr.

    InputError for sets that cannot be read or do not fit the features, for unknown names, and for num, k or batch
    below 1.
    """
    started = time.perf_counter()
    check_metrics(metrics)
    if k < 1:
        raise InputError(f"k must be at least 1, not {k}")
    if batch is not None and batch < 1:
        raise InputError(f"batch must be at least 1, not {batch}")
    store = None if cache is None else FeatureCache(cache)
    opened = [open_image_set(spec, num, seed, device, skip, subset) for spec in (fake, real)]
    if isinstance(features, Extractor):
        extractor: Extractor | None = features
    else:
        extractor = choose_extractor(opened, features, weights, mode, tap, device, batch)
    described = _described(opened, extractor)
    keep = keep_features or any(name != "frechet" for name in metrics)
    sets = []
    for item, letter in zip(opened, "AB", strict=True):
        if isinstance(item, ImageLoader):
            assert extractor is not None  # there is one wherever there are images
            item = measure(item, extractor, keep, store, letter if progress else None)
        sets.append(item)
    a, b = sets
    values, left_out = compute_metrics(a.statistics, b.statistics, metrics=metrics, k=k, seed=seed, progress=progress)
    if extractor is not None:
        label, key = extractor.label, extractor.key
    else:
        made = described or {"features": "inception"}  # other tools write statistics of nothing else
        label, key = label_and_key(made["features"], len(a.statistics.mean))
    settings = {
        "label": label,
        "features": described,
        "num": num,
        "seed": seed,
        "k": k,
        "kid_subsets": SUBSETS,
        "kid_subset_size": SUBSET_SIZE,  # at most
        "inception_score_splits": SPLITS,
        "device": device,
    }
    warnings = comparison_warnings(a, b, extractor, values, num, k)
    return Comparison(label, key, values, left_out, warnings, a, b, settings, time.perf_counter() - started)


def _described(opened: list[ImageLoader | ImageSet], extractor: Extractor | None) -> dict[str, Any] | None:
    """The description of the extractor of both sets; InputError if a statistics file does not fit it."""
    files = [item for item in opened if isinstance(item, ImageSet)]
    described, dimensions = None, len(files[0].statistics.mean) if files else 0
    if extractor is not None:
        described, dimensions = {**extractor.describe, "digest": extractor.digest}, extractor.dimensions
    elif files:
        described = files[0].statistics.extractor or files[1].statistics.extractor
    for file in files:
        check_extractor(file, described, dimensions)
    return described


def versions() -> dict[str, str]:
    """The versions of the programs that computed the values."""
    found = {"python": platform.python_version()}
    for name in ("minigan", "numpy", "h5py", "pillow"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # a checkout that is not installed
            continue
    return found
