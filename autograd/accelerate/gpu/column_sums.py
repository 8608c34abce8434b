"""Sums over rows. Twin: x.sum(axis=0)."""

from typing import Any

from autograd.accelerate.gpu import launch

ROWS_PER_BLOCK = 64  # of the kernels that leave one sum for each chunk of rows


def column_sums(x: Any) -> Any:
    """x (rows, columns) -> (columns)."""
    rows, columns = x.shape
    y = launch.empty(x, columns)
    launch.launch("column_sums", (launch.ceil_div(columns, 32),), (32, 8), x, y, rows, columns)
    return y
