"""Classes: how the networks are told the label of an image.

A label enters as the one-hot row c of its class, float32 (B, K). So its embedding is the product E c, whose gradient is
the same bit for bit on every run, while rows gathered on a GPU add theirs up in any order; and a c between two classes
is an input like any other.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from autograd import Tensor
from autograd.random import RandomStream
from minigan.errors import InputError
from nn import Buffer, Linear, Module


class ClassInput(Module):
    """w + E c, (B, D): the class beside z in a generator. `shares` (K,) are those of the classes in the real images.

    E begins with numbers of N(0, 0.3²), small beside w. With N(0, 1) the class outweighed z, and digits of one class
    looked alike to the end of a run (docs/experiments.md).
    """

    def __init__(self, classes: int, features: int, *, rng: RandomStream):
        self.embedding = Linear(classes, features, bias=False, gain=0.3 * classes**0.5, rng=rng)
        self.shares = Buffer(np.full(classes, 1 / classes, np.float32))

    def forward(self, w: Tensor, c: Tensor) -> Tensor:
        return w + self.embedding(c)


class ClassProjection(Module):
    """⟨E c, h⟩, (B,): what the class adds to a discriminator's logit, by the features h (B, D) that its head sees.

    The projection discriminator (Miyato & Koyama, 1802.05637). Spectral norm holds for E as for every other map.
    """

    def __init__(self, classes: int, features: int, *, norm: str | None, rng: RandomStream):
        gain = (classes / features) ** 0.5  # each E of N(0, 1/D), as the weight of the head
        self.embedding = Linear(classes, features, bias=False, gain=gain, norm=norm, rng=rng)

    def forward(self, h: Tensor, c: Tensor) -> Tensor:
        return (self.embedding(c) * h).sum(axis=-1)


def with_class(layer: ClassInput | None, w: Tensor, c: Tensor | None) -> Tensor:
    """w (B, D) of a generator, with its class c (B, K) where the generator has classes.

    ValueError if only one of both has them.
    """
    _check(layer, c)
    return w if layer is None or c is None else layer(w, c)


def with_projection(layer: ClassProjection | None, logit: Tensor, h: Tensor, c: Tensor | None) -> Tensor:
    """The logits (B,) of a discriminator, with what their classes add; ValueError as in `with_class`."""
    _check(layer, c)
    return logit if layer is None or c is None else logit + layer(h, c)


def _check(layer: Module | None, c: Tensor | None) -> None:
    if (layer is None) != (c is None):
        raise ValueError(
            "this network was built without classes: leave c out" if layer is None else "give the classes c, (B, K)"
        )


def one_hot(labels: Any, classes: int) -> np.ndarray:
    """Labels (n,) in 0 … K − 1 -> float32 (n, K), on the host."""
    return np.eye(classes, dtype=np.float32)[np.asarray(labels)]


def class_shares(labels: np.ndarray, classes: int) -> np.ndarray:
    """The share of each class among the labels, float32 (K,); InputError if labels and classes do not fit."""
    if labels.size == 0 or labels.min() < 0 or labels.max() >= classes:
        raise InputError(f"labels must lie in 0 … {classes - 1}")
    return (np.bincount(labels, minlength=classes) / len(labels)).astype(np.float32)


def draw_labels(shares: np.ndarray, numbers: Iterable[int], rng: RandomStream) -> np.ndarray:
    """The labels (n,) of the images with these numbers, drawn by the shares; each depends on its number alone."""
    drawn = []
    for number in numbers:
        rng.used = number  # one number takes at most one block of the stream
        drawn.append(rng.uniform(0, 1, 1, dtype="float64")[0])
    return classes_at(shares, np.array(drawn))


def classes_at(shares: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The classes (n,) at places (n,) in [0, 1), where each of K classes takes its share (K,), in their order."""
    ends = np.cumsum(shares, dtype=np.float64)
    return np.searchsorted(ends / ends[-1], at, side="right").clip(0, len(shares) - 1)
