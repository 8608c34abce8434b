"""The comparisons of a gradcheck: of a gradient with differences, and of the rules on arrays with those on Tensors.

Each has `wrong()`, the first gradient that differs, and `report(found)`, what to say of it.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from autograd import modes
from autograd.gradcheck import claims, diagnosis
from autograd.gradcheck.claims import Claim, scale
from autograd.gradcheck.differences import Slope
from autograd.gradcheck.functions import first_gradients, guarded
from autograd.gradcheck.hints import GradcheckError

SAFETY = 30  # a difference may be wrong by this many times its estimated error
SMALL = 512  # elements: the whole numeric gradient is computed for inputs up to this size


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
        with stage(self.claim.title, [*self.claim.points, self.g], "rule"):
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


def along_directions(claim: Claim, rng: np.random.Generator) -> AlongDirections:
    """The numeric side of a comparison; GradcheckError where it cannot be measured."""
    points, names, typical = claim.points, claim.names, claim.typical
    directions = [scale(x) * random_array(rng, x.shape) for x in points]
    slopes = [claim.slope(k, v) for k, v in enumerate(directions)]
    for k, s in enumerate(slopes):
        if s.kinked.any():
            raise GradcheckError(_kink(claim, k, s))
    weight = sum(abs(s.value) + np.minimum(1e6 * s.error, 1e300) for s in slopes) + 1e-3 * typical
    weight += 1e-3 * weight.max()
    g = random_array(rng, typical.shape) / np.where(weight > 0, weight, 1)  # large and small outputs count alike
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
        with stage(self.claim.title, [*points, self.g], "rule on Tensors"):
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


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    return np.allclose(a, b, rtol=1e-8, atol=1e-9 * abs(a).max(initial=0))


def random_array(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Random signs and sizes, none near zero, so that no element is overlooked."""
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.5, shape)


@contextlib.contextmanager
def stage(title: str, arrays: Sequence[np.ndarray], what: str) -> Iterator[None]:
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
