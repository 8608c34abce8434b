"""gradcheck: compare the gradients of reverse mode with differences of the function itself.

The differences (differences.py) come with their own error estimate, so no test chooses a tolerance. A comparison needs
one random direction v for each input x and one random cotangent g: it compares ⟨gradient of ⟨g, f⟩, v⟩ with
⟨g, df(x + t v)/dt⟩. Only after a failure is the whole numeric gradient computed, for the diagnosis (diagnosis.py).
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from autograd import modes
from autograd.arrays import to_host
from autograd.gradcheck.diagnosis import Case, report
from autograd.gradcheck.differences import Slope, slope
from autograd.gradcheck.functions import evaluate, first_gradients, guarded, second_gradients
from autograd.operation import Op
from autograd.tensor import Tensor

SAFETY = 30  # a difference may be wrong by this many times its estimated error
SMALL = 512  # elements: the whole numeric gradient is computed for inputs up to this size


class GradcheckError(AssertionError):
    """A gradient is wrong, or cannot be checked at this point; the message says which and why."""


@np.errstate(all="ignore")  # a step may leave the domain of f; the next step is smaller
@modes.switched(recording=True)
def gradcheck(f: Callable, *xs: Any, order: int = 2, seed: int = 0) -> None:
    """Compare the gradients of f at xs with fourth-order differences; silent if they agree.

    f: an Op, or a function that takes one float64 Tensor for each of xs and returns one float64 Tensor of any shape.
    xs: float64 arrays or Tensors. order=2 also checks the gradient of ⟨gradient, direction⟩ with respect to xs and
    to the incoming gradient g, through create_graph. Cotangents and directions are random, from `seed`.
    Raises GradcheckError with a diagnosis if a gradient is wrong, if an op writes into its arguments, or if the point
    allows no measurement (because of a kink, for example); TypeError for any dtype but float64.
    """
    if not xs:
        raise TypeError("gradcheck needs at least one input: gradcheck(f, x, ...)")
    points = [_float64(x, k) for k, x in enumerate(xs)]
    names, title = _names(f, len(points)), _title(f, points)
    rng = np.random.default_rng(seed)
    y = _reproducible_value(title, f, points)
    if not y.size:
        return
    _compare(_first_order(title, names, f, points, y), rng)
    if order >= 2:
        g = _random(rng, y.shape)
        _compare_arrays_with_tensors(title, names, f, points, g)
        _compare(_second_order(title, names, f, points, y, g), rng)


class Claim(NamedTuple):
    """A function of several arrays, and the gradients that reverse mode claims it has."""

    title: str  # begins every message
    names: list[str]  # of the inputs
    points: list[np.ndarray]  # the inputs
    value: Callable[[Sequence], np.ndarray]  # inputs → the function, an array (n,)
    pull: Callable[[Sequence, np.ndarray], list[np.ndarray]]  # inputs, c (n,) → the gradients of ⟨c, value⟩
    typical: np.ndarray  # (n,): how large the elements of value would be if nothing cancelled
    y: np.ndarray | None  # the value in its own shape; None in the second order

    def slope(self, k: int, v: np.ndarray) -> Slope:
        """The numeric derivative of value along the direction v of input k."""
        points = self.points
        return slope(lambda t: self.value([x + t * v if j == k else x for j, x in enumerate(points)]), self.typical)

    def slopes_of_elements(self, k: int) -> Iterator[tuple[float, Slope]]:
        """For each element of input k: the step, and the numeric derivative with respect to element / step."""
        scale = _scale(self.points[k])
        for i, step in enumerate(scale.flat):
            v = np.zeros_like(scale)
            v.flat[i] = step
            yield step, self.slope(k, v)


def _first_order(title: str, names: list[str], f: Callable, points: list, y: np.ndarray) -> Claim:
    """f itself, and its gradients."""

    def value(points):
        return evaluate(f, points).ravel()

    def pull(points, c):
        with _stage(title, [*points, c], "rule"):
            return first_gradients(f, points, c.reshape(y.shape))

    return Claim(title, names, points, value, pull, abs(y).ravel(), y)


def _second_order(title: str, names: list[str], f: Callable, points: list, y: np.ndarray, g: np.ndarray) -> Claim:
    """The gradients of ⟨g, f⟩ as a function of the inputs and g, and the gradients of this function."""

    def value(points):
        return np.concatenate([a.ravel() for a in first_gradients(f, points[:-1], points[-1])])

    def pull(points, c):
        with _stage(title, [*points, c], "rule"):
            return second_gradients(f, points, c)

    # The derivative of a power of x is 1/x times the power, and that of an exponential is the exponential itself.
    typical = np.concatenate([(abs(g * y).mean() * (1 / _scale(x) + 1)).ravel() for x in points])
    typical += abs(value([*points, g]))
    return Claim(title, [*names, "g"], [*points, g], value, pull, typical, None)


def _compare(claim: Claim, rng: np.random.Generator) -> None:
    """Check every gradient against differences, along one random direction; GradcheckError at the first wrong one."""
    points, names, typical = claim.points, claim.names, claim.typical
    directions = [_scale(x) * _random(rng, x.shape) for x in points]
    slopes = [claim.slope(k, v) for k, v in enumerate(directions)]
    for k, s in enumerate(slopes):
        if s.kinked.any():
            raise GradcheckError(_kink(claim, k, s))
    weight = sum(abs(s.value) + np.minimum(1e6 * s.error, 1e300) for s in slopes) + 1e-3 * typical
    weight += 1e-3 * weight.max()
    g = _random(rng, typical.shape) / np.where(weight > 0, weight, 1)  # large and small outputs count alike
    gradients = claim.pull(points, g)
    for k, (gradient, v, s) in enumerate(zip(gradients, directions, slopes, strict=True)):
        analytic, numeric = float((gradient * v).sum()), float(g @ s.value)
        size = float(abs(g) @ (abs(s.value) + 1e-4 * typical))
        error = SAFETY * float(abs(g) @ s.error) + 1e-9 * size
        if not error <= 1e-3 * size:
            raise GradcheckError(
                f"{claim.title}: the derivative with respect to {names[k]} cannot be measured at this point (a kink, "
                "the edge of the domain, or rounding). Move the test point."
            )
        if abs(analytic - numeric) <= error + 1e-9 * float(abs(gradient * v).sum()):
            continue
        along = f"along a random direction: analytic {analytic:.9g}, numeric {numeric:.9g} ± {error:.0e}"
        raise GradcheckError(_wrong(claim, k, gradient, g, along))


def _compare_arrays_with_tensors(title: str, names: list[str], f: Callable, points: list, g: np.ndarray) -> None:
    """Run the rules on Tensors; GradcheckError if they fail, or if they return other gradients than on arrays."""
    with _stage(title, [*points, g], "rule on Tensors"):
        on_tensors = first_gradients(f, points, g, create_graph=True)
    for name, a, b in zip(names, first_gradients(f, points, g), on_tensors, strict=True):
        if not np.allclose(a, b, rtol=1e-8, atol=1e-9 * abs(a).max(initial=0)):
            raise GradcheckError(
                f"{title}: the gradient of {name} is right on arrays and different on Tensors: `fused` and `backward` "
                "disagree, or the rule depends on the type of its arguments"
            )


def _wrong(claim: Claim, k: int, gradient: np.ndarray, g: np.ndarray, along: str) -> str:
    """The message about a wrong gradient of input k; `along`: how much it was off in the check."""
    name, order = claim.names[k], "second-order " if claim.y is None else ""
    head = f"{claim.title}: the {order}gradient of {name} is wrong\n\n"
    if gradient.size > SMALL:
        return f"{head}  {name} has {gradient.size} elements: check fewer of them for a diagnosis\n  {along}"
    return f"{head}{report(_case(claim, k, gradient, g))}\n\n  {along}"


def _case(claim: Claim, k: int, gradient: np.ndarray, g: np.ndarray) -> Case:
    """The wrong gradient of input k with the numeric one, and those of the inputs of the same shape: the rule may have
    swapped them."""
    x, shape = claim.points[k], claim.y.shape if claim.y is not None else (-1,)
    parts, errors = _jacobian(claim, k, g)
    same_shape = [j for j, other in enumerate(claim.points) if other.shape == x.shape and j != k]
    return Case(
        name=claim.names[k],
        analytic=gradient,
        numeric=parts.sum(axis=0).reshape(x.shape),
        error=errors.sum(axis=0).reshape(x.shape),
        x=x,
        y=claim.y,
        g=g,
        parts=parts.reshape(shape + x.shape),
        others={claim.names[j]: _jacobian(claim, j, g)[0].sum(axis=0).reshape(x.shape) for j in same_shape},
    )


def _jacobian(claim: Claim, k: int, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """g · ∂value/∂x for input k, and its estimated error: two arrays (n, x.size), one column for each element of x."""
    slopes = list(claim.slopes_of_elements(k))
    columns = [g * s.value / step for step, s in slopes]
    errors = [abs(g) * s.error / step for step, s in slopes]
    return np.stack(columns, axis=1), np.stack(errors, axis=1)


def _kink(claim: Claim, k: int, s: Slope) -> str:
    """The message about a kink at input k: which element is at it, and the two derivatives."""
    x, name, step, where = claim.points[k], claim.names[k], 1.0, ""
    for i, (size, alone) in enumerate(claim.slopes_of_elements(k) if x.size <= SMALL else ()):
        if alone.kinked.any():
            s, step, index = alone, size, [int(n) for n in np.unravel_index(i, x.shape)]
            where = f", at {name}{index or ''} = {x.flat[i]:.6g}"
            break
    j = int(np.argmax(np.where(s.kinked, abs(s.right - s.left), -1)))
    return (
        f"{claim.title}: a kink {'' if claim.y is not None else 'of the gradient '}lies within the step at input {k} "
        f"({name}){where}: the derivative is {s.left[j] / step:.3g} from the left and {s.right[j] / step:.3g} from the "
        "right. Move the test point."
    )


def _scale(x: np.ndarray) -> np.ndarray:
    """The natural step of each element: its own size, or for a zero the geometric mean of the other sizes."""
    sizes = abs(x[x != 0])
    return np.where(x != 0, abs(x), np.exp(np.log(sizes).mean()) if sizes.size else 1.0)


def _random(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Random signs and sizes, none near zero, so that no element is overlooked."""
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.5, shape)


def _reproducible_value(title: str, f: Callable, points: Sequence) -> np.ndarray:
    """f at the points; GradcheckError unless it is finite and the same in a second call."""
    with _stage(title, points, "forward"):
        y, again = evaluate(f, points), evaluate(f, points)
    if not np.isfinite(y).all():
        raise GradcheckError(f"{title}: f is not finite at this point; choose another one")
    if y.shape != again.shape or not np.allclose(y, again, rtol=1e-9, atol=0):
        raise GradcheckError(f"{title}: f gives another result when called again; fix its random numbers")
    return y


@contextlib.contextmanager
def _stage(title: str, arrays: Sequence[np.ndarray], what: str) -> Iterator[None]:
    """Inside, ops are guarded, and errors of a rule become GradcheckErrors with a hint.

    what: "forward", "rule" or "rule on Tensors". Errors of f itself in the forward stage pass as they are.
    """
    try:
        with guarded(arrays):
            yield
    except Exception as e:
        if "read-only" in str(e):
            hint = "\nIt writes into what it was given: inputs, y and g are shared, so ops only read them."
        elif what == "rule on Tensors":
            hint = "\nThe first order is right. Under create_graph the rule runs on Tensors, with xp = autograd.ops."
        elif what == "forward":
            raise
        else:
            hint = ""
        raise GradcheckError(f"{title}: {e}{hint}") from e


def _float64(x: Any, k: int) -> np.ndarray:
    """A copy of input k on the host; TypeError unless it is float64."""
    a = np.array(to_host(x.data if isinstance(x, Tensor) else x))
    if a.dtype != np.float64:
        raise TypeError(
            f"gradcheck works in float64 only, and input {k} is {a.dtype}: pass np.array(x, float), and close over "
            "indices and masks as in gradcheck(lambda x: f(x, index), x)"
        )
    return a


def _names(f: Callable, n: int) -> list[str]:
    """The names of the n inputs in the signature of an op's forward or of f; x0, x1, … if it does not name them."""
    if isinstance(f, Op):
        names = [] if f.variadic else f.inputs
    else:
        try:
            parameters = list(inspect.signature(f).parameters.values())
        except (TypeError, ValueError):  # some callables have no signature
            parameters = []
        names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    return names[:n] if len(names) >= n and "g" not in names else [f"x{k}" for k in range(n)]


def _title(f: Callable, points: Sequence) -> str:
    """What is checked: an op, or a function and the ops that it runs."""
    if isinstance(f, Op):
        return f"gradcheck of {f.name}"
    name = getattr(f, "__name__", "f").replace("<lambda>", "f")
    ran: dict[str, None] = {}

    def note(op, kind, call):
        ran[op.name] = None
        return call()

    with modes.hook(note):
        evaluate(f, [x.copy() for x in points])
    return f"gradcheck of {name} ({', '.join(ran)})"
