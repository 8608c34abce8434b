"""What the tests of a run's pictures share: images, and the records of a log."""

import numpy as np
from PIL import Image


def noise(*shape, seed=0):
    """Images without a black pixel: black belongs to the gaps."""
    return np.random.default_rng(seed).integers(1, 256, shape, dtype=np.uint8)


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def train_records(steps):
    rng = np.random.default_rng(1)
    keys = ("loss_d", "loss_g", "d_real", "d_fake", "penalty")
    return [
        {"kind": "train", "step": step, "images": 32 * step, "seconds": 0.5 * step, "images_per_second": 64.0}
        | {key: float(rng.normal()) for key in keys}
        for step in range(1, steps + 1)
    ]


EVALUATION = {
    "kind": "eval",
    "step": 40,
    "digit_fid": 186.0,
    "floor": 9.3,
    "floor_std": 0.77,
    "classes": 9,
    "confident": 0.87,
    "class_shares": [0.0, 0.2, *[0.1] * 8],
    "class_kl": 0.0223,
    "bright": 0.0519,
    "faint": 0.0157,
    "real_bright": 0.0653,
    "real_faint": 0.0101,
    "samples": 1000,
    "reference": 7500,
    "reference_split": "test",
    "features": "digits",
    "kid": 0.0123,
    "kid_std": 0.0045,
    "precision": 0.61,
    "recall": 0.42,
    "density": 0.71,
    "coverage": 0.52,
}
