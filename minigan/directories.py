"""The directory of a run: a free name for it, and its lock."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from minigan.errors import InputError
from minigan.files import sweep
from minigan.lock import hold_lock


def new_directory(directory: Path) -> Path:
    """Make `free_directory(directory)`. Two processes never get the same one.

    InputError as from `refuse_dangling`, OSError if it cannot be made.
    """
    refuse_dangling(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    while True:
        free = free_directory(directory)
        try:
            free.mkdir()
            return free
        except FileExistsError:
            refuse_dangling(free)  # or another process made it first


def free_directory(directory: Path, unless: Callable[[Path], bool] = lambda path: False) -> Path:
    """The first of directory, directory-2, directory-3, … that does not exist, or for which `unless` is true."""
    candidate, n = directory, 1
    while candidate.exists() and not unless(candidate):
        n += 1
        candidate = directory.with_name(f"{directory.name}-{n}")
    return candidate


def refuse_dangling(path: Path) -> None:
    """InputError if the path, or a folder above it, is a link that leads nowhere, as to a disk that is not mounted."""
    for part in (path, *path.parents):
        if part.is_symlink() and not part.exists():
            raise InputError(f"{path} cannot be made: {part} is a link to {os.readlink(part)}, which does not exist")


@contextmanager
def hold_run(directory: Path) -> Iterator[None]:
    """Hold the lock of a run's directory, and sweep out what killed processes left; InputError if another holds it."""
    with hold_lock(directory / ".lock", f"{directory}: another process is training this run"):
        sweep(directory)
        sweep(directory / "samples")
        yield
