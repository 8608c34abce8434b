"""Every op that PyTorch has, beside it in float64: values, gradients for a random cotangent, and second order."""

import numpy as np
import pytest

from autograd import Tensor, grad, ops
from autograd.ops.examples import EXAMPLES

torch = pytest.importorskip("torch")
F = torch.nn.functional
from torch_ops import TORCH, torch_attention  # noqa: E402 - it needs torch


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
