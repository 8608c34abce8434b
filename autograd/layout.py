"""Where the nodes of a graph are drawn: in layers from top to bottom, with few crossings (Sugiyama et al., 1981).

Four steps: every node gets a layer above those that use it; an edge across several layers becomes a chain of points;
the layers are ordered, one after the other, by the mean position of the neighbours; and x is as near to the neighbours
as the order and the widths allow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

SWEEPS = 12  # over all layers, downwards and upwards in turn
POINT = 0.3  # the width of a point of an edge; that of a node is 1


@dataclass
class Layout:
    """layers and xs: by node; x in widths of a node. routes: the points (x, layer) between a parent and a node."""

    layers: list[int]
    xs: list[float]
    routes: dict[tuple[int, int], list[tuple[float, int]]]


def layered(parents: Sequence[Sequence[int]]) -> Layout:
    """The layout of a graph in which node i has these parents, each with a smaller number than i."""
    layers = layers_of(parents)
    above: list[list[int]] = [[] for _ in parents]  # by node and point: its neighbours in the layer above
    points = list(layers)  # by node and point: its layer
    chains: dict[tuple[int, int], list[int]] = {}
    for node, its_parents in enumerate(parents):
        for parent in dict.fromkeys(its_parents):
            chain = list(range(len(points), len(points) + layers[node] - layers[parent] - 1))
            points += range(layers[parent] + 1, layers[node])
            line = [parent, *chain, node]
            above += [[] for _ in chain]
            for upper, lower in zip(line, line[1:], strict=False):
                above[lower].append(upper)
            chains[parent, node] = chain
    below: list[list[int]] = [[] for _ in points]
    for lower, uppers in enumerate(above):
        for upper in uppers:
            below[upper].append(lower)
    rows: list[list[int]] = [[] for _ in range(max(points, default=-1) + 1)]
    for i, layer in enumerate(points):
        rows[layer].append(i)
    order(rows, above, below)
    widths = [1.0 if i < len(parents) else POINT for i in range(len(points))]
    xs = positions(rows, above, below, widths)
    routes = {edge: [(xs[i], points[i]) for i in chain] for edge, chain in chains.items()}
    return Layout(layers, xs[: len(parents)], routes)


def layers_of(parents: Sequence[Sequence[int]]) -> list[int]:
    """Every node as low as it can be, right above the first node that uses it: so a weight stands at its layer."""
    below = [0] * len(parents)  # by node: the layers below it
    for node in reversed(range(len(parents))):
        for parent in parents[node]:
            below[parent] = max(below[parent], below[node] + 1)
    deepest = max(below, default=0)
    return [deepest - n for n in below]


def order(rows: list[list[int]], above: list[list[int]], below: list[list[int]]) -> None:
    """Sort every row in place so that few edges cross: the best of some sweeps by the mean of the neighbours."""
    best, fewest = [list(row) for row in rows], crossings(rows, above)
    place = {i: k for row in rows for k, i in enumerate(row)}
    for sweep in range(SWEEPS):
        neighbours, pass_ = (above, rows) if sweep % 2 == 0 else (below, rows[::-1])
        for row in pass_:
            wanted = {i: mean([place[j] for j in neighbours[i]], place[i]) for i in row}
            row.sort(key=wanted.__getitem__)
            place.update((i, k) for k, i in enumerate(row))
        found = crossings(rows, above)
        if found < fewest:
            best, fewest = [list(row) for row in rows], found
    rows[:] = best


def crossings(rows: list[list[int]], above: list[list[int]]) -> int:
    """How many pairs of edges cross between neighbouring rows."""
    total = 0
    for upper, lower in zip(rows, rows[1:], strict=False):
        place = {i: k for k, i in enumerate(upper)}
        ends = [place[j] for i in lower for j in sorted(above[i], key=place.__getitem__)]
        total += sum(a > b for k, a in enumerate(ends) for b in ends[k + 1 :])
    return total


def positions(
    rows: list[list[int]], above: list[list[int]], below: list[list[int]], widths: list[float]
) -> list[float]:
    """x of every node and point: near the mean of its neighbours, in the order of its row, none upon another."""
    xs = [0.0] * len(widths)
    for row in rows:
        _set(xs, row, widths, [float(k) for k in range(len(row))])
    for sweep in range(SWEEPS):
        neighbours, pass_ = (above, rows) if sweep % 2 == 0 else (below, rows[::-1])
        for row in pass_:
            _set(xs, row, widths, [mean([xs[j] for j in neighbours[i]], xs[i]) for i in row])
    left = min(xs, default=0.0)
    return [x - left for x in xs]


def _set(xs: list[float], row: list[int], widths: list[float], wanted: list[float]) -> None:
    for i, x in zip(row, spread(wanted, [widths[i] for i in row]), strict=True):
        xs[i] = x


def spread(wanted: list[float], widths: list[float]) -> list[float]:
    """The centres nearest to `wanted` (least squares) at which boxes of these widths stand side by side in order.

    Without the widths, centres must only not decrease: neighbours that do are pooled at their mean (Ayer et al., 1955).
    """
    starts = [0.0]
    for a, b in zip(widths, widths[1:], strict=False):
        starts.append(starts[-1] + (a + b) / 2)
    pools: list[tuple[float, int]] = []  # mean and size
    for x, start in zip(wanted, starts, strict=False):
        value, size = x - start, 1
        while pools and pools[-1][0] > value:
            before, n = pools.pop()
            value, size = (before * n + value * size) / (n + size), n + size
        pools.append((value, size))
    pooled = [value for value, size in pools for _ in range(size)]
    return [value + start for value, start in zip(pooled, starts, strict=False)]


def mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
