"""Writing files whole or not at all, and reading files that may be damaged: each error is one sentence."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from minigan.errors import InputError

EXPANSION = 1100  # bytes for a byte of a compressed file: more than gzip can reach
_TEMPORARY = re.compile(  # the last two are of older versions
    r"\..+\.\d+\.tmp|(checkpoint|best|samples)\.h5\.tmp|\.[\w-]+\.(png|gif|html|json|h5)\.\d+"
)


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Write a file whole or not at all; InputError for a full disk, as in `writing`."""
    with writing(path) as file:
        write_all(file, data)


@contextmanager
def writing(path: str | os.PathLike, flush: bool = False) -> Iterator[BinaryIO]:
    """A new file, unbuffered, that is renamed to `path` when the block ends well.

    After any error the old file is whole and nothing else is left. A full disk is an InputError. `flush`: wait until
    the data are on the disk before the file gets its name, so that a power cut leaves no empty file.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "w+b", buffering=0) as file:
            yield file
            if flush:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as e:
        raise cannot_write(path, e) from e
    finally:
        remove(temporary)


def write_all(file: Any, data: Any) -> None:
    """Write all bytes into an unbuffered file, which may take a part of them at a time; OSError if the disk is full."""
    rest = memoryview(data).cast("B")
    while rest:
        rest = rest[file.write(rest) :]


def cannot_write(path: str | os.PathLike, error: OSError) -> InputError:
    """The sentence for an error of writing: no space, a quota, a limit on the size of files, a broken disk."""
    return InputError(f"cannot write {path}: {error.strerror or error}")


def remove(path: Path) -> None:
    """Remove a file if that is possible."""
    try:
        path.unlink()
    except OSError:
        pass


def sweep(directory: Path, older: float = 0.0) -> None:
    """Remove the temporary files that killed processes left in a directory.

    Call it while no other process writes there, or give an age in seconds that no file in use has.
    """
    try:
        names = [name for name in os.listdir(directory) if _TEMPORARY.fullmatch(name)]
    except OSError:
        return
    for path in (directory / name for name in names):
        try:
            if path.is_file() and path.stat().st_mtime <= time.time() - older:
                path.unlink()
        except OSError:
            continue


@contextmanager
def reading(path: Any, what: str = "cannot be read") -> Iterator[None]:
    """Turn every error into an InputError: the file at `path` `what`, and why.

    Pillow, h5py, NumPy and zipfile raise nearly any exception for a damaged file. So put nothing but reading inside.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as e:
        raise InputError(f"{path} {what} ({why(e)})") from e


def unusable(path: str | os.PathLike) -> str:
    """What is said of a path that is no file and no folder. A pipe or a device may never end, so none is read."""
    return f"{path} is neither a file nor a folder" if os.path.exists(path) else f"{path} does not exist"


def why(error: BaseException) -> str:
    """What an exception says, on one line and not too long."""
    text = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:200] + " …"
