"""Statistics files: the mean and covariance of features, so that a reference set is measured only once.

Our files are HDF5: /mu and /sigma in float64, optionally /features and /probabilities, and attributes that name the
images and the extractor. Other tools write npz files with `mu` and `sigma`, which name neither.
"""

import io
import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from minigan.errors import InputError
from minigan.files import reading, write_bytes
from minigan.hdf5 import read_array, reading_hdf5, text, writing_hdf5
from minigan.metrics.features import Features
from minigan.metrics.frechet import TOLERANCE, Moments
from minigan.npz import npz_array

FORMAT = "minigan statistics 1"
MOST_FEATURES = 1 << 14  # of statistics in an npz file: a covariance of 2 GiB


@dataclass
class Statistics:
    """The features of one set of N images, as the metrics use them: mean (D,) and covariance (D, D) in float64."""

    mean: np.ndarray
    cov: np.ndarray  # divided by N − 1
    count: int | None = None  # N images; None if the file does not say
    extractor: dict[str, Any] | None = None  # Extractor.describe and its "digest"; None if it is not known
    content: str | None = None  # digest of the images, see `minigan.metrics.loaders`
    features: Features | None = None

    @classmethod
    def of(cls, features: Features) -> "Statistics":
        """The statistics of features, which are kept."""
        moments = Moments().update(features.values)
        return cls(moments.mean, moments.cov, moments.count, features=features)


def save_statistics(path: str | os.PathLike, statistics: Statistics, source: dict[str, Any] | None = None) -> None:
    """Write a file whole or not at all: with the suffix .npz only mu and sigma, for other tools; else HDF5.

    `source`: JSON-able facts about the images, for people to read. InputError if the disk is full.
    """
    if Path(path).suffix == ".npz":
        buffer = io.BytesIO()
        np.savez(buffer, mu=statistics.mean, sigma=statistics.cov)
        write_bytes(path, buffer.getvalue())
        return
    meta = {
        "count": statistics.count,
        "ddof": 1,
        "extractor": statistics.extractor,
        "content": statistics.content,
        "source": source or {},
    }
    with writing_hdf5(path, format=FORMAT, meta=json.dumps(meta)) as file:
        file.array("mu", statistics.mean)
        file.array("sigma", statistics.cov)
        if statistics.features is not None:
            statistics.features.write(file)


def load_statistics(path: str | os.PathLike) -> Statistics:
    """Read a file of either kind; InputError unless it holds a mean and a covariance."""
    path, what = Path(path), "is not a readable statistics file"
    with reading(path, what):
        zipped = zipfile.is_zipfile(path)
        if zipped:
            mean, cov = (npz_array(path, name, 8 * MOST_FEATURES**2) for name in ("mu", "sigma"))
            found = Statistics(mean.astype(np.float64), cov.astype(np.float64))
    if not zipped:
        with reading_hdf5(path, what, FORMAT) as f:
            found = _read(f)
    _check(path, found)
    return found


def _read(f: h5py.File) -> Statistics:
    meta = json.loads(text(f.attrs["meta"]) or "")
    extractor, count, content = meta["extractor"], meta["count"], meta["content"]
    if extractor is not None:
        extractor = dict(extractor)
        _check_extractor(extractor)
    if type(count) is not int or count < 2 or not isinstance(content, str | None):
        raise ValueError(f"it cannot be of {count} images")
    features = Features.read(f) if "features" in f else None
    mean, cov = (np.asarray(read_array(f, name), np.float64) for name in ("mu", "sigma"))
    return Statistics(mean, cov, count, extractor, content, features)


def _check_extractor(extractor: dict[str, Any]) -> None:
    kinds = {"features": str, "dimensions": int, "digest": str}
    if missing := kinds.keys() - extractor.keys():
        raise ValueError(f"it does not give the {min(missing)} of its extractor")
    if any(type(extractor[name]) is not kind for name, kind in kinds.items()):
        raise ValueError("its extractor is not described by text and a number")
    for name in ("mode", "weights_sha256"):
        if not isinstance(extractor.get(name), str | None):
            raise ValueError(f"the {name} of its extractor is not text")


def _check(path: Path, found: Statistics) -> None:
    mean, cov = found.mean, found.cov
    if mean.ndim != 1 or len(mean) < 1 or cov.shape != (len(mean), len(mean)):
        raise InputError(f"{path}: mu {mean.shape} and sigma {cov.shape} are not a mean (D,) and a covariance (D, D)")
    if not (np.isfinite(mean).all() and np.isfinite(cov).all()):
        raise InputError(f"{path}: mu and sigma must be finite, these hold NaN or infinity")
    largest = np.abs(cov).max()
    noise = (np.diag(cov) >= -TOLERANCE * largest).all()  # a constant feature has a variance of 0 but for rounding
    if not noise or not np.allclose(cov, cov.T, rtol=1e-4, atol=1e-6 * largest):
        raise InputError(f"{path}: sigma is not a covariance: it is not symmetric, or has a negative variance")
    np.fill_diagonal(cov, np.diag(cov).clip(0))
    if found.features is not None and found.features.values.shape != (found.count, len(mean)):
        raise InputError(f"{path}: its features do not fit its {found.count} images and mu {mean.shape}")
