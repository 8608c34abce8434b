"""Lock files: one process at a time works in one place."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from minigan.errors import InputError


@contextmanager
def hold_lock(path: Path, message: str, wait: bool = False) -> Iterator[IO | None]:
    """Hold the lock file `path` while the block runs, and give the open file.

    If another process holds the lock, `message` is raised as InputError; with `wait`, it is printed to stderr and this
    process waits. The lock is released when the last process that has the file open ends, so children may inherit it.
    On a system without such locks (Windows) nothing is held, and None is given.
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
                raise InputError(message) from None
            print(message, file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file
