"""Which charts a run has: what its log holds, from `read_log` to `minigan.charts`."""

import math
from typing import Any

import numpy as np

from minigan.charts import LIGHT, Bars, Chart, Line, run_colours, sheet
from minigan.log import DISTANCES, FEATURES, class_count, last
from minigan.numbers import deviation, is_number, number, percent

TRAINING = {  # of "train" records: title, {key: (label, ink) of each line}, whether the axis is logarithmic
    "Loss": ({"loss_d": ("discriminator", "D"), "loss_g": ("generator", "G")}, False),
    "Output of the discriminator": ({"d_real": ("real", "ink"), "d_fake": ("generated", "G")}, False),
    "Gradient penalty": ({"penalty": ("penalty", "D")}, False),
    "Gradient norm": ({"grad_norm_d": ("discriminator", "D"), "grad_norm_g": ("generator", "G")}, True),
}


def curves_png(records: list[dict], variant: str | None = None) -> bytes:
    """All charts of a run on one picture, as PNG; `variant` gives the evaluations their colour."""
    return sheet(run_charts(records, variant))


def run_charts(records: list[dict], variant: str | None = None) -> list[Chart | Bars]:
    """The charts of everything the records of `read_log` hold: the evaluations, then losses, penalty and gradients."""
    train = [record for record in records if record["kind"] == "train"]
    evals = [record for record in records if record["kind"] == "eval"]
    colour = run_colours(variant)[0]
    charts = [_distance(evals, key, colour) for key in DISTANCES]
    charts += [_kid(evals, colour), _neighbours(evals, colour), _classes(evals, colour)]
    for title, (lines, log) in TRAINING.items():
        drawn = []
        for key, (label, ink) in lines.items():
            steps, values = logged(train, key, above=0 if log else -math.inf)
            drawn.append(line(label, LIGHT[ink], steps, values, smoothed=True))
        charts.append(Chart(title, drawn, log=log))
    for chart in charts:
        chart.lines = [line for line in chart.lines if line.steps.size]
    shown: list[Chart | Bars] = [chart for chart in charts if chart.lines]
    if shares := last(evals, "eval").get("class_shares"):
        shown.append(Bars("Classes of the samples", shares, colour, "dashed: equal shares"))
    return shown


def logged(records: list[dict], key: str, above: float = -math.inf) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of a key, float arrays (N,), where it was logged, finite and greater than `above`."""
    kept = [record for record in records if is_number(record.get(key)) and record[key] > above]
    return np.array([r["step"] for r in kept], float), np.array([r[key] for r in kept], float)


def line(label: str, colour: str, steps: np.ndarray, values: np.ndarray, **style: Any) -> Line:
    """A line through steps and values (N,), whose label ends with its last value: "recall 0.55"."""
    made = Line(label, colour, steps, values, **style)
    if steps.size:
        made.label += f" {number(made.bold()[-1])}"
    return made


def _distance(evals: list[dict], key: str, colour: str) -> Chart:
    """A Fréchet distance, and the distance of real images to real images as its floor."""
    evals = [record for record in evals if key in record]
    floor = line("real against real", LIGHT["quiet"], *logged(evals, "floor", above=0), dashed=True)
    lines = [line(DISTANCES[key], colour, *logged(evals, key, above=0), dots=True), floor]
    return Chart(DISTANCES[key], lines, "lower is better", log=True)


def _kid(evals: list[dict], colour: str) -> Chart:
    evals = [record for record in evals if is_number(record.get("kid")) and is_number(record.get("kid_std"))]
    steps, values = logged(evals, "kid")
    _, spread = logged(evals, "kid_std")
    made = line("KID", colour, steps, values, spread=spread, dots=True)
    if steps.size:
        made.label += deviation(float(spread[-1]))
    return Chart("KID", [made], FEATURES.get(last(evals, "eval").get("features", ""), ""))


def _neighbours(evals: list[dict], colour: str) -> Chart:
    lines = [
        line("precision", colour, *logged(evals, "precision"), dots=True),
        line("density", colour, *logged(evals, "density"), dashed=True),
        line("recall", LIGHT["ink"], *logged(evals, "recall"), dots=True),
        line("coverage", LIGHT["ink"], *logged(evals, "coverage"), dashed=True),
    ]
    return Chart("Fidelity and diversity", lines)


def _classes(evals: list[dict], colour: str) -> Chart:
    """The share of samples that the classifier is sure of, and the share of the classes that were found."""
    confident = Line("confident", colour, *logged(evals, "confident"), dots=True)
    if confident.steps.size:
        confident.label = f"{percent(confident.values[-1])} confident"
    of = class_count(last(evals, "eval"))
    steps, found = logged(evals, "classes")
    classes = Line("classes", LIGHT["ink"], steps, found / of, dots=True)
    if steps.size:
        classes.label = f"{found[-1]:.0f} of {of} classes found"
    return Chart("Confident and found", [confident, classes], percent=True)
