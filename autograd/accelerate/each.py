"""Twins of `each(op, calls)`: one op on the inputs of many calls, by one forward and one backward."""

import functools
from collections.abc import Sequence
from typing import Any

from autograd.each import ONE_OF
from autograd.messages import located
from autograd.modes import HOOKS, hooked, state
from autograd.operation import Op, remember
from autograd.registry import ops
from autograd.tensor import Node, Tensor
from autograd.writes import WRITES, check_unwritten


class Each:
    """Many calls of an op as one node on the tape, and a node for each result.

    `cls` has three functions. `fits(calls)`: whether it takes these inputs, arrays by call. `forward(xp, calls)`
    returns the results and, behind them, what the backward needs besides. `fused(xp, gs, calls, kept, need)` returns
    the gradients by call, None for an input that needs none. Several calls may share an input: then the first call that
    needs its gradient may get the sum for all of them. Second derivatives and `use_fused(False)` go the readable way,
    call by call.
    """

    joins = False
    defaults: dict = {}  # no options, and inputs under no names of their own
    inputs, kept_inputs, variadic, keeps_y = ["x"], (), True, False

    def __init__(self, op: Op, cls: Any):
        self.op, self.name, self.doc, self.backward = op, f"{op.name}.each", op.doc, op.backward
        self.fits, self.forward, self.fused = cls.fits, cls.forward, cls.fused

    def __call__(self, xp: Any, calls: Sequence[tuple]) -> Any:
        """The results as Tensors; NotImplemented for other inputs."""
        arrays = [tuple(x.data if isinstance(x, Tensor) else x for x in inputs) for inputs in calls]
        if not self.fits(arrays):
            return NotImplemented
        *results, kept = self._run("forward", self.forward, xp, arrays, shown=arrays)
        nodes = [[x.node if isinstance(x, Tensor) else None for x in inputs] for inputs in calls]
        parents = tuple(dict.fromkeys(n for of_call in nodes for n in of_call if n is not None))
        if not (parents and state.recording):
            return [Tensor(y) for y in results]
        places = [[None if n is None else parents.index(n) for n in of_call] for of_call in nodes]
        saved = {"calls": tuple(arrays), "kept": kept, "places": places, "shapes": [y.shape for y in results]}
        node = Node(self, parents, saved, {}, results[0], xp)
        if state.debug:
            remember(node, [x for of_call in arrays for x in of_call], results[0], self._kept(node))
        return [Tensor(y, node=Node(ONE_OF, (node,), {}, {"index": i}, y, xp)) for i, y in enumerate(results)]

    def _kept(self, node: Node) -> dict[str, list]:
        """The inputs that the rule of the op reads, those of all calls together, by name."""
        return {name: [of_call[i] for of_call in node.saved["calls"]] for i, name in self.op.kept_inputs}

    def run_rule(self, node: Node, g: dict[int, Any], need: tuple[bool, ...], create_graph: bool) -> list:
        """The gradients of the parents, from those of the results by index."""
        if node.id < WRITES.last:
            for name, arrays in self._kept(node).items():
                check_unwritten(node, name, arrays)
        calls, kept, places, shapes = (node.saved[name] for name in ("calls", "kept", "places", "shapes"))
        needed = [tuple(p is not None and need[p] for p in of_call) for of_call in places]
        gs = [g[i] if i in g else _zeros(node, shape, create_graph) for i, shape in enumerate(shapes)]
        if create_graph or not state.fused:
            found: Any = [self._by_rule(node, i, gs[i], needed[i], create_graph) for i in range(len(calls))]
        else:
            flat = iter(
                self._run("backward", self._flat, node.xp, gs, calls, kept, needed, shown=[gs, *calls], node=node)
            )
            found = [[next(flat) for _ in of_call] for of_call in places]
        total: list[Any] = [None] * len(need)
        for of_call, grads, wanted in zip(places, found, needed, strict=True):
            for p, gp, is_needed in zip(of_call, grads, wanted, strict=True):
                if is_needed and gp is not None:
                    total[p] = gp if total[p] is None else total[p] + gp
        return total

    def _flat(self, *args: Any) -> tuple:
        """The gradients by call as one tuple, as hooks know the results of a rule."""
        return tuple(gp for of_call in self.fused(*args) for gp in of_call)

    def _by_rule(self, node: Node, i: int, g: Any, need: tuple[bool, ...], create_graph: bool) -> Sequence:
        """The gradients of the inputs of call i by the rule of the op."""
        op, inputs = self.op, list(node.saved["calls"][i])
        parents = tuple(None if p is None else node.parents[p] for p in node.saved["places"][i])
        alone = Node(op, parents, op._saved(inputs, None, [None] * len(op.residuals)), {}, g, node.xp)
        if create_graph:
            return op.rule.run(ops, g, op._on_tensors(alone), need, alone)
        return op.rule.run(node.xp, g, alone.saved, need, alone)

    def _run(self, kind: str, f: Any, *args: Any, shown: Sequence[Sequence], node: Node | None = None) -> Any:
        """f(*args) inside the hooks; an error says the op, the arrays that are shown, and in debug mode the line."""
        try:
            return hooked(self, kind, functools.partial(f, *args)) if HOOKS else f(*args)
        except Exception as e:
            raise located(e, self, [x for of_call in shown for x in of_call], {}, node) from None


def _zeros(node: Node, shape: tuple[int, ...], create_graph: bool) -> Any:
    zeros = node.xp.zeros(shape, dtype=node.dtype)
    return Tensor(zeros) if create_graph else zeros
