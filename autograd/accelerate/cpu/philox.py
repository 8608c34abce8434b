"""Philox4x32-10, a block at a time. Twin: `autograd.random.random_words`, word for word."""

import numpy as np

from autograd.accelerate.cpu.compiling import loop
from autograd.accelerate.cpu.threads import in_parts

M0, M1, W0, W1 = (np.uint64(n) for n in (0xD2511F53, 0xCD9E8D57, 0x9E3779B9, 0xBB67AE85))
MASK, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


@loop
def blocks(start, stop, first, seed, out):
    """out (blocks, 4): the words of the blocks from `first` on."""
    for i in range(start, stop):
        counter = first + np.uint64(i)
        c0, c1, c2, c3 = counter & MASK, counter >> HALF, np.uint64(0), np.uint64(0)
        k0, k1 = seed & MASK, seed >> HALF
        for _ in range(10):
            left, right = c0 * M0, c2 * M1
            c0, c1, c2, c3 = (right >> HALF) ^ c1 ^ k0, right & MASK, (left >> HALF) ^ c3 ^ k1, left & MASK
            k0, k1 = (k0 + W0) & MASK, (k1 + W1) & MASK
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = c0, c1, c2, c3


def words(seed: int, first: int, count: int) -> np.ndarray:
    """The 32-bit words of `count` blocks in their order, uint64 (4 count)."""
    out = np.empty((count, 4), np.uint64)
    in_parts(blocks, count, 16 * count, np.uint64(first), np.uint64(seed), out)
    return out.reshape(-1)
