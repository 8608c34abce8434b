"""`report.html`: everything a run left behind on one page that needs no network and no other file."""

import base64
import io
import json
import math
import statistics
from html import escape
from pathlib import Path

from minigan.curves import curves_png, run_colour
from minigan.errors import InputError
from minigan.figures import enlargement, evenly, step_of, write_bytes
from minigan.log import read_log
from minigan.page import PAGE

STRIP = 8  # sample grids shown of the whole training
ABOUT_METRICS = """
digit-FID is the Fréchet distance on the features of our digit classifier; it is not the Inception FID, and
the two must not be compared. Its floor is the distance between two sets of real images: a ratio of 1 is the
best a generator can do. A class counts as found when enough samples fall into it, and a sample is confident
when the classifier is nearly sure of its class. All samples come from the moving average of the generator.
"""


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
            _samples(run),
            _section("In numbers", _numbers(run, config, records)),
            _section("Over training", _strip(run)),
            _section("Curves", _curves(config, records)),
            _section("Configuration", _configuration(config)),
            _section("To reproduce", _command(config)),
            _section("Data and metrics", _about(config, records)),
        ]
    )
    on_white, on_dark = (run_colour(config.get("variant"), dark) for dark in (False, True))
    page = PAGE.substitute(title=escape(name), accent=on_white, accent_on_dark=on_dark, body=body)
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


def _last(records, kind):
    return next((record for record in reversed(records) if record["kind"] == kind), {})


def _section(title, body):
    return body and f"<section><h2>{title}</h2>{body}</section>"


# The parts of the page: each gives its HTML, or "" where the run has nothing to show -----------------------


def _header(name, config, records):
    train, last = _last(records, "train"), _last(records, "eval")
    says = []
    if _number(last.get("digit_fid")):
        says.append(f"<strong>digit-FID {_number(last['digit_fid'])}</strong>")
        if ratio := _ratio(last):
            says[0] += f", {ratio} the floor of {_number(last['floor'])} between real images"
    if _number(last.get("classes")):
        says.append(f"{_number(last['classes'])} of {_class_count(last)} classes found")
    if _percent(last.get("confident")):
        says.append(f"{_percent(last['confident'])} of the samples confident")
    if not says and train:
        says.append(f"Step {train['step']:,}, without figures")
    facts = [f"{key} {config[key]}" for key in ("variant", "preset") if config.get(key)]
    facts += [f"step {train['step']:,}"] if train else []
    return (
        f"<header><p class=eyebrow>{escape(' · '.join(['minigan', *facts]))}</p>"
        f"<h1>{escape(name)}</h1><p class=verdict>{'; '.join(says) or 'Not trained yet'}.</p></header>"
    )


def _samples(run):
    """The last samples beside real images; of a run that did not end, the last grid of its training."""
    final = _figure(run / "samples.png", "Generated: samples of the final generator")
    if not final and (grids := _grids(run)):
        final = _figure(grids[-1], f"Generated: samples at step {step_of(grids[-1]):,}")
    real = _figure(run / "real.png", "Real: images of the training data")
    return (final or real) and f"<section class=pair>{final}{real}</section>"


def _grids(run):
    """The files of the sample grids over training, in order of step."""
    return sorted((path for path in run.glob("samples/*.png") if step_of(path) is not None), key=step_of)


def _numbers(run, config, records):
    """The animation where there is one, and beside it the cards and the shares of the classes."""
    caption = "The same noise through the generator as it learns"
    animation = _figure(run / "samples.gif", caption, "moving")
    numbers = _cards(config, records) + _class_shares(records)
    if not (animation and numbers):
        return animation + numbers
    return f"<div class=pair>{animation}<div>{numbers}</div></div>"


def _cards(config, records):
    train, last = _last(records, "train"), _last(records, "eval")
    speeds = [r["images_per_second"] for r in records if _is_number(r.get("images_per_second"))]
    measured = [r for r in records if _is_number(r.get("digit_fid"))]
    best = min(measured, key=lambda record: record["digit_fid"], default={})
    fid, floor = _number(last.get("digit_fid")), _number(last.get("floor"))
    cards = [  # label, value, note; shown where there is a value
        ("digit-FID", fid and f"<strong>{fid}</strong>", floor and f"real against real: {floor}"),
        ("times the floor", _ratio(last), "real images: 1 ×"),
        ("best digit-FID", _number(best.get("digit_fid")), f"at step {_count(best.get('step'))}"),
        ("classes found", _number(last.get("classes")), f"of {_class_count(last)}"),
        ("confident samples", _percent(last.get("confident")), "by the classifier"),
        ("samples evaluated", _count(last.get("samples")), f"at step {_count(last.get('step'))}"),
        ("steps", _count(train.get("step")), ""),
        ("real images seen", _count(train.get("images")), ""),
        ("wall time", _duration(train.get("seconds")), ""),
        ("images per second", _number(statistics.median(speeds)) if speeds else "", "median"),
        *((part, _count(count), "parameters") for part, count in config.get("parameters", {}).items()),
    ]
    shown = "".join(
        f"<div class=card><dt>{escape(label)}</dt><dd>{value}<small>{note}</small></dd></div>"
        for label, value, note in cards
        if value
    )
    return shown and f"<dl class=cards>{shown}</dl>"


def _strip(run):
    grids = evenly(_grids(run), STRIP)
    if len(grids) < 2:
        return ""
    strip = "".join(_figure(path, f"step {step_of(path):,}", enlarge=False) for path in grids)
    return f"<div class=strip>{strip}</div>"


def _curves(config, records):
    """The picture twice, for light and for dark pages."""
    if not records:
        return ""
    variant = config.get("variant")
    light, dark = (_data_uri(curves_png(records, variant, dark), "png") for dark in (False, True))
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img class=curves src="{light}" alt="Losses, penalty and evaluations over training"></picture>'
    )


def _class_shares(records):
    """One bar a class, against the dashed line of equal shares."""
    shares = _last(records, "eval").get("class_shares")
    if not shares:
        return ""
    step, bottom, height = 60, 140, 132
    width, scale = step * len(shares), height / max(*shares, 1.2 / len(shares))
    parts = []
    for i, share in enumerate(shares):
        centre, high = step * i + step // 2, scale * share
        parts.append(f"<rect x={centre - 20} y={bottom - high:.1f} width=40 height={high:.1f} rx=2 />")
        parts.append(f"<text x={centre} y={bottom + 24}>{i}</text>")
        parts.append(f"<text class=quiet x={centre} y={bottom + 44}>{share:.1%}</text>")
    even = bottom - scale / len(shares)
    parts.append(f"<line x1=0 x2={width} y1={even:.1f} y2={even:.1f} />")
    return (
        "<figure><figcaption>Classes of the samples; equal shares would reach the dashed line</figcaption>"
        f'<svg class=bars viewBox="0 0 {width} {bottom + 52}" role=img aria-label="Share of each class">'
        f"{''.join(parts)}</svg></figure>"
    )


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
        cells = [f"<tr><th>{escape(key)}</th><td>{escape(_plain(rows[key]))}</td></tr>" for key in rows]
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
    notes += [ABOUT_METRICS] if _last(records, "eval") else []
    return "".join(f"<p>{escape(str(note))}</p>" for note in notes if note)


# Pieces ----------------------------------------------------------------------------------------------------


def _figure(path, caption, kind="", enlarge=True):
    """An image file as a <figure> with the file inside; "" where there is none or it cannot be read."""
    from PIL import Image

    try:
        data = path.read_bytes()
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
    except OSError:
        return ""
    factor = enlargement(width) if enlarge else 1
    source = _data_uri(data, path.suffix.removeprefix("."))
    text = escape(caption)
    return (
        f'<figure class="{kind}" style="max-width:{factor * width}px">'
        f'<img class=pixels src="{source}" width={factor * width} height={factor * height} alt="{text}">'
        f"<figcaption>{text}</figcaption></figure>"
    )


def _data_uri(data, kind):
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _number(value):
    """Three significant digits, and whole numbers whole; "" for what is not a finite number."""
    if not _is_number(value):
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def _count(value):
    return f"{value:,.0f}" if _is_number(value) else ""


def _percent(share):
    return f"{share:.0%}" if _is_number(share) else ""


def _ratio(record):
    fid, floor = record.get("digit_fid"), record.get("floor")
    return f"{_number(fid / floor)} ×" if _is_number(fid) and _is_number(floor) and floor > 0 else ""


def _duration(seconds):
    if not _is_number(seconds):
        return ""
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{seconds:.3g} s"
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes < 10 else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def _class_count(record):
    return len(record.get("class_shares") or range(10))


def _plain(value):
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
