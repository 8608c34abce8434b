"""The directory of a run: a free name for it, and its lock."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from minigan.files import sweep
from minigan.lock import hold_lock


def new_directory(directory: Path) -> Path:
    """Make `free_directory(directory)`. Two processes never get the same one."""
    while True:
        try:
            (free := free_directory(directory)).mkdir(parents=True)
            return free
        except FileExistsError:  # another process made it first
            continue


def free_directory(directory: Path, unless: Callable[[Path], bool] = lambda path: False) -> Path:
    """The first of directory, directory-2, directory-3, … that does not exist, or that is free all the same."""
    candidate, n = directory, 1
    while candidate.exists() and not unless(candidate):
        n += 1
        candidate = directory.with_name(f"{directory.name}-{n}")
    return candidate


@contextmanager
def hold_run(directory: Path) -> Iterator[None]:
    """Hold the lock of a run's directory, and sweep out what killed processes left; InputError if another holds it."""
    with hold_lock(directory / ".lock", f"{directory}: another process is training this run"):
        sweep(directory)
        sweep(directory / "samples")
        yield
