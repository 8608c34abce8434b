"""The page of every op: whole, from the registry, its formulas well formed."""

from xml.etree import ElementTree

import numpy as np
import pytest

from autograd.registry import OPS
from experiments.docs.op_page import code, library_ops, mathematics, page, tape_row
from experiments.docs.pictures import curves, differences, is_curve
from experiments.docs.svg import heat_maps, lines

NAMES = list(library_ops())


@pytest.mark.parametrize("name", NAMES)
def test_every_formula_is_well_formed(name):
    divs = ElementTree.fromstring(mathematics(OPS[name]))
    assert len(list(divs)) == len(OPS[name].doc.strip().splitlines())
    assert all(span.find(".//*") is not None for span in divs.iter("span"))


@pytest.mark.parametrize("name", ["tanh", "matmul", "concatenate", "getitem"])
def test_a_page_has_all_its_parts(name):
    text = page(OPS[name])
    parts = ("The code", "On the tape", "The gradient, checked", "Elsewhere")
    assert f"\n# {name}\n" in text and [f"## {part}\n" in text for part in parts] == [True] * 4
    assert "def forward(xp" in code(OPS[name]) and "def backward(xp, g" in code(OPS[name])
    assert "gives" in tape_row(OPS[name]).splitlines()[0] and text.count("<svg") == 2


@pytest.mark.slow  # all together they take some seconds
@pytest.mark.parametrize("name", NAMES)
def test_every_page_can_be_made(name):
    assert page(OPS[name])


@pytest.mark.parametrize("name", ["tanh", "softmax", "conv2d", "log"])
def test_the_picture_of_the_check_is_a_v(name):
    """The error at the best step is far below that of large steps (h²) and of small ones (rounding over h)."""
    error = differences(OPS[name])
    assert np.nanmin(error) < 1e-8
    assert error[0] > 1e3 * np.nanmin(error)  # h = 1e-12: rounding of 1e-16 over 1e-12 is 1e-4


def test_a_curve_is_drawn_where_it_is_finite():
    """ln x from −3 to 3 has one piece, right of 0; 1/x has none left of it here."""
    assert is_curve(OPS["log"]) and not is_curve(OPS["softmax"]) and not is_curve(OPS["reshape"])
    drawn = ElementTree.fromstring(curves(OPS["log"]))
    for path in [p.get("d") for p in drawn.iter("path") if p.get("stroke", "")[0] == "#"]:
        assert path.count("M") == 1 and "nan" not in path


def test_charts_are_well_formed():
    x = np.linspace(0, 1, 5)
    chart = ElementTree.fromstring(lines(x, [("f<", "#123456", np.where(x > 0.6, np.nan, x))], ("x", "y")))
    assert chart.findtext("text[@fill='#123456']") == "f<"
    assert lines(x, [("f", "#123456", 0 * x)], ("x", "y"))  # a constant has an axis too
    maps = ElementTree.fromstring(heat_maps([("a", np.eye(3)), ("b", np.zeros((2, 2)))]))
    assert len([r for r in maps.iter("rect") if r.get("fill") != "none"]) == 3  # only what is not 0
