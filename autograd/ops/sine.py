"""The layer of SIREN (Sitzmann et al., 2006.09661) after its matrix product."""

from autograd.operation import op
from autograd.ops import numerics
from autograd.ops.numerics import real
from autograd.ops.reduce import column_sums


@op
class bias_sine:
    "y = sin ω(x + b)           ∂L/∂x = g ω cos ω(x + b),   ∂L/∂b = Σ ∂L/∂x        x (…, D), b (D)"

    def forward(xp, x, bias, *, omega=1.0):
        if x.ndim == 0 or bias.shape != x.shape[-1:]:
            raise ValueError(numerics.unfit_bias(x, bias))
        z = real(x) + bias
        z *= omega
        return xp.sin(z, out=z)

    def backward(xp, g, x, bias, *, omega):
        h = g * (omega * xp.cos((x + bias) * omega))
        return h, h

    def fused(xp, g, x, bias, need, *, omega):
        h = x + bias
        h *= omega
        xp.cos(h, out=h)
        h *= omega
        h *= g
        return h, column_sums(xp, h) if need[1] else None
