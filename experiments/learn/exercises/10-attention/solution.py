from autograd import op


@op
class one_head:
    "Y = softmax(Q Kᵀ / √d) V"

    def forward(xp, q, k, v):
        return probabilities(xp, q, k) @ v

    def backward(xp, g, q, k, v):
        p = probabilities(xp, q, k)
        gv = xp.swapaxes(p, -1, -2) @ g
        gp = g @ xp.swapaxes(v, -1, -2)
        gs = p * (gp - (gp * p).sum(axis=-1, keepdims=True))
        gs = gs / q.shape[-1] ** 0.5
        gq = gs @ k
        gk = xp.swapaxes(gs, -1, -2) @ q
        return gq, gk, gv


def probabilities(xp, q, k):
    scores = q @ xp.swapaxes(k, -1, -2) / q.shape[-1] ** 0.5
    e = xp.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
