"""The poster's page: its figures with our runs in them, the two tables, and how all of it was made."""

import shlex
from html import escape
from pathlib import Path

from experiments.parts.jobs import Result
from experiments.parts.settings import differences
from experiments.poster.numbers import ablation_rows, course, seconds
from experiments.poster.picture import ablation_figure, distance_charts, figures_of, last_grid, loss_charts
from experiments.poster.tables import DIGITS, NAMES, ROWS, ablation_table, beside, data_name, table, told
from minigan.charts import chart_grid, run_colours, svg
from minigan.numbers import duration, number
from minigan.page import render, section
from minigan.page.pieces import image_tag, plain

BESIDE_TITLES = {  # of the grids that --data adds: the samples, and the real images
    "size32": ("32 × 32, as on the poster", "Real digits, 32 × 32"),
    "drawn": ("Drawn digits, not MNIST", "The digits as drawn"),
}
ABOUT_SAMPLES = (
    "<p class=aside>A hundred samples of each averaged generator, from one fixed noise; none of them was chosen. "
    "Digits and faces of the training data are here too, to compare with.</p>"
)


def page(results: list[Result], scale: str, command: str) -> str:
    """The whole page as HTML."""
    figures = figures_of(results)
    body = "\n".join(
        [
            f"<style>\n{Path(__file__).with_name('page.css').read_text(encoding='utf-8')}</style>",
            header(figures, results, scale),
            section("Losses · figures 4 to 6", losses(figures)),
            section("Samples · figures 7, 8, 9 and 11", samples(figures)),
            section("Distance to real images · figure 10", distances(figures), "two"),
            section("The poster’s numbers and ours", beside(figures)),
            section("Ablation", ablation(results)),
            section("How this page was made", made(results, command)),
        ]
    )
    return render("The poster, reproduced", body, run_colours("vitgan"))


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
        verdict += f"; between two sets of real ones it is {floor}" if floor else ""
        verdict += f". {'One run' if len(names) == 1 else 'One run each'}, which another seed would move."
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
    bad = [r for r in results if r.status in ("diverged", "failed")]
    says = [f"<b>{escape(r.job.name)}</b> {r.status}: {escape(r.words)}." for r in bad]
    stopped = [f"{escape(r.job.name)} at {r.step:,} of {r.job.steps:,} steps" for r in results if r.status == "stopped"]
    says += [f"Not at their end: {', '.join(stopped)}."] if stopped else []
    waiting = sum(r.status == "waiting" for r in results)
    says += [f"{waiting} {'run is' if waiting == 1 else 'runs are'} not trained yet."] if waiting else []
    return " ".join(says)


def losses(figures: dict[str, Result]) -> str:
    drawn, timed = (chart_grid(loss_charts(figures, minutes)) for minutes in (False, True))
    game = next((r.config.get("options", {}).get("loss") for r in figures.values() if r.config), "")
    about = ""
    if game == "relativistic":
        about = (
            " The game here is the relativistic one, in which D judges pairs of a real and a generated image. A D that "
            "cannot tell them apart has a loss of ln 2 = 0.69. The heights do not compare with the poster’s."
        )
    return drawn and (
        "<p>As on the poster, red is the full ViTGAN, blue a vanilla ViT without SLN, L2 attention and spectral norm, "
        f"and orange has ReLU in place of GELU.{about}</p>{drawn}"
        f"<details><summary>The same over the minutes of training</summary>{timed}</details>"
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
    beside = {name: titles for name, titles in BESIDE_TITLES.items() if name in figures}
    cells = [
        grid("vanilla", "Figure 7"),
        grid("vitgan", "Figure 8"),
        grid("cnn", "Figure 9"),
        grid("faces", "Figure 11"),
        grid("relu", "Not on the poster"),
        *(grid(name, title) for name, (title, _) in beside.items()),
        *([ABOUT_SAMPLES] if beside else []),
        grid("vitgan", "Real digits", real=True),
        *(grid(name, title, real=True) for name, (_, title) in beside.items()),
        *([] if beside else [ABOUT_SAMPLES]),
        grid("faces", "Real faces", real=True),
    ]
    return f"<div class=grids>{''.join(cells)}</div>"


def distances(figures: dict[str, Result]) -> str:
    drawn = chart_grid(distance_charts(figures))
    timed = chart_grid(distance_charts(figures, minutes=True))
    return drawn and (
        f"{drawn}{timed}<p class=quiet>Above over steps, below over the minutes of training, evaluations included. "
        "Dashed: the mean distance between two sets of real images, the best that can be expected. The numbers of one "
        "chart do not compare with those of the other.</p>"
    )


def ablation(results: list[Result]) -> str:
    """A dot for each seed, what can be told from them in words, and a table."""
    rows = ablation_rows(results, list(ROWS))
    if not rows or rows[0].name != "base" or not any(row.ratios for row in rows):
        return ""
    base, figure = rows[0], ablation_figure(rows)
    steps, seeds = base.results[0].job.steps, len(base.results)
    dots = f"<figure class='chart dots'>{svg(figure)}</figure>" if figure else ""
    return (
        f"<p>The full ViTGAN on {data_name(base.results[0])}, and each row one change to it; the vanilla rows change "
        "several things at once, and Adam comes with its own rates and average. "
        f"{seeds} seeds each, {steps:,} steps with the whole schedule laid over them. The numbers are means over the "
        "seeds, ± their standard deviation. Runs may have shared the machine, so times of a step compare roughly.</p>"
        f"{dots}{told(rows, base)}{ablation_table(rows, base)}"
    )


def made(results: list[Result], command: str) -> str:
    """The command, the machine, and every run with the command that repeats it."""
    machine: dict = next((r.config["machine"] for r in results if "machine" in r.config), {})
    facts = " · ".join(f"{escape(key)} {escape(plain(value))}" for key, value in machine.items())
    body = []
    for r in results:
        words = f"{r.status}: {r.words}" if r.words else r.status
        if changed := differences(r):
            words += f"; trained with other settings ({'; '.join(changed)})"
        typed = shlex.join(["python", "-m", f"experiments.{r.job.command}", *r.job.flags])
        steps = f"{r.step:,} of {r.job.steps:,}"
        cells = [escape(words), steps, duration(seconds(r)), f"<code>{escape(typed)}</code>"]
        body.append((r.status, [f"<th scope=row>{escape(r.job.name)}</th>", *(f"<td>{cell}</td>" for cell in cells)]))
    return (
        f"<pre><code>{escape(command)}</code></pre><p class='quiet machine'>{facts}. The runs trained for "
        f"{duration(sum(map(seconds, results)))} in all.</p>"
        f"<details><summary>All {len(results)} runs, and the command of each</summary>"
        + table("words", [["<th>run</th><th>state</th><th>steps</th><th>training</th><th>command</th>"]], body)
        + "</details>"
    )
