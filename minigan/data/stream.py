"""Real batches: from images held on the device, or read ahead by a thread where they do not fit.

Which images make the batch of a step is a pure function of the seed and the step. So the batches of the steps to come
can be fetched early, a resumed run goes on with the right one, and held or streamed the run is the same bit for bit.
"""

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np

from autograd import backend
from autograd.random import Generator as Random
from minigan.data.stored import StoredImages
from minigan.errors import InputError

_ROWS_SEED = 3 << 32  # added to the seed: apart from the streams of training and of evaluation
_AHEAD = 4  # batches
_SHARE = 0.5  # of the free memory that images may take


def batch_rows(seed: int, step: int, batch: int, n: int, device: str = "cpu") -> Any:
    """The batch of a step: which of n images, drawn with replacement, int64 (batch,) on the device."""
    rng = Random(seed + _ROWS_SEED, device)
    rng.state = (rng.seed, step * -(-batch // 4))  # four numbers are one block of the stream
    return rng.integers(n, batch)


class Prefetch:
    """`fetch(step)` for one step after the other, made ahead in a thread; an error in the thread is raised here."""

    def __init__(self, fetch: Callable[[int], Any]):
        self.fetch = fetch
        self.pool = ThreadPoolExecutor(1, "prefetch")
        self.waiting: deque[Future] = deque()
        self.step = 0  # of the first one waiting

    def __call__(self, step: int) -> Any:
        if step != self.step:
            self.forget()
            self.step = step
        while len(self.waiting) < _AHEAD:
            self.waiting.append(self.pool.submit(self.fetch, self.step + len(self.waiting)))
        self.step += 1
        return self.waiting.popleft().result()

    def wait(self) -> None:
        """Until the thread has nothing to do."""
        wait(self.waiting)

    def forget(self) -> None:
        while self.waiting:
            self.waiting.pop().cancel()

    def close(self) -> None:
        """End the thread."""
        self.forget()
        self.pool.shutdown()


def prefetched(images: Any, seed: int, batch: int, device: str) -> Prefetch:
    """Real batches by step, uint8 on the device, of images that stay where they are."""

    def fetch(step: int) -> Any:
        return backend.to_device(images[batch_rows(seed, step, batch, len(images))], device)

    return Prefetch(fetch)


def fits(nbytes: int, device: str = "cpu") -> bool:
    """Whether so many bytes take at most half of the memory that is free, on a device or on the host."""
    return nbytes <= _SHARE * _free(device)


def hold_or_stream(images: StoredImages, stream: bool | None) -> np.ndarray | StoredImages:
    """The images in memory, or as they are if `stream`; None decides by their size and the free memory."""
    if stream or (stream is None and not fits(images.nbytes)):
        return images
    try:
        return images.hold()
    except MemoryError:
        raise InputError(f"{images.nbytes / 2**30:.1f} GiB of images do not fit in memory: use --stream") from None


def _free(device: str) -> float:
    """Bytes; infinity where nobody tells."""
    xp = backend.device_module(device)
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
