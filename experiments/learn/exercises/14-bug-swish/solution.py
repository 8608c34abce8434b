from autograd import op


@op
class own_swish:
    "y = x σ(x)"

    def forward(xp, x):
        return x / (1 + xp.exp(-x))

    def backward(xp, g, x, y):
        s = 1 / (1 + xp.exp(-x))
        return g * (s + y * (1 - s))
