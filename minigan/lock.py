"""Lock files: one process at a time works in one place."""

import contextlib
import errno
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from minigan.errors import InputError
from minigan.files import remove

NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}  # of file systems without flock
POLL = 0.2  # seconds
UNNAMED = 10.0  # seconds after which a file without a name was left by a kill


@contextmanager
def hold_lock(path: Path, message: str, wait: bool = False) -> Iterator[IO | None]:
    """Hold the lock file `path` while the block runs, and give the open file.

    If another process holds the lock, `message` is raised as InputError; with `wait`, it is printed to stderr and this
    process waits. The lock is released when the last process that has the file open ends, so children may inherit it.
    A file system without such locks (some network drives) gets a file `path`.owner that names this process instead.
    On a system without them (Windows) nothing is held, and None is given.
    """
    try:
        import fcntl
    except ImportError:
        yield None
        return
    owner = path.with_name(path.name + ".owner")
    with contextlib.ExitStack() as stack:
        while True:
            file = stack.enter_context(open(path, "a"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not wait:
                    raise InputError(message) from None
                print(message, file=sys.stderr)
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError as e:
                if e.errno not in NO_LOCKS:
                    raise
                stack.enter_context(_own(owner, message, wait))
            if _is_at(file, path):
                break
            stack.close()  # the process that held it has deleted the file, and others lock a new one
        if _has_ended(owner):  # left by a kill
            _take_away(owner)
        yield file


def _is_at(file: IO, path: Path) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


@contextmanager
def _own(path: Path, message: str, wait: bool) -> Iterator[None]:
    """Hold a file that only one process can create. A file whose process has ended is replaced."""
    own = f"{socket.gethostname()} {os.getpid()}"
    print(f"{path.parent}: no locks on this file system, so {path.name} names the process at work", file=sys.stderr)
    told = False
    while True:
        try:
            with open(path, "x", encoding="utf-8") as file:
                file.write(own)
            break
        except FileExistsError:
            if _has_ended(path):
                _take_away(path)
                time.sleep(POLL / 10)
                continue
        if not wait:
            raise InputError(f"{message} (if that is wrong, delete {path})")
        if not told:
            print(message, file=sys.stderr)
            told = True
        time.sleep(POLL)
    try:
        yield
    finally:
        remove(path)


def _take_away(path: Path) -> None:
    """Remove an owner file whose process has ended.

    Two processes can find it at once, and the quicker one has its own there when the slower one gets to remove it. So
    only who holds a second file removes, and looks again before.
    """
    claim = path.with_name(path.name + ".claim")
    try:
        open(claim, "x").close()
    except FileExistsError:
        with contextlib.suppress(OSError):
            if claim.stat().st_mtime < time.time() - UNNAMED:  # left by a kill
                remove(claim)
        return
    try:
        if _has_ended(path):
            remove(path)
    finally:
        remove(claim)


def _has_ended(path: Path) -> bool:
    """Whether the process that an owner file names ran on this machine and is no more."""
    try:
        host, _, number = path.read_text(encoding="utf-8").rpartition(" ")
        if not host and not number:  # it was killed before it wrote its name
            return path.stat().st_mtime < time.time() - UNNAMED
        if host != socket.gethostname():
            return False
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError, OverflowError):
        return False
    return False
