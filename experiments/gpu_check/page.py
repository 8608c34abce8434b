"""The record as OUT/gpu.html, one page to be published, and as OUT/table.md, the table for the README."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from experiments.bench import show
from experiments.gpu_check.stages import BESIDE_TORCH, OPS_BESIDE_TORCH, PROFILED, SHARED, STEPS, Stage
from minigan.charts import DARK, LIGHT, Chart, Line, chart_grid, run_colours
from minigan.files import write_bytes
from minigan.numbers import count, duration, is_number, number, percent
from minigan.page import figure, render, section
from minigan.page.pieces import plain

# The default run on a CPU, from docs/measurements.md: the digit-FID by step, and the seconds
CPU = {9_000: 10.0}
CPU_SECONDS = 448
COLUMNS = ("captured", "eager", "host", "nodes", "memory", "to PyTorch eager", "to reduce-overhead")  # of a step
ABOUT_STEPS = (
    "Milliseconds of a whole training step: captured as one CUDA graph and replayed, and eager, by events on the GPU. "
    "Host: what the processor takes to start a captured step; below the time of the step it runs ahead. Memory: what "
    "the graph holds for itself. The ratios are ours over PyTorch’s at batch 32, both sides in one process; below 1 is "
    "faster than PyTorch."
)
MOST_KERNELS = 15  # shown of a profile
TORCH = {"plain": "eager", "best": "reduce-overhead"}  # the sides of the benchmark, and what they are on a GPU
SVG = '<svg viewBox="-125 -9 250 18" width=250 height=18 fill=currentColor font-size=12 text-anchor=middle>'
STYLE = f"""<style>
section {{ max-width: 1280px }}
.scroll {{ overflow-x: auto; margin-bottom: 20px }}
.scroll table {{ margin: 0 }}
.scroll :is(th, td) {{ padding: 5px 0 5px 20px; white-space: nowrap; vertical-align: middle }}
.scroll :is(th, td):first-child {{ padding-left: 0 }}
.scroll thead th, .scroll th.group {{ color: var(--ink); font-weight: 600; text-align: right; vertical-align: bottom }}
.scroll thead th:first-child, .scroll th.group {{ text-align: left }}
.words :is(th, td), .words thead th {{ text-align: left; white-space: normal }}
.words :is(th, td).short {{ white-space: nowrap }}
.words .time {{ text-align: right }}
.passed {{ color: light-dark({LIGHT["D"]}, {DARK["D"]}) }}
.bad {{ color: var(--accent); font-weight: 600 }}
.bar {{ display: block; height: 10px; min-width: 1px; background: var(--accent) }}
.quiet {{ color: var(--quiet); font-size: 15px }}
.cards {{ margin-bottom: 28px }}
.pair {{ align-items: start }}
.pair img {{ image-rendering: auto }}
summary {{ color: var(--quiet); cursor: pointer }}
</style>"""

Entries = dict[str, dict[str, Any]]  # of the stages that a record knows, by name


def write_page(out: Path, record: dict[str, Any], stages: Sequence[Stage]) -> None:
    write_bytes(out / "gpu.html", page(record, stages, out).encode())
    write_bytes(out / "table.md", table(record).encode())


def page(record: dict[str, Any], stages: Sequence[Stage], out: Path) -> str:
    """The whole page as HTML. out: where the stage of the training left its pictures."""
    entries = record["stages"]
    body = "\n".join(
        [
            STYLE,
            header(record, stages),
            section("The default run", training(entries, out)),
            section("A training step", steps(entries)),
            section("Several GPUs", shared(entries)),
            section("Beside PyTorch", beside_torch(entries)),
            section("Where the time of a replay goes", profiles(entries)),
            section("Every stage", every_stage(entries, stages)),
            section("The kernels as loaded", kernels(entries)),
            section("The machine, and how this page was made", made(record)),
        ]
    )
    return render("On a GPU", body, run_colours("vitgan"))


def found(entries: Entries, name: str) -> dict[str, Any]:
    """What a stage found, {} where it did not run."""
    return entries.get(name, {}).get("found", {})


def gpus(entries: Entries) -> list[str]:
    """The names of the GPUs that stages ran on: a second call may have met another one than the first."""
    on = [entry.get("gpu") for entry in entries.values()]
    return [name for name in dict.fromkeys([*on, found(entries, "environment").get("gpu")]) if name]


def header(record: dict[str, Any], stages: Sequence[Stage]) -> str:
    entries, environment = record["stages"], found(record["stages"], "environment")
    states = [entries.get(stage.name, {}).get("status", "not run") for stage in stages]
    bad = [n for n, e in entries.items() if e["status"] in ("failed", "timed out")]
    if lacking := environment.get("missing", {}).get("gpu"):
        verdict = f"There is no GPU here, so nothing was measured: {escape(lacking)}."
    else:
        passed, others = states.count("passed"), [s for s in dict.fromkeys(states) if s != "passed"]
        words = {"no time left": "had no time", "skipped": "cannot run there"}
        rest = "".join(f", {states.count(state)} {words.get(state, state)}" for state in others)
        verdict = f"<strong>{passed} of {len(states)} stages passed</strong>{rest}."
        verdict += f" What is wrong: {escape(', '.join(bad))}." if bad else ""
    gpu = escape(", ".join(gpus(entries)) or "no GPU")
    return (
        f"<header><p class=eyebrow>minigan · {escape(record.get('when', ''))} · {gpu}</p><h1>On a GPU</h1>"
        f"<p class=verdict>{verdict}</p></header>"
    )


# The default run ---------------------------------------------------------------------------------------------


def training(entries: Entries, out: Path) -> str:
    """The digit-FID over the steps beside the CPU's, a few cards, and the samples."""
    evaluations = [e for e in found(entries, "training").get("evaluations", []) if is_number(e.get("digit_fid"))]
    if not evaluations:
        return ""
    steps = np.array([e["step"] for e in evaluations], float)
    ours = Line("GPU", run_colours("vitgan")[0], steps, np.array([e["digit_fid"] for e in evaluations]), dots=True)
    cpu = Line("CPU, one core", LIGHT["quiet"], np.array([*CPU], float), np.array([*CPU.values()]), dots=True)
    chart = chart_grid([Chart("digit-FID", [cpu, ours], log=True)])
    samples = figure(out / "training" / "samples.png", "A hundred samples of the averaged generator, none chosen")
    return f"{cards(entries, evaluations[-1])}<div class=pair>{chart}{samples}</div>"


def cards(entries: Entries, end: dict[str, Any]) -> str:
    trained = found(entries, "training").get("trained", {})
    seconds, last = trained.get("seconds"), max(CPU)
    values = {
        "digit-FID": (number(end["digit_fid"]), f"at step {end['step']:,}; on a CPU {CPU[last]} at step {last:,}"),
        "its floor": (number(end.get("floor")), "between two sets of real digits"),
        "time of the training": (duration(seconds), f"on one core of a CPU {duration(CPU_SECONDS)}"),
        "classes found": (count(end.get("classes")), "of 10"),
        "images per second": (count(trained.get("images_per_second")), ""),
    }
    shown = (f"<dt>{k}</dt><dd>{v}<small>{note}</small></dd>" for k, (v, note) in values.items() if v)
    return f"<dl class=cards>{''.join(f'<div class=card>{card}</div>' for card in shown)}</dl>"


# Steps -------------------------------------------------------------------------------------------------------


def step_rows(entries: Entries) -> list[tuple[str, str, list[str]]]:
    """(configuration, rounding, the texts of COLUMNS) of every step that was measured."""
    rows = []
    for name in STEPS:
        for rounding in ("float32", "TF32"):
            f, ratios = found(entries, f"step {name} {rounding}"), ratios_of(entries, name, rounding)
            if not f and not ratios:
                continue
            captured, eager = f.get("captured", {}), f.get("eager", {})
            texts = [unit(captured.get("ms"), "ms"), unit(eager.get("ms"), "ms"), unit(captured.get("host ms"), "ms")]
            texts += [count(f.get("nodes")), unit(f.get("memory of the graph, MiB"), "MiB")]
            texts += [f"{ratios[kind]:.2f}" if kind in ratios else "" for kind in ("plain", "best")]
            rows.append((name, rounding, [text or "–" for text in texts]))
    return rows


def ratios_of(entries: Entries, name: str, rounding: str) -> dict[str, float]:
    """Our time of a step over PyTorch's, by side."""
    rows = found(entries, f"bench {name}" + (" TF32" if rounding == "TF32" else "")).get("rows", [])
    ratios = [row["ratio"] for row in rows if row["section"] == "step" and row["ratio"]]
    return {kind: ratio[0] for kind, ratio in ratios[0].items()} if ratios else {}


def unit(x: Any, name: str) -> str:
    return number(x) and f"{number(x)} {name}"


def steps(entries: Entries) -> str:
    """What is wrong with the steps, or that nothing is, and their table."""
    rows = step_rows(entries)
    if not rows:
        return ""
    measured = {f"{name} in {rounding}": found(entries, f"step {name} {rounding}") for name, rounding, _ in rows}
    measured = {name: f for name, f in measured.items() if "wrong" in f}  # it is found last
    says = [f"{name}: {wrong}" for name, f in measured.items() for wrong in f["wrong"]]
    if measured and not says:
        most = max(f["steps"] for f in measured.values())
        says = ["No captured step waits for the device", f"none takes more memory after up to {most:,} steps"]
    verdict = says and f"<p>{escape('; '.join(says))}.</p>"
    body = [f"<tr><th>{name}<td>{rounding}{''.join(f'<td>{text}' for text in texts)}" for name, rounding, texts in rows]
    return f"{verdict or ''}{tabulated(['step', 'products in', *COLUMNS], body)}<p class=quiet>{ABOUT_STEPS}</p>"


def tabulated(head: Sequence[str], body: Sequence[str], kind: str = "") -> str:
    """An HTML table. head: the HTML of its titles; body: the HTML of its rows."""
    titles, rows = "".join(f"<th>{title}" for title in head), "".join(body)
    return f'<div class=scroll><table class="{kind}"><thead><tr>{titles}</thead><tbody>{rows}</tbody></table></div>'


def table(record: dict[str, Any]) -> str:
    """The steps as a Markdown table, and the training in a sentence."""
    entries = record["stages"]
    rows, end = step_rows(entries), (found(entries, "training").get("evaluations") or [{}])[-1]
    if not rows and not end:
        return "Nothing was measured on a GPU.\n"
    lines = [["step", "products in", *COLUMNS], ["---"] * (2 + len(COLUMNS))]
    lines += [[f"`{name}`", rounding, *texts] for name, rounding, texts in rows]
    says = f"On one {' and one '.join(gpus(entries)) or 'GPU'}, by `python -m experiments.gpu_check`. {ABOUT_STEPS}"
    if is_number(end.get("digit_fid")):
        seconds = duration(found(entries, "training").get("trained", {}).get("seconds"))
        says += f"\nThe default run took {seconds} and ended at a digit-FID of {number(end['digit_fid'])}; on one core "
        says += f"of a CPU it takes {duration(CPU_SECONDS)} and ends at {CPU[max(CPU)]}."
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + f"\n{says}\n"


def shared(entries: Entries) -> str:
    """A captured step by the number of GPUs that share it, and what more of them gain."""
    times = {name: found(entries, f"ranks {name}").get("ms", {}) for name in SHARED}
    numbers = sorted({int(n) for of_step in times.values() for n in of_step})
    if not numbers:
        return ""
    body = []
    for name, of_step in times.items():
        cells = []
        for n in numbers:
            ms, alone = of_step.get(f"{n}"), of_step.get("1")
            gain = f" ({alone / ms:.2f} ×)" if n > 1 and ms and alone else ""
            cells.append(f"<td>{unit(ms, 'ms') or '–'}{gain}")
        body.append(f"<tr><th>{name}{''.join(cells)}")
    wrong = [f"{name}: {words}" for name in SHARED for words in found(entries, f"ranks {name}").get("wrong", [])]
    verdict = f"<p class=bad>{escape('; '.join(wrong))}.</p>" if wrong else "<p>All ranks end with equal weights.</p>"
    head = ["step", *(f"{n} GPU{'s' * (n > 1)}" for n in numbers)]
    return (
        verdict
        + tabulated(head, body)
        + "<p class=quiet>The whole batch stays the same, and each GPU takes a part.</p>"
    )


# PyTorch, profiles, kernels ----------------------------------------------------------------------------------


def beside_torch(entries: Entries) -> str:
    """The steps with a chart of their ratios in view, the hot ops folded away."""
    shown: dict[str, list[str]] = {"step": [], "": []}
    for name in (*BESIDE_TORCH, OPS_BESIDE_TORCH):
        f = found(entries, name)
        for row in f.get("rows", []):
            cells = show.cells(row, 1e9 * f["machine"]["peak GFLOP/s"])
            texts = [cells.get(c, "") for c in ("ours", "plain", "best", "ours/plain", "ours/best")]
            chart = f"{SVG}{show.chart(row)}</svg>"
            rounding = "TF32" if name.endswith("TF32") else "float32"
            line = f"<tr><th>{escape(row['name'])}<td>{rounding}<td>{chart}{''.join(f'<td>{text}' for text in texts)}"
            shown["step" if row["section"] == "step" else ""].append(f"{line}<td>{escape(show.note(row))}")
    if not shown["step"] and not shown[""]:
        return ""
    axis = f'{SVG}<text x="-60" y="4">½</text><text y="4">1</text><text x="60" y="4">2</text></svg>'
    eager, best = (f'<span style="color: {show.COLOURS[kind]}">to {name}</span>' for kind, name in TORCH.items())
    head = ["", "products in", axis, "ours", *TORCH.values(), eager, best, ""]
    summary = f"<summary>Hot ops: {len(shown[''])} lines</summary>"
    more = f"<details>{summary}{tabulated(head, shown[''])}</details>" if shown[""] else ""
    return tabulated(head, shown["step"]) + more


def profiles(entries: Entries) -> str:
    """Of each replay: µs and launches by kernel, the longest first."""
    html = ""
    for name, rounding in PROFILED:
        f = found(entries, f"profile {name} {rounding}")
        if not f.get("kernels"):
            continue
        busy, longest, rows, all_rows = f["µs busy"], f["kernels"][0][1], [], f["kernels"]
        rest = [sum(row[i] for row in all_rows[MOST_KERNELS:]) for i in (1, 2)]
        others = [[f"{len(all_rows) - MOST_KERNELS} others", *rest]] if len(all_rows) > MOST_KERNELS else []
        for kernel, us, launches in [*all_rows[:MOST_KERNELS], *others]:
            width, short = min(100, 100 * us / longest), kernel if len(kernel) <= 70 else kernel[:69] + "…"
            bar = f'<td style="min-width: 200px"><span class=bar style="width: {width:.1f}%"></span>'
            rows.append(f"<tr><th>{escape(short)}{bar}<td>{number(us)}<td>{percent(us / busy)}<td>{number(launches)}")
        title = f"{name} in {rounding}: {number(busy)} µs busy of {number(f['µs in all'])}"
        head = [title, "", "µs", "share", "launches"]
        html += tabulated(head, rows)
    return html


def kernels(entries: Entries) -> str:
    f = found(entries, "kernels")
    if not f:
        return ""
    rows = [f"<tr><th>{escape(k)}{''.join(f'<td>{value}' for value in v.values())}" for k, v in f["kernels"].items()]
    errors = "; ".join(f"{name}: {error:.1e}" for name, error in f["error of attention"].items())
    head = ["kernel", "registers", "stack, bytes", "shared, bytes", "most threads"]
    return (
        f"<p>Attention with more than 48 KiB of shared memory, largest error beside the CPU: {escape(errors)}.</p>"
        f"<details><summary>{len(rows)} kernels</summary>{tabulated(head, rows)}</details>"
    )


# Stages and machine ------------------------------------------------------------------------------------------


def every_stage(entries: Entries, stages: Sequence[Stage]) -> str:
    rows = []
    for stage in stages:
        entry = entries.get(stage.name, {"status": "not run", "why": ""})
        status, f = entry["status"], entry.get("found", {})
        kind = "passed" if status == "passed" else "" if status in ("skipped", "not run", "no time left") else "bad"
        tests = f"{f['tests passed']} tests passed, {f['tests skipped']} skipped" if "tests passed" in f else ""
        on = f"on {entry['gpu']}" if entry.get("gpu") and len(gpus(entries)) > 1 else ""
        says = "; ".join(filter(None, [entry["why"], tests, f.get("summary", ""), on]))
        cells = [f'<th class="short">{escape(stage.name)}<td>{escape(stage.shows)}<td class="short {kind}">{status}']
        cells += [f"<td class='short time'>{duration(entry.get('seconds'))}<td>{escape(says)}"]
        rows.append(f"<tr>{''.join(cells)}")
    return tabulated(["stage", "what it shows", "", "time", ""], rows, "words")


def made(record: dict[str, Any]) -> str:
    """The machine, the versions, the commits, and the command."""
    entries, environment = record["stages"], found(record["stages"], "environment")
    facts = {k: v for k, v in environment.items() if k not in ("missing", "versions", "libraries", "wrong")}
    facts |= environment.get("versions", {})
    codes = list(dict.fromkeys(e["commit"] for e in entries.values() if e.get("commit")))
    facts |= {"commit": ", ".join(codes)} if codes else {}
    lines = "".join(f"{name} {plain(value)}\n" for name, value in facts.items())
    return f"<pre>{escape(record.get('command', ''))}\n\n{escape(lines)}</pre>"
