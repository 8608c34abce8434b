"""Many copies in one launch. Twin: to[...] = source, for each pair."""

from collections.abc import Sequence
from typing import Any

from autograd.accelerate.gpu import launch

BLOCKS = 64  # at most, for each array


def copy_arrays(to: Sequence[Any], sources: Sequence[Any]) -> None:
    """Fill each array of `to` from the source at its place, or with zeros where that is None; all float32."""
    for a, b in zip(to, sources, strict=True):
        launch.require(b is None or a.size == b.size, f"copy: an array of {a.size} from another size")
    for i in range(0, len(to), launch.MOST_ARRAYS):
        part = slice(i, i + launch.MOST_ARRAYS)
        sizes = [a.size for a in to[part]]
        grid = (min(BLOCKS, launch.ceil_div(max(sizes), 1024)), len(sizes))
        launch.launch("copy_arrays", grid, (256,), to[part], sources[part], sizes)
