"""The poster's page: its figures with our runs in them, the two tables, and how all of it was made."""

import math
import shlex
from html import escape
from pathlib import Path

import numpy as np

from experiments.poster.numbers import ablation_rows, course, seconds
from experiments.poster.runs import Result, differences
from experiments.poster.tables import NAMES, ROWS, ablation, beside, data_name, table
from minigan.curves import logged, run_colour, smooth
from minigan.page import chart, charts, render, section, series
from minigan.page.pieces import duration, image_tag, number, plain

DIGITS = ("vitgan", "vanilla", "relu", "cnn")
COLOURS = {name: (run_colour(name), run_colour(name, True)) for name in NAMES}
QUIET = ("#6b7078", "#9a9fa8")
LOSSES = {"Loss of the discriminator": "loss_d", "Loss of the generator": "loss_g", "D(real) − D(generated)": "gap"}
NO_SCRIPT = "<p>The curves are drawn by a script of this page; poster.png shows them without.</p>"


def page(results: list[Result], scale: str, command: str) -> str:
    """The whole page as HTML."""
    figures = {r.job.name.removeprefix("figures/"): r for r in results if r.job.name.startswith("figures/")}
    body = "\n".join(
        [
            f"<style>\n{Path(__file__).with_name('page.css').read_text(encoding='utf-8')}</style>",
            header(figures, results, scale),
            section("Losses · figures 4 to 6", losses(figures)),
            section("Samples · figures 7, 8, 9 and 11", samples(figures)),
            section("Distance to real images · figure 10", distances(figures), "two"),
            section("The poster’s numbers and ours", beside(figures)),
            section("Ablation", ablation(ablation_rows(results, list(ROWS)))),
            section("How this page was made", made(results, command)),
        ]
    )
    return render("The poster, reproduced", body, COLOURS["vitgan"])


def header(figures: dict[str, Result], results: list[Result], scale: str) -> str:
    courses = {name: c for name in DIGITS if (c := course(figures.get(name)))}
    finished = sum(r.status == "finished" for r in results)
    verdict = "Nothing has been evaluated yet."
    if courses:
        names, first = list(courses), next(iter(courses.values()))
        says = [f"<strong>{NAMES[name]} {number(courses[name].last)}</strong>" for name in names[:1]]
        says += [f"{NAMES[name]} {number(courses[name].last)}" for name in names[1:]]
        floor = number(first.record.get("floor"))
        verdict = f"The {first.label} on {data_name(figures[names[0]])}: {', '.join(says)}"
        verdict += f"; between two sets of real ones it is {floor}." if floor else "."
    state = "" if finished == len(results) else f"<p class=state>{missing(results)}</p>"
    return (
        f"<header><p class=eyebrow>minigan · scale {escape(scale)} · {finished} of {len(results)} runs finished</p>"
        "<h1>The poster, reproduced</h1>"
        "<p class=lead>“Visual Transformers &amp; GANs” by Le Boudec, Olivain and Liautaud, Sorbonne Université, "
        "trained ViTGAN on MNIST and CelebA. These are its figures again, with runs of this framework in them.</p>"
        f"<p class=verdict>{verdict}</p>{state}</header>"
    )


def missing(results: list[Result]) -> str:
    """What the page lacks, in words."""
    says = [f"<b>{escape(r.job.name)}</b> failed: {escape(r.words)}." for r in results if r.status == "failed"]
    stopped = [f"{escape(r.job.name)} at {r.step:,} of {r.job.steps:,} steps" for r in results if r.status == "stopped"]
    says += [f"Not at their end: {', '.join(stopped)}."] if stopped else []
    waiting = sum(r.status == "waiting" for r in results)
    says += [f"{waiting} {'run is' if waiting == 1 else 'runs are'} not trained yet."] if waiting else []
    return " ".join(says)


def loss_records(result: Result | None) -> list[dict]:
    """The "train" records, with the gap between D's means on real and on generated images."""
    train = [r for r in result.records if r["kind"] == "train"] if result else []
    return [{**r, "gap": r.get("d_real", math.nan) - r.get("d_fake", math.nan)} for r in train]


def losses(figures: dict[str, Result]) -> str:
    """Figures 4 to 6, in the poster's colours."""
    panels = []
    for title, key in LOSSES.items():
        lines = []
        for name in ("vitgan", "vanilla", "relu"):
            steps, values = logged(loss_records(figures.get(name)), key)
            if len(steps):
                lines.append(series(NAMES[name], COLOURS[name], steps, values, smooth=smooth(values)))
        panels.append(chart(title, lines))
    drawn = charts(panels, without_script=NO_SCRIPT)
    game = next((r.config.get("options", {}).get("loss") for r in figures.values() if r.config), "")
    about = (
        " The game is the relativistic one here, in which D judges pairs of a real and a generated image; a D that "
        "cannot tell them has a loss of ln 2 = 0.69. The heights do not compare with the poster’s."
        if game == "relativistic"
        else ""
    )
    return drawn and (
        "<p>As on the poster, red is the full ViTGAN, blue a vanilla ViT without SLN, L2 attention and spectral norm, "
        f"and orange has ReLU in place of GELU.{about} Drag over a curve to zoom, double-click to go back.</p>{drawn}"
    )


def samples(figures: dict[str, Result]) -> str:
    """The sample grids, in the poster's order, and real images below."""

    def grid(name: str, title: str, real: bool = False) -> str:
        result = figures.get(name)
        path = result and (result.directory / "real.png" if real else last_grid(result))
        words = data_name(result) if real else f"{NAMES[name]}, step {result.step:,}" if result else ""
        try:
            picture = image_tag(path, f"{title}: {words}") if path else ""
        except OSError:
            picture = ""
        kind, picture, words = ("", picture, words) if picture else ("missing", "<div></div>", "not there yet")
        return f'<figure class="{kind}">{picture}<figcaption><b>{title}</b><br>{words}</figcaption></figure>'

    if not any(last_grid(r) for r in figures.values()):
        return ""
    cells = [
        grid("vanilla", "Figure 7"),
        grid("vitgan", "Figure 8"),
        grid("cnn", "Figure 9"),
        grid("faces", "Figure 11"),
        grid("relu", "Not on the poster"),
        grid("vitgan", "Real digits", real=True),
        "<p class=aside>A hundred samples of each averaged generator, of one fixed noise: none of them was chosen. "
        "Digits and faces of the training data stand beside them to compare with.</p>",
        grid("faces", "Real faces", real=True),
    ]
    return f"<div class=grids>{''.join(cells)}</div>"


def last_grid(result: Result) -> Path | None:
    return max(result.directory.glob("samples/step-*.png"), default=None)


def distances(figures: dict[str, Result]) -> str:
    """Figure 10, a chart for each kind of images."""
    panels = []
    for title, names in (("Digits", DIGITS), ("Faces", ("faces",))):
        courses = {name: c for name in names if (c := course(figures.get(name)))}
        if not courses:
            continue
        key, label, floor = (f := next(iter(courses.values()))).key, f.label, f.record.get("floor")
        lines, end = [], 0.0
        for name in courses:
            steps, values = logged([r for r in figures[name].records if r["kind"] == "eval"], key, above=0)
            if len(steps):
                lines.append(series(NAMES[name], COLOURS[name], steps, values, dots=True))
                end = max(end, steps[-1])
        if floor:
            lines.append(series("real against real", QUIET, np.array([0, end]), np.array([floor, floor]), dash=True))
        panels.append(chart(f"{title}: {label}", lines, note="lower is better", log=True))
    drawn = charts(panels, without_script=NO_SCRIPT)
    return drawn and (
        f"{drawn}<p class=quiet>Dashed: the distance between two sets of real images, below which nothing can be "
        "expected. The numbers of one chart do not compare with those of the other.</p>"
    )


def made(results: list[Result], command: str) -> str:
    """The command, the machine, and every run with what was typed for it."""
    machine: dict = next((r.config["machine"] for r in results if "machine" in r.config), {})
    facts = " · ".join(f"{escape(key)} {escape(plain(value))}" for key, value in machine.items())
    body = []
    for r in results:
        words = f"failed: {r.words}" if r.status == "failed" else r.status
        if changed := differences(r):
            words += f"; trained with other settings ({'; '.join(changed)})"
        typed = shlex.join(["python", "-m", f"experiments.{r.job.command}", *r.job.flags])
        steps = f"{r.step:,} of {r.job.steps:,}"
        cells = [escape(words), steps, duration(seconds(r)), f"<code>{escape(typed)}</code>"]
        body.append((r.status, [f"<th scope=row>{escape(r.job.name)}</th>", *(f"<td>{cell}</td>" for cell in cells)]))
    return (
        f"<pre><code>{escape(command)}</code></pre><p class='quiet machine'>{facts}. The runs trained for "
        f"{duration(sum(map(seconds, results)))} together; several went on at a time.</p>"
        f"<details><summary>All {len(results)} runs, and what to type for each</summary>"
        + table("words", [["<th>run</th><th>state</th><th>steps</th><th>training</th><th>command</th>"]], body)
        + "</details>"
    )
