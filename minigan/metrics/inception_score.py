"""The Inception score."""

import numpy as np

from minigan.errors import InputError

SPLITS = 10


def inception_score(probabilities, *, splits: int = SPLITS, seed: int = 0) -> tuple[float, float]:
    """exp( E_x KL( p(y|x) ‖ p(y) ) ) of class probabilities (N, K), in float64: (mean, std) over `splits`.

    Salimans et al. (2016), arXiv 1606.03498. The score lies between 1 (every image gets the same p(y|x)) and K (every
    image has one sure class, and all classes are equally frequent). As in the paper, the images are cut into 10 parts,
    p(y) is the mean within a part, and the std is the population std of the parts' scores. `seed` shuffles the images
    first, because parts of images sorted by class would hold few classes. Scores compare only at equal N, splits and
    classifiers. InputError unless the rows are probabilities, and at least as many as the splits.
    """
    p = np.asarray(probabilities, np.float64)
    if p.ndim != 2 or p.shape[1] < 1 or not np.isfinite(p).all() or (p < 0).any():
        raise InputError(f"class probabilities must be an array (N, K) of numbers that are not negative, not {p.shape}")
    if len(p) < splits:
        raise InputError(f"an Inception score over {splits} parts needs at least {splits} images, not {len(p)}")
    total = p.sum(axis=1, keepdims=True)
    if np.abs(total - 1).max() > 1e-3:
        raise InputError("the class probabilities of an image must add up to 1: are these logits?")
    p = np.random.default_rng(seed).permutation(p / total)
    scores = [np.exp(_divergence(part).mean()) for part in np.array_split(p, splits)]
    return float(np.mean(scores)), float(np.std(scores))


def _divergence(p: np.ndarray) -> np.ndarray:
    """KL( p(y|x) ‖ p(y) ) of each row of p (n, K), where p(y) is the mean of the rows; 0 log 0 = 0."""
    marginal = p.mean(axis=0, keepdims=True)
    ratio = np.divide(p, marginal, out=np.ones_like(p), where=p > 0)
    return (p * np.log(ratio)).sum(axis=1)
