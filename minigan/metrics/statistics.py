"""Statistics files: the mean and covariance of features, so that a reference set is measured only once.

Our files are HDF5: /mu and /sigma in float64, optionally /features and /probabilities, and attributes that name the
images and the extractor. Other tools write npz files with `mu` and `sigma`, which name neither.
"""

import io
import json
import os
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from minigan.errors import InputError
from minigan.figures import write_bytes
from minigan.metrics.features import Features
from minigan.metrics.frechet import Moments

FORMAT = "minigan statistics 1"
DAMAGE = (  # what h5py, zipfile and NumPy raise for damaged files
    OSError, RuntimeError, ValueError, TypeError, KeyError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error,
    SyntaxError, tokenize.TokenError,
)  # fmt: skip


@dataclass
class Statistics:
    """The features of one set of images, as the metrics use them."""

    mean: np.ndarray  # (D,) float64
    cov: np.ndarray  # (D, D) float64, divided by N − 1
    count: int | None = None  # N images; None if the file does not say
    extractor: dict[str, Any] | None = None  # Extractor.describe and its "digest"; None in files of other tools
    content: str | None = None  # digest of the images, see `minigan.metrics.loaders`
    features: Features | None = None

    @classmethod
    def of(cls, features: Features) -> "Statistics":
        """The statistics of features, which are kept."""
        moments = Moments().update(features.values)
        return cls(moments.mean, moments.cov, moments.count, features=features)


def save_statistics(path: str | os.PathLike, statistics: Statistics, source: dict[str, Any] | None = None) -> None:
    """Write a file whole or not at all: with the suffix .npz only mu and sigma, for other tools; else HDF5.

    `source`: JSON-able facts about the images, for people to read.
    """
    buffer = io.BytesIO()
    if Path(path).suffix == ".npz":
        np.savez(buffer, mu=statistics.mean, sigma=statistics.cov)
    else:
        with h5py.File(buffer, "w") as f:
            f.attrs["format"] = FORMAT
            f.attrs["meta"] = json.dumps(
                {
                    "count": statistics.count,
                    "ddof": 1,
                    "extractor": statistics.extractor,
                    "content": statistics.content,
                    "source": source or {},
                }
            )
            arrays = {"mu": statistics.mean, "sigma": statistics.cov}
            if statistics.features is not None:
                arrays["features"] = statistics.features.values
                if statistics.features.probabilities is not None:
                    arrays["probabilities"] = statistics.features.probabilities
            for name, array in arrays.items():
                f.create_dataset(name, data=array, fletcher32=True)
    write_bytes(path, buffer.getvalue())


def load_statistics(path: str | os.PathLike) -> Statistics:
    """Read a file of either kind; InputError unless it holds a mean and a covariance."""
    path = Path(path)
    try:
        if zipfile.is_zipfile(path):
            with np.load(path, allow_pickle=False) as file:
                found = Statistics(file["mu"].astype(np.float64), file["sigma"].astype(np.float64))
        else:
            with h5py.File(path, "r") as f:
                if f.attrs.get("format") != FORMAT:
                    raise InputError(f"{path}: HDF5, but not a statistics file of this program ({FORMAT})")
                found = _read(f)
    except DAMAGE as e:
        raise InputError(f"{path} is not a readable statistics file ({e})") from e
    _check(path, found)
    return found


def _read(f: h5py.File) -> Statistics:
    meta = json.loads(f.attrs["meta"])
    features = None
    if "features" in f:
        features = Features(f["features"][()], f["probabilities"][()] if "probabilities" in f else None)
    mean, cov = (np.asarray(f[name][()], np.float64) for name in ("mu", "sigma"))
    extractor = dict(meta["extractor"])
    if missing := {"features", "dimensions", "digest"} - extractor.keys():
        raise ValueError(f"it does not give the {min(missing)} of its extractor")
    return Statistics(mean, cov, int(meta["count"]), extractor, meta["content"], features)


def _check(path: Path, found: Statistics) -> None:
    mean, cov = found.mean, found.cov
    if mean.ndim != 1 or len(mean) < 1 or cov.shape != (len(mean), len(mean)):
        raise InputError(f"{path}: mu {mean.shape} and sigma {cov.shape} are not a mean (D,) and a covariance (D, D)")
    if not (np.isfinite(mean).all() and np.isfinite(cov).all()):
        raise InputError(f"{path}: mu and sigma must be finite, these hold NaN or infinity")
    if (np.diag(cov) < 0).any() or not np.allclose(cov, cov.T, rtol=1e-4, atol=1e-6 * np.abs(cov).max()):
        raise InputError(f"{path}: sigma is not a covariance: it is not symmetric, or has a negative variance")
    if found.features is not None and found.features.values.shape != (found.count, len(mean)):
        raise InputError(f"{path}: its features do not fit its {found.count} images and mu {mean.shape}")
