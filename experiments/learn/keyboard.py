"""Single keys from a terminal, without Enter."""

import contextlib
import os
import select
import sys
from collections.abc import Callable, Iterator

ESCAPE = b"\x1b"  # F3, for one, sends it and then the letters O and R
PAUSE = 0.02  # seconds within which the rest of such a sequence arrives


def is_terminal() -> bool:
    """Whether there are keys to read and a screen to draw on."""
    try:
        import termios  # noqa: F401 - Windows has none: use WSL there
    except ImportError:
        return False
    return sys.stdin.isatty() and sys.stdout.isatty()


@contextlib.contextmanager
def keys() -> Iterator[Callable[[float], str]]:
    """Inside, a function that waits some seconds for a key: the key, "" for none, "q" if the terminal was closed.

    Keys that send several bytes, such as F3 and the arrows, count as none.
    """
    import termios
    import tty

    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    tty.setcbreak(number)  # keys come at once and are not shown; Ctrl-C still interrupts

    def read(seconds: float) -> str:
        if not select.select([number], [], [], seconds)[0]:
            return ""
        try:
            key = os.read(number, 1)
            if key == ESCAPE:
                while select.select([number], [], [], PAUSE)[0] and os.read(number, 64):
                    pass
                return ""
        except OSError:  # the terminal is gone
            return "q"
        return key.decode("ascii", "replace").lower() or "q"

    try:
        yield read
    finally:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(number, termios.TCSADRAIN, before)
