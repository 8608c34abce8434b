"""Every op by its public name.

An op is a class without `self`: `@op` takes its functions out and calls them with arrays. `forward(xp, x)` computes y.
`backward(xp, g, y)` gets g = ∂L/∂y and returns ∂L/∂x. See `autograd/operation.py`.
"""

from autograd.ops.attention import SIMILARITIES, attention, attention_weights
from autograd.ops.constants import ones_like, sign, zeros_like
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
