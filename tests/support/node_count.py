"""How many nodes the CUDA graph of a step would have, counted on device "strict".

    with counted() as nodes:
        gan.update()
    nodes.total, nodes.by_kind["kernel"], nodes.by_op["linear"]

A node is one piece of work for the GPU: a kernel of ours, a product by cuBLAS, or one of CuPy's functions. A view is
none, nor is `empty`. CuPy joins n arrays by n copies, and its `scatter_add` fills and then writes.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from strict_device import JOINING, StrictArray, strict

from autograd.modes import hook

KINDS = {
    **dict.fromkeys(("kernel", "product"), ""),
    **dict.fromkeys((*JOINING, "copy", "ascontiguousarray", "getitem", "reshape", "astype", "copyto"), "copy"),
    **dict.fromkeys(("fill", "zeros", "zeros_like", "ones", "ones_like", "full", "full_like"), "fill"),
    **dict.fromkeys(("sum", "mean", "max", "min", "amax", "amin", "var", "prod", "any", "all"), "reduction"),
}
NOTHING = {"empty", "empty_like", "asarray"}


class Nodes:
    """The nodes so far, by kind and by the op (or by "other": optimisers, random numbers, batches)."""

    def __init__(self) -> None:
        self.by_kind: Counter[str] = Counter()
        self.by_op: Counter[str] = Counter()
        self.op = "other"

    @property
    def total(self) -> int:
        return self.by_kind.total()

    def watch(self, name: str, result: Any, reads: Sequence, writes: Sequence) -> None:
        hosts = [x for r in reads for x in (r if isinstance(r, tuple | list) else [r]) if isinstance(x, np.ndarray)]
        is_view = isinstance(result, StrictArray) and any(np.may_share_memory(result._host, x) for x in hosts)
        if name in NOTHING or is_view and not len(writes):
            return
        n = len(reads[0]) if name in JOINING else 2 if name == "scatter_add" else 1
        self.by_kind[KINDS.get(name, "elementwise") or name] += n
        self.by_op[self.op] += n

    def note(self, op: Any, kind: str, call: Callable[[], Any]) -> Any:
        """A hook: work inside an op counts for the outermost one."""
        before, self.op = self.op, op.name if self.op == "other" else self.op
        try:
            return call()
        finally:
            self.op = before

    def __str__(self) -> str:
        kinds, ops = (", ".join(f"{n} {k}" for k, n in c.most_common()) for c in (self.by_kind, self.by_op))
        return f"{self.total} nodes: {kinds}; by op: {ops}"


@contextlib.contextmanager
def counted() -> Iterator[Nodes]:
    """Inside, every node counts."""
    nodes = Nodes()
    strict.watcher = nodes.watch
    try:
        with hook(nodes.note):
            yield nodes
    finally:
        strict.watcher = None
