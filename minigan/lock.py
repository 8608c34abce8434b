"""One process at a time in one place."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from minigan.errors import InputError


@contextmanager
def alone(path: Path, others: str, wait: bool = False) -> Iterator[IO | None]:
    """Hold the lock file `path`, which falls with the last process that has it open.

    Where another process holds it, the sentence `others` is the InputError, or with `wait` a line on stderr while this
    one waits. Where the system has no such locks, nothing is held.
    """
    try:
        import fcntl
    except ImportError:
        yield None
        return
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                raise InputError(others) from None
            print(others, file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file
