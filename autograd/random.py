"""Random numbers from a counter: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).

The i-th block of four 32-bit words is a pure function of (seed, i). So a generator is two integers, which a checkpoint
keeps; the words are the same on every device; and nothing is ever copied between host and device.
"""

import math
from typing import Any

import numpy as np

from autograd import backend
from autograd.kernels import launch
from autograd.kernels import random as kernels

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_MASK = 0xFFFFFFFF


def philox(xp: Any, counter: Any, key: tuple[int, int]) -> list:
    """Ten rounds over four counter words (each a uint64 array holding 32 bits) with a key of two 32-bit integers."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        left, right = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (right >> 32) ^ c1 ^ k0, right & _MASK, (left >> 32) ^ c3 ^ k1, left & _MASK
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return [c0, c1, c2, c3]


class Generator:
    """Uniform, normal and integer arrays on a device, by seed. `state` is a pair of integers (seed, blocks used).

    Draws count their blocks from the last `advance`, whose position lies in the memory of the device: there a captured
    step finds it, and draws new numbers at each replay.
    """

    def __init__(self, seed: int = 0, device: str = "cpu"):
        self.device = device
        self.xp = backend.device_module(device)
        self.memory: Any = [0, 0] if self.xp is np else self.xp.zeros(2, dtype="uint64")  # {seed, blocks used}
        self.state = (int(seed) % 2**64, 0)

    @property
    def state(self) -> tuple[int, int]:
        return self.seed, self.used

    @state.setter
    def state(self, value: tuple[int, int]) -> None:
        self.seed, self.used = int(value[0]), int(value[1])
        self.memory[0] = self.seed
        self.advance()

    def advance(self) -> None:
        """Before a step: what it draws comes after all that was drawn."""
        self.memory[1] = self.start = self.used

    def take(self, n: int) -> int:
        """Count n words as drawn; returns how many blocks after `start` they begin."""
        ahead = self.used - self.start
        self.used += kernels.blocks(n)
        return ahead

    def bits(self, n: int) -> Any:
        """n random 32-bit words, as a uint64 array (n,)."""
        if launch.runs_on(self.xp):
            return kernels.integers(self.memory, self.take(n), 2**32, (n,)).astype("uint64")
        xp, blocks, ahead = self.xp, kernels.blocks(n), self.take(n)
        if xp is np and backend.LOOPS:
            return backend.LOOPS.philox.words(self.seed, self.start + ahead, blocks)[:n]
        i = xp.arange(ahead, ahead + blocks, dtype=xp.uint64) + self.memory[1]
        zero = xp.zeros_like(i)
        words = philox(xp, (i & _MASK, i >> 32, zero, zero), (self.seed & _MASK, self.seed >> 32))
        return xp.stack(words, axis=1).reshape(-1)[:n]

    def uniform(self, low: float = 0.0, high: float = 1.0, size: Any = (), dtype: str = "float32") -> Any:
        """Uniform on (low, high), never the ends: midpoints of 2²³ equal steps."""
        if dtype == "float32" and launch.runs_on(self.xp):
            return kernels.uniform(self.memory, self.take(_size(size)), low, high, _shape(size))
        u = ((self.bits(_size(size)) >> 9).astype(dtype) + 0.5) * (2.0**-23)
        return (u * (high - low) + low).reshape(size)

    def normal(self, size: Any = (), dtype: str = "float32") -> Any:
        """Standard normals, two from each pair of uniforms (Box & Muller, 1958)."""
        n = _size(size)
        half = -(-n // 2)
        if dtype == "float32" and launch.runs_on(self.xp):
            return kernels.normal(self.memory, self.take(2 * half), _shape(size))
        u = self.uniform(size=(2, half), dtype=dtype)
        radius = self.xp.sqrt(-2.0 * self.xp.log(u[0]))
        angle = u[1] * (2 * math.pi)
        pairs = self.xp.concatenate([radius * self.xp.cos(angle), radius * self.xp.sin(angle)])
        return pairs[:n].reshape(size)

    def integers(self, high: int, size: Any = ()) -> Any:
        """Integers from 0 to high − 1 (high ≤ 2³²), int64; the bias of the multiply-shift is below high/2³²."""
        if launch.runs_on(self.xp):
            return kernels.integers(self.memory, self.take(_size(size)), high, _shape(size))
        return ((self.bits(_size(size)) * high) >> 32).astype("int64").reshape(size)

    def permutation(self, n: int) -> Any:
        """The integers 0 … n − 1 in random order, int64."""
        return self.xp.argsort(self.bits(n) << 32 | self.xp.arange(n, dtype=self.xp.uint64)).astype("int64")


def _shape(size: Any) -> tuple[int, ...]:
    return size if isinstance(size, tuple) else (int(size),)


def _size(size: Any) -> int:
    return math.prod(size) if isinstance(size, tuple) else int(size)
