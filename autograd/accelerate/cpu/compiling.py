"""How a loop is compiled, and kept on disk."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
from numba.core.event import Listener, install_listener

HERE = Path(__file__).parent
OPS = HERE.parents[1] / "ops"
COMPILED_IN = (OPS / "numerics.py", OPS / "windows.py")  # loops hold their constants, and the fields of Windows


def loop(f: Callable) -> Callable:
    """Compile a loop over arrays. It releases Python's lock, and sums may be added in any order: only so can a sum be
    vectorised.

    An innermost loop counts from 0, or by an unsigned index. In Python a negative index counts from the end, and the
    test for it costs more than half of the speed.

    A loop calls no other loop: one that was loaded from disk cannot be inlined, a sum in another order ends in other
    last digits, and so a run would depend on what the disk held.
    """
    how: Any = {"nogil": True, "error_model": "numpy", "fastmath": {"reassoc", "contract", "nsz"}}
    try:
        return numba.njit(cache=True, **how)(f)
    except RuntimeError:  # there is no place to keep it
        return numba.njit(**how)(f)


# A function of one number, inlined into the loop that calls it and never kept alone. It is computed in the order in
# which it is written, and NaN stays NaN, so that a training that fails is seen to fail.
each = numba.njit(error_model="numpy", fastmath={"contract", "nsz"})


class _First(Listener):
    """Calls `say` when the first loop begins to be compiled. numba asks for both methods."""

    def __init__(self, say: Callable[[], object]):
        self.say, self.said = say, False

    def on_start(self, event: Any) -> None:
        if not self.said:
            self.said = True
            self.say()

    def on_end(self, event: Any) -> None:
        pass


@contextlib.contextmanager
def when_compiling(say: Callable[[], object]) -> Iterator[None]:
    """Inside, `say()` is called once, before the first loop that is compiled. A loop from the disk is not compiled."""
    with install_listener("numba:compile", _First(say)):
        yield


def forget_stale(here: Path = HERE, compiled_in: tuple[Path, ...] = COMPILED_IN) -> None:
    """Delete compiled loops that are older than the last change to any file here, or to what is compiled into them.

    numba keeps compiled loops in __pycache__ and looks only at the date of their own file. (Loops under NUMBA_CACHE_DIR
    are not deleted.)
    """
    with contextlib.suppress(OSError):  # another process deleted it first, or nothing may be written here
        changed = max(path.stat().st_mtime for path in [*here.glob("*.py"), *compiled_in])
        for kept in (here / "__pycache__").glob("*.nb[ic]"):
            if kept.stat().st_mtime < changed:
                kept.unlink()


forget_stale()
