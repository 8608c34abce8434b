"""Lectures that run in the browser, by Pyodide: CPython and NumPy compiled to WebAssembly.

`autograd` and `nn` need NumPy alone. They travel as one zip, which is unpacked before any import and put first on
sys.path, so that no bundled package of the name `autograd` wins. Pyodide itself is not part of the site: a page
takes it from the folder `pyodide` at the site's root, or from where its address says, PAGE?pyodide=https://…/.
Nothing is fetched before the reader presses Start.
"""

import io
import re
import zipfile
from html import escape
from pathlib import Path
from string import Template

from experiments.docs.op_page import LECTURES, ROOT

PACKAGES = ("autograd", "nn")
NUMBERS = ("01", "02", "10")  # lectures that need NumPy and matplotlib alone, and are short on WebAssembly too
CELLS = Path(__file__).with_name("cells")
STAMP = (1980, 1, 1, 0, 0, 0)  # of every file in the zip: the same sources make the same bytes
CELL = re.compile(r"^```python\n(.*?)^```$(?:\s*^```text\n(.*?)^```$)?", re.M | re.S)


def package() -> bytes:
    """The zip of autograd and nn: sources alone, without the CUDA kernels."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in PACKAGES:
            for path in sorted((ROOT / name).rglob("*")):
                if path.suffix in (".py", ".css", ".js"):
                    archive.writestr(zipfile.ZipInfo(path.relative_to(ROOT).as_posix(), STAMP), path.read_bytes())
    return out.getvalue()


def pages() -> dict[str, str]:
    """The HTML of every lecture that runs in the browser, by its name, as far as the lecture is there."""
    found = {}
    for path in sorted(LECTURES.glob("[0-9][0-9]-*.md")):
        if path.name[:2] in NUMBERS:
            found[path.stem] = page(path.stem, path.read_text(encoding="utf-8"))
    return found


def page(name: str, text: str) -> str:
    """The cells of a lecture, each with what it prints; the prose is on the lecture's own page."""
    title = text.splitlines()[0].lstrip("# ")
    cells = []
    for code, output in CELL.findall(text):
        box = f'<textarea spellcheck="false" rows="{code.count(chr(10)) or 1}">{escape(code.rstrip())}</textarea>'
        cells.append(f"<section>{box}<button disabled>Run</button><pre>{escape(output)}</pre></section>")
    template = Template((CELLS / "cells.html").read_text(encoding="utf-8"))
    lecture = f"../docs/lectures/{name}.html"
    return template.substitute(title=escape(title), lecture=lecture, cells="\n".join(cells))


def write(site: Path) -> None:
    """Write the zip and the pages into the folder `run` of a built site."""
    folder = site / "run"
    folder.mkdir()
    (folder / "minigan.zip").write_bytes(package())
    (folder / "cells.js").write_bytes((CELLS / "cells.js").read_bytes())
    for name, text in pages().items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
