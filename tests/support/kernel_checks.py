"""Checks of CUDA kernels, each a comparison with the NumPy twin on a device.

The twins compute in float64 and the kernels in float32; `close` compares to a few last digits of the largest value.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from autograd import Tensor, grad, ops, use_fused
from autograd.accelerate.gpu import launch
from autograd.accelerate.gpu import random as random_kernel
from autograd.accelerate.gpu.activation import leaky_relu, leaky_relu_backward, softplus, softplus_backward
from autograd.accelerate.gpu.adam import adam_step, move_average
from autograd.accelerate.gpu.attention import attention, attention_backward
from autograd.accelerate.gpu.bias_activation import bias_gelu, bias_gelu_backward, bias_sine, bias_sine_backward
from autograd.accelerate.gpu.column_sums import column_sums
from autograd.accelerate.gpu.copy_arrays import copy_arrays
from autograd.accelerate.gpu.im2col import col2im, im2col
from autograd.accelerate.gpu.layer_norm import layer_norm, layer_norm_backward
from autograd.accelerate.gpu.power_iteration import power_iteration
from autograd.accelerate.gpu.softmax import softmax, softmax_backward
from autograd.accelerate.gpu.spectral import spectral_gradient, spectral_limit, spectral_normalize
from autograd.arrays import to_device, to_host
from autograd.ops.windows import Windows
from autograd.random import RandomStream
from minigan.accelerate import augment as augment_kernel
from minigan.accelerate import twins  # noqa: F401 - adds the kernels of minigan to those of autograd
from minigan.accelerate.gather_images import gather_images
from minigan.augment import Augment
from nn import EMA, Adam, Linear, he_constants
from nn.spectral import SpectralBound, SpectralNorm


def run(device: str, f: Callable, *args: Any, **options: Any) -> Any:
    """f on the device, arrays moved there and results back."""
    y = f(*(to_device(a, device) if isinstance(a, np.ndarray) else a for a in args), **options)
    if isinstance(y, tuple):
        return tuple(None if a is None else to_host(a) for a in y)
    return to_host(y)


def reference(f: Callable, g: np.ndarray, *arrays: np.ndarray) -> list:
    """f and the gradients of its inputs by the readable rules, in float64."""
    tensors = [Tensor(a.astype(np.float64), requires_grad=True) for a in arrays]
    y = f(*tensors)
    with use_fused(False):
        return [y.data, *grad(y, tensors, g=g.astype(np.float64))]


def close(found: Any, expected: Any, digits: float = 3e-6) -> None:
    assert found.dtype == np.float32 and found.shape == expected.shape
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=digits * scale)


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


# One function for each kernel and its twin. The sizes give every warp work and leave ragged ends everywhere.


def check_layer_norm(device: str, rng: np.random.Generator) -> None:
    for shape, weights in (((2, 65, 70), (70,)), ((3, 19, 40), (3, 1, 40)), ((5, 3), (3,))):
        x, g = normal(rng, *shape) + 5, normal(rng, *shape)  # far from 0, where E x² − (E x)² would fail
        gamma, beta = normal(rng, *weights), normal(rng, *weights)
        expected = reference(lambda x, w, b: ops.layer_norm(x, x.shape[-1], w, b), g, x, gamma, beta)
        y, mean, rstd = run(device, layer_norm, x, gamma, beta)
        found = run(device, layer_norm_backward, g, x, gamma, mean, rstd)
        for a, b in zip((y, *found), expected, strict=True):
            close(a, b, 1e-5)
        alone = run(device, layer_norm_backward, g, x, gamma, mean, rstd, False)
        np.testing.assert_array_equal(alone[0], found[0])
        assert alone[1:] == (None, None)


def check_softmax(device: str, rng: np.random.Generator) -> None:
    x, g = 20 * normal(rng, 3, 5, 77), normal(rng, 3, 5, 77)
    expected = reference(ops.softmax, g, x)
    y = run(device, softmax, x)
    close(y, expected[0])
    close(run(device, softmax_backward, g, y), expected[1], 1e-5)
    inf, nan = np.inf, np.nan  # a masked place, and rows without a distribution, as ops.softmax has them
    rows = np.float32([[-inf, 0, 0], [-inf, -inf, -inf], [inf, 0, 0], [nan, 0, 0], [1e30, 0, -1e30]])
    expected = np.float32([[0, 0.5, 0.5], [nan] * 3, [nan] * 3, [nan] * 3, [1, 0, 0]])
    np.testing.assert_array_equal(run(device, softmax, rows), expected)


def check_activation(device: str, rng: np.random.Generator) -> None:
    x, g = normal(rng, 3, 111), normal(rng, 3, 111)
    expected = reference(lambda x: ops.leaky_relu(x, 0.2), g, x)
    close(run(device, leaky_relu, x, 0.2), expected[0])
    close(run(device, leaky_relu_backward, g, x, 0.2), expected[1])
    x *= 20  # to ±60, where 1 + e⁻ˣ is 1 or far beyond 1
    expected = reference(ops.softplus, g, x)
    close(run(device, softplus, x), expected[0])
    close(run(device, softplus_backward, g, x), expected[1])


def check_bias_gelu(device: str, rng: np.random.Generator) -> None:
    x, bias, g = 3 * normal(rng, 2, 70, 45), normal(rng, 45), normal(rng, 2, 70, 45)
    for approximate in ("none", "tanh"):
        expected = reference(lambda x, b, a=approximate: ops.gelu(x + b, approximate=a), g, x, bias)
        close(run(device, bias_gelu, x, bias, approximate), expected[0])
        gx, gbias = run(device, bias_gelu_backward, g, x, bias, approximate)
        close(gx, expected[1])
        close(gbias, expected[2])
        alone, none = run(device, bias_gelu_backward, g, x, bias, approximate, False)
        np.testing.assert_array_equal(alone, gx)
        assert none is None
        z = x + bias
        close(run(device, bias_gelu, z, None, approximate), expected[0])
        far = np.float32([-np.inf, -1e30, 1e30, np.inf, np.nan])  # the limits of y and of its slope, and NaN stays NaN
        np.testing.assert_array_equal(run(device, bias_gelu, far, None, approximate), np.where(far < 0, 0, far))
        slopes, _ = run(device, bias_gelu_backward, np.ones_like(far), far, None, approximate)
        np.testing.assert_array_equal(slopes, [0, 0, 1, 1, np.nan])
        gx, gbias = run(device, bias_gelu_backward, g, z, None, approximate)
        close(gx, expected[1])
        assert gbias is None


def check_bias_sine(device: str, rng: np.random.Generator) -> None:
    x, bias, g = normal(rng, 150, 33), normal(rng, 33), normal(rng, 150, 33)
    omega = 30.0  # angles of ±100, rounded in float32 to some 4e-6
    expected = reference(lambda x, b: ops.sin((x + b) * omega), g, x, bias)
    close(run(device, bias_sine, x, bias, omega), expected[0], 2e-5)
    for a, b in zip(run(device, bias_sine_backward, g, x, bias, omega), expected[1:], strict=True):
        close(a, b, 2e-5)


def check_column_sums(device: str, rng: np.random.Generator) -> None:
    for shape in ((21, 70), (3, 5), (8, 32)):
        x = normal(rng, *shape)
        close(run(device, column_sums, x), x.astype(np.float64).sum(axis=0))


def check_attention(device: str, rng: np.random.Generator) -> None:
    """B, N, H, d: whole warps and more; another scale; fewer tokens than warps; fewer and more queries than keys."""
    compare_attention(device, rng, (1, 37, 2, 33), "l2")
    compare_attention(device, rng, (2, 19, 3, 8), "l2")
    compare_attention(device, rng, (2, 33, 1, 12), "dot", 0.3)
    compare_attention(device, rng, (1, 3, 2, 64), "l2")
    compare_attention(device, rng, (2, 37, 2, 12), "l2", queries=1)
    compare_attention(device, rng, (2, 9, 2, 5), "dot", queries=35)


def compare_attention(
    device: str,
    rng: np.random.Generator,
    shape: tuple,
    similarity: str,
    scale: float | None = None,
    queries: int | None = None,
) -> None:
    asking = (shape[0], queries or shape[1], *shape[2:])
    q, k, v, g = (normal(rng, *s) for s in (asking, shape, shape, asking))

    def twin(q, k, v):
        heads = (a.swapaxes(1, 2) for a in (q, k, v))
        return ops.attention(*heads, similarity=similarity, scale=scale).swapaxes(1, 2)

    y_twin, gq_twin, gk_twin, gv_twin = reference(twin, g, q, k, v)
    y, lse = run(device, attention, q, k, v, similarity, scale)
    gq, gk, gv = run(device, attention_backward, g, q, k, v, lse, similarity, scale)
    close(y, y_twin, 1e-5)
    close(gv, gv_twin, 1e-5)
    close(gq, gq_twin, 1e-5)
    close(gk, gk_twin, 1e-5)


MATRICES = [(40, 70), (17, 33), (3, 100), (70, 3), (130, 64)]  # the last is split into parts


def check_power_iteration(device: str, rng: np.random.Generator) -> None:
    """Twice, from anywhere and not from the singular vectors; more matrices than one launch takes."""
    shapes = MATRICES + [(2, 3 + i) for i in range(launch.MOST_ARRAYS)]
    weights = [normal(rng, *shape) for shape in shapes]
    norms = [SpectralNorm(Tensor(w.astype(np.float64))) for w in weights]
    for norm in norms:
        for buffer in (norm.u, norm.v):
            buffer.data[...] = rng.standard_normal(buffer.shape)
    us, vs = ([to_device(getattr(n, name).data.astype(np.float32), device) for n in norms] for name in "uv")
    on_device = [to_device(w, device) for w in weights]
    for _ in range(2):
        for w, norm in zip(weights, norms, strict=True):
            norm.power_iteration(Tensor(w.astype(np.float64)))
        power_iteration(on_device, us, vs)
    for u, v, norm in zip(us, vs, norms, strict=True):
        close(to_host(u), norm.u.data, 1e-5)
        close(to_host(v), norm.v.data, 1e-5)


def check_spectral(device: str, rng: np.random.Generator) -> None:
    """With u and v as after power iterations: where σ cancels, no digits are left."""
    weights, gs = ([normal(rng, *shape) for shape in MATRICES] for _ in range(2))
    norms = [SpectralNorm(Tensor(w)) for w in weights]
    us, vs = [n.u.data for n in norms], [n.v.data for n in norms]
    targets = [None if i == 2 else np.array(1.5 + i, np.float32) for i in range(len(MATRICES))]
    args = [[None if a is None else to_device(a, device) for a in arrays] for arrays in (weights, us, vs, targets)]
    ys, sigmas = spectral_normalize(*args)
    gws = spectral_gradient([to_device(g, device) for g in gs], *args, sigmas)
    for w, u, v, target, g, y, gw in zip(weights, us, vs, targets, gs, ys, gws, strict=True):
        u, v, target = (np.asarray(1.0 if a is None else a, np.float64) for a in (u, v, target))
        expected = reference(lambda w, u=u, v=v, t=target: ops.spectral_normalize(w, u, v, t), g, w)
        close(to_host(y), expected[0])
        close(to_host(gw), expected[1], 1e-5)


def check_spectral_limit(device: str, rng: np.random.Generator) -> None:
    """Matrices below, above and far above their bounds."""
    weights = [normal(rng, *shape) for shape in MATRICES]
    norms = [SpectralBound(Tensor(w), 0.5) for w in weights]
    for i, norm in enumerate(norms):
        norm.sigma_init.data *= (4, 1, 0.1)[i % 3]
    on_device = [to_device(w.copy(), device) for w in weights]
    us, vs, targets = ([to_device(getattr(n, name).data, device) for n in norms] for name in ("u", "v", "sigma_init"))
    spectral_limit(on_device, us, vs, targets, 0.5)
    for i, (w, norm, found) in enumerate(zip(weights, norms, on_device, strict=True)):
        expected = Tensor(w.astype(np.float64))
        norm.limit(expected)
        close(to_host(found), expected.data)
        assert (to_host(found) == w).all() == (i % 3 == 0)


def check_adam(device: str, rng: np.random.Generator, max_norm: float = 80.0, equalised: bool = False) -> None:
    """Three updates of a layer whose size is no multiple of four; one of them is clipped and two are not."""
    c = SimpleNamespace(lr=3e-3, betas=(0.5, 0.99), eps=1e-8, max_norm=max_norm)
    layer = Linear(82, 61)
    for p in layer.parameters():
        p.data = p.data.astype(np.float64)
    scales = he_constants(layer) if equalised else None
    optimiser, ema = Adam(layer.parameters(), c.lr, c.betas, c.eps, c.max_norm, scales), EMA(layer)
    at_once = None if scales is None else to_device(optimiser.scales.astype(np.float32), device)
    n = optimiser.flat.data.size
    assert n % 4 == 3
    host = [optimiser.flat.data, np.zeros(n), np.zeros(n), ema.flat.data]
    weights, m, v, average = (to_device(a.astype(np.float32), device) for a in host)
    for k, size in enumerate((1.0, 2.0, 0.01)):
        g = size * normal(rng, n)
        c.lr, share = 3e-3 / (k + 1), 1 / (k + 2)
        optimiser.lr = c.lr
        length = optimiser.step([g[: 61 * 82].reshape(61, 82).astype(np.float64), g[61 * 82 :].astype(np.float64)])
        ema.prepare(share)
        ema.update(optimiser.flat)
        numbers, move = (to_device(np.array(list(a), np.float32), device) for a in (optimiser.numbers, ema.share))
        norm = adam_step(weights, to_device(g, device), m, v, numbers, c.betas, c.eps, c.max_norm, at_once)
        move_average(average, weights, move)
        close(to_host(norm)[0], np.asarray(length))
        for a, b in ((weights, host[0]), (m, optimiser.m), (v, optimiser.v), (average, ema.flat.data)):
            close(to_host(a), b)


def check_equalised_adam(device: str, rng: np.random.Generator) -> None:
    """The same with a scale for the weight and another for the bias. Gradients are shorter by He's constant."""
    check_adam(device, rng, max_norm=12.0, equalised=True)


def check_copy_arrays(device: str, rng: np.random.Generator) -> None:
    """More arrays than one launch takes, of all sizes, some of them missing; the target begins at any float."""
    sizes = [1, 5, 3000, 257] + [int(n) for n in rng.integers(1, 40, 70)]
    sources = [normal(rng, n) if i % 5 else None for i, n in enumerate(sizes)]
    flat = to_device(np.full(sum(sizes), np.nan, np.float32), device)
    ends = np.cumsum(sizes)
    copy_arrays(
        [flat[end - n : end] for n, end in zip(sizes, ends, strict=True)],
        [None if a is None else to_device(a, device) for a in sources],
    )
    expected = [np.zeros(n, np.float32) if a is None else a for n, a in zip(sizes, sources, strict=True)]
    np.testing.assert_array_equal(to_host(flat), np.concatenate(expected))


def check_random(device: str, rng: np.random.Generator) -> None:
    seed, used = int(rng.integers(2**63)), 2**32 - 20  # the counter's lower word overflows on the way
    twin = RandomStream(seed)
    twin.state = (seed, used)
    state = to_device(np.array(twin.state, np.uint64), device)
    draws = [
        (random_kernel.uniform, (-0.5, 1.7), (7, 61), lambda: twin.uniform(-0.5, 1.7, size=(7, 61))),
        (random_kernel.integers, (60_000,), (301,), lambda: twin.integers(60_000, size=(301,))),
        (random_kernel.integers, (2**32,), (5,), lambda: twin.integers(2**32, size=(5,))),
    ]
    for kernel, options, size, draw in draws:
        ahead = twin.used - used
        found, expected = to_host(kernel(state, ahead, *options, size)), draw()
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    for size in ((1001,), (2, 300)):  # an odd number of normals leaves half a pair
        found = to_host(random_kernel.normal(state, twin.used - used, size))
        close(found, twin.normal(size, dtype="float64"), 1e-5)


POLICIES = [
    ("translation,cutout,brightness,contrast", 1),
    ("color,translation,cutout", 3),
    ("flip,contrast,translation,saturation,cutout,brightness", 3),
    ("cutout,flip,translation", 1),
    ("contrast", 2),
    ("", 3),
]


def check_augment(device: str, rng: np.random.Generator) -> None:
    for policy, channels in POLICIES:
        twin = Augment(policy, p=0.7, fill=-0.25)
        shape = (6, channels, 13, 20)
        x, g = normal(rng, *shape), normal(rng, *shape)
        seed = int(rng.integers(2**40))
        state = to_device(np.array([seed, 0], np.uint64), device)
        numbers = augment_kernel.draw(state, 3, twin.names, twin.p, shape)
        generator = RandomStream(seed)
        generator.state = (seed, 3)
        parameters = twin.draw(generator, shape)
        for t, name in enumerate(twin.names):
            for found, expected in zip(to_host(numbers)[t], parameters[name], strict=False):
                if name == "cutout":  # off is anywhere below and right of the image
                    found, expected = np.minimum(found, 20), np.minimum(expected, 20)
                if name == "cutout" and found is not None:
                    off = parameters[name][0].ravel() >= 13
                    found, expected = np.where(off, 0, found), np.where(off, 0, expected.ravel())
                np.testing.assert_array_equal(found, expected.ravel())
        expected_y, expected_g = reference(lambda x, t=twin, p=parameters: t.apply(x, p), g, x)
        arrays = (to_device(x, device), twin.names, numbers)
        close(to_host(augment_kernel.augment(*arrays, twin.fill)), expected_y)
        close(to_host(augment_kernel.augment_backward(to_device(g, device), *arrays[1:])), expected_g)


def check_gather_images(device: str, rng: np.random.Generator) -> None:
    for shape in ((9, 15, 21), (4, 10, 12, 3)):
        images = rng.integers(256, size=shape).astype(np.uint8)
        index = rng.integers(len(images), size=7)
        x = images.reshape(*images.shape[:3], -1)[index].astype("float32").transpose(0, 3, 1, 2)
        expected = x * (2 / 255) - 1
        found = run(device, gather_images, images, index)
        assert found.dtype == expected.dtype == np.float32
        np.testing.assert_array_equal(found, expected)


WINDOWS = [  # images (N, C, H, W); kernel, stride, padding, dilation
    ((3, 2, 11, 14), (3, 3), (1, 1), (1, 1), (1, 1)),
    ((2, 3, 13, 12), (4, 4), (2, 2), (1, 1), (1, 1)),  # a row is left over
    ((2, 1, 15, 17), (2, 3), (3, 2), (0, 2), (3, 2)),  # there are pixels that no window sees
    ((1, 5, 9, 8), (1, 7), (1, 1), (0, 3), (1, 1)),
    ((20, 1, 4, 4), (4, 4), (4, 4), (0, 0), (1, 1)),  # one window an image
    ((4, 3, 6, 6), (1, 1), (1, 1), (0, 0), (1, 1)),
]


def check_im2col(device: str, rng: np.random.Generator) -> None:
    """To columns bit for bit; back, with a bias and without."""
    for shape, kernel, stride, padding, dilation in WINDOWS:
        at = Windows.of(kernel, stride, padding, dilation)
        x, bias = normal(rng, *shape), normal(rng, shape[1])
        options = {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}
        columns = ops.unfold(x, **options).data
        np.testing.assert_array_equal(run(device, im2col, x, at), columns.transpose(1, 0, 2))
        g = normal(rng, *columns.shape)
        expected = ops.fold(g.astype(np.float64), output_size=shape[2:], **options).data
        close(run(device, col2im, g, None, shape[2:], at), expected)
        close(run(device, col2im, g, bias, shape[2:], at), expected + bias.reshape(-1, 1, 1))


CHECKS = {name[6:]: f for name, f in list(globals().items()) if name.startswith("check_")}
