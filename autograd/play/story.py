"""What happens on a tape: every op forward, then every rule backward. Every sum of gradients is a step of its own.

The sweep is the engine's: a hook sees what each rule returns, and the gradients of all nodes are what `grad` returns.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from autograd.arrays import is_array, to_host
from autograd.engine import _cotangent, _path, _sweep, sum_to
from autograd.explain import tape
from autograd.modes import debug, hook
from autograd.tensor import Node, Tensor


@dataclass
class Event:
    """One step.

    kind: "forward" (node gets its value), "seed" (its gradient is g), "rule" (its rule gives `gives`) or "add" (`gives`
    is added to the gradient that the node has already). gives: pairs (parent, its gradient). summed: the parents whose
    gradient was summed over axes along which the parent was broadcast. before, total: the gradient
    before an "add", and after a "seed" or an "add".
    made: nodes of the second tape that the step recorded, under create_graph.
    """

    kind: str
    node: Node
    gives: list[tuple[Node, Any]] = field(default_factory=list)
    summed: list[Node] = field(default_factory=list)
    before: Any = None
    total: Any = None
    made: list[Node] = field(default_factory=list)


@dataclass
class Story:
    """nodes: the first tape and then the second one, oldest first. values and gradients: host arrays where known."""

    nodes: list[Node]
    first: int  # nodes of the first tape
    events: list[Event]
    values: dict[Node, Any]
    gradients: dict[Node, Any]


def tell(y: Tensor, g: Any = None, create_graph: bool = False, tensors: Mapping[str, Tensor] | None = None) -> Story:
    """The story of y and of the gradient of Σ g y. Errors are those of `grad`.

    ValueError also where a kernel made many calls at once.
    """
    nodes = tape(y)
    if any(node.op is not None and node.op.joins for node in nodes):
        raise ValueError("a kernel ran many calls at once here: run f inside use_fused(False), so that each is a step")
    g = _cotangent(y, g, create_graph)
    path = _path(y.node, set(nodes))  # every op, newest first: the order in which the rules run
    calls: list[tuple] = []
    marks: list[int] = []

    def watch(op: Any, kind: str, call: Any) -> Any:
        if kind == "backward":
            marks.append(Tensor(0.0, requires_grad=True).node.id)  # nodes that the rule makes are younger
        found = call()
        if kind == "backward":
            calls.append(found if type(found) is tuple else (found,))
        return found

    with debug(), hook(watch):
        gradients = _sweep(y, set(nodes), g, create_graph)
    events = [Event("forward", node) for node in nodes] + [Event("seed", y.node, total=host(g))]
    totals = {y.node: host(g)}
    for (node, need), found in zip(path, calls, strict=True):
        events.append(rule := Event("rule", node))
        sums = []
        for parent, wanted, gradient in zip(node.parents, need, found, strict=False):
            if not wanted:
                continue
            share = sum_to(host(gradient), parent.shape)
            rule.summed += [parent] if share.shape != gradient.shape else []
            rule.gives.append((parent, share))
            if parent in totals:
                before, total = totals[parent], totals[parent] + share
                sums.append(Event("add", parent, [(parent, share)], before=before, total=total))
            totals[parent] = totals[parent] + share if parent in totals else share
        events += sums
    second = _second_tape(gradients, set(nodes)) if create_graph else []
    rules = [event for event in events if event.kind == "rule"]
    for event, start, end in zip(rules, marks, [*marks[1:], float("inf")], strict=True):
        event.made = [node for node in second if start < node.id < end]
    everything = nodes + second
    return Story(
        everything,
        len(nodes),
        events,
        values_of(everything, y, tensors or {}),
        {node: host(gradient) for node, gradient in gradients.items()},
    )


def _second_tape(gradients: Mapping[Node, Any], first: set[Node]) -> list[Node]:
    """The nodes that the rules recorded, oldest first."""
    found: set[Node] = set()
    for gradient in gradients.values():
        if isinstance(gradient, Tensor) and gradient.node is not None:
            found.update(tape(gradient))
    return sorted(found - first, key=lambda node: node.id)


def values_of(nodes: list[Node], y: Tensor, tensors: Mapping[str, Tensor]) -> dict[Node, Any]:
    """The value of every node, where it is known: y, `tensors`, and what rules and debug mode keep."""
    known = {y.node: y.data} | {t.node: t.data for t in tensors.values() if t.node is not None}
    for node in nodes:
        if node.op is None:
            continue
        if node.seen:
            known.setdefault(node, node.seen.y)
            inputs = node.seen.inputs
        else:
            if node.op.keeps_y:
                known.setdefault(node, node.saved["y"])
            kept = {i: node.saved[name] for i, name in node.op.kept_inputs}
            inputs = tuple(kept.get(i) for i in range(len(node.parents))) if not node.op.variadic else ()
            if node.op.variadic and kept:
                inputs = kept[0]
        for parent, value in zip(node.parents, inputs, strict=False):
            if parent is not None and is_array(value):
                known.setdefault(parent, value)
    return {node: host(value) for node, value in known.items()}


def host(a: Any) -> Any:
    return to_host(a.data if isinstance(a, Tensor) else a)
