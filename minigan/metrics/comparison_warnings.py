"""Reasons to distrust the figures of a comparison, in sentences."""

from minigan.log import FEW, FEW_NEIGHBOURS
from minigan.metrics.digits import CONFIDENT
from minigan.metrics.extractors import Extractor
from minigan.metrics.image_set import ImageSet
from minigan.metrics.inception_score import SPLITS
from minigan.metrics.kid import SUBSET_SIZE

PUBLISHED = 10_000  # images: the least that publications use


def comparison_warnings(
    a: ImageSet, b: ImageSet, extractor: Extractor | None, values: dict[str, float], num: int | None, k: int
) -> list[str]:
    """The warnings about the `values` of set A, the generated images, compared with set B, the real images.

    `num` images of each set were asked for; `k` is the number of neighbours.
    """
    sets = {"A": a, "B": b}
    found = _about_counts(sets, values, num, k)
    for letter, images in sets.items():
        found += [f"{letter}: {sentence}" for sentence in images.warnings + _about_set(images, extractor)]
    found += _about_both(a, b)
    if extractor is not None:
        found += extractor.warnings
    return found


def _about_counts(sets: dict[str, ImageSet], values: dict[str, float], num: int | None, k: int) -> list[str]:
    counts = {letter: images.statistics.count for letter, images in sets.items()}
    known = {letter: n for letter, n in counts.items() if n is not None}
    dimensions = len(sets["A"].statistics.mean)
    found = []

    def below(limit: int) -> str:
        return " and ".join(f"{letter} {n:,}" for letter, n in known.items() if n < limit)

    least = min(known.values(), default=PUBLISHED)
    if least <= dimensions:
        found.append(
            f"no more images ({below(dimensions + 1)}) than features ({dimensions:,}): the covariance is rank-deficient"
            " and the Fréchet distance is much too large"
        )
    elif least < FEW:
        found.append(f"few images ({below(FEW)}): the Fréchet distance is too large, by a bias of about 1/N")
    elif least < PUBLISHED:
        found.append(f"fewer than 10,000 images ({below(PUBLISHED)}): the bias of about 1/N is not small yet")
    if len(set(known.values())) > 1:
        found.append("unequal numbers of images: compare only with distances of the same two numbers")
    for letter, n in known.items():
        if num is not None and sets[letter].loader is not None and n < num:
            found.append(f"{letter} has {n:,} of the {num:,} images asked for")
    if "kid" in values and least < SUBSET_SIZE:
        spread = ": its ± says little" if values.get("kid_std") else ", so it has no ±"
        found.append(f"KID uses subsets of {least:,} images, not {SUBSET_SIZE:,}{spread}")
    if "inception_score" in values and known.get("A", FEW) < FEW:
        found.append(f"the Inception score uses parts of {known['A'] // SPLITS:,} images, which makes it too low")
    if "precision" in values and least <= k:
        found.append(f"precision, recall, density and coverage use k = {least - 1}: there are only {least} images")
    elif "precision" in values and least < FEW_NEIGHBOURS:
        found.append(
            f"few images ({below(FEW_NEIGHBOURS)}) lie far apart, so precision and density can be high for images that "
            "are not like them: compare only with those of as many images"
        )
    if "frechet_infinity" in values and known.get("A", 0) < 10 * dimensions:
        found.append(
            f"distance at infinity: below {10 * dimensions:,} generated images the line in 1/N does not hold well"
        )
    return found


def _about_set(images: ImageSet, extractor: Extractor | None) -> list[str]:
    loader = images.loader
    if loader is None:
        if images.statistics.extractor is None:
            return ["the file does not name its network, resize mode and images: make sure that they are the same"]
        return []
    found = loader.warnings()
    if loader.facts.get("checkpoint") == "best.h5":
        found.append("best.h5 was chosen by such a distance during training, which makes the distance a little too low")
    if extractor is not None and extractor.name != "digits" and any(len(shape) == 2 for shape in loader.shapes):
        found.append("grey images, repeated to three channels")
    repeated = len(loader.hashes) - len(set(loader.hashes))
    if repeated:
        found.append(f"{repeated:,} images occur more than once")
    features = images.statistics.features
    if extractor is not None and extractor.name == "digits" and features is not None:
        if features.probabilities is not None:
            share = float((features.probabilities.max(axis=1) > CONFIDENT).mean())
            if share < 0.5:
                found.append(f"the classifier is sure of {share:.0%} of these images: are they digits?")
    return found


def _about_both(a: ImageSet, b: ImageSet) -> list[str]:
    if a.loader is None or b.loader is None:
        if a.statistics.content is not None and a.statistics.content == b.statistics.content:
            return ["A and B are the same images"]
        return []
    found = []
    shared = len(set(a.loader.hashes) & set(b.loader.hashes))
    if shared:
        found.append(f"A and B share {shared:,} images, equal in every pixel")
    sizes_a, sizes_b = ({shape[:2] for shape in loader.shapes} for loader in (a.loader, b.loader))
    if len(sizes_a) == len(sizes_b) == 1 and sizes_a != sizes_b:
        ((h0, w0),), ((h1, w1),) = sizes_a, sizes_b
        found.append(f"A is {w0}×{h0} and B {w1}×{h1}: they are resized differently, which changes every number")
    return found
