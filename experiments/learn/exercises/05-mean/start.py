from autograd import op


@op
class row_mean:
    "y = Σ x / D over the last axis"

    def forward(xp, x):
        return x.sum(axis=-1, keepdims=True) / x.shape[-1]

    def backward(xp, g, shapes):
        return xp.broadcast_to(g, shapes[0])
