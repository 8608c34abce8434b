"""The ops that have loops, all of them, and the inputs for which they run: float32 arrays of NumPy that `fits` names.

Each class stands in for the op above it, as in `autograd.kernels.ops`: formula and rule stay the op's own, so second
derivatives, other inputs and float64 go the readable way. `use_fused(False)` leaves only that.
"""

from collections.abc import Callable

import numpy as np

from autograd import ops
from autograd.kernels.ops import layer_norm_fits
from autograd.loops import attention, gelu, jit, rows, spectral
from autograd.operation import Op, stand_in

jit.forget_stale()
contiguous = np.ascontiguousarray
STAND_INS: dict[Op, Op] = {}


def switch(on: bool) -> None:
    """Let the ops run as loops, or as they stand."""
    for op, loops in STAND_INS.items():
        op.loops = loops if on else None


def loops_of(op: Op) -> Callable[[type], Op]:
    """Class decorator: `fits(inputs, *, options)`, `forward` and `fused` of an op by loops."""

    def attach(cls: type) -> Op:
        STAND_INS[op] = stand_in(op, cls)
        return STAND_INS[op]

    return attach


@loops_of(ops.softmax)
class softmax_loops:
    def fits(x, *, axis):
        return axis in (-1, x.ndim - 1) and x.size > 0

    def forward(xp, x, *, axis=-1):
        return rows.softmax(x)

    def fused(xp, g, y):
        return rows.softmax_grad(g, y)


@loops_of(ops.normalize)
class layer_norm_loops:
    residuals = ("mean", "rstd")
    fits = layer_norm_fits

    def forward(xp, x, weight, bias, *, axes, eps):
        return rows.layer_norm(*map(contiguous, (x, weight, bias)), eps)

    def fused(xp, g, x, weight, mean, rstd):
        return rows.layer_norm_grad(*map(contiguous, (g, x, weight)), mean, rstd)


@loops_of(ops.bias_gelu)
class bias_gelu_loops:
    def fits(x, bias, *, approximate):
        return bias.shape == x.shape[-1:]

    def forward(xp, x, bias, *, approximate="none"):
        return gelu.bias_gelu(contiguous(x), contiguous(bias), approximate)

    def fused(xp, g, x, bias, *, approximate):
        return gelu.bias_gelu_backward(*map(contiguous, (g, x, bias)), approximate)


@loops_of(ops.gelu)
class gelu_loops:
    def fits(x, *, approximate):
        return x.ndim > 0

    def forward(xp, x, *, approximate="none"):
        return gelu.bias_gelu(contiguous(x), np.zeros(x.shape[-1], np.float32), approximate)

    def fused(xp, g, x, *, approximate):
        return gelu.bias_gelu_backward(contiguous(g), contiguous(x), np.zeros(x.shape[-1], np.float32), approximate)[0]


@loops_of(ops.attention)
class attention_loops:
    residuals = ("p",)

    def fits(q, k, v, *, similarity, scale):
        return similarity in ("dot", "l2")

    def forward(xp, q, k, v, *, similarity="dot", scale=None):
        return attention.attention(q, k, v, similarity, scale)

    def fused(xp, g, q, k, v, p, *, similarity, scale):
        return attention.attention_backward(g, q, k, v, p, similarity, scale)


@loops_of(ops.spectral_normalize)
class spectral_normalize_loops:
    residuals = ("sigma",)

    def fits(weight, u, v, target):
        return weight.flags.c_contiguous

    forward = ops.spectral_normalize.forward

    def fused(xp, g, weight, u, v, target, sigma):
        return spectral.spectral_gradient(g, weight, u, v, target, sigma), None, None, None
