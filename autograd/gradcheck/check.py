"""gradcheck: compare the gradients of reverse mode with differences of the function itself.

The differences (differences.py) come with their own error estimate, so no test chooses a tolerance. A comparison needs
one random direction v for each input x and one random cotangent g: it compares ⟨gradient of ⟨g, f⟩, v⟩ with
⟨g, df(x + t v)/dt⟩. Only after a failure is the whole numeric gradient computed, for the diagnosis (diagnosis.py).
"""

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from autograd import modes
from autograd.arrays import to_host
from autograd.gradcheck import claims, diagnosis
from autograd.gradcheck.claims import Claim, scale
from autograd.gradcheck.differences import Slope
from autograd.gradcheck.functions import evaluate, first_gradients, guarded
from autograd.gradcheck.hints import GradcheckError, Suspects
from autograd.operation import Op
from autograd.tensor import Tensor

SAFETY = 30  # a difference may be wrong by this many times its estimated error
SMALL = 512  # elements: the whole numeric gradient is computed for inputs up to this size


@np.errstate(all="ignore")  # a step may leave the domain of f; the next step is smaller
@modes.switched(recording=True)
def gradcheck(f: Callable, *xs: Any, order: int = 2, seed: int = 0, hints: int | None = None) -> None:
    """Compare the gradients of f at xs with fourth-order differences; silent if they agree.

    f: an Op, or a function that takes one float64 Tensor for each of xs and returns one float64 Tensor of any shape.
    xs: float64 arrays or Tensors. order=2 also checks the gradient of ⟨gradient, direction⟩ with respect to xs and
    to the incoming gradient g, through create_graph. Cotangents and directions are random, from `seed`.
    hints: how much the message tells about a wrong rule. 1: what is wrong. 2: and which line of the rule it is.
    3: and the edit that makes it right. By default one more each time that a new version of the same rule fails.
    Raises GradcheckError with a diagnosis if a gradient is wrong, if an op writes into its arguments, or if the point
    allows no measurement (because of a kink, for example); TypeError for any dtype but float64.
    """
    if not xs:
        raise TypeError("gradcheck needs at least one input: gradcheck(f, x, ...)")
    points = [_float64(x, k) for k, x in enumerate(xs)]
    ran = _ran(f, points)
    names, title, suspects = _names(f, len(points)), _title(f, ran), Suspects(ran)
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
    yield _along_directions(first, rng)
    if order >= 2:
        g = _random(rng, y.shape)
        yield ArraysWithTensors(first, f, g, first_gradients(f, points, g))
        yield _along_directions(claims.second_order(title, names, f, points, y, g), rng)


class Found(NamedTuple):
    """A wrong gradient."""

    k: int  # of which input
    gradient: np.ndarray
    along: str  # by how much it is wrong


class AlongDirections(NamedTuple):
    """The gradients that a claim makes, against numeric derivatives along one random direction for each input."""

    claim: Claim
    directions: list[np.ndarray]
    slopes: list[Slope]  # of the claim's value along each direction
    g: np.ndarray  # the cotangent
    errors: list[float]  # by how much ⟨g, slope⟩ may be off

    def wrong(self) -> Found | None:
        """The first gradient that differs; GradcheckError if the rule fails."""
        with _stage(self.claim.title, [*self.claim.points, self.g], "rule"):
            gradients = self.claim.pull(self.claim.points, self.g)
        for k, (gradient, v, s) in enumerate(zip(gradients, self.directions, self.slopes, strict=True)):
            analytic, numeric, error = float((gradient * v).sum()), float(self.g @ s.value), self.errors[k]
            allowed = error + 1e-9 * float(abs(gradient * v).sum())
            if not (abs(analytic - numeric) <= allowed < np.inf):
                along = f"along a random direction: analytic {analytic:.9g}, numeric {numeric:.9g} ± {error:.0e}"
                return Found(k, gradient, along)
        return None

    def report(self, found: Found) -> tuple[str, str]:
        """What is wrong in one sentence, and the whole message."""
        order = "second-order " if self.claim.y is None else ""
        what = f"the {order}gradient of {self.claim.names[found.k]} is wrong"
        return _report(self.claim, self.claim.pull, found, self.g, what, f"\n\n  {found.along}")


def _along_directions(claim: Claim, rng: np.random.Generator) -> AlongDirections:
    """The numeric side of a comparison; GradcheckError where it cannot be measured."""
    points, names, typical = claim.points, claim.names, claim.typical
    directions = [scale(x) * _random(rng, x.shape) for x in points]
    slopes = [claim.slope(k, v) for k, v in enumerate(directions)]
    for k, s in enumerate(slopes):
        if s.kinked.any():
            raise GradcheckError(_kink(claim, k, s))
    weight = sum(abs(s.value) + np.minimum(1e6 * s.error, 1e300) for s in slopes) + 1e-3 * typical
    weight += 1e-3 * weight.max()
    g = _random(rng, typical.shape) / np.where(weight > 0, weight, 1)  # large and small outputs count alike
    errors = []
    for name, s in zip(names, slopes, strict=True):
        size = float(abs(g) @ (abs(s.value) + 1e-4 * typical))
        errors.append(SAFETY * float(abs(g) @ s.error) + 1e-9 * size)
        if not errors[-1] <= 1e-3 * size:
            raise GradcheckError(
                f"{claim.title}: the derivative with respect to {name} cannot be measured at this point (a kink, "
                "the edge of the domain, or rounding). Move the test point."
            )
    return AlongDirections(claim, directions, slopes, g, errors)


class ArraysWithTensors(NamedTuple):
    """The gradients of the rules run on arrays, which are right by now, against those of the rules run on Tensors."""

    claim: Claim
    f: Callable
    g: np.ndarray
    right: list[np.ndarray]  # by the fast forms

    def hopeless(self) -> bool:
        """Whether the rules fail on arrays already, without their fast forms: this is known sooner."""
        try:
            with modes.use_fused(False):
                gradients = first_gradients(self.f, self.claim.points, self.g)
        except Exception:  # whatever a wrong rule does
            return True
        return not all(map(_close, self.right, gradients))

    def wrong(self) -> Found | None:
        """The first gradient that differs; GradcheckError if the rule fails on Tensors."""
        points = self.claim.points
        with _stage(self.claim.title, [*points, self.g], "rule on Tensors"):
            on_tensors = first_gradients(self.f, points, self.g, create_graph=True)
        for k, (a, b) in enumerate(zip(first_gradients(self.f, points, self.g), on_tensors, strict=True)):
            if not _close(a, b):
                return Found(k, b, "")
        return None

    def report(self, found: Found) -> tuple[str, str]:
        """What is wrong in one sentence, and the whole message."""
        what = (
            f"the gradient of {self.claim.names[found.k]} is right on arrays and different on Tensors: `fused` and "
            "`backward` disagree, or the rule depends on the type of its arguments"
        )

        def pull(points, c):
            return first_gradients(self.f, points, c.reshape(self.g.shape), create_graph=True)

        return _report(self.claim, pull, found, self.g.ravel(), what, "")


def _report(claim: Claim, pull: Callable, found: Found, g: np.ndarray, what: str, tail: str) -> tuple[str, str]:
    """`what` and the name of the mistake, and the message with a table of the worst elements; pull: gives gradients."""
    if found.gradient.size > SMALL:
        few = f"{claim.names[found.k]} has {found.gradient.size} elements: check fewer of them for a diagnosis"
        return what, f"{claim.title}: {what}\n\n  {few}{tail.replace(chr(10) * 2, chr(10))}"
    case = claim.case(found.k, found.gradient, g)
    name = diagnosis.name(case, functools.cache(lambda: claims.elsewhere(claim, pull, found.k, g)))
    return f"{what}: {name or diagnosis.UNNAMED}", f"{claim.title}: {what}\n\n{diagnosis.report(case, name)}{tail}"


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


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    return np.allclose(a, b, rtol=1e-8, atol=1e-9 * abs(a).max(initial=0))


def _agrees(comparison: Any) -> bool:
    if isinstance(comparison, ArraysWithTensors) and comparison.hopeless():
        return False
    try:
        return comparison.wrong() is None
    except GradcheckError:
        return False


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


def _ran(f: Callable, points: Sequence) -> list[Op]:
    """f if it is an op, else the ops that it runs."""
    if isinstance(f, Op):
        return [f]
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
