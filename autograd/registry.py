"""The tables that tie the engine together: the ops, and their faster twins.

`@op` fills the first table, and `autograd.accelerate` fills the second from outside. So a Tensor finds its operators, a
rule finds the ops, and an op finds its twin, and no file imports a file above it.
"""

import functools
from collections.abc import Callable
from typing import Any


class Namespace:
    """Ops and the functions made of ops, by name: the `xp` of a rule that runs on Tensors."""

    def __getattr__(self, name: str) -> Any:
        there = ", ".join(sorted(vars(self)))
        raise AttributeError(
            f"autograd.ops has no {name!r}. Under create_graph a rule runs on Tensors, and calls only what is there: "
            f"{there}. A rule for first derivatives alone is checked by gradcheck(…, order=1)"
        )

    def __repr__(self) -> str:
        return "<module 'autograd.ops'>"


OPS: dict[str, Any] = {}  # every op by name, in order of definition
ops: Any = Namespace()
TWINS: dict[Any, dict[str, Any]] = {}  # array module -> name of an op, or dotted name of a routine -> its faster twin


def public(f: Callable) -> Callable:
    """Decorator: put a function made of ops beside the ops, so that rules on Tensors find it."""
    setattr(ops, f.__name__, f)
    return f


def routine(f: Callable) -> Callable:
    """Decorator: a function f(xp, …) of arrays that is not differentiated, such as an optimiser's update.

    A twin with the same arguments may stand in for it. It returns NotImplemented for arguments that it does not take.
    """
    name = f"{f.__module__}.{f.__name__}"

    @functools.wraps(f)
    def run(xp: Any, *args: Any, **options: Any) -> Any:
        faster = TWINS.get(xp, {}).get(name)
        if faster is not None:
            result = faster(xp, *args, **options)
            if result is not NotImplemented:
                return result
        return f(xp, *args, **options)

    return run
