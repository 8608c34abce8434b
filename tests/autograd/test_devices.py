"""Host and device kept apart, checked without a GPU: every op on the strict stand-in of strict_device.py."""

import contextlib
import copy

import numpy as np
import pytest
from strict_device import StrictArray, StrictError, strict

from autograd import Tensor, grad, ops, use_fused
from autograd.arrays import DeviceError, array_module, device_module, to_device, to_host
from autograd.ops.examples import EXAMPLES, Example, on_device
from autograd.random import RandomStream

DEVICE_EXAMPLES = [pytest.param(e, id=f"{name}-{i}") for name, es in EXAMPLES.items() for i, e in enumerate(es)]


def run(example: Example, move, guard) -> list:
    """y, the gradients by `fused` and by the rule, and a second-order gradient, computed under `guard`."""
    host = example.inputs("float32")
    rng = np.random.default_rng(1)
    y_host = example.op.apply(*host, **example.options).data
    g_host = rng.standard_normal(y_host.shape).astype(y_host.dtype)
    arrays, options, g = on_device(host, move), example.options_on(move), move(np.asarray(g_host))
    seeds = [move(np.asarray(rng.standard_normal(x.shape), x.dtype)) for x in (host[i] for i in example.wrt)]
    with guard:
        inputs = [Tensor(x, requires_grad=True) if i in example.wrt else x for i, x in enumerate(arrays)]
        targets = [inputs[i] for i in example.wrt]
        y = example.op.apply(*inputs, **options)
        out = [y.data, *grad(y, targets, g=g)]
        with use_fused(False):
            out += grad(y, targets, g=g)
        first = grad(y, targets, g=Tensor(g, requires_grad=True), create_graph=True)
        total = sum((ops.sum(a * s) for a, s in zip(first, seeds, strict=True)), Tensor(seeds[0]).sum())
        out += [a for a in grad(total, targets) if a is not None]
    return out


@pytest.mark.parametrize("example", DEVICE_EXAMPLES)
def test_op_stays_on_its_device(example):
    guard = contextlib.nullcontext() if example.syncs else strict.step()
    found = run(example, strict.asarray, guard)
    expected = run(example, lambda a: a, contextlib.nullcontext())
    assert len(found) == len(expected) > 2
    for a, b in zip(found, expected, strict=True):
        assert type(a) is StrictArray and a.dtype == b.dtype
        if b.dtype.kind == "f":  # an array on the device may lie otherwise in memory, and then its sums round otherwise
            np.testing.assert_allclose(
                strict.asnumpy(a), b, rtol=0, atol=8 * np.finfo(b.dtype).eps * abs(b).max(initial=1)
            )
        else:
            np.testing.assert_array_equal(strict.asnumpy(a), b)


def test_registered_as_a_device():
    a = to_device(np.arange(3.0), "strict")
    assert array_module(1.0, np.ones(2), a) is strict is device_module("strict")
    np.testing.assert_array_equal(to_host(a), [0, 1, 2])
    with pytest.raises(DeviceError, match="unknown device 'tpu'"):
        device_module("tpu")


def test_generator_gives_the_same_numbers_on_every_device():
    with strict.step():
        device = RandomStream(7, device="strict")
        found = [device.uniform(size=(2, 3)), device.normal(size=5), device.integers(10, size=4), device.permutation(6)]
    host = RandomStream(7)
    expected = [host.uniform(size=(2, 3)), host.normal(size=5), host.integers(10, size=4), host.permutation(6)]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(strict.asnumpy(a), b)


def test_layers_without_a_registry_entry_stay_on_the_device():
    x, w, b = (Tensor(strict.asarray(np.random.default_rng(i).normal(size=s))) for i, s in enumerate([(4, 3), 3, 3]))
    x.requires_grad = True
    mean, var = strict.asarray(np.zeros(3)), strict.asarray(np.ones(3))
    with strict.step():
        y = ops.batch_norm(ops.layer_norm(x, 3, w, b), mean, var, w, b, training=True)
        y = ops.batch_norm(y, mean, var, w, b)
        pieces = [*ops.split(y, 2), ops.take(y, strict.arange(2), axis=1), ops.ones_like(y), ops.sign(y)]
        (gx,) = grad(sum(p.sum() for p in pieces), [x])
        assert type(gx) is type(mean) is StrictArray
    assert strict.asnumpy(mean).any()


HOST = np.ones(3, np.float32)
MIXES = {
    "add": lambda a: a + HOST,
    "multiply": lambda a: HOST * a,
    "subtract": lambda a: a - np.float64(1),
    "matmul": lambda a: HOST @ a,
    "greater": lambda a: a > HOST,
    "exp": lambda a: np.exp(a),
    "sum": lambda a: np.sum(a),
    "concatenate": lambda a: strict.concatenate([a, HOST]),
    "where": lambda a: strict.where(a > 0, a, HOST),
    "clip": lambda a: strict.clip(a, HOST, None),
    "maximum": lambda a: strict.maximum(a, [1.0, 2.0, 3.0]),
    "sqrt": lambda a: strict.sqrt(HOST),
    "getitem": lambda a: a[np.array([0, 1])],
    "getitem: the index holds a list": lambda a: a[[0, 1]],
    "setitem": lambda a: a.__setitem__(0, HOST[0]),
    "setitem: the index": lambda a: a.__setitem__(np.array([0]), 1.0),
    "implicit copy": lambda a: np.asarray(a),
    "implicit": lambda a: HOST.__setitem__(slice(None), a),
    "dot": lambda a: a.dot(HOST),
    "add.at": lambda a: strict.add.at(a, strict.arange(3), HOST),
    "erf": lambda a: strict.erf(HOST),
    "in mul.*multiply": lambda a: ops.mul(Tensor(a), Tensor(HOST)),
    "in mul.*": lambda a: ops.mul(Tensor(HOST), Tensor(a)),
    "in getitem.*index": lambda a: Tensor(a)[np.array([1, 1])],
}


@pytest.mark.parametrize("message", MIXES)
def test_mixing_host_and_device_is_refused(message):
    with pytest.raises(TypeError, match=message):
        MIXES[message](strict.asarray(HOST))


def test_mixing_in_place_is_refused():
    a, host = strict.asarray(HOST), HOST.copy()
    with pytest.raises(TypeError, match="add"):
        a += HOST
    with pytest.raises(TypeError, match="add"):
        host += a
    with pytest.raises(TypeError, match="add"):
        np.add(HOST, 1, out=a)
    with pytest.raises(TypeError, match="host"):
        strict.add(a, 1.0, out=host)


def test_python_numbers_and_device_arrays_mix():
    a = strict.asarray(HOST)
    b = 2 - a / 4.0 + (1 + a) ** 2
    b[0] = 5
    b[strict.asarray(np.array([1]))] = a[2]
    b *= 2
    assert b.dtype == np.float32
    np.testing.assert_array_equal(strict.asnumpy(b), [10, 2, 11.5])
    assert [float(v) for v in b] == b.tolist()
    assert type(a.sum()) is StrictArray and a.sum().shape == ()  # as CuPy: never a scalar


WAITS = {
    "bool": lambda a: 1 if a[0] > 0 else 0,
    "float": lambda a: float(a[0]),
    "int": lambda a: int(a[0]),
    "index": lambda a: [1, 2][strict.argmax(a)],
    "item": lambda a: Tensor(a[0]).item(),
    "bool ": lambda a: max(a[0], a[1]),
    "tolist": lambda a: a.tolist(),
    "str": lambda a: f"{a}",
    "repr": lambda a: repr(a),
    "asnumpy": lambda a: to_host(a),
    "asnumpy ": lambda a: Tensor(a).numpy(),
    "asarray of host data": lambda a: to_device(HOST, "strict"),
    "asarray of host data ": lambda a: a + strict.asarray(1.0),
    "array of host data": lambda a: strict.array([1, 2]),
    "boolean mask": lambda a: a[a > 0],
    "boolean mask ": lambda a: ops.getitem(Tensor(a), a > 0),
    "nonzero": lambda a: strict.nonzero(a),
    "where": lambda a: strict.where(a > 0),
    "unique": lambda a: strict.unique(a),
    "slice bound": lambda a: a[: strict.argmin(a)],
}


@pytest.mark.parametrize("what", WAITS)
def test_waiting_for_the_device_is_refused_inside_a_step_only(what):
    a = strict.asarray(HOST)
    WAITS[what](a)
    with strict.step():
        with pytest.raises(StrictError, match=what.strip()):
            WAITS[what](a)
        with strict.step():
            pass
        with pytest.raises(StrictError):
            WAITS[what](a)
    WAITS[what](a)


def test_functions_that_cupy_lacks_are_refused():
    with pytest.raises(AttributeError, match="no vecdot"):
        strict.vecdot  # noqa: B018


def test_copies_are_copies():
    a = strict.asarray(HOST)
    for b in (a.copy(), strict.array(a), copy.deepcopy(a), strict.asarray(strict.asnumpy(a))):
        b += 1
        assert strict.asnumpy(a).tolist() == [1, 1, 1]
    view = strict.asarray(a)
    view += 1
    assert strict.asnumpy(a).tolist() == [2, 2, 2]


def test_joining_many_arrays_cannot_be_captured():
    """CuPy copies their addresses to the device first."""
    x = strict.zeros((1, 2))
    with strict.step():
        strict.concatenate([x] * 8)
        with pytest.raises(StrictError, match="concatenate of 9 arrays"):
            strict.concatenate([x] * 9)
