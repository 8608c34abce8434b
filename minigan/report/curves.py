"""The curves of a run as charts for its page: the evaluations, then what D and G did to each other."""

from minigan.curves import DARK, LIGHT, TRAIN_PANELS, class_count, logged, run_colour, smooth
from minigan.log import DISTANCES
from minigan.page import chart, series
from minigan.page.pieces import is_number
from minigan.report.numbers import FEATURES, last


def run_charts(records, variant=None):
    """Charts of all that the records of a run hold; see `minigan.page.chart`."""
    train = [record for record in records if record["kind"] == "train"]
    evals = [record for record in records if record["kind"] == "eval"]
    run, ink, quiet = (run_colour(variant), run_colour(variant, dark=True)), _pair("ink"), _pair("quiet")

    def measured(label, colour, key, source=evals, **options):
        return series(label, colour, *logged(source, key), dots=True, **options)

    drawn = []
    for key, name in DISTANCES.items():
        having = [record for record in evals if record.get(key)]
        floor = series("real against real", quiet, *logged(having, "floor", above=0), dash=True)
        line = series(name, run, *logged(having, key, above=0), dots=True)
        drawn.append(chart(name, [line, floor] if having else [], note="lower is better", log=True))
    both = [record for record in evals if is_number(record.get("kid")) and is_number(record.get("kid_std"))]
    (steps, kid), (_, band) = logged(both, "kid"), logged(both, "kid_std")
    note = FEATURES.get(last(evals, "eval").get("features"), "")
    drawn.append(chart("KID", [series("KID", run, steps, kid, dots=True, band=band)], note=note))
    neighbours = [
        measured("precision", run, "precision"),
        measured("density", run, "density", dash=True),
        measured("recall", ink, "recall"),
        measured("coverage", ink, "coverage", dash=True),
    ]
    drawn.append(chart("Fidelity and diversity", neighbours))
    of = class_count(records)
    steps, found = logged(evals, "classes")
    classes = series("classes found", ink, steps, found / of, of=of, dots=True)
    drawn.append(chart("Confident and found", [measured("confident", run, "confident"), classes], percent=True))
    for title, lines, log in TRAIN_PANELS:
        drawn.append(chart(title, [_train_line(train, *line) for line in lines], log=log))
    return [chart for chart in drawn if chart["series"]]


def _train_line(records, key, label, colour):
    steps, values = logged(records, key)
    return series(label or key, _pair(colour), steps, values, smooth=smooth(values))


def _pair(name):
    return LIGHT[name], DARK[name]
