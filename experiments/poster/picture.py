"""The page as two pictures, for where HTML is not shown: the poster's figures, and the ablation."""

import io

import numpy as np

from experiments.poster.numbers import ablation_rows, course
from experiments.poster.page import COLOURS, DIGITS, LOSSES, last_grid, loss_records
from experiments.poster.runs import Result
from experiments.poster.tables import NAMES, ROWS, trained_on
from minigan.curves import LIGHT, logged, smooth

WIDTH, DPI = 16.0, 100  # inches, and pixels in one
GRIDS = [("vanilla", "Figure 7: vanilla ViT"), ("vitgan", "Figure 8: full ViTGAN"), ("cnn", "Figure 9: CNN")]
GRIDS += [("faces", "Figure 11: full ViTGAN, faces")]
BETTER, WORSE = "#23804d", "#d62828"


def poster_picture(results: list[Result]) -> bytes | None:
    """Figures 4 to 11 on one sheet, as PNG; None if no run has logged anything."""
    from matplotlib.figure import Figure
    from PIL import Image

    figures = {r.job.name.removeprefix("figures/"): r for r in results if r.job.name.startswith("figures/")}
    if not any(r.records for r in figures.values()):
        return None
    height = 14.0
    sheet = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor=LIGHT["paper"])

    def axes(left: float, top: float, wide: float, high: float):
        """In inches from the upper left corner."""
        return sheet.add_axes((left / WIDTH, 1 - (top + high) / height, wide / WIDTH, high / height))

    for i, (title, key) in enumerate(LOSSES.items()):
        panel = axes(0.7 + 5.2 * i, 0.5, 4.5, 3.0)
        dress(panel, f"Figures 4 to 6: {title}" if i == 0 else title)
        low, high = np.inf, -np.inf
        for name in ("vitgan", "vanilla", "relu"):
            steps, values = logged(loss_records(figures.get(name)), key)
            if len(steps):
                panel.plot(steps, values, color=COLOURS[name][0], linewidth=0.7, alpha=0.25)
                panel.plot(steps, smooth(values), color=COLOURS[name][0], linewidth=2.2, label=NAMES[name])
                ends = np.quantile(values, [0.01, 0.99])
                low, high = min(low, ends[0]), max(high, ends[1])
        if high > low:
            panel.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))
        if i == 1 and high > low:
            legend(panel)

    for i, (name, title) in enumerate(GRIDS):
        panel = axes(0.35 + 3.9 * i, 4.6, 3.6, 3.6)
        panel.set_title(title, loc="left", fontsize=14, fontweight="bold", color=LIGHT["ink"], pad=9)
        panel.axis("off")
        result = figures.get(name)
        path = last_grid(result) if result else None
        if path:
            with Image.open(path) as image:
                panel.imshow(np.asarray(image.convert("RGB")), interpolation="lanczos")
        else:
            panel.text(0.5, 0.5, "not there yet", ha="center", fontsize=13, color=LIGHT["quiet"])

    for i, (title, names) in enumerate((("Digits", DIGITS), ("Faces", ("faces",)))):
        panel = axes(0.7 + 7.8 * i, 8.85, 7.1, 4.0)
        courses = {name: c for name in names if (c := course(figures.get(name)))}
        first = next(iter(courses.values()), None)
        dress(panel, f"Figure 10: {title.lower()}, {first.label if first else 'not there yet'}")
        if first is None:
            continue
        for name in courses:
            steps, values = logged([r for r in figures[name].records if r["kind"] == "eval"], first.key, above=0)
            panel.plot(
                steps, values, color=COLOURS[name][0], linewidth=2.2, marker="o", markersize=5, label=NAMES[name]
            )
        if floor := first.record.get("floor"):
            panel.axhline(floor, color=LIGHT["quiet"], linewidth=1.6, linestyle=(0, (5, 4)), label="real against real")
        logarithmic(panel)
        legend(panel)
    said = [trained_on(r) for name in (*DIGITS, "faces") if (r := figures.get(name)) and r.config]
    caption = f"Trained on {'; '.join(dict.fromkeys(said))}. No distance here compares with the poster’s FID."
    sheet.text(0.7 / WIDTH, 0.2 / height, caption, fontsize=12, color=LIGHT["quiet"])
    return png(sheet)


def ablation_picture(results: list[Result]) -> bytes | None:
    """The dots of the ablation as PNG; None if none of its runs has finished."""
    from matplotlib.figure import Figure

    rows = [row for row in ablation_rows(results, list(ROWS)) if row.ratios]
    if not rows or rows[0].name != "base":
        return None
    base = rows[0]
    high = 0.42 * len(rows)
    height = high + 1.6
    sheet = Figure(figsize=(11, height), dpi=DPI, facecolor=LIGHT["paper"])
    panel = sheet.add_axes((2.9 / 11, 0.75 / height, 7.6 / 11, high / height))
    label, steps = base.label, base.results[0].job.steps
    dress(panel, f"{label} over the floor after {steps:,} steps, a dot a seed", "")
    panel.grid(axis="y", visible=False)
    panel.grid(axis="x", color=LIGHT["grid"])
    panel.axvspan(min(base.ratios), max(base.ratios), color=LIGHT["quiet"], alpha=0.14, linewidth=0)
    for i, row in enumerate(rows):
        colour = {"better": BETTER, "worse": WORSE, "within": LIGHT["quiet"], "": LIGHT["ink"]}[row.against(base)]
        heights = i + 0.15 * (np.arange(len(row.ratios)) - (len(row.ratios) - 1) / 2)  # equal dots stay three
        panel.scatter(row.ratios, heights, s=70, color=colour, edgecolor=LIGHT["paper"], zorder=3)
    panel.set_ylim(len(rows) - 0.4, -0.6)
    panel.set_yticks(range(len(rows)), [ROWS[row.name][0] for row in rows], color=LIGHT["ink"], fontsize=13)
    logarithmic(panel, "x")
    caption = "Grey band: the seeds of the first row. Green and red: all seeds on one side of it. Lower is better."
    sheet.text(2.9 / 11, 0.13 / height, caption, fontsize=11.5, color=LIGHT["quiet"])
    return png(sheet)


def dress(panel, title: str, label: str = "step") -> None:
    panel.set_title(title, loc="left", fontsize=14, fontweight="bold", color=LIGHT["ink"], pad=9)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.spines["bottom"].set_color(LIGHT["quiet"])
    panel.grid(axis="y", color=LIGHT["grid"])
    panel.set_axisbelow(True)
    panel.tick_params(colors=LIGHT["quiet"], labelsize=12, length=0, pad=6)
    panel.locator_params(axis="x", nbins=5, integer=True)
    panel.xaxis.set_major_formatter(lambda step, _: f"{step:,.0f}")
    panel.set_xlabel(label, color=LIGHT["quiet"], fontsize=12)


def logarithmic(panel, axis: str = "y") -> None:
    """Round numbers on a logarithmic axis, enough of them where it is short."""
    from matplotlib.ticker import LogLocator, NullLocator

    panel.set(**{f"{axis}scale": "log"})
    low, high = getattr(panel, f"get_{axis}lim")()
    decades = abs(np.log10(high / low))
    scale = getattr(panel, f"{axis}axis")
    scale.set_major_locator(LogLocator(subs=(1, 3) if decades > 1.5 else (1, 2, 3, 5, 7), numticks=20))
    scale.set_minor_locator(NullLocator())
    scale.set_major_formatter(lambda value, _: f"{value:,g}")


def legend(panel) -> None:
    panel.legend(frameon=False, fontsize=12, labelcolor=LIGHT["ink"], loc="upper right")


def png(sheet) -> bytes:
    """In 256 colours, a third of the size and to the eye the same."""
    from PIL import Image

    drawn, small = io.BytesIO(), io.BytesIO()
    sheet.savefig(drawn, format="png", facecolor=sheet.get_facecolor())
    Image.open(drawn).convert("RGB").quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
        small, "PNG", optimize=True
    )
    return small.getvalue()
