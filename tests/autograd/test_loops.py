"""The loops that numba compiles give what the rules they stand in for give."""

import os
import subprocess
import sys

import numpy as np
import pytest
from tensors import EPS

from autograd import Tensor, accelerate, grad, ops, use_fused
from autograd.ops.examples import EXAMPLES

numba = pytest.importorskip("numba")

import autograd.accelerate.cpu.twins  # noqa: E402, F401 - fills the table
from autograd.accelerate.cpu import layout, threads  # noqa: E402
from autograd.accelerate.twin import CPU  # noqa: E402
from autograd.operation import Op  # noqa: E402
from autograd.registry import OPS  # noqa: E402

pytestmark = pytest.mark.usefixtures("loops")


def normal(*shape, seed=0, scale=1.0):
    return scale * np.random.default_rng([seed, *shape]).standard_normal(shape)


def image(*shape):
    return normal(*shape)


def spectral(rows, columns):
    """W, u, v and the target, with σ away from 0 as after a power iteration."""
    w = normal(rows, columns)
    left, _, right = np.linalg.svd(w, full_matrices=False)
    return w, left[:, 0], right[0], np.asarray(1.5)


def conv(x, w, bias=True, **where):
    options = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), **where}
    return ops.conv2d, (image(*x), normal(*w), normal(w[0]) if bias else None), options


def transposed(x, w, **where):
    options = {"stride": (1, 1), "padding": (0, 0), "output_padding": (0, 0), "dilation": (1, 1), **where}
    return ops.conv_transpose2d, (image(*x), normal(*w), normal(w[1])), options


def weight(x, size, u, **where):
    options = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), **where}
    return ops.conv2d_weight, (image(*x), normal(*u)), {"weight_size": size, **options}


def pool(op, x, kernel_size, stride, padding):
    return op, (image(*x),), {"kernel_size": kernel_size, "stride": stride, "padding": padding}


def attend(similarity, queries, keys, d, scale=None):
    q, k, v = normal(3, 2, queries, d), normal(3, 2, keys, d, seed=1), normal(3, 2, keys, d, seed=2)
    return ops.attention, (q, k, v), {"similarity": similarity, "scale": scale}


last, one_each = {"axes": (-1,), "eps": 1e-5}, (3, 1, 35)
CASES = {
    "softmax": (ops.softmax, (normal(5, 3, 35, scale=4),), {"axis": -1}),
    "softmax of one": (ops.softmax, (normal(4, 1),), {"axis": 1}),
    "layer norm": (ops.normalize, (normal(600, 35), normal(35), normal(35, seed=1)), last),
    "layer norm off centre": (ops.normalize, (normal(3, 7, 35) + 5, normal(35), normal(35, seed=1)), last),
    "SLN": (ops.normalize, (normal(3, 7, 35), normal(*one_each), normal(*one_each, seed=1)), last),
    "gelu": (ops.gelu, (normal(40, 35, scale=3),), {"approximate": "none"}),
    "gelu far out": (ops.gelu, (np.array([-80.0, -9, -5, 0, 5, 9, 80]),), {"approximate": "none"}),
    "gelu tanh": (ops.gelu, (normal(40, 35, scale=3),), {"approximate": "tanh"}),
    "bias gelu": (ops.bias_gelu, (normal(2, 300, 35), normal(35)), {"approximate": "none"}),
    "bias gelu tanh": (ops.bias_gelu, (normal(2, 300, 35), normal(35)), {"approximate": "tanh"}),
    "leaky ReLU": (ops.leaky_relu, (normal(7, 35),), {"negative_slope": 0.2}),
    "attention dot": attend("dot", 9, 17, 8),
    "attention l2": attend("l2", 17, 17, 8),
    "attention l2, one asks": attend("l2", 1, 17, 5, 0.4),
    "spectral norm": (ops.spectral_normalize, spectral(19, 35), {}),
    "conv": conv((9, 2, 9, 8), (5, 2, 3, 3), padding=(1, 1)),
    "conv of many images": conv((300, 2, 5, 5), (3, 2, 3, 3), stride=(2, 2)),
    "conv to fewer channels": conv((9, 6, 9, 8), (2, 6, 3, 3), padding=(1, 1)),
    "conv to fewer, dilated": conv((9, 6, 9, 8), (2, 6, 3, 2), padding=(1, 0), dilation=(2, 2)),
    "conv to fewer, wide frame": conv((9, 6, 4, 4), (2, 6, 2, 2), padding=(3, 3)),
    "conv 1 × 1": conv((8, 4, 6, 6), (3, 4, 1, 1)),
    "conv 1 × 1 of some": conv((8, 4, 7, 6), (3, 4, 1, 1), bias=False, stride=(2, 1)),
    "conv with a rest": conv((8, 3, 11, 7), (4, 3, 3, 2), stride=(2, 3), padding=(2, 2), dilation=(1, 2)),
    "conv of large images": conv((8, 64, 20, 20), (2, 64, 4, 4), stride=(2, 1)),
    "transposed": transposed((8, 3, 5, 6), (3, 4, 4, 4), stride=(2, 2), padding=(1, 1), output_padding=(1, 0)),
    "transposed to more channels": transposed((8, 2, 5, 6), (2, 5, 3, 3), padding=(1, 1)),
    "conv weight": weight((8, 3, 7, 6), (5, 3, 2, 2), (8, 5, 4, 3), stride=(2, 2), padding=(1, 0)),
    "conv weight of fewer": weight((8, 6, 7, 6), (2, 6, 3, 3), (8, 2, 7, 6), padding=(1, 1)),
    "pixel shuffle": (ops.pixel_shuffle, (image(9, 12, 3, 2),), {"upscale_factor": 2}),
    "pixel unshuffle": (ops.pixel_unshuffle, (image(9, 2, 6, 9),), {"downscale_factor": 3}),
    "average": pool(ops.avg_pool2d, (9, 3, 7, 6), 3, 2, 1),
    "maximum": pool(ops.max_pool2d, (9, 3, 7, 6), (3, 2), None, (1, 0)),
}


def run(op, inputs, options, seed=3):
    """y, the gradients under a random cotangent, and the op that was recorded."""
    wanted = inputs[:1] if op is ops.spectral_normalize else [x for x in inputs if x is not None]
    xs = [Tensor(x, requires_grad=True) if any(x is w for w in wanted) else x for x in inputs]
    y = op.apply(*xs, **options)
    g = np.random.default_rng(seed).standard_normal(y.shape).astype(y.dtype)
    return [y.data, *grad(y, [x for x in xs if isinstance(x, Tensor)], g)], y.node.op


def single(inputs):
    return [None if x is None else np.asarray(x, np.float32) for x in inputs]


def test_every_loop_has_a_case():
    assert {op.name for op, *_ in CASES.values()} == {name for name, twin in CPU.items() if isinstance(twin, Op)}


@pytest.mark.slow  # numba compiles every loop
@pytest.mark.parametrize("name", CASES)
def test_a_loop_gives_what_its_rule_gives_in_float64(name):
    op, inputs, options = CASES[name]
    inputs = single(inputs)
    found, used = run(op, inputs, options)
    assert used is CPU[op.name]
    with use_fused(False):
        expected, used = run(op, [None if x is None else x.astype(np.float64) for x in inputs], options)
    assert used is op
    for a, b in zip(found, expected, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.dtype == np.float32 and a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=0, atol=30 * EPS * max(np.abs(b).max(), 1e-3))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_two_threads_give_what_one_gives_and_nothing_is_written(name, monkeypatch):
    op, inputs, options = CASES[name]
    inputs = single(inputs)
    for x in inputs:
        if x is not None:
            x.setflags(write=False)
    alone, _ = run(op, inputs, options)
    monkeypatch.setattr(threads, "THREADS", 2)
    monkeypatch.setattr(threads, "SMALLEST", 1)
    for a, b in zip(run(op, inputs, options)[0], alone, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_any_memory_layout_gives_the_same(name):
    op, inputs, options = CASES[name]
    inputs = single(inputs)
    plain, _ = run(op, inputs, options)
    for change in (lambda x: np.array(x, order="F"), lambda x: np.flip(np.flip(x).copy())):
        changed = [x if x is None or not x.ndim else change(x) for x in inputs]
        for a, b in zip(run(op, changed, options)[0], plain, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_nan_stays_nan(name):
    """A training that fails must be seen to fail."""
    op, inputs, options = CASES[name]
    inputs = single(inputs)
    inputs[0].reshape(-1)[0] = np.nan
    y = op.apply(*inputs, **options)
    assert np.isnan(y.data).any()


@pytest.mark.parametrize(
    "op, x, options",
    [
        (ops.softmax, np.linspace(-200, 0, 4001)[None], {}),
        (ops.gelu, np.linspace(-200, 0, 4001), {"approximate": "tanh"}),
        (ops.gelu, np.linspace(-200, 0, 4001), {"approximate": "none"}),
        (ops.attention, np.linspace(0, 20, 200).reshape(1, 1, 200, 1), {"similarity": "l2"}),
    ],
    ids=["softmax", "gelu tanh", "gelu", "attention"],
)
def test_nothing_is_nearly_denormal(op, x, options):
    """A training whose activations become denormal takes several times as long."""
    x = Tensor(x.astype(np.float32), requires_grad=True)
    inputs = [x] * 3 if op is ops.attention else [x]
    y = op.apply(*inputs, **options)
    g = np.random.default_rng(0).standard_normal(y.shape).astype(np.float32)
    assert y.node.op is CPU[op.name]
    for array in (y.data, grad(y, [x], g)[0], *(a for a in y.node.saved.values() if isinstance(a, np.ndarray))):
        size = np.abs(array[array != 0])
        assert size.min() > 1e-25


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, twin in CPU.items() if isinstance(twin, Op)])
def test_examples_of_float32_agree(name):
    op = OPS[name]
    for example in EXAMPLES[name]:
        inputs = example.inputs("float32")
        if any(isinstance(x, np.ndarray) and x.dtype != np.float32 for x in inputs):
            continue
        found = op.apply(*inputs, **example.options).data
        with use_fused(False):
            expected = op.apply(*inputs, **example.options).data
        assert found.shape == expected.shape and found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_images_keep_their_order_in_memory_from_one_loop_to_the_next():
    """Turning a batch takes as long as a convolution's columns: it happens once, before the first."""
    x, w = normal(9, 4, 6, 6).astype(np.float32), normal(4, 4, 3, 3).astype(np.float32)
    for f in (
        lambda x: ops.conv2d(x, w, padding=1),
        lambda x: ops.conv_transpose2d(x, w, stride=2),
        lambda x: ops.leaky_relu(x, 0.2),
        lambda x: ops.pixel_shuffle(x, 2),
        lambda x: ops.pixel_unshuffle(x, 2),
        lambda x: ops.max_pool2d(x, 2),
        lambda x: ops.avg_pool2d(x, 3, 1, 1),
        ops.tanh,
    ):
        leaf = Tensor(layout.batch_first(layout.batch_innermost(x)), requires_grad=True)
        y = f(leaf)
        (gx,) = grad(y, [leaf], np.ones_like(y.data))
        assert np.shares_memory(layout.batch_innermost(y.data), y.data)
        if y.node.op.name not in ("max_pool2d", "avg_pool2d"):  # whose gradients are folds
            assert np.shares_memory(layout.batch_innermost(gx), gx)


@pytest.mark.parametrize("shape", [(9, 3, 5, 7), (40, 2, 6, 6), (1, 2, 3, 4), (33, 1, 1, 50)])
def test_a_batch_is_turned(shape):
    x = normal(*shape).astype(np.float32)
    turned = layout.batch_innermost(x)
    assert turned.flags.c_contiguous
    np.testing.assert_array_equal(turned, np.moveaxis(x, 0, -1))
    np.testing.assert_array_equal(layout.batch_first(turned), x)
    part = layout.batch_first(turned)[: max(1, len(x) // 2), :, :, 1:]
    if part.size:
        found = layout.batch_innermost(part)
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(found, np.moveaxis(part, 0, -1))


def test_gelu_far_out():
    far = np.array([-np.inf, -1e30, -1e20, -7, 1e20, 1e30, np.inf, np.nan], np.float32)
    for approximate in ("none", "tanh"):  # the limits of x Φ(x) and of its slope, and NaN stays NaN
        x = Tensor(far, requires_grad=True)
        y = ops.gelu(x, approximate=approximate)
        np.testing.assert_allclose(y.data, np.where(far < 0, 0, far), rtol=0, atol=1e-9)
        (slope,) = grad(y, [x], np.ones_like(far))
        np.testing.assert_allclose(slope, np.where(far < 0, 0, np.where(far > 0, 1, far)), rtol=0, atol=1e-9)


def test_second_derivatives_go_by_the_rule():
    x = Tensor(normal(4, 5).astype(np.float32), requires_grad=True)
    (slope,) = grad(ops.softmax(x), [x], normal(4, 5, seed=1).astype(np.float32), create_graph=True)
    (found,) = grad(slope, [x], normal(4, 5, seed=2).astype(np.float32))
    with use_fused(False):
        (slope,) = grad(ops.softmax(x), [x], normal(4, 5, seed=1).astype(np.float32), create_graph=True)
        (expected,) = grad(slope, [x], normal(4, 5, seed=2).astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_numpy_alone_keeps_attention_from_denormals():
    accelerate.use(None)
    x = Tensor(np.linspace(0, 20, 200, dtype=np.float32).reshape(1, 1, 200, 1), requires_grad=True)
    y = ops.attention(x, x, x, similarity="l2")
    p = y.node.saved["p"]
    assert p.min() > 1e-25


BITS = """
import hashlib, runpy, sys
from autograd import accelerate
here = runpy.run_path(sys.argv[1])
CASES, run, single = here["CASES"], here["run"], here["single"]
accelerate.use("cpu")
for name in ("softmax", "layer norm", "bias gelu tanh", "attention l2", "conv", "transposed", "spectral norm"):
    op, inputs, options = CASES[name]
    found, _ = run(op, single(inputs), options)
    print(name, *(hashlib.md5(a.tobytes()).hexdigest() for a in found if a is not None))
"""


@pytest.mark.slow
def test_what_came_from_the_disk_computes_the_same_bits(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", BITS, __file__]
    compiled, kept = (
        subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout for _ in range(2)
    )
    assert compiled == kept and compiled.count("\n") == 7 and any(tmp_path.rglob("*.nbc"))
