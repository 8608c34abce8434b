"""Ops whose rule is wrong on purpose. `Op` defines an op without registering it."""

import numpy as np

from autograd import Tensor
from autograd.operation import Op


def raw(x):
    """Off the graph: what a rule must not do."""
    return x.detach() if isinstance(x, Tensor) else x


@Op
class flipped:
    "y = −x                     ∂L/∂x = g   (wrong: −g)"

    def forward(xp, x):
        return -x

    def backward(xp, g):
        return g * 1.0


@Op
class halved:
    "y = tanh x                 ∂L/∂x = ½ g (1 − y²)   (wrong: no ½)"

    def forward(xp, x):
        return xp.tanh(x)

    def backward(xp, g, y):
        return 0.5 * g * (1 - y * y)


@Op
class averaged:
    "y = Σ x along the last axis              ∂L/∂x = g / n   (wrong: g)"

    def forward(xp, x):
        return x.sum(axis=-1, keepdims=True)

    def backward(xp, g, shapes):
        return xp.broadcast_to(g, shapes[0]) / shapes[0][-1]


def standardise(x):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / (centred * centred).mean(axis=-1, keepdims=True) ** 0.5


@Op
class without_mean_of_g:
    "y = (x − μ)/σ              ∂L/∂x = (g − y mean(g y))/σ   (wrong: − mean g)"

    def forward(xp, x):
        return standardise(x)

    def backward(xp, g, x):
        sigma = ((x - x.mean(axis=-1, keepdims=True)) ** 2).mean(axis=-1, keepdims=True) ** 0.5
        y = (x - x.mean(axis=-1, keepdims=True)) / sigma
        return (g - y * (g * y).mean(axis=-1, keepdims=True)) / sigma


@Op
class without_mean_of_gy:
    "y = (x − μ)/σ              ∂L/∂x = (g − mean g)/σ   (wrong: − y mean(g y))"

    def forward(xp, x):
        return standardise(x)

    def backward(xp, g, x):
        sigma = ((x - x.mean(axis=-1, keepdims=True)) ** 2).mean(axis=-1, keepdims=True) ** 0.5
        return (g - g.mean(axis=-1, keepdims=True)) / sigma


@Op
class without_both_means:
    "y = (x − μ)/σ              ∂L/∂x = g/σ   (wrong: two means)"

    def forward(xp, x):
        return standardise(x)

    def backward(xp, g, x):
        return g / ((x - x.mean(axis=-1, keepdims=True)) ** 2).mean(axis=-1, keepdims=True) ** 0.5


@Op
class softmax_without_sum:
    "y = eˣ / Σ eˣ              ∂L/∂x = y g   (wrong: − y Σ g y)"

    def forward(xp, x):
        e = xp.exp(x - x.max(axis=0, keepdims=True))
        return e / e.sum(axis=0, keepdims=True)

    def backward(xp, g, y):
        return y * g


@Op
class matmul_transposed:
    "Y = A B                    ∂L/∂A = (G Bᵀ)ᵀ   (wrong),   ∂L/∂B = Aᵀ G"

    def forward(xp, a, b):
        return xp.matmul(a, b)

    def backward(xp, g, a, b):
        return xp.matmul(b, xp.swapaxes(g, -1, -2)), xp.matmul(xp.swapaxes(a, -1, -2), g)


@Op
class zero:
    "y = eˣ                     ∂L/∂x = 0   (wrong: g y)"

    def forward(xp, x):
        return xp.exp(x)

    def backward(xp, g):
        return 0.0 * g


@Op
class swapped:
    "y = a b                    ∂L/∂a = g a,   ∂L/∂b = g b   (wrong way round)"

    def forward(xp, a, b):
        return a * b

    def backward(xp, g, a, b):
        return g * a, g * b


@Op
class one_row_of_g:
    "y = x w                    ∂L/∂w = g x of the last row   (wrong: summed over the rows)"

    def forward(xp, x, w):
        return x * w

    def backward(xp, g, x, w):
        return g * w, (g * x)[-1]


@Op
class tiled:
    "y = [x, x]                 ∂L/∂x = g   (wrong: the two halves summed)"

    def forward(xp, x):
        return xp.concatenate([x, x])

    def backward(xp, g):
        return g


@Op
class tanh_of_tanh:
    "y = tanh x                 ∂L/∂x = g (1 − tanh² y)   (wrong: 1 − y²)"

    def forward(xp, x):
        return xp.tanh(x)

    def backward(xp, g, y):
        return g * (1 - xp.tanh(y) ** 2)


@Op
class relu_open:
    "y = max(x, 0)              ∂L/∂x = g   (wrong for x < 0)"

    def forward(xp, x):
        return xp.maximum(x, 0)

    def backward(xp, g):
        return g * 1.0


@Op
class leaky_relu_squared:
    "y = x if x > 0 else x / 10 ∂L/∂x = g if x > 0 else g / 100   (wrong: g / 10)"

    def forward(xp, x):
        return xp.where(x > 0, x, 0.1 * x)

    def backward(xp, g, x):
        return xp.where(x > 0, g, 0.01 * g)


@Op
class clipped_too_early:
    "y = min(max(x, −2), 2)     ∂L/∂x = g [|x| < 1]   (wrong: [|x| < 2])"

    def forward(xp, x):
        return xp.clip(x, -2, 2)

    def backward(xp, g, x):
        return g * (abs(x) < 1)


@Op
class difference_without_end:
    "y_i = x_(i+1) − x_i        ∂L/∂x, but not for the last x"

    def forward(xp, x):
        return x[:, 1:] - x[:, :-1]

    def backward(xp, g):
        inner = xp.pad(g, ((0, 0), (1, 0)))[:, :-1] - g
        return xp.pad(inner, ((0, 0), (0, 1)))


@Op
class one_element:
    "y = x²                     ∂L/∂x = 2 g x, but 1.3 for the first element"

    def forward(xp, x):
        return x * x

    def backward(xp, g, x):
        first = np.zeros(x.shape)
        first.flat[0] = 1.3
        return 2 * g * x * (1 - first / 1.3) + first


@Op
class not_a_number:
    "y = x²                     ∂L/∂x = 2 g x (0/0)"

    def forward(xp, x):
        return x * x

    def backward(xp, g, x):
        return 2 * g * x * ((x - x) / (x - x))


@Op
class cancelling:
    "y = eˣ                     ∂L/∂x = g ((1 + 3·10⁻¹⁰ y) − 1) / 3·10⁻¹⁰   (right but for rounding)"

    def forward(xp, x):
        return xp.exp(x)

    def backward(xp, g, y):
        return g * (((1 + 3e-10 * y) - 1) / 3e-10)


@Op
class constant_slope:
    "y = x³                     ∂L/∂x = 3 g x², with x² taken as a constant   (wrong to second order)"

    def forward(xp, x):
        return x * x * x

    def backward(xp, g, x):
        return g * 3 * raw(x) ** 2


@Op
class constant_factor:
    "y = x⁴                     ∂L/∂x = 4 g x³, with one x taken as a constant   (wrong to second order)"

    def forward(xp, x):
        return x**4

    def backward(xp, g, x):
        return g * 4 * x**2 * raw(x)


@Op
class constant_g:
    "y = x³                     ∂L/∂x = 3 g x², with g taken as a constant   (wrong to second order)"

    def forward(xp, x):
        return x * x * x

    def backward(xp, g, x):
        return raw(g) * 3 * x**2


@Op
class raw_data:
    "y = x³                     ∂L/∂x = 3 g x², computed on x.data and g.data   (no second order at all)"

    def forward(xp, x):
        return x * x * x

    def backward(xp, g, x):
        return (
            getattr(raw(g), "data", g) * 3 * getattr(raw(x), "data", x) ** 2 if isinstance(x, Tensor) else g * 3 * x**2
        )


@Op
class numpy_only:
    "y = sin x                  ∂L/∂x = g cos x, with np in the place of xp"

    def forward(xp, x):
        return xp.sin(x)

    def backward(xp, g, x):
        return g * np.cos(x)


@Op
class writes_input:
    "y = 2 x, made in x itself  ∂L/∂x = 2 g"

    def forward(xp, x):
        x *= 2
        return x

    def backward(xp, g):
        return 2.0 * g


@Op
class writes_g:
    "y = 2 x                    ∂L/∂x = 2 g, made in g itself"

    def forward(xp, x):
        return 2 * x

    def backward(xp, g):
        g *= 2
        return g


@Op
class writes_y:
    "y = eˣ                     ∂L/∂x = g y, made in y itself"

    def forward(xp, x):
        return xp.exp(x)

    def backward(xp, g, y):
        y *= g
        return y


@Op
class single_precision:
    "y = eˣ                     ∂L/∂x = g y in float32"

    def forward(xp, x):
        return xp.exp(x)

    def backward(xp, g, y):
        return (g * y).astype(np.float32)


@Op
class fused_differs:
    "y = x²                     ∂L/∂x = 2 g x, but backward and fused disagree"

    def forward(xp, x):
        return x * x

    def backward(xp, g, x):
        return 3 * g * x

    def fused(xp, g, x):
        return 2 * g * x
