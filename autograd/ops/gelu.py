"""GELU, alone and after a bias."""

import math

from autograd.operation import op
from autograd.ops import numerics
from autograd.ops.reduce import column_sums

APPROXIMATIONS = ("none", "tanh")
_TANH_SCALE = math.sqrt(2 / math.pi)


@op
class gelu:
    """y = x Φ(x),  Φ(x) = ½ (1 + erf x/√2)      ∂L/∂x = g (Φ(x) + x φ(x)),  φ(x) = e^(−x²/2) / √(2π)    (limits at ±∞)
    approximate="tanh":  Φ(x) ≈ ½ (1 + t),  t = tanh √(2/π) (x + 0.044715 x³),  φ its derivative   (Hendrycks & Gimpel, 1606.08415)
    """  # noqa: E501

    residuals = ("phi",)  # Φ(x)

    def forward(xp, x, *, approximate="none"):
        if approximate not in APPROXIMATIONS:
            raise ValueError(f"approximate={approximate!r}: use 'none' or 'tanh'")
        x = numerics.real(x)
        if approximate == "tanh":
            phi = x * x
            phi *= 0.044715 * _TANH_SCALE
            phi += _TANH_SCALE
            phi *= x
            phi = xp.tanh(phi)
        else:
            phi = numerics.erf(xp, x * math.sqrt(0.5))
        phi *= 0.5
        phi += 0.5
        y = numerics.within(xp, x, most=math.inf)
        y *= phi
        return y, phi

    def backward(xp, g, x, *, approximate):
        x = numerics.within(xp, x)
        if approximate == "tanh":
            t = xp.tanh(_TANH_SCALE * (x + 0.044715 * x * x * x))
            slope = _TANH_SCALE * (1 + 3 * 0.044715 * x * x)
            return g * 0.5 * (1 + t + x * (1 - t * t) * slope)
        density = xp.exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi))
        return g * (0.5 * (1 + numerics.erf(xp, x * math.sqrt(0.5))) + x * density)

    def fused(xp, g, x, phi, *, approximate):
        x = numerics.within(xp, x)
        slope = xp.square(x, out=xp.empty_like(x))
        if approximate == "tanh":  # Φ = σ(2z), so y' = Φ + x Φ (1 − Φ) 2z'
            slope *= 6 * 0.044715 * _TANH_SCALE
            slope += 2 * _TANH_SCALE
            slope *= x
            slope *= 1 - phi
            slope += 1
            slope *= phi
        else:
            slope *= -0.5
            xp.exp(slope, out=slope)
            slope *= 1 / math.sqrt(2 * math.pi)
            slope *= x
            slope += phi
        slope *= g
        return slope


@op
class bias_gelu:
    """z = x + b,  y = gelu z      ∂L/∂x = g y'(z),   ∂L/∂b = Σ g y'(z)       x (…, D), b (D)
    the bias of a linear map and its activation as one op, which a fast form computes in one pass"""

    residuals = ("phi",)

    def forward(xp, x, bias, *, approximate="none"):
        if x.ndim == 0 or bias.shape != x.shape[-1:]:
            raise ValueError(numerics.unfit_bias(x, bias))
        return gelu.forward(xp, numerics.real(x) + bias, approximate=approximate)

    def backward(xp, g, x, bias, *, approximate):
        gx = gelu.backward(xp, g, x + bias, approximate=approximate)
        return gx, gx

    def fused(xp, g, x, bias, phi, *, approximate):
        gx = gelu.fused(xp, g, x + bias, phi, approximate=approximate)
        return gx, column_sums(xp, gx)
