"""All metrics of two sets of images, from features that were extracted once."""

from collections.abc import Sequence

from minigan.errors import InputError
from minigan.metrics.frechet import LEAST_FAKES, frechet_distance, frechet_infinity
from minigan.metrics.inception_score import SPLITS, inception_score
from minigan.metrics.kid import SUBSETS, kid
from minigan.metrics.neighbours import prdc
from minigan.metrics.statistics import Statistics

METRICS = ("frechet", "frechet_infinity", "kid", "prdc", "inception_score")


def check_metrics(metrics: Sequence[str]) -> None:
    """InputError if one of the names is no metric, and for one name that stands in no list."""
    if isinstance(metrics, str):
        raise InputError(f"metrics are a list of names, such as [{metrics!r}]")
    if unknown := sorted(set(metrics) - set(METRICS)):
        raise InputError(f"unknown metric {unknown[0]!r}: use some of {', '.join(METRICS)}")


def compute_metrics(
    fake: Statistics,
    real: Statistics,
    *,
    metrics: Sequence[str] = ("frechet", "kid", "prdc"),
    k: int = 5,
    seed: int = 0,
    kid_subsets: int = SUBSETS,
    progress: bool = False,
) -> tuple[dict[str, float], dict[str, str]]:
    """The values of the `metrics`, some of `METRICS`, as Python numbers; and for each one left out the reason.

    frechet            "frechet": `frechet_distance` of all images
    frechet_infinity   "frechet_infinity", "frechet_infinity_std": of infinitely many fakes, and its standard error
    kid                "kid", "kid_std"
    prdc               "precision", "recall", "density", "coverage", by the balls of the `k`-th neighbours
    inception_score    "inception_score", "inception_score_std", of the fakes alone

    frechet needs only means and covariances, the others need features too. `seed` fixes every random choice. `progress`
    shows bars on stderr for the slow steps. InputError for other names, and for features of different lengths.
    """
    check_metrics(metrics)
    values: dict[str, float] = {}
    left_out: dict[str, str] = {}
    if "frechet" in metrics:
        values["frechet"] = frechet_distance(fake.mean, fake.cov, real.mean, real.cov)
    if "frechet_infinity" in metrics:
        if fake.features is None:
            left_out["frechet_infinity"] = _without_features(fake=fake)
        elif len(fake.features) < LEAST_FAKES:
            left_out["frechet_infinity"] = f"it needs {LEAST_FAKES} images"
        else:
            value, error = frechet_infinity(fake.features.values, real.mean, real.cov, seed=seed, progress=progress)
            values |= {"frechet_infinity": value, "frechet_infinity_std": error}
    if fake.features is None or real.features is None:
        left_out |= {name: _without_features(fake=fake, real=real) for name in ("kid", "prdc") if name in metrics}
    else:
        x, y = fake.features.values, real.features.values
        if "kid" in metrics:
            mean, std = kid(x, y, subsets=kid_subsets, seed=seed, progress=progress)
            values |= {"kid": mean, "kid_std": std}
        if "prdc" in metrics:
            values |= prdc(x, y, k=k, progress=progress)
    if "inception_score" in metrics:
        if fake.features is None:
            left_out["inception_score"] = _without_features(fake=fake)
        elif fake.features.probabilities is None:
            left_out["inception_score"] = "these features come without class probabilities"
        elif len(fake.features) < SPLITS:
            left_out["inception_score"] = f"it needs {SPLITS} images"
        else:
            mean, std = inception_score(fake.features.probabilities, seed=seed)
            values |= {"inception_score": mean, "inception_score_std": std}
    return values, left_out


def _without_features(*, fake: Statistics, real: Statistics | None = None) -> str:
    sets = {"A": fake, "B": real}
    without = [letter for letter, statistics in sets.items() if statistics is not None and statistics.features is None]
    files = "is a statistics file" if len(without) == 1 else "are statistics files"
    return f"{' and '.join(without)} {files} without features"
