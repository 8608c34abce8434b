"""The names of the ops in NumPy, PyTorch and JAX exist, and give our values where no difference is stated."""

from pkgutil import resolve_name

import numpy as np
import pytest

from autograd.ops.examples import EXAMPLES
from autograd.registry import OPS
from experiments.docs.elsewhere import ELSEWHERE, LIBRARIES


def test_every_op_has_its_names():
    assert [name for name, op in OPS.items() if op.__module__.startswith("autograd.") and name not in ELSEWHERE] == []
    assert [name for name in ELSEWHERE if name not in OPS] == []


@pytest.mark.slow
@pytest.mark.parametrize("library", LIBRARIES)
def test_every_name_exists(library):
    pytest.importorskip(library)
    for names in ELSEWHERE.values():
        if dotted := getattr(names, library):
            resolve_name(dotted)  # raises AttributeError or ImportError


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_function_without_a_stated_difference_gives_our_values(library):
    """The same inputs, and the same options under the same names: float64, so 1e-9 of the largest is no rounding."""
    module = pytest.importorskip(library)
    if library == "jax":
        module.config.update("jax_enable_x64", True)
    for op, names in ELSEWHERE.items():
        for example in EXAMPLES[op] if names.agrees(library) else ():
            inputs = example.inputs()
            given = [module.tensor(x) if library == "torch" and isinstance(x, np.ndarray) else x for x in inputs]
            expected = np.asarray(resolve_name(getattr(names, library))(*given, **example.options))
            y = example.op.apply(*inputs, **example.options).data
            assert y.shape == expected.shape, op
            np.testing.assert_allclose(y, expected, rtol=1e-9, atol=1e-9 * abs(y).max(), err_msg=op)
