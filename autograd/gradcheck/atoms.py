"""The dictionary of a diagnosis: what a gradient is often made of, compared with a wrong one.

`orders`, `factors` and `terms` each say all that fits one wrong gradient, the simplest first. With few elements
something may fit by chance, so `diagnosis.name` believes only what also fits at other points.
"""

from collections.abc import Iterator
from itertools import combinations, permutations, product

import numpy as np

from autograd.gradcheck.case import Case

Named = dict[str, np.ndarray]
SIMPLE = (1, -1, 2, -2, 0.5, -0.5, 3, -3, 4, -4)
LINES = 24  # axes longer than this are not tried for a shift


def orders(c: Case) -> Iterator[str]:
    """The right numbers in other places, or without g."""
    if c.y is None:
        return
    g = c.g.reshape(-1, *([1] * c.x.ndim))
    if c.near(c.analytic, (c.parts.reshape(-1, *c.x.shape) / g).sum(axis=0)).all():
        yield "analytic is the gradient of Σ y, not of Σ g y: the rule forgot g"

    a, n = c.analytic, c.numeric
    for axes in permutations(range(n.ndim)) if n.ndim < 5 else ():
        if list(axes) != sorted(axes) and n.transpose(axes).shape == a.shape and c.near(a, n.transpose(axes)).all():
            yield f"analytic equals the numeric gradient transposed, its axes in the order {axes}"
    for axis in range(n.ndim):
        if c.near(a, np.flip(n, axis)).all():
            yield f"analytic equals the numeric gradient reversed along axis {axis}"
        for k in range(1, min(n.shape[axis], LINES)):
            if c.near(a, np.roll(n, k, axis)).all():
                yield f"analytic equals the numeric gradient moved by {k} along axis {axis} (of {n.shape[axis]})"
    if n.size > 2 and np.allclose(np.sort(a, axis=None), np.sort(n, axis=None), rtol=1e-6, atol=0):
        yield "analytic has the right numbers in other places: look at axes, shapes and indices"


def factors(c: Case) -> Iterator[str]:
    """The gradient, but for a factor that is a function of one input or of y."""
    if c.y is None:
        return
    a, n = c.analytic, c.numeric
    some = (a != 0) | (n != 0)
    if not n.any() or (a == 0)[some].any() or (n == 0)[some].any():
        return
    forms = {**_forms(c), **_pairs(c)}
    if c.y is not None and c.y.shape == c.x.shape:
        forms["g"] = c.g.reshape(c.x.shape)
    found = []
    for name, form in forms.items():
        if not form[some].all():
            continue
        for head, left, right in (("lacks the factor", a * form, n), ("has one factor too many:", a, n * form)):
            factor = float(left[some] @ right[some] / (left[some] @ left[some]))
            for k in SIMPLE:
                if abs(factor - k) < 1e-6 * abs(k) and c.near(k * left, right).all():
                    shown = k if head == "lacks the factor" else 1 / k
                    found.append((_plain(name), f"the gradient {head} {_times(shown, name)}"))
    yield from (sentence for _, sentence in sorted(found, key=lambda f: f[0]))
    usable = {name: form for name, form in forms.items() if form[some].all()}
    yield from _exchanged_factors(c, usable, some)
    yield from _two_factors(c, usable, some)


def _first_logarithms(c: Case, forms: Named, some: np.ndarray) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The names of the forms; the logarithms of two elements of each form (forms, 2), and of numeric / analytic."""
    names = sorted(forms, key=_plain)
    wanted = np.log(abs(c.numeric[some][:2] / c.analytic[some][:2]))
    logs = np.array([np.log(abs(forms[name][some][:2])) for name in names]).reshape(len(names), len(wanted))
    return names, logs, wanted


def _exchanged_factors(c: Case, forms: Named, some: np.ndarray) -> Iterator[str]:
    """One factor where another one belongs; all pairs are compared by their first element before the rest is."""
    names, logs, wanted = _first_logarithms(c, forms, some)
    a, n = c.analytic, c.numeric
    close = (abs(logs[:, None] - logs[None] - wanted) < 1e-4).all(axis=-1)  # right, wrong
    for i, j in sorted(
        zip(*np.nonzero(close), strict=True), key=lambda pair: _plain(names[pair[0]])[0] + _plain(names[pair[1]])[0]
    ):
        belongs, stands = names[i], names[j]
        for sign in (1, -1) if i != j else ():
            if c.near(sign * a * forms[belongs], n * forms[stands]).all():
                yield f"the gradient has the factor {stands} where {_times(sign, belongs)} belongs"


def _two_factors(c: Case, forms: Named, some: np.ndarray) -> Iterator[str]:
    """Two factors are missing; all pairs are compared by their first elements before the rest is."""
    names, logs, wanted = _first_logarithms(c, forms, some)
    a, n = c.analytic, c.numeric
    for i, j in zip(*np.nonzero((abs(logs[:, None] + logs[None] - wanted) < 1e-4).all(axis=-1)), strict=True):
        for sign in (1, -1) if i < j else ():
            if c.near(sign * a * forms[names[i]] * forms[names[j]], n).all():
                yield f"the gradient lacks the factor {_times(sign, f'{names[i]} {names[j]}')}"


def terms(c: Case) -> Iterator[str]:
    """The gradient and one term, or one known expression where another one belongs."""
    if c.y is None:
        return
    known = {**_terms(c), **_products(c)}
    error = c.analytic - c.numeric
    for name, term in known.items():
        size = float((term * term).sum())
        k = float((error * term).sum()) / size if size else 0.0
        if k and c.near(c.numeric + k * term, c.analytic).all() and np.allclose(k * term, error, rtol=1e-5, atol=0):
            yield f"analytic − numeric = {_times(k, name)}: this term is missing, or one too many"
    wrong = [name for name, term in known.items() if c.near(c.analytic, term).all()]
    right = [name for name, term in known.items() if c.near(c.numeric, term).all()]
    yield from (f"the rule returns {a} where {n} belongs" for a, n in product(wrong[:3], right[:3]) if a != n)


# The dictionary


def _values(c: Case) -> Named:
    """y and the inputs, stretched to the shape of x, where they fit it."""
    found = {}
    for name, a in {"y": c.y, c.name: c.x, **c.inputs}.items():
        stretched = None if a is None else _stretched(a, c.x.shape)
        if stretched is not None and name != "g":
            found[name] = stretched
    return found


def _forms(c: Case) -> Named:
    """Functions of the values, those left out that are constant here."""
    found: Named = {}
    for n, v in _values(c).items():
        found |= {n: v, f"{n}²": v * v, f"(1 − {n})": 1 - v, f"(1 + {n})": 1 + v}
        found |= {f"(1 − {n}²)": 1 - v * v, f"(1 + {n}²)": 1 + v * v, f"{n}³": v**3, f"|{n}|": abs(v)}
        s = 1 / (1 + np.exp(-v))
        found |= {f"exp {n}": np.exp(v), f"tanh {n}": np.tanh(v), f"σ({n})": s, f"(1 − σ({n}))": 1 - s}
        found |= {f"sin {n}": np.sin(v), f"cos {n}": np.cos(v), f"sign {n}": np.sign(v), f"exp(−{n}²)": np.exp(-v * v)}
        if (v > 0).all():
            found |= {f"√{n}": np.sqrt(v), f"ln {n}": np.log(v)}
    return {name: a for name, a in found.items() if a.size == 1 or abs(a - a.flat[0]).max() > 1e-3 * abs(a).max()}


def _pairs(c: Case) -> Named:
    """Differences and sums of two values, and exponentials of the differences."""
    found: Named = {}
    for (n, a), (m, b) in combinations(_values(c).items(), 2):
        found |= {f"({n} − {m})": a - b, f"({n} + {m})": a + b, f"exp({n} − {m})": np.exp(a - b)}
        found[f"exp({m} − {n})"] = np.exp(b - a)
    return found


def _terms(c: Case) -> Named:
    """Products of g with a value, summed over some axes or over none, times another value; all in the shape of x."""
    assert c.y is not None
    g, one = c.g.reshape(c.y.shape), np.ones_like(c.x)
    spread = _stretched(g, c.x.shape)
    values = {"": one, **_values(c)}
    found: Named = {}
    if spread is not None:
        inner = {"": one, **{n: a for n, a in _forms(c).items() if len(n) <= 6}}
        found = {f"g {form}".rstrip(): spread * a for form, a in inner.items()}
        for (n, a), (m, b) in product(_values(c).items(), _forms(c).items()):
            found.setdefault(f"g {n} {m}", spread * a * b)
        outer = {**values, **{f"exp {n}": np.exp(a) for n, a in _values(c).items()}}
        for axes in _axis_sets(c.x.ndim):
            for (n, a), (m, b) in product(values.items(), outer.items()):
                total = (spread * a).sum(axis=axes, keepdims=True) * b
                found[f"{m} Σ(g {n})".replace(" )", ")").strip() + f" over axis {_listed(axes)}"] = total * one
        return found
    others = {"": np.ones_like(c.y)}
    for n, a in {"y": c.y, **c.inputs}.items():
        stretched = _stretched(a, c.y.shape)
        if stretched is not None and n != "g":
            others[n] = stretched
    for n, a in others.items():
        for axes in _axis_sets(c.y.ndim):
            for keep in (False, True):
                total = (g * a).sum(axis=axes, keepdims=keep)
                if total.shape == c.x.shape:
                    found[f"Σ(g {n})".replace(" )", ")") + f" over axis {_listed(axes)}"] = total
    return found


def _products(c: Case) -> Named:
    """Products of two matrices out of g, y and the inputs, in the shape of x; leading axes are summed if x has none."""
    assert c.y is not None
    matrices = {"g": c.g.reshape(c.y.shape), "y": c.y, **c.inputs}
    factors: Named = {}
    for n, m in matrices.items():
        if m.ndim >= 2:
            factors |= {n: m, f"{n}ᵀ": np.swapaxes(m, -1, -2)}
            if m.ndim > 2 and c.x.ndim == 2:
                flat = m.reshape(-1, m.shape[-1])
                factors |= {f"{n} (as rows)": flat, f"{n}ᵀ (as rows)": flat.T}
    found: Named = {}
    for (left, a), (right, b) in product(factors.items(), factors.items()):
        if a.shape[-1] != b.shape[-2] or not {"g", "gᵀ", "g (as rows)", "gᵀ (as rows)"} & {left, right}:
            continue
        try:
            y = a @ b
        except ValueError:  # batches that do not broadcast
            continue
        if y.ndim > c.x.ndim:
            y = y.sum(axis=tuple(range(y.ndim - c.x.ndim)))
        stretched = tuple(i for i, (k, size) in enumerate(zip(c.x.shape, y.shape, strict=False)) if k == 1 != size)
        y = y.sum(axis=stretched, keepdims=True)
        if y.shape == c.x.shape:
            found[f"{left} {right}"] = y
    return found


def _stretched(a: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """a broadcast to a shape, even if a reduction took some of its axes; None if it does not fit in one way."""
    if a.ndim == len(shape):
        return np.broadcast_to(a, shape) if all(n in (1, m) for n, m in zip(a.shape, shape, strict=True)) else None
    if a.ndim > len(shape):
        return None
    fitting = [kept for kept in combinations(range(len(shape)), a.ndim) if tuple(shape[i] for i in kept) == a.shape]
    if len(fitting) != 1 and a.ndim:
        return np.broadcast_to(a, shape) if a.shape == shape[len(shape) - a.ndim :] else None
    return np.broadcast_to(np.expand_dims(a, [i for i in range(len(shape)) if i not in fitting[0]]), shape)


def _axis_sets(ndim: int) -> list[tuple[int, ...]]:
    return [axes for k in range(1, ndim + 1) for axes in combinations(range(ndim), k)] if ndim <= 4 else []


def _listed(axes: tuple[int, ...]) -> str:
    return " and ".join(map(str, axes))


def _plain(name: str) -> tuple[int, str]:
    """For sorting: names first, then functions of them, the short ones before the long ones."""
    return (0 if name.isidentifier() else len(name), name)


def _times(k: float, name: str) -> str:
    """k times a name, as one writes it."""
    head = {"1": "", "-1": "−"}.get(f"{k:.5g}", f"{k:.5g} ".replace("-", "−"))
    return head + name
