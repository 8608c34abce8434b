"""The rows of a record as the lines of a table, and as a page that draws the ratios. The record itself is the JSON."""

import math
from html import escape
from typing import Any

from experiments.bench import METHOD
from minigan.page import render, section

SECTIONS = {
    "overhead": "engine overhead, an op on two elements",
    "step": "a whole training step of both networks",
    "ops": "the hot ops at the shapes of these steps",
    "inception": "Inception features",
    "metrics": "the figures of merit",
    "memory": "peak memory of the steps, beyond the libraries",
    "ranks": "a step by two processes; PyTorch's by two",
}
COLUMNS = {"ours": 10, "plain": 10, "best": 10, "ours/plain": 18, "ours/best": 18, "GFLOP/s": 10, "of peak": 10}
NAME = 46  # the width of the column of names
BUSY = 0.9  # of a core: a process that got less was kept waiting, so its times are marked
STYLE = """<style>
.bench { overflow-x: auto; white-space: nowrap }
.bench :is(th, td):not(:first-child) { padding: 5px 0 5px 20px; text-align: right }
</style>"""
COLOURS = {"plain": "#3b7ddd", "best": "#e5484d"}  # to be read on white and on dark paper


def heading(row: dict[str, Any]) -> str:
    return f"\n{SECTIONS[row['section']]:<{NAME}}" + "".join(f"{title:>{width}}" for title, width in COLUMNS.items())


def line(row: dict[str, Any], peak: float) -> str:
    """A line of the table. `peak`: operations a second."""
    texts = "".join(f"{text:>{COLUMNS[title]}}" for title, text in cells(row, peak).items())
    return f"{row['name']:<{NAME}}{texts}  {note(row)}".rstrip()


def cells(row: dict[str, Any], peak: float) -> dict[str, str]:
    """The texts of a row by column; none where the results differ, as there is neither time nor ratio."""
    if row["differs"]:
        return {}
    texts = dict.fromkeys(COLUMNS, "–") | {"GFLOP/s": "", "of peak": ""}
    texts |= {kind: value(x, row["unit"]) for kind, x in row["median"].items()}
    for kind, (median, low, high) in row["ratio"].items():
        texts[f"ours/{kind}"] = f"{median:.2f}" if row["unit"] == "MiB" else f"{median:.2f} ({low:.2f}–{high:.2f})"
    if row["flops"] and row["section"] != "overhead":
        speed = row["flops"] / row["median"]["ours"]
        texts |= {"GFLOP/s": f"{speed / 1e9:.3g}", "of peak": f"{speed / peak:.0%}"}
    return texts


def value(x: float, unit: str) -> str:
    if unit != "s":
        return f"{x:.0f} MiB" if unit == "MiB" else f"{1 / x:.3g}/s"
    size, name = (1, "s") if x >= 1 else (1e-3, "ms") if x >= 1e-3 else (1e-6, "µs")
    return f"{x / size:.3g} {name}" if x < 100 * size else f"{x / size:,.0f} {name}"


def note(row: dict[str, Any]) -> str:
    if row.get("failed"):
        return f"failed: {row['differs']}"
    if row["differs"]:
        return f"results differ, so nothing is compared: {row['differs']}"
    return "busy" if row["processor share"] < BUSY else row["note"]


def chart(row: dict[str, Any]) -> str:
    """The ratios of a row on a logarithmic axis from ¼ to 4, as SVG: a dot for the median, a bar over the quartiles."""
    drawn = '<path d="M0-9V9M-60-9V9M60-9V9" stroke="#808893" stroke-width=".6"/>'  # 1, ½ and 2
    for i, (kind, ratio) in enumerate(row["ratio"].items()):
        x, low, high = (max(-120, min(120, 60 * math.log2(r))) for r in ratio)
        y = 6 * i - 3 * (len(row["ratio"]) - 1)
        drawn += f'<path d="M{low:.1f} {y}H{high:.1f}" stroke="{COLOURS[kind]}" stroke-width="2"/>'
        drawn += f'<circle cx="{x:.1f}" cy="{y}" r="3" fill="{COLOURS[kind]}"/>'
    return drawn


def page(record: dict[str, Any]) -> str:
    """The ratios of the training steps in a sentence, the table with a chart in each row, and how it was measured."""
    steps = [row for row in record["rows"] if row["section"] == "step" and row["ratio"]]
    ratios = (", ".join(f"{r[0]:.2f} ({kind})" for kind, r in row["ratio"].items()) for row in steps)
    verdict = "; ".join(f"{row['name']}: {text}" for row, text in zip(steps, ratios, strict=True))
    verdict = f"Our time for a training step over PyTorch’s: {verdict}." if steps else "Our time over PyTorch’s."
    verdict = verdict if record["machine"]["torch"] else "PyTorch is not installed, so our side was measured alone."
    titles = [f'<th style="color: {COLOURS.get(t.removeprefix("ours/"), "")}">{t}' for t in COLUMNS]
    svg = '<svg viewBox="-125 -9 250 18" width=250 height=18 fill=currentColor font-size=12 text-anchor=middle>'
    axis = f'{svg}<text x="-60" y="4">½</text><text y="4">1</text><text x="60" y="4">2</text></svg>'
    lines, before = [], ""
    for row in record["rows"]:
        if row["section"] != before:
            lines.append(f"<tr><th><b>{SECTIONS[row['section']]}</b><th>{axis}{''.join(titles)}<th>")
        before, texts = row["section"], cells(row, 1e9 * record["machine"]["peak GFLOP/s"])
        columns = "".join(f"<td>{texts[title]}" for title in COLUMNS) + "<td>" if texts else "<td colspan=8>"
        lines.append(f"<tr><th>{row['name']}<td>{svg}{chart(row)}</svg>{columns}{escape(note(row))}")
    machine = ", ".join(f"{k} {v}" for k, v in record["machine"].items() if v is not None)
    body = (
        f"<header><p class=eyebrow>minigan · {record['when']}</p><h1>Beside PyTorch</h1>"
        f"<p class=verdict>{verdict}</p></header>{STYLE}"
        + section("Our time over PyTorch’s", f"<div class=bench><table>{''.join(lines)}</table></div>")
        + section("How", f"<pre>{escape(record['command'])}\n{escape(machine)}\n\n{escape(METHOD)}</pre>")
    )
    return render("Beside PyTorch", body, (COLOURS["best"], COLOURS["best"]))
