"""A story as one page: the graph and the steps as JSON, with the style and the script inside."""

import base64
import hashlib
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from autograd.arrays import is_array
from autograd.explain import bytes_kept, formulas, leaf_labels, size
from autograd.formula import mathml
from autograd.layout import layered
from autograd.play.story import Story, host
from autograd.registry import OPS
from autograd.source import source_of
from autograd.tensor import Node, Tensor

CELLS = 80_000  # numbers on a page, in all
LARGEST = 1024  # numbers of one array, and
SMALLEST = 64  # what a page of any size shows of it

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline';
  script-src '$hash'; base-uri 'none'; form-action 'none'">
<title>$title</title>
<style>
$style</style>
</head>
<body>
<noscript><p>The player needs JavaScript. This is the tape as a table.</p><pre>$table</pre></noscript>
<script type="application/json" id="story">$story</script>
<script>$script</script>
</body>
</html>
""")


def render(story: Story, title: str, table: str, names: Mapping[str, Tensor] | None) -> str:
    """The page. table: what readers without scripts see."""
    folder = Path(__file__).parent
    script = (folder / "player.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return PAGE.substitute(
        title=escape(title),
        hash=f"sha256-{digest}",
        style=(folder / "player.css").read_text(encoding="utf-8"),
        table=escape(table),
        story=json.dumps(describe(story, title, names), ensure_ascii=False, separators=(",", ":")).replace(
            "<", "\\u003c"
        ),
        script=script,
    )


def describe(story: Story, title: str, names: Mapping[str, Tensor] | None) -> dict[str, Any]:
    """The story in JSON's types. Nodes, groups and arrays are lists; everything refers to them by position."""
    nodes = story.nodes
    place = {node: i for i, node in enumerate(nodes)}
    shown = len(story.values) + len(story.gradients) + sum(len(event.gives) for event in story.events)
    arrays = Arrays(max(SMALLEST, min(LARGEST, CELLS // max(shown, 1))))
    groups = Groups(nodes)
    labels = leaf_labels(nodes[: story.first], names) | leaf_labels(nodes[story.first :], None)
    kept = bytes_kept([node for node in nodes if node.op is not None])
    made: list[dict[str, Any]] = []
    first, second = nodes[: story.first], nodes[story.first :]
    for tape, offset in ((first, 0), (second, story.first)):
        layout = layered([[place[p] - offset for p in _parents(node) if place[p] >= offset] for node in tape])
        for i, node in enumerate(tape):
            routes = [
                [place[p], [[round(x, 2), layer] for x, layer in layout.routes.get((place[p] - offset, i), [])]]
                for p in _parents(node)
            ]
            about = _about_op(node, place, arrays, kept[node]) if node.op is not None else {}
            made.append(
                {
                    "name": labels.get(node, node.op.name if node.op else ""),
                    "shape": list(node.shape),
                    "dtype": str(node.dtype),
                    "tape": 1 if offset == 0 else 2,
                    "x": round(layout.xs[i], 3),
                    "layer": layout.layers[i],
                    "edges": routes,
                    "group": groups.of(node),
                    "value": arrays.add(story.values.get(node)),
                    **about,
                }
            )
    events = [
        {
            "kind": event.kind,
            "node": place[event.node],
            "gives": [[place[parent], arrays.add(gradient)] for parent, gradient in event.gives],
            "summed": [place[parent] for parent in event.summed],
            "before": arrays.add(event.before),
            "total": arrays.add(event.total),
            "made": [place[node] for node in event.made],
        }
        for event in story.events
    ]
    texts = {node.op.name: _sources(node) for node in nodes if node.op is not None}
    found = {"title": title, "nodes": made, "groups": groups.found, "events": events, "sources": texts}
    return found | {"arrays": arrays.found}


def _parents(node: Node) -> list[Node]:
    return [p for p in node.parents if p is not None]


def _about_op(node: Node, place: Mapping[Node, int], arrays: "Arrays", kept: int) -> dict[str, Any]:
    """What is said of an op beside its value: formulas, inputs by name, and what the tape keeps."""
    lines = formulas(node.op, node.options)
    saved = {name: value for name, value in node.saved.items() if name != "shapes"}
    names = node.op.inputs if not node.op.variadic else [f"{node.op.inputs[0]}[{i}]" for i in range(len(node.parents))]
    constants = node.seen.inputs if node.seen else [saved.get(name) for name in names]
    inputs = [
        [name, -1 if parent is None else place[parent], arrays.add(constant) if parent is None else None]
        for name, parent, constant in zip(names, node.parents, constants, strict=False)
    ]
    return {
        "op": node.op.name,
        "formula": lines[0][0],
        "gradient": [gradient for _, gradient in lines if gradient],
        "mathematics": [_typeset(line) for line in (lines[0][0], *(gradient for _, gradient in lines if gradient))],
        "options": [f"{name}={value!r}" for name, value in node.options.items() if not is_array(value)],
        "inputs": inputs,
        "keeps": [list(saved), size(kept)],
        "site": node.seen.site.strip() if node.seen else "",
    }


def _typeset(line: str) -> str:
    """A line as mathematics: its parts, which wide gaps divide, may stand below each other."""
    return " ".join(map(mathml, re.split(r" {3,}", line)))


def _sources(node: Node) -> list[str]:
    """The code of forward and of backward; of an op without a file, nothing."""
    op = OPS.get(node.op.name, node.op)
    return [source_of(op.forward), source_of(op.backward)]


class Groups:
    """The layers of a model as a tree: `found` is a list of [label, number of the group around it or -1].

    An op belongs to the layers that debug mode saw around it, a leaf to those around all of its users.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.found: list[list] = []
        self.numbers: dict[tuple, int] = {}
        self.scopes: dict[Node, tuple] = {node: node.seen.scope for node in nodes if node.seen}
        for node in nodes:
            for leaf in (parent for parent in _parents(node) if parent.op is None):
                scope, own = self.scopes.get(node, ()), self.scopes.get(leaf)
                shared = itertools.takewhile(lambda pair: pair[0] is pair[1], zip(scope, own or scope, strict=False))
                self.scopes[leaf] = tuple(layer for layer, _ in shared) if own is not None else scope

    def of(self, node: Node) -> int:
        """The number of the innermost layer around a node, or -1."""
        number: int = -1
        path: tuple = ()
        for layer in self.scopes.get(node, ()):
            path = (*path, layer)
            if path not in self.numbers:
                self.numbers[path] = len(self.found)
                self.found.append([str(layer), number])
            number = self.numbers[path]
        return number


class Arrays:
    """The arrays of a page, each once: `found` is a list of [shape, rows of numbers, whether they are a sample]."""

    def __init__(self, cells: int):
        self.cells = cells  # of each array, at most
        self.found: list[list] = []
        self.numbers: dict[str, int] = {}

    def add(self, a: Any) -> int | None:
        """The number of an array; None for a value that is not known, or of no number."""
        if a is None or not (is_array(a) or isinstance(a, (int, float, np.generic))):
            return None
        a = np.asarray(host(a))
        if a.dtype.kind not in "fiub":
            return None
        table, sampled = sample(a.reshape(-1, a.shape[-1] if a.ndim else 1) if a.size else np.zeros((0, 0)), self.cells)
        digits = 4 if table.size <= SMALLEST else 3
        entry = [list(a.shape), [[short(value, digits) for value in row] for row in table], sampled]
        number = self.numbers.setdefault(json.dumps(entry), len(self.found))
        if number == len(self.found):
            self.found.append(entry)
        return number


def sample(table: np.ndarray, cells: int) -> tuple[np.ndarray, bool]:
    """Evenly chosen rows and columns of a table (R, C), at most `cells` numbers; whether any is left out."""
    rows, columns = table.shape
    if table.size <= cells:
        return table, False
    side = int(cells**0.5)
    fewer = min(columns, max(side, cells // rows))
    picks = [
        np.linspace(0, n - 1, k).round().astype(int) for n, k in ((rows, min(rows, cells // fewer)), (columns, fewer))
    ]
    return table[np.ix_(*picks)], True


def short(value: Any, digits: int) -> float | int | str:
    """A number for JSON with a few significant digits; text for one that is not finite."""
    if isinstance(value, (np.bool_, np.integer)):
        return int(value)
    return float(f"{value:.{digits}g}") if np.isfinite(value) else str(value)


def iframe(page: str, height: int) -> str:
    """The page inside a notebook: JupyterLab strips scripts from HTML, and leaves those of an iframe alone."""
    return (
        f'<iframe srcdoc="{escape(page, quote=True)}" sandbox="allow-scripts" title="the tape, played" '
        f'style="box-sizing: border-box; width: 100%; height: {height}px; border: 1px solid #8886; border-radius: 6px">'
        "</iframe>"
    )
