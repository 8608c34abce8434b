"""The poster's figures drawn from our runs: as charts for the page, and as two pictures for where HTML is not shown."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from experiments.parts.jobs import Result
from experiments.poster.numbers import Row, ablation_rows, course
from experiments.poster.tables import DIGITS, NAMES, ROWS, trained_on
from minigan.charts import LIGHT, Chart, Line, draw, dress, last_step, logarithmic, png, run_colours
from minigan.curves import logged
from minigan.numbers import is_number

COLOURS = {name: run_colours(name)[0] for name in NAMES}
LOSSES = {"Loss of the discriminator": "loss_d", "Loss of the generator": "loss_g", "D(real) − D(generated)": "gap"}
GRIDS = {"vanilla": "Figure 7: vanilla ViT", "vitgan": "Figure 8: full ViTGAN", "cnn": "Figure 9: CNN"}
GRIDS["faces"] = "Figure 11: full ViTGAN, faces"
VERDICTS = {"better": run_colours("cnn")[0], "worse": run_colours("vitgan")[0], "within": LIGHT["quiet"]}


def figures_of(results: list[Result]) -> dict[str, Result]:
    """The runs of the poster's figures by name; without the ablation."""
    return {r.job.name.removeprefix("figures/"): r for r in results if r.job.name.startswith("figures/")}


def loss_charts(figures: dict[str, Result], minutes: bool = False) -> list[Chart]:
    """Figures 4 to 6, in the poster's colours, over steps or over the minutes of training."""
    charts = []
    for title, key in LOSSES.items():
        lines = []
        for name in ("vitgan", "vanilla", "relu"):
            records = loss_records(figures.get(name))
            steps, values = logged(over_minutes(records) if minutes else records, key)
            if steps.size:
                lines.append(Line(NAMES[name], COLOURS[name], steps, values, smoothed=True))
        if lines:
            charts.append(Chart(title, lines, "over minutes" if minutes else ""))
    return charts


def loss_records(result: Result | None) -> list[dict]:
    """The "train" records of a run, with the gap between the means of D on real and on generated images."""
    train = [r for r in result.records if r["kind"] == "train"] if result else []
    return [{**r, "gap": r.get("d_real", math.nan) - r.get("d_fake", math.nan)} for r in train]


def over_minutes(records: list[dict]) -> list[dict]:
    """The records of a run that tell their time, with the minutes of training in place of the step."""
    return [{**r, "step": r["seconds"] / 60} for r in records if is_number(r.get("seconds"))]


def distance_charts(figures: dict[str, Result], minutes: bool = False) -> list[Chart]:
    """Figure 10: one chart for digits and one for faces, because their distances do not compare.

    Over steps, or over the minutes of training: a step of the CNN takes longer than one of a transformer.
    """
    charts = []
    for title, names in (("digits", DIGITS), ("faces", ("faces",))):
        courses = {name: c for name in names if (c := course(figures.get(name)))}
        if not courses:
            continue
        first = next(iter(courses.values()))
        lines = []
        for name in courses:
            evals = [r for r in figures[name].records if r["kind"] == "eval"]
            steps, values = logged(over_minutes(evals) if minutes else evals, first.key, above=0)
            if steps.size:
                lines.append(Line(NAMES[name], COLOURS[name], steps, values, dots=True))
        if lines and (floor := first.record.get("floor")):
            ends = np.array([0, max(line.steps[-1] for line in lines)])
            lines.append(Line("real against real", LIGHT["quiet"], ends, np.array([floor, floor]), dashed=True))
        if lines:
            note = "over minutes" if minutes else "lower is better"
            charts.append(Chart(f"Figure 10: {title}, {first.label}", lines, note, log=True))
    return charts


def last_grid(result: Result | None) -> Path | None:
    """The sample grid of the last step; None where there is none."""
    return max(result.directory.glob("samples/step-*.png"), default=None) if result else None


def poster_picture(results: list[Result]) -> bytes | None:
    """Figures 4 to 11 on one sheet, as PNG; None if no run has logged anything."""
    from matplotlib.figure import Figure

    figures = figures_of(results)
    losses, distances = loss_charts(figures), distance_charts(figures)
    if not losses and not distances:
        return None
    sheet = Figure(figsize=(16, 14), dpi=100, facecolor=LIGHT["paper"])
    rows: Any = sheet.subfigures(3, 1, height_ratios=(4.2, 4.4, 5.4))
    top, middle, bottom = rows
    if losses:
        losses[0].title = f"Figures 4 to 6: {losses[0].title}"
    for cells, charts in ((top.subfigures(1, 3), losses), (bottom.subfigures(1, 2), distances)):
        for cell, chart in zip(cells, charts, strict=False):
            draw(cell, chart, last_step(charts))
    panels = middle.subplots(1, len(GRIDS), gridspec_kw={"left": 0.015, "right": 0.985, "wspace": 0.08, "bottom": 0.02})
    for panel, (name, title) in zip(panels, GRIDS.items(), strict=True):
        panel.set_title(title, loc="left", fontsize=13, fontweight="bold", color=LIGHT["ink"], pad=9)
        panel.axis("off")
        show_grid(panel, last_grid(figures.get(name)))
    images = [trained_on(r) for name in (*DIGITS, "faces") if (r := figures.get(name)) and r.config]
    caption = f"Trained on {'; '.join(dict.fromkeys(images))}. No distance here compares with the poster’s FID."
    sheet.text(0.008, 0.008, caption, fontsize=12, color=LIGHT["quiet"])
    return png(sheet)


def show_grid(panel: Any, path: Path | None) -> None:
    """Show a sample grid in matplotlib axes."""
    from PIL import Image

    if path is None:
        panel.text(0.5, 0.5, "not there yet", ha="center", fontsize=13, color=LIGHT["quiet"])
        return
    with Image.open(path) as image:
        panel.imshow(np.asarray(image.convert("RGB")), interpolation="lanczos")


def ablation_picture(results: list[Result]) -> bytes | None:
    """`ablation_figure` as PNG; None if the ablation's first row has not finished."""
    figure = ablation_figure(ablation_rows(results, list(ROWS)))
    return figure and png(figure)


def ablation_figure(rows: list[Row]) -> Any:
    """A row for each change, a dot for each seed: a matplotlib Figure. None if the first row has not finished."""
    from matplotlib.figure import Figure

    rows = [row for row in rows if row.ratios]
    if not rows or rows[0].name != "base":
        return None
    base, high = rows[0], 0.42 * len(rows)
    height = high + 1.5
    figure = Figure(figsize=(11, height), dpi=100, facecolor=LIGHT["paper"])
    axes = figure.add_axes((0.26, 0.75 / height, 0.7, high / height))
    dress(axes)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=LIGHT["grid"])
    axes.axvspan(min(base.ratios), max(base.ratios), color=LIGHT["quiet"], alpha=0.14, linewidth=0)
    for i, row in enumerate(rows):
        colour = VERDICTS.get(row.against(base), LIGHT["ink"])
        heights = i + 0.15 * (np.arange(len(row.ratios)) - (len(row.ratios) - 1) / 2)  # equal dots do not overlap
        axes.scatter(row.ratios, heights, s=70, color=colour, edgecolor=LIGHT["paper"], zorder=3)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(range(len(rows)), [ROWS[row.name][0] for row in rows], color=LIGHT["ink"], fontsize=13)
    logarithmic(axes, "x")
    title = f"{base.label} over the floor after {base.results[0].job.steps:,} steps, a dot for each seed"
    caption = "Grey band: the seeds of the first row. Green and red: all seeds on one side of it. Lower is better."
    figure.text(0.26, 1 - 0.45 / height, title, color=LIGHT["ink"], fontsize=13, fontweight="bold")
    figure.text(0.26, 0.13 / height, caption, color=LIGHT["quiet"], fontsize=11)
    return figure
