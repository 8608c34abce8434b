"""Attention over few tokens, one launch each way. Twin: `autograd.ops.attention` ("dot" and "l2")."""

import math
from typing import Any

from autograd.accelerate.gpu import launch

WARPS = 8  # at most, in a block


def attention(q: Any, k: Any, v: Any, similarity: str = "dot", scale: float | None = None) -> tuple[Any, Any]:
    """y (B, N, H, d), and ln Σ e^s of each row (B, H, N) for the backward; q, k, v (B, N, H, d).

    ValueError where the head of one sample does not fit into shared memory: see `fits`.
    """
    batch, tokens, heads, d = _check(q, k, v)
    y, lse = launch.empty(q, q.shape), launch.empty(q, (batch, heads, tokens))
    a, b = _factors(similarity, scale, d)
    warps = min(WARPS, tokens)
    shared = 4 * (2 * tokens * (d + 1) + tokens + warps * (d + tokens))
    args = (q, k, v, y, lse, tokens, heads, d, a, b)
    launch.launch("attention_forward", (batch * heads,), (32 * warps,), *args, shared=shared)
    return y, lse


def attention_backward(
    g: Any, q: Any, k: Any, v: Any, lse: Any, similarity: str = "dot", scale: float | None = None
) -> tuple[Any, Any, Any]:
    """The gradients of q, k and v."""
    batch, tokens, heads, d = _check(q, k, v)
    launch.require(g.shape == q.shape, f"attention: g {g.shape} beside q {q.shape}")
    launch.require(lse.shape == (batch, heads, tokens), f"attention: lse {lse.shape} beside q {q.shape}")
    gq, gk, gv = (launch.empty(q, q.shape) for _ in range(3))
    a, b = _factors(similarity, scale, d)
    warps = min(WARPS, tokens)
    args = (g, q, k, v, lse, gq, gk, gv, tokens, heads, d, a, b)
    shared = _backward_shared(tokens, d)
    launch.launch("attention_backward", (batch * heads,), (32 * warps,), *args, shared=shared)
    return gq, gk, gv


def fits(tokens: int, d: int, shared: int = launch.LEAST_SHARED) -> bool:
    """Whether a head of so many tokens and features fits into `shared` bytes of one block, backward included."""
    return _backward_shared(tokens, d) <= shared


def _backward_shared(tokens: int, d: int) -> int:
    return 4 * (2 * tokens * (d + 1) + 2 * tokens + min(WARPS, tokens) * 2 * (d + tokens))


def _check(q: Any, k: Any, v: Any) -> tuple[int, int, int, int]:
    launch.require(q.ndim == 4 and q.shape == k.shape == v.shape, f"attention: q {q.shape}, k {k.shape}, v {v.shape}")
    return q.shape


def _factors(similarity: str, scale: float | None, d: int) -> tuple[float, float]:
    launch.require(similarity in ("dot", "l2"), f"attention kernel: similarity {similarity!r} is neither dot nor l2")
    scale = 1 / math.sqrt(d) if scale is None else scale
    return (scale, 0.0) if similarity == "dot" else (2 * scale, scale)
