"""Attention over few tokens, one launch each way. Twin: `autograd.ops.attention` ("dot" and "l2")."""

import math
from typing import Any

from autograd.accelerate.gpu import launch

WARPS = 8  # at most, in a block


def attention(q: Any, k: Any, v: Any, similarity: str = "dot", scale: float | None = None) -> tuple[Any, Any]:
    """y (B, Nq, H, d), and ln Σ e^s of each row (B, H, Nq) for the backward; q (B, Nq, H, d), k and v (B, Nk, H, d).

    ValueError where the head of one sample does not fit into shared memory: see `fits`.
    """
    batch, queries, tokens, heads, d = _check(q, k, v)
    y, lse = launch.empty(q, q.shape), launch.empty(q, (batch, heads, queries))
    a, b = _factors(similarity, scale, d)
    warps = min(WARPS, tokens)
    shared = 4 * (2 * tokens * (d + 1) + tokens + warps * (d + tokens))
    args = (q, k, v, y, lse, queries, tokens, heads, d, a, b)
    launch.launch("attention_forward", (batch * heads,), (32 * warps,), *args, shared=shared)
    return y, lse


def attention_backward(
    g: Any, q: Any, k: Any, v: Any, lse: Any, similarity: str = "dot", scale: float | None = None
) -> tuple[Any, Any, Any]:
    """The gradients of q, k and v."""
    batch, queries, tokens, heads, d = _check(q, k, v)
    launch.require(g.shape == q.shape, f"attention: g {g.shape} beside q {q.shape}")
    launch.require(lse.shape == (batch, heads, queries), f"attention: lse {lse.shape} beside q {q.shape}")
    if q.shape == k.shape:  # side by side, in the order of nn.attention, so that one product can take all three
        gk, gq, gv = launch.empty(q, (3, *q.shape))
    else:
        gq, gk, gv = (launch.empty(x, x.shape) for x in (q, k, v))
    a, b = _factors(similarity, scale, d)
    warps = min(WARPS, tokens)
    args = (g, q, k, v, lse, gq, gk, gv, queries, tokens, heads, d, a, b)
    shared = _backward_shared(queries, tokens, d)
    launch.launch("attention_backward", (batch * heads,), (32 * warps,), *args, shared=shared)
    return gq, gk, gv


def fits(queries: int, tokens: int, d: int, shared: int = launch.LEAST_SHARED) -> bool:
    """Whether a head with so many queries, keys and features fits into `shared` bytes of a block, backward included."""
    return _backward_shared(queries, tokens, d) <= shared


def _backward_shared(queries: int, tokens: int, d: int) -> int:
    most = max(queries, tokens)
    return 4 * (2 * most * (d + 1) + queries + tokens + min(WARPS, tokens) * 2 * (d + most))


def _check(q: Any, k: Any, v: Any) -> tuple[int, int, int, int, int]:
    fit = q.ndim == k.ndim == 4 and k.shape == v.shape and (q.shape[0], *q.shape[2:]) == (k.shape[0], *k.shape[2:])
    launch.require(fit, f"attention: q {q.shape}, k {k.shape}, v {v.shape}")
    return (len(q), q.shape[1], *k.shape[1:])


def _factors(similarity: str, scale: float | None, d: int) -> tuple[float, float]:
    launch.require(similarity in ("dot", "l2"), f"attention kernel: similarity {similarity!r} is neither dot nor l2")
    scale = 1 / math.sqrt(d) if scale is None else scale
    return (scale, 0.0) if similarity == "dot" else (2 * scale, scale)
