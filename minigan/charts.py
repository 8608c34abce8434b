"""How a chart is drawn: by matplotlib, as PNG for a file and as SVG for a page, both from one description.

    charts = [Chart("Loss", [Line("generator", LIGHT["G"], steps, values, smoothed=True)])]
    curves = sheet(charts)        PNG: all of them on one picture
    html = chart_grid(charts)     HTML: one SVG each, side by side, in the colours of a light or a dark page

matplotlib is imported where it is used: `--help` should not wait for it.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

INKS = ("paper", "ink", "quiet", "grid", "D", "G")  # D and G: the networks
LIGHT = dict(zip(INKS, ("#ffffff", "#1c1e21", "#6b7078", "#e6e7ea", "#00808a", "#8a3fb5"), strict=True))
DARK = dict(zip(INKS, ("#1b1d20", "#e8e9eb", "#9a9fa8", "#33363b", "#3cc4cc", "#c58be8"), strict=True))
RUN_COLOURS = {  # by variant, on light and on dark paper: the poster's colours, and green for the CNN
    "vitgan": ("#d62828", "#ff6f66"),
    "vanilla": ("#2563c9", "#76a5ff"),
    "vanilla-paper": ("#5b6bb0", "#a3b0ef"),
    "relu": ("#cc6a00", "#ffab40"),
    "cnn": ("#3a7d44", "#7fce8a"),
}
PALETTE = {  # of runs beside each other: ten that can be told apart, light colour -> dark colour
    "#d62829": "#ff6f67",
    "#2563ca": "#76a5fe",
    "#3a7d45": "#7fce8b",
    "#cc6a01": "#ffab41",
    "#8a3fb6": "#c58be9",
    "#00808b": "#3cc4cd",
    "#c2318f": "#ff8ad0",
    "#7a5c2e": "#cbb07a",
    "#5b6bb1": "#a3b0f0",
    "#4b5563": "#b6bdc8",
}
TWINS = {**{LIGHT[ink]: DARK[ink] for ink in INKS}, **dict(RUN_COLOURS.values()), **PALETTE}  # light -> dark colour

SIZE = (4.8, 3.8)  # of a chart, in inches
LEFT, BOTTOM, WIDE, HIGH = 0.11, 0.13, 0.82, 0.6  # the axes of a chart, as shares of its figure
COLUMNS = 3  # charts side by side on a sheet


def run_colours(variant: Any) -> tuple[str, str]:
    """The colours of a run on light and on dark paper; red for an unknown variant."""
    return RUN_COLOURS.get(variant, RUN_COLOURS["vitgan"])


@dataclass
class Line:
    """One line of a chart.

    label: its name in the legend. colour: its hex colour on light paper. steps, values: float arrays (N,), finite.
    smoothed: draw the moving average, with the raw values faint behind it. spread: (N,), shaded as values ± spread.
    dashed: a thinner, dashed line. dots: a dot at each value.
    """

    label: str
    colour: str
    steps: np.ndarray
    values: np.ndarray
    smoothed: bool = False
    spread: np.ndarray | None = None
    dashed: bool = False
    dots: bool = False

    def bold(self) -> np.ndarray:
        """The values (N,) of the bold line."""
        return smooth(self.values) if self.smoothed else self.values

    def draw(self, axes: Any) -> None:
        """Draw into matplotlib axes."""
        if self.smoothed:
            axes.plot(self.steps, self.values, color=self.colour, linewidth=0.7, alpha=0.3)
        if self.spread is not None:
            low, high = self.values - self.spread, self.values + self.spread
            axes.fill_between(self.steps, low, high, color=self.colour, alpha=0.16, linewidth=0)
        style: dict[str, Any] = {"linewidth": 2, "solid_capstyle": "round"}
        if self.dots:
            style |= {"marker": "o", "markersize": 5, "clip_on": False}
        if self.dashed:
            style |= {"linewidth": 1.5, "linestyle": (0, (5, 4)), "marker": ""}
        axes.plot(self.steps, self.bold(), color=self.colour, label=self.label, **style)

    def extremes(self) -> list[float]:
        """The values that the axis must show. A spike of a smoothed line is not among them."""
        if self.smoothed:
            return [*np.quantile(self.values, [0.01, 0.99]), self.bold()[-1]]
        spread = 0 if self.spread is None else self.spread
        return [(self.values - spread).min(), (self.values + spread).max()]


@dataclass
class Chart:
    """Lines over the steps of a run. log: a logarithmic axis, for positive values. percent: from 0 to 100 %."""

    title: str
    lines: list[Line]
    note: str = ""
    log: bool = False
    percent: bool = False

    @property
    def end(self) -> float:
        """The last step."""
        return max(line.steps[-1] for line in self.lines)

    def draw(self, axes: Any, end: float) -> None:
        """Draw into matplotlib axes that reach from step 0 to step `end`."""
        for line in self.lines:
            line.draw(axes)
        axes.set_xlim(0, end)
        axes.set_ylim(self.limits())
        axes.locator_params(axis="x", nbins=5, integer=True)
        axes.xaxis.set_major_formatter(lambda step, _: f"{step:,.0f}")
        if self.log:
            logarithmic(axes, "y")
        else:
            axes.locator_params(axis="y", nbins=6)
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}" if self.percent else f"{value:,.6g}")

    def limits(self) -> tuple[float, float]:
        """Of the y axis."""
        values = [value for line in self.lines for value in line.extremes()]
        low, high = min(values), max(values)
        if self.log:
            return low / 1.3, high * 1.3
        if self.percent:
            return -0.02, 1.02
        margin = 0.06 * (high - low) or 0.1 * abs(high) or 0.1
        if 0 <= low <= 0.4 * high:
            return 0, high + margin
        return low - margin, high + margin


@dataclass
class Bars:
    """A bar for the share of each class, from 0 to 1, and a dashed line at equal shares."""

    title: str
    shares: list[float]
    colour: str
    note: str = ""

    def draw(self, axes: Any, end: float) -> None:
        """Draw into matplotlib axes; `end` is for charts over steps."""
        classes = range(len(self.shares))
        axes.bar(classes, self.shares, color=self.colour)
        axes.axhline(1 / len(self.shares), color=LIGHT["quiet"], linewidth=1.5, linestyle=(0, (5, 4)))
        axes.set_xticks(classes, [f"{i}\n{100 * share:.1f}" for i, share in enumerate(self.shares)])
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}%")


def draw(figure: Any, chart: Chart | Bars, end: float) -> None:
    """Draw a chart into a matplotlib Figure or SubFigure: title and note, legend, axes."""
    axes = figure.add_axes((LEFT, BOTTOM, WIDE, HIGH))
    dress(axes)
    chart.draw(axes, end)
    figure.text(0.015, 0.965, chart.title, va="top", color=LIGHT["ink"], fontsize=13, fontweight="bold")
    figure.text(LEFT + WIDE, 0.96, chart.note, va="top", ha="right", color=LIGHT["quiet"], fontsize=11)
    if isinstance(chart, Chart):
        legend = {"ncols": 2, "frameon": False, "fontsize": 11, "labelcolor": LIGHT["ink"], "handlelength": 1.5}
        place = {"loc": "upper left", "bbox_to_anchor": (0.015, 0.885), "borderpad": 0, "borderaxespad": 0}
        figure.legend(*axes.get_legend_handles_labels(), **legend, **place, columnspacing=1.2, labelspacing=0.3)


def dress(axes: Any) -> None:
    """Axes with a quiet grid and no frame."""
    axes.set_facecolor("none")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(LIGHT["quiet"])
    axes.grid(axis="y", color=LIGHT["grid"])
    axes.set_axisbelow(True)
    axes.tick_params(colors=LIGHT["quiet"], labelsize=11, length=0, pad=6)


def logarithmic(axes: Any, axis: str) -> None:
    """Make the axis "x" or "y" logarithmic, with round numbers: more of them between two powers if it is short."""
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set(**{f"{axis}scale": "log"})
    low, high = getattr(axes, f"get_{axis}lim")()
    short = abs(math.log10(high / low)) < 1.5
    scale = getattr(axes, f"{axis}axis")
    scale.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7) if short else (1, 3), numticks=20))
    scale.set_minor_locator(NullLocator())
    scale.set_major_formatter(lambda value, _: f"{value:,g}")


def sheet(charts: Sequence[Chart | Bars]) -> bytes:
    """All charts on one picture, row by row, as PNG."""
    from matplotlib.figure import Figure

    columns = min(COLUMNS, max(1, len(charts)))
    rows = max(1, math.ceil(len(charts) / columns))
    figure = Figure(figsize=(SIZE[0] * columns, SIZE[1] * rows), dpi=120, facecolor=LIGHT["paper"])
    if not charts:
        figure.text(0.5, 0.5, "nothing logged yet", ha="center", color=LIGHT["quiet"], fontsize=20)
    cells = figure.subfigures(rows, columns, squeeze=False).flat
    for cell, chart in zip(cells, charts, strict=False):  # the last row may have cells to spare
        draw(cell, chart, last_step(charts))
    return png(figure)


def chart_grid(charts: Sequence[Chart | Bars]) -> str:
    """The HTML of charts side by side. The page's film moves a mark along them, to the step it shows."""
    from matplotlib.figure import Figure

    end, shown = last_step(charts), ""
    for chart in charts:
        figure = Figure(figsize=SIZE)
        draw(figure, chart, end)
        mark = ""
        if isinstance(chart, Chart):
            left = f"calc({LEFT:.0%} + {WIDE:.0%} * var(--step) / {end:g})"
            mark = f'<i class=mark style="left: {left}; top: {1 - BOTTOM - HIGH:.0%}; height: {HIGH:.0%}"></i>'
        shown += f"<figure class=chart>{svg(figure)}{mark}</figure>"
    return shown and f"<div class=charts>{shown}</div>"


def last_step(charts: Sequence[Chart | Bars]) -> float:
    """The last step of all charts, at least 1: they share one x axis."""
    return max([1.0, *(chart.end for chart in charts if isinstance(chart, Chart))])


def png(figure: Any) -> bytes:
    """A matplotlib figure as PNG in 256 colours: a third of the size, and hardly a difference to the eye."""
    from PIL import Image

    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", facecolor=figure.get_facecolor())
    with Image.open(drawn) as image:
        few = image.convert("RGB").quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(small, "PNG", optimize=True)
    return small.getvalue()


def svg(figure: Any) -> str:
    """A matplotlib figure as an <svg> element. Its text stays text; each colour becomes a pair, light and dark."""
    from matplotlib import rc_context

    drawn = io.StringIO()
    none = dict.fromkeys(("Creator", "Date", "Format", "Type"))  # no metadata: the page names no other site
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "minigan", "path.simplify_threshold": 0.5}):
        figure.savefig(drawn, format="svg", facecolor="none", metadata=none)
    text = drawn.getvalue()
    for light, dark in TWINS.items():
        text = text.replace(light, f"light-dark({light}, {dark})")
    return text[text.index("<svg") :]


def smooth(values: np.ndarray) -> np.ndarray:
    """The moving average over a twenty-fifth of the points, (N,) to (N,); at both ends the window is cut off."""
    half = len(values) // 50
    total = np.concatenate([[0.0], np.cumsum(values)])
    centre = np.arange(len(values))
    start, stop = np.maximum(centre - half, 0), np.minimum(centre + half + 1, len(values))
    return (total[stop] - total[start]) / (stop - start)
