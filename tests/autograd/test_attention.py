"""Attention equals its formula for every similarity, its gradients are finite, and no tensor holds d beside N × N."""

import math
import tracemalloc

import numpy as np
import pytest
from tensors import cotangent

from autograd import Tensor, accelerate, grad, ops, use_fused


def scores(similarity: str, q, k, scale: float) -> np.ndarray:
    """S by its formula, with every difference written out."""
    differences = q[..., :, None, :] - k[..., None, :, :]
    if similarity == "dot":
        return scale * (q[..., :, None, :] * k[..., None, :, :]).sum(axis=-1)
    if similarity == "l2":
        return -scale * (differences**2).sum(axis=-1)
    if similarity == "l1":
        return -scale * np.abs(differences).sum(axis=-1)
    return scale * np.sqrt((differences**2).sum(axis=-1))


@pytest.mark.parametrize("similarity", ops.SIMILARITIES)
def test_attention_equals_its_formula(similarity):
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal(s) for s in [(2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 7)])
    for scale in (None, 0.3):
        s = scores(similarity, q, k, 1 / math.sqrt(4) if scale is None else scale)
        p = np.exp(s) / np.exp(s).sum(axis=-1, keepdims=True)
        y = ops.attention(q, k, v, similarity=similarity, scale=scale)
        np.testing.assert_allclose(y.data, p @ v, rtol=1e-12, atol=1e-13)
    identity = np.broadcast_to(np.eye(6), (2, 3, 6, 6))
    p = ops.attention(q, k, identity, similarity=similarity).data  # the probabilities themselves
    assert (p > 0).all()
    np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=1e-14)


def test_tied_l2_attends_most_to_itself_and_l2_printed_least():
    q = np.random.default_rng(0).standard_normal((2, 2, 6, 3))
    identity = np.broadcast_to(np.eye(6), (2, 2, 6, 6))
    for similarity, extreme in (("l2", np.argmax), ("l1", np.argmax), ("l2_printed", np.argmin)):
        p = ops.attention(q, q, identity, similarity=similarity).data
        assert (extreme(p, axis=-1) == np.arange(6)).all(), similarity


def test_attention_far_out():
    rng = np.random.default_rng(0)
    q, k, v = (Tensor(1e3 * rng.standard_normal((1, 1, 4, 3)), requires_grad=True) for _ in range(3))
    for similarity in ops.SIMILARITIES:
        y = ops.attention(q, k, v, similarity=similarity)
        assert all(np.isfinite(a).all() for a in [y.data, *grad(y, [q, k, v], g=cotangent(y))])


def test_l2_printed_has_a_finite_gradient_where_q_is_k():
    x = Tensor(np.random.default_rng(0).standard_normal((1, 2, 4, 3)), requires_grad=True)
    y = ops.attention(x, x, x, similarity="l2_printed")
    for fused in (True, False):
        with use_fused(fused):
            (gx,) = grad(y, [x], g=cotangent(y))
        assert np.isfinite(gx).all() and np.abs(gx).max() > 0.1
    (gx,) = grad(y, [x], g=cotangent(y), create_graph=True)
    (ggx,) = grad(gx, [x], g=cotangent(gx, seed=2))
    assert np.isfinite(ggx).all()


@pytest.mark.parametrize("similarity", ops.SIMILARITIES)
@pytest.mark.parametrize("fused", [True, False])
def test_attention_never_holds_a_tensor_with_d_beside_n_by_n(similarity, fused):
    n, d = 48, 64
    rng = np.random.default_rng(0)
    q, k, v = (Tensor(rng.standard_normal((2, 1, n, d)), requires_grad=True) for _ in range(3))
    scores_bytes = 2 * n * n * 8
    g = rng.standard_normal(q.shape)
    tracemalloc.start()
    try:
        with use_fused(fused):
            grad(ops.attention(q, k, v, similarity=similarity), [q, k, v], g=g)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 * scores_bytes < d * scores_bytes


def test_attention_refuses_a_similarity_that_does_not_exist():
    with pytest.raises(ValueError, match="similarity 'cosine': use one of dot, l2, l1, l2_printed"):
        ops.attention(*np.ones((3, 1, 1, 2, 2)), similarity="cosine")


@pytest.mark.parametrize("similarity", ops.SIMILARITIES)
@pytest.mark.parametrize("fast", [None, "cpu"])
def test_attention_returns_its_weights_in_one_layout(similarity, fast):
    """(B, H, Nq, Nk), rows that add to 1, and Y = P V, whatever is switched on."""
    rng = np.random.default_rng(0)
    q, k, v = (rng.standard_normal((2, 3, n, 4)).astype("float32") for n in (2, 5, 5))
    before = "cpu" if accelerate.in_use("cpu") else None
    accelerate.use(fast)
    try:
        y, weights = ops.attention(Tensor(q, requires_grad=True), k, v, similarity=similarity, return_weights=True)
    finally:
        accelerate.use(before)
    assert weights.shape == (2, 3, 2, 5)
    np.testing.assert_allclose(weights.data.sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(weights.data @ v, y.data, atol=1e-5)
    gap = q[:, :, :, None] - k[:, :, None]
    scores = {"dot": q @ k.swapaxes(-1, -2), "l2": -(gap**2).sum(-1), "l1": -abs(gap).sum(-1)}
    scores["l2_printed"] = np.sqrt((gap**2).sum(-1))
    e = np.exp(scores[similarity] / 2)
    np.testing.assert_allclose(weights.data, e / e.sum(-1, keepdims=True), rtol=1e-5)
