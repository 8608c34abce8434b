"""Every op by its public name: what users call, and the `xp` of rules that run on Tensors.

`sign`, `zeros_like` and `ones_like` have no gradient; they stand here so that a rule written for arrays
finds the same names when it is called with Tensors.
"""

import sys

from autograd import backend, operation
from autograd.ops.attention import SIMILARITIES, attention
from autograd.ops.conv import conv2d, conv2d_weight, conv_transpose2d
from autograd.ops.elementwise import (
    abs,
    add,
    astype,
    clip,
    cos,
    div,
    erf,
    exp,
    leaky_relu,
    log,
    maximum,
    minimum,
    mul,
    neg,
    power,
    relu,
    sigmoid,
    silu,
    sin,
    softplus,
    sqrt,
    sub,
    tanh,
    where,
)
from autograd.ops.gelu import bias_gelu, gelu
from autograd.ops.linalg import einsum, linear, matmul
from autograd.ops.norm import (
    batch_norm,
    cross_entropy,
    layer_norm,
    log_softmax,
    normalize,
    softmax,
    spectral_normalize,
)
from autograd.ops.pool import avg_pool2d, max_pool2d
from autograd.ops.reduce import logsumexp, max, mean, min, sum, var
from autograd.ops.resample import (
    interpolate,
    pixel_shuffle,
    pixel_unshuffle,
    upsample_bilinear,
    upsample_conv2d,
    upsample_nearest,
)
from autograd.ops.shape import (
    broadcast_to,
    concatenate,
    flip,
    getitem,
    pad,
    reshape,
    scatter_add,
    split,
    stack,
    swapaxes,
    take,
    transpose,
)
from autograd.ops.sine import bias_sine
from autograd.ops.windows import fold, unfold
from autograd.tensor import Tensor


def _without_gradient(name):
    def f(x):
        array = x.data if isinstance(x, Tensor) else x
        return Tensor(getattr(backend.array_module(array), name)(array))

    f.__name__ = name
    f.__doc__ = f"NumPy's {name}; its gradient is zero, so nothing is recorded."
    return f


sign = _without_gradient("sign")
zeros_like = _without_gradient("zeros_like")
ones_like = _without_gradient("ones_like")

operation.OPS_NAMESPACE = sys.modules[__name__]
