"""Builds the site with Sphinx, and looks at what was built: every link of every page must lead somewhere."""

import shutil
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from experiments.docs import browser
from experiments.docs.sources import ROOT, collect
from minigan.errors import InputError

MARK = ".minigan-site"  # the file by which a site is known
SETTINGS = {
    "project": "minigan",
    "author": "The minigan authors",
    "extensions": ["myst_parser", "experiments.docs.mathematics"],
    "html_theme": "furo",
    "html_title": "minigan",
    "html_static_path": [str(Path(__file__).with_name("static"))],
    "html_css_files": ["site.css"],
    "html_math_renderer": "mathml",
    "html_copy_source": False,
    "html_show_sphinx": False,
    "highlight_language": "text",
    "myst_enable_extensions": ["dollarmath", "colon_fence"],
    "myst_dmath_allow_space": False,
    "myst_dmath_allow_digits": False,
    "myst_heading_anchors": 4,
    "suppress_warnings": ["myst.header", "misc.highlighting_failure"],  # a block with … in place of code
    "nitpicky": True,
    "nitpick_ignore_regex": [("py:.*", ".*")],  # types in signatures have no pages of their own
    "add_module_names": False,
    "maximum_signature_line_length": 88,
}


def build(out: Path) -> int:
    """Build the site into a folder, which is replaced as a whole; the number of its pages.

    Raises InputError if the folder holds something else, if Sphinx is missing, warns, or if a link of a built page
    leads nowhere.
    """
    out = out.resolve()
    check_place(out)
    try:
        from sphinx.application import Sphinx
        from sphinx.util.docutils import docutils_namespace, patch_docutils
    except ImportError:
        raise InputError("the site is built by Sphinx, which is not installed: pip install -e '.[docs]'") from None
    with tempfile.TemporaryDirectory() as place:
        source, built = Path(place, "source"), Path(place, "site")
        made = write(source)
        with patch_docutils(str(source)), docutils_namespace():
            app = Sphinx(
                source, None, built, Path(place, "doctrees"), "html", SETTINGS, status=None, warning=sys.stderr
            )
            app.build()
        if app._warncount:
            raise InputError(f"Sphinx gave {app._warncount} warnings, which stand above")
        for name in made:
            (built / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, built / name)
        browser.write(built)
        if dead := dead_links(built):
            raise InputError("dead links: " + ", ".join(dead[:20]) + (", …" if len(dead) > 20 else ""))
        (built / ".nojekyll").touch()  # GitHub Pages leaves folders with _ out without it
        put_in_place(built, out)
        return len(list(out.rglob("*.html")))


def check_place(out: Path) -> None:
    """InputError if there is anything at `out` but an empty folder or a site that this command built."""
    free = not out.exists() or out.is_dir() and (not any(out.iterdir()) or (out / MARK).is_file())
    if not free:
        raise InputError(f"{out} holds something else than a site of this command: delete it, or choose another --out")


def put_in_place(built: Path, out: Path) -> None:
    """Replace the site at `out` by a copy of `built`.

    It is copied beside it and gets its name at the end, so that a kill leaves a whole site. Between the two renames
    that is the old one, at .NAME.old; the next call begins by putting it back.
    """
    new, old = (out.with_name(f".{out.name}.{which}") for which in ("new", "old"))
    if old.exists() and not out.exists():
        old.rename(out)
    for left in (new, old):
        check_place(left)
        shutil.rmtree(left, ignore_errors=True)
    new.mkdir()
    (new / MARK).write_text("python -m experiments.docs replaces this folder as a whole\n", encoding="utf-8")
    shutil.copytree(built, new, dirs_exist_ok=True)
    if out.exists():
        out.rename(old)
    new.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def write(source: Path) -> set[str]:
    """Write all Markdown and the pictures that it shows; the files that are to be copied beside the built pages."""
    made = collect()
    for name, text in made.pages.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for name in made.pictures:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    return made.files


class _Page(HTMLParser):
    """The ids and the links of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        given = dict(attrs)
        self.ids |= {given[key] for key in ("id", "name") if given.get(key)}
        self.links |= {given[key] for key in ("href", "src") if given.get(key)}


def dead_links(site: Path) -> list[str]:
    """PAGE: LINK of every link inside the site whose file or whose #place is not there."""
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    dead = []
    for path, page in pages.items():
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            known = pages.get(target) or pages.get(site / target.relative_to(site.resolve()))
            if not target.exists() or (parts.fragment and known and unquote(parts.fragment) not in known.ids):
                dead.append(f"{path.relative_to(site)}: {link}")
    return dead
