"""gradcheck: compare the gradients of reverse mode with differences of the function itself.

The differences (differences.py) come with their own error estimate, so no test chooses a tolerance. A comparison needs
one random direction v for each input x and one random cotangent g: it compares ⟨gradient of ⟨g, f⟩, v⟩ with
⟨g, df(x + t v)/dt⟩. Only after a failure is the whole numeric gradient computed, for the diagnosis (diagnosis.py).
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from autograd import modes
from autograd.arrays import to_host
from autograd.gradcheck import claims
from autograd.gradcheck.comparisons import ArraysWithTensors, along_directions, random_array, stage
from autograd.gradcheck.functions import evaluate, first_gradients
from autograd.gradcheck.hints import GradcheckError, Suspects
from autograd.operation import Op
from autograd.tensor import Tensor


@np.errstate(all="ignore")  # a step may leave the domain of f; the next step is smaller
@modes.switched(recording=True)
def gradcheck(f: Callable, *xs: Any, order: int = 2, seed: int = 0, hints: int | None = None, **options: Any) -> None:
    """Compare the gradients of f at xs with fourth-order differences; silent if they agree.

        gradcheck(ops.softmax, x, axis=1)

    f: an Op, or a function that takes one float64 Tensor for each of xs and returns one float64 Tensor of any shape.
    xs: float64 arrays or Tensors. order=2 also checks the gradient of ⟨gradient, direction⟩ with respect to xs and
    to the incoming gradient g, through create_graph. Cotangents and directions are random, from `seed`.
    options: f is called as f(*xs, **options). An argument that has no name, or is not the last, needs a function
    around f: gradcheck(lambda x, w: f(x, index, w), x, w).
    hints: how much the message tells about a wrong rule. 1: what is wrong. 2: and which line of the rule it is.
    3: and the edit that makes it right. By default one more each time that a new version of the same rule fails.
    Raises GradcheckError with a diagnosis if a gradient is wrong, if an op writes into its arguments, or if the point
    allows no measurement (because of a kink, for example); TypeError for any dtype but float64.
    """
    if not xs:
        raise TypeError("gradcheck needs at least one input: gradcheck(f, x, ...)")
    points = [_float64(x, k) for k, x in enumerate(xs)]
    names, whole = _names(f, len(points)), f
    if options:
        f = functools.partial(f, **options)
    ran = [whole] if isinstance(whole, Op) else _ran(f, points)
    title, suspects = _title(whole, ran), Suspects(ran)
    for comparison in _comparisons(title, names, f, points, order, seed):
        try:
            found = comparison.wrong()
            if found:
                raise GradcheckError(*comparison.report(found))
        except GradcheckError as error:
            right = functools.partial(_right, title, names, f, points, order)
            error.explain(suspects, functools.partial(_agrees, comparison), right)
            error.show(suspects.tries() if hints is None else hints)
            raise
    suspects.forget()


def _comparisons(title: str, names: list[str], f: Callable, points: list, order: int, seed: int) -> Iterator:
    """What gradcheck compares, one after the other; GradcheckError where nothing can be measured."""
    rng = np.random.default_rng(seed)
    y = _reproducible_value(title, f, points)
    if not y.size:
        return
    first = claims.first_order(title, names, f, points, y)
    yield along_directions(first, rng)
    if order >= 2:
        g = random_array(rng, y.shape)
        yield ArraysWithTensors(first, f, g, first_gradients(f, points, g))
        if any(x.size for x in points):  # else the gradient has no elements, and so no derivative
            yield along_directions(claims.second_order(title, names, f, points, y, g), rng)


def _right(title: str, names: list[str], f: Callable, points: list, order: int) -> bool:
    """Whether every comparison holds, at these points and at others nearby that allow a measurement."""
    for seed, some in enumerate((points, *claims.nearby(points))):
        try:
            for comparison in _comparisons(title, names, f, some, order, seed):
                if not _agrees(comparison):
                    return False
        except GradcheckError:  # outside the domain, or at a kink
            if not seed:
                return False
    return True


def _agrees(comparison: Any) -> bool:
    if isinstance(comparison, ArraysWithTensors) and comparison.hopeless():
        return False
    try:
        return comparison.wrong() is None
    except GradcheckError:
        return False


def _reproducible_value(title: str, f: Callable, points: Sequence) -> np.ndarray:
    """f at the points; GradcheckError unless it is finite and the same in a second call."""
    with stage(title, points, "forward"):
        y, again = evaluate(f, points), evaluate(f, points)
    if not np.isfinite(y).all():
        raise GradcheckError(f"{title}: f is not finite at this point; choose another one")
    if y.shape != again.shape or not np.allclose(y, again, rtol=1e-9, atol=0):
        raise GradcheckError(f"{title}: f gives another result when called again; fix its random numbers")
    return y


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


def _ran(f: Callable, points: Sequence) -> list[Op]:
    """The ops that f runs."""
    ran: dict[str, Op] = {}

    def note(op, kind, call):
        ran[op.name] = op
        return call()

    with modes.hook(note):
        evaluate(f, [x.copy() for x in points])
    return list(ran.values())


def _title(f: Callable, ran: Sequence[Op]) -> str:
    """What is checked: an op, or a function and the ops that it runs."""
    if isinstance(f, Op):
        return f"gradcheck of {f.name}"
    name = getattr(f, "__name__", "f").replace("<lambda>", "f")
    return f"gradcheck of {name} ({', '.join(op.name for op in ran)})"
