"""The curves of a run: losses, outputs of the discriminator and penalty above, the evaluations below."""

import io
import math
from functools import partial

import numpy as np

from minigan.log import DISTANCES

RUN_COLOURS = {  # as on the poster, which has no colour for the CNN; on white and on dark paper
    "vitgan": ("#d62828", "#ff6f66"),
    "vanilla": ("#2563c9", "#76a5ff"),
    "relu": ("#cc6a00", "#ffab40"),
    "cnn": ("#3a7d44", "#7fce8a"),
}
INKS = ("paper", "ink", "quiet", "grid", "D", "G")
LIGHT = dict(zip(INKS, ("#ffffff", "#1c1e21", "#6b7078", "#e6e7ea", "#00808a", "#8a3fb5"), strict=True))
DARK = dict(zip(INKS, ("#1b1d20", "#e8e9eb", "#9a9fa8", "#33363b", "#3cc4cc", "#c58be8"), strict=True))

WIDTH, ROW = 16, 4.4  # of the figure and of a row of panels, in inches
EVALUATIONS = {"linewidth": 2.6, "marker": "o", "markersize": 6, "clip_on": False}

PANELS = 3  # side by side
TRAIN_PANELS = [  # title, then key, label and colour of each line, and whether the axis is logarithmic
    ("Loss", [("loss_d", "discriminator", "D"), ("loss_g", "generator", "G")], False),
    ("Output of the discriminator", [("d_real", "real", "ink"), ("d_fake", "generated", "G")], False),
    ("Gradient penalty", [("penalty", "", "D")], False),
    ("Gradient norm", [("grad_norm_d", "discriminator", "D"), ("grad_norm_g", "generator", "G")], True),
]


def run_colour(variant, dark=False):
    """The colour of a run, by its variant; red where the variant has none of its own."""
    return RUN_COLOURS.get(variant, RUN_COLOURS["vitgan"])[dark]


def curves_png(records, variant="vitgan", dark=False):
    """The records of `read_log` drawn on white or on dark paper, as the bytes of a PNG.

    `variant` gives the evaluations their colour. What was not logged gets no panel.
    """
    from matplotlib.figure import Figure

    look = (DARK if dark else LIGHT) | {"run": run_colour(variant, dark)}
    train = [record for record in records if record["kind"] == "train"]
    evals = [record for record in records if record["kind"] == "eval"]
    panels = [
        (partial(_draw_train, lines=lines, log=log), title, train)
        for title, lines, log in TRAIN_PANELS
        if any(logged(train, key)[0].size for key, _, _ in lines)
    ]
    panels += [
        (draw, title, evals)
        for draw, title, keys in [
            *((partial(_draw_distance, key=k), f"{DISTANCES[k]}, lower is better", [k]) for k in DISTANCES),
            (_draw_neighbours, "Precision and recall", ["precision", "recall"]),
            (_draw_digits, "Confident samples and classes found", ["confident", "classes"]),
        ]
        if any(logged(evals, key)[0].size for key in keys)
    ]
    rows = [panels[i : i + PANELS] for i in range(0, len(panels), PANELS)]

    height = ROW * max(len(rows), 1)
    figure = Figure(figsize=(WIDTH, height), dpi=120, facecolor=look["paper"])
    if not rows:
        figure.text(0.5, 0.5, "nothing logged yet", ha="center", color=look["quiet"], fontsize=20)
    for i, row in enumerate(rows):
        for j, (draw, title, source) in enumerate(row):
            cell = WIDTH / min(len(panels), PANELS)
            left, bottom = j * cell + 0.8, height - (i + 1) * ROW + 0.85
            wide, high = cell - 0.8 - 1.6, ROW - 0.85 - 0.7  # room for ticks, title and the lines' labels
            axes = figure.add_axes([left / WIDTH, bottom / height, wide / WIDTH, high / height])
            _dress(axes, title, look)
            axes.set_xlim(0, max(records[-1]["step"], 1))
            draw(axes, source, look)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor=look["paper"])
    return buffer.getvalue()


def logged(records, key, above=-math.inf):
    """Steps and values of a key, float arrays (N,), where it was logged, finite and greater than `above`."""
    kept = [r for r in records if isinstance(r.get(key), (int, float)) and above < r[key] < math.inf]
    return np.array([r["step"] for r in kept], float), np.array([r[key] for r in kept], float)


def smooth(values):
    """Moving average over a twenty-fifth of the points, cut off (not padded) at both ends."""
    half = len(values) // 50
    total = np.concatenate([[0.0], np.cumsum(values)])
    centre = np.arange(len(values))
    start, stop = np.maximum(centre - half, 0), np.minimum(centre + half + 1, len(values))
    return (total[stop] - total[start]) / (stop - start)


def _dress(axes, title, look):
    axes.set_title(title, loc="left", color=look["ink"], fontsize=16, fontweight="bold", pad=12)
    axes.set_facecolor(look["paper"])
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(look["quiet"])
    axes.grid(axis="y", color=look["grid"], linewidth=1)
    axes.set_axisbelow(True)
    axes.tick_params(colors=look["quiet"], labelsize=13, length=0, pad=6)
    axes.tick_params(axis="x", length=4)
    axes.locator_params(axis="x", nbins=4, integer=True)
    axes.xaxis.set_major_formatter(lambda step, _: f"{step:,.0f}")
    axes.set_xlabel("step", color=look["quiet"], fontsize=13)


def _draw_train(axes, records, look, lines, log):
    """A smooth line over the faint raw one. The axis follows the bulk: a spike does not flatten it."""
    ends, low, high = [], np.inf, -np.inf
    for key, label, colour in lines:
        steps, values = logged(records, key, above=0 if log else -math.inf)
        if not steps.size:
            continue
        line = smooth(values)
        axes.plot(steps, values, color=look[colour], linewidth=0.8, alpha=0.25)
        axes.plot(steps, line, color=look[colour], linewidth=2.6, solid_capstyle="round")
        ends.append((steps[-1], line[-1], label, look[colour]))
        quantiles = np.quantile(values, [0.01, 0.99])
        low, high = min(low, quantiles[0], line[-1]), max(high, quantiles[1], line[-1])
    if not ends:
        return
    margin = 0.08 * (high - low) or 0.1
    if log:
        _log_axis(axes, low / 1.2, high * 1.2)
    else:
        axes.set_ylim(low - margin, high + margin)
        axes.locator_params(axis="y", nbins=6)
    _label_ends(axes, ends)


def _log_axis(axes, low, high):
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")


def _draw_distance(axes, records, look, key):
    """A Fréchet distance on a log axis, with the distance of real images to real images as the floor."""
    steps, values = logged(records, key)
    values = np.maximum(values, 1e-3)  # rounding may leave a distance of zero
    axes.plot(steps, values, color=look["run"], zorder=3, **EVALUATIONS)
    ends = [(steps[-1], values[-1], _distance(values[-1]), look["run"])]
    _, floors = logged([record for record in records if key in record], "floor")
    if floors.size and floors[-1] > 0:
        floor = floors[-1]
        axes.axhline(floor, color=look["quiet"], linewidth=1.8, linestyle=(0, (5, 4)))
        ends.append((steps[-1], floor, f"{_distance(floor)}\nreal against real", look["quiet"]))
    heights = [height for _, height, _, _ in ends] + [values.min(), values.max()]
    _log_axis(axes, min(heights) / 1.5, max(heights) * 1.5)
    _label_ends(axes, ends)


def _distance(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def class_count(records):
    """How many classes the shares of a run's records are of, ten where there are none."""
    return max([len(r["class_shares"]) for r in records if r.get("class_shares")], default=10)


def _draw_neighbours(axes, records, look):
    ends = []
    for key, colour in (("precision", "run"), ("recall", "ink")):
        steps, values = logged(records, key)
        if steps.size:
            axes.plot(steps, values, color=look[colour], zorder=3, **EVALUATIONS)
            ends.append((steps[-1], values[-1], f"{values[-1]:.2f}\n{key}", look[colour]))
    axes.set_ylim(-0.03, 1.06)
    _label_ends(axes, ends)


def _draw_digits(axes, records, look):
    """Confident share and share of the classes found, both in per cent."""
    ends = []
    steps, found = logged(records, "classes")
    if found.size:
        of = class_count(records)
        axes.step(steps, found / of, where="post", color=look["ink"], linewidth=2)
        ends.append((steps[-1], found[-1] / of, f"{found[-1]:.0f} of {of}\nclasses found", look["ink"]))
    steps, confident = logged(records, "confident")
    if confident.size:
        axes.plot(steps, confident, color=look["run"], zorder=3, **EVALUATIONS)
        ends.append((steps[-1], confident[-1], f"{confident[-1]:.0%}\nconfident", look["run"]))
    axes.set_ylim(-0.03, 1.06)
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    _label_ends(axes, ends)


def _label_ends(axes, ends):
    """Write each line's label beside its last point, in its colour; two that would touch are pushed apart."""
    to_axes = axes.transData + axes.transAxes.inverted()
    ends = sorted((end for end in ends if end[2]), key=lambda end: end[1])
    heights = [to_axes.transform((x, y))[1] for x, y, _, _ in ends]
    if len(ends) == 2:
        lines = max(label.count("\n") for _, _, label, _ in ends) + 1
        apart = max(0, 0.075 * lines + 0.02 - (heights[1] - heights[0])) / 2
        heights = [heights[0] - apart, heights[1] + apart]
    for (_, _, label, colour), height in zip(ends, heights, strict=True):
        place = {
            "xycoords": "axes fraction",
            "xytext": (10, 0),
            "textcoords": "offset points",
            "va": "center",
        }
        axes.annotate(label, (1, height), color=colour, fontsize=13, linespacing=1.15, **place)
