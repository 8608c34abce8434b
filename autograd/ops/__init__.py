"""Every op by its public name.

An op is a class without `self`: `@op` takes its functions out and calls them with arrays. `forward(xp, x)` computes y.
`backward(xp, g, y)` gets g = ∂L/∂y and returns ∂L/∂x. See `autograd/operation.py`.
"""

from autograd.ops.attention import SIMILARITIES, attention, attention_weights
from autograd.ops.constants import (
    argmax,
    argmin,
    argsort,
    ceil,
    floor,
    isfinite,
    isinf,
    isnan,
    one_hot,
    ones_like,
    sign,
    zeros_like,
)
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
    expm1,
    leaky_relu,
    log,
    log1p,
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
    square,
    sub,
    tanh,
    where,
)
from autograd.ops.gelu import bias_gelu, gelu
from autograd.ops.linalg import dot, einsum, linear, matmul, norm, outer
from autograd.ops.losses import binary_cross_entropy_with_logits, mse_loss
from autograd.ops.normalization import (
    batch_norm,
    cross_entropy,
    layer_norm,
    log_softmax,
    normalize,
    softmax,
    spectral_normalize,
)
from autograd.ops.pool import avg_pool2d, max_pool2d
from autograd.ops.reduce import cumsum, logsumexp, max, mean, min, prod, std, sum, var
from autograd.ops.resample import (
    interpolate,
    pixel_shuffle,
    pixel_unshuffle,
    upsample_bilinear,
    upsample_conv2d,
    upsample_nearest,
)
from autograd.ops.selection import (
    diagonal,
    gather,
    masked_fill,
    sort,
    take_along_axis,
    trace,
    tril,
    triu,
)
from autograd.ops.shape import (
    broadcast_to,
    concatenate,
    expand_dims,
    flip,
    getitem,
    moveaxis,
    pad,
    repeat,
    reshape,
    roll,
    scatter_add,
    split,
    squeeze,
    stack,
    swapaxes,
    take,
    tile,
    transpose,
)
from autograd.ops.sine import bias_sine
from autograd.ops.windows import fold, unfold
