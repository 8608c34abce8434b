"""stdout and stderr that may go away: a closed terminal, `| head`, a service without either."""

import errno
import os
import sys
from typing import Any

GONE = (errno.EPIPE, errno.EIO, errno.EBADF)  # a pipe without a reader, a terminal that was closed, no stream at all


class Patient:
    """A text stream. When nobody reads it any more, what is written is dropped, and the program goes on.

    OSError for a full disk, unless it is `lenient`.
    """

    def __init__(self, stream: Any, lenient: bool = False):
        self.stream, self.lenient = stream, lenient

    def write(self, text: str) -> int:
        """Write a text; returns its length."""
        self._try(self.stream.write, text)
        return len(text)

    def flush(self) -> None:
        """Write what the buffer holds."""
        self._try(self.stream.flush)

    def _try(self, call: Any, *arguments: Any) -> None:
        try:
            call(*arguments)
        except ValueError:  # it was closed
            pass
        except OSError as e:
            drop(self.stream)
            if not self.lenient and e.errno not in GONE:  # a full disk loses results
                raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def drop(stream: Any) -> None:
    """Let a stream write into nothing, so that what its buffer still holds raises no error at the end."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
    except (OSError, ValueError, AttributeError):
        pass


def protect() -> None:
    """Make sys.stdout and sys.stderr patient. Characters that a terminal lacks are replaced."""
    for name, lenient in (("stdout", False), ("stderr", True)):
        stream = getattr(sys, name)
        if isinstance(stream, Patient):
            continue
        if stream is None:  # the program was started without it
            stream = open(os.devnull, "w", encoding="utf-8")
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace" if name == "stdout" else "backslashreplace")
        setattr(sys, name, Patient(stream, lenient))
