"""How a Tensor, an op and a failed check look in a notebook and in IPython. The methods are set from outside."""

import inspect
from html import escape
from typing import Any

import numpy as np

from autograd.formula import mathml
from autograd.gradcheck import GradcheckError
from autograd.operation import Op
from autograd.source import source_of
from autograd.tensor import Tensor

ROWS, COLUMNS = 12, 10  # of a table: more are left out in the middle
CELL = "padding: .15em .5em; text-align: right; border: 1px solid #8884; font-variant-numeric: tabular-nums"

CODE = "font-family: monospace; line-height: 1.4"  # not every notebook says so of <pre>


def tensor_html(x: Tensor) -> str:
    """Shape, dtype and the op that made it, above a table of numbers in the colours of the player."""
    made = "" if x.node is None else f" · made by {x.node.op.name}" if x.node.op else " · requires_grad"
    shape = escape(str(x.shape))
    return f"<div><b>Tensor</b> {shape} {x.dtype}{made}{table(x.numpy())}</div>"


def table(a: np.ndarray) -> str:
    """Numbers as a table, the last axis across. Orange is positive and blue is negative, by the largest magnitude."""
    if a.size == 0:
        return "<p>no elements</p>"
    rows = a.reshape(-1, a.shape[-1] if a.ndim else 1)
    most = np.abs(a[np.isfinite(a)].astype(float)).max(initial=0) or 1.0
    body = []
    for i in _ends(rows.shape[0], ROWS):
        cells = ["…" if i is None or j is None else rows[i, j] for j in _ends(rows.shape[1], COLUMNS)]
        body.append("".join(f"<td style='{CELL}; background: {_heat(c, most)}'>{_number(c)}</td>" for c in cells))
    return "<table style='border-collapse: collapse'><tr>" + "</tr><tr>".join(body) + "</tr></table>"


def _ends(n: int, most: int) -> list[int | None]:
    """0 … n−1, or its two ends with None between them."""
    half = most // 2
    return list(range(n)) if n <= most else [*range(half), None, *range(n - half, n)]


def _heat(value: Any, most: float) -> str:
    if isinstance(value, str) or not np.isfinite(value):
        return "none"
    colour = "37, 99, 201" if value < 0 else "214, 72, 11"
    return f"rgba({colour}, {0.8 * min(1.0, abs(float(value)) / most):.3f})"


def _number(value: Any) -> str:
    if isinstance(value, str):
        return value
    return (f"{value:.4g}" if isinstance(value, np.floating) else str(value)).replace("-", "−")


def op_html(op: Op) -> str:
    """The signature, every line of the docstring as mathematics, and the source, folded."""
    style = "margin: .4em 0; math-style: normal"
    lines = "".join(f"<div style='{style}'>{mathml(line)}</div>" for line in inspect.cleandoc(op.doc).splitlines())
    return f"<div><b>{op.name}</b>{escape(str(op.__signature__))}{lines}{_source(op)}</div>"


def _source(op: Op) -> str:
    code = "\n".join(filter(None, (source_of(op.forward), source_of(op.backward))))
    return f"<details><summary>source</summary><pre style='{CODE}'>{escape(code)}</pre></details>" if code else ""


def error_html(error: GradcheckError) -> str:
    return f"<pre style='{CODE}; border-left: 4px solid #c9480b; padding-left: .8em'>{escape(str(error))}</pre>"


def error_pretty(error: GradcheckError, printer: Any, cycle: bool) -> None:
    """For IPython: the message as it is printed."""
    printer.text(str(error))


for _cls, _html in ((Tensor, tensor_html), (Op, op_html), (GradcheckError, error_html)):
    setattr(_cls, "_repr_html_", _html)  # noqa: B010 - a type checker does not see methods that are set
setattr(GradcheckError, "_repr_pretty_", error_pretty)  # noqa: B010
