"""Show the tape: as a text table, and as a Mermaid flowchart."""

import inspect
import re
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from autograd.arrays import is_array
from autograd.operation import Op
from autograd.tensor import Node, Tensor


def explain(y: Tensor, limit: int = 100, source: bool = False, names: Mapping[str, Tensor] | None = None) -> str:
    """The ops that lead to y, in order of creation, one line each.

    Columns: step, op, output shape and dtype, inputs (a step, a leaf, or `const`), the bytes kept for the rule, formula
    and gradient. An array that several steps keep is counted once, at the first of them. If there are more than `limit`
    steps, those in the middle are left out. source=True appends the code of every rule once. names={"W": W} labels
    leaves.
    Raises ValueError if y depends on nothing with requires_grad=True.
    """
    tape = _tape(y)
    leaves = _leaves(tape, names)
    steps = [node for node in tape if node.op is not None]
    labels = leaves | {node: str(i) for i, node in enumerate(steps, 1)}
    kept = _bytes_kept(steps)
    rows = [("step", "op", "output", "dtype", "inputs", "keeps", "formula", "gradient")]
    rows += [(label, "leaf", str(node.shape), str(node.dtype), "", "", "", "") for node, label in leaves.items()]
    hidden = range(limit // 2, len(steps) - limit + limit // 2)
    for i, node in enumerate(steps):
        if i in hidden:
            if i == hidden.start:
                size = _size(sum(kept[n] for n in steps[i : hidden.stop]))
                rows.append(("…", f"{len(hidden)} more", "", "", "", size, "", ""))
            continue
        inputs = ", ".join("const" if p is None else labels[p] for p in node.parents)
        first, *more = _formulas(node.op)
        rows.append((labels[node], node.op.name, str(node.shape), str(node.dtype), inputs, _size(kept[node]), *first))
        rows += [("", "", "", "", "", "", *line) for line in more]
    rows.append(("total", f"{len(steps)} steps", "", "", "", _size(sum(kept.values())), "", ""))
    text = _columns(rows, right=(0, 5))
    return f"{text}\n\n{_sources(steps)}" if source else text


def mermaid(y: Tensor, names: Mapping[str, Tensor] | None = None) -> str:
    """The ops that lead to y as a Mermaid flowchart: rounded leaves, rectangular ops, each with its shape.

    names={"W": W} labels leaves. Raises ValueError if y depends on nothing with requires_grad=True.
    """
    tape = _tape(y)
    leaves = _leaves(tape, names)
    ids = {node: f"n{i}" for i, node in enumerate(tape)}
    lines = ["graph TD"]
    for node in tape:
        label = leaves[node] if node.op is None else node.op.name
        text = f'"{label.replace(chr(34), "#quot;")}<br/>{node.shape}"'
        lines.append(f"    {ids[node]}({text})" if node.op is None else f"    {ids[node]}[{text}]")
    lines += [f"    {ids[p]} --> {ids[node]}" for node in tape for p in node.parents if p is not None]
    return "\n".join(lines)


def _tape(y: Tensor) -> list[Node]:
    """The nodes that y depends on, oldest first."""
    if y.node is None:
        raise ValueError("there is nothing to explain: y depends on nothing with requires_grad=True")
    seen, stack = {y.node}, [y.node]
    while stack:
        new = {p for p in stack.pop().parents if p is not None} - seen
        seen |= new
        stack.extend(new)
    return sorted(seen, key=lambda node: node.id)


def _leaves(tape: Sequence[Node], names: Mapping[str, Tensor] | None) -> dict[Node, str]:
    """The label of every leaf: its name in `names`, or else leaf 1, leaf 2, …"""
    for name, tensor in (names or {}).items():
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"names[{name!r}] is {type(tensor).__name__}: names label Tensors, the leaves that y was made of"
            )
    given = {tensor.node: name for name, tensor in (names or {}).items()}
    leaves = [node for node in tape if node.op is None]
    return {node: given.get(node, f"leaf {i}") for i, node in enumerate(leaves, 1)}


def _bytes_kept(steps: Sequence[Node]) -> dict[Node, int]:
    """The bytes that each step keeps: the buffers behind its saved arrays, each counted at its first step."""
    counted: set[int] = set()
    kept = {}
    for node in steps:
        buffers = {id(b): b for b in map(_buffer, _arrays(tuple(node.saved.values())))}
        kept[node] = sum(b.nbytes for i, b in buffers.items() if i not in counted)
        counted |= buffers.keys()
    return kept


def _arrays(saved: Any) -> list:
    """The arrays in nested tuples of saved values."""
    if isinstance(saved, tuple):
        return [a for value in saved for a in _arrays(value)]
    return [saved] if is_array(saved) else []


def _buffer(a: Any) -> Any:
    """The array that owns the memory of a view."""
    while is_array(a.base):
        a = a.base
    return a


def _formulas(op: Op) -> list[tuple[str, str]]:
    """The lines of the docstring as pairs (formula, gradient). A gap of three spaces splits the first line into both;
    the lines after it belong to the gradient."""
    first, *more = inspect.cleandoc(op.doc).splitlines()
    formula, gradient = re.split(r" {3,}|$", first, maxsplit=1)
    return [(formula, _narrow(gradient)), *(("", _narrow(line)) for line in more)]


def _narrow(line: str) -> str:
    """The line with its gaps shortened to three spaces."""
    return re.sub(r" {3,}", "   ", line)


def _sources(steps: Sequence[Node]) -> str:
    """The code of every rule once, under the name of its op."""
    texts = []
    for op in dict.fromkeys(node.op for node in steps):
        try:
            code = textwrap.dedent(inspect.getsource(op.backward)).rstrip()
        except OSError:
            code = "(no source: not defined in a file)"
        texts.append(f"{op.name}\n{textwrap.indent(code, '    ')}")
    return "\n\n".join(texts)


def _size(n: float) -> str:
    """n bytes with three digits and a decimal unit."""
    units = ["B", "kB", "MB", "GB", "TB"]
    while n >= 999.5 and len(units) > 1:
        n /= 1000
        del units[0]
    return f"{n:.3g} {units[0]}"


def _columns(rows: Sequence[Sequence[str]], right: Sequence[int]) -> str:
    """The rows as text. A column is as wide as its widest cell; the columns numbered in `right` are flush right."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        padded = [(cell, " " * (w - _width(cell))) for cell, w in zip(row, widths, strict=True)]
        cells = [gap + cell if i in right else cell + gap for i, (cell, gap) in enumerate(padded)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _width(text: str) -> int:
    """How many characters wide a text is printed: a combining character, such as the hat of x̂, adds nothing."""
    return sum(not unicodedata.combining(c) for c in text)
