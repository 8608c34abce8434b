"""A whole training step as a GPU runs it: CUDA kernels in the emulator, matrix products by the stand-in for cuBLAS.

It is compared with the same step on the CPU: losses, gradients (through Adam's moments) and weights after three steps.
"""

import numpy as np
import pytest
from fake_cublas import FakeCublas, added_to, multiply_by
from fake_cuda import fake_cuda
from strict_device import StrictArray, strict
from tiny_models import VARIANTS, tiny_gan

import autograd.accelerate.gpu.conv
import autograd.accelerate.gpu.twins
import minigan.accelerate.twins  # noqa: F401 - both fill the table of kernels
from autograd import Tensor, grad, ops, use_fused
from autograd.accelerate.gpu import launch
from autograd.accelerate.twin import GPU
from autograd.arrays import array_module, to_device, to_host
from autograd.each import each
from autograd.random import RandomStream
from minigan.augment import Augment
from minigan.data import stream
from minigan.step import GAN, STATS
from nn.shampoo import Alike, whiten

SMALL = {"g_width": 8, "d_width": 8, "batch": 3, "g_head_width": 8, "image_size": 28, "g_patch": 14, "d_patch": 14}


class RecordedCublas(FakeCublas):
    """Its products are work of device strict, which a capture records."""

    def cublasGemmStridedBatchedEx(self, handle, *args):
        product = super().cublasGemmStridedBatchedEx
        status = []
        strict.work(lambda: status.append(product(handle, *args)), writes=added_to(args), name="product")
        return status[-1]


def host(value):
    return value._host if isinstance(value, StrictArray) else value


@pytest.fixture
def launched(emulator, monkeypatch) -> list[str]:
    """Device strict becomes a GPU; the names of the kernels that ran."""
    names: list[str] = []
    emulator.seed = 0  # the order of the threads

    def run(kernel, grid, block, shared, values):
        hosts = [list(map(host, v)) if isinstance(v, list) else host(v) for v in values]
        names.append(kernel.name)
        written = [h for h in launch.flattened(hosts) if isinstance(h, np.ndarray)]
        strict.work(lambda: emulator(kernel, grid, block, shared, hosts), writes=written)

    monkeypatch.setitem(launch.RUNNERS, strict, run)
    multiply_by(monkeypatch, RecordedCublas(), GPU)
    return names


def three_steps(every: int = 50, **options) -> GAN:
    gan = tiny_gan(**options)
    gan.adam_d.eps = gan.adam_g.eps = 0.01  # 1e-8 would make ±lr of a gradient that is 0 but for rounding
    gan.adam_d.every = gan.adam_g.every = every  # of Shampoo
    for _ in range(3):
        gan.step()
    return gan


def nearly_equal(found: GAN, expected: GAN, rtol: float = 1e-4) -> None:
    np.testing.assert_allclose(to_host(found.stats)[:3], expected.stats[:3], rtol=rtol, atol=1e-5, err_msg=str(STATS))
    a, b = found.state()[0], expected.state()[0]
    for group in ("adam_d", "adam_g", "discriminator", "generator", "ema"):
        for name, x in b[group].items():
            close = 3 * rtol * np.abs(x).max() + 2e-6  # products that round by 2 units more move a bias by 1.5e-6
            np.testing.assert_allclose(a[group][name], x, rtol=0, atol=close, err_msg=f"{group} {name}")


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_three_steps_equal_the_cpus(variant, launched):
    options = {"variant": variant, **({} if variant == "cnn" else SMALL)}
    nearly_equal(three_steps(**options, device="strict"), three_steps(**options))
    assert {"adam_update", "gather_images", "random_normal", "random_integers"} <= set(launched)
    assert launched.count("power_iteration") == (0 if variant == "vanilla" else 6)
    assert {"im2col", "col2im"} <= set(launched)  # of convolutions, or of the patches that D sees
    assert variant == "cnn" or {"layer_norm_forward", "attention_backward", "bias_sine_backward"} <= set(launched)


@pytest.mark.slow
def test_three_whitened_steps_equal_the_cpus(launched):
    """Shampoo's factors are products that cuBLAS adds to what is there, and their roots are computed between steps."""
    options = {**SMALL, "optimizer": "shampoo", "lookahead": 2, "g_width": 32, "d_width": 32, "every": 2}
    found, expected = three_steps(**options, device="strict"), three_steps(**options)
    assert found.adam_d.alike and found.adam_g.alike
    # After two steps most eigenvalues of C are 0. Rounding makes up to 3e-6 of them, where the mean is 1 and the
    # damping 1e-4. So the root is within 2 % along these directions.
    nearly_equal(found, expected, rtol=1e-2)


@pytest.mark.slow
def test_replays_of_whitened_steps_equal_launches(launched):
    """The roots are computed between the replays, and in the arrays that the graph reads."""
    options = {**SMALL, "optimizer": "shampoo", "g_width": 32, "d_width": 32, "every": 1, "device": "strict"}
    with fake_cuda() as cuda:
        graphed = three_steps(**options, graph=True)
        assert cuda.launches == 3 and graphed.adam_g.alike
    for group, arrays in three_steps(**options).state()[0].items():
        for name, x in arrays.items():
            np.testing.assert_array_equal(graphed.state()[0][group][name], x, err_msg=f"{group} {name}")


AUGMENTED = {
    **{**SMALL, "channels": 3, "bcr": 1.0, "equalised": True},
    **{"augment": "translation,color,cutout,flip", "augment_p": 0.7},
}


@pytest.mark.slow
def test_three_augmented_steps_equal_the_cpus(launched):
    """With equalised learning rates, which the kernel of Adam takes as an array of scales."""
    found, expected = three_steps(**AUGMENTED, device="strict"), three_steps(**AUGMENTED)
    nearly_equal(found, expected)
    assert found.rng.state == expected.rng.state
    assert launched.count("augment_draw") == 6 and launched.count("augment_images") == 3 * 4  # D, its noise; G and back


@pytest.mark.slow
@pytest.mark.parametrize("classes", [0, 5])
def test_replays_of_kernels_equal_launches(classes, launched):
    """Bit for bit, with and without the lazy penalty; the labels of each step are gathered in the graph."""
    options = {**SMALL, "augment": "translation,flip", "device": "strict", "penalty_every": 2, "classes": classes}
    options |= {"lookahead": 2}  # every second step goes back, by the graph of all others
    with fake_cuda() as cuda:
        graphed = three_steps(**options, graph=True)
        assert cuda.launches == 3 and len(graphed.graphs) == 2
    eager = three_steps(**options)
    for group, arrays in eager.state()[0].items():
        for name, x in arrays.items():
            np.testing.assert_array_equal(graphed.state()[0][group][name], x, err_msg=f"{group} {name}")


@pytest.mark.slow
@pytest.mark.parametrize("classes", [0, 5])
def test_streamed_images_go_through_the_same_kernel(classes, launched, monkeypatch):
    held = three_steps(**SMALL, device="strict", classes=classes)
    monkeypatch.setattr(stream, "_free", lambda device: 0)
    streamed = three_steps(**SMALL, device="strict", classes=classes)
    assert streamed.prefetch is not None and launched.count("gather_images") == 6
    np.testing.assert_array_equal(to_host(streamed.stats), to_host(held.stats))


@pytest.mark.parametrize("policy", ["color,flip,translation,cutout", "brightness", "cutout,contrast"])
def test_augmentation_to_the_second_order(policy, launched):
    """Of cubes of the results, so that every derivative depends on x."""
    x, augment = normal(4, 3, 9, 8), Augment(policy, 0.7, -0.5)
    found = []
    for device in ("strict", "cpu"):
        image = Tensor(to_device(x, device), requires_grad=True)
        y = augment.apply(image, augment.draw(RandomStream(3, device), x.shape))
        first = grad((y * y * y).sum(), [image])
        (slope,) = grad((y * y * y).sum(), [image], create_graph=True)
        second = grad((slope * slope * slope).sum(), [image], create_graph=True)
        third = grad((second[0] * second[0]).sum(), [image])
        found.append([to_host(a) for a in (y.data, *first, slope.data, second[0].data, *third)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())
    assert {"augment_draw", "augment_images"} == set(launched)


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def heads(*shape: int) -> np.ndarray:
    """(B, H, N, d) in the memory of (B, N, H, d)."""
    batch, count, tokens, d = shape
    return normal(batch, tokens, count, d).swapaxes(1, 2)


def l2(q, k, v):
    return ops.attention(q, k, v, similarity="l2")


def joined(ys):
    return ops.concatenate([y.reshape(-1) for y in ys])


def spectral_norms(a, b):
    """With u and v far from where σ cancels; one target is a number and one lies on the device."""
    u, v = (to_device(np.ones(n, np.float32), device_of(a)) for n in a.shape)
    p, q = (to_device(x.astype(np.float32), device_of(a)) for x in np.linalg.svd(normal(9, 3))[::2])
    target = to_device(np.array(1.5, np.float32), device_of(a))
    return joined(each(ops.spectral_normalize, [(a + 1, u, v, 1.0), (b, p[:, 0].copy(), q[0].copy(), target)]))


def device_of(x):
    return "cpu" if isinstance(x.data, np.ndarray) else "strict"


SPECTRAL = ["spectral_sigma", "spectral_scale", "spectral_inner", "spectral_gradient"]
CASES = {  # f, inputs, kernels that run
    "softmax": (ops.softmax, [normal(3, 5, 9)], ["softmax_forward", "softmax_backward"]),
    "softmax over columns": (lambda x: ops.softmax(x.swapaxes(0, 2)), [normal(3, 5, 9)], ["softmax_forward"]),
    "softmax, another axis": (lambda x: ops.softmax(x, axis=0), [normal(3, 5)], []),
    "layer norm": (
        lambda x, w, b: ops.layer_norm(x, 8, w, b),
        [normal(3, 5, 8), normal(8), normal(8)],
        ["layer_norm_forward", "layer_norm_backward_x", "layer_norm_backward_affine"],
    ),
    "self-modulated": (
        lambda x, w, b: ops.layer_norm(x, 8, w, b),
        [normal(3, 5, 8), normal(3, 1, 8), normal(3, 1, 8)],
        ["layer_norm_forward"],
    ),
    "layer norm without weight": (lambda x: ops.layer_norm(x, 8), [normal(3, 8)], []),
    "layer norm over two axes": (
        lambda x, w, b: ops.layer_norm(x, (5, 8), w, b),
        [normal(3, 5, 8), normal(5, 8), normal(5, 8)],
        [],
    ),
    "batch norm": (
        lambda x, w, b: ops.batch_norm(x, None, None, w, b, training=True),
        [normal(4, 3, 2, 2), normal(3), normal(3)],
        [],
    ),
    "layer norm of constants": (
        lambda x: ops.layer_norm(x, 8, *(to_device(normal(8), device_of(x)) for _ in range(2))),
        [normal(3, 5, 8)],
        ["layer_norm_forward", "layer_norm_backward_x"],
    ),
    "softplus": (ops.softplus, [normal(3, 5, 9)], ["softplus_forward", "softplus_backward"]),
    "leaky relu": (
        lambda x: ops.leaky_relu(x.swapaxes(0, 1), 0.2),
        [normal(3, 5, 9)],
        ["leaky_relu_forward", "leaky_relu_backward"],
    ),
    "gelu": (ops.gelu, [normal(3, 5, 9)], ["bias_gelu_forward", "bias_gelu_backward"]),
    "gelu by tanh": (lambda x: ops.gelu(x, approximate="tanh"), [normal(9)], ["bias_gelu_forward"]),
    "sine": (
        lambda x, b: ops.bias_sine(x, b, omega=3.0),
        [normal(3, 5, 9), normal(9)],
        ["bias_sine_forward", "bias_sine_backward"],
    ),
    "dot": (ops.attention, [heads(2, 2, 9, 4)] * 3, ["attention_forward", "attention_backward"]),
    "l2": (l2, [heads(2, 2, 9, 4)] * 3, ["attention_forward", "attention_backward"]),
    "l2, tied": (lambda q, v: l2(q, q, v), [heads(2, 2, 9, 4)] * 2, ["attention_forward", "attention_backward"]),
    "by rows of heads": (l2, [normal(2, 2, 9, 4)] * 3, ["attention_forward"]),
    "fewer queries": (
        l2,
        [heads(2, 2, 1, 4), heads(2, 2, 9, 4), heads(2, 2, 9, 4)],
        ["attention_forward", "attention_backward"],
    ),
    "the first token asks, tied": (
        lambda k, v: l2(k[:, :, :1], k, v),
        [heads(2, 2, 9, 4)] * 2,
        ["attention_forward", "attention_backward"],
    ),
    "values of other sizes": (l2, [heads(2, 2, 3, 4), heads(2, 2, 9, 4), heads(2, 2, 9, 6)], []),
    "l1": (lambda q, k, v: ops.attention(q, k, v, similarity="l1"), [heads(2, 2, 5, 4)] * 3, []),
    "as printed": (lambda q, k, v: ops.attention(q, k, v, similarity="l2_printed"), [heads(1, 2, 5, 4)] * 3, []),
    "conv": (
        lambda x, w, b: ops.conv2d(x, w, b, stride=2, padding=1),
        [normal(3, 2, 8, 7), normal(5, 2, 4, 4), normal(5)],
        ["im2col", "col2im"],
    ),
    "conv, dilated, no bias": (
        lambda x, w: ops.conv2d(x, w, stride=(1, 2), padding=(2, 0), dilation=(2, 1)),
        [normal(2, 3, 7, 6), normal(4, 3, 3, 2)],
        ["im2col", "col2im"],
    ),
    "conv 1×1": (ops.conv2d, [normal(2, 3, 4, 5), normal(6, 3, 1, 1), normal(6)], ["col2im"]),
    "conv 1×1 of every second pixel": (
        lambda x, w: ops.conv2d(x, w, stride=2),
        [normal(2, 3, 4, 5), normal(6, 3, 1, 1)],
        ["im2col", "col2im"],
    ),
    "conv of strided images": (
        lambda x, w: ops.conv2d(x.swapaxes(2, 3), w),
        [normal(2, 3, 5, 4), normal(2, 3, 2, 2)],
        ["im2col"],
    ),
    "transposed conv": (
        lambda x, w, b: ops.conv_transpose2d(x, w, b, 2, 1, (1, 0)),
        [normal(3, 4, 5, 3), normal(4, 2, 3, 4), normal(2)],
        ["im2col", "col2im"],
    ),
    "gradient of a conv's weight": (
        lambda x, u: ops.conv2d_weight(x, (4, 2, 3, 3), u, padding=1),
        [normal(3, 2, 5, 4), normal(3, 4, 5, 4)],
        ["im2col", "col2im"],
    ),
    "unfold": (lambda x: ops.unfold(x, [3, 2], padding=1, stride=2), [normal(2, 3, 6, 5)], ["im2col", "col2im"]),
    "fold": (
        lambda x: ops.fold(x, (6, 5), (3, 2), stride=(1, 2)),
        [normal(2, 3 * 6, 4 * 2)],
        ["im2col", "col2im"],
    ),
    "too large for a block": (l2, [heads(1, 1, 300, 64)] * 3, []),
    "spectral norms together": (spectral_norms, [normal(5, 8), normal(9, 3)], SPECTRAL),
    "of a transpose": (lambda a, b: spectral_norms(a.T, b), [normal(5, 8), normal(9, 3)], []),
    "linear maps of one x": (
        lambda x, *p: joined(each(ops.linear, [(x, w, b) for w, b in zip(p[:3], p[3:], strict=True)])),
        [normal(2, 3, 5), *[normal(4, 5)] * 3, *[normal(4)] * 3],
        ["copy_arrays"],
    ),
    "linear maps that lie evenly": (
        lambda x, w: joined(each(ops.linear, [(x, w[i], None) for i in (0, 2, 4)])),
        [normal(3, 5), normal(5, 4, 5)],
        [],  # neither the weights nor the gradients are copied
    ),
    "linear maps of two shapes": (
        lambda x, v, w: joined(each(ops.linear, [(x, v, None), (x, w, None)])),
        [normal(2, 5), normal(4, 5), normal(3, 5)],
        [],
    ),
}


@pytest.mark.parametrize("most", [2**26, 300])
def test_convolutions_may_take_the_images_in_parts(most, launched, monkeypatch):
    monkeypatch.setattr(autograd.accelerate.gpu.conv, "MOST", most)
    x, w, u = normal(9, 2, 6, 5), normal(4, 2, 3, 3), normal(9, 4, 6, 5)
    for f in (
        lambda x, w, u: ops.conv2d(x, w, padding=1),
        lambda x, w, u: ops.conv_transpose2d(u, w, padding=1),
        lambda x, w, u: ops.conv2d_weight(x, w.shape, u, padding=1),
    ):
        launched.clear()
        found = f(*(Tensor(strict.asarray(a)) for a in (x, w, u)))
        assert len(launched) == (1 if most > 300 else 9)
        expected = f(*map(Tensor, (x, w, u))).data
        np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    "call",
    [
        lambda x, w: ops.conv2d(x, w[:, :2]),
        lambda x, w: ops.conv2d(x, w, w[0, 0, 0]),
        lambda x, w: ops.conv2d(x, w, dilation=5),
        lambda x, w: ops.conv2d(x[0], w),
        lambda x, w: ops.conv_transpose2d(x, w),
        lambda x, w: ops.conv_transpose2d(x[:, :2], w, output_padding=1),
        lambda x, w: ops.conv_transpose2d(x[:, :2], w, padding=5),
        lambda x, w: ops.conv2d_weight(x, w.shape, x),
        lambda x, w: ops.unfold(x, 9),
        lambda x, w: ops.unfold(x, 2.5),
        lambda x, w: ops.fold(x[0], 5, 2),
        lambda x, w: ops.fold(x[0], "5", 2),
    ],
)
def test_what_is_wrong_is_said_as_on_the_cpu(call, launched):
    arrays = normal(2, 3, 5, 6), normal(2, 3, 3, 3)
    errors = []
    for device in ("cpu", "strict"):
        with pytest.raises(ValueError) as e:
            call(*(Tensor(to_device(a, device)) for a in arrays))
        errors.append(str(e.value))
    assert errors[0] == errors[1] and not launched


@pytest.mark.parametrize("name", CASES)
def test_ops_run_as_kernels_where_they_fit(name, launched):
    """Values, gradients and, by the rule, second derivatives equal the CPU's."""
    f, arrays, kernels = CASES[name]
    weights = normal(*f(*map(Tensor, arrays)).shape)

    def both_orders(device):
        xs = [Tensor(to_device(a, device), requires_grad=True) for a in arrays]
        y = f(*xs)
        loss = (y * y * to_device(weights, device)).sum()
        first = grad(loss, xs)
        slopes = grad(loss, xs, create_graph=True)
        second = grad(sum((s * s).sum() for s in slopes), xs)
        return [to_host(a) for a in (y.data, *first, *second)]

    for found, expected in zip(both_orders("strict"), both_orders("cpu"), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    assert set(kernels) <= set(launched) and bool(kernels) == bool(launched)


def test_maps_of_a_large_x_are_products_of_their_own(launched, monkeypatch):
    x, w = strict.asarray(normal(3, 5)), [Tensor(strict.asarray(normal(4, 5)), requires_grad=True) for _ in range(2)]
    for most, one_node in ((15, True), (14, False)):
        monkeypatch.setattr(autograd.accelerate.gpu.twins, "LARGE", most)
        ys = each(ops.linear, [(Tensor(x), v, None) for v in w])
        assert (ys[0].node.parents == ys[1].node.parents) == one_node


def test_float64_and_unfused_passes_go_the_readable_way(launched):
    x = strict.asarray(normal(3, 8).astype(np.float64))
    ops.softmax(Tensor(x))
    with use_fused(False):
        ops.softmax(Tensor(x.astype("float32")))
    assert not launched
    assert ops.softmax(Tensor(x.astype("float32"))).dtype == np.float32 and launched == ["softmax_forward"]


@pytest.mark.parametrize("by_columns", [True, False], ids=["by columns", "by rows"])
@pytest.mark.parametrize("missing", [False, True], ids=["all", "one without"])
def test_matrices_of_one_shape_are_whitened_at_once(by_columns, missing, launched):
    """As each alone in float64; also where a gradient is transposed in memory, or there is none."""
    rng, n, (rows, columns) = np.random.default_rng(0), 3, (7, 5)
    size = columns if by_columns else rows
    grads = [rng.normal(size=(rows, columns)) for _ in range(n)]
    grads[1] = np.ascontiguousarray(grads[1].T).T
    kept = [rng.normal(size=(n, size, size)) for _ in range(2)]  # C and its root

    def whitened(device, dtype):
        factors, roots = (to_device(a.astype(dtype), device) for a in kept)
        given: list = [to_device(g.astype(dtype, order="K"), device) for g in grads]
        if missing:
            given[2] = None
        found = whiten(array_module(factors), Alike([0, 1, 2], by_columns, factors, roots), given, 0.9)
        return [to_host(factors), *(None if g is None else to_host(g) for g in found)]

    for a, b in zip(whitened("strict", np.float32), whitened("cpu", np.float64), strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    assert launched == ([] if missing else ["copy_arrays"])
