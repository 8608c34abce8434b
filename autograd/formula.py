"""Formulas as mathematics: the Unicode text of a docstring as MathML, which browsers and notebooks draw.

    mathml("∂L/∂x = g (1 − y²)")

There is no second table of formulas: what an editor shows as text is what a page shows as mathematics. Single letters
are variables and longer words are upright. A slash between neighbours without spaces is a fraction. The characters ²,
ᵀ, ᵢ and what follows ^ are raised or lowered. A √ covers what follows it. A hat or a bar stands on its letter.
What stands in `backticks` is code.
"""

import re
from html import escape

RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᵀˣ", "0123456789−Tx", strict=True))
LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉ᵢⱼ", "0123456789ij", strict=True))
ACCENTS = {"\u0302": "^", "\u0304": "¯"}
BRACKETS = {"(": ")", "[": "]", "⟨": "⟩", "‖": "‖", "{": "}"}
# a gap, code, a number, a word, or one character
TOKEN = re.compile(r"\s+|`[^`]+`|\d+(?:\.\d+)?|[^\W\d_][\w]*|.", re.DOTALL)


def mathml(text: str) -> str:
    """A <math> element. It holds every character of the text, though some are raised, lowered or turned into lines."""
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML">{_Reader(text).row("")}</math>'


class _Reader:
    """Reads a formula from left to right; what stands between brackets is a row of its own."""

    def __init__(self, text: str):
        self.tokens = [part for token in TOKEN.findall(text) for part in _parts(token)]
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1]

    def row(self, end: str) -> str:
        """What stands before the closing bracket `end`, or before the end of the text."""
        pieces = []
        while self.peek() and self.peek() != end:
            if self.peek().isspace():
                gap = len(self.take())
                pieces.append(f'<mspace width="{0.22 if gap == 1 else 0.5 * gap:.2g}em"/>')
            else:
                pieces.append(self.fraction())
        return f"<mrow>{''.join(pieces)}</mrow>"

    def fraction(self) -> str:
        """An atom, or two with a slash between them and no gap."""
        start = self.at
        top = self.scripted()
        slash = self.at
        if self.peek() != "/" or slash + 1 >= len(self.tokens) or self.tokens[slash + 1].isspace() or start == slash:
            return top
        self.take()
        if self.tokens[start] == "∂" or self.peek() == "∂":
            return f"<mfrac>{top}{self.scripted()}</mfrac>"
        return f"<mfrac>{_bare(top)}{_bare(self.scripted())}</mfrac>"

    def scripted(self) -> str:
        """An atom with what is raised and lowered beside it."""
        base = self.atom()
        while self.peek() in ACCENTS and self.peek():
            base = f'<mover accent="true">{base}<mo>{ACCENTS[self.take()]}</mo></mover>'
        low, high = self.script(LOWERED), self.script(RAISED)
        if self.peek() == "^" and not high and self.at + 1 < len(self.tokens):
            self.take()
            high = _bare(self.atom())
        if low and high:
            return f"<msubsup>{base}{low}{high}</msubsup>"
        return f"<msub>{base}{low}</msub>" if low else f"<msup>{base}{high}</msup>" if high else base

    def script(self, table: dict[str, str]) -> str:
        """Characters of the table one after the other, in their normal size: MathML makes them small."""
        text = ""
        while self.peek() in table and self.peek():
            text += table[self.take()]
        return "".join(["<mrow>", *(_leaf(c) for c in text), "</mrow>"]) if text else ""

    def atom(self) -> str:
        token = self.take()
        if token in BRACKETS:
            inside = self.row(BRACKETS[token])
            closing = f"<mo>{self.take()}</mo>" if self.peek() else ""
            return f'<mrow class="group"><mo>{escape(token)}</mo>{inside}{closing}</mrow>'
        if token == "√" and self.peek() and not self.peek().isspace():
            return f"<msqrt>{_bare(self.scripted())}</msqrt>"
        if token == "∂" and self.peek() and not self.peek().isspace():
            return f"<mrow><mo>∂</mo>{self.scripted()}</mrow>"
        return _leaf(token)


def _parts(token: str) -> list[str]:
    """A word without the raised and lowered letters at its end, and without accents, which are tokens of their own."""
    if token[0] == "`":
        return [token]
    small = {**RAISED, **LOWERED, **dict.fromkeys(ACCENTS)}
    parts = [""]
    for c in token:
        if c in small:
            parts += [c, ""]
        else:
            parts[-1] += c
    return [part for part in parts if part]


def _leaf(token: str) -> str:
    if token[0] == "`" and len(token) > 1:
        return f'<mtext style="font-family: monospace">{escape(token[1:-1])}</mtext>'
    if token[0].isdigit() or token in "½":
        return f"<mn>{token}</mn>"
    if token.isalpha():
        return f"<mi>{token}</mi>" if len(token) == 1 else f"<mtext>{token}</mtext>"
    if token[0].isalpha():
        return f"<mtext>{escape(token)}</mtext>"
    return f"<mo>{escape(token)}</mo>"


def _bare(group: str) -> str:
    """A group without its round brackets, which a fraction, a root or an exponent makes superfluous."""
    found = re.fullmatch(r'<mrow class="group"><mo>\(</mo>(.*)<mo>\)</mo></mrow>', group)
    return found[1] if found and _balanced(found[1]) else group


def _balanced(inside: str) -> bool:
    """Whether this is one whole row: (a)(b) is two groups, and no group."""
    depth = 0
    for tag in re.findall(r"</?mrow", inside):
        depth += 1 if tag == "<mrow" else -1
        if depth < 0:
            return False
    return depth == 0
