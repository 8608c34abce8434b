"""The one check of feature vectors that all metrics share."""

import numpy as np

from autograd.arrays import to_host
from minigan.errors import InputError


def feature_array(features, dtype=None) -> np.ndarray:
    """An array (N, D) of finite numbers, brought to the host and to `dtype` if it is given; InputError for others."""
    x = np.asarray(to_host(features), dtype)
    if x.ndim != 2 or x.shape[1] < 1:
        raise InputError(f"features must have shape (N, D), not {x.shape}")
    if not np.isfinite(x).all():
        raise InputError("features must be finite, these hold NaN or infinity")
    return x


def feature_pair(fake, real, dtype=None) -> tuple[np.ndarray, np.ndarray]:
    """Two such arrays, (M, D) and (N, D), of at least two vectors each."""
    fake, real = feature_array(fake, dtype), feature_array(real, dtype)
    if fake.shape[1] != real.shape[1]:
        raise InputError(f"features of {fake.shape[1]} numbers cannot be compared with features of {real.shape[1]}")
    if min(len(fake), len(real)) < 2:
        raise InputError(f"sets of images are compared from 2 images on, not {len(fake)} and {len(real)}")
    return fake, real
