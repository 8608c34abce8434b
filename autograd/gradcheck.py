"""Check gradients against differences of the function itself, first and second order.

The differences (differences.py) come with their own error estimate, so no test chooses a tolerance. What is
wrong with a wrong gradient is put in words by diagnosis.py.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from autograd import backend, diagnosis, engine, modes, ops
from autograd.differences import slope
from autograd.operation import Op
from autograd.tensor import Tensor

SAFETY = 30  # how far beyond its estimated error a difference may be
SMALL = 512  # elements: up to here a failure is followed by the whole numeric gradient


class GradcheckError(AssertionError):
    """A gradient is wrong, or cannot be checked at this point; the message says which and why."""


@np.errstate(all="ignore")  # a step may leave the domain of f; the next one is smaller
@modes.switched(recording=True)
def gradcheck(f: Callable, *xs: Any, order: int = 2, seed: int = 0) -> None:
    """Compare the gradients of f at xs with fourth-order differences; silent if they agree.

    f: an Op, or a function of float64 Tensors, one for each of xs, that returns one float64 Tensor of any shape.
    xs: float64 arrays or Tensors. order=2 also checks the gradient of ⟨gradient, direction⟩ with respect to xs and
    to the incoming gradient g, through create_graph. Cotangents and directions are random, from `seed`.
    Raises GradcheckError with a diagnosis if a gradient is wrong, if an op writes into what it is given, if a kink
    is too near or the point allows no measurement; TypeError for anything but float64.
    """
    if not xs:
        raise TypeError("gradcheck needs at least one input: gradcheck(f, x, ...)")
    points = [_float64(x, k) for k, x in enumerate(xs)]
    names = _names(f, len(points))
    title = _title(f, points)
    rng = np.random.default_rng(seed)
    with _watched(title, points, "forward"):
        y, again = _value(f, points), _value(f, points)
    if not np.isfinite(y).all():
        raise GradcheckError(f"{title}: f is not finite at this point; choose another one")
    if y.shape != again.shape or not np.allclose(y, again, rtol=1e-9, atol=0):
        raise GradcheckError(f"{title}: f gives another result when called again; fix its random numbers")
    if not y.size:
        return

    def first(points):
        return _value(f, points).ravel()

    def pull_first(points, c):
        with _watched(title, [*points, c], "rule"):
            return _gradients(f, points, c.reshape(y.shape))

    _compare(title, names, first, pull_first, points, abs(y).ravel(), rng, y)
    if order < 2:
        return

    g = _random(rng, y.shape)

    def second(points):
        return np.concatenate([a.ravel() for a in _gradients(f, points[:-1], points[-1])])

    def pull_second(points, c):
        with _watched(title, [*points, c], "rule"):
            return _second_gradients(f, points, c)

    with _watched(title, [*points, g], "rule on Tensors"):
        on_tensors = _gradients(f, points, g, create_graph=True)
    for name, a, b in zip(names, _gradients(f, points, g), on_tensors, strict=True):
        if not np.allclose(a, b, rtol=1e-8, atol=1e-9 * abs(a).max(initial=0)):
            raise GradcheckError(
                f"{title}: the gradient of {name} is right on arrays and another one on Tensors: `fused` and "
                "`backward` disagree, or the rule looks at what it is given"
            )
    # per unit of x, a power changes by 1/x of itself and an exponential by 1
    typical = np.concatenate([(abs(g * y).mean() * (1 / _scale(x) + 1)).ravel() for x in points])
    typical += abs(second([*points, g]))
    _compare(title, [*names, "g"], second, pull_second, [*points, g], typical, rng)


def _compare(title, names, value, pull, points, typical, rng, y=None) -> None:
    """Check `pull` (reverse mode) against differences of `value`, one random direction for each input.

    typical: how large the elements of value would be if nothing cancelled. y: the output in its shape, or None where
    `value` is itself a gradient.
    """
    directions = [_scale(x) * _random(rng, x.shape) for x in points]
    slopes = [slope(_line(value, points, k, v), typical) for k, v in enumerate(directions)]
    for k, s in enumerate(slopes):
        if s.kinked.any():
            raise GradcheckError(_kink(title, names[k], value, points, k, s, typical, y))
    weight = sum(abs(s.value) + np.minimum(1e6 * s.error, 1e300) for s in slopes) + 1e-3 * typical
    weight += 1e-3 * weight.max()
    g = _random(rng, typical.shape) / np.where(weight > 0, weight, 1)  # large and small outputs count alike
    gradients = pull(points, g)
    for k, (gradient, v, s) in enumerate(zip(gradients, directions, slopes, strict=True)):
        analytic, numeric = float((gradient * v).sum()), float(g @ s.value)
        size = float(abs(g) @ (abs(s.value) + 1e-4 * typical))
        error = SAFETY * float(abs(g) @ s.error) + 1e-9 * size
        if not error <= 1e-3 * size:
            raise GradcheckError(
                f"{title}: the derivative with respect to {names[k]} cannot be measured at this point (a kink, the "
                "edge of the domain, or rounding). Move the test point."
            )
        if abs(analytic - numeric) <= error + 1e-9 * float(abs(gradient * v).sum()):
            continue
        parts: list = [None] * len(points)
        if points[k].size <= SMALL:  # the gradients of inputs of the same shape may have been swapped
            same_shape = [j for j, x in enumerate(points) if x.shape == points[k].shape]
            parts = [_jacobian(value, points, j, g, typical) if j in same_shape else None for j in range(len(points))]
        along = f"along a random direction: analytic {analytic:.9g}, numeric {numeric:.9g} ± {error:.0e}"
        raise GradcheckError(diagnosis.report(title, names, k, gradient, points, parts, y, g, along))


def _jacobian(value, points, k, g, typical) -> tuple[np.ndarray, np.ndarray]:
    """g · ∂y/∂x of input k, one column for each element of x, and its error: arrays (y.size, x.size)."""
    x, scale = points[k], _scale(points[k])
    slopes = [slope(_line(value, points, k, _at(i, scale)), typical) for i in range(x.size)]
    columns = [(g * s.value / scale.flat[i], abs(g) * s.error / scale.flat[i]) for i, s in enumerate(slopes)]
    return np.stack([c for c, _ in columns], axis=1), np.stack([e for _, e in columns], axis=1)


def _kink(title, name, value, points, k, s, typical, y) -> str:
    """The message: which input, which element, and the two derivatives."""
    x, scale, step, where = points[k], _scale(points[k]), 1.0, ""
    for i in range(x.size if x.size <= SMALL else 0):
        alone = slope(_line(value, points, k, _at(i, scale)), typical)
        if alone.kinked.any():
            s, step, index = alone, scale.flat[i], [int(n) for n in np.unravel_index(i, x.shape)]
            where = f", at {name}{index or ''} = {x.flat[i]:.6g}"
            break
    j = int(np.argmax(np.where(s.kinked, abs(s.right - s.left), -1)))
    return (
        f"{title}: a kink {'' if y is not None else 'of the gradient '}lies within the step at input {k} ({name})"
        f"{where}: the derivative is {s.left[j] / step:.3g} from the left and {s.right[j] / step:.3g} from the right. "
        "Move the test point."
    )


def _line(value, points, k, v) -> Callable[[float], np.ndarray]:
    return lambda t: value([x + t * v if j == k else x for j, x in enumerate(points)])


def _at(i: int, scale: np.ndarray) -> np.ndarray:
    """scale at its i-th element, zero elsewhere."""
    e = np.zeros_like(scale)
    e.flat[i] = scale.flat[i]
    return e


def _scale(x: np.ndarray) -> np.ndarray:
    """The natural step of each element: its own size; for a zero that of its neighbours."""
    sizes = abs(x[x != 0])
    return np.where(x != 0, abs(x), np.exp(np.log(sizes).mean()) if sizes.size else 1.0)


def _random(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Random signs and sizes, none near zero, so that no element is overlooked."""
    return rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.5, shape)


def _value(f, points) -> np.ndarray:
    y = f(*[Tensor(x) for x in points])
    if not isinstance(y, Tensor):
        raise TypeError(f"gradcheck needs a function that returns one Tensor, not {type(y).__name__}")
    if y.dtype != np.float64:
        raise TypeError(f"f returned {y.dtype} for float64 inputs: too few digits are left to check")
    return y.data


def _gradients(f, points, g, create_graph=False) -> list[np.ndarray]:
    xs = [Tensor(x, requires_grad=True) for x in points]
    return _arrays(engine.grad(f(*xs), xs, g, create_graph), points)


def _second_gradients(f, points, c) -> list[np.ndarray]:
    """The gradients of Σ ⟨∂/∂x, its stretch of c⟩ with respect to every x and to g."""
    *xs, g = (Tensor(x, requires_grad=True) for x in points)
    gradients = engine.grad(f(*xs), xs, g, create_graph=True)
    stretches = np.split(c, np.cumsum([x.size for x in xs])[:-1])
    total = Tensor(0.0)
    for x, gx, u in zip(xs, gradients, stretches, strict=True):
        if gx is not None:
            total = total + ops.sum(gx * u.reshape(x.shape))
    return _arrays(engine.grad(total, [*xs, g]), points)


def _arrays(gradients: Sequence, points: Sequence) -> list[np.ndarray]:
    """The gradients as arrays, zeros where f does not depend on the input."""
    full = [np.zeros_like(x) if a is None else a for a, x in zip(gradients, points, strict=True)]
    return [a.data if isinstance(a, Tensor) else a for a in full]


@contextlib.contextmanager
def _watched(title: str, arrays: Sequence, what: str) -> Iterator[None]:
    """Inside, `arrays` and all that ops return are read-only, so that an op that writes fails at that line;
    every gradient must be float64."""
    locked = []

    def lock(a):
        if isinstance(a, np.ndarray) and a.flags.writeable:
            a.flags.writeable = False
            locked.append(a)

    def watch(op, kind, call):
        out = call()
        for a in out if isinstance(out, tuple) else (out,):
            if kind == "backward":
                if getattr(a, "dtype", np.float64) != np.float64:
                    raise TypeError(f"returned {a.dtype} for a float64 input")
            lock(a.data if isinstance(a, Tensor) else a)
        return out

    for a in arrays:
        lock(a)
    try:
        with modes.hook(watch):
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
    finally:
        for a in locked:
            a.flags.writeable = True


def _float64(x: Any, k: int) -> np.ndarray:
    a = np.array(backend.to_host(x.data if isinstance(x, Tensor) else x))
    if a.dtype != np.float64:
        raise TypeError(
            f"gradcheck works in float64 only, and input {k} is {a.dtype}: pass np.array(x, float), and close over "
            "indices and masks as in gradcheck(lambda x: f(x, index), x)"
        )
    return a


def _names(f: Callable, n: int) -> list[str]:
    """The names of the inputs: as forward calls them, or as f does."""
    if isinstance(f, Op):
        names = [] if f.variadic else f.inputs
    else:
        try:
            parameters = list(inspect.signature(f).parameters.values())
        except (TypeError, ValueError):  # some callables have none
            parameters = []
        names = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    return names[:n] if len(names) >= n and "g" not in names else [f"x{k}" for k in range(n)]


def _title(f: Callable, points: Sequence) -> str:
    """The op, or the function and the ops that it runs."""
    if isinstance(f, Op):
        return f"gradcheck of {f.name}"
    name = getattr(f, "__name__", "f").replace("<lambda>", "f")
    ran: dict[str, None] = {}

    def note(op, kind, call):
        ran[op.name] = None
        return call()

    with modes.hook(note):
        _value(f, [x.copy() for x in points])
    return f"gradcheck of {name} ({', '.join(ran)})"
