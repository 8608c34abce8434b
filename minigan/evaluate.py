"""The figures of a generator's samples against real images, as a training run logs them.

The real images are shuffled by a fixed seed, because files are often sorted by class. They fall into two parts: as many
as there are samples to compare, but at most half, and up to `eval_reference` others, the reference. The samples are
compared with the reference. The floor is the distance of real images in their place, the best that a generator can be
expected to reach. One such split is a matter of luck, so the floor is the mean over many. A Fréchet distance has a bias
of about 1/N, so samples and floor use the same N.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigan.config import Config
from minigan.data import Dataset, content_hash
from minigan.data.cache import cache_directory
from minigan.errors import InputError, NoSuchSplit
from minigan.log import BRIGHT, FAINT, few_images
from minigan.metrics.cache import FeatureCache
from minigan.metrics.compute import compute_metrics
from minigan.metrics.digits import CONFIDENT, classify, load_classifier
from minigan.metrics.extractors import Extractor, make_extractor
from minigan.metrics.features import Features
from minigan.metrics.frechet import frechet_floor
from minigan.metrics.statistics import Statistics
from minigan.numbers import deviation, number
from minigan.ranks import One

FOUND = 0.04  # a class counts as found if it has at least this share of the samples; there are ten classes
KID_SUBSETS = 20  # during training; experiments.fid takes 100
LEAST = 6  # real images that an evaluation needs


@dataclass
class Evaluator:
    """Call it with uint8 samples, (N, H, W) or (N, H, W, 3), to get a dict of plain numbers.

    The ranks of a run make one together, and call it together: they share the extraction of features.
    """

    extractor: Extractor
    reference: Statistics  # of real images
    floor: float  # Fréchet distance to be expected from `compared` other real images
    floor_std: float  # by how much that distance varies
    compared: int  # number of samples that are compared
    split: str  # of the real images: "test", or "train" where there are no test images
    class_shares: np.ndarray | None  # (10,), of the real images, if the extractor knows their classes
    tones: dict[str, float]  # of the real images
    why: str = ""  # why they are training images

    @classmethod
    def of(cls, extractor: Extractor, data: Dataset, split: str, samples: int, reference: int) -> "Evaluator":
        """Compare at most `samples` images with at most `reference` real ones; as many others are only for the floor.

        InputError if there are fewer than six real images.
        """
        if len(data) < LEAST:
            raise InputError(f"an evaluation needs at least {LEAST} real images, not {len(data)}")
        compared = min(samples, len(data) // 2)
        chosen = np.random.default_rng(0).permutation(len(data))[: compared + reference]
        features = _extract_or_load(extractor, data.images[chosen])
        real = Statistics.of(features[compared:])
        floor, spread = extractor.world.first_alone(lambda: frechet_floor(features.values, compared))
        shares = None
        if extractor.name == "digits" and data.labels is not None and data.labels.max() < 10:
            counts = np.bincount(data.labels[chosen], minlength=10)
            shares = counts.clip(1) / len(chosen)  # at least 1, to keep the KL divergence finite
        tones = tone_shares(data.images[chosen])
        return cls(extractor, real, floor, spread, compared, split, shares, tones)

    def __call__(self, samples: np.ndarray, labels: np.ndarray | None = None) -> dict[str, Any]:
        """Distances of the first `compared` samples; for labelled digits also the classes of all samples.

        features          the extractor; it names the key of the Fréchet distance: fid, digit_fid or random_fid
        floor, floor_std  the same distance of other real images, over random splits: the best to be expected
        kid, kid_std      kernel distance over 20 subsets
        precision, recall, density, coverage   by the balls of the 5th neighbours
        faint, bright     shares of pixel values from 1 to 19, and above 250; real_… of the real images
        samples, reference, reference_split   numbers of samples and real images, and the split of the real images
        classes           how many of the ten classes hold at least 4 % of the samples
        class_shares      the share of each class
        class_kl          KL divergence of these shares from those of the real images, in nats
        confident         share of the samples whose likeliest class has a probability above 0.95

        With labels (N,), the classes that the samples were asked to be of, also
        label_accuracy    the share of samples of which the likeliest class is the label
        class_accuracy    the same share for each class; None for a class that no sample was asked to be of
        """
        features = self.extractor(samples)
        return self.extractor.world.first_alone(lambda: self.figures(samples, features, labels))

    def figures(self, samples: np.ndarray, features: Features, labels: np.ndarray | None = None) -> dict[str, Any]:
        """The same by one rank, from the features of all samples."""
        seen = features[: self.compared]
        figures, _ = compute_metrics(Statistics.of(seen), self.reference, kid_subsets=KID_SUBSETS)
        record: dict[str, Any] = {
            "features": self.extractor.name,
            self.extractor.key: figures.pop("frechet"),
            "floor": self.floor,
            "floor_std": self.floor_std,
            **figures,
            "samples": len(seen),
            "reference": self.reference.count,
            "reference_split": self.split,
            **tone_shares(samples),
            **{f"real_{name}": share for name, share in self.tones.items()},
        }
        if self.class_shares is not None and features.probabilities is not None:
            shares = np.bincount(features.probabilities.argmax(axis=1), minlength=10) / len(features)
            record |= {
                "classes": int((shares >= FOUND).sum()),
                "class_shares": shares.tolist(),
                "class_kl": kullback_leibler(shares, self.class_shares),
                "confident": float((features.probabilities.max(axis=1) > CONFIDENT).mean()),
            }
            if labels is not None:
                record |= label_accuracy(features.probabilities.argmax(axis=1), labels)
        return record

    def describe(self) -> str:
        """What is compared with what, in one line for the terminal."""
        split = "test images" if self.split == "test" else "training images" + (self.why and f", as {self.why}")
        least = min(self.compared, self.reference.count or self.compared)
        few = f"; {warning}" if (warning := few_images(least)) else ""
        return (
            f"evaluated by {self.extractor.label} against {self.reference.count:,} {split}; "
            f"real against real with {self.compared:,}: {number(self.floor)}{deviation(self.floor_std)}{few}"
        )


def _extract_or_load(extractor: Extractor, images: np.ndarray) -> Features:
    """The features of real images. Those of Inception take long, so the disk keeps them for the next run."""
    if extractor.name != "inception":
        return extractor(images)
    place, content, world = cache_directory() if extractor.world.first else None, content_hash(images), extractor.world
    try:
        cache = None if place is None else FeatureCache(place / "features")
    except InputError:  # nothing may be written there
        cache = None
    features = world.same(None if cache is None else cache.load(content, extractor.digest))
    if features is None:
        features = extractor(images)
        if cache is not None:
            with contextlib.suppress(InputError):  # a full disk: the next run extracts them again
                cache.save(content, extractor.digest, features)
    return features


def tone_shares(images: np.ndarray) -> dict[str, float]:
    """The shares of pixel values, uint8 of any shape, that are nearly black but not black, and nearly white or white.

    A generator whose output cannot reach black and white leaves a haze and grey strokes, which no feature names.
    """
    return {
        "faint": float(((images > 0) & (images < FAINT)).mean()),
        "bright": float((images > BRIGHT).mean()),
    }


def label_accuracy(found: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """How often the class that was found (N,) is the label (N,): over all samples, and for each of ten classes."""
    right = found == labels
    each = [float(right[labels == k].mean()) if (labels == k).any() else None for k in range(10)]
    return {"label_accuracy": float(right.mean()), "class_accuracy": each}


def kullback_leibler(p: np.ndarray, q: np.ndarray) -> float:
    """KL(p ‖ q) = Σ p log(p/q) of two histograms (K,), in nats; infinity if q is 0 where p is not."""
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
    world: One | None = None,
) -> Evaluator | None:
    """The evaluator of a run on `data`; None if `features` is "none" or there are too few images to compare with.

    "auto" takes inception if there are `weights`, digits if the shipped classifier recognises the test images (not
    clothes or kana), and random otherwise. Distances of different features do not compare. InputError for "inception"
    without weights, and as from `make_extractor`.
    """
    if features == "none":
        return None
    test, why = choose_reference(data, load_test)
    split = "train" if why else "test"
    if len(test) < LEAST:
        return None
    if features == "auto":
        if weights:
            features = "inception"
        elif split == "test" and are_digits(test):
            features = "digits"
        else:
            features = "random"
    if features == "inception" and not weights:
        raise InputError("--features inception needs --inception FILE, the weights of experiments.export_inception")
    extractor = make_extractor(features, weights=weights, mode=mode, device=device)
    extractor.world = world or One()
    evaluator = Evaluator.of(extractor, test, split, config.eval_samples, config.eval_reference)
    evaluator.why = why
    return evaluator


def choose_reference(data: Dataset, load_test: Callable[[], Dataset]) -> tuple[Dataset, str]:
    """The test images and ""; or the training images `data`, and in words why there are no test images to take."""
    try:
        test = load_test()
    except NoSuchSplit:
        return data, "there are no test images"
    if test.images.shape[1:] != data.images.shape[1:]:
        return data, "the test images have another size"
    if len(test) < min(100, len(data)):
        return data, f"there are only {len(test):,} test images"
    if np.array_equal(test.images[:1000], data.images[:1000]):  # as of a folder
        return data, "the data are not split"
    return test, ""


def are_digits(data: Dataset) -> bool:
    """Whether the images are labelled, 28 × 28, and the shipped classifier agrees with at least half of the labels."""
    if data.images.shape[1:] != (28, 28) or data.labels is None:
        return False
    guesses = classify(load_classifier(), data.images[:1000])[1].argmax(axis=1)
    return bool((guesses == data.labels[:1000]).mean() >= 0.5)
