"""A tape as a picture: SVG with the colours of the text around it, in light and in dark."""

from collections.abc import Mapping, Sequence
from html import escape

from autograd.layout import layered
from autograd.tensor import Node

WIDTH, HEIGHT, COLUMN, ROW, MARGIN = 132, 40, 146, 70, 8


def svg(nodes: Sequence[Node], labels: Mapping[Node, str]) -> str:
    """The nodes of a tape, oldest first, in layers: rounded leaves, rectangular ops, each with its label and shape."""
    place = {node: i for i, node in enumerate(nodes)}
    layout = layered([[place[p] for p in node.parents if p is not None] for node in nodes])

    def spot(x: float, layer: int) -> tuple[float, float]:
        return round(MARGIN + WIDTH / 2 + x * COLUMN, 1), MARGIN + layer * ROW

    spots = [spot(x, layer) for x, layer in zip(layout.xs, layout.layers, strict=True)]
    parts = []
    for (upper, lower), route in layout.routes.items():
        (x1, y1), (x2, y2) = spots[upper], spots[lower]
        through = [(x, y + HEIGHT / 2) for x, y in (spot(*point) for point in route)]
        parts.append(f'<path d="{curve([(x1, y1 + HEIGHT), *through, (x2, y2)])}" fill="none" opacity=".5"/>')
    for i, (x, y) in enumerate(spots):
        node = nodes[i]
        corner = HEIGHT / 2 if node.op is None else 5
        name = labels[node] if len(labels[node]) <= 16 else f"…{labels[node][-15:]}"
        parts.append(
            f'<rect x="{x - WIDTH / 2}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="{corner}" fill="none"/>'
            f'<g stroke="none" fill="currentColor" text-anchor="middle">'
            f'<text x="{x}" y="{y + 17}">{escape(name)}</text>'
            f'<text x="{x}" y="{y + 32}" font-size="11" opacity=".7">{node.shape}</text></g>'
        )
    across, down = (max((spot[axis] for spot in spots), default=0) for axis in (0, 1))
    size = f'width="{across + WIDTH / 2 + MARGIN}" height="{down + HEIGHT + MARGIN}"'
    font = 'font-family="system-ui, sans-serif" font-size="13"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font} stroke="currentColor">{"".join(parts)}</svg>'


def curve(points: Sequence[tuple[float, float]]) -> str:
    """A smooth line downwards through points, as the `d` of a path."""
    (x, y), *rest = points
    d = f"M{x},{y}"
    for x2, y2 in rest:
        middle = (y + y2) / 2
        d += f"C{x},{middle} {x2},{middle} {x2},{y2}"
        x, y = x2, y2
    return d
