"""What the tests of experiments.fid share: two sets of drawn digits, an extractor that counts, and the command."""

import sys

import numpy as np
import pytest

from experiments import fid
from experiments.cli import run_main
from minigan.data import stroke_digits
from minigan.metrics.extractors import Extractor

SEED = 10**12
DIGITS, _ = stroke_digits(240, SEED)
FAKE, REAL = DIGITS[:120], DIGITS[120:]
ALL = ("frechet", "frechet_infinity", "kid", "prdc", "inception_score")


class Counting(Extractor):
    """The corner pixels of images, and three classes by their brightness; it remembers what went through it."""

    name, label, key, dimensions, digest, batch = "corners", "corner-FID", "corner_fid", 4, "c" * 64, 32
    describe = {"features": "corners", "dimensions": 4}

    def __init__(self):
        self.seen: list[bytes] = []

    def extract(self, images):
        self.seen += [image.tobytes() for image in images]
        grey = [image if image.ndim == 2 else image.mean(axis=2) for image in images]
        values = np.array([[x[13, 13], x[13, 14], x[14, 13], x.mean()] for x in grey], np.float32) / 255
        p = np.stack([values[:, 3], values[:, 0] / 2, 2 - values[:, 3] - values[:, 0] / 2], axis=1)
        return values, p / 2


def run(*arguments, capsys):
    """(status, stdout, stderr) of the command."""
    with pytest.raises(SystemExit) as exit, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["fid", "--device", "cpu", *map(str, arguments)])
        run_main(fid.main)
    printed = capsys.readouterr()
    return exit.value.code, printed.out, printed.err
