"""Attention as one op: probabilities from a similarity of queries and keys, then a weighted sum of values.

    dot          S = s QKᵀ                  Vaswani et al., 1706.03762
    l2           S = −s ‖q − k‖²            Kim et al., 2006.04710: Lipschitz when queries and keys are tied
    l1           S = −s ‖q − k‖₁
    l2_printed   S = +s ‖q − k‖             as printed in ViTGAN (2107.04589, eq. 6) and on the poster

With a mask (booleans that broadcast against S, True where a query may look at a key), P is 0 where it is False; a query
that may look nowhere gets Y = 0, as in PyTorch.

`l2_printed` loses the bound that l2 was made for. With the positive sign a token attends to the tokens farthest from
it. Put two tokens at distance R on either side of a third: its weights are (½, ½), a step δ towards one of them changes
their scores by about ∓sδ, so the output moves by about sδ · 2R/2: the Jacobian grows like R, without bound. With the
negative square the far tokens get weight e^(−sR²) and the Jacobian stays bounded. Besides, √ has no derivative where
q = k, which is the whole diagonal when they are tied (here its gradient is taken as 0 there).
"""

import math

from autograd.arrays import array_module, with_shape
from autograd.operation import op
from autograd.ops.numerics import LEAST_EXPONENT, largest, matmul, real
from autograd.registry import ops, public
from autograd.tensor import Tensor

SIMILARITIES = ("dot", "l2", "l1", "l2_printed")


@op
class attention:
    """P = softmax(S),  Y = P V              ∂L/∂V = Pᵀ G,   H = ∂L/∂S = P (G Vᵀ − Σⱼ G Vᵀ P)
    dot:   ∂L/∂Q = s H K,    ∂L/∂K = s Hᵀ Q
    l2:    ∂L/∂Q = 2s H K,   ∂L/∂K = 2s (Hᵀ Q − Σᵢ H ⊙ K)          (Σⱼ H = 0, so the terms in ‖q‖² drop out)
    l1:    ∂L/∂Q = −s Σⱼ H sign(q − k),   ∂L/∂K = s Σᵢ H sign(q − k)
    l2_printed:  as l2 with W = H/‖q − k‖:   s (Σⱼ W ⊙ Q − W K),   s (Σᵢ W ⊙ K − Wᵀ Q)       Q, K, V (B, H, N, d)"""

    residuals = ("p",)  # P (B, H, Nq, Nk)

    def forward(xp, q, k, v, *, similarity="dot", scale=None, mask=None):
        if q.shape[-1:] != k.shape[-1:]:
            raise ValueError(f"queries {q.shape} and keys {k.shape} differ in their number of features")
        if k.shape[-2:-1] != v.shape[-2:-1]:
            raise ValueError(f"keys {k.shape} and values {v.shape} differ in their number of tokens")
        if not q.shape[-1]:
            raise ValueError(f"queries {q.shape} and keys {k.shape} have no features")
        p = _scores(xp, q, k, similarity, scale)
        if mask is not None:
            p = xp.where(mask, p, NEVER)
        p -= largest(p, -1)
        xp.maximum(p, LEAST_EXPONENT, out=p)
        xp.exp(p, out=p)
        if mask is not None:
            p *= mask
        total = xp.sum(p, axis=-1, keepdims=True)
        p /= total if mask is None else total + (total == 0)
        return matmul(xp, p, v), p

    def backward(xp, g, q, k, v, *, similarity, scale, mask):
        p = _probabilities(xp, q, k, similarity, scale, mask)
        gp = matmul(xp, g, _t(xp, v))
        h = p * (gp - (gp * p).sum(axis=-1, keepdims=True))
        gq, gk = _score_gradients(xp, h, q, k, similarity, scale)
        return gq, gk, matmul(xp, _t(xp, p), g)

    def fused(xp, g, q, k, v, p, *, similarity, scale):
        h = matmul(xp, g, _t(xp, v))
        h -= xp.sum(h * p, axis=-1, keepdims=True)
        h *= p
        gq, gk = _score_gradients(xp, h, q, k, similarity, scale)
        return gq, gk, matmul(xp, _t(xp, p), g)

    def call(apply, q, k, v, similarity="dot", scale=None, return_weights=False, mask=None, causal=False):
        mask = _allowed(q, k, mask, causal)
        masked = {} if mask is None else {"mask": mask}
        y = apply(q, k, v, similarity=similarity, scale=scale, **masked)
        return (y, attention_weights(q, k, similarity, scale, mask)) if return_weights else y


@public
def attention_weights(q, k, similarity="dot", scale=None, mask=None, causal=False):
    """P = softmax(S) (B, H, Nq, Nk), a Tensor: row i is how query i shares its attention among the keys.

    ValueError for an unknown similarity, TypeError for a mask that is no array of booleans.
    """
    q, k = (x if isinstance(x, Tensor) else Tensor(x) for x in (q, k))
    return _probabilities(ops, q, k, similarity, scale, _allowed(q, k, mask, causal))


NEVER = -1e30  # a score that no other is below, and finite, so that the slopes of a row are


def _allowed(q, k, mask, causal):
    """Where a query may look, an array of booleans, or None for everywhere."""
    mask = mask.data if isinstance(mask, Tensor) else mask
    if mask is not None and getattr(getattr(mask, "dtype", None), "kind", None) != "b":
        raise TypeError("the mask of attention is an array of booleans, True where a query may look at a key")
    if causal:
        q, k = with_shape(q), with_shape(k)
        before = array_module(q.data if isinstance(q, Tensor) else q).tri(q.shape[-2], k.shape[-2], dtype=bool)
        mask = before if mask is None else mask & before
    return mask


def _probabilities(xp, q, k, similarity, scale, mask):
    s = _scores(xp, q, k, similarity, scale)
    if mask is not None:
        s = xp.where(mask, s, NEVER)
    e = xp.exp(s - largest(s, -1))
    if mask is not None:
        e = e * mask
    total = e.sum(axis=-1, keepdims=True)
    return e / (total if mask is None else total + (total == 0))


def _t(xp, x):
    return xp.swapaxes(x, -1, -2)


def _scale(q, scale):
    return 1 / math.sqrt(q.shape[-1]) if scale is None else scale


def _scores(xp, q, k, similarity, scale):
    """S (B, H, Nq, Nk), up to a constant along each row; no tensor with an axis d beside N × N is ever made."""
    s, q, k = _scale(q, scale), real(q), real(k)
    if similarity == "dot":
        return matmul(xp, q * s, _t(xp, k))
    if similarity == "l2":  # −s‖q − k‖² = 2s q·k − s‖k‖² − s‖q‖², and the last is constant in a row
        return matmul(xp, q * (2 * s), _t(xp, k)) - _t(xp, (k * k).sum(axis=-1, keepdims=True) * s)
    if similarity == "l1":
        return sum((xp.abs(d) for d in _differences(xp, q, k)), 0.0) * -s
    if similarity == "l2_printed":
        return _distance(xp, q, k)[0] * s
    raise ValueError(f"similarity {similarity!r}: use one of {', '.join(SIMILARITIES)}")


def _score_gradients(xp, h, q, k, similarity, scale):
    s, q, k = _scale(q, scale), real(q), real(k)
    if similarity == "dot":
        return matmul(xp, h, k) * s, matmul(xp, _t(xp, h), q) * s
    if similarity == "l2":
        columns = _t(xp, h.sum(axis=-2, keepdims=True))
        return matmul(xp, h, k) * (2 * s), (matmul(xp, _t(xp, h), q) - columns * k) * (2 * s)
    if similarity == "l1":
        sums = [(w.sum(axis=-1), w.sum(axis=-2)) for w in (h * xp.sign(d) for d in _differences(xp, q, k))]
        rows, columns = (xp.stack(each, axis=-1) for each in zip(*sums, strict=True))
        return rows * -s, columns * s
    distance, apart = _distance(xp, q, k)
    w = h * apart / (distance + ~apart)
    return (
        (w.sum(axis=-1, keepdims=True) * q - matmul(xp, w, k)) * s,
        (_t(xp, w.sum(axis=-2, keepdims=True)) * k - matmul(xp, _t(xp, w), q)) * s,
    )


def _differences(xp, q, k):
    """q_i − k_j, one coordinate (B, H, Nq, Nk) at a time."""
    for c in range(q.shape[-1]):
        yield q[..., c : c + 1] - _t(xp, k[..., c : c + 1])


def _distance(xp, q, k):
    """‖q_i − k_j‖ and where it is not 0; the square root never sees a 0, so that its derivative stays finite."""
    squared = sum((d * d for d in _differences(xp, q, k)), 0.0)
    apart = squared > 0
    return xp.sqrt(squared + ~apart) * apart, apart
