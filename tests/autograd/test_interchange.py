"""A Tensor as NumPy and PyTorch people use it: methods, NumPy's functions, DLPack."""

import copy

import numpy as np
import pytest

from autograd import Tensor, from_dlpack, grad, gradcheck, ops
from autograd.registry import OPS


def leaf(*shape):
    return Tensor(np.random.default_rng(0).standard_normal(shape), requires_grad=True)


X = np.random.default_rng(0).standard_normal((2, 3, 4))
METHODS = [  # of ndarray
    ("std", ()), ("std", (1,)), ("prod", (0,)), ("cumsum", (1,)), ("argmax", (2,)), ("argmin", ()), ("argsort", (0,)),
    ("any", (0,)), ("all", ()), ("trace", ()), ("diagonal", (1,)), ("flatten", ()), ("ravel", ()), ("squeeze", ()),
    ("repeat", (2, 1)), ("take", ([0, 1], 1)), ("copy", ()), ("tolist", ()), ("sum", (0,)), ("mean", ((0, 1),)),
    ("dot", (X[0].T,)), ("reshape", (4, 6)), ("transpose", (2, 0, 1)), ("clip", (-1, 1)), ("astype", ("float32",)),
]  # fmt: skip


@pytest.mark.parametrize("name, args", METHODS)
def test_methods_of_ndarray(name, args):
    found, expected = getattr(Tensor(X), name)(*args), getattr(X, name)(*args)
    np.testing.assert_allclose(found.data if isinstance(found, Tensor) else found, expected, rtol=1e-6)


def test_methods_of_pytorch():
    torch = pytest.importorskip("torch")
    t, theirs = Tensor(X), torch.tensor(X)
    for f in (
        lambda t: t.view(6, 4),
        lambda t: t.view((-1, 12)),
        lambda t: t.permute(2, 0, 1),
        lambda t: t.permute((1, 0, 2)),
        lambda t: t.flatten(1),
        lambda t: t.flatten(0, -2),
        lambda t: t.sum().flatten() if torch.is_tensor(t) else t.sum().flatten(),
        lambda t: t.unsqueeze(-1),
        lambda t: t.clone(),
        lambda t: t.exp().log(),
        lambda t: t.abs().sqrt().tanh(),
        lambda t: t.cpu().to("cpu"),
    ):
        np.testing.assert_allclose(f(t).data, f(theirs).numpy(), rtol=1e-14)
        assert f(t).shape == tuple(f(theirs).shape)
    assert t.to("float32").dtype == np.float32 and t.to("cpu") is t and t.device == "cpu"
    assert Tensor([1.0]).requires_grad_().requires_grad


def test_gradients_flow_through_methods():
    gradcheck(lambda x: x.clone().flatten(1).permute(1, 0).unsqueeze(0).squeeze().view(-1).cumsum(), X)


def test_one_number():
    t = Tensor(np.array(3))
    assert int(t) == 3 and [10, 20, 30, 40][t] == 40 and list(range(t)) == [0, 1, 2]
    assert f"{Tensor(2.5):.2f}" == "2.50" and int(Tensor([2.7])[0]) == 2
    with pytest.raises(TypeError):
        range(Tensor(2.0))
    assert copy.copy(t).data == 3


FUNCTIONS = [
    lambda x: np.exp(x),
    lambda x: np.abs(x) + np.square(x) - np.sin(x),
    lambda x: np.maximum(x, 0.1),
    lambda x: np.mean(x, axis=0),
    lambda x: np.mean(x, 1, keepdims=True),
    lambda x: np.std(x, ddof=1),
    lambda x: np.max(x, axis=(0, 2)),
    lambda x: np.concatenate([x, x], axis=1),
    lambda x: np.stack([x, x], -1),
    lambda x: np.where(X > 0, x, 0),
    lambda x: np.transpose(x, (2, 0, 1)),
    lambda x: np.reshape(x, (6, 4)),
    lambda x: np.clip(x, -1, 1),
    lambda x: np.clip(x, a_min=0, a_max=None),
    lambda x: np.einsum("ijk,ljk", x, X),
    lambda x: np.linalg.norm(x, axis=-1),
    lambda x: np.pad(x, 1, mode="constant"),
    lambda x: np.dot(x, X[0].T),
    lambda x: np.matmul(x, X[0].T),
    lambda x: np.split(x, 2)[1],
    lambda x: np.cumsum(x, 0),
    lambda x: np.prod(x),
    lambda x: X[0] - x,
    lambda x: X[0] @ x[0].T,
    lambda x: np.float64(2) * x / X,
    lambda x: X**2 + x,
    lambda x: np.argmax(x, axis=1),
    lambda x: np.sign(x),
    lambda x: np.take_along_axis(x, np.argsort(X), -1),
    lambda x: np.negative(np.multiply(x, np.subtract(x, np.divide(x, 2.0)))),
    lambda x: np.sum(x, 0, None, None, True),
    lambda x: np.mean(a=x, axis=1),
    lambda x: np.linalg.norm(x=x[0, 0]),
]


@pytest.mark.parametrize("f", FUNCTIONS)
def test_numpys_functions_of_a_tensor_are_ours(f):
    found = f(Tensor(X))
    assert isinstance(found, Tensor)
    np.testing.assert_allclose(found.data, f(X), rtol=1e-12)


def test_they_are_recorded():
    gradcheck(lambda x: np.sum(np.exp(np.mean(x, axis=0)) * X[0], axis=0), X, order=2)


def test_comparisons_are_plain_arrays():
    x = np.where(X > 1, np.inf, np.where(X < -1, np.nan, X))
    for f in (
        lambda t: x > t,
        lambda t: np.less(t, 0),
        lambda t: np.logical_not(t),
        lambda t: np.equal(x, t),
        lambda t: ~np.isnan(t) & (t > 0) | np.isinf(t),
        lambda t: ~np.isfinite(t),
    ):
        assert type(f(Tensor(x))) is np.ndarray
        np.testing.assert_array_equal(f(Tensor(x)), f(x))
    for name in ("isnan", "isinf", "isfinite"):
        np.testing.assert_array_equal(~getattr(ops, name)(Tensor(x)), ~getattr(np, name)(x))
    assert np.shape(Tensor(X)) == np.shape(a=Tensor(X)) == (2, 3, 4) and np.ndim(Tensor(X)) == 3


def test_a_mask_of_what_is_no_number():
    x = Tensor([1.0, np.nan, 3.0], requires_grad=True)
    kept = x[~np.isnan(x)]
    np.testing.assert_array_equal(grad(kept.sum(), [x])[0], [1, 0, 1])


@pytest.mark.parametrize(
    "f, message",
    [
        (lambda x: np.fmod(x, 2), "np.fmod of a Tensor is not differentiated"),
        (lambda x: np.fft.fft(x), r"np.fft.fft of a Tensor is not differentiated|np._pocketfft"),
        (lambda x: np.median(x), "np.median of a Tensor is not differentiated"),
        (lambda x: np.linalg.svd(x), "np.linalg.svd of a Tensor is not differentiated"),
        (lambda x: np.add.reduce(x), "np.add.reduce of a Tensor"),
        (lambda x: np.exp(x, where=X > 0), "np.exp of a Tensor takes no where"),
        (lambda x: np.mean(x, dtype="float32"), "np.mean of a Tensor takes no dtype"),
        (lambda x: np.add(x, 1, out=X.copy()), "an array is not written to"),
        (lambda x: np.asarray(x), "not turned into an array silently"),
    ],
)
def test_the_rest_is_refused_by_name(f, message):
    with pytest.raises(TypeError, match=message):
        f(Tensor(X))


def test_in_place_arithmetic_with_an_array():
    a, t = np.ones(3), leaf(3)
    with pytest.raises(TypeError, match="instead of a \\+= t, a = a \\+ t"):
        a += t
    t0 = t
    t += 1  # a new Tensor
    assert t is not t0 and +t is t


def test_cupy_leaves_its_operators_to_us():
    """`cupy_array + tensor` asks tensor.__array_ufunc__: None means that Tensor.__radd__ is called."""
    assert Tensor(X).__array_ufunc__ is None and callable(Tensor.__array_ufunc__)


def test_dlpack_both_ways():
    t = Tensor(np.arange(3.0))
    shared = np.from_dlpack(t)
    t.data[0] = 7
    assert shared[0] == 7
    back = from_dlpack(shared)
    assert isinstance(back, Tensor) and back.data[0] == 7
    with pytest.raises(BufferError, match="give x.detach"):
        np.from_dlpack(leaf(3))


def test_dlpack_with_pytorch():
    torch = pytest.importorskip("torch")
    theirs = torch.arange(4.0)
    ours = from_dlpack(theirs)
    theirs[1] = 9
    assert ours.data.tolist() == [0, 9, 2, 3]
    assert torch.from_dlpack(ours).tolist() == [0, 9, 2, 3]


def test_all_ops_of_numpys_names_are_reached():
    """Every ufunc and function of NumPy whose name an op has goes to it: names do not drift apart."""
    for name in OPS:
        f = getattr(np, name, None)
        if isinstance(f, np.ufunc) and f.nin == 1:
            assert np.isfinite(f(Tensor(np.array([0.5]))).data).all(), name
