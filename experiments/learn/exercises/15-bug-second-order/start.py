from autograd import op


@op
class smooth_ramp:
    "y = ln(1 + eˣ)"

    def forward(xp, x):
        return xp.log(1 + xp.exp(x))

    def backward(xp, g, x):
        x = x.detach() if hasattr(x, "detach") else x  # only its value is needed
        return g / (1 + xp.exp(-x))
