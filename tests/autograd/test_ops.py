"""Every op keeps one contract, which the registry drives."""

import inspect
import itertools

import numpy as np
import pytest
from tensors import cotangent

from autograd import DeviceError, Tensor, grad, use_fused
from autograd.arrays import to_host, use_cuda
from autograd.gradcheck import gradcheck
from autograd.ops.examples import EXAMPLES, Example, on_device
from autograd.registry import OPS


def cases(keep=lambda example: True):
    """A parameter for each example of each op."""
    every = [(f"{name}-{i}", e) for name, examples in EXAMPLES.items() for i, e in enumerate(examples)]
    return pytest.mark.parametrize("example", [pytest.param(e, id=label) for label, e in every if keep(e)])


def record(example: Example, inputs: list, only=None):
    """y and the Tensors that want a gradient: all of `wrt`, or those of `only`."""
    wanted = example.wrt if only is None else only
    xs = [Tensor(x, requires_grad=True) if i in wanted else x for i, x in enumerate(inputs)]
    return example.op.apply(*xs, **example.options), [xs[i] for i in wanted]


def raw_rules(y: Tensor, g: np.ndarray, need: tuple) -> dict:
    """What fused, the rule on arrays and the rule on Tensors return, before the engine sums or casts anything."""
    op, node = y.node.op, y.node
    with use_fused(False):
        found = {"rule": op.run_rule(node, g, need, False), "rule on Tensors": op.run_rule(node, Tensor(g), need, True)}
    if op.fused:
        found["fused"] = op.run_rule(node, g, need, False)
    return found


def same(a, b, tolerance):
    """Equal but for rounding, relative to the largest element."""
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1e-300, np.abs(b).max(initial=0)))


def test_every_op_has_examples():
    library = {name for name, op in OPS.items() if op.__module__.startswith(("autograd.", "nn.", "minigan."))}
    assert library == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_docstring_shows_the_gradient(name):
    doc = inspect.cleandoc(OPS[name].doc)
    assert "∂" in doc or "no gradient" in doc, doc


@cases()
def test_gradients_have_shape_and_dtype_of_the_inputs_and_nothing_is_written(example):
    inputs = example.inputs()
    copies = [x.copy() if isinstance(x, np.ndarray) else x for x in inputs]
    for x in inputs:
        if isinstance(x, np.ndarray):
            x.setflags(write=False)
    y, xs = record(example, inputs)
    y.data.setflags(write=False)
    y_copy, g = y.data.copy(), cotangent(y)
    g_copy = g.copy()
    g.setflags(write=False)
    first = [[a.copy() for a in grad(y, xs, g=g)] for _ in range(2)]  # twice: what the node saved is unwritten too
    tensors = grad(y, xs, g=Tensor(g), create_graph=True)
    for x, once, twice, on_tensors in zip(xs, *first, tensors, strict=True):
        assert once.shape == on_tensors.shape == x.shape
        assert once.dtype == on_tensors.dtype == x.dtype
        np.testing.assert_array_equal(once, twice)
        same(on_tensors.data, once, 1e-10)
    for now, before in zip([*inputs, y.data, g], [*copies, y_copy, g_copy], strict=True):
        np.testing.assert_array_equal(now, before)


LAYOUTS = {
    "transposed": lambda x: np.array(x, order="F"),
    "strided": lambda x: np.repeat(x, 2, axis=-1)[..., ::2] if x.ndim else x,
    "reversed": lambda x: np.flip(np.flip(x).copy()),
    "broadcast": lambda x: np.broadcast_to(x[:1].copy(), x.shape) if x.ndim else x,
}


@cases()
def test_any_memory_layout_gives_the_same(example):
    inputs = example.inputs()
    for layout, change in LAYOUTS.items():
        changed = [change(x) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in inputs]
        plain = [np.array(x, order="C") if isinstance(x, np.ndarray) else x for x in changed]
        y, xs = record(example, changed)
        y_plain, xs_plain = record(example, plain)
        g = cotangent(y)
        same(y.data, y_plain.data, 1e-12)
        for a, b in zip(grad(y, xs, g=np.array(g, order="F")), grad(y_plain, xs_plain, g=g), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12, err_msg=layout)


@cases(lambda e: e.op.name != "astype")
def test_float32_stays_float32(example):
    y, xs = record(example, example.inputs("float32"))
    assert y.dtype == np.float32
    need = tuple(p is not None for p in y.node.parents)
    for rule, gradients in raw_rules(y, cotangent(y), need).items():
        dtypes = [a.dtype for a, wanted in zip(gradients, need, strict=False) if wanted]
        assert dtypes == [np.float32] * len(xs), rule


@cases(lambda e: e.op.fused)
@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-10), ("float32", 1e-4)])
def test_fused_equals_the_rule(example, dtype, tolerance):
    y, xs = record(example, example.inputs(dtype))
    g = cotangent(y)
    fused = grad(y, xs, g=g)
    with use_fused(False):
        rule = grad(y, xs, g=g)
    for a, b in zip(fused, rule, strict=True):
        same(a, b, tolerance)


@cases(lambda e: len(e.wrt) > 1)
def test_asking_for_some_inputs_gives_the_same_as_asking_for_all(example):
    y, xs = record(example, example.inputs())
    g = cotangent(y)
    everything = grad(y, xs, g=g)
    for n in range(1, len(xs)):
        for some in itertools.combinations(range(len(xs)), n):
            y_some, alone = record(example, example.inputs(), [example.wrt[i] for i in some])  # the others constants
            same(y_some.data, y.data, 0)
            for found in (
                grad(y, [xs[i] for i in some], g=g),
                grad(y_some, alone, g=g),
                [t.data for t in grad(y, [xs[i] for i in some], g=Tensor(g), create_graph=True)],
            ):
                for i, a in zip(some, found, strict=True):
                    same(a, everything[i], 1e-12)


@cases(lambda e: e.options.get("dtype") != "float32")
def test_gradcheck_first_and_second_order(example):
    inputs = example.inputs()

    def f(*xs):
        full = list(inputs)
        for i, x in zip(example.wrt, xs, strict=True):
            full[i] = x
        return example.op.apply(*full, **example.options)

    gradcheck(f, *(inputs[i] for i in example.wrt), order=2)


def test_cupy_equals_numpy():
    try:
        use_cuda()
    except DeviceError as e:
        pytest.skip(str(e))
    import cupy

    wrong = []
    for name, examples in EXAMPLES.items():
        for i, example in enumerate(examples):
            inputs = example.inputs()
            y, xs = record(example, inputs)
            g = cotangent(y)
            there = example._replace(options=example.options_on(cupy.asarray))
            y_there, xs_there = record(there, on_device(inputs, cupy.asarray))
            found = [y_there.data, *grad(y_there, xs_there, g=cupy.asarray(g))]
            with use_fused(False):
                found += grad(y_there, xs_there, g=cupy.asarray(g))
            gradients = grad(y, xs, g=g)
            for a, b in zip(found, [y.data, *gradients, *gradients], strict=True):
                if type(a) is not cupy.ndarray or a.dtype != b.dtype or not np.allclose(to_host(a), b, 1e-9, 1e-9):
                    wrong.append(f"{name}-{i}")
    assert not wrong
