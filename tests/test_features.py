"""docs/features.md: each mark of ours and of PyTorch in the table is what its line of code gives, and so are the lines
that keep us from the array API standard."""

import re
from pathlib import Path

import numpy as np
import pytest
from feature_lines import LIBRARIES, LINES, has, marks

from autograd import Tensor, ops

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


STANDARD = re.findall(r"^- `([^`]+)`: ", PAGE.partition("## The array API standard")[2], re.M)


def test_a_tensor_does_not_say_that_it_follows_the_array_api_standard():
    """If none of the lines below is left, it may."""
    assert not hasattr(Tensor, "__array_namespace__") and len(STANDARD) == 12


@pytest.mark.parametrize("line", STANDARD)
def test_a_line_of_the_standard_holds_for_numpy_and_not_for_us(line):
    x = np.arange(6.0).reshape(2, 3)
    assert not has(line, {"xp": ops, "x": Tensor(x)})
    if np.lib.NumpyVersion(np.__version__) >= "2.1.0":  # which follows it
        assert has(line, {"xp": np, "x": x})
