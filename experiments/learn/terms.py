"""The functions that formulas made from a name are built of, each with its derivative and wrong derivatives."""

from typing import NamedTuple


class Term(NamedTuple):
    """A function of V with constants A and B: for people, in code, its derivative, and wrong derivatives."""

    text: str
    value: str
    slope: str
    bugs: tuple[str, ...]


TERMS = (
    Term(
        "A tanh(B V)",
        "A * xp.tanh(B * V)",
        "A * B * (1 - xp.tanh(B * V) ** 2)",
        ("A * (1 - xp.tanh(B * V) ** 2)", "A * B * (1 - xp.tanh(V) ** 2)", "A * B * (1 - xp.tanh(B * V))"),
    ),
    Term(
        "A sin(B V)",
        "A * xp.sin(B * V)",
        "A * B * xp.cos(B * V)",
        ("A * xp.cos(B * V)", "A * B * xp.cos(V)", "-A * B * xp.cos(B * V)"),
    ),
    Term(
        "A exp(−B V²)",
        "A * xp.exp(-B * V * V)",
        "-2 * A * B * V * xp.exp(-B * V * V)",
        ("-A * B * V * xp.exp(-B * V * V)", "2 * A * B * V * xp.exp(-B * V * V)", "-2 * A * V * xp.exp(-B * V * V)"),
    ),
    Term(
        "A ln(1 + B V²)",
        "A * xp.log(1 + B * V * V)",
        "2 * A * B * V / (1 + B * V * V)",
        ("A * B * V / (1 + B * V * V)", "2 * A * V / (1 + B * V * V)", "2 * A * B * V / (1 + V * V)"),
    ),
    Term(
        "A V / (1 + B V²)",
        "A * V / (1 + B * V * V)",
        "A * (1 - B * V * V) / (1 + B * V * V) ** 2",
        ("A * (1 + B * V * V) / (1 + B * V * V) ** 2", "A * (1 - B * V * V) / (1 + B * V * V)"),
    ),
    Term(
        "A √(B + V²)",
        "A * xp.sqrt(B + V * V)",
        "A * V / xp.sqrt(B + V * V)",
        ("A / xp.sqrt(B + V * V)", "A * V / (B + V * V)", "2 * A * V / xp.sqrt(B + V * V)"),
    ),
)


def on(text: str, variable: str) -> str:
    """Part of a term as a function of this variable."""
    return text.replace("V", variable)
