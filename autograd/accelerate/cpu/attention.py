"""Attention: matrix products, and between them one pass over the scores each way. Twin: `autograd.ops.attention`.

With S = a Q Kᵀ − b ‖K‖² (dot: a = s, b = 0;  l2: a = 2s, b = s), P = softmax(S), Y = P V and H = ∂L/∂S:

    ∂L/∂Q = a H K      ∂L/∂K = a Hᵀ Q − 2b (Σᵢ H) ⊙ K      ∂L/∂V = Pᵀ G

P and H lie in memory as (B, Nk, heads, Nq). The numbers of one key are a long contiguous row, and a sum over keys adds
such rows, which is vectorised.
"""

import math

import numpy as np

from autograd.accelerate.cpu.compiling import loop
from autograd.accelerate.cpu.scalars import F, exp
from autograd.accelerate.cpu.threads import in_parts


@loop
def probabilities(start, stop, scores, lengths):
    """Samples start … stop: scores (B, Nk, H, Nq) less `lengths` (B, Nk, H) become P, in place."""
    _, keys, heads, queries = scores.shape
    largest, total = np.empty((2, heads * queries), np.float32)
    for n in range(start, stop):
        for k in range(keys):
            for h in range(heads):
                length, of_head = lengths[n, k, h], scores[n, k, h]
                for i in range(queries):
                    of_head[i] -= length
        p = scores[n].reshape(keys, -1)
        largest[:] = p[0]
        total[:] = F(0.0)
        for k in range(1, keys):
            row = p[k]
            for i in range(len(row)):
                largest[i] = row[i] if row[i] > largest[i] else largest[i]
        for k in range(keys):
            row = p[k]
            for i in range(len(row)):
                row[i] = exp(row[i] - largest[i])
                total[i] += row[i]
        for i in range(len(total)):
            total[i] = F(1.0) / total[i]
        for k in range(keys):
            row = p[k]
            for i in range(len(row)):
                row[i] *= total[i]


@loop
def slopes(start, stop, products, probabilities, a, sums):
    """Samples start … stop: V Gᵀ becomes a H, in place; sums (B, Nk, H): those of a H over the queries."""
    _, keys, heads, queries = products.shape
    inner = np.empty(heads * queries, np.float32)
    for n in range(start, stop):
        h, p = products[n].reshape(keys, -1), probabilities[n].reshape(keys, -1)
        inner[:] = F(0.0)
        for k in range(keys):
            slope, row = h[k], p[k]
            for i in range(len(row)):
                inner[i] += slope[i] * row[i]
        for k in range(keys):
            slope, row = h[k], p[k]
            for i in range(len(row)):
                slope[i] = row[i] * (slope[i] - inner[i]) * a
            for head in range(heads):
                of_head, total = products[n, k, head], F(0.0)
                for i in range(queries):
                    total += of_head[i]
                sums[n, k, head] = total


@loop
def subtract_lengths(start, stop, sums, k, gk):
    """gk −= sums ⊙ k, both (B, Nk, H, d)."""
    _, keys, heads, d = k.shape
    for n in range(start, stop):
        for j in range(keys):
            for h in range(heads):
                factor, row, out = sums[n, j, h], k[n, j, h], gk[n, j, h]
                for c in range(d):
                    out[c] -= factor * row[c]


def factors(similarity: str, scale: float | None, d: int) -> tuple[np.float32, np.float32]:
    """(a, b) of the scores a q·k − b ‖k‖²."""
    s = 1 / math.sqrt(d) if scale is None else scale
    return (F(s), F(0.0)) if similarity == "dot" else (F(2 * s), F(s))


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, similarity: str, scale: float | None) -> tuple:
    """Y (B, H, Nq, d), and P (B, Nk, H, Nq); q, k, v (B, H, N, d)."""
    a, b = factors(similarity, scale, q.shape[-1])
    batch, heads, queries, _ = q.shape
    p = np.empty((batch, k.shape[2], heads, queries), np.float32)
    np.matmul(k, np.multiply(_t(q), a, order="C"), out=_by_head(p))
    lengths = np.einsum("bhkd,bhkd->bkh", k, k) * b if b else np.zeros(p.shape[:3], np.float32)
    in_parts(probabilities, batch, 4 * p.size, p, lengths)
    return np.matmul(_t(_by_head(p)), v, out=_heads_inside(q, v)), p


def attention_backward(g, q, k, v, p, similarity: str, scale: float | None) -> tuple:
    """The gradients of q, k and v."""
    a, b = factors(similarity, scale, q.shape[-1])
    h, sums = np.empty_like(p), np.empty(p.shape[:3], np.float32)
    np.matmul(v, np.array(_t(g), order="C"), out=_by_head(h))
    in_parts(slopes, len(p), 4 * p.size, h, p, a, sums)
    gq = np.matmul(_t(_by_head(h)), k, out=_heads_inside(q, q))
    gk = np.matmul(_by_head(h), q, out=_heads_inside(k, k))
    if b:  # sums hold a, which is 2b
        k = np.ascontiguousarray(_by_head(k))
        in_parts(subtract_lengths, len(k), k.size, sums, k, _by_head(gk))
    return gq, gk, np.matmul(_by_head(p), g, out=_heads_inside(v, v))


def _t(x):
    return x.swapaxes(-1, -2)


def _by_head(p):
    """A view of (B, Nk, H, Nq) as (B, H, Nk, Nq)."""
    return p.swapaxes(1, 2)


def _heads_inside(q, v):
    """Room for an output (B, H, N, d) that lies in memory as (B, N, H, d), so that joining the heads copies nothing."""
    return np.empty((q.shape[0], q.shape[2], q.shape[1], v.shape[3]), np.float32).swapaxes(1, 2)
