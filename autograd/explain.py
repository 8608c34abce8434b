"""Show the tape: as a table, and as a Mermaid flowchart. In a notebook they are an HTML table and a picture."""

import inspect
import re
import textwrap
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from autograd.drawing import svg
from autograd.formula import mathml
from autograd.operation import Op
from autograd.source import source_of
from autograd.tensor import Node, Tensor
from autograd.writes import arrays_in, owner_of


class Text(str):
    """A text that a shell shows as it is, and a notebook as html(), which is made when it is asked for."""

    html: Callable[[], str]

    def __new__(cls, text: str, html: Callable[[], str]) -> "Text":
        new = super().__new__(cls, text)
        new.html = html
        return new

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.html()


def explain(
    y: Tensor,
    limit: int = 100,
    source: bool = False,
    names: Mapping[str, Tensor] | None = None,
    *,
    sweep: bool = False,
    width: int | None = None,
) -> Text:
    """The ops that lead to y, in order of creation, one line each.

    Columns: step, op, output shape and dtype, inputs (a step, a leaf, or `const`), the bytes kept for the rule, formula
    and gradient. An array that several steps keep is counted once, at the first of them. If there are more than `limit`
    steps, those in the middle are left out. source=True appends the code of every rule once. names={"W": W} labels
    leaves. sweep=True adds the order in which the rules run backward, and the shapes of the gradients that each gives
    to its inputs. width: no line is longer, in characters; formulas that do not fit are cut.
    Raises ValueError if y depends on nothing with requires_grad=True.
    """
    nodes = tape(y)
    leaves = leaf_labels(nodes, names)
    steps = [node for node in nodes if node.op is not None]
    labels = leaves | {node: str(i) for i, node in enumerate(steps, 1)}
    kept = bytes_kept(steps)
    header = ["step", "op", "output", "dtype", "inputs", "keeps", *(["rule", "gives"] if sweep else [])]
    columns = len(header)

    def row(*cells: str) -> list[str]:
        return [*cells, *[""] * (columns + 2 - len(cells))]

    rows = [[*header, "formula", "gradient"]]
    rows += [row(label, "leaf", str(node.shape), str(node.dtype)) for node, label in leaves.items()]
    hidden = range(limit // 2, len(steps) - limit + limit // 2)
    for i, node in enumerate(steps):
        if i in hidden:
            if i == hidden.start:
                left_out = size(sum(kept[n] for n in steps[i : hidden.stop]))
                rows.append(row("…", f"{len(hidden)} more", "", "", "", left_out))
            continue
        inputs = ", ".join("const" if p is None else labels[p] for p in node.parents)
        cells = [labels[node], node.op.name, str(node.shape), str(node.dtype), inputs, size(kept[node])]
        if sweep:
            cells += [str(len(steps) - i), ", ".join("–" if p is None else str(p.shape) for p in node.parents)]
        first, *more = formulas(node.op, node.options)
        rows.append([*cells, *first])
        rows += [[*[""] * columns, *line] for line in more]
    rows.append(row("total", f"{len(steps)} steps", "", "", "", size(sum(kept.values()))))
    text = _columns(rows, right=(0, 5, 6) if sweep else (0, 5))
    if width is not None:
        text = "\n".join(
            line if len(line) <= width else line[: max(width - 1, 0)].rstrip() + "…" for line in text.split("\n")
        )
    sources = _sources(steps) if source else ""

    def html() -> str:
        return _html(rows, mathematics=columns) + (f"<pre>{escape(sources)}</pre>" if source else "")

    return Text(f"{text}\n\n{sources}" if source else text, html)


def mermaid(y: Tensor, names: Mapping[str, Tensor] | None = None) -> Text:
    """The ops that lead to y as a Mermaid flowchart: rounded leaves, rectangular ops, each with its shape.

    A notebook shows the same graph as a picture, without a network. names={"W": W} labels leaves. Raises ValueError if
    y depends on nothing with requires_grad=True.
    """
    nodes = tape(y)
    leaves = leaf_labels(nodes, names)
    labels = leaves | {node: node.op.name for node in nodes if node.op is not None}
    ids = {node: f"n{i}" for i, node in enumerate(nodes)}
    lines = ["graph TD"]
    for node in nodes:
        text = f'"{labels[node].replace(chr(34), "#quot;")}<br/>{node.shape}"'
        lines.append(f"    {ids[node]}({text})" if node.op is None else f"    {ids[node]}[{text}]")
    lines += [f"    {ids[p]} --> {ids[node]}" for node in nodes for p in node.parents if p is not None]
    return Text("\n".join(lines), lambda: svg(nodes, labels))


def tape(y: Tensor) -> list[Node]:
    """The nodes that y depends on, oldest first; ValueError if there are none."""
    if y.node is None:
        raise ValueError("there is nothing to explain: y depends on nothing with requires_grad=True")
    seen, stack = {y.node}, [y.node]
    while stack:
        new = {p for p in stack.pop().parents if p is not None} - seen
        seen |= new
        stack.extend(new)
    return sorted(seen, key=lambda node: node.id)


def leaf_labels(nodes: Sequence[Node], names: Mapping[str, Tensor] | None) -> dict[Node, str]:
    """The label of every leaf: its name in `names`, or else leaf 1, leaf 2, …

    TypeError if a name is given to something that is no Tensor.
    """
    for name, tensor in (names or {}).items():
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"names[{name!r}] is {type(tensor).__name__}: names label Tensors, the leaves that y was made of"
            )
    given = {tensor.node: name for name, tensor in (names or {}).items()}
    leaves = [node for node in nodes if node.op is None]
    return {node: given.get(node, f"leaf {i}") for i, node in enumerate(leaves, 1)}


def bytes_kept(steps: Sequence[Node]) -> dict[Node, int]:
    """The bytes that each step keeps: the buffers behind its saved arrays, each counted at its first step."""
    counted: set[int] = set()
    kept = {}
    for node in steps:
        buffers = {id(b): b for b in map(owner_of, arrays_in(tuple(node.saved.values())))}
        kept[node] = sum(b.nbytes for i, b in buffers.items() if i not in counted)
        counted |= buffers.keys()
    return kept


def formulas(op: Op, options: Mapping[str, Any] | None = None) -> list[tuple[str, str]]:
    """The lines of the docstring as pairs (formula, gradient). A gap of three spaces splits the first line into both;
    the lines after it belong to the gradient. Of lines that begin with a choice ("l2: ") only the chosen one is kept,
    if `options` of a run are given."""
    first, *more = inspect.cleandoc(op.doc).splitlines()
    formula, gradient = re.split(r" {3,}|$", first, maxsplit=1)
    starts = [re.match(r"(\w+): +", line) for line in more]
    if options is not None:
        chosen = {value for value in {**op.defaults, **options}.values() if isinstance(value, str)}
        if chosen & {start[1] for start in starts if start}:
            kept = [(line, start) for line, start in zip(more, starts, strict=True) if not start or start[1] in chosen]
            more = [line[start.end() :] if start else line for line, start in kept]
    return [(formula, _narrow(gradient)), *(("", _narrow(line)) for line in more)]


def _narrow(line: str) -> str:
    """The line with its gaps shortened to three spaces."""
    return re.sub(r" {3,}", "   ", line)


def _sources(steps: Sequence[Node]) -> str:
    """The code of every rule once, under the name of its op."""
    texts = []
    for op in dict.fromkeys(node.op for node in steps):
        code = source_of(op.backward) or "(no source: not defined in a file)"
        texts.append(f"{op.name}\n{textwrap.indent(code, '    ')}")
    return "\n\n".join(texts)


def size(n: float) -> str:
    """n bytes with three digits and a decimal unit."""
    units = ["B", "kB", "MB", "GB", "TB"]
    while n >= 999.5 and len(units) > 1:
        n /= 1000
        del units[0]
    return f"{n:.3g} {units[0]}"


def _html(rows: Sequence[Sequence[str]], mathematics: int) -> str:
    """The rows as a table, its columns from `mathematics` on as formulas."""
    style = "padding: .2em .7em; text-align: left; vertical-align: top; white-space: nowrap"
    (header, *body), cell = rows, f"<td style='{style}'>"
    lines = ["".join(f"<th style='{style}'>{escape(name)}</th>" for name in header)]
    for row in body:
        plain, formulas = map(escape, row[:mathematics]), map(mathml, row[mathematics:])
        lines.append("".join(f"{cell}{content}</td>" for content in (*plain, *formulas)))
    return "<table style='border-collapse: collapse'><tr>" + "</tr><tr>".join(lines) + "</tr></table>"


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
