"""Write what is made from the pages of docs/lectures: pictures, notebooks, the timing sheet.

A picture is drawn anew when the code of its lecture has changed. --check writes nothing, says what is not current, and
exits with 1 if anything is not.
"""

import argparse
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from experiments.cli import run_main
from experiments.markdown_notebook import BLOCK, code_cell, notebook

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "lectures"
MADE_FROM = "Made from"  # the text in a picture that holds the fingerprint of its code
LIMIT = 600  # seconds that the code of a lecture may take, on a slow and busy machine
LARGE = 100_000  # bytes of a picture, beyond which it gets 256 colours

FIRST_CELL = """\
# Run this cell first. It finds minigan around this notebook, or clones it. It installs nothing.
import subprocess
import sys
from pathlib import Path

MINIGAN = ""  # outside a checkout, as in Colab: the address to clone from, "https://…/minigan.git"

around = [Path.cwd(), *Path.cwd().parents, Path.cwd() / "minigan"]
root = next((folder for folder in around if (folder / "autograd" / "engine.py").exists()), None)
if root is None:
    assert MINIGAN, "no checkout of minigan around this notebook: write the address to clone from into MINIGAN above"
    subprocess.run(["git", "clone", "--depth", "1", MINIGAN, "minigan"], check=True)
    root = Path.cwd() / "minigan"
sys.path.insert(0, str(root))  # before any other package that is called autograd

import autograd

assert root in Path(autograd.__file__).parents, "another autograd is loaded: restart the kernel, run this cell first"
"""


def pages() -> dict[str, str]:
    """The text of every lecture by its name, such as 01-one-op, in order."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("[0-9][0-9]-*.md"))}


def minutes(page: str, label: str) -> dict[str, int]:
    """The minutes of each section, from the line of the page that begins with the label and a full stop."""
    line = re.search(rf"^\*\*{label}\.\*\* (.+)$", page, re.M)
    parts = line[1].split(". ")[0].rstrip(".").split(" · ") if line else []
    return {section: int(n) for section, n in (part.rsplit(" ", 1) for part in parts)}


def run_it(name: str) -> str:
    """The paragraph of a lecture that says how to run it."""
    return (
        f"**To run it**, paste its blocks into `ipython`, or open [its notebook](notebooks/{name}.ipynb) in Jupyter: "
        "[what to install](README.md#run-a-lecture)."
    )


def lecture_notebook(name: str, page: str) -> dict[str, Any]:
    """The notebook of a lecture: a first cell that finds the project, and links as seen from its folder."""
    prose = page.replace(f"{run_it(name)}\n\n", "")  # whoever reads it runs it
    prose = re.sub(r"\]\((?!https?:|#|/)", "](../", prose)
    made = notebook(prose)
    made["cells"].insert(0, code_cell(FIRST_CELL, "cell-0"))
    return made


def timing(lectures: dict[str, str]) -> str:
    """The timing sheet of all lectures, as Markdown."""
    parts = [
        "# Timing sheet",
        "Minutes from the beginning of each section, and how to cut a lecture to 20 minutes. "
        "`python -m experiments.lectures` writes this page from the lectures.",
    ]
    for name, page in lectures.items():
        whole, short = minutes(page, "Minutes"), minutes(page, "In 20 minutes")
        rows = ["| starts at | section | minutes | in 20 minutes |", "|---:|---|---:|---:|"]
        start = 0
        for section, length in whole.items():
            rows.append(f"| {start} | {section} | {length} | {short.get(section, '–')} |")
            start += length
        title = page.partition("\n")[0].removeprefix("# ")
        number, _, words = title.partition(". ")
        parts += [f"## {number}. [{words}]({name}.md)", "\n".join(rows)]
        advice = re.search(r"^\*\*In 20 minutes\.\*\* .+?\. (.+)$", page, re.M)
        parts += [advice[1]] if advice else []
    return "\n\n".join(parts) + "\n"


def texts(lectures: dict[str, str]) -> dict[Path, str]:
    """Every file of text that is made from the lectures, with what should be in it."""
    made = {
        FOLDER / "notebooks" / f"{name}.ipynb": json.dumps(lecture_notebook(name, page), ensure_ascii=False, indent=1)
        + "\n"
        for name, page in lectures.items()
    }
    return made | {FOLDER / "timing.md": timing(lectures)}


def code(page: str) -> str:
    return "\n\n".join(BLOCK.findall(page))


def pictures(page: str) -> list[Path]:
    return [FOLDER / "figures" / name for name in re.findall(r"\]\(figures/([^)]+\.png)\)", page)]


def drawn_from(picture: Path, page: str) -> bool:
    """Whether the picture is there, and was drawn by the code that the page has now."""
    from PIL import Image

    if not picture.exists():
        return False
    with Image.open(picture) as image:
        return image.info.get(MADE_FROM) == fingerprint(page)


def fingerprint(page: str) -> str:
    return hashlib.sha256(code(page).encode()).hexdigest()[:16]


def draw(name: str, page: str) -> None:
    """Run the code of a lecture in an empty folder, and keep its pictures. InputError if it fails."""
    from PIL import Image, PngImagePlugin

    from minigan.errors import InputError
    from minigan.files import write_bytes

    note = PngImagePlugin.PngInfo()
    note.add_text(MADE_FROM, fingerprint(page))
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "lecture.py"
        script.write_text(code(page), encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
        command = [sys.executable, str(script)]
        try:
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT)
        except subprocess.TimeoutExpired as error:
            raise InputError(f"{name}.md still runs after {LIMIT} s: a lecture takes less than a minute") from error
        if done.returncode:
            raise InputError(f"{name}.md does not run: {(done.stderr.strip() or 'it exits').splitlines()[-1]}")
        for picture in pictures(page):
            if not (Path(folder) / picture.name).exists():
                raise InputError(f"{name}.md shows figures/{picture.name}, but no block saves it")
            with Image.open(Path(folder) / picture.name) as image:
                whole = image.convert("RGB")
            packed = _png(whole, note)
            if len(packed) > LARGE:
                packed = _png(whole.quantize(256, dither=Image.Dither.NONE), note)
            write_bytes(picture, packed)


def _png(image: Any, note: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "png", optimize=True, pnginfo=note)
    return file.getvalue()


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        "python -m experiments.lectures", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--check", action="store_true", help="write nothing; exit with 1 if anything is not current")
    return p


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    from minigan.errors import InputError
    from minigan.files import write_bytes

    lectures = pages()
    if not lectures:
        raise InputError(f"{FOLDER} has no lectures: run this command in a checkout")
    undrawn = {name: page for name, page in lectures.items() if not all(drawn_from(p, page) for p in pictures(page))}
    old = {path: text for path, text in texts(lectures).items() if not path.exists() or read(path) != text}
    stale = [*(path for page in undrawn.values() for path in pictures(page)), *old]
    if not args.check:
        for name, page in undrawn.items():
            draw(name, page)
        for path, text in old.items():
            write_bytes(path, text.encode())
    for path in stale:
        print(f"{path.relative_to(FOLDER)}: {'not current' if args.check else 'written'}")
    return 1 if args.check and stale else 0


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def run() -> None:
    """The command as a console script."""
    run_main(main)


if __name__ == "__main__":
    run()
