"""What the loops do not take runs on NumPy, and a mistake reads as it does there."""

import numpy as np
import pytest
from tensors import normal

from autograd import Tensor, accelerate, grad, gradcheck, ops

numba = pytest.importorskip("numba")

from autograd.accelerate.cpu import adam  # noqa: E402

pytestmark = pytest.mark.usefixtures("loops")


def test_sizes_that_do_not_match_are_refused():
    """A compiled loop looks at no bounds."""
    flat, short = np.ones(10, np.float32), np.ones(4, np.float32)
    with pytest.raises(ValueError, match="not of one size"):
        adam.adam([(flat, short, flat.copy(), flat.copy(), 1.0)], 1.0, (0.0, 0.9), 0.1, 1.0, 1e-8)
    with pytest.raises(ValueError, match="cannot follow"):
        adam.average(flat, short, 0.5)
    q, k = np.ones((2, 3, 5, 4), np.float32), np.ones((2, 1, 5, 4), np.float32)
    for similarity in ("dot", "l2"):  # keys shared by all heads: NumPy's affair
        y = ops.attention(q, k, k, similarity=similarity)
        np.testing.assert_allclose(y.data, 1, rtol=1e-6)


def test_nothing_and_single_numbers_are_left_to_numpy():
    empty, one = np.zeros((0, 3, 8), np.float32), np.asarray(2.0, np.float32)
    rows = np.zeros((0, 1, 8), np.float32)
    assert ops.normalize(empty, rows, rows, axes=(-1,), eps=1e-5).shape == (0, 3, 8)
    assert ops.gelu(np.zeros((3, 0), np.float32)).shape == (3, 0)
    assert ops.leaky_relu(one).shape == () and ops.gelu(one).shape == ()
    assert ops.max_pool2d(np.zeros((0, 2, 4, 4), np.float32), 2).shape == (0, 2, 2, 2)


def test_float64_and_what_does_not_fit_run_on_numpy():
    assert ops.softmax(Tensor(normal(3, 4), requires_grad=True)).node.op is ops.softmax
    assert ops.softmax(Tensor(np.ones((3, 4), np.float32), requires_grad=True), axis=0).node.op is ops.softmax
    gradcheck(ops.gelu, normal(3, 4))
    accelerate.use(None)
    assert ops.softmax(Tensor(np.ones((3, 4), np.float32), requires_grad=True)).node.op is ops.softmax


def test_a_target_of_one_element_in_a_row_runs_on_numpy():
    w, u, v = (np.asarray(normal(*s), np.float32) for s in ((3, 4), (3,), (4,)))
    found = []
    for on in (True, False):
        accelerate.use("cpu" if on else None)
        x = Tensor(w, requires_grad=True)
        y = ops.spectral_normalize(x, u, v, np.array([1.7], np.float32))
        found.append([y.data, *grad(y, [x], w)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_mistakes_read_as_without_loops():
    x, w = np.ones((9, 3, 5, 5), np.float32), np.ones((2, 4, 3, 3), np.float32)
    for call in (
        lambda: ops.conv2d(x, w),
        lambda: ops.conv2d(x[0], w),
        lambda: ops.conv_transpose2d(x, w),
        lambda: ops.conv2d_weight(x, (2, 3, 3, 3), x),
        lambda: ops.max_pool2d(x, 2, padding=2),
        lambda: ops.avg_pool2d(x, 9),
        lambda: ops.pixel_shuffle(x, 2),
        lambda: ops.pixel_unshuffle(x, 2),
    ):
        said = []
        for on in (True, False):
            accelerate.use("cpu" if on else None)
            with pytest.raises(ValueError) as e:
                call()
            said.append(str(e.value))
        assert said[0] == said[1]


def test_an_unknown_option_is_refused_by_the_op():
    with pytest.raises(TypeError, match=r"^in pixel_shuffle\(float32\[9, 4, 3, 3\], .* keyword argument 'bogus'"):
        ops.pixel_shuffle(np.ones((9, 4, 3, 3), np.float32), 2, bogus=1)


@pytest.mark.parametrize("call", [lambda: ops.softmax(), lambda: ops.gelu(None), lambda: ops.normalize(np.ones(3))])
def test_missing_inputs_read_as_without_loops(call):
    said = []
    for on in (True, False):
        accelerate.use("cpu" if on else None)
        with pytest.raises(Exception) as e:
            call()
        said.append(f"{type(e.value).__name__}: {e.value}")
    assert said[0] == said[1]
