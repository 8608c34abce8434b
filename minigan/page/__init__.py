"""Pages for a browser: one file each, without a network, light or dark as the reader's system is.

    body = section("Over training", film([(step, path), …], beside=figure("real.png", "Real images")))
    body += section("Curves", chart_grid(charts))                   # see minigan.charts
    html = render("a title", body, accent=run_colours("vitgan"))

`film(frames)`    a slider over sample grids with a play button; without scripts, the last grid and a strip of a few
`figure(path)`    an image file as a <figure>, with the file's bytes inside
`render(…)`       the page around a body, with the style sheet and the script inside

Titles and captions are plain text and are escaped here. Bodies are HTML: escape what you put into them.
"""

import base64
import hashlib
from html import escape
from pathlib import Path
from string import Template

from minigan.page.film import film
from minigan.page.pieces import data_uri, figure, section

__all__ = ["data_uri", "figure", "film", "render", "section"]

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


def render(title: str, body: str, accent: tuple[str, str], scripts: tuple[str, ...] = ("film",)) -> str:
    """A whole page: `title` is plain text, `body` HTML, `accent` the page's colour on light and on dark paper.

    scripts: "film" moves the slider of a film, "sort" sorts tables of class sortable.
    """
    folder = Path(__file__).parent
    script = "".join((folder / f"{name}.js").read_text(encoding="utf-8") for name in scripts)
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
