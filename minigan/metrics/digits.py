"""The digit classifier: a small network of our own, shipped with its weights.

digit-FID is the Fréchet distance between real and generated images in the 64 features of this classifier. It is **not**
the Inception FID: it has a scale of its own, and compares only with digit-FIDs of the same weights and numbers of
images. The classifier has learned drawn pen-stroke digits and MNIST's training images (see `experiments.train_digits`).
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from autograd import Tensor, no_grad, ops
from autograd.arrays import array_module, to_host
from autograd.random import RandomStream
from minigan import checkpoint
from minigan.errors import InputError
from nn import Conv2d, Linear, Module

WEIGHTS = Path(__file__).with_name("digits.h5")
ARCHITECTURE = "conv5 16, max-pool, conv5 32, max-pool, linear 64, linear 10; ReLU; 28x28 grey in [-1, 1]"
CONFIDENT = 0.95  # a sample counts as a digit if the probability of its likeliest class is above this


class DigitClassifier(Module):
    """A LeNet (LeCun et al., 1998) for grey images (N, 1, 28, 28) in [−1, 1] → logits (N, 10)."""

    def __init__(self, *, rng: RandomStream | None = None):
        self.conv1 = Conv2d(1, 16, 5, rng=rng)
        self.conv2 = Conv2d(16, 32, 5, rng=rng)
        self.hidden = Linear(32 * 4 * 4, 64, gain=1.4, rng=rng)
        self.head = Linear(64, 10, rng=rng)

    def features(self, x: Tensor) -> Tensor:
        """(N, 1, 28, 28) → the features (N, 64) ≥ 0 that digit-FID compares; InputError for images of other shapes."""
        if x.shape[1:] != (1, 28, 28):
            raise InputError(f"the digit classifier takes grey images of 28x28 pixels, (N, 1, 28, 28), not {x.shape}")
        x = ops.relu(ops.max_pool2d(self.conv1(x), 2))  # (N, 16, 12, 12)
        x = ops.relu(ops.max_pool2d(self.conv2(x), 2))  # (N, 32, 4, 4)
        return ops.relu(self.hidden(x.reshape(len(x), -1)))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


def save_classifier(path: str | Path, classifier: DigitClassifier, **made: Any) -> None:
    """Write the weights to an HDF5 file, with JSON-able facts about how they were made; equal runs give equal files."""
    state = classifier.state_dict()
    meta = {"architecture": ARCHITECTURE, "sha256": _digest(state), **made}
    checkpoint.save(Path(path), {"digit_classifier": state}, meta)


def load_classifier(path: str | Path = WEIGHTS) -> DigitClassifier:
    """The shipped classifier, or one in another file of `save_classifier`, on the host; InputError for other files."""
    arrays, meta = checkpoint.load(Path(path))
    classifier = DigitClassifier()
    state = arrays.get("digit_classifier")
    if state is None or meta.get("architecture") != ARCHITECTURE:
        raise InputError(f"{path}: a checkpoint, but not of the digit classifier ({ARCHITECTURE})")
    try:
        classifier.load_state_dict(state)
    except ValueError as e:
        raise InputError(f"{path}: {e}") from e
    if _digest(classifier.state_dict()) != meta.get("sha256"):
        raise InputError(f"{path}: the weights have changed since they were saved (their SHA-256 differs)")
    return classifier


def _digest(state: dict[str, np.ndarray]) -> str:
    return hashlib.sha256(b"".join(state[name].astype("<f4").tobytes() for name in sorted(state))).hexdigest()


def classify(classifier: DigitClassifier, images: np.ndarray, batch: int = 250) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, 64) and class probabilities (N, 10), float64, of images uint8 (N, 28, 28), on the host.

    The classifier runs on its own device, in batches, without recording a tape. InputError for other images.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (28, 28):
        raise InputError(f"digit metrics take uint8 images of 28x28 grey pixels, not {images.dtype} {images.shape}")
    xp = array_module(classifier.head.weight.data)
    features, probabilities = [np.zeros((0, 64))], [np.zeros((0, 10))]
    with no_grad():
        for i in range(0, len(images), batch):
            x = xp.asarray(images[i : i + batch, None]).astype("float32") * (2 / 255) - 1
            h = classifier.features(Tensor(x))
            features.append(to_host(h.data))
            probabilities.append(to_host(ops.softmax(classifier.head(h)).data))
    return np.concatenate(features), np.concatenate(probabilities)
