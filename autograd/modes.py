"""The switches of a thread, and the hooks around every op."""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

HOOKS: list[Callable] = []  # each is hook(op, kind, call) -> call(), kind "forward" or "backward"


class State(threading.local):
    def __init__(self) -> None:  # of each thread
        self.recording = True
        self.fused = True
        self.debug = False
        self.tf32 = False
        self.scope: tuple = ()  # in debug mode: the parts of the model that are running, outermost first


state = State()


@contextlib.contextmanager
def switched(**flags: Any) -> Iterator[None]:
    """Inside, these switches of this thread are as given."""
    old = {k: getattr(state, k) for k in flags}
    for k, v in flags.items():
        setattr(state, k, v)
    try:
        yield
    finally:
        for k, v in old.items():
            setattr(state, k, v)


def no_grad() -> contextlib.AbstractContextManager:
    """Inside, ops record nothing."""
    return switched(recording=False)


def use_fused(on: bool) -> contextlib.AbstractContextManager:
    """Inside, first-order passes use the fast forms of ops (`fused`, and their twins), or the rules themselves."""
    return switched(fused=on)


def use_tf32(on: bool) -> contextlib.AbstractContextManager:
    """Inside, matrix products on a GPU round their factors to 10 bits of mantissa (TF32): several times faster."""
    return switched(tf32=on)


def debug() -> contextlib.AbstractContextManager:
    """Inside, every node remembers the line that made it, its layer, inputs and output, and checksums of what it keeps.

    The message of a rule that fails then names the line, a rule whose arrays were written to raises RuntimeError, and
    `play` shows every value. This costs time and memory.
    """
    return switched(debug=True)


def scope(layer: Any) -> contextlib.AbstractContextManager:
    """Inside, ops that debug mode remembers belong to this layer, which stands inside those that run already."""
    return switched(scope=(*state.scope, layer))


@contextlib.contextmanager
def hook(f: Callable) -> Iterator[None]:
    """Inside, `f(op, kind, call)` runs around every forward and every rule; it must return call().

    kind: "forward" or "backward". call.args: (xp, arrays …) of a forward, (xp, g, saved values …) of a rule;
    call.keywords: the options.
    """
    HOOKS.append(f)
    try:
        yield
    finally:
        HOOKS.remove(f)


def hooked(op: Any, kind: str, call: functools.partial) -> Any:
    """call() inside every hook, the first hook outermost."""

    def returned(what: str, value: Any) -> Any:
        if value is None:
            raise TypeError(f"{what} returned None: a `return` is missing")
        return value

    @functools.wraps(call.func)  # a hook may ask for its signature
    def itself(*args: Any, inner: Callable = call.func, **options: Any) -> Any:
        return returned(f"{kind} of {op.name}", inner(*args, **options))

    call = functools.partial(itself, *call.args, **call.keywords)
    for f in reversed(HOOKS):

        @functools.wraps(call.func)
        def around(*args: Any, f: Callable = f, inner: functools.partial = call, **options: Any) -> Any:
            return returned(f"hook {getattr(f, '__name__', f)}", f(op, kind, inner))

        call = functools.partial(around, *call.args, **call.keywords)  # every hook can read the arguments
    return call()
