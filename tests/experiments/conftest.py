"""Fixtures that several test files of the commands use."""

import pytest

from experiments.learn.authoring import new
from experiments.learn.course import read_course


@pytest.fixture
def two(tmp_path):
    """A course of two exercises, both the rule of x³."""
    for name in ("first", "second"):
        new(name, tmp_path / "two")
    return read_course(tmp_path / "two")
