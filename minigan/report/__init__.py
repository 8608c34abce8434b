"""`report.html`: everything a run left behind on one page that needs no network and no other file."""

import json
from html import escape
from pathlib import Path

from minigan.curves import run_colour
from minigan.errors import InputError
from minigan.figures import step_of, write_bytes
from minigan.log import read_log
from minigan.page import charts, data_uri, figure, film, render, section
from minigan.page.pieces import plain
from minigan.report.curves import run_charts
from minigan.report.numbers import about_metrics, cards, class_shares, verdict


def write_report(run_dir):
    """Write `report.html` into the directory of a run and return its path. What the run lacks is left out."""
    run = Path(run_dir)
    if not run.is_dir():
        raise InputError(f"{run} is not the directory of a run.")
    config = _read_config(run / "config.json")
    records = read_log(run / "log.jsonl") if (run / "log.jsonl").is_file() else []
    name = run.resolve().name
    body = "\n".join(
        [
            _header(name, config, records),
            f"<div class=top>{_samples(run)}{section('In numbers', cards(run, config, records), 'numbers')}</div>",
            section("Curves", _curves(config, records)),
            section("To reproduce", _command(config)),
            section("Configuration", _configuration(config)),
            section("Data and metrics", _about(config, records)),
        ]
    )
    variant = config.get("variant")
    page = render(name, body, accent=(run_colour(variant), run_colour(variant, dark=True)))
    write_bytes(run / "report.html", page.encode())
    return run / "report.html"


def _read_config(path):
    if not path.is_file():
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}.") from error
    if not isinstance(config, dict):
        raise InputError(f"{path} must hold a JSON object.")
    return config


# The parts of the page: each gives its HTML, or "" where the run has nothing to show -----------------------


def _header(name, config, records):
    train = next((record for record in reversed(records) if record["kind"] == "train"), None)
    facts = [f"{key} {config[key]}" for key in ("variant", "preset") if config.get(key)]
    facts += [f"step {train['step']:,}"] if train else []
    return (
        f"<header><p class=eyebrow>{escape(' · '.join(['minigan', *facts]))}</p>"
        f"<h1>{escape(name)}</h1><p class=verdict>{verdict(records)}</p></header>"
    )


def _samples(run):
    """The film of the sample grids beside real images; of a run that has none of them, its last samples."""
    real = figure(run / "real.png", "Real: images of the training data")
    grids = [(step_of(path), path) for path in run.glob("samples/*.png") if step_of(path) is not None]
    if shown := film(sorted(grids), beside=real):
        return f"<section>{shown}</section>"
    final = figure(run / "samples.png", "Generated: samples of the final generator")
    return (final or real) and f"<section class=pair>{final}{real}</section>"


def _curves(config, records):
    """The charts, with the classes of the samples among them; without script the pictures of matplotlib."""
    from minigan.curves import curves_png

    variant = config.get("variant")
    drawn = run_charts(records, variant)
    if not drawn:
        return ""
    light, dark = (data_uri(curves_png(records, variant, dark)) for dark in (False, True))
    fallback = (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img class=curves src="{light}" alt="Losses, penalty and evaluations over training"></picture>'
    )
    return charts(drawn, beside=class_shares(records), without_script=fallback)


def _configuration(config):
    """One table a section; what stands outside of the sections makes the first."""
    tables = {"run": {}}
    for key, value in config.items():
        if isinstance(value, dict) and key != "parameters":
            tables[key] = dict(_flat(value))
        elif key not in ("parameters", "command"):
            tables["run"][key] = value
    shown = ""
    for title, rows in tables.items():
        cells = [f"<tr><th>{escape(key)}</th><td>{escape(plain(rows[key]))}</td></tr>" for key in rows]
        shown += f"<table><caption>{escape(title)}</caption>{''.join(cells)}</table>" if cells else ""
    return shown and f"<div class=tables>{shown}</div>"


def _flat(values, prefix=""):
    """(key, value) pairs of a section, dotted keys for what is nested deeper; notes are told elsewhere."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif key != "note":
            yield prefix + key, value


def _command(config):
    command = config.get("command") or ""
    return command and f"<pre><code>{escape(command)}</code></pre>"


def _about(config, records):
    data = config.get("data")
    notes = [data.get("note")] if isinstance(data, dict) else []
    notes += about_metrics(records)
    return "".join(f"<p>{escape(str(note))}</p>" for note in notes if note)
