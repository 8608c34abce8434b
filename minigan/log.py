"""What a run writes, read and told: `config.json`, and `log.jsonl`, a JSON object a line, of kind "train",
"eval", "spectra" or "schedule" (its schedules are laid over another number of steps from there on).
"""

import json
import math
import shlex
from pathlib import Path
from typing import Any

from minigan.errors import InputError
from minigan.files import why
from minigan.numbers import deviation, number

DISTANCES = {  # key of a Fréchet distance in a record -> its name. Distances of different names do not compare.
    "fid": "FID",
    "digit_fid": "digit-FID",
    "random_fid": "random-FID",
}
# Of 255: pixels from 1 to 19 are faint, and those above 250 bright. Real strokes on a black ground have few faint
# pixels and many bright ones.
FAINT, BRIGHT = 20, 250
FEW = 2048  # images, below which a Fréchet distance is far too large: as many as Inception has features
# Images below which precision was seen to flatter: noise had 1.0 with 100 and 0.03 with 300, the samples of a run of
# 90 steps 0.72 with 1,000 and 0.14 with 5,000.
FEW_NEIGHBOURS = 5000
TEXTS = ("kind", "features", "reference_split")  # fields of a record that are text; the others are numbers
FEATURES = {"digits": "digit features", "inception": "Inception features", "random": "random features"}


def read_config(directory: str | Path) -> dict[str, Any]:
    """The config.json of a run, given as its directory or as the file itself; values of a wrong type are left out.
    {} where there is none yet. InputError if it is not a JSON object.
    """
    path = Path(directory)
    path = path if path.is_file() else path / "config.json"
    if not path.is_file():
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({why(error)})") from error
    if not isinstance(config, dict):
        raise InputError(f"{path} must hold a JSON object")
    return {name: value for name, value in config.items() if _fits(name, value)}


def _fits(name: str, value: Any) -> bool:
    """Whether a value of config.json has its type; others would stop whoever reads it."""
    if name in ("options", "data", "parameters", "machine"):
        return isinstance(value, dict)
    if name == "command":
        try:
            return bool(shlex.split(value))
        except (ValueError, AttributeError, TypeError):
            return False
    return name not in ("variant", "preset") or isinstance(value, str)


def read_log(path: str | Path) -> list[dict[str, Any]]:
    """The records of a run, in order of step.

    A resumed run repeats some steps: of one kind and step, the last record is kept. A line that a kill cut short is
    skipped. InputError where there is no log, or no line of it is a record.
    """
    return parse_log(path)[0]


def parse_log(path: str | Path) -> tuple[list[dict[str, Any]], int]:
    """`read_log`, and the number of whole lines that are not records or have a field that no record has.

    InputError as from `read_log`.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist: a run writes it at its first logged step.")
    *lines, cut = path.read_text(encoding="utf-8", errors="replace").split("\n")
    latest, odd = {}, 0
    for line in [*lines, cut]:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        kept = {name: v for name, v in record.items() if _is_field(name, v)} if isinstance(record, dict) else {}
        if {"kind", "step"} <= kept.keys():
            latest[kept["kind"], kept["step"]] = kept
        odd += line is not cut and bool(line.strip()) and kept != record
    if any(line.strip() for line in lines) and not latest:
        raise InputError(f"{path} is not the log of a run: no line of it is a record with a kind and a step.")
    return sorted(latest.values(), key=lambda record: record["step"]), odd


def _is_field(name: str, value: Any) -> bool:
    """Whether a field of a record has a value of its type. Infinity and NaN count: a loss can become either."""
    if name == "step":
        return type(value) is int and 0 <= value < 2**63
    if name in TEXTS:
        return isinstance(value, str)
    if name in ("class_shares", "class_accuracy"):
        shares = isinstance(value, list) and 0 < len(value) <= 1000
        absent = name == "class_accuracy"  # None for a class that no sample was asked to be of
        return shares and all(type(v) in (int, float) and 0 <= v <= 1 or (absent and v is None) for v in value)
    return type(value) is float or (type(value) is int and abs(value) < 2**63)


def last(records: list[dict], kind: str) -> dict[str, Any]:
    """The last record of a kind; {} where there is none."""
    return next((record for record in reversed(records) if record["kind"] == kind), {})


def distance(record: dict) -> tuple[str, str] | None:
    """(key, name) of the Fréchet distance in an "eval" record; None where it has none."""
    return next(((key, name) for key, name in DISTANCES.items() if key in record), None)


def class_count(record: dict) -> int:
    """How many classes an "eval" record counts; ten where it does not say."""
    return len(record.get("class_shares") or range(10))


def few_images(n: int) -> str:
    """What is wrong with figures of n generated or real images, whichever are fewer; "" if nothing is."""
    limits = {"distances are too large": FEW, "precision can be too high": FEW_NEIGHBOURS}
    wrong = " and ".join(words for words, limit in limits.items() if n < limit)
    return wrong and f"with so few images, {wrong}"


def describe(figures: dict[str, Any]) -> str:
    """The record of an evaluation in one line for the terminal. What the record lacks is left out."""
    named = distance(figures)
    if not named:
        return "no figures"
    key, label = named
    parts = [f"{label} {figures[key]:.1f}"]
    if "floor" in figures:
        ratio = figures[key] / figures["floor"] if figures["floor"] else math.inf
        parts[0] += f" ({ratio:.1f} × real against real)"
    if "samples" in figures:
        parts[0] += f" of {figures['samples']:,} samples"
    if {"kid", "kid_std"} <= figures.keys():
        parts.append(f"KID {number(figures['kid'])}{deviation(figures['kid_std'])}")
    if {"precision", "recall"} <= figures.keys():
        parts.append(f"precision {figures['precision']:.2f}, recall {figures['recall']:.2f}")
    if {"classes", "confident"} <= figures.keys():
        noun = "class" if figures["classes"] == 1 else "classes"
        parts.append(f"{figures['classes']} {noun}, {100 * figures['confident']:.1f} % confident")
    if "label_accuracy" in figures:
        parts.append(f"{100 * figures['label_accuracy']:.1f} % of the class asked for")
    return "; ".join(parts)
