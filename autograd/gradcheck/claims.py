"""What gradcheck compares: a function of arrays, the gradients that reverse mode claims, and numeric derivatives."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from autograd.gradcheck.case import Case
from autograd.gradcheck.differences import Slope, slope
from autograd.gradcheck.functions import evaluate, first_gradients, second_gradients


class Claim(NamedTuple):
    """A function of several arrays, and the gradients that reverse mode claims it has."""

    title: str  # begins every message
    names: list[str]  # of the inputs
    points: list[np.ndarray]  # the inputs
    value: Callable[[Sequence], np.ndarray]  # inputs → the function, an array (n,)
    pull: Callable[[Sequence, np.ndarray], list[np.ndarray]]  # inputs, c (n,) → the gradients of ⟨c, value⟩
    typical: np.ndarray  # (n,): how large the elements of value would be if nothing cancelled
    y: np.ndarray | None  # the value in its own shape; None in the second order

    def at(self, points: list[np.ndarray], value: np.ndarray) -> "Claim":
        """The same claim at other points, where it has this value."""
        return self._replace(points=points, y=None if self.y is None else value.reshape(self.y.shape))

    def slope(self, k: int, v: np.ndarray) -> Slope:
        """The numeric derivative of value along the direction v of input k."""
        points = self.points
        return slope(lambda t: self.value([x + t * v if j == k else x for j, x in enumerate(points)]), self.typical)

    def slopes_of_elements(self, k: int) -> Iterator[tuple[float, Slope]]:
        """For each element of input k: the step, and the numeric derivative with respect to element / step."""
        sizes = scale(self.points[k])
        for i, step in enumerate(sizes.flat):
            v = np.zeros_like(sizes)
            v.flat[i] = step
            yield step, self.slope(k, v)

    def jacobian(self, k: int, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """g · ∂value/∂x for input k, and its estimated error: two arrays (n, x.size), a column an element of x."""
        slopes = list(self.slopes_of_elements(k))
        columns = [g * s.value / step for step, s in slopes]
        errors = [abs(g) * s.error / step for step, s in slopes]
        return np.stack(columns, axis=1), np.stack(errors, axis=1)

    def case(self, k: int, gradient: np.ndarray, g: np.ndarray) -> Case:
        """The wrong gradient of input k with the numeric one, and those of the other inputs, which the rule may have
        swapped."""
        x, shape = self.points[k], self.y.shape if self.y is not None else (-1,)
        parts, errors = self.jacobian(k, g)
        others = [j for j, other in enumerate(self.points) if other.shape == x.shape and j != k]
        return Case(
            name=self.names[k],
            analytic=gradient,
            numeric=parts.sum(axis=0).reshape(x.shape),
            error=errors.sum(axis=0).reshape(x.shape),
            x=x,
            y=self.y,
            g=g,
            parts=parts.reshape(shape + x.shape),
            others={self.names[j]: self.jacobian(j, g)[0].sum(axis=0).reshape(x.shape) for j in others},
            inputs=dict(zip(self.names, self.points, strict=True)),
        )


def first_order(title: str, names: list[str], f: Callable, points: list, y: np.ndarray) -> Claim:
    """f itself, and its gradients."""

    def value(points):
        return evaluate(f, points).ravel()

    def pull(points, c):
        return first_gradients(f, points, c.reshape(y.shape))

    return Claim(title, names, points, value, pull, abs(y).ravel(), y)


def second_order(title: str, names: list[str], f: Callable, points: list, y: np.ndarray, g: np.ndarray) -> Claim:
    """The gradients of ⟨g, f⟩ as a function of the inputs and g, and the gradients of this function."""

    def value(points):
        return np.concatenate([a.ravel() for a in first_gradients(f, points[:-1], points[-1])])

    def pull(points, c):
        return second_gradients(f, points, c)

    # The derivative of a power of x is 1/x times the power, and that of an exponential is the exponential itself.
    typical = np.concatenate([(abs(g * y).mean() * (1 / scale(x) + 1)).ravel() for x in points])
    typical += abs(value([*points, g]))
    return Claim(title, [*names, "g"], [*points, g], value, pull, typical, None)


def scale(x: np.ndarray) -> np.ndarray:
    """The natural step of each element: its own size, or for a zero the geometric mean of the other sizes."""
    sizes = abs(x[x != 0])
    return np.where(x != 0, abs(x), np.exp(np.log(sizes).mean()) if sizes.size else 1.0)


def elsewhere(claim: Claim, pull: Callable, k: int, g: np.ndarray) -> list[Case]:
    """The wrong gradient of input k at other points and for other cotangents, where it can be measured."""
    cases = []
    for points, (u,) in zip(nearby(claim.points), nearby([g]), strict=True):
        y = claim.value(points)
        try:
            case = claim.at(points, y).case(k, pull(points, u)[k], u)
        except Exception:  # whatever a wrong rule does at another point
            continue
        if np.isfinite(case.numeric).all() and np.isfinite(case.analytic).all() and case.wrong.any():
            cases.append(case)
    return cases


def nearby(points: Sequence[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """Other points for a second opinion: each element moved by some per cent of itself; then also shuffled."""
    rng = np.random.default_rng(len(points))
    yield [x * rng.uniform(0.8, 1.2, x.shape) for x in points]
    yield [rng.permutation(x.ravel()).reshape(x.shape) * rng.uniform(0.97, 1.03, x.shape) for x in points]
