"""Which parameters of a test run only with `pytest -m ""`."""

from collections.abc import Iterable

import pytest


def slow_but_the_first(values: Iterable) -> list:
    """Parameters for pytest.mark.parametrize: all but the first are slow."""
    first, *others = values
    return [first, *(pytest.param(value, marks=pytest.mark.slow) for value in others)]
