"""The kit for pages that one opens in a browser: one file each, no network, light or dark as the reader's system is.

    body = section("Over training", film(grids, beside=figure("real.png", "Real images")))
    body += section("Curves", charts([chart("Loss", [series("discriminator", D, steps, values, smooth=True)])]))
    html = render("a title", body, accent=run_colour_pair)

`film(frames)`    a slider over sample grids [(step, path), …] with a play button; without script the last and a strip
`charts(list)`    curves with zoom, readout and smoothing, drawn by the page's script from JSON (see `chart`, `series`)
`render(…)`       the page around a body: `PAGE.substitute(…)` with the style sheet and the script in place
`figure(…)`       an image file as a <figure> with the file inside

All films and charts on a page are linked: a step chosen in one is shown in the others, and a zoom is one zoom. Put
what belongs together into `<div class="linked">…</div>` where a page shows several experiments.
Labels are escaped here, bodies are HTML: escape what you put into them. A colour is a pair of hex strings, on white
and on dark paper (`minigan.curves.run_colour(variant)`, `run_colour(variant, dark=True)`).
"""

import base64
import hashlib
from html import escape
from pathlib import Path
from string import Template

from minigan.page.charts import chart, charts, series
from minigan.page.film import film
from minigan.page.pieces import data_uri, figure, section

__all__ = ["PAGE", "chart", "charts", "data_uri", "figure", "film", "render", "section", "series"]

PAGE = Template("""<!doctype html>
<html lang="en" style="--run: $accent; --run-on-dark: $accent_on_dark">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline';
  script-src '$script_hash'; base-uri 'none'; form-action 'none'">
<title>$title · minigan</title>
<style>
$style</style>
<script>$script</script>
</head>
<body>
$body
</body>
</html>
""")


def render(title: str, body: str, accent: tuple[str, str]) -> str:
    """A whole page: `title` is escaped, `body` is HTML, `accent` the colour of what matters on white and on dark."""
    folder = Path(__file__).parent
    script = "".join((folder / name).read_text(encoding="utf-8") for name in ("charts.js", "film.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return PAGE.substitute(
        title=escape(title),
        accent=accent[0],
        accent_on_dark=accent[1],
        style=(folder / "page.css").read_text(encoding="utf-8"),
        script=script,
        script_hash=f"sha256-{digest}",
        body=body,
    )
