"""Calls of one op that do not need each other's results: a twin may make them all at once."""

from collections.abc import Sequence
from typing import Any

from autograd.arrays import array_module
from autograd.modes import state
from autograd.operation import Op
from autograd.registry import TWINS
from autograd.tensor import Tensor


def each(op: Any, calls: Sequence[tuple]) -> list[Tensor]:
    """[op(*inputs) for inputs in calls], where no call needs the result of another; inputs as forward takes them.

    Many small calls leave a GPU idle, so a twin may make them all at once.
    """
    xp = array_module(*(x.data if isinstance(x, Tensor) else x for inputs in calls for x in inputs))
    twin = TWINS.get(xp, {}).get(f"{op.name}.each")
    results = twin(xp, calls) if twin is not None and state.fused else NotImplemented
    return [op.apply(*inputs) for inputs in calls] if results is NotImplemented else results


class OneOf(Op):
    """The op of a result of a node that has several: the engine hands that node a dict, index -> gradient."""

    joins = True


class one_of:
    "y = the result number `index` of a node with several      ∂L/∂x = g, beside the gradients of the others"

    def forward(xp, x, *, index):  # type: ignore[no-untyped-def]
        return x[index]

    def backward(xp, g):  # type: ignore[no-untyped-def]
        return g


ONE_OF = OneOf(one_of)
