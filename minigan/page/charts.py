"""Curves for a page: the JSON that the script draws from, thin enough for a long run and true in every value shown.

A chart is {"title", "series", "note"?, "log"?, "percent"?}, a series {"label", "colour": [on white, on dark], "x", "y"}
and perhaps "smooth" (the bold line; y is then a faint one), "band" (half its height around y), "dash", "dots", and
"of": n (y is a share of n; the readout says "9 of 10").
"""

import numpy as np

from minigan.page.pieces import embed_json

MOST = 800  # points of a chart's series, about; a longer log keeps the least and the greatest value of every stretch
DIGITS = 6  # significant digits of an embedded value


def series(label, colour, steps, values, *, smooth=None, band=None, dash=False, dots=False, of=None):
    """One line of a chart: `values` over `steps`, both (N,), finite.

    `colour` is a pair of hex strings, on white and on dark paper. `smooth` and `band`, (N,), are a smoothed twin of the
    values and a standard deviation to shade around them; `dots` marks every point, for lines of few.
    """
    made = {"label": label, "colour": list(colour), "x": np.asarray(steps, float), "y": np.asarray(values, float)}
    made |= {key: np.asarray(twin, float) for key, twin in (("smooth", smooth), ("band", band)) if twin is not None}
    return made | {key: option for key, option in (("dash", dash), ("dots", dots), ("of", of)) if option}


def chart(title, lines, *, note="", log=False, percent=False):
    """One pair of axes for the script to draw: `lines` from `series`, of which empty ones are left out.

    `log` is for positive values; `percent` writes shares as per cent; `note` stands small beside the title.
    """
    made = {"title": title, "series": _thinned([line for line in lines if len(line["x"])])}
    return made | {key: option for key, option in (("note", note), ("log", log), ("percent", percent)) if option}


def charts(listed, without_script="", beside=""):
    """The HTML of charts drawn by the page's script, "" if none has a line.

    `without_script` is HTML in their place, `beside` HTML (a <figure>) that stands after them in the same grid.
    """
    listed = [chart for chart in listed if chart["series"]]
    if not listed:
        return ""
    return f"<noscript>{without_script}</noscript><div class=charts>{embed_json(listed)}{beside}</div>"


def _thinned(lines):
    """The lines with few enough points, as lists. Lines over the same steps keep the same ones."""
    kept = {}
    for line in lines:
        kept.setdefault(line["x"].tobytes(), set()).update(_extremes(line["y"]))
    for line in lines:
        indices = sorted(kept[line["x"].tobytes()])
        for key in ("x", "y", "smooth", "band"):
            if key in line:
                line[key] = [_short(value) for value in line[key][indices]]
    return lines


def _extremes(values):
    """Indices of the first, the last, and the least and the greatest value of every stretch."""
    if len(values) <= MOST:
        return range(len(values))
    stretches = np.array_split(np.arange(len(values)), MOST // 2)
    ends = [stretch[[values[stretch].argmin(), values[stretch].argmax()]] for stretch in stretches]
    return {0, len(values) - 1, *np.concatenate(ends).tolist()}


def _short(value):
    value = float(f"{value:.{DIGITS}g}")
    return int(value) if value == int(value) else value
