"""Read an HDF5 file in a process of its own: python -m minigan.probe FILE SECONDS

Damaged files can crash the HDF5 library or keep it busy for ever. Here that ends this process alone. The status is 0 if
everything could be read: all attributes, and of each array the first and the last row, or all of a small one.
"""

import sys
from typing import Any

import h5py

SMALL = 1 << 22  # bytes: an array up to this size is read whole
MOST = 1 << 27  # bytes that are read in all
MEMORY = 1 << 32  # bytes that this process may ask for


def limit(seconds: int) -> None:
    """Let the system end this process after so many seconds of computing, and give it a limit of memory."""
    try:
        import resource
    except ImportError:  # Windows: the caller still limits the time
        return
    for kind, most in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CORE, 0)):
        try:
            hard = resource.getrlimit(kind)[1]
            resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
        except (ValueError, OSError):
            continue


def look(path: str) -> None:
    """Read the file; any exception if that fails."""
    read = 0

    def visit(name: str, item: Any) -> None:
        nonlocal read
        dict(item.attrs)
        if not isinstance(item, h5py.Dataset) or 0 in item.shape:
            return
        if item.nbytes <= SMALL:
            read += item.nbytes
            if read <= MOST:
                item[()]
        elif item.ndim and item.nbytes // len(item) <= SMALL:
            item[0]
            item[-1]

    with h5py.File(path, "r") as f:
        dict(f.attrs)
        f.visititems(visit)


def main() -> int:
    """The probe as a process: arguments PATH SECONDS, status 1 and one line on stdout if the file cannot be read."""
    path, seconds = sys.argv[1:]
    limit(int(seconds))
    try:
        look(path)
    except Exception as e:
        print(" ".join(str(e).split()) or type(e).__name__)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
