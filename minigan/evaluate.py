"""The figures of a generator's samples against real images, as a training run logs them.

Of the real images, shuffled by a fixed seed because files are often sorted by class, as many as there are samples set
the floor, at most half of all, and up to `eval_reference` others are the reference. Distances fall with the number of
samples (by a bias ∝ 1/N), so they are taken of as many samples as set the floor, and compare with it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.config import Config
from minigan.data import Dataset, content_hash
from minigan.data.cache import cache_directory
from minigan.errors import InputError, NoSuchSplit
from minigan.metrics.cache import FeatureCache
from minigan.metrics.compare import Features, compare
from minigan.metrics.digits import CONFIDENT, classify, load_classifier
from minigan.metrics.features import Extractor, make_extractor

FOUND = 0.04  # least share of the samples for a class to count as there, of ten
KID_SUBSETS = 20  # during training; experiments.fid takes 100
LEAST = 6  # real images


@dataclass
class Evaluator:
    """What `Run` calls with uint8 samples, (N, H, W) or (N, H, W, 3), for a dict of plain numbers."""

    extractor: Extractor
    reference: Features  # of real images
    floor: float  # Fréchet distance of other real images to them: what a perfect generator reaches with as many samples
    compared: int  # how many set the floor, and how many samples are compared
    split: str  # "test", or "train" where there are no others
    class_shares: np.ndarray | None  # of the real images, where the extractor knows their classes

    @classmethod
    def of(cls, extractor: Extractor, data: Dataset, split: str, samples: int, reference: int) -> "Evaluator":
        """From real images; `samples` and `reference` are the most that are used of them."""
        if len(data) < LEAST:
            raise InputError(f"an evaluation needs at least {LEAST} real images, not {len(data)}")
        order = np.random.default_rng(0).permutation(len(data))
        compared = min(samples, len(data) // 2)
        chosen = np.sort(order[: compared + reference])  # sorted, as an HDF5 dataset wants them
        features = _kept(extractor, data.images[chosen])
        place = np.argsort(np.argsort(order[: compared + reference]))  # where each of them went
        others, real = (features[place[part]] for part in (slice(compared), slice(compared, None)))
        floor = compare(others, real, metrics=("frechet",))["frechet"]
        shares = None
        if extractor.name == "digits" and data.labels is not None and data.labels.max() < 10:
            shares = np.bincount(data.labels[chosen], minlength=10).clip(1) / len(chosen)  # 1: or the KL were infinite
        return cls(extractor, real, floor, compared, split, shares)

    def __call__(self, samples: np.ndarray) -> dict[str, Any]:
        """Distances of the first `compared` samples, and on labelled digits the classes of all.

        features          what the distance was measured in; its key is fid, digit_fid or random_fid
        floor             the same distance of real images: the best that can be expected
        kid, kid_std      kernel distance over 20 subsets; precision, recall, density, coverage: neighbours, k = 5
        samples, reference, reference_split   how many samples and real images, and which
        classes           how many of the ten hold at least 4 % of the samples; class_shares: the share of each
        class_kl          KL divergence of these shares from those of the real images, in nats
        confident         share of samples whose likeliest class has a probability above 0.95
        """
        features = self.extractor(samples)
        seen = features[: self.compared]
        figures = compare(seen, self.reference, kid_subsets=KID_SUBSETS)
        record: dict[str, Any] = {
            "features": self.extractor.name,
            self.extractor.key: figures.pop("frechet"),
            "floor": self.floor,
            **figures,
            "samples": len(seen),
            "reference": len(self.reference),
            "reference_split": self.split,
        }
        if self.class_shares is not None and features.probabilities is not None:
            shares = np.bincount(features.probabilities.argmax(axis=1), minlength=10) / len(features)
            record |= {
                "classes": int((shares >= FOUND).sum()),
                "class_shares": shares.tolist(),
                "class_kl": kullback_leibler(shares, self.class_shares),
                "confident": float((features.probabilities.max(axis=1) > CONFIDENT).mean()),
            }
        return record

    def describe(self) -> str:
        split = "test images" if self.split == "test" else "training images, for want of a hundred others"
        return (
            f"evaluated by {self.extractor.label} against {len(self.reference):,} {split}; "
            f"real against real with {self.compared:,}: {self.floor:.3g}"
        )


def _kept(extractor: Extractor, images: np.ndarray) -> Features:
    """The features of real images; Inception's, which take long, are kept on the disk for the next run."""
    if extractor.name != "inception":
        return extractor(images)
    cache, content = FeatureCache(cache_directory() / "features"), content_hash(images)
    features = cache.load(content, extractor.digest)
    if features is None:
        features = extractor(images)
        cache.save(content, extractor.digest, features)
    return features


def kullback_leibler(p: np.ndarray, q: np.ndarray) -> float:
    """KL(p ‖ q) = Σ p log(p/q) of two histograms, in nats; infinity where q lacks what p has."""
    there = p > 0
    with np.errstate(divide="ignore"):
        return float((p[there] * np.log(p[there] / q[there])).sum())


def make_evaluator(
    config: Config,
    data: Dataset,
    load_test: Callable[[], Dataset],
    device: str,
    features: str = "auto",
    weights: str | None = None,
    mode: str = "tf",
) -> Evaluator | None:
    """The evaluator of a run on `data`; None if there are no features to compare or too few images to compare with.

    `features`: auto takes inception where there are `weights`, digits where the test images are digits to the shipped
    classifier (clothes and kana are not), and random otherwise. Distances of different features do not compare.
    """
    if features == "none":
        return None
    test, split = data, "train"
    try:
        found = load_test()
        enough = len(found) >= min(100, len(data)) and found.images.shape[1:] == data.images.shape[1:]
        if enough and not np.array_equal(found.images[:1000], data.images[:1000]):  # a folder is all in one
            test, split = found, "test"
    except NoSuchSplit:
        pass
    if len(test) < LEAST:
        return None
    if features == "auto":
        features = "inception" if weights else "digits" if split == "test" and are_digits(test) else "random"
    if features == "inception" and not weights:
        raise InputError("--features inception needs --inception FILE, the weights of experiments.export_inception")
    extractor = make_extractor(features, weights=weights, mode=mode, device=device)
    return Evaluator.of(extractor, test, split, config.eval_samples, config.eval_reference)


def are_digits(data: Dataset) -> bool:
    """Whether the shipped classifier names at least half of some labelled 28 × 28 images as their labels do."""
    if data.images.shape[1:] != (28, 28) or data.labels is None:
        return False
    guesses = classify(load_classifier(), data.images[:1000])[1].argmax(axis=1)
    return bool((guesses == data.labels[:1000]).mean() >= 0.5)
