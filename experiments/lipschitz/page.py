"""The page: the distances by rate, what separates, the other games, and what D is like inside."""

import math
import statistics
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

import experiments.poster
from experiments.lipschitz.plan import GAMES, KINDS, Cell, Size, by_chance, claims, final, is_whole, row, span, verdict
from experiments.parts.jobs import Result
from experiments.poster.page import made, missing
from experiments.poster.tables import data_name, table
from minigan.charts import LIGHT, PALETTE, Chart, Line, chart_grid, dress, logarithmic, run_colours, svg
from minigan.curves import logged
from minigan.numbers import number
from minigan.page import render, section

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
        section("The slope of D at images", slopes(results, [(f"{x} ×", "default", x) for x in size.rates])),
        section("Without gradient penalty", others(results, size)),
        section(f"Inside D, at {rate} × its rate", inside(results, rate) if rate else "", "two"),
        section("How this page was made", made(list(results.values()), command)),
    ]
    return render("What the Lipschitz tools are for", "\n".join(body), run_colours("vitgan"))


def header(results: Results, size: Size) -> str:
    """What is trained, how much of it is there, and what separates."""
    finished = [r for r in results.values() if r.status == "finished"]
    going = [r for r in results.values() if r.status not in ("finished", "diverged")]
    diverged = len(results) - len(finished) - len(going)
    begun = next((r for r in results.values() if r.config), None)
    said = claims(results, size)
    found = "".join(f"<li>{escape(sentence)}</li>" for sentence in said)
    claimed = f"<p>{nothing(results, size)}</p>"
    if said:
        claimed = f"All seeds of a tool lie on one side of all seeds of the plain D:<ul>{found}</ul>"
    chance = f"<p class=quiet>{words}</p>" if (words := by_chance(results, size)) else ""
    state = f"<p class=state>{missing(going)}</p>" if going else ""
    ended = f"{len(finished)} of {len(results)} runs finished" + (f", {diverged} diverged" if diverged else "")
    return (
        f"<header><p class=eyebrow>minigan · {ended}</p>"
        "<h1>What the Lipschitz tools are for</h1>"
        "<p class=lead>One generator against five discriminators: plain, with L2 attention, with improved spectral "
        "norm (ISN), with both, and with a bound on σ beside L2 attention. Trained on "
        f"{data_name(begun)}, for {size.steps:,} steps of Adam at width {size.width}, {size.seeds} "
        f"{'seed' if size.seeds == 1 else 'seeds'} each.</p><div class=verdict>{claimed}{chance}</div>{state}</header>"
    )


def nothing(results: Results, size: Size) -> str:
    """The sentence of a page without a claim."""
    if size.seeds == 1:
        return "Nothing is claimed: one seed of each D separates nothing."
    plain = [row(results, game, rate, "plain") for game in size.games for rate in size.rates]
    if any(is_whole(cell) for cell in plain):
        return "No tool’s seeds separate from those of the plain D, in any cell that is complete."
    return "Nothing is claimed: no cell of the plain D has all of its seeds yet."


def cell_text(cell: Cell, plain: Cell) -> str:
    """The mean over the seeds, their range, and the mark of the verdict against the plain D.

    Where seeds diverged there is no mean: how many did, and the range of the others.
    """
    seeds, mark = len(cell.results), MARKS[verdict(cell, plain)]
    if not cell.ratios:
        failed = sum(r.status == "failed" for r in cell.results)
        return f"–<small>{failed} of {seeds} seeds failed</small>" if failed else "–"
    of = "" if len(cell.ratios) == seeds else f", {len(cell.ratios)} of {seeds} seeds"
    if not cell.finite:
        return f"{mark}diverged<small>{cell.diverged} of {seeds} seeds</small>"
    if cell.diverged:
        return f"{mark}{cell.diverged} of {seeds} diverged<small>{span(cell)} ×{of}</small>"
    return f"{mark}{number(statistics.fmean(cell.finite))} ×<small>{span(cell)}{of}</small>"


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
        "are missing. A seed diverged if a loss or the norm of a gradient was no longer a finite number: that is worse "
        "than any distance.</p>"
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
    about = (
        f"<p class=quiet>At {rate} × D’s rate, which is {rates}. The marks mean what they mean in the table above.</p>"
    )
    return table("numbers", head, body) + about + slopes(results, [(GAMES[game].title, game, rate) for game in games])


def slopes(results: Results, columns: list[tuple[str, str, int]]) -> str:
    """‖∇D‖ at real and at generated images after the last step; columns: their titles, games and rates."""
    if not any(final(row(results, game, rate, k), "slope_real") for _, game, rate in columns for k in KINDS):
        return ""
    head = [["<td></td>", *(f"<th>{escape(title)}<small>real / generated</small></th>" for title, _, _ in columns)]]
    body = []
    for kind, (name, _) in KINDS.items():
        cells = []
        for _, game, rate in columns:
            found = [final(row(results, game, rate, kind), f"slope_{where}") for where in ("real", "fake")]
            cells.append(" / ".join(number(statistics.fmean(v)) or "–" if v else "–" for v in found))
        body.append(("", [f"<th scope=row>{name}</th>", *(f"<td>{cell}</td>" for cell in cells)]))
    return table("numbers", head, body) + (
        "<p class=quiet>The length of D’s gradient at an image, its mean over 100 real and 100 generated images after "
        "the last step, and over the finished seeds.</p>"
    )


def shown_rate(results: Results, size: Size) -> int:
    """The rate whose layers are shown: the largest at which each D has a finished seed; 0 if there is none."""
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


def layers(cell: Cell) -> list[str]:
    """The names of the layers, in their order in the network."""
    measured = [r for result in cell.results for r in result.records if r["kind"] == "spectra"]
    return [key.removeprefix("rank ") for key in (measured[0] if measured else {}) if key.startswith("rank ")]


def charts(cells: dict[str, Cell], keys: dict[str, str]) -> list[Chart]:
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
    """A line for each D over the rates, a dot for each seed. A cross at the top counts diverged seeds.

    A matplotlib Figure; None before the first distance.
    """
    from matplotlib.figure import Figure

    cells = {(kind, x): row(results, "default", x, kind) for kind in KINDS for x in size.rates}
    if "default" not in size.games or not any(cell.finite for cell in cells.values()):
        return None
    figure = Figure(figsize=(11, 5.6), dpi=100, facecolor=LIGHT["paper"])
    axes = figure.add_axes((0.07, 0.12, 0.9, 0.72))
    dress(axes)
    top = axes.get_xaxis_transform()  # heights from 0 at the bottom to 1 at the top
    for i, (kind, colour) in enumerate(COLOURS.items()):
        places = [k + 0.07 * (i - 2) for k in range(len(size.rates))]  # beside each other, so that dots do not overlap
        of_kind = [(place, cells[kind, x]) for place, x in zip(places, size.rates, strict=True)]
        means = [math.nan if c.diverged or not c.finite else statistics.fmean(c.finite) for _, c in of_kind]
        axes.plot(places, means, color=colour, linewidth=1.5, label=KINDS[kind][0])  # broken where there is no mean
        for place, cell in of_kind:
            dots = [place] * len(cell.finite)
            axes.scatter(dots, cell.finite, s=44, color=colour, edgecolor=LIGHT["paper"], zorder=3)
            if cell.diverged:
                axes.scatter([place], [0.97], s=50, marker="x", color=colour, transform=top)
                axes.text(place, 0.91, str(cell.diverged), color=colour, ha="center", va="center", transform=top)
    axes.set_xticks(range(len(size.rates)), [f"{x} ×" for x in size.rates], color=LIGHT["ink"], fontsize=12)
    axes.set_xlim(-0.5, len(size.rates) - 0.5)
    logarithmic(axes, "y")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * (high / low) ** 0.12)  # room for the crosses
    axes.legend(frameon=False, ncols=len(KINDS), loc="lower left", bbox_to_anchor=(0, 1), labelcolor=LIGHT["ink"])
    label = next(cell.label for cell in cells.values() if cell.finite)
    title = f"{label} over the floor by D’s learning rate, after {size.steps:,} steps at width {size.width}"
    figure.text(0.07, 0.94, title, color=LIGHT["ink"], fontsize=13, fontweight="bold")
    about = "A dot for each seed, a line through their means. Lower is better."
    if any(cell.diverged for cell in cells.values()):
        about += " The number below a cross says how many seeds diverged."
    figure.text(0.07, 0.02, about, color=LIGHT["quiet"])
    return figure
