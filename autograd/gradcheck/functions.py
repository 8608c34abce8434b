"""The function under test and its gradients in reverse mode, as functions of NumPy arrays."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from autograd import engine, modes, ops
from autograd.tensor import Tensor


def evaluate(f: Callable, points: Sequence[np.ndarray]) -> np.ndarray:
    """f at the points; TypeError unless it returns one float64 Tensor."""
    y = f(*[Tensor(x) for x in points])
    if not isinstance(y, Tensor):
        raise TypeError(f"gradcheck needs a function that returns one Tensor, not {type(y).__name__}")
    if y.dtype != np.float64:
        raise TypeError(f"f returned {y.dtype} for float64 inputs: too few digits are left to check")
    return y.data


def first_gradients(
    f: Callable, points: Sequence[np.ndarray], g: np.ndarray, create_graph: bool = False
) -> list[np.ndarray]:
    """The gradients of ⟨g, f⟩ with respect to every point."""
    xs = [Tensor(x, requires_grad=True) for x in points]
    return _arrays(engine.grad(f(*xs), xs, g, create_graph), points)


def second_gradients(f: Callable, points: Sequence[np.ndarray], c: np.ndarray) -> list[np.ndarray]:
    """The gradients of ⟨c, the first gradients in one row⟩ with respect to every point, the last of which is g."""
    *xs, g = (Tensor(x, requires_grad=True) for x in points)
    gradients = engine.grad(f(*xs), xs, g, create_graph=True)
    stretches = np.split(c, np.cumsum([x.size for x in xs])[:-1])
    total = Tensor(0.0)
    for x, gx, u in zip(xs, gradients, stretches, strict=True):
        if gx is not None:
            total = total + ops.sum(gx * u.reshape(x.shape))
    return _arrays(engine.grad(total, [*xs, g]), points)


def _arrays(gradients: Sequence, points: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The gradients as arrays, zeros where f does not depend on the point."""
    full = [np.zeros_like(x) if a is None else a for a, x in zip(gradients, points, strict=True)]
    return [a.data if isinstance(a, Tensor) else a for a in full]


@contextlib.contextmanager
def guarded(arrays: Sequence[np.ndarray]) -> Iterator[None]:
    """Inside, `arrays` and every array that an op returns are read-only, so that an op that writes into its arguments
    fails at that line; a rule that returns another dtype than float64 raises TypeError."""
    locked = []

    def lock(a):
        if isinstance(a, np.ndarray) and a.flags.writeable:
            a.flags.writeable = False
            locked.append(a)

    def guard(op, kind, call):
        out = call()
        for a in out if isinstance(out, tuple) else (out,):
            if kind == "backward" and getattr(a, "dtype", np.float64) != np.float64:
                raise TypeError(f"returned {a.dtype} for a float64 input")
            lock(a.data if isinstance(a, Tensor) else a)
        return out

    for a in arrays:
        lock(a)
    try:
        with modes.hook(guard):
            yield
    finally:
        for a in locked:
            a.flags.writeable = True
