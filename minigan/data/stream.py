"""Real batches: from images on the device, or prefetched by a thread if the images do not fit there.

The rows of a batch are a function of the seed and the step alone. So batches can be fetched ahead, a resumed run
continues with the right batch, and a run is equal bit for bit whether its images are held or streamed.
"""

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np

from autograd.arrays import device_module, to_device
from autograd.random import WHOLE, Part, RandomStream
from minigan.data.stored import StoredImages
from minigan.errors import InputError

_ROWS_SEED = 3 << 32  # added to the seed, to keep this random stream apart from those of training and evaluation
_AHEAD = 4  # batches that are fetched ahead
_SHARE = 0.5  # of the free memory, which images may take


def batch_rows(seed: int, step: int, batch: int, n: int, device: str = "cpu") -> Any:
    """The rows of n images in the batch of a step: drawn with replacement, int64 (batch,), on the device."""
    rng = RandomStream(seed + _ROWS_SEED, device)
    rng.state = (rng.seed, step * -(-batch // 4))  # a block of the stream is four numbers
    return rng.integers(n, batch)


class Prefetch:
    """Call `fetch(step)` for consecutive steps ahead of time, in a thread; its errors are raised by `__call__`."""

    def __init__(self, fetch: Callable[[int], Any]):
        self.fetch = fetch
        self.pool = ThreadPoolExecutor(1, "prefetch")
        self.waiting: deque[Future] = deque()
        self.step = 0  # of the first future in `waiting`

    def __call__(self, step: int) -> Any:
        if step != self.step:
            self.forget()
            self.step = step
        while len(self.waiting) < _AHEAD:
            self.waiting.append(self.pool.submit(self.fetch, self.step + len(self.waiting)))
        self.step += 1
        return self.waiting.popleft().result()

    def wait(self) -> None:
        """Wait until the thread is idle."""
        wait(self.waiting)

    def forget(self) -> None:
        """Drop the batches that were fetched ahead."""
        while self.waiting:
            self.waiting.pop().cancel()


def prefetched(images: Any, seed: int, batch: int, device: str, part: Part = WHOLE) -> Prefetch:
    """This part of the batches by step, uint8 on the device, from images that stay in memory or on the disk."""

    def fetch(step: int) -> Any:
        return to_device(images[part.of(batch_rows(seed, step, batch, len(images)))], device)

    return Prefetch(fetch)


def free_share(device: str = "cpu") -> float:
    """Bytes that images may take: half of the free memory, of a device or of the host."""
    return _SHARE * _free(device)


def fits(nbytes: int, device: str = "cpu") -> bool:
    """Whether this many bytes take at most half of the free memory, of a device or of the host."""
    return nbytes <= free_share(device)


def hold_or_stream(images: StoredImages, stream: bool | None) -> np.ndarray | StoredImages:
    """The images (N, …) in memory, or on the disk if `stream`; with None on the disk unless they fit in memory.

    InputError if they are to be held and do not fit.
    """
    if stream or (stream is None and not fits(images.nbytes)):
        return images
    try:
        return images.hold()
    except MemoryError:
        raise InputError(f"{images.nbytes / 2**30:.1f} GiB of images do not fit in memory: use --stream") from None


def _free(device: str) -> float:
    """Bytes of free memory; infinity if the system does not tell."""
    xp = device_module(device)
    if hasattr(xp, "cuda"):
        return xp.cuda.Device().mem_info[0]
    if device != "cpu":
        return float("inf")
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except OSError:
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return float("inf")
