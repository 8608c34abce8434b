"""The table of faster twins: every entry stands in for something that exists, and asking it changes nothing else."""

import importlib
import inspect
import itertools
import pkgutil
import re

import numpy as np
import pytest

import autograd
import autograd.accelerate.gpu.twins
import minigan.accelerate.twins  # noqa: F401 - both fill the table of kernels
from autograd import Tensor, accelerate, grad, op, ops
from autograd.accelerate.each import Each
from autograd.accelerate.twin import CPU, GPU
from autograd.operation import Op
from autograd.ops import stub
from autograd.ops.examples import EXAMPLES
from autograd.registry import OPS, TWINS, routine

try:
    import autograd.accelerate.cpu.twins  # noqa: F401
except ImportError:  # no numba
    pass

ENTRIES = [(table, name) for table in (CPU, GPU) for name in table]


@pytest.mark.parametrize("table, name", ENTRIES, ids=[name for _, name in ENTRIES])
def test_a_twin_takes_what_the_readable_form_takes(table, name):
    twin = table[name]
    if isinstance(twin, Each):
        assert twin.op is OPS[name.removesuffix(".each")] and not twin.op.keeps_y and not twin.op.variadic
    elif isinstance(twin, Op):
        readable = OPS[name]
        assert twin.inputs == readable.inputs and twin.backward is readable.backward and twin.doc == readable.doc
        options = inspect.signature(twin.forward).parameters.values()
        assert {p.name: p.default for p in options if p.kind is p.KEYWORD_ONLY} == readable.defaults
    else:
        module, _, function = name.rpartition(".")
        readable = getattr(importlib.import_module(module), function)
        assert list(inspect.signature(twin).parameters) == list(inspect.signature(readable).parameters)


OPS_WITH_TWINS = [(table, name) for table, name in ENTRIES if isinstance(table[name], Op)]


@pytest.mark.parametrize("table, name", OPS_WITH_TWINS, ids=[name for _, name in OPS_WITH_TWINS])
def test_a_bad_option_fails_as_without_twins(table, name):
    """A twin leaves it to the op, or says the same: compiled code takes what is no number for NaN."""
    for example in EXAMPLES[name]:
        arrays = example.inputs("float32")
        for option, bad in itertools.product(OPS[name].defaults, ("misspelt", None, -1, (1, 2, 3))):
            options = {**example.options, option: bad}
            try:
                with np.errstate(all="ignore"):  # eps=-1 gives NaN
                    OPS[name].forward(np, *arrays, **options)
            except Exception as e:
                said = e
            else:
                continue
            if option == "weight_size" and not isinstance(bad, tuple):  # the face of the op makes it one
                continue
            if table[name].fits(arrays, options):
                with pytest.raises(type(said), match=re.escape(str(said))):
                    table[name].forward(np, *arrays, **options)


def test_a_routine_runs_its_twin_where_it_fits(monkeypatch):
    @routine
    def double(xp, x):
        return 2 * x

    def twin(xp, x):
        return "twin" if x > 1 else NotImplemented

    assert double(np, 3) == 6
    monkeypatch.setitem(TWINS, np, {f"{__name__}.double": twin})
    assert double(np, 3) == "twin" and double(np, 1) == 2


def test_use_none_leaves_numpy_alone():
    accelerate.use("cpu")
    assert not accelerate.use(None) and np not in TWINS


def test_importing_everything_below_loads_no_twin():
    """The readable files are complete without the package of twins."""
    below = [m.name for m in pkgutil.walk_packages(autograd.__path__, "autograd.") if ".accelerate" not in m.name]
    for name in below:
        source = inspect.getsource(importlib.import_module(name)) if not name.endswith("__main__") else ""
        assert "accelerate import" not in source, name


# ---- what an op is called with, and what a reader sees of it


def test_an_input_may_be_called_y():
    @op
    class product_of_two:
        "m = x y                    ∂L/∂x = g y,   ∂L/∂y = g x"

        def forward(xp, x, y):
            return x * y

        def backward(xp, g, x, y):
            return g * y, g * x

    try:
        a, b = Tensor([2.0], requires_grad=True), Tensor([5.0], requires_grad=True)
        (slope,) = grad(product_of_two(a, b).sum(), [a], create_graph=True)
        assert [None if s is None else s.tolist() for s in grad(slope.sum(), [a, b])] == [None, [1.0]]
    finally:
        del OPS["product_of_two"]


@pytest.mark.parametrize("name", ["g", "need", "shapes"])
def test_an_input_may_not_have_the_name_of_something_else_in_a_rule(name):
    scope: dict = {}
    exec(f"class f:\n    'y = x    ∂L/∂x = g'\n    def forward(xp, {name}): return {name}\n", scope)
    scope["f"].backward = lambda xp, g: g
    with pytest.raises(TypeError, match=f"an input may not be called '{name}'"):
        op(scope["f"])


def test_an_op_may_not_hide_a_function_that_rules_call():
    """The rule of abs calls sign: an op of this name would change second derivatives without a word."""
    with pytest.raises(TypeError, match="autograd.ops has a function of this name"):

        @op
        class sign:
            "y = x                      ∂L/∂x = g"

            def forward(xp, x):
                return x

            def backward(xp, g):
                return g

    assert "sign" not in OPS


def test_help_shows_signature_formula_and_shapes():
    assert str(inspect.signature(ops.softmax)) == "(x, axis=-1)"
    assert str(inspect.signature(ops.conv2d)) == "(input, weight, bias=None, stride=1, padding=0, dilation=1)"
    assert ops.softmax.__doc__.startswith("softmax(x, axis=-1)\n\ny = eˣ / Σ eˣ")
    assert "X (…, in), W (out, in), b (out)" in ops.linear.__doc__


def test_the_stub_is_current():
    assert stub.PATH.read_text(encoding="utf-8") == stub.stub(), "run: python -m autograd.ops.stub"
