"""Write a page of Markdown as a Jupyter notebook: python -m experiments.markdown_notebook docs/tour.md tour.ipynb

Every ```python block becomes a cell of code, and the text between them cells of text. So a lecture is written, compared
and reviewed as Markdown, and its notebook never drifts from it. The cells have no outputs: Jupyter runs them.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

from experiments.cli import run_main

BLOCK = re.compile(r"^```python\n(.*?)^```$\n?", re.S | re.M)


def notebook(markdown: str) -> dict[str, Any]:
    """The notebook of a page, as the JSON of nbformat 4.5."""
    text, *pairs = BLOCK.split(markdown)
    cells = [("markdown", text)]
    for code, after in zip(pairs[::2], pairs[1::2], strict=True):
        cells += [("code", code), ("markdown", after)]
    kept = [(kind, source.strip()) for kind, source in cells if source.strip()]
    return {
        "cells": [_cell(kind, source, f"cell-{i}") for i, (kind, source) in enumerate(kept, 1)],
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def code_cell(source: str, name: str) -> dict[str, Any]:
    """A cell of code that has not run."""
    return _cell("code", source.strip(), name)


def _cell(kind: str, source: str, name: str) -> dict[str, Any]:
    cell = {"cell_type": kind, "id": name, "metadata": {}, "source": source.splitlines(keepends=True)}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        "python -m experiments.markdown_notebook",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("page", type=Path, help="a Markdown file with ```python blocks")
    p.add_argument("notebook", type=Path, help="the .ipynb file to write")
    return p


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    from minigan.errors import InputError
    from minigan.files import write_bytes

    try:
        page = args.page.read_text(encoding="utf-8")
    except ValueError as error:
        raise InputError(f"{args.page} is not UTF-8 text") from error
    if args.notebook.suffix != ".ipynb":
        raise InputError(f"{args.notebook}: the name of a notebook ends in .ipynb")
    if args.notebook.exists():  # it may hold somebody's work
        raise InputError(f"{args.notebook} exists: give another name, or remove it first")
    made = notebook(page)
    if not any(cell["cell_type"] == "code" for cell in made["cells"]):
        raise InputError(f"{args.page} has no ```python block")
    write_bytes(args.notebook, (json.dumps(made, ensure_ascii=False, indent=1) + "\n").encode())
    print(f"{args.notebook}: {len(made['cells'])} cells")
    return 0


def run() -> None:
    """The command as a console script."""
    run_main(main)


if __name__ == "__main__":
    run()
