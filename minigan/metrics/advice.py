"""What a person should know before believing a comparison, in sentences."""

from minigan.metrics.digits import CONFIDENT
from minigan.metrics.features import Extractor
from minigan.metrics.kid import SUBSET_SIZE
from minigan.metrics.score import SPLITS
from minigan.metrics.sides import Side

FEW, PUBLISHED = 2048, 10_000  # images: features of Inception, and what published distances take at least


def advice(
    a: Side, b: Side, extractor: Extractor | None, values: dict[str, float], num: int | None, k: int
) -> list[str]:
    """The warnings of a comparison of A, the generated images, with B, the real ones, and of its `values`."""
    sides = {"A": a, "B": b}
    found = _of_counts(sides, values, num, k)
    for letter, side in sides.items():
        found += [f"{letter}: {sentence}" for sentence in side.warnings + _of_side(side, extractor)]
    return found + _of_both(a, b) + list(extractor.warnings if extractor else ())


def _of_counts(sides: dict[str, Side], values: dict[str, float], num: int | None, k: int) -> list[str]:
    counts = {letter: side.statistics.count for letter, side in sides.items() if side.statistics.count is not None}
    dimensions = len(sides["A"].statistics.mean)
    found = []

    def where(limit: int) -> str:
        return " and ".join(f"{letter} {n:,}" for letter, n in counts.items() if n < limit)

    least = min(counts.values(), default=PUBLISHED)
    if least <= dimensions:
        found.append(
            f"no more images ({where(dimensions + 1)}) than features ({dimensions:,}): the covariance is rank-deficient"
            " and the Fréchet distance much too large"
        )
    elif least < FEW:
        found.append(f"few images ({where(FEW)}): the Fréchet distance is too large, by a bias of about 1/N")
    elif least < PUBLISHED:
        found.append(f"fewer than 10,000 images ({where(PUBLISHED)}): the bias of about 1/N is not small yet")
    if len(set(counts.values())) > 1:
        found.append("unequal numbers of images: compare only with distances of the same two numbers")
    for letter, n in counts.items():
        if num is not None and sides[letter].source is not None and n < num:
            found.append(f"{letter} has {n:,} of the {num:,} images asked for")
    if "kid" in values and least < SUBSET_SIZE:
        found.append(f"KID is of subsets of {least:,} images, not {SUBSET_SIZE:,}: its ± says little")
    if "inception_score" in values and counts.get("A", FEW) < FEW:
        found.append(f"the Inception score is of parts of {counts['A'] // SPLITS:,} images, which makes it too low")
    if "precision" in values and least <= k:
        found.append(f"neighbour metrics take k = {least - 1}: there are no more images")
    if "frechet_infinity" in values and counts.get("A", 0) < 10 * dimensions:
        found.append(f"at infinity: below {10 * dimensions:,} generated images the line in 1/N does not hold well")
    return found


def _of_side(side: Side, extractor: Extractor | None) -> list[str]:
    source = side.source
    if source is None:
        if side.statistics.extractor is None:
            return ["the file does not say of which network, resize mode and images it is: make sure they are these"]
        return []
    found = source.warnings()
    if side.kind == "run" and source.facts["checkpoint"] == "best.h5":
        found.append("best.h5 was chosen by such a distance while training, which flatters it a little")
    if extractor and extractor.name != "digits" and any(len(shape) == 2 for shape in source.shapes):
        found.append("grey images, repeated to three channels")
    repeated = len(source.hashes) - len(set(source.hashes))
    if repeated:
        found.append(f"{repeated:,} images occur more than once")
    features = side.statistics.features
    if extractor and extractor.name == "digits" and features is not None and features.probabilities is not None:
        share = float((features.probabilities.max(axis=1) > CONFIDENT).mean())
        if share < 0.5:
            found.append(f"the classifier is sure of {share:.0%} of these images: are they digits?")
    return found


def _of_both(a: Side, b: Side) -> list[str]:
    if a.source is None or b.source is None:
        if a.statistics.content is not None and a.statistics.content == b.statistics.content:
            return ["A and B are of the same images"]
        return []
    found = []
    shared = len(set(a.source.hashes) & set(b.source.hashes))
    if shared:
        found.append(f"A and B share {shared:,} images, to the pixel")
    sizes = [{shape[:2] for shape in side.source.shapes} for side in (a, b) if side.source]
    if all(len(s) == 1 for s in sizes) and sizes[0] != sizes[1]:
        (h0, w0), (h1, w1) = (next(iter(s)) for s in sizes)
        found.append(f"A is {w0}×{h0} and B {w1}×{h1}: how they were resized before shows in every number")
    return found
