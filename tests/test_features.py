"""The table of docs/features.md: each mark of ours and of PyTorch is what its line of code gives."""

import re
from pathlib import Path

import pytest
from feature_lines import LIBRARIES, LINES, marks

PAGE = (Path(__file__).parent.parent / "docs" / "features.md").read_text(encoding="utf-8")
HEADINGS = ["feature", "ours", "PyTorch", "HIPS autograd", "tinygrad"]


def table():
    """{row: the mark of each library}."""
    head, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in re.findall(r"^\|.*\|$", PAGE, re.M))
    assert head == HEADINGS
    return {name: cells for name, *cells in rows}


def test_every_row_has_its_lines_and_every_cell_says_yes_or_no():
    assert list(table()) == list(LINES)
    assert all(re.match(r"(yes|no)( \(|$)", cell) for cells in table().values() for cell in cells)


@pytest.mark.parametrize("library", ["ours", pytest.param("torch", marks=pytest.mark.slow)])
def test_the_marks_are_what_the_lines_give(library):
    if library == "torch":
        pytest.importorskip("torch")
    told = {row: cells[LIBRARIES.index(library)].startswith("yes") for row, cells in table().items()}
    assert marks(library) == told
