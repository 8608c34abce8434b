"""One wrong gradient, with all that its diagnosis looks at."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(kw_only=True)
class Case:
    """One wrong gradient. The arrays have the shape of the input x, unless another shape is given."""

    name: str  # of x
    analytic: np.ndarray
    numeric: np.ndarray
    error: np.ndarray  # of numeric, estimated
    x: np.ndarray
    y: np.ndarray | None  # the output, in its own shape; None in the second order
    g: np.ndarray  # the cotangent, in any shape
    parts: np.ndarray  # the numeric gradient through each element of y alone: y.shape + x.shape
    others: dict[str, np.ndarray]  # the numeric gradients of the other inputs of x's shape, by name
    inputs: dict[str, np.ndarray]  # all of them, x too

    def __post_init__(self):
        self.wrong = ~self.near(self.analytic, self.numeric)

    def near(self, a: Any, b: Any) -> np.ndarray:
        """Whether a equals b, element by element, as far as the numeric gradient is known."""
        floor = 1e-9 * abs(self.numeric).max(initial=0)
        return abs(a - b) <= 10 * self.error + 1e-6 * (abs(a) + abs(b)) + floor
