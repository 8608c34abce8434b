from autograd import op


@op
class power_step:
    "u = A v / ‖A v‖"

    def forward(xp, a, v):
        w = (a * v).sum(axis=1)
        return w / xp.sqrt((w * w).sum())

    def backward(xp, g, a, v):
        w = (a * v).sum(axis=1)
        norm = xp.sqrt((w * w).sum())
        u = w / norm
        h = (g - u * (u * g).sum()) / norm
        h = h.reshape(-1, 1)  # (m, 1)
        return h * v, (h * a).sum(axis=0)
