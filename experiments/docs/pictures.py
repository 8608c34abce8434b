"""The pictures of an op's page, as SVG.

curves(op)            y = f(x) and f′(x) of an op of one number
jacobian_map(op)      ∂y/∂x on the op's first example, as a heat map
difference_error(op)  the error of a difference quotient against its step
"""

from collections.abc import Callable

import numpy as np

from autograd import Tensor, grad, jacobian
from autograd.operation import Op
from autograd.ops.examples import EXAMPLES, Example
from experiments.docs.svg import BLUE, RED, heat_maps, lines

STEPS = 10.0 ** np.arange(-12, 0.01, 0.25)
POINTWISE = ("autograd.ops.elementwise", "autograd.ops.gelu")  # files of ops that work element by element


def is_curve(op: Op) -> bool:
    """Whether y = f(x) element by element; a change of dtype is a curve too, and a dull one."""
    return op.arity == 1 and op.__module__ in POINTWISE and op.name != "astype"


def curves(op: Op) -> str:
    """f and its derivative from −3 to 3, where they are finite."""
    x = np.linspace(-3, 3, 241)
    with np.errstate(all="ignore"):
        t = Tensor(x, requires_grad=True)
        y = op.apply(t)
        (slope,) = grad(y, [t], np.ones_like(x))
    low, high = max(-4.0, np.nanmin(y.data)), 6.0
    seen = (y.data >= low) & (y.data <= high)
    near = (np.abs(slope) <= high) & np.isfinite(y.data)
    f, derivative = np.where(seen, y.data, np.nan), np.where(near, slope, np.nan)
    return lines(x, [("f", BLUE, f), ("f′", RED, derivative)], ("x", ""))


def jacobian_map(op: Op) -> str:
    """∂y/∂x for each input with a gradient, rows: elements of y, columns: elements of x."""
    example = shown_example(op)
    inputs = example.inputs()
    maps = []
    for i in example.wrt[:3]:
        d = np.asarray(jacobian(_of_input(example, inputs, i), inputs[i]))
        maps.append((_name(op, i), d.reshape(-1, max(inputs[i].size, 1))))
    return heat_maps([(f"∂y/∂{name}", d) for name, d in maps])


def difference_error(op: Op) -> str:
    """Along a random direction v and for a random g: |(φ(h) − φ(−h))/2h − ⟨∂L/∂x, v⟩| against h, φ(t) = ⟨g, f(x + tv)⟩.

    The truth is the rule's own slope: both arms of the V meet it, the right one by the error h² of the formula, the
    left one by rounding, of order 10⁻¹⁶/h.
    """
    error = differences(op)
    error = np.where(error > 0, error, np.nan)
    return lines(STEPS, [("", BLUE, error)], ("step h", "relative error"), log=True)


def differences(op: Op) -> np.ndarray:
    """The relative error of the central difference at every one of STEPS: what `difference_error` draws."""
    example = shown_example(op)
    rng = np.random.default_rng(1)
    inputs = example.inputs()
    v = {i: rng.standard_normal(inputs[i].shape) for i in example.wrt}
    moved = [Tensor(x, requires_grad=True) if i in v else x for i, x in enumerate(inputs)]
    y = op.apply(*moved, **example.options)
    g = rng.standard_normal(y.shape)
    slopes = grad(y, [moved[i] for i in v], g)
    exact = sum(float((np.asarray(s) * v[i]).sum()) for s, i in zip(slopes, v, strict=True))

    def phi(h: float) -> float:
        there = [x + h * v[i] if i in v else x for i, x in enumerate(inputs)]
        return float((g * op.apply(*there, **example.options).data).sum())

    with np.errstate(all="ignore"):  # a large step may leave the domain
        quotients = np.array([(phi(h) - phi(-h)) / (2 * h) for h in STEPS])
    return abs(quotients - exact) / (abs(exact) or 1.0)


def shown_example(op: Op) -> Example:
    """The example that pages show: the first with an axis and in float64."""
    every = [e for e in EXAMPLES[op.name] if e.options.get("dtype") != "float32"]
    return next((e for e in every if e.inputs()[e.wrt[0]].ndim), every[0])


def _of_input(example: Example, inputs: list, i: int) -> Callable[[Tensor], Tensor]:
    return lambda x: example.op.apply(*inputs[:i], x, *inputs[i + 1 :], **example.options)


def _name(op: Op, i: int) -> str:
    return f"x{'₁₂₃₄'[i]}" if op.variadic else op.inputs[i]
