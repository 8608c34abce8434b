"""The measurements as a picture and as a page: how our time stands to PyTorch's, thing by thing."""

import io
from html import escape
from typing import Any

from experiments.bench.show import TITLES
from minigan.charts import DARK, LIGHT
from minigan.page import data_uri, render, section
from minigan.page.pieces import plain

COLOURS = {"plain": ("#2563c9", "#76a5ff"), "best": ("#d62828", "#ff6f66")}  # on white and on dark paper
NAMES = {"plain": "plain PyTorch", "best": "best PyTorch"}
SHARE = 0.28  # of the picture, for the names


def rows_of(record: dict[str, Any]) -> list[tuple[str, str, dict[str, tuple[float, float, float]]]]:
    """(group, name, {kind: (ratio, quartiles)}) of what has a ratio, memory among it."""
    rows = []
    for m in record["measured"]:
        ratios = {k: (r["median"], *r["quartiles"]) for k, r in m["ratio"].items()}
        if ratios:
            rows.append((m["group"], m["name"], ratios))
    for name, sides in record["memory"].items():
        ours = sides["ours"]["step"]
        of = {k: ours / s["step"] for k, s in sides.items() if k != "ours" and s["step"] > 0}
        if of:
            rows.append(("memory", name, {k: (r, r, r) for k, r in of.items()}))
    return rows


def picture(record: dict[str, Any], dark: bool = False) -> bytes | None:
    """A PNG: a dot for every ratio, a bar over its quartiles, a logarithmic axis; None where there is no ratio."""
    from matplotlib.figure import Figure

    rows = rows_of(record)
    if not rows:
        return None
    look = DARK if dark else LIGHT
    groups = [g for g in TITLES if any(row[0] == g for row in rows)]
    lines = len(rows) + 1.6 * len(groups)
    height = 0.29 * lines + 1.1
    sheet = Figure(figsize=(12, height), dpi=100, facecolor=look["paper"])
    axes = sheet.add_axes((SHARE, 0.55 / height, 0.97 - SHARE, 1 - 1.0 / height), facecolor=look["paper"])
    y, ticks = 0.0, []
    for group in groups:
        y += 1.6
        axes.text(
            -(SHARE - 0.012) / (0.97 - SHARE),
            y - 0.75,
            TITLES[group],
            transform=axes.get_yaxis_transform(),
            color=look["ink"],
            fontweight="bold",
            fontsize=11,
            va="center",
        )
        for _, name, ratios in (row for row in rows if row[0] == group):
            ticks.append((y, name))
            for i, (kind, (median, low, high)) in enumerate(ratios.items()):
                at, colour = y + (0.16 * (2 * i - 1) if len(ratios) > 1 else 0), COLOURS[kind][dark]
                axes.plot([low, high], [at, at], color=colour, linewidth=2.4, solid_capstyle="round", alpha=0.55)
                axes.plot([median], [at], "o", color=colour, markersize=5.5)
            y += 1
    axes.set_ylim(y, 0)
    axes.set_yticks([at for at, _ in ticks], [name for _, name in ticks], fontsize=9, color=look["ink"])
    axes.set_xscale("log")
    shown = [v for _, _, ratios in rows for r in ratios.values() for v in r]
    axes.set_xlim(min(0.45, min(shown) * 0.9), max(2.2, max(shown) * 1.1))
    marks = [m for m in (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20) if axes.get_xlim()[0] <= m]
    marks = [m for m in marks if m <= axes.get_xlim()[1]]
    axes.set_xticks(marks, [f"{m:g}" for m in marks], color=look["quiet"])
    axes.set_xticks([], minor=True)
    axes.grid(axis="x", color=look["grid"], linewidth=0.8)
    axes.axvline(1, color=look["ink"], linewidth=1.4)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_axisbelow(True)
    for i, kind in enumerate(k for k in COLOURS if any(k in row[2] for row in rows)):
        words = f"● ours / {NAMES[kind]}"
        sheet.text(SHARE + 0.24 * i, 1 - 0.3 / height, words, color=COLOURS[kind][dark], fontsize=11, va="center")
    sheet.text(
        0.97, 1 - 0.3 / height, "left of 1: we are faster, or smaller", color=look["quiet"], ha="right", va="center"
    )
    buffer = io.BytesIO()
    sheet.savefig(buffer, format="png", facecolor=look["paper"])
    return buffer.getvalue()


def page(record: dict[str, Any], printed: str) -> str:
    """The page: what stands to what, the picture, the table as it was printed, the machine and the command."""
    facts = " · ".join(f"{escape(k)} {escape(plain(v))}" for k, v in record["machine"].items())
    verdict = escape(summary(record))
    pictures = [picture(record, dark) for dark in (False, True)]
    drawn = ""
    if pictures[0] and pictures[1]:
        light, dark = (data_uri(p) for p in pictures if p)
        drawn = (
            f'<picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
            f'<img src="{light}" alt="Our time over that of PyTorch"></picture>'
        )
    body = (
        f"<header><p class=eyebrow>minigan · {escape(record['when'])}</p><h1>Beside PyTorch</h1>"
        f"<p class=verdict>{verdict}</p></header>"
        + section("Our time over PyTorch’s", drawn)
        + section(
            "Everything measured",
            f'<pre style="overflow-x: auto; white-space: pre"><code>{escape(printed)}</code></pre>',
        )
        + section("How", f"<pre><code>{escape(record['command'])}</code></pre><p>{facts}</p><p>{escape(METHOD)}</p>")
    )
    return render("Beside PyTorch", body, COLOURS["best"])


METHOD = (
    "The sides have the same weights, batch and threads, and their results were compared before anything was timed. "
    "They are timed in turns, in one process: a ratio is the median over the rounds of our time over theirs, with the "
    "quartiles. Plain PyTorch is the model as a careful user writes it; best has scaled_dot_product_attention where "
    "that is faster, and the fused Adam. GFLOP/s are those of matrix products and convolutions, counted from shapes; "
    "their share is of the fastest float32 matrix product of this machine."
)


def summary(record: dict[str, Any]) -> str:
    """One sentence: the training steps."""
    if not record["machine"]["torch"]:
        return "PyTorch is not installed, so our side was measured alone."
    says = []
    for group, name, ratios in rows_of(record):
        if group == "step":
            says.append(f"{name}: " + " and ".join(f"{r[0]:.2f} × {kind}" for kind, r in ratios.items()))
    return f"A training step takes {'; '.join(says)} PyTorch’s time." if says else "Our time over PyTorch’s."
