"""The page: the distances by rate, what separates, the other games, and what D is like inside."""

import statistics
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

import experiments.poster
from experiments.lipschitz.plan import GAMES, KINDS, Size, claims, final, is_whole, row, verdict
from experiments.poster.numbers import Row
from experiments.poster.page import made, missing
from experiments.poster.runs import Result
from experiments.poster.tables import data_name, table
from minigan.charts import LIGHT, PALETTE, Chart, Line, chart_grid, dress, logarithmic, run_colours, svg
from minigan.curves import logged
from minigan.page import render, section
from minigan.page.pieces import number

Results = dict[str, Result]
COLOURS = dict(zip(KINDS, PALETTE, strict=False))
MARKS = {"better": "↓ ", "worse": "↑ ", "within": "≈ ", "": ""}


def page(results: Results, size: Size, command: str) -> str:
    """The whole page as HTML."""
    figure = rates_figure(results, size)
    drawn = f"<figure class='chart dots'>{svg(figure)}</figure>" if figure else ""
    css = (Path(experiments.poster.__file__).parent / "page.css").read_text(encoding="utf-8")
    rate = shown_rate(results, size)
    body = [
        f"<style>\n{css}</style>",
        header(results, size),
        section(
            "The distance by D’s learning rate", drawn + distances(results, size) if "default" in size.games else ""
        ),
        section("Without gradient penalty", others(results, size)),
        section("The slope of D at images", slopes(results, size)),
        section(f"Inside D, at {rate} × its rate", inside(results, rate) if rate else "", "two"),
        section("How this page was made", made(list(results.values()), command)),
    ]
    return render("What the Lipschitz tools are for", "\n".join(body), run_colours("vitgan"))


def header(results: Results, size: Size) -> str:
    """What is trained, how much of it is there, and what separates."""
    finished = [r for r in results.values() if r.status == "finished"]
    said = claims(results, size)
    found = "".join(f"<li>{escape(sentence)}</li>" for sentence in said)
    verdict = f"Seeds separate from the plain D here:<ul>{found}</ul>" if said else nothing(results, size)
    state = "" if len(finished) == len(results) else f"<p class=state>{missing(list(results.values()))}</p>"
    return (
        f"<header><p class=eyebrow>minigan · {len(finished)} of {len(results)} cells finished</p>"
        "<h1>What the Lipschitz tools are for</h1>"
        "<p class=lead>One generator against five discriminators: plain, with L2 attention, with improved spectral "
        "norm (ISN), with both, and with a bound on σ beside L2 attention. Trained on "
        f"{data_name(finished[0] if finished else None)} for {size.steps:,} steps at width {size.width}, {size.seeds} "
        f"seeds each.</p><div class=verdict>{verdict}</div>{state}</header>"
    )


def nothing(results: Results, size: Size) -> str:
    """The sentence of a page without a claim."""
    plain = [row(results, game, rate, "plain") for game in size.games for rate in size.rates]
    if any(is_whole(cell) for cell in plain):
        return "No tool’s seeds separate from those of the plain D, in any cell that is complete."
    return "Nothing is claimed: no cell of the plain D has all of its seeds yet."


def cell_text(cell: Row, plain: Row) -> str:
    """The mean over the seeds, their range, and the mark of the verdict against the plain D."""
    if not cell.ratios:
        failed = sum(r.status == "failed" for r in cell.results)
        return f"–<small>{failed} of {len(cell.results)} seeds failed</small>" if failed else "–"
    of = "" if len(cell.ratios) == len(cell.results) else f", {len(cell.ratios)} of {len(cell.results)} seeds"
    mark = MARKS[verdict(cell, plain)]
    low, high = number(min(cell.ratios)), number(max(cell.ratios))
    return f"{mark}{number(statistics.fmean(cell.ratios))} ×<small>{low} to {high}{of}</small>"


def distances(results: Results, size: Size) -> str:
    """A row for each D, a column for each rate."""
    head = [["<td></td>", *(f"<th>{rate} ×</th>" for rate in size.rates)]]
    body = []
    for kind, (name, _) in KINDS.items():
        cells = [cell_text(row(results, "default", x, kind), row(results, "default", x, "plain")) for x in size.rates]
        body.append(("", [f"<th scope=row>{name}</th>", *(f"<td>{cell}</td>" for cell in cells)]))
    return table("numbers", head, body) + (
        "<p class=quiet>The distance over that between two sets of real images: the mean over the seeds, and their "
        "range. ↓ all seeds are below all of the plain D at that rate, ↑ above, ≈ they overlap; no mark where seeds "
        "are missing. Three seeds lie all below or all above three others by chance once in ten times.</p>"
    )


def others(results: Results, size: Size) -> str:
    """The games without penalty, at the first rate."""
    games, rate = [g for g in size.games if g != "default"], size.rates[0]
    if not games or not any(row(results, g, rate, k).ratios for g in games for k in KINDS):
        return ""
    rates = " and ".join(f"{rate * GAMES[game].d_lr:g} with {escape(GAMES[game].title)}" for game in games)
    head = [["<td></td>", *(f"<th>{escape(GAMES[game].title)}</th>" for game in games)]]
    body = []
    for kind, (name, _) in KINDS.items():
        cells = [cell_text(row(results, g, rate, kind), row(results, g, rate, "plain")) for g in games]
        body.append(("", [f"<th scope=row>{name}</th>", *(f"<td>{cell}</td>" for cell in cells)]))
    return table("numbers", head, body) + (f"<p class=quiet>At {rate} × D’s rate, which is {rates}.</p>")


def slopes(results: Results, size: Size) -> str:
    """‖∇D‖ at real and at generated images after the last step, by rate."""
    if not any(final(row(results, "default", x, k), "slope_real") for x in size.rates for k in KINDS):
        return ""
    head = [["<td></td>", *(f"<th>{rate} ×<small>real / generated</small></th>" for rate in size.rates)]]
    body = []
    for kind, (name, _) in KINDS.items():
        cells = []
        for rate in size.rates:
            found = [final(row(results, "default", rate, kind), f"slope_{where}") for where in ("real", "fake")]
            cells.append(" / ".join(number(statistics.fmean(v)) or "–" if v else "–" for v in found))
        body.append(("", [f"<th scope=row>{name}</th>", *(f"<td>{cell}</td>" for cell in cells)]))
    return table("numbers", head, body) + (
        "<p class=quiet>The length of D’s gradient at an image, its mean over 100 real and 100 generated images after "
        "the last step, and over the finished seeds.</p>"
    )


def shown_rate(results: Results, size: Size) -> int:
    """The rate whose layers are shown: the largest at which each D has a finished cell; 0 if there is none."""
    whole = [x for x in size.rates if all(final(row(results, "default", x, k), "slope_real") for k in KINDS)]
    return max(whole, default=0)


def inside(results: Results, rate: int) -> str:
    """The course of slope, and of stable rank and σ of every layer, a line for each D: the mean over the seeds."""
    cells = {kind: row(results, "default", rate, kind) for kind in KINDS}
    names = layers(cells["plain"])
    slope = charts(cells, {"slope_real": "slope at real images", "slope_fake": "slope at generated images"})
    ranks = charts(cells, {f"rank {name}": f"stable rank, {name}" for name in names})
    sigmas = charts(cells, {f"sigma {name}": f"σ, {name}" for name in names})
    return (
        "<p>Means over the finished seeds, over the steps; shaded, their standard deviation. The stable rank "
        "‖W‖²/σ² says how many directions a map really has; weights are taken as they are applied, after the "
        f"spectral norm. L2 attention shares one map for queries and keys.</p>{chart_grid(slope)}"
        f"<details><summary>Stable rank of all {len(names)} layers</summary>{chart_grid(ranks)}</details>"
        f"<details><summary>σ of all {len(names)} layers</summary>{chart_grid(sigmas)}</details>"
    )


def layers(cell: Row) -> list[str]:
    """The names of the layers, in their order in the network."""
    measured = [r for result in cell.results for r in result.records if r["kind"] == "spectra"]
    return [key.removeprefix("rank ") for key in (measured[0] if measured else {}) if key.startswith("rank ")]


def charts(cells: dict[str, Row], keys: dict[str, str]) -> list[Chart]:
    """A chart for each key of the "spectra" records."""
    drawn = []
    for key, title in keys.items():
        lines = []
        for kind, cell in cells.items():
            seeds = [r for r in cell.results if r.status == "finished"]
            runs = [logged([s for s in r.records if s["kind"] == "spectra"], key) for r in seeds]
            runs = [(steps, values) for steps, values in runs if steps.size]
            if runs and all(np.array_equal(steps, runs[0][0]) for steps, _ in runs):
                values = np.array([v for _, v in runs])
                spread = values.std(0) if len(runs) > 1 else None
                lines.append(Line(KINDS[kind][0], COLOURS[kind], runs[0][0], values.mean(0), spread=spread))
        if lines:
            drawn.append(Chart(title, lines))
    return drawn


def rates_figure(results: Results, size: Size) -> Any:
    """A line for each D over the rates, a dot for each seed: a matplotlib Figure; None before the first cell."""
    from matplotlib.figure import Figure

    cells = {(kind, x): row(results, "default", x, kind) for kind in KINDS for x in size.rates}
    if "default" not in size.games or not any(cell.ratios for cell in cells.values()):
        return None
    figure = Figure(figsize=(11, 5.6), dpi=100, facecolor=LIGHT["paper"])
    axes = figure.add_axes((0.07, 0.12, 0.9, 0.74))
    dress(axes)
    for i, (kind, colour) in enumerate(COLOURS.items()):
        shown = [x for x in size.rates if cells[kind, x].ratios]
        places = [size.rates.index(x) + 0.07 * (i - 2) for x in shown]  # beside each other, so that dots do not overlap
        means = [statistics.fmean(cells[kind, x].ratios) for x in shown]
        axes.plot(places, means, color=colour, linewidth=1.5, label=KINDS[kind][0])
        for place, x in zip(places, shown, strict=True):
            ratios = cells[kind, x].ratios
            axes.scatter([place] * len(ratios), ratios, s=44, color=colour, edgecolor=LIGHT["paper"], zorder=3)
    axes.set_xticks(range(len(size.rates)), [f"{x} ×" for x in size.rates], color=LIGHT["ink"], fontsize=12)
    axes.set_xlim(-0.5, len(size.rates) - 0.5)
    logarithmic(axes, "y")
    axes.legend(frameon=False, ncols=len(KINDS), loc="upper left", labelcolor=LIGHT["ink"])
    label = next(cell.label for cell in cells.values() if cell.ratios)
    title = f"{label} over the floor by D’s learning rate, after {size.steps:,} steps at width {size.width}"
    figure.text(0.07, 0.93, title, color=LIGHT["ink"], fontsize=13, fontweight="bold")
    figure.text(0.07, 0.02, "A dot for each seed, a line through their means. Lower is better.", color=LIGHT["quiet"])
    return figure
