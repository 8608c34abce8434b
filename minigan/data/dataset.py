"""The form in which all images reach the experiments."""

import hashlib
from dataclasses import dataclass

import numpy as np

from minigan.data.stored import StoredImages
from minigan.errors import InputError


@dataclass
class Dataset:
    """N images of one size with their labels, if there are any.

    images: uint8 (N, H, W) grey or (N, H, W, 3) RGB. labels: int64 (N,), 0 … classes − 1.
    """

    images: np.ndarray | StoredImages
    labels: np.ndarray | None
    name: str
    classes: int | None  # None without labels
    digest: str | None = None  # changes with the images; None if it is not known without reading them all
    skipped: int = 0  # unreadable pictures that were left out
    class_names: list[str] | None = None  # None where the classes have numbers alone

    def __len__(self) -> int:
        return len(self.images)


def check_split(split: str) -> None:
    """InputError unless it is a split that the data have: "train" or "test"."""
    if split not in ("train", "test"):
        raise InputError(f"the split is train or test, not {split}")


def content_hash(images: np.ndarray) -> str:
    """SHA-256, in hex, of the shape and the bytes of an array (N, …)."""
    digest = hashlib.sha256(repr(tuple(images.shape)).encode())
    for i in range(0, len(images), 4096):
        digest.update(np.ascontiguousarray(images[i : i + 4096]).tobytes())
    return digest.hexdigest()
