"""Formulas as MathML: well formed, nothing lost, and the forms that a reader expects."""

import inspect
import re
from xml.etree import ElementTree

import pytest

from autograd import ops  # noqa: F401 - fills the registry
from autograd.formula import ACCENTS, LOWERED, RAISED, mathml
from autograd.registry import OPS

NORMAL = {**RAISED, **LOWERED}


def tree(text):
    return ElementTree.fromstring(re.sub(r' xmlns="[^"]*"', "", mathml(text)))


def letters(text):
    """Letters and digits in their normal size: brackets, slashes and roots may have become lines."""
    return "".join(c for c in (NORMAL.get(c, c) for c in text) if c.isalnum())


@pytest.mark.parametrize("name", OPS)
def test_every_formula_is_well_formed_and_loses_nothing(name):
    for line in inspect.cleandoc(OPS[name].doc).splitlines():
        assert letters("".join(tree(line).itertext())) == letters(line)


def only(text, path):
    (found,) = tree(text).findall(f".//{path}")
    return "".join(found.itertext())


def test_fractions_roots_and_scripts():
    assert [("".join(part.itertext())) for part in tree("∂L/∂x = g").find(".//mfrac")] == ["∂L", "∂x"]
    assert [("".join(part.itertext())) for part in tree("(x − μ)/σ").find(".//mfrac")] == ["x−μ", "σ"]
    assert tree("g / b").find(".//mfrac") is None  # with spaces it stays on the line
    assert only("√(v + ε)", "msqrt") == "v+ε"
    assert only("y²", "msup") == "y2" and only("Aᵀ", "msup") == "AT" and only("e⁻ˣ", "msup") == "e−x"
    assert only("e^(−x²/2)", "msup/mrow/mfrac") == "x22"
    assert only("σ₀", "msub") == "σ0" and only("∫₀ˣ", "msubsup") == "∫0x"
    assert only("∂L/∂xᵢ", "msub") == "xi"
    assert only("x̂", "mover") == "x^" and only("x̄", "mover") == "x¯"


def test_words_are_upright_and_letters_are_variables():
    found = tree("y = tanh x over rows")
    assert [e.text for e in found.iter("mi")] == ["y", "x"]
    assert [e.text for e in found.iter("mtext")] == ["tanh", "over", "rows"]


@pytest.mark.parametrize(
    "text", ["", "(", ")", "√", "∂", "/", "a/", "^", "x^", "‖q", "²", "\u0302", "<b>&amp;", "a//b", "((a)(b))/c"]
)
def test_any_text_is_well_formed(text):
    tree(text)


def test_backticks_make_code():
    code = tree("mean over `eps_2ᵀ` rows").findall(".//mtext[@style]")
    assert [(e.text, e.get("style")) for e in code] == [("eps_2ᵀ", "font-family: monospace")]
    assert "`" not in mathml(OPS["normalize"].doc)
    assert "".join(tree("a ` b").itertext()) == "a`b"  # one alone is a character like any other


def test_accents_are_combining_characters():
    assert all(len(c) == 1 for c in ACCENTS)
