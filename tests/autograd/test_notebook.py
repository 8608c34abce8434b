"""What a notebook shows: well-formed HTML with the right numbers in it, and the same text as a shell."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

import nn
from autograd import GradcheckError, Tensor, explain, gradcheck, mermaid, op, ops
from autograd.registry import OPS


def tree(html):
    return ElementTree.fromstring(f"<div>{re.sub(' xmlns=.[^ >]*', '', html)}</div>")


def numbers(html):
    return [float("".join(td.itertext()).replace("−", "-")) for td in tree(html).iter("td")]


def test_a_tensor_is_a_table_of_its_numbers():
    x = Tensor(np.array([[1.5, -2.25], [0.0, 3e-7]]), requires_grad=True)
    assert numbers(x._repr_html_()) == [1.5, -2.25, 0.0, 3e-7]
    assert "(2, 2) float64 · requires_grad" in x._repr_html_()
    assert "made by tanh" in ops.tanh(x)._repr_html_()


def test_a_large_tensor_shows_its_ends():
    found = tree(Tensor(np.arange(4000.0).reshape(100, 40))._repr_html_())
    rows = [["".join(td.itertext()) for td in tr] for tr in found.iter("tr")]
    assert len(rows) == 13 and len(rows[0]) == 11
    assert rows[0][0] == "0" and rows[-1][-1] == "3999" and rows[6][0] == "…" and rows[0][5] == "…"


@pytest.mark.parametrize(
    "a", [np.array(2.5), np.zeros((0, 3)), np.array([np.nan, np.inf, -1]), np.arange(3), np.ones((2, 3, 4))]
)
def test_any_tensor_can_be_shown(a):
    tree(Tensor(a)._repr_html_())


@pytest.mark.parametrize("name", OPS)
def test_an_op_shows_its_formula_as_mathematics(name):
    assert list(tree(OPS[name]._repr_html_()).iter("math"))


def test_explain_is_a_text_in_a_shell_and_a_table_in_a_notebook():
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    y = ops.tanh(x).sum()
    shown = explain(y, names={"x": x})
    assert repr(shown) == str(shown) == shown
    rows = [["".join(cell.itertext()) for cell in row] for row in tree(shown._repr_html_()).iter("tr")]
    assert rows[0][:6] == ["step", "op", "output", "dtype", "inputs", "keeps"]
    assert rows[2][:6] == ["1", "tanh", "(2, 3)", "float64", "x", "48 B"] and "y2" in rows[2][7]


def test_explain_shows_the_sweep_on_request():
    x, w = Tensor(np.ones((2, 3)), requires_grad=True), Tensor(np.ones((4, 3)), requires_grad=True)
    text = explain(ops.tanh(ops.linear(x, w)).sum(), sweep=True)
    lines = {name: line for line in text.splitlines() for name in ("linear", "tanh", "sum") if f" {name} " in line}
    assert re.search(r" 3  \(2, 3\), \(4, 3\), – ", lines["linear"]) and re.search(r" 2  \(2, 4\) ", lines["tanh"])
    assert re.search(r" 1  \(2, 4\) ", lines["sum"])


def test_explain_keeps_to_a_width():
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    text = explain(ops.attention(x[None, None], x[None, None], x[None, None]).sum(), width=60)
    assert max(map(len, text.splitlines())) <= 60 and "…" in text


def test_explain_shows_the_similarity_that_ran():
    x = Tensor(np.ones((1, 1, 2, 3)), requires_grad=True)
    text = explain(ops.attention(x, x, x, similarity="l1").sum())
    assert "sign(q − k)" in text and "l2" not in text
    assert "s H K" in explain(ops.attention(x, x, x).sum())


def test_a_mermaid_chart_is_a_picture_without_a_network():
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    chart = mermaid(ops.tanh(x) * x, names={"<x>": x})
    assert chart.startswith("graph TD")
    found = tree(chart._repr_html_())
    assert sorted(t.text for t in found.iter("text")) == sorted(["<x>", "tanh", "mul", *3 * ["(2, 3)"]])
    assert len(list(found.iter("path"))) == 3 and len(list(found.iter("rect"))) == 3


def test_a_module_is_a_tree_that_folds():
    found = tree(nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))._repr_html_())
    outer, *inner = found.iter("details")
    assert "open" in outer.attrib and len(inner) == 2 and not any("open" in d.attrib for d in inner)
    assert "".join(outer.find("summary").itertext()).startswith("Sequential() 24 parameters")


def test_a_module_shows_what_stands_in_its_lists():
    module = nn.Module()
    module.scales = [nn.Parameter(np.ones(3)), nn.Parameter(np.ones(2))]
    assert "scales.1: float64 [2]" in "".join(tree(module._repr_html_()).itertext())


def test_a_failed_check_is_shown_whole():
    @op
    class notebook_square:
        "y = x²      ∂L/∂x = g x   (wrong)"

        def forward(xp, x):
            return x * x

        def backward(xp, g, x):
            return g * x

    try:
        with pytest.raises(GradcheckError) as caught:
            gradcheck(notebook_square, np.array([1.0, 2.0]))
    finally:
        del OPS["notebook_square"]
        delattr(ops_namespace(), "notebook_square")
    assert "".join(tree(caught.value._repr_html_()).itertext()) == str(caught.value)


def ops_namespace():
    from autograd import registry

    return registry.ops
