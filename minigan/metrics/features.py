"""Feature vectors, and the checks that every metric makes of them."""

from dataclasses import dataclass

import h5py
import numpy as np

from autograd.arrays import to_host
from minigan.errors import InputError
from minigan.hdf5 import Writer, read_array


@dataclass
class Features:
    """The features of N images, as arrays on the host; InputError unless the arrays fit together.

    values: (N, D) float32, finite, one vector per image. probabilities: (N, K) float32, those of the classes, if the
    extractor is a classifier.
    """

    values: np.ndarray
    probabilities: np.ndarray | None = None

    def __post_init__(self) -> None:
        self.values = feature_array(self.values, np.float32)
        if self.probabilities is not None:
            self.probabilities = np.asarray(self.probabilities, np.float32)
            if self.probabilities.ndim != 2 or len(self.probabilities) != len(self.values):
                n, shape = len(self.values), self.probabilities.shape
                raise InputError(f"{n} feature vectors need class probabilities of shape ({n}, K), not {shape}")

    def write(self, file: Writer) -> None:
        """Add them to a new HDF5 file."""
        file.array("features", self.values)
        if self.probabilities is not None:
            file.array("probabilities", self.probabilities)

    @classmethod
    def read(cls, f: h5py.File) -> "Features":
        """The features in such a file."""
        return cls(read_array(f, "features"), read_array(f, "probabilities") if "probabilities" in f else None)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: slice | np.ndarray) -> "Features":
        """The features of some of the images."""
        probabilities = None if self.probabilities is None else self.probabilities[index]
        return Features(self.values[index], probabilities)


def feature_array(features, dtype=None) -> np.ndarray:
    """`features` on the host, as `dtype` if it is given; InputError unless they are finite numbers (N, D)."""
    x = np.asarray(to_host(features), dtype)
    if x.ndim != 2 or x.shape[1] < 1:
        raise InputError(f"features must have shape (N, D), not {x.shape}")
    if not np.isfinite(x).all():
        raise InputError("features must be finite, these hold NaN or infinity")
    return x


def feature_pair(fake, real, dtype=None) -> tuple[np.ndarray, np.ndarray]:
    """Two such arrays on the host; InputError unless they are (M, D) and (N, D), of at least two vectors each."""
    fake, real = feature_array(fake, dtype), feature_array(real, dtype)
    if fake.shape[1] != real.shape[1]:
        raise InputError(f"features of {fake.shape[1]} numbers cannot be compared with features of {real.shape[1]}")
    if min(len(fake), len(real)) < 2:
        raise InputError(f"each set needs at least 2 images, not {len(fake)} and {len(real)}")
    return fake, real
