"""A run in numbers: the sentence at the top of its report, the cards, and the text on what was measured."""

import statistics
from html import escape
from pathlib import Path
from typing import Any

from minigan.log import BRIGHT, FAINT, FEATURES, class_count, distance, few_images, last
from minigan.numbers import count, deviation, duration, is_number, number, percent

Record = dict[str, Any]  # a line of log.jsonl
Cards = list[tuple[str, str, str]]  # label, value and note of each; an empty value leaves the card out

ABOUT = {  # by the key of a distance: it is named after its features, because the three do not compare
    "digit_fid": "digit-FID is the Fréchet distance on the 64 features of the digit classifier that ships with "
    "minigan. It is not the Inception FID, and the two must not be compared.",
    "fid": "FID is the Fréchet distance on the 2,048 features of the FID Inception network of 2015. It compares with "
    "other FIDs of as many samples, the same reference and the same resizing.",
    "random_fid": "random-FID is the Fréchet distance on the features of a fixed random convolutional network, for "
    "images that no classifier here knows. It compares only with random-FIDs of the same network; it is not FID.",
}
ABOUT_FLOOR = (
    "The floor is the same distance between two sets of real images, the best that a generator can be expected to "
    "reach: its mean over random splits, ± its standard deviation. All samples come from the moving average of the "
    "generator."
)
ABOUT_NEIGHBOURS = (
    "KID is the squared maximum mean discrepancy with the cubic kernel, ± its standard deviation over subsets. "
    "Precision and density say how many samples look real, recall and coverage how much of the real images the samples "
    "reach, all on the same features as the distance. Precision alone can be high for samples that all lie near one "
    "odd real image: then density is low."
)
ABOUT_TONES = (
    "Bright and faint pixels show whether the generator reaches white and black: without them strokes are grey, and a "
    "haze lies over the background."
)
ABOUT_CLASSES = (
    "A class counts as found when enough samples fall into it, a sample is confident when the classifier is nearly "
    "sure of its class, and class KL is the divergence of the classes' shares from those of the real images, in nats."
)


ABOUT_LABELS = (
    "Of the class asked for is the share of samples that the classifier assigns to the label that the generator was "
    "given."
)


def verdict(records: list[Record]) -> str:
    """The outcome in one sentence, as HTML."""
    train, figures = last(records, "train"), last(records, "eval")
    says = []
    key, label = distance(figures) or ("", "")
    if number(figures.get(key)):
        says.append(f"<strong>{label} {number(figures[key])}</strong>")
        if ratio := _ratio(figures, key):
            says[0] += f", {ratio} the floor of {number(figures['floor'])} between real images"
    if number(figures.get("classes")):
        says.append(f"{number(figures['classes'])} of {class_count(figures)} classes found")
    if percent(figures.get("confident")):
        says.append(f"{percent(figures['confident'])} of the samples confident")
    if not says and train:
        says.append(f"Step {train['step']:,}, without figures")
    counts = [figures[name] for name in ("samples", "reference") if is_number(figures.get(name))]
    warning = few_images(min(counts)) if key and counts else ""
    return f"{'; '.join(says) or 'Not trained yet'}." + (f" {warning.capitalize()}." if warning else "")


def cards(run: Path, config: dict[str, Any], records: list[Record]) -> str:
    """Two lists of cards as HTML: the quality of the samples and the training; between them what the distance is."""
    evals = [record for record in records if record["kind"] == "eval"]
    about = "".join(f"<p>{text}</p>" for key, text in ABOUT.items() if any(is_number(r.get(key)) for r in evals))
    quality = _list(_quality(run, records), "cards quality")
    return quality + _list(_classes(records), "cards facts") + about + _list(_training(config, records), "cards facts")


def _quality(run: Path, records: list[Record]) -> Cards:
    figures = last(records, "eval")
    key, label = distance(figures) or ("", "")
    measured = [r for r in records if r["kind"] == "eval" and is_number(r.get(key))]
    best = min(measured, key=lambda record: record[key], default={})
    kept = ", kept in best.h5" if (run / "best.h5").is_file() else ""
    split = {"train": "training", "test": "test"}.get(figures.get("reference_split", ""), "real")
    real = f"against {count(figures.get('reference'))} {split} images" if count(figures.get("reference")) else ""
    features = FEATURES.get(figures.get("features", ""), "")
    floor = f"real against real: {number(figures.get('floor'))}{deviation(figures.get('floor_std'))}"
    return [
        (label, _strong(number(figures.get(key))), f"at step {count(figures.get('step'))}"),
        ("times the floor", _ratio(figures, key), floor),
        (f"best {label}", number(best.get(key)), f"at step {count(best.get('step'))}{kept}"),
        (
            "KID",
            number(figures.get("kid")),
            ", ".join(filter(None, [deviation(figures.get("kid_std")).strip(), features])),
        ),
        ("precision", number(figures.get("precision")), _also("density", figures)),
        ("recall", number(figures.get("recall")), _also("coverage", figures)),
        ("classes found", number(figures.get("classes")), f"of {class_count(figures)}"),
        ("class KL", number(figures.get("class_kl")), "nats, from the real shares"),
        ("confident samples", percent(figures.get("confident")), "by the classifier"),
        ("bright pixels", _tenths(figures.get("bright")), _beside(f"above {BRIGHT}", figures.get("real_bright"))),
        ("faint pixels", _tenths(figures.get("faint")), _beside(f"from 1 to {FAINT - 1}", figures.get("real_faint"))),
        ("of the class asked for", percent(figures.get("label_accuracy")), _worst(figures.get("class_accuracy"))),
        ("samples evaluated", count(figures.get("samples")), real),
    ]


def _training(config: dict[str, Any], records: list[Record]) -> Cards:
    train = last(records, "train")
    speeds = [r["images_per_second"] for r in records if is_number(r.get("images_per_second"))]
    return [
        ("steps", count(train.get("step")), ""),
        ("real images seen", count(train.get("images")), ""),
        ("wall time", duration(train.get("seconds")), ""),
        ("images per second", number(statistics.median(speeds)) if speeds else "", ""),
        *((f"{part} parameters", count(n), "") for part, n in config.get("parameters", {}).items()),
    ]


def _list(values: Cards, kind: str) -> str:
    shown = "".join(
        f"<div class=card><dt>{escape(label)}</dt><dd>{value}{note and f'<small>{note}</small>'}</dd></div>"
        for label, value, note in values
        if value
    )
    return shown and f'<dl class="{kind}">{shown}</dl>'


def about_metrics(records: list[Record]) -> list[str]:
    """Sentences on what was measured, plain text."""
    evals = [record for record in records if record["kind"] == "eval"]
    notes = []
    if any(distance(record) for record in evals):
        notes.append(ABOUT_FLOOR)
    if any("kid" in record for record in evals):
        notes.append(ABOUT_NEIGHBOURS)
    if any("bright" in record for record in evals):
        notes.append(ABOUT_TONES)
    if any("classes" in record for record in evals):
        notes.append(ABOUT_CLASSES)
    if any("label_accuracy" in record for record in evals):
        notes.append(ABOUT_LABELS)
    return notes


def _strong(text: str) -> str:
    return text and f"<strong>{text}</strong>"


def _classes(records: list[Record]) -> Cards:
    """The accuracy of each class at the last evaluation."""
    each = last(records, "eval").get("class_accuracy") or []
    return [(f"class {k}", percent(share), "as asked for") for k, share in enumerate(each)]


def _worst(each: Any) -> str:
    """The class with the least accuracy, in words."""
    known = [(share, k) for k, share in enumerate(each or []) if share is not None]
    return f"least of class {min(known)[1]}: {percent(min(known)[0])}" if known else ""


def _also(key: str, figures: Record) -> str:
    return number(figures.get(key)) and f"{key} {number(figures[key])}"


def _tenths(share: Any) -> str:
    return f"{share:.1%}" if is_number(share) else ""


def _beside(values: str, real: Any) -> str:
    return f"{values}; real: {_tenths(real)}" if is_number(real) else values


def _ratio(figures: Record, key: str) -> str:
    value, floor = figures.get(key), figures.get("floor")
    return f"{number(value / floor)} ×" if is_number(value) and is_number(floor) and floor > 0 else ""
