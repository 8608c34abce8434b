"""The ops that have kernels, all of them, and the inputs for which they run: float32 on a GPU, and what `fits` says.

Each class stands in for the op above it: its `forward` and `fused` are launches. Formula and rule stay the op's own, so
second derivatives, other inputs, float64 and the CPU go the readable way. `use_fused(False)` leaves only that.

Tested on the CPU in an emulator of CUDA; not run on a GPU yet.
"""

from collections.abc import Callable

from autograd import ops
from autograd.kernels import attention, bias_activation, launch, layer_norm, softmax
from autograd.operation import Op, stand_in


def kernels_of(op: Op) -> Callable[[type], Op]:
    """Class decorator: `fits(inputs, *, options)`, `forward` and `fused` of an op by kernels, where there is a GPU."""

    def attach(cls: type) -> Op:
        kernels = op.kernels = stand_in(op, cls)
        fits = kernels.fits
        kernels.fits = lambda xp, arrays, options: launch.runs_on(xp) and fits(xp, arrays, options)
        return kernels

    return attach


@kernels_of(ops.softmax)
class softmax_kernels:
    def fits(x, *, axis):
        return axis in (-1, x.ndim - 1)

    def forward(xp, x, *, axis=-1):
        return softmax.softmax(xp.ascontiguousarray(x))

    def fused(xp, g, y):
        return softmax.softmax_backward(xp.ascontiguousarray(g), y)


def layer_norm_fits(x, weight, bias, *, axes, eps):
    """Over the last axis, with one weight and bias for all, or one for each sample."""
    one_each = (x.shape[0], *(1,) * (x.ndim - 2), x.shape[-1])
    pair = weight is not None and bias is not None and weight.shape == bias.shape
    return axes in ((-1,), (x.ndim - 1,)) and pair and weight.shape in (x.shape[-1:], one_each)


@kernels_of(ops.normalize)
class layer_norm_kernels:
    residuals = ("mean", "rstd")

    fits = layer_norm_fits

    def forward(xp, x, weight, bias, *, axes, eps):
        return layer_norm.layer_norm(*map(xp.ascontiguousarray, (x, weight, bias)), eps)

    def fused(xp, g, x, weight, mean, rstd):
        g, x, weight = map(xp.ascontiguousarray, (g, x, weight))
        return layer_norm.layer_norm_backward(g, x, weight, mean, rstd)


@kernels_of(ops.gelu)
class gelu_kernels:
    def fits(x, *, approximate):
        return x.ndim > 0

    def forward(xp, x, *, approximate="none"):
        return bias_activation.bias_gelu(xp.ascontiguousarray(x), None, approximate)

    def fused(xp, g, x, *, approximate):
        return bias_activation.bias_gelu_backward(*map(xp.ascontiguousarray, (g, x)), None, approximate)[0]


@kernels_of(ops.bias_gelu)
class bias_gelu_kernels:
    def fits(x, bias, *, approximate):
        return bias.shape == x.shape[-1:]

    def forward(xp, x, bias, *, approximate="none"):
        return bias_activation.bias_gelu(*map(xp.ascontiguousarray, (x, bias)), approximate)

    def fused(xp, g, x, bias, *, approximate):
        return bias_activation.bias_gelu_backward(*map(xp.ascontiguousarray, (g, x, bias)), approximate)


@kernels_of(ops.attention)
class attention_kernels:
    residuals = ("lse",)

    def fits(q, k, v, *, similarity, scale):
        """Dot products or L2, every token asks every token, and one head fits into the shared memory of a block."""
        return similarity in ("dot", "l2") and q.shape == k.shape == v.shape and attention.fits(*q.shape[2:])

    def forward(xp, q, k, v, *, similarity="dot", scale=None):
        y, lse = attention.attention(*_tokens_first(xp, q, k, v), similarity, scale)
        return y.swapaxes(1, 2), lse

    def fused(xp, g, q, k, v, lse, *, similarity, scale):
        grads = attention.attention_backward(*_tokens_first(xp, g, q, k, v), lse, similarity, scale)
        return tuple(x.swapaxes(1, 2) for x in grads)


def _tokens_first(xp, *arrays):
    """(B, H, N, d) as (B, N, H, d), as the projections wrote it: then nothing is copied."""
    return [xp.ascontiguousarray(x.swapaxes(1, 2)) for x in arrays]
