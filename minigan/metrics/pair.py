"""Two sets of images compared: every metric from one forward pass over each side."""

import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from minigan.errors import InputError
from minigan.metrics.advice import advice
from minigan.metrics.cache import FeatureCache
from minigan.metrics.compare import METRICS, compare
from minigan.metrics.features import Extractor, label_and_key
from minigan.metrics.frechet import LEAST_FAKES, frechet_distance, frechet_infinity
from minigan.metrics.kid import SUBSET_SIZE, SUBSETS
from minigan.metrics.score import SPLITS, inception_score
from minigan.metrics.sides import Side, check_extractor, choose_extractor, measure, open_side
from minigan.metrics.sources import Source

USUAL = ("frechet", "kid", "prdc", "inception_score")


@dataclass
class Result:
    """What a comparison found. `label` and `key` name its Fréchet distance, and go with every number."""

    label: str  # "FID", "digit-FID", "random-FID"
    key: str  # the same as a JSON key
    values: dict[str, float]  # by the keys of `compare`
    left_out: dict[str, str]  # metric: why it is not there
    warnings: list[str]
    fake: Side
    real: Side
    settings: dict[str, Any]  # JSON-able: what the values depend on beside the images
    seconds: float  # of wall time, everything

    @property
    def images_per_second(self) -> float | None:
        """Through the extractor, reading included; None if all features were there already."""
        extracted = self.fake.extracted + self.real.extracted
        return extracted / (self.fake.seconds + self.real.seconds) if extracted else None

    def record(self) -> dict[str, Any]:
        """All of it as JSON-able values, the Fréchet distance under its own key."""
        return {
            "metrics": {name.replace("frechet", self.key): value for name, value in self.values.items()},
            "left_out": self.left_out,
            "fake": self.fake.record(),
            "real": self.real.record(),
            **self.settings,
            "versions": versions(),
            "seconds": round(self.seconds, 3),
            "images_per_second": self.images_per_second and round(self.images_per_second, 1),
            "warnings": self.warnings,
        }


def evaluate_pair(
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
    progress: bool = False,
) -> Result:
    """Compare generated images with real ones. `fake` is judged, `real` is the measure: swapped, precision is recall.

    A side is a path (see `python -m experiments.fid --help`), a uint8 array (N, H, W) or (N, H, W, 3), or a list of
    images of several sizes. `metrics` are of `minigan.metrics.compare.METRICS`; what the sides cannot give is left out
    and said so. `features` (or an Extractor), `weights`, `mode` and `tap` choose the extractor, see `make_extractor`;
    auto takes that of a statistics file on one side, else inception where there are weights, digits where both sides
    begin with a grey image of 28 × 28, and random. Of more than `num` images `seed` draws that many. The features stay
    in the directory `cache` if there is one, and with `keep_features` in the result. `progress`: bars on stderr.
    """
    started = time.perf_counter()
    if unknown := sorted(set(metrics) - set(METRICS)):
        raise InputError(f"unknown metric {unknown[0]!r}: use some of {', '.join(METRICS)}")
    if k < 1:
        raise InputError(f"k must be at least 1, not {k}")
    store = None if cache is None else FeatureCache(cache)
    opened = [open_side(spec, num, seed, device) for spec in (fake, real)]
    if isinstance(features, Extractor):
        extractor: Extractor | None = features
    else:
        extractor = choose_extractor(opened, features, weights, mode, tap, device, batch)
    described = _described(opened, extractor)
    keep = keep_features or any(name != "frechet" for name in metrics)
    sides = []
    for side, letter in zip(opened, "AB", strict=True):
        if isinstance(side, Source):
            assert extractor is not None  # there is one wherever there are images
            side = measure(side, extractor, keep, store, letter if progress else None)
        sides.append(side)
    a, b = sides
    values, left_out = _compare(a, b, metrics, k, seed, progress)
    if extractor is not None:
        label, key = extractor.label, extractor.key
    else:
        made = described or {"features": "inception"}  # other tools measure nothing else
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
    warnings = advice(a, b, extractor, values, num, k)
    return Result(label, key, values, left_out, warnings, a, b, settings, time.perf_counter() - started)


def _described(opened: list, extractor: Extractor | None) -> dict[str, Any] | None:
    """What both sides are measured with; InputError where a statistics file does not fit."""
    files = [side for side in opened if isinstance(side, Side)]
    described, dimensions = None, len(files[0].statistics.mean) if files else 0
    if extractor is not None:
        described, dimensions = {**extractor.describe, "digest": extractor.digest}, extractor.dimensions
    elif files:
        described = files[0].statistics.extractor or files[1].statistics.extractor
    for side in files:
        check_extractor(side, described, dimensions)
    return described


def _compare(
    a: Side, b: Side, metrics: Sequence[str], k: int, seed: int, progress: bool
) -> tuple[dict[str, float], dict[str, str]]:
    """The values by the keys of `compare`, and the metrics left out with the reason."""
    fake, real = a.statistics, b.statistics
    values: dict[str, float] = {}
    without = [letter for letter, side in (("A", fake), ("B", real)) if side.features is None]
    files = "is a statistics file" if len(without) == 1 else "are statistics files"
    why = f"{' and '.join(without)} {files} without features"
    left_out: dict[str, str] = {}
    if "frechet" in metrics:
        values["frechet"] = frechet_distance(fake.mean, fake.cov, real.mean, real.cov)
    if "frechet_infinity" in metrics:
        if fake.features is None:
            left_out["frechet_infinity"] = "A is a statistics file without features"
        elif len(fake.features) < LEAST_FAKES:
            left_out["frechet_infinity"] = f"it needs {LEAST_FAKES} images"
        else:
            reference: Any = real  # a mean and a covariance, all that is used of Moments
            value, error = frechet_infinity(fake.features.values, reference, seed=seed, progress=progress)
            values |= {"frechet_infinity": value, "frechet_infinity_std": error}
    pairwise = [name for name in ("kid", "prdc") if name in metrics]
    if fake.features is not None and real.features is not None:
        values |= compare(fake.features, real.features, metrics=pairwise, k=k, seed=seed, progress=progress)
    else:
        left_out |= {name: why for name in pairwise}
    if "inception_score" in metrics:
        if fake.features is None:
            left_out["inception_score"] = "A is a statistics file without features"
        elif fake.features.probabilities is None:
            left_out["inception_score"] = "these features come without classes"
        elif len(fake.features) < SPLITS:
            left_out["inception_score"] = f"it needs {SPLITS} images"
        else:
            mean, std = inception_score(fake.features.probabilities, splits=SPLITS, seed=seed)
            values |= {"inception_score": mean, "inception_score_std": std}
    return values, left_out


def versions() -> dict[str, str]:
    """Of what computed the values."""
    found = {"python": platform.python_version()}
    for name in ("minigan", "numpy", "h5py", "pillow"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # run from a checkout that is not installed
            continue
    return found
