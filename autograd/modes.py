"""What is switched on in this thread, and the hooks around every op."""

import contextlib
import threading
from collections.abc import Callable, Iterator

HOOKS: list[Callable] = []  # each is hook(op, kind, call) -> call(), kind "forward" or "backward"


class State(threading.local):
    recording = True
    fused = True
    debug = False
    tf32 = False


state = State()


@contextlib.contextmanager
def switched(**flags: bool) -> Iterator[None]:
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
    """Inside, first-order passes use the fast twins (`fused`) of the rules, or the rules themselves."""
    return switched(fused=on)


def use_tf32(on: bool) -> contextlib.AbstractContextManager:
    """Inside, matrix products on a GPU round their factors to 10 bits of mantissa (TF32): several times faster."""
    return switched(tf32=on)


def debug() -> contextlib.AbstractContextManager:
    """Inside, every node remembers the line that made it, for the message of a rule that fails."""
    return switched(debug=True)


@contextlib.contextmanager
def hook(f: Callable) -> Iterator[None]:
    """Inside, `f(op, kind, call)` runs around every forward and every rule; it must return call()."""
    HOOKS.append(f)
    try:
        yield
    finally:
        HOOKS.remove(f)
