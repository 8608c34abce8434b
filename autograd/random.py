"""Random numbers from a counter: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).

The i-th block of four 32-bit words is a pure function of (seed, i). So a stream is two integers, which a checkpoint
keeps. The words are the same on every device, and nothing is ever copied between host and device.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd.arrays import device_module
from autograd.registry import routine

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_MASK = 0xFFFFFFFF


@dataclass(frozen=True)
class Part:
    """The rows of part `index` of `parts` equal parts of a batch.

    groups: the batch is as many batches of one length behind each other, such as real and fake images, and the part
    has rows of each.
    """

    index: int
    parts: int
    groups: int = 1

    def of(self, a: Any, axis: int = 0) -> Any:
        """These rows of an array that has those of the whole batch along `axis`."""
        if self.parts == 1:
            return a
        before, after = a.shape[:axis], a.shape[axis + 1 :]
        split = a.reshape(*before, self.groups, self.parts, -1, *after)
        return split[(slice(None),) * (axis + 1) + (self.index,)].reshape(*before, -1, *after)


WHOLE = Part(0, 1)


class RandomStream:
    """Uniform, normal and integer arrays on a device, by seed. `state` is a pair of integers (seed, blocks used).

    Draws count their blocks from the last `advance`, which writes the position into the memory of the device. A
    captured step reads it there, and so draws new numbers at each replay.
    """

    def __init__(self, seed: int = 0, device: str = "cpu"):
        self.device = device
        self.xp = device_module(device)
        self.memory: Any = [0, 0] if self.xp is np else self.xp.zeros(2, dtype="uint64")  # {seed, blocks used}
        self.state = (seed, 0)

    @property
    def state(self) -> tuple[int, int]:
        """The seed, and the blocks of four words that were used: a checkpoint keeps both, and setting them goes on."""
        return self.seed, self.used

    @state.setter
    def state(self, value: tuple[int, int]) -> None:
        self.seed, self.used = int(value[0]) % 2**64, int(value[1])
        self.memory[0] = self.seed
        self.advance()

    def advance(self) -> None:
        """Before a step: its draws come after all numbers drawn so far."""
        self.memory[1] = self.start = self.used

    def take(self, n: int) -> int:
        """Count n words as drawn; returns how many blocks after `start` they begin."""
        ahead = self.used - self.start
        self.used += _blocks(n)
        return ahead

    def bits(self, n: int) -> Any:
        """n random 32-bit words, as a uint64 array (n,)."""
        return random_words(self.xp, self, self.take(n), n)

    def uniform(self, low: float = 0.0, high: float = 1.0, size: Any = (), dtype: str = "float32") -> Any:
        """Uniform on (low, high): midpoints of 2²³ equal steps. On (0, 1) and (−1, 1) they are never the ends; on other
        intervals, such as (1, 2), rounding may reach an end."""
        return random_uniform(self.xp, self, self.take(_count(size)), low, high, _shape(size), dtype)

    def normal(self, size: Any = (), dtype: str = "float32", part: Part = WHOLE) -> Any:
        """Standard normals, two from each pair of uniforms (Box & Muller, 1958).

        part: only these rows of the array of that size. They hold the same numbers as in the whole array, and the
        stream moves on by the whole.
        """
        n = _count(size)
        ahead = self.take(n + n % 2)
        if part.parts == 1:
            return random_normal(self.xp, self, ahead, _shape(size), dtype)
        return random_normal_part(self.xp, self, ahead, _shape(size), dtype, part)

    def integers(self, high: int, size: Any = ()) -> Any:
        """Integers from 0 to high − 1, int64; ValueError unless 0 < high ≤ 2³².

        The bias of the multiply-shift is below high/2³².
        """
        if not 0 < high <= 2**32:
            raise ValueError(f"integers(high) draws from 0 to high − 1, with high from 1 to 2³², not {high}")
        return random_integers(self.xp, self, self.take(_count(size)), high, _shape(size))

    def permutation(self, n: int) -> Any:
        """The integers 0 … n − 1 in random order, int64."""
        return self.xp.argsort(self.bits(n) << 32 | self.xp.arange(n, dtype=self.xp.uint64)).astype("int64")


# Each routine draws from block `ahead` of the stream on, counted from its last `advance`.


@routine
def random_words(xp: Any, stream: RandomStream, ahead: int, n: int) -> Any:
    """n words of 32 bits, uint64 (n,)."""
    i = xp.arange(ahead, ahead + _blocks(n), dtype=xp.uint64) + stream.memory[1]
    zero = xp.zeros_like(i)
    words = philox((i & _MASK, i >> 32, zero, zero), (stream.seed & _MASK, stream.seed >> 32))
    return xp.stack(words, axis=1).reshape(-1)[:n]


@routine
def random_uniform(
    xp: Any, stream: RandomStream, ahead: int, low: float, high: float, shape: tuple[int, ...], dtype: str
) -> Any:
    """`shape` numbers in (low, high), float32 or float64, from block `ahead` of the stream on."""
    u = ((random_words(xp, stream, ahead, math.prod(shape)) >> 9).astype(dtype) + 0.5) * (2.0**-23)
    return (u * (high - low) + low).reshape(shape)


@routine
def random_normal(xp: Any, stream: RandomStream, ahead: int, shape: tuple[int, ...], dtype: str) -> Any:
    """`shape` numbers from N(0, 1), of dtype float32 or float64, by Box and Muller (1958)."""
    n = math.prod(shape)
    u = random_uniform(xp, stream, ahead, 0.0, 1.0, (2, -(-n // 2)), dtype)
    return box_muller(xp, *u)[:n].reshape(shape)


def box_muller(xp: Any, u: Any, v: Any) -> Any:
    """2n standard normals from two arrays of n uniforms on (0, 1)."""
    radius = xp.sqrt(-2.0 * xp.log(u))
    angle = v * (2 * math.pi)
    return xp.concatenate([radius * xp.cos(angle), radius * xp.sin(angle)])


@routine
def random_normal_part(
    xp: Any, stream: RandomStream, ahead: int, shape: tuple[int, ...], dtype: str, part: Part
) -> Any:
    """This part of the rows of `random_normal`: a twin may draw these rows alone."""
    return part.of(random_normal(xp, stream, ahead, shape, dtype))


@routine
def random_integers(xp: Any, stream: RandomStream, ahead: int, high: int, shape: tuple[int, ...]) -> Any:
    """`shape` int64 in [0, high), from 32 bits each: high must be small beside 2³²."""
    return ((random_words(xp, stream, ahead, math.prod(shape)) * high) >> 32).astype("int64").reshape(shape)


def philox(counter: Any, key: tuple[int, int]) -> list:
    """Ten rounds over four counter words (each a uint64 array holding 32 bits) with a key of two 32-bit integers."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        left, right = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (right >> 32) ^ c1 ^ k0, right & _MASK, (left >> 32) ^ c3 ^ k1, left & _MASK
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return [c0, c1, c2, c3]


def _blocks(n: int) -> int:
    """Blocks of four words that hold n words."""
    return -(-n // 4)


def _shape(size: Any) -> tuple[int, ...]:
    return size if isinstance(size, tuple) else (int(size),)


def _count(size: Any) -> int:
    return math.prod(_shape(size))
