"""A directory that one call at a time works in, until it is done or a signal stops it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from minigan.directories import refuse_dangling
from minigan.lock import hold_lock


@contextmanager
def hold_directory(out: Path) -> Iterator[IO | None]:
    """Hold the lock of `out`. The processes of the runs inherit it: two calls would spoil each other's files.

    InputError if another call holds it, or as from `refuse_dangling`.
    """
    refuse_dangling(out)
    out.mkdir(parents=True, exist_ok=True)
    with hold_lock(out / ".lock", f"another call is at work in {out}") as lock:
        yield lock


class Stopped(KeyboardInterrupt):
    """A signal has ended a command; `number` is the signal's."""

    def __init__(self, number: int, words: str = "interrupted"):
        super().__init__(words)
        self.number = number


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal raise Stopped."""

    def stop(number: int, frame: Any) -> None:
        raise Stopped(number)

    known = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    numbers = [s for s in known if s == signal.SIGTERM or not _ignored(s)]
    previous = {s: signal.signal(s, stop) for s in numbers}
    try:
        yield
    finally:
        for s, handler in previous.items():
            signal.signal(s, handler)


def _ignored(number: int) -> bool:
    return signal.getsignal(number) == signal.SIG_IGN
