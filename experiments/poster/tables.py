"""The two tables of the page: the poster's numbers beside ours, and the ablation."""

import statistics
from collections.abc import Iterable
from html import escape

from experiments.parts.describe import optimiser
from experiments.parts.jobs import Result
from experiments.poster.numbers import POSTER, Row, course, seconds
from experiments.poster.plan import BESIDE
from minigan.numbers import count, deviation, duration, number
from minigan.page.pieces import plain

DIGITS = ("vitgan", "vanilla", "relu", "cnn")  # the runs of the poster's figures on digits
NAMES = {  # what the page calls the runs of the figures
    "vitgan": "full ViTGAN",
    "vanilla": "vanilla ViT",
    "relu": "ReLU",
    "cnn": "CNN",
    "faces": "full ViTGAN, faces",
    "size32": "full ViTGAN, 32 × 32",
    "drawn": "full ViTGAN, drawn digits",
}
ROWS = {  # what the page calls the rows of the ablation, and what that means
    "base": ("Full ViTGAN", "SLN, w as tokens, L2 attention, ISN, overlap, SIREN output, GELU, Shampoo, Lookahead"),
    "no-sln": ("Without SLN", "plain layer norms; w enters as tokens alone"),
    "linear": ("Linear output", "no implicit representation of a patch"),
    "one-point": ("One point a pixel", "in place of the mean of 2 × 2"),
    "dot": ("Dot-product attention", "in D, in place of L2"),
    "l1": ("L1 attention", "in D, the poster’s alternative"),
    "l2-printed": ("L2 attention as printed", "in D: the sign reversed, not squared"),
    "sn": ("SN for ISN", "plain spectral norm in D"),
    "bound": ("A bound for ISN", "σ is at most three times σ₀ in D"),
    "no-norm": ("No spectral norm", "in D"),
    "no-overlap": ("No overlap", "between the patches of D"),
    "relu": ("ReLU for GELU", "in the MLPs of G and D"),
    "vanilla": ("Vanilla ViT", "none of SLN, L2 attention and ISN"),
    "vanilla-paper": ("Vanilla ViT of the paper", "nor overlap, SIREN output and a map of w for each token"),
    "adam": ("Adam for Shampoo", "without Lookahead, at the rates and with the average found for Adam"),
    "no-lookahead": ("Without Lookahead", "Shampoo at the same rates"),
    "bcr": ("With bCR", "balanced consistency, weight 10"),
    "diffaug": ("With DiffAug", "shifts, cut-outs, brightness, contrast"),
}
DATA = {"mnist": "MNIST", "stroke-digits": "drawn digits, not MNIST", "drawn faces": "drawn faces, not CelebA"}
FEATURES = {
    "fid": "Inception (FID)",
    "digit_fid": "64 features of our digit classifier (digit-FID)",
    "random_fid": "a network of random weights (random-FID)",
}
MARKS = {"better": "↓ better", "worse": "↑ worse", "within": "≈", "": ""}


def trained_on(result: Result | None) -> str:
    """The images of a run, as plain text."""
    name = result.config.get("data", {}).get("name") if result else None
    return DATA.get(name, str(name)) if name else "–"


def data_name(result: Result | None) -> str:
    """`trained_on` as HTML."""
    return escape(trained_on(result))


def at_size(result: Result) -> str:
    """The images of a run and their size, as HTML; "" before it has begun."""
    size = result.config.get("options", {}).get("image_size")
    return f"{data_name(result)}, at {size} × {size}" if size else ""


def table(kind: str, head: list[list[str]], body: list[tuple[str, list[str]]]) -> str:
    """An HTML table. Rows are lists of <th> and <td> cells; a row of the body has a CSS class before them."""
    above = "".join(f"<tr>{''.join(cells)}</tr>" for cells in head)
    below = "".join(f'<tr class="{name}">{"".join(cells)}</tr>' for name, cells in body)
    return f'<div class=scroll><table class="{kind}"><thead>{above}</thead><tbody>{below}</tbody></table></div>'


# The poster's numbers beside ours --------------------------------------------------------------------------


def beside(figures: dict[str, Result]) -> str:
    """The poster's numbers and ours, as two halves of a table, and a second table on how they differ."""
    labels = {name: c.label for name in figures if (c := course(figures[name]))}
    head = [
        ["<td></td>", "<th colspan=2 class=theirs>The poster</th>", "<th colspan=4>Here</th>"],
        [
            "<td></td><th class=theirs>FID<small>first, best, last</small></th><th class=theirs>training</th>",
            "<th>distance<small>first, best, last</small></th><th>last, over<br>the floor</th>",
            "<th>classes<br>found</th><th>training</th>",
        ],
    ]
    rows = [*POSTER, *(name for name in BESIDE if name in figures)]
    body = [("", [f"<th scope=row>{NAMES[name]}</th>", theirs(name), ours(figures.get(name))]) for name in rows]
    fid = set(labels.values()) == {"FID"}
    warning = (
        "Both halves say FID, and still it is not one protocol: see below what differs."
        if fid
        else f"The poster measured FID. Here it is {' and '.join(sorted(set(labels.values()))) or 'not measured yet'}: "
        "other features, other images, another scale. What compares is which runs learn and which fail."
    )
    return (
        f"<p><b>Read each half down, not across.</b> {warning}</p>"
        + table("numbers halves", head, body)
        + not_alike(figures)
        + differs(figures)
    )


def theirs(name: str) -> str:
    """The cells of a row that show the poster's numbers; dashes for a run that it does not have."""
    told = POSTER.get(name, {"remark": ""})
    fid = through(f"{x:g}" for x in told["fid"]) if "fid" in told else "–"
    long = f"{told['epochs']} epochs<small>{duration(3600 * told['hours'])}</small>" if "epochs" in told else "–"
    return f"<td class=theirs>{fid}<small>{escape(told['remark'])}</small></td><td class=theirs>{long}</td>"


def ours(result: Result | None) -> str:
    """The cells of a row that show our numbers."""
    c = course(result)
    if result is None or c is None:
        return f"<td colspan=4>{escape(result.words) if result and result.words else 'not there yet'}</td>"
    shares = c.record.get("class_shares") or range(10)
    classes = f"{c.record['classes']} of {len(shares)}" if c.record.get("classes") is not None else "–"
    distances = through(number(x) for x in (c.first, c.best, c.last))
    return (
        f"<td>{distances}<small>{c.label}, best at step {c.best_step:,}</small></td>"
        f"<td>{number(c.ratio) + ' ×' if c.ratio else '–'}</td><td>{classes}</td>"
        f"<td>{result.step:,} steps<small>{duration(seconds(result))}</small></td>"
    )


def through(values: Iterable[str]) -> str:
    """Values with arrows between them, on one line."""
    return f"<span class=course>{' <i>→</i> '.join(values)}</span>"


def not_alike(figures: dict[str, Result]) -> str:
    """Why the distances of the runs beside the poster's do not compare with the others; "" where there are none."""
    if not any(name in figures for name in BESIDE):
        return ""
    keys = [c.key for name in ("vitgan", "size32") if (c := course(figures.get(name)))]
    features = ""
    if keys == ["digit_fid", "random_fid"]:
        features = (
            " The digit classifier takes images of 28 × 28 pixels only, and shrunk ones would measure the shrinking "
            "too, so the run at 32 × 32 is measured in features of a random network, which know no classes."
        )
    return (
        "<p class=quiet>The last two rows stand beside the poster’s. A distance is to real images of the run’s own "
        f"kind and size, so theirs do not compare with those of the other rows.{features}</p>"
    )


def differs(figures: dict[str, Result]) -> str:
    """A table of what differs between the two halves."""
    digits = next((figures[n] for n in DIGITS if n in figures and figures[n].config), None)
    options, parameters = (digits.config.get(k, {}) if digits else {} for k in ("options", "parameters"))
    keys = {c.key for r in figures.values() if (c := course(r))}
    last = c.record if (c := course(digits)) else {}
    samples, reference = count(last.get("samples")), count(last.get("reference"))
    seen = f"{samples} against {reference} real {escape(str(last.get('reference_split', '')))} images"
    loss = plain(options.get("loss", "–")).replace("nonsaturating", "non-saturating")
    penalty = {"fd": ", R1 and R2 by finite differences", "exact": ", R1 and R2"}.get(options.get("penalty"), "")
    seen_at = dict.fromkeys(at_size(figures[name]) for name in (*DIGITS, *BESIDE, "faces") if name in figures)
    points = [
        ("Images", "MNIST at 32 × 32; CelebA at 64 × 64", "; ".join(filter(None, seen_at)) or "–"),
        (
            "Features",
            "Inception, by way of FID",
            "; ".join(words for key, words in FEATURES.items() if key in keys) or "–",
        ),
        ("Samples", "about 2,560, of at most 20 batches", seen if last else "–"),
        ("Which G", "as it trains, with dropout", "the moving average of G; no dropout"),
        (
            "Logged",
            "FID over the number of batches, multiplied back here",
            "as it is, with the floor: real against real",
        ),
        (
            "Networks",
            "4 blocks, 4 heads, width 384; 30 M parameters says the poster, 16 M its MNIST settings",
            "{} blocks, {} heads, width {}; ".format(*(options.get(f"g_{k}", "–") for k in ("depth", "heads", "width")))
            + f"{' + '.join(f'{n / 1e6:.2g} M' for n in parameters.values()) or '–'} parameters",
        ),
        ("Loss", "non-saturating", escape(loss + penalty)),
        ("Optimiser", "Adam, learning rate 2e-05, batch 128", optimisers(figures)),
        ("Spectral norm", "meant, but a misspelt argument left it off", spectral_norm(figures)),
    ]
    body = [("", [f"<th scope=row>{what}</th><td>{a}</td><td>{b}</td>"]) for what, a, b in points]
    return table("words", [["<th>What differs</th><th>the poster</th><th>here</th>"]], body) + (
        "<p class=quiet>The poster’s numbers are read from the TensorBoard files published with its code; which file "
        "belongs to which of its curves is inferred from names and dates. Its CNN has none.</p>"
    )


def optimisers(figures: dict[str, Result]) -> str:
    """How the runs were trained, and which of them where they differ."""
    names: dict[str, list[str]] = {}
    for name, result in figures.items():
        if options := result.config.get("options"):
            words = optimiser(options.get("optimizer", "adam"), options.get("lookahead", 0))
            how = f"{words}, learning rate {options['g_lr']:g}, batch {options['batch']}"
            names.setdefault(how, []).append(NAMES[name])
    if len(names) < 2:
        return "; ".join(names) or "–"
    return "; ".join(f"{how}: {' · '.join(of)}" for how, of in names.items())


def spectral_norm(figures: dict[str, Result]) -> str:
    """What holds σ of D in the full ViTGAN; a dash before it has begun."""
    if "vitgan" not in figures or not figures["vitgan"].config:
        return "–"
    names = {"isn": "ISN", "sn": "SN", "bound": "a bound", "none": "none"}
    return f"{names[figures['vitgan'].config['options']['d_norm']]}, where the variant has one"


# The ablation ----------------------------------------------------------------------------------------------


def ablation_table(rows: list[Row], base: Row) -> str:
    """A row for each change to the full ViTGAN, `base`."""
    label = " / ".join(sorted({row.label for row in rows if row.label}))
    columns = [label, "over the floor", "", "KID", "precision", "recall", "classes", "a step"]
    head = [["<td></td>", *(f"<th>{column}</th>" for column in columns)]]
    body = []
    for row in rows:
        verdict, pace = row.against(base), row.seconds_a_step()
        name, meaning = ROWS[row.name]
        cells = [
            mean_of(row),
            number(statistics.fmean(row.ratios)) + " ×" if row.ratios else "–",
            f"<span class=against>{MARKS[verdict]}</span>",
            number(row.mean("kid")) or "–",
            *(places(row.mean(key), digits) for key, digits in (("precision", 2), ("recall", 2), ("classes", 1))),
            f"{1000 * pace:.0f} ms" if pace else "–",
        ]
        heading = f"<th scope=row>{name}<small>{meaning}</small></th>"
        body.append(("base" if row is base else verdict, [heading, *(f"<td>{cell}</td>" for cell in cells)]))
    return table("numbers ablation", head, body)


def told(rows: list[Row], base: Row) -> str:
    """Which rows differ from the first, and how little that says, as HTML."""
    names: dict[str, list[str]] = {"better": [], "worse": [], "within": []}
    for row in rows:
        if verdict := row.against(base):
            names[verdict].append(ROWS[row.name][0])
    words = {
        "better": "Better with every seed",
        "worse": "Worse with every seed",
        "within": "Within the spread of the seeds",
    }
    says = "<br>".join(f"<b>{words[k]}:</b> {', '.join(v)}." for k, v in names.items() if v)
    among = sum(map(len, names.values()))
    if not among:
        return ""
    chance = (
        f"Three seeds lie all on one side of three others by chance alone once in ten times, so of {among} rows about "
        f"{among / 10:.1f} would with no effect at all. "
    )
    short = "A short run tells how fast a change learns; at full length the order may be another."
    return f"<p>{says}</p><p>{chance}{short}</p>"


def places(value: float | None, n: int) -> str:
    return "–" if value is None else f"{value:.{n}f}"


def mean_of(row: Row) -> str:
    """The distance, mean ± standard deviation (n − 1) over the seeds, and if some are missing, how many there are."""
    values, failed = row.distances, next((r.words for r in row.results if r.words), "")
    if not values:
        return f"–<small>{escape(failed)}</small>" if failed else "–"
    spread = deviation(statistics.stdev(values)) if len(values) > 1 else ""
    missing = len(row.results) - len(values)
    return (
        number(statistics.fmean(values))
        + spread
        + (f"<small>{len(values)} of {len(row.results)} seeds</small>" if missing else "")
    )
