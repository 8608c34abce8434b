"""Element by element: arithmetic, powers, activations. Broadcasting is undone by the engine, never here."""

import math

import numpy as np

from autograd.operation import op
from autograd.ops import numerics
from autograd.ops.numerics import real
from autograd.registry import ops


@op
class add:
    "y = a + b                  ∂L/∂a = g,   ∂L/∂b = g"

    def forward(xp, a, b):
        return xp.add(a, b)

    def backward(xp, g):
        return g, g


@op
class sub:
    "y = a − b                  ∂L/∂a = g,   ∂L/∂b = −g"

    def forward(xp, a, b):
        return xp.subtract(a, b)

    def backward(xp, g, need):
        return g, -g if need[1] else None


@op
class mul:
    "y = a b                    ∂L/∂a = g b,   ∂L/∂b = g a"

    def forward(xp, a, b):
        return xp.multiply(a, b)

    def backward(xp, g, a, b, need):
        return g * b if need[0] else None, g * a if need[1] else None


@op
class div:
    "y = a / b                  ∂L/∂a = g / b,   ∂L/∂b = −g y / b"

    def forward(xp, a, b):
        return xp.true_divide(a, b)

    def backward(xp, g, b, y, need):
        ga = g / b
        return ga, -ga * y if need[1] else None


@op
class neg:
    "y = −x                     ∂L/∂x = −g"

    def forward(xp, x):
        return xp.negative(x)

    def backward(xp, g):
        return -g


@op
class power:
    "y = a^b                    ∂L/∂a = g b a^(b−1),   ∂L/∂b = g y ln a"

    def forward(xp, a, b):
        return xp.power(a, b)

    def backward(xp, g, a, b, y, need):
        of_base = g * b * _one_power_less(xp, a, b) if need[0] else None
        of_exponent = g * y * _log_of_base(xp, a, b) if need[1] else None
        return of_base, of_exponent


def _one_power_less(xp, a, b):
    """a^(b−1), and a finite number where b = 0: b a^(b−1) is 0 there, also at a = 0."""
    if isinstance(b, (int, float)):
        return a ** (b - 1) if b not in (0, 1) else 1
    tiny = float(np.finfo(a.dtype).tiny)  # the least a whose a⁻¹ is finite
    return a ** (xp.where((b == 0) & ~((a >= tiny) | (a <= -tiny)), 1, b) - 1)


def _log_of_base(xp, a, b):
    """ln a, and 0 where a = 0 and b ≥ 0: y ln a is 0 there. A number a = 0 with b < 0 gives any negative number."""
    if not isinstance(a, (int, float)):
        return xp.log(xp.where((a == 0) & (b >= 0), 1, real(a)))
    if a == 0:
        return xp.where(b >= 0, 0, b)  # y is infinite where b < 0
    return math.log(a) if a > 0 else math.nan


@op
class exp:
    "y = eˣ                     ∂L/∂x = g y"

    def forward(xp, x):
        return xp.exp(x)

    def backward(xp, g, y):
        return g * y


@op
class expm1:
    "y = eˣ − 1                 ∂L/∂x = g (y + 1)       (exact also where x is small)"

    def forward(xp, x):
        return xp.expm1(x)

    def backward(xp, g, y):
        return g * (y + 1)


@op
class log:
    "y = ln x                   ∂L/∂x = g / x"

    def forward(xp, x):
        return xp.log(x)

    def backward(xp, g, x):
        return g / x


@op
class log1p:
    "y = ln(1 + x)              ∂L/∂x = g / (1 + x)     (exact also where x is small)"

    def forward(xp, x):
        return xp.log1p(x)

    def backward(xp, g, x):
        return g / (1 + x)


@op
class square:
    "y = x²                     ∂L/∂x = 2 g x"

    def forward(xp, x):
        return xp.square(x)

    def backward(xp, g, x):
        return g * (2 * x)


@op
class sqrt:
    "y = √x                     ∂L/∂x = g / 2y"

    def forward(xp, x):
        return xp.sqrt(x)

    def backward(xp, g, y):
        return g * 0.5 / y


@op
class abs:
    "y = |x|                    ∂L/∂x = g sign x   (0 at the kink)"

    def forward(xp, x):
        return xp.abs(x)

    def backward(xp, g, x):
        return g * xp.sign(x)


@op
class sin:
    "y = sin x                  ∂L/∂x = g cos x"

    def forward(xp, x):
        return xp.sin(x)

    def backward(xp, g, x):
        return g * xp.cos(x)


@op
class cos:
    "y = cos x                  ∂L/∂x = −g sin x"

    def forward(xp, x):
        return xp.cos(x)

    def backward(xp, g, x):
        return -g * xp.sin(x)


@op
class tanh:
    "y = tanh x                 ∂L/∂x = g (1 − y²)"

    def forward(xp, x):
        return xp.tanh(x)

    def backward(xp, g, y):
        return g * (1 - y * y)


@op
class sigmoid:
    "y = 1 / (1 + e⁻ˣ)          ∂L/∂x = g y (1 − y)"

    def forward(xp, x):
        return numerics.sigmoid(xp, x)

    def backward(xp, g, y):
        return g * y * (1 - y)


@op
class softplus:
    "y = ln(1 + eˣ)             ∂L/∂x = g σ(x)"

    def forward(xp, x):
        return xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(real(x))))

    def backward(xp, g, x):
        return g * numerics.sigmoid(xp, x)


@op
class erf:
    "y = 2/√π ∫₀ˣ e^(−t²) dt    ∂L/∂x = g 2/√π e^(−x²)"

    def forward(xp, x):
        return numerics.erf(xp, x)

    def backward(xp, g, x):
        return g * (2 / math.sqrt(math.pi)) * xp.exp(-x * x)


@op
class relu:
    "y = max(x, 0)              ∂L/∂x = g [x > 0]"

    def forward(xp, x):
        return xp.maximum(x, 0)

    def backward(xp, g, y):
        return xp.where(y <= 0, 0, g)


@op
class leaky_relu:
    "y = x if x > 0 else α x    ∂L/∂x = g if x > 0 else α g"

    def forward(xp, x, *, negative_slope=0.01):
        return xp.where(x > 0, x, negative_slope * x)

    def backward(xp, g, x, *, negative_slope):
        return xp.where(x > 0, g, negative_slope * g)


@op
class silu:
    "y = x σ(x)                 ∂L/∂x = g σ(x) (1 + x (1 − σ(x)))       at −∞ and ∞ their limits"

    def forward(xp, x):
        return numerics.within(xp, x, most=math.inf) * numerics.sigmoid(xp, x)

    def backward(xp, g, x):
        x = numerics.within(xp, x)
        s = numerics.sigmoid(xp, x)
        return g * s * (1 + x * (1 - s))


@op
class maximum:
    "y = max(a, b)              ∂L/∂a = g [a > b],   ∂L/∂b = g [b > a]   (a tie: half each)"

    def forward(xp, a, b):
        return xp.maximum(a, b)

    def backward(xp, g, a, b, need):
        g = xp.where(a == b, 0.5 * g, g)
        return xp.where(a < b, 0, g) if need[0] else None, xp.where(b < a, 0, g) if need[1] else None


@op
class minimum:
    "y = min(a, b)              ∂L/∂a = g [a < b],   ∂L/∂b = g [b < a]   (a tie: half each)"

    def forward(xp, a, b):
        return xp.minimum(a, b)

    def backward(xp, g, a, b, need):
        g = xp.where(a == b, 0.5 * g, g)
        return xp.where(b < a, 0, g) if need[0] else None, xp.where(a < b, 0, g) if need[1] else None


@op
class clip:
    "y = min(max(x, lo), hi)    ∂L/∂x = g [lo ≤ x ≤ hi]"

    def forward(xp, x, *, min=None, max=None):
        return xp.clip(x, min, max)

    def backward(xp, g, x, *, min, max):
        if min is not None:
            g = g * (x >= min)
        return g * (x <= max) if max is not None else g


@op
class where:
    "y = a if condition else b  ∂L/∂a = g [condition],   ∂L/∂b = g [not condition]"

    def forward(xp, condition, a, b):
        if hasattr(condition, "dtype") and condition.dtype.kind == "f":
            raise TypeError(f"the condition is boolean, as x > 0 is, not {condition.dtype}")
        return xp.where(condition, a, b)

    def backward(xp, g, condition):
        return None, xp.where(condition, g, 0), xp.where(condition, 0, g)


@op
class astype:
    "y = x in another dtype     ∂L/∂x = g, in the dtype of x      (integers and booleans carry no gradient)"

    half = True

    def forward(xp, x, *, dtype):
        return x.astype(dtype)

    def backward(xp, g):
        return g  # the engine casts back


# NumPy's names of them, for rules on Tensors and for NumPy's own functions of a Tensor
ops.subtract, ops.multiply, ops.negative, ops.absolute, ops.pow = sub, mul, neg, abs, power
ops.divide = ops.true_divide = div
