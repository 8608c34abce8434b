"""Every op as PyTorch has it, under our names of inputs and options. PyTorch must be installed."""

import math
from pkgutil import resolve_name

import numpy as np
import torch

from experiments.docs.elsewhere import ELSEWHERE

F = torch.nn.functional
torch.set_num_threads(1)  # the arrays are tiny


def dims(x, axis):
    return tuple(range(x.ndim)) if axis is None else axis


def reduction(f):
    """A torch function of (x, dim, keepdim) under NumPy's option names."""
    return lambda x, axis=None, keepdims=False: f(x, dim=dims(x, axis), keepdim=keepdims)


def index_of(index):
    """A NumPy index for torch, which knows no negative steps: (flipped axes, index of the flipped array)."""
    parts, flips = list(index if isinstance(index, tuple) else (index,)), []
    for i, p in enumerate(parts):
        if isinstance(p, slice) and p.step is not None and p.step < 0:
            flips.append(i)  # position v of x is −1 − v of flipped x
            parts[i] = slice(*(None if v is None else -1 - v for v in (p.start, p.stop)), -p.step)
        elif isinstance(p, np.ndarray):
            parts[i] = torch.tensor(p)
    return flips, tuple(parts)


def torch_getitem(x, index):
    flips, index = index_of(index)
    return torch.flip(x, flips)[index]


def torch_scatter_add(x, index, shape):
    flips, index = index_of(index)
    places = torch.flip(torch.arange(math.prod(shape)).reshape(shape), flips)[index]
    return torch.zeros(math.prod(shape), dtype=x.dtype).index_add(0, places.reshape(-1), x.reshape(-1)).reshape(shape)


def torch_pad(x, pad_width, constant_values=0.0):
    widths = np.broadcast_to(pad_width, (x.ndim, 2))[::-1].ravel().tolist()
    return F.pad(x, widths, value=constant_values)


def torch_normalize(x, weight, bias, axes, eps):
    var, mean = torch.var_mean(x, dim=axes, correction=0, keepdim=True)
    y = (x - mean) / torch.sqrt(var + eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def torch_softmax(f):
    def g(x, axis=-1):
        if isinstance(axis, int):
            return f(x, dim=axis)
        return f(x.flatten(*axis), dim=axis[0]).unflatten(axis[0], [x.shape[a] for a in axis])  # neighbouring axes

    return g


def torch_attention(q, k, v, similarity="dot", scale=None, mask=None):
    mask = None if mask is None else torch.tensor(mask)
    if similarity == "dot":
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):  # the one with a second derivative
            return F.scaled_dot_product_attention(q, k, v, mask, scale=scale)
    apart = q[..., :, None, :] - k[..., None, :, :]
    s = {
        "l2": lambda: -apart.square().sum(dim=-1),
        "l1": lambda: -apart.abs().sum(dim=-1),
        "l2_printed": lambda: apart.square().sum(dim=-1).sqrt(),
    }[similarity]()
    s = s * (q.shape[-1] ** -0.5 if scale is None else scale)
    return torch.softmax(s if mask is None else s.masked_fill(~mask, -math.inf), dim=-1) @ v


def torch_either(f):
    """f(a, b) where one of them is a Python number."""
    return lambda a, b: f(*(x if torch.is_tensor(x) else torch.tensor(x, dtype=torch.float64) for x in (a, b)))


TORCH = {
    **{op: resolve_name(names.torch) for op, names in ELSEWHERE.items() if names.agrees("torch")},
    "div": torch.div,
    "bias_gelu": lambda x, b, **how: F.gelu(x + b, **how),
    "bias_sine": lambda x, b, omega=1.0: torch.sin(omega * (x + b)),
    "softplus": F.softplus,
    "maximum": torch_either(torch.maximum),
    "minimum": torch_either(torch.minimum),
    "astype": lambda x, dtype: x.to(getattr(torch, dtype)),
    "sum": reduction(torch.sum),
    "mean": reduction(torch.mean),
    "max": reduction(torch.amax),
    "min": reduction(torch.amin),
    "var": lambda x, axis=None, ddof=0, keepdims=False: torch.var(
        x, dim=dims(x, axis), correction=ddof, keepdim=keepdims
    ),
    "std": lambda x, axis=None, ddof=0, keepdims=False: torch.std(
        x, dim=dims(x, axis), correction=ddof, keepdim=keepdims
    ),
    "norm": lambda x, axis=None, keepdims=False: torch.linalg.vector_norm(x, dim=axis, keepdim=keepdims),
    "cumsum": lambda x, axis: torch.cumsum(x, axis),
    "logsumexp": reduction(torch.logsumexp),
    "reshape": lambda x, shape: torch.reshape(x, shape if isinstance(shape, tuple) else (shape,)),
    "transpose": lambda x, axes=None: torch.permute(x, axes or tuple(range(x.ndim))[::-1]),
    "swapaxes": lambda x, axis1, axis2: torch.swapaxes(x, axis1, axis2),
    "broadcast_to": lambda x, shape: torch.broadcast_to(x, shape),
    "concatenate": lambda *xs, axis=0: torch.cat(xs, dim=axis),
    "stack": lambda *xs, axis=0: torch.stack(xs, dim=axis),
    "getitem": torch_getitem,
    "scatter_add": torch_scatter_add,
    "pad": torch_pad,
    "roll": lambda x, shift, axis=None: torch.roll(x, shift, axis),
    "flip": lambda x, axis=None: torch.flip(x, (axis,) if isinstance(axis, int) else dims(x, axis)),
    "einsum": lambda *xs, subscripts: torch.einsum(subscripts, *xs),
    "softmax": torch_softmax(torch.softmax),
    "log_softmax": torch_softmax(torch.log_softmax),
    "normalize": torch_normalize,
    "spectral_normalize": lambda w, u, v, target: w * (target / (u @ w @ v)),
    "attention": torch_attention,
    "conv2d_weight": lambda x, u, weight_size, **options: torch.nn.grad.conv2d_weight(x, weight_size, u, **options),
    "upsample_nearest": lambda x, scale_factor: F.interpolate(x, scale_factor=scale_factor, mode="nearest"),
    "upsample_bilinear": lambda x, scale_factor: F.interpolate(x, scale_factor=scale_factor, mode="bilinear"),
}
