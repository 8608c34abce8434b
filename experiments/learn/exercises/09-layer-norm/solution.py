from autograd import op


@op
class row_norm:
    "y = (x − μ) / σ,  σ = √(v + 1e-5)"

    def forward(xp, x):
        centred = x - x.mean(axis=-1, keepdims=True)
        return centred / xp.sqrt((centred * centred).mean(axis=-1, keepdims=True) + 1e-5)

    def backward(xp, g, x):
        centred = x - x.mean(axis=-1, keepdims=True)
        sigma = xp.sqrt((centred * centred).mean(axis=-1, keepdims=True) + 1e-5)
        y = centred / sigma
        return (g - g.mean(axis=-1, keepdims=True) - y * (g * y).mean(axis=-1, keepdims=True)) / sigma
