"""Every op that PyTorch has, beside it in float64: values, gradients for a random cotangent, and second order."""

import math

import numpy as np
import pytest
from op_examples import EXAMPLES

from autograd import Tensor, grad, ops

torch = pytest.importorskip("torch")
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


def torch_attention(q, k, v, similarity="dot", scale=None):
    if similarity == "dot":
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):  # the one with a second derivative
            return F.scaled_dot_product_attention(q, k, v, scale=scale)
    apart = q[..., :, None, :] - k[..., None, :, :]
    s = {
        "l2": lambda: -apart.square().sum(dim=-1),
        "l1": lambda: -apart.abs().sum(dim=-1),
        "l2_printed": lambda: apart.square().sum(dim=-1).sqrt(),
    }[similarity]()
    return torch.softmax(s * (q.shape[-1] ** -0.5 if scale is None else scale), dim=-1) @ v


def torch_conv_transpose2d(x, w, b, stride=1, padding=0, output_padding=0, dilation=1):
    return F.conv_transpose2d(x, w, b, stride, padding, output_padding, dilation=dilation)


def torch_either(f):
    """f(a, b) where one of them is a Python number."""
    return lambda a, b: f(*(x if torch.is_tensor(x) else torch.tensor(x, dtype=torch.float64) for x in (a, b)))


TORCH = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "power": torch.pow,
    "neg": torch.neg,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "abs": torch.abs,
    "sin": torch.sin,
    "bias_gelu": lambda x, b, **how: F.gelu(x + b, **how),
    "bias_sine": lambda x, b, omega=1.0: torch.sin(omega * (x + b)),
    "cos": torch.cos,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "softplus": F.softplus,
    "erf": torch.erf,
    "relu": torch.relu,
    "leaky_relu": F.leaky_relu,
    "gelu": F.gelu,
    "silu": F.silu,
    "maximum": torch_either(torch.maximum),
    "minimum": torch_either(torch.minimum),
    "clip": torch.clip,
    "where": torch.where,
    "astype": lambda x, dtype: x.to(getattr(torch, dtype)),
    "sum": reduction(torch.sum),
    "mean": reduction(torch.mean),
    "max": reduction(torch.amax),
    "min": reduction(torch.amin),
    "var": lambda x, axis=None, ddof=0, keepdims=False: torch.var(
        x, dim=dims(x, axis), correction=ddof, keepdim=keepdims
    ),
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
    "flip": lambda x, axis=None: torch.flip(x, (axis,) if isinstance(axis, int) else dims(x, axis)),
    "matmul": torch.matmul,
    "linear": F.linear,
    "einsum": lambda *xs, subscripts: torch.einsum(subscripts, *xs),
    "softmax": torch_softmax(torch.softmax),
    "log_softmax": torch_softmax(torch.log_softmax),
    "cross_entropy": F.cross_entropy,
    "normalize": torch_normalize,
    "spectral_normalize": lambda w, u, v, target: w * (target / (u @ w @ v)),
    "attention": torch_attention,
    "conv2d": F.conv2d,
    "conv_transpose2d": torch_conv_transpose2d,
    "conv2d_weight": lambda x, u, weight_size, **options: torch.nn.grad.conv2d_weight(x, weight_size, u, **options),
    "unfold": F.unfold,
    "fold": F.fold,
    "avg_pool2d": F.avg_pool2d,
    "max_pool2d": F.max_pool2d,
    "pixel_shuffle": F.pixel_shuffle,
    "pixel_unshuffle": F.pixel_unshuffle,
    "upsample_nearest": lambda x, scale_factor: F.interpolate(x, scale_factor=scale_factor, mode="nearest"),
    "upsample_bilinear": lambda x, scale_factor: F.interpolate(x, scale_factor=scale_factor, mode="bilinear"),
}


def ours(f, arrays, wrt, seeds):
    """y, the gradients of ⟨g, y⟩, and those of Σ ⟨v, gradient⟩ with respect to the inputs and g; seeds gives g, v …"""
    xs = [Tensor(a, requires_grad=True) if i in wrt else a for i, a in enumerate(arrays)]
    targets = [xs[i] for i in wrt]
    y = f(*xs)
    g = Tensor(seeds(y.shape).astype(y.dtype), requires_grad=True)
    plain = grad(y, targets, g=g.data)
    first = grad(y, targets, g=g, create_graph=True)
    total = sum((ops.sum(a * seeds(a.shape)) for a in first), Tensor(0.0))
    second = grad(total, [*targets, g])
    return y.data, [*plain, *(a.data for a in first)], second


def theirs(f, arrays, wrt, seeds):
    xs = [torch.tensor(a, requires_grad=i in wrt) if isinstance(a, np.ndarray) else a for i, a in enumerate(arrays)]
    targets = [xs[i] for i in wrt]
    y = f(*xs)
    g = torch.tensor(seeds(tuple(y.shape))).to(y.dtype).requires_grad_()
    first = torch.autograd.grad(y, targets, g, create_graph=True)
    total = sum((a * torch.tensor(seeds(tuple(a.shape)))).sum() for a in first)
    second = [None] * (len(targets) + 1)
    if total.requires_grad:  # x⁰ leaves no path
        second = torch.autograd.grad(total, [*targets, g], allow_unused=True)
    first = [a.detach().numpy() for a in first]
    return y.detach().numpy(), [*first, *first], [None if a is None else a.numpy(force=True) for a in second]


def random_seeds(seed):
    rng = np.random.default_rng(seed)
    return lambda shape: np.asarray(rng.standard_normal(shape))


def compare(f, f_torch, arrays, wrt=None, seed=1, exact=1e-12):
    wrt = range(len(arrays)) if wrt is None else wrt
    y, first, second = ours(f, arrays, wrt, random_seeds(seed))
    y_torch, first_torch, second_torch = theirs(f_torch, arrays, wrt, random_seeds(seed))
    assert y.shape == y_torch.shape and y.dtype == y_torch.dtype
    close(y, y_torch, exact)
    for found, expected, tolerance in ((first, first_torch, 10 * exact), (second, second_torch, 100 * exact)):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            if a is None or b is None:  # one side found no path: then the other's must be zero
                assert not np.any(a) and not np.any(b)
            else:
                assert a.shape == b.shape and a.dtype == b.dtype
                close(a, b, tolerance)


def close(a, b, tolerance):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1.0, np.abs(b).max(initial=0)))


def test_every_op_is_compared():
    assert set(TORCH) == set(EXAMPLES)


@pytest.mark.parametrize(
    "name, i", [pytest.param(name, i, id=f"{name}-{i}") for name, es in EXAMPLES.items() for i in range(len(es))]
)
def test_examples_beside_torch(name, i):
    example = EXAMPLES[name][i]
    compare(
        lambda *xs: example.op.apply(*xs, **example.options),
        lambda *xs: TORCH[name](*xs, **example.options),
        example.inputs(),
        example.wrt,
        exact=1e-6 if example.options.get("dtype") == "float32" else 1e-12,
    )


# Random shapes, through the public faces


def sizes(rng, n, low=1, high=6):
    return [int(v) for v in rng.integers(low, high, size=n)]


def random_layer_norm(rng):
    b, n, d = sizes(rng, 3, low=2)
    last = (n, d) if rng.random() < 0.5 else (d,)
    shapes = [(b, n, d), last, last] if rng.random() < 0.7 else [(b, n, d)]
    eps = float(rng.choice([1e-5, 1e-3]))
    return (
        lambda x, *wb: ops.layer_norm(x, last, *wb, eps=eps),
        lambda x, *wb: F.layer_norm(x, last, *wb, eps=eps),
        shapes,
    )


def random_attention(similarity):
    def make(rng):
        b, h, n, m, d, e = sizes(rng, 6)
        scale = None if rng.random() < 0.5 else float(rng.uniform(0.1, 2))
        shapes = [(b, h, n, d), (b, h, m, d), (b, h, m, e)]
        options = {"similarity": similarity, "scale": scale}
        return lambda *qkv: ops.attention(*qkv, **options), lambda *qkv: torch_attention(*qkv, **options), shapes

    return make


def random_tied_attention(rng):
    b, h, n, d = sizes(rng, 4, low=2)
    return (
        lambda x, v: ops.attention(x, x, v, similarity="l2"),
        lambda x, v: torch_attention(x, x, v, similarity="l2"),
        [(b, h, n, d), (b, h, n, d)],
    )


def random_gelu(approximate):
    return lambda rng: (
        lambda x: ops.gelu(3 * x, approximate=approximate),
        lambda x: F.gelu(3 * x, approximate=approximate),
        [sizes(rng, 3)],
    )


def random_cross_entropy(rng):
    n, c = sizes(rng, 2, low=2)
    target = rng.integers(c, size=n)
    return lambda x: ops.cross_entropy(x, target), lambda x: F.cross_entropy(x, torch.tensor(target)), [(n, c)]


def random_einsum(rng):
    size = dict(zip("abcde", sizes(rng, 5), strict=True))
    terms = ["".join(rng.permutation(list("abcde"))[: rng.integers(1, 4)]) for _ in range(rng.integers(1, 4))]
    letters = sorted(set("".join(terms)))
    output = "".join(rng.permutation(letters)[: rng.integers(0, len(letters) + 1)])
    subscripts = ",".join(terms) + "->" + output
    return (
        lambda *xs: ops.einsum(subscripts, *xs),
        lambda *xs: torch.einsum(subscripts, *xs),
        [[size[c] for c in term] for term in terms],
    )


def random_batch_norm(training):
    def make(rng):
        n, c, h, w = sizes(rng, 4, low=2)
        shape = [(n, c), (n, c, h), (n, c, h, w)][rng.integers(3)]
        shapes = [shape, (c,), (c,)] if rng.random() < 0.7 else [shape]
        mean, var = rng.standard_normal(c), rng.uniform(0.5, 2, c)
        momentum = float(rng.uniform(0.05, 0.5))
        mean_torch, var_torch = torch.tensor(mean), torch.tensor(var)

        def f(x, *wb):
            return ops.batch_norm(x, mean, var, *wb, training=training, momentum=momentum)

        def f_torch(x, *wb):
            y = F.batch_norm(x, mean_torch, var_torch, *wb, training=training, momentum=momentum)
            close(mean, mean_torch.numpy(), 1e-13)  # both have run: the running statistics are the same
            close(var, var_torch.numpy(), 1e-13)
            return y

        return f, f_torch, shapes

    return make


RANDOM = {
    "layer_norm": random_layer_norm,
    **{f"attention {s}": random_attention(s) for s in ops.SIMILARITIES},
    "attention l2 tied": random_tied_attention,
    "gelu": random_gelu("none"),
    "gelu tanh": random_gelu("tanh"),
    "batch_norm train": random_batch_norm(True),
    "batch_norm eval": random_batch_norm(False),
    "cross_entropy": random_cross_entropy,
    "einsum": random_einsum,
}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("what", RANDOM)
def test_random_shapes_beside_torch(what, seed):
    rng = np.random.default_rng(seed)
    f, f_torch, shapes = RANDOM[what](rng)
    compare(f, f_torch, [rng.standard_normal(shape) for shape in shapes], seed=seed, exact=1e-11)
