"""One page over several runs: a table to sort, curves over steps and minutes, grids, and the settings that differ.

    write_page(Path("runs/index.html"), [Path("runs/a"), Path("runs/b")], "title")

Like a report it needs no network. It links to the reports of the runs, which lie where they are.
"""

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from minigan.charts import PALETTE, Chart, Line, chart_grid, run_colours
from minigan.curves import logged
from minigan.errors import InputError
from minigan.files import why, write_bytes
from minigan.log import DISTANCES, distance, last
from minigan.numbers import count, duration, is_number, number
from minigan.page import figure, render, section
from minigan.page.pieces import plain
from minigan.run_view import RunView

Record = dict[str, Any]
CHARTED = len(PALETTE)  # runs whose curves and grids are shown: more could not be told apart
LINES = {  # keys of records: title, kind of record, whether the line is a moving average
    **{key: (name, "eval", False) for key, name in DISTANCES.items()},
    "kid": ("KID", "eval", False),
    "precision": ("Precision", "eval", False),
    "recall": ("Recall", "eval", False),
    "loss_d": ("Loss of the discriminator", "train", True),
    "loss_g": ("Loss of the generator", "train", True),
    "penalty": ("Gradient penalty", "train", True),
}
BRIEF = tuple(DISTANCES)  # the keys of an index


@dataclass
class Shown:
    """What the page shows of a run."""

    directory: Path
    name: str
    config: Record = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    colour: str = ""  # on light paper; "" for a run without curves

    @classmethod
    def of(cls, directory: Path, name: str) -> "Shown":
        """InputError for a damaged run."""
        view = RunView(directory)
        return cls(directory, name, view.config, view.records)

    def settings(self) -> dict[str, Any]:
        """Everything that could differ from another run, by name: options, data and machine."""
        found = dict(self.config.get("options", {}))
        data = {k: v for k, v in self.config.get("data", {}).items() if k not in ("note", "seed")}
        evaluation = data.pop("evaluation", None)
        found |= {f"data {k}": v for k, v in data.items()}
        found |= {f"evaluation {k}": v for k, v in evaluation.items()} if isinstance(evaluation, dict) else {}
        return found | {f"machine {k}": v for k, v in self.config.get("machine", {}).items()}


def find_runs(place: Path) -> list[Path]:
    """The runs in a directory, at any depth, by name; the directory itself where it is a run."""
    if is_run(place):
        return [place]
    found = []
    for root, folders, _ in os.walk(place):
        here = [Path(root) / name for name in sorted(folders) if is_run(Path(root) / name)]
        found += here
        folders[:] = sorted(set(folders) - {path.name for path in here} - {"samples", "generated"})
    return sorted(found)


def find_studies(place: Path) -> list[Path]:
    """The pages over many runs in the folders of a directory, such as those of the poster or of a sweep."""
    pages = sorted(place.glob("*/*.html"))
    return [page for page in pages if not is_run(page.parent) and find_runs(page.parent)]


def is_run(directory: Path) -> bool:
    """Whether a run has begun there."""
    return any((directory / file).is_file() for file in ("config.json", "log.jsonl"))


def write_page(
    path: Path, directories: list[Path], title: str, brief: bool = False, studies: Sequence[Path] = ()
) -> list[str]:
    """Write the page to `path`; returns a sentence for each run that could not be read. brief: an index, little drawn.

    The newest runs get the curves and the grids, where there are more than colours. studies: pages over other runs, to
    which it links. InputError if no run can be read.
    """
    runs, left_out = [], []
    for directory, name in zip(directories, short_names(directories), strict=True):
        try:
            runs.append(Shown.of(directory, name))
        except (InputError, OSError) as e:
            left_out.append(f"{directory}: {why(e)}")
    if not runs:
        raise InputError("; ".join(left_out) or "there are no runs to show")
    newest = sorted(runs, key=lambda run: _time(run.directory), reverse=True)[:CHARTED]
    charted = [run for run in runs if run in newest]
    for run, colour in zip(charted, PALETTE, strict=False):
        run.colour = colour
    keys = BRIEF if brief else tuple(LINES)
    unit = time_unit(charted)
    body = [
        f"<header><p class=eyebrow>minigan · {len(runs):,} {'run' if len(runs) == 1 else 'runs'}</p>"
        f"<h1>{escape(title)}</h1></header>",
        section("Runs", runs_table(runs, path.parent) + cautions(runs) + drawn(len(charted), len(runs), brief), "runs"),
        section("Studies", "".join(f"<p>{_link_to(page, page.parent.name, path.parent)}</p>" for page in studies)),
        section("Over steps", _with_names(charted, chart_grid(charts(charted, keys)))),
        section(f"Over {unit[0]} of training", _with_names(charted, chart_grid(charts(charted, keys, unit)))),
        "" if brief else section("Samples", grids(charted)),
        section("Settings that differ", settings_table(runs)),
        section("Left out", "".join(f"<p>{escape(what)}</p>" for what in left_out)),
    ]
    page = render(title, "\n".join(body), accent=run_colours(None), scripts=("sort",))
    write_bytes(path, page.encode(errors="backslashreplace"))
    return left_out


def drawn(some: int, all_of_them: int, brief: bool) -> str:
    """Which runs the curves show, where it is not all of them."""
    if some == all_of_them:
        return ""
    what = "Curves are" if brief else "Curves and samples are"
    return f"<p class=quiet>{what} those of the {some} newest runs, with a dot of their colour before the name.</p>"


def cautions(runs: list[Shown]) -> str:
    """Sentences on what in the table does not compare."""
    evals = [record for run in runs if distance(record := last(run.records, "eval"))]
    counts: dict[Any, set[float]] = {}
    for record in evals:
        for name in ("samples", "reference"):
            if is_number(record.get(name)):
                counts.setdefault((distance(record), name), set()).add(record[name])
    said = []
    if any(len(numbers) > 1 for numbers in counts.values()):
        said.append(
            "Runs evaluated with different numbers of images do not compare: with fewer, distances are larger and "
            "floors far larger, so that the ratio looks better, and precision is higher."
        )
    if len({"floor_std" in record for record in evals if "floor" in record}) > 1:
        said.append(
            "Some of these floors are of one split of the real images, as older versions took it, the others are means "
            "over many: for digits one split is off by a fifth."
        )
    return f"<p class=quiet>{' '.join(said)}</p>" if said else ""


def short_names(directories: list[Path]) -> list[str]:
    """The paths without what they all begin with."""
    whole = [path.resolve() for path in directories]
    if len(whole) < 2:
        return [path.name for path in whole]
    common = Path(os.path.commonpath(whole))
    return [str(path.relative_to(common)) if path != common else path.name for path in whole]


def _time(directory: Path) -> float:
    log = directory / "log.jsonl"
    return log.stat().st_mtime if log.is_file() else 0.0


# The table -------------------------------------------------------------------------------------------------

HEADINGS: tuple[str, ...] = (
    "run",
    "distance",
    "last",
    "best",
    "over the floor",
    "KID",
    "precision",
    "recall",
    "classes",
    "samples",
)
HEADINGS += ("steps", "training", "images/s", "parameters")


def runs_table(runs: list[Shown], base: Path) -> str:
    """A row for each run; the page's script sorts it by the column that is clicked."""
    head = "".join(f"<th scope=col><button type=button>{heading}</button></th>" for heading in HEADINGS)
    body = "".join(f"<tr>{_row(run, base)}</tr>" for run in runs)
    return f"<div class=scroll><table class=sortable><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _row(run: Shown, base: Path) -> str:
    evals = [record for record in run.records if record["kind"] == "eval"]
    figures, train = last(run.records, "eval"), last(run.records, "train")
    key, label = distance(figures) or ("", "")
    best = min((r[key] for r in evals if is_number(r.get(key))), default=None)
    floor = figures.get("floor")
    ratio = figures[key] / floor if is_number(figures.get(key)) and is_number(floor) and floor > 0 else None
    speeds = [r["images_per_second"] for r in run.records if is_number(r.get("images_per_second"))]
    sizes = [n for n in run.config.get("parameters", {}).values() if is_number(n)]
    values = [
        *((figures.get(key), number), (best, number), (ratio, number)),
        *((figures.get(name), number) for name in ("kid", "precision", "recall", "classes")),
        (figures.get("samples"), count),
        *((train.get("step"), count), (train.get("seconds"), duration)),
        *((statistics.median(speeds) if speeds else None, number), (sum(sizes) if sizes else None, count)),
    ]
    cells = "".join(f"<td{_key(value)}>{show(value)}</td>" for value, show in values)
    return f"<th scope=row>{_dot(run)}{_link(run, base)}</th><td>{label}</td>{cells}"


def _key(value: Any) -> str:
    """The attribute by which a cell is sorted."""
    return f' data-value="{value!r}"' if is_number(value) else ""


def _dot(run: Shown) -> str:
    dark = PALETTE.get(run.colour)
    return f'<i class=dot style="background: light-dark({run.colour}, {dark})"></i>' if dark else ""


def _link(run: Shown, base: Path) -> str:
    """The name of a run, as a link to its report where there is one."""
    report = run.directory / "report.html"
    return _link_to(report, run.name, base) if report.is_file() else escape(run.name)


def _link_to(page: Path, name: str, base: Path) -> str:
    """`base` is the directory of the page that holds the link."""
    target = quote(os.path.relpath(page.resolve(), base.resolve()).replace(os.sep, "/"), errors="surrogateescape")
    return f'<a href="{target}">{escape(name)}</a>'


# Curves, grids, settings -----------------------------------------------------------------------------------


def time_unit(runs: list[Shown]) -> tuple[str, float]:
    """The unit in which the longest of the runs is a handy number, and its seconds."""
    longest = max((r["seconds"] for run in runs for r in run.records if is_number(r.get("seconds"))), default=0)
    return ("seconds", 1.0) if longest < 300 else ("minutes", 60.0) if longest < 5 * 3600 else ("hours", 3600.0)


def charts(runs: list[Shown], keys: tuple[str, ...], unit: tuple[str, float] | None = None) -> list[Chart]:
    """A chart for each key that was logged, a line for each run: over steps, or over time in a `time_unit`."""
    made = []
    for key in keys:
        title, kind, smoothed = LINES[key]
        above = 0.0 if kind == "eval" and key in DISTANCES else float("-inf")
        lines = []
        for run in runs:
            records = [record for record in run.records if record["kind"] == kind]
            if unit:
                records = [{**r, "step": r["seconds"] / unit[1]} for r in records if is_number(r.get("seconds"))]
            steps, values = logged(records, key, above)
            if steps.size:  # a label with an underscore is not in the legend: the names stand above all charts
                lines.append(Line("_", run.colour, steps, values, smoothed=smoothed, dots=not smoothed))
        if lines:
            made.append(Chart(title, lines, unit[0] if unit else "steps", log=key in DISTANCES))
    return made


def _with_names(runs: list[Shown], drawn: str) -> str:
    """The names of the runs in their colours above the charts."""
    names = "".join(f"<span>{_dot(run)}{escape(run.name)}</span>" for run in runs)
    return drawn and f"<p class=names>{names}</p>{drawn}"


def grids(runs: list[Shown]) -> str:
    """The last sample grid of each run."""
    shown = ""
    for run in runs:
        path = RunView(run.directory).last_grid
        step = last(run.records, "train").get("step")
        shown += figure(path, run.name + (f", step {step:,}" if step is not None else "")) if path else ""
    return shown and f"<div class=grids>{shown}</div>"


def settings_table(runs: list[Shown]) -> str:
    """A row for each setting that not all runs share, a column for each run; "" for a single run."""
    settings = [run.settings() for run in runs]
    names = list(dict.fromkeys(name for found in settings for name in found))
    missing = object()
    rows = ""
    for name in names:
        values = [found.get(name, missing) for found in settings]
        if all(value == values[0] for value in values):
            continue
        cells = "".join(f"<td>{'–' if value is missing else escape(plain(value))}</td>" for value in values)
        rows += f"<tr><th scope=row>{escape(name)}</th>{cells}</tr>"
    head = "".join(f"<th scope=col>{_dot(run)}{escape(run.name)}</th>" for run in runs)
    table = f"<table class=settings><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return rows and f"<div class=scroll>{table}</div>"
