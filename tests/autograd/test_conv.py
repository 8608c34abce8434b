"""Convolution, pooling, unfold and resampling beside PyTorch: values, first and second order, in float64."""

import numpy as np
import pytest

from autograd import Tensor, grad, ops
from autograd.ops import conv


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def functional(torch):
    return torch.nn.functional


def draw(*shapes, dtype=np.float64, seed=0):
    """Random arrays that cannot be written into."""
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    for a in arrays:
        a.flags.writeable = False
    return arrays


def run_ours(f, arrays, g, vs):
    """y, the gradients of g·y, and those of Σ v·gradient with respect to the inputs and g."""
    xs = [Tensor(a, requires_grad=True) for a in arrays]
    y = f(*xs)
    first_plain = grad(y, xs, g)
    g = Tensor(g, requires_grad=True)
    first = grad(y, xs, g, create_graph=True)
    for a, b in zip(first, first_plain, strict=True):
        np.testing.assert_allclose(a.data, b, rtol=1e-12, atol=1e-13)  # Tensors may lie otherwise: sums round otherwise
    total = sum((a * v).sum() for a, v in zip(first, vs, strict=True))
    second = grad(total, [*xs, g])
    zeros = [np.zeros(x.shape) for x in [*xs, g]]
    return y.data, first_plain, [z if s is None else s for s, z in zip(second, zeros, strict=True)]


def run_torch(torch, f, arrays, g, vs):
    xs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y = f(*xs)
    g = torch.tensor(g, requires_grad=True)
    first = torch.autograd.grad(y, xs, g, create_graph=True)
    total = sum((a * torch.tensor(v)).sum() for a, v in zip(first, vs, strict=True))
    second = torch.autograd.grad(total, [*xs, g], allow_unused=True)
    second = [torch.zeros_like(x) if s is None else s for s, x in zip(second, [*xs, g], strict=True)]
    return y.detach().numpy(), [a.detach().numpy() for a in first], [s.numpy() for s in second]


def assert_same(torch, ours, theirs, *shapes):
    arrays = draw(*shapes)
    (g,) = draw(ours(*arrays).shape, seed=1)
    vs = draw(*shapes, seed=2)
    y, first, second = run_ours(ours, arrays, g, vs)
    y_torch, first_torch, second_torch = run_torch(torch, theirs, arrays, g, vs)
    np.testing.assert_allclose(y, y_torch, rtol=1e-10, atol=1e-10)
    for a, b in zip([*first, *second], [*first_torch, *second_torch], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)

    narrow = [Tensor(a.astype(np.float32), requires_grad=True) for a in arrays]
    y32 = ours(*narrow)
    first32 = grad(y32, narrow, g.astype(np.float32))
    assert y32.dtype == np.float32
    np.testing.assert_allclose(y32.data, y, rtol=1e-3, atol=1e-4)
    for a, b in zip(first32, first, strict=True):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


CONVOLUTIONS = [  # image size, kernel, options
    ((6, 6), (3, 3), {}),
    ((7, 5), (3, 3), {"stride": 2, "padding": 1}),
    ((8, 8), (4, 4), {"stride": 2, "padding": 1}),
    ((8, 7), (3, 2), {"stride": 3}),  # two rows and a column are left over
    ((9, 8), (2, 3), {"stride": (3, 2), "padding": (0, 2)}),
    ((9, 10), (3, 2), {"stride": (1, 2), "padding": (2, 1), "dilation": (2, 3)}),
    ((5, 6), (1, 1), {"stride": 2}),
    ((4, 3), (4, 3), {}),  # one window
    ((2, 3), (3, 3), {"padding": 2, "dilation": 2}),
]


@pytest.mark.parametrize("size, kernel, options", CONVOLUTIONS)
def test_conv2d(torch, functional, size, kernel, options):
    shapes = (2, 3, *size), (4, 3, *kernel), (4,)
    assert_same(torch, lambda *a: ops.conv2d(*a, **options), lambda *a: functional.conv2d(*a, **options), *shapes)


@pytest.mark.parametrize("size, kernel, options", CONVOLUTIONS)
def test_conv2d_without_bias(torch, functional, size, kernel, options):
    shapes = (3, 1, *size), (2, 1, *kernel)
    assert_same(torch, lambda *a: ops.conv2d(*a, **options), lambda *a: functional.conv2d(*a, **options), *shapes)


TRANSPOSED = [
    ((4, 4), (4, 4), {"stride": 2, "padding": 1}),
    ((3, 4), (3, 2), {}),
    ((3, 2), (3, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
    ((2, 3), (2, 3), {"stride": (3, 2), "padding": (0, 2), "output_padding": (2, 1)}),
    ((4, 3), (3, 2), {"stride": (1, 3), "padding": (2, 1), "output_padding": (0, 2), "dilation": (2, 1)}),
    ((1, 1), (4, 3), {}),
    ((3, 3), (1, 1), {"stride": 2}),  # gaps between the windows
]


@pytest.mark.parametrize("size, kernel, options", TRANSPOSED)
def test_conv_transpose2d(torch, functional, size, kernel, options):
    for shapes in [((2, 3, *size), (3, 4, *kernel), (4,)), ((2, 3, *size), (3, 1, *kernel))]:
        assert_same(
            torch,
            lambda *a: ops.conv_transpose2d(*a, **options),
            lambda *a: functional.conv_transpose2d(*a, **options),
            *shapes,
        )


def test_positional_arguments_stand_where_pytorch_has_them(torch, functional):
    x, w, wt, b = draw((2, 3, 8, 7), (4, 3, 2, 3), (3, 4, 2, 3), (4,))
    tx, tw, twt, tb = map(torch.tensor, (x, w, wt, b))
    for ours, theirs in [
        (ops.conv2d(x, w, b, 2, 1, 2), functional.conv2d(tx, tw, tb, 2, 1, 2)),
        (
            ops.conv_transpose2d(x, wt, b, 2, 1, 1, dilation=2),
            functional.conv_transpose2d(tx, twt, tb, 2, 1, 1, dilation=2),
        ),
        (ops.unfold(x, (2, 3), 2, 1, (2, 1)), functional.unfold(tx, (2, 3), 2, 1, (2, 1))),
        (ops.avg_pool2d(x, 3, 2, 1), functional.avg_pool2d(tx, 3, 2, 1)),
        (ops.max_pool2d(x, 3, 2, 1), functional.max_pool2d(tx, 3, 2, 1)),
    ]:
        np.testing.assert_allclose(ours.data, theirs.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("size, kernel, options", CONVOLUTIONS)
def test_conv2d_weight(torch, size, kernel, options):
    weight_size = (4, 3, *kernel)
    x, w = draw((2, 3, *size), weight_size)
    u_shape = ops.conv2d(x, w, **options).shape
    assert_same(
        torch,
        lambda x, u: ops.conv2d_weight(x, weight_size, u, **options),
        lambda x, u: torch.nn.grad.conv2d_weight(x, weight_size, u, **options),
        x.shape,
        u_shape,
    )


def test_third_order(torch, functional):
    x, w, v = draw((2, 2, 5, 4), (3, 2, 2, 3), (2, 2, 5, 4))

    def nested(conv2d, grad, x, w, v):
        """∂/∂w Σ v ∂/∂x Σ (∂/∂x Σ y³)²"""
        y = conv2d(x, w, None, (2, 1), 1)
        (gx,) = grad((y * y * y).sum(), [x], create_graph=True)
        (ggx,) = grad((gx * gx).sum(), [x], create_graph=True)
        (gw,) = grad((ggx * v).sum(), [w])
        return gw

    ours = nested(ops.conv2d, grad, Tensor(x, requires_grad=True), Tensor(w, requires_grad=True), v)
    tx, tw = (torch.tensor(a, requires_grad=True) for a in (x, w))
    theirs = nested(functional.conv2d, torch.autograd.grad, tx, tw, torch.tensor(v))
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-10)


def test_convolution_in_blocks_of_rows(monkeypatch):
    x, w, b, wt = draw((3, 2, 9, 8), (4, 2, 3, 2), (4,), (2, 4, 3, 2))

    def everything():
        out = []
        for f, weight in [(ops.conv2d, w), (ops.conv_transpose2d, wt)]:
            ts = [Tensor(a, requires_grad=True) for a in (x, weight, b)]
            y = f(*ts, stride=2, padding=1)
            out += [y.data, *grad(y, ts, *draw(y.shape, seed=3))]
        return out

    whole = everything()
    monkeypatch.setattr(conv, "BLOCK", 300)  # two rows or less
    calls = []
    monkeypatch.setattr(conv, "blocks", lambda shape, blocks=conv.blocks: calls.append(blocks(shape)) or calls[-1])
    for a, b_ in zip(everything(), whole, strict=True):
        np.testing.assert_allclose(a, b_, rtol=1e-12, atol=1e-12)
    assert max(map(len, calls)) > 2


POOLS = [
    ((8, 8), {"kernel_size": 2}),
    ((7, 9), {"kernel_size": 2}),  # the last row and column are left over
    ((7, 8), {"kernel_size": 3, "stride": 2}),
    ((7, 6), {"kernel_size": 3, "stride": 1, "padding": 1}),
    ((8, 9), {"kernel_size": (2, 3), "stride": (3, 2), "padding": (1, 0)}),
    ((5, 6), {"kernel_size": (1, 2), "stride": 3}),  # gaps between the windows
]


@pytest.mark.parametrize("size, options", POOLS)
@pytest.mark.parametrize("name", ["avg_pool2d", "max_pool2d"])
def test_pooling(torch, functional, name, size, options):
    ours, theirs = getattr(ops, name), getattr(functional, name)
    assert_same(torch, lambda x: ours(x, **options), lambda x: theirs(x, **options), (2, 3, *size))


@pytest.mark.parametrize("size, options", POOLS)
def test_avg_pool2d_without_the_padding(torch, functional, size, options):
    options = {**options, "count_include_pad": False}
    assert_same(
        torch,
        lambda x: ops.avg_pool2d(x, **options),
        lambda x: functional.avg_pool2d(x, **options),
        (2, 3, *size),
    )


@pytest.mark.parametrize("size, options", POOLS)
def test_max_pool2d_takes_the_first_of_equals(torch, functional, size, options):
    x = np.random.default_rng(0).integers(-1, 2, (2, 3, *size)).astype(np.float64)
    xs = Tensor(x, requires_grad=True)
    y = ops.max_pool2d(xs, **options)
    (g,) = draw(y.shape)
    xt = torch.tensor(x, requires_grad=True)
    (expected,) = torch.autograd.grad(functional.max_pool2d(xt, **options), xt, torch.tensor(g))
    np.testing.assert_allclose(grad(y, [xs], g)[0], expected.numpy(), atol=1e-12)


def test_max_pool2d_keeps_nan():
    (x,) = (a.copy() for a in draw((1, 1, 4, 4)))
    x[0, 0, 3, 2] = np.nan
    np.testing.assert_array_equal(np.isnan(ops.max_pool2d(x, 2).data[0, 0]), [[False, False], [False, True]])


UNFOLDS = [
    ((5, 6), {"kernel_size": 2}),
    ((7, 6), {"kernel_size": (3, 2), "stride": (2, 3), "padding": (1, 0)}),
    ((8, 9), {"kernel_size": (2, 3), "stride": 2, "padding": (1, 2), "dilation": (3, 2)}),
    ((6, 6), {"kernel_size": 2, "stride": 4}),
]


@pytest.mark.parametrize("size, options", UNFOLDS)
def test_unfold_and_fold(torch, functional, size, options):
    assert_same(torch, lambda x: ops.unfold(x, **options), lambda x: functional.unfold(x, **options), (2, 3, *size))
    assert_same(
        torch,
        lambda x: ops.fold(x, size, **options),
        lambda x: functional.fold(x, size, **options),
        ops.unfold(*draw((2, 3, *size)), **options).shape,
    )


@pytest.mark.parametrize("size, options", UNFOLDS)
def test_unfold_and_fold_are_adjoint(size, options):
    (x,) = draw((2, 3, *size))
    columns = ops.unfold(x, **options).data
    (y,) = draw(columns.shape, seed=1)
    back = ops.fold(y, size, **options).data
    np.testing.assert_allclose((columns * y).sum(), (x * back).sum(), rtol=1e-12)


@pytest.mark.parametrize("size, kernel, options", TRANSPOSED)
def test_conv2d_and_conv_transpose2d_are_adjoint(size, kernel, options):
    u, w = draw((2, 3, *size), (3, 4, *kernel))
    y = ops.conv_transpose2d(u, w, **options).data
    (x,) = draw(y.shape, seed=1)
    options = {k: v for k, v in options.items() if k != "output_padding"}
    there, back = (ops.conv2d(x, w, **options).data * u).sum(), (y * x).sum()
    np.testing.assert_allclose(there, back, rtol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
def test_upsample_conv2d(torch, functional, bias):
    """Values, first and second derivatives are those of the convolution of the larger image."""
    shapes = (2, 3, 4, 5), (4, 3, 3, 3), *([(4,)] if bias else [])
    assert_same(
        torch,
        lambda *a: ops.upsample_conv2d(*a),
        lambda x, *a: functional.conv2d(functional.interpolate(x, scale_factor=2), *a, padding=1),
        *shapes,
    )


def test_upsample_conv2d_takes_small_kernels():
    with pytest.raises(ValueError, match="takes 3 × 3 kernels, not 5 × 5"):
        ops.upsample_conv2d(np.zeros((1, 2, 4, 4)), np.zeros((3, 2, 5, 5)))


@pytest.mark.parametrize("size, scale", [((3, 4), 2), ((1, 5), 3), ((4, 2), (1, 4)), ((3, 3), 1)])
@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_interpolate(torch, functional, mode, size, scale):
    assert_same(
        torch,
        lambda x: ops.interpolate(x, scale_factor=scale, mode=mode),
        lambda x: functional.interpolate(x, scale_factor=scale, mode=mode),
        (2, 3, *size),
    )


EVERY_OP = {
    "conv2d": (lambda *a: ops.conv2d(*a, stride=2, padding=1), [(2, 3, 6, 5), (4, 3, 3, 2), (4,)]),
    "conv_transpose2d": (
        lambda *a: ops.conv_transpose2d(*a, stride=2, output_padding=1),
        [(2, 3, 4, 3), (3, 4, 3, 2), (4,)],
    ),
    "conv2d_weight": (
        lambda x, u: ops.conv2d_weight(x, (4, 3, 3, 2), u, padding=1),
        [(2, 3, 6, 5), (2, 4, 6, 6)],
    ),
    "unfold": (lambda x: ops.unfold(x, 2, padding=1), [(2, 3, 4, 5)]),
    "fold": (lambda x: ops.fold(x, (4, 5), 2), [(2, 8, 12)]),
    "avg_pool2d": (lambda x: ops.avg_pool2d(x, 2), [(2, 3, 4, 6)]),
    "max_pool2d": (lambda x: ops.max_pool2d(x, 2), [(2, 3, 4, 6)]),
    "nearest": (lambda x: ops.interpolate(x, scale_factor=2), [(2, 3, 4, 5)]),
    "bilinear": (lambda x: ops.interpolate(x, scale_factor=2, mode="bilinear"), [(2, 3, 4, 5)]),
}


@pytest.mark.parametrize("f, shapes", EVERY_OP.values(), ids=EVERY_OP)
def test_non_contiguous_inputs_and_cotangent(f, shapes):
    arrays = draw(*shapes)
    (g,) = draw(f(*arrays).shape, seed=1)
    vs = draw(*shapes, seed=2)
    strided = [np.asfortranarray(np.repeat(a, 2, axis=0))[::2] for a in arrays]
    assert not any(a.flags.c_contiguous for a in strided)
    expected = run_ours(f, arrays, g, vs)
    found = run_ours(f, strided, np.asfortranarray(np.repeat(g, 2, axis=0))[::2], vs)
    for a, b in zip([found[0], *found[1], *found[2]], [expected[0], *expected[1], *expected[2]], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def zeros(*shape):
    return np.zeros(shape)


ERRORS = {
    "kernel too large": (lambda: ops.conv2d(zeros(1, 2, 4, 4), zeros(3, 2, 5, 5)), "does not fit into an image"),
    "dilated kernel too large": (
        lambda: ops.conv2d(zeros(1, 2, 4, 4), zeros(3, 2, 3, 3), dilation=2),
        r"dilation \(2, 2\) does not fit",
    ),
    "channels": (
        lambda: ops.conv2d(zeros(1, 2, 4, 4), zeros(3, 1, 3, 3)),
        r"conv2d of 2 channels needs a weight \(out, 2, kh, kw\), not \(3, 1, 3, 3\)",
    ),
    "channels transposed": (
        lambda: ops.conv_transpose2d(zeros(1, 2, 4, 4), zeros(3, 2, 3, 3)),
        r"needs a weight \(2, out, kh, kw\)",
    ),
    "bias": (lambda: ops.conv2d(zeros(1, 2, 4, 4), zeros(3, 2, 3, 3), zeros(2)), r"bias must have shape \(3,\)"),
    "no batch": (lambda: ops.conv2d(zeros(2, 4, 4), zeros(3, 2, 3, 3)), r"must have shape \(N, C, H, W\)"),
    "stride 0": (lambda: ops.conv2d(zeros(1, 2, 4, 4), zeros(3, 2, 3, 3), stride=0), "must be at least 1"),
    "negative padding": (lambda: ops.unfold(zeros(1, 2, 4, 4), 2, padding=-1), "padding .* at least 0"),
    "output_padding": (
        lambda: ops.conv_transpose2d(zeros(1, 2, 4, 4), zeros(2, 3, 3, 3), stride=2, output_padding=2),
        "smaller than stride",
    ),
    "padding takes all": (
        lambda: ops.conv_transpose2d(zeros(1, 2, 2, 2), zeros(2, 3, 3, 3), padding=2),
        "leaves nothing",
    ),
    "grad_output": (
        lambda: ops.conv2d_weight(zeros(1, 2, 4, 4), (3, 2, 3, 3), zeros(1, 3, 3, 3)),
        r"grad_output \(1, 3, 2, 2\), not \(1, 3, 3, 3\)",
    ),
    "fold": (lambda: ops.fold(zeros(1, 8, 10), (4, 4), 2), r"\(N, C·4, 9\)"),
    "fold channels": (lambda: ops.fold(zeros(1, 7, 9), (4, 4), 2), r"\(N, C·4, 9\)"),
    "pool": (lambda: ops.max_pool2d(zeros(1, 2, 2, 2), 3), "does not fit"),
    "pool padding": (lambda: ops.avg_pool2d(zeros(1, 2, 4, 4), 2, padding=2), "more than half"),
    "mode": (lambda: ops.interpolate(zeros(1, 2, 4, 4), scale_factor=2, mode="cubic"), "nearest, bilinear"),
    "scale": (lambda: ops.interpolate(zeros(1, 2, 4, 4), scale_factor=1.5), "not 1.5"),
    "no scale": (lambda: ops.interpolate(zeros(1, 2, 4, 4), scale_factor=(0, 1)), "at least 1"),
    "three numbers": (lambda: ops.unfold(zeros(1, 2, 4, 4), (2, 2, 2)), "pair of integers"),
}


@pytest.mark.parametrize("call, message", ERRORS.values(), ids=ERRORS)
def test_shapes_that_do_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()
