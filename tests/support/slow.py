"""Which parameters of a test run only with `pytest -m ""`."""

from collections.abc import Iterable

import pytest


def slow_but_the_first(values: Iterable) -> list:
    """Parameters for pytest.mark.parametrize, tuples where there are several names: all but the first are slow."""
    first, *others = values
    rows = [value if isinstance(value, tuple) else (value,) for value in others]
    return [first, *(pytest.param(*row, marks=pytest.mark.slow) for row in rows)]
