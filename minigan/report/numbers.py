"""What a run amounts to in numbers: the sentence at the top of its report, the cards, and what the figures are."""

import statistics
from html import escape

from minigan.log import distance
from minigan.page.pieces import count, duration, is_number, number, percent

ABOUT = {  # a distance is always named by its features: the three do not compare
    "digit_fid": "digit-FID is the Fréchet distance on the 64 features of the digit classifier that ships with "
    "minigan. It is not the Inception FID, and the two must not be compared.",
    "fid": "FID is the Fréchet distance on the 2,048 features of the FID Inception network of 2015. It compares with "
    "other FIDs of as many samples, the same reference and the same resizing.",
    "random_fid": "random-FID is the Fréchet distance on the features of a fixed random convolutional network, for "
    "images that no classifier here knows. It compares only with random-FIDs of the same network; it is not FID.",
}
FEATURES = {"digits": "digit features", "inception": "Inception features", "random": "random features"}
ABOUT_FLOOR = (
    "The floor is the same distance between two sets of real images: once the floor is the best that a generator can "
    "do. All samples come from the moving average of the generator."
)
ABOUT_NEIGHBOURS = (
    "KID is the squared maximum mean discrepancy with the cubic kernel, ± its standard deviation over subsets. "
    "Precision and density say how many samples look real, recall and coverage how much of the real images is "
    "reached; all on the same features as the distance. Precision alone can be high for samples that all lie near one "
    "odd real image: then density is low."
)
ABOUT_CLASSES = (
    "A class counts as found when enough samples fall into it, a sample is confident when the classifier is nearly "
    "sure of its class, and class KL is the divergence of the classes' shares from those of the real images, in nats."
)


def last(records, kind):
    return next((record for record in reversed(records) if record["kind"] == kind), {})


def verdict(records):
    """The outcome in one sentence, as HTML."""
    train, figures = last(records, "train"), last(records, "eval")
    says = []
    key, label = distance(figures) or ("", "")
    if number(figures.get(key)):
        says.append(f"<strong>{label} {number(figures[key])}</strong>")
        if ratio := _ratio(figures, key):
            says[0] += f", {ratio} the floor of {number(figures['floor'])} between real images"
    if number(figures.get("classes")):
        says.append(f"{number(figures['classes'])} of {_class_count(figures)} classes found")
    if percent(figures.get("confident")):
        says.append(f"{percent(figures['confident'])} of the samples confident")
    if not says and train:
        says.append(f"Step {train['step']:,}, without figures")
    return f"{'; '.join(says) or 'Not trained yet'}."


def cards(run, config, records):
    """Two lists of cards, how good the samples are and what the training was, and what the distance is."""
    evals = [record for record in records if record["kind"] == "eval"]
    about = "".join(f"<p>{text}</p>" for key, text in ABOUT.items() if any(is_number(r.get(key)) for r in evals))
    quality = _list(_quality(run, records), "cards quality")
    return quality + about + _list(_training(config, records), "cards facts")


def _quality(run, records):
    figures = last(records, "eval")
    key, label = distance(figures) or ("", "")
    measured = [r for r in records if r["kind"] == "eval" and is_number(r.get(key))]
    best = min(measured, key=lambda record: record[key], default={})
    kept = ", kept in best.h5" if (run / "best.h5").is_file() else ""
    split = {"train": "training", "test": "test"}.get(figures.get("reference_split"), "real")
    real = f"against {count(figures.get('reference'))} {split} images" if count(figures.get("reference")) else ""
    spread = number(figures.get("kid_std")) and f"± {number(figures['kid_std'])}"
    features = FEATURES.get(figures.get("features"), "")
    return [  # label, value, note
        (label, _strong(number(figures.get(key))), f"at step {count(figures.get('step'))}"),
        ("times the floor", _ratio(figures, key), f"real against real: {number(figures.get('floor'))}"),
        (f"best {label}", number(best.get(key)), f"at step {count(best.get('step'))}{kept}"),
        ("KID", number(figures.get("kid")), ", ".join(filter(None, [spread, features]))),
        ("precision", number(figures.get("precision")), _also("density", figures)),
        ("recall", number(figures.get("recall")), _also("coverage", figures)),
        ("classes found", number(figures.get("classes")), f"of {_class_count(figures)}"),
        ("class KL", number(figures.get("class_kl")), "nats, from the real shares"),
        ("confident samples", percent(figures.get("confident")), "by the classifier"),
        ("samples evaluated", count(figures.get("samples")), real),
    ]


def _training(config, records):
    train = last(records, "train")
    speeds = [r["images_per_second"] for r in records if is_number(r.get("images_per_second"))]
    return [
        ("steps", count(train.get("step")), ""),
        ("real images seen", count(train.get("images")), ""),
        ("wall time", duration(train.get("seconds")), ""),
        ("images per second", number(statistics.median(speeds)) if speeds else "", ""),
        *((f"{part} parameters", count(n), "") for part, n in config.get("parameters", {}).items()),
    ]


def _list(values, kind):
    shown = "".join(
        f"<div class=card><dt>{escape(label)}</dt><dd>{value}{note and f'<small>{note}</small>'}</dd></div>"
        for label, value, note in values
        if value
    )
    return shown and f'<dl class="{kind}">{shown}</dl>'


def class_shares(records):
    """One bar a class, against the dashed line of equal shares."""
    shares = last(records, "eval").get("class_shares")
    if not shares:
        return ""
    step, bottom, height = 40, 206, 198
    width, scale = step * len(shares), height / max(*shares, 1.2 / len(shares))
    parts = []
    for i, share in enumerate(shares):
        centre, high = step * i + step // 2, scale * share
        parts.append(f"<rect x={centre - 14} y={bottom - high:.1f} width=28 height={high:.1f} rx=2 />")
        parts.append(f"<text class=name x={centre} y={bottom + 20}>{i}</text>")
        parts.append(f"<text x={centre} y={bottom + 37}>{100 * share:.1f}</text>")
    even = bottom - scale / len(shares)
    parts.append(f"<line x1=0 x2={width} y1={even:.1f} y2={even:.1f} />")
    return (
        "<figure class=chart><figcaption><span class=title>Classes of the samples</span></figcaption>"
        "<p class=legend>in per cent; dashed: equal shares</p>"
        f'<svg class=bars viewBox="0 0 {width} {bottom + 42}" role=img aria-label="Share of each class">'
        f"{''.join(parts)}</svg></figure>"
    )


def about_metrics(records):
    """Sentences on what was measured, plain text."""
    evals = [record for record in records if record["kind"] == "eval"]
    notes = [ABOUT_FLOOR] * any(distance(record) for record in evals)
    notes += [ABOUT_NEIGHBOURS] * any("kid" in record for record in evals)
    return notes + [ABOUT_CLASSES] * any("classes" in record for record in evals)


def _strong(text):
    return text and f"<strong>{text}</strong>"


def _also(key, figures):
    return number(figures.get(key)) and f"{key} {number(figures[key])}"


def _ratio(figures, key):
    value, floor = figures.get(key), figures.get("floor")
    return f"{number(value / floor)} ×" if is_number(value) and is_number(floor) and floor > 0 else ""


def _class_count(figures):
    return len(figures.get("class_shares") or range(10))
