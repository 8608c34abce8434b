"""Edits that put something in: a factor, a term, another expression, a sum.

`insertions(places, names, given)` yields them, the likely ones first.
"""

import ast
import copy
from collections.abc import Container, Iterator
from itertools import combinations, zip_longest

from autograd.gradcheck.places import Place, axis_choices, is_value, method, name_of, places, size_of, transposed

UNARY = ("exp", "log", "sin", "cos", "tanh", "sqrt", "sign", "abs", "sigmoid")
LARGEST = 15  # nodes of an expression of the forward that is put into the rule


def insertions(everywhere: list[Place], names: list[str], given: list[ast.expr]) -> Iterator[tuple[Place, ast.expr]]:
    """The first insertion at every place, then the second, and so on.

    names: the values that may be put in. given: expressions that are likely to be missing.
    """
    factors, terms = _pools(everywhere, names, given)
    values = [p for p in everywhere if p.numeric and is_value(p.node)]
    rows = [(place, _inserted(place, factors, terms, names)) for place in values]
    while rows:
        some = [(place, row, next(row, None)) for place, row in rows]
        yield from ((place, new) for place, _, new in some if new is not None)
        rows = [(place, row) for place, row, new in some if new is not None]


def parts_of(function: ast.FunctionDef | ast.Lambda, names: Container[str]) -> list[ast.expr]:
    """Expressions of a forward that its rule could compute too, small ones first: a gradient often repeats them.

    names: the values that a rule may name; what the forward computes on its way is no such value.
    """
    own = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    own |= {a.arg for a in [*function.args.args, *function.args.kwonlyargs]} - {"xp"}
    found: dict[str, ast.expr] = {}
    for place in places(function):
        node = place.node
        used = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        foreign = any(n in own and n not in names for n in used)
        if place.numeric and is_value(node) and size_of(node) <= LARGEST and not foreign:
            found.setdefault(ast.unparse(node), copy.deepcopy(node))
    return sorted(found.values(), key=size_of)


def _pools(everywhere: list[Place], names: list[str], given: list[ast.expr]) -> tuple[list[ast.expr], list[ast.expr]]:
    """What may be put in as a factor, and as a term: values by name, functions of them, and parts of the rule."""
    values = [name_of(n) for n in names if n not in ("axis", "axes", "keepdims", "shape")]
    parts: dict[str, ast.expr] = {}
    for place in everywhere:
        node = place.node
        if is_value(node) and place.numeric and size_of(node) <= 30:
            parts.setdefault(ast.unparse(node), copy.deepcopy(node))  # a copy may stand inside the original
    small = sorted(parts.values(), key=size_of)
    new = [p for p in given if not isinstance(p, ast.Name) or p.id not in names]
    new = [p for p in new if ast.unparse(p) not in {*parts, "1", "2"}]
    one, two = ast.Constant(1), ast.Constant(2)
    functions = [method(name_of("xp"), f, v) for f in UNARY for v in values]
    forms = [form for v in values for form in _forms(v, one)]
    compared = [ast.Compare(v, [ast.Gt()], [ast.Constant(0)]) for v in values]
    squares = [ast.BinOp(p, ast.Mult(), p) for p in small[:20] if not isinstance(p, (ast.Name, ast.Constant))]
    rests = [ast.BinOp(one, ast.Sub(), p) for p in [*small[:20], *squares] if not isinstance(p, ast.Name)]
    products = [ast.BinOp(a, ast.Mult(), b) for a, b in combinations([*values, *small[:12]], 2)]
    axes = axis_choices(names)
    reductions = [_mean(v, f, axes[0]) for v in values for f in ("mean", "sum")]
    others = [_mean(v, f, axis) for v in [*values, *products] for f in ("mean", "sum") for axis in axes]
    factors = [*values, two, *forms, *small, *new, *reductions, *compared, *rests, *squares, *functions, *products]
    return factors, [one, *values, *reductions, *small, *new, *products, *others, *functions]


def _mean(value: ast.expr, f: str, axis: ast.keyword) -> ast.expr:
    spread = ast.keyword("keepdims", ast.Constant(True))
    return ast.Call(ast.Attribute(value, f, ast.Load()), [], [axis, spread])


def _forms(v: ast.expr, one: ast.expr) -> list[ast.expr]:
    square = ast.BinOp(v, ast.Mult(), v)
    return [square, *(ast.BinOp(one, op, e) for e in (v, square) for op in (ast.Sub(), ast.Add()))]


def _inserted(place: Place, factors: list, terms: list, names: list[str]) -> Iterator[ast.expr]:
    """A factor more, a term more, something else in its place, a sum of it; each time the next one."""
    node, parent = place.node, getattr(place.parent, "op", None)
    small = isinstance(place.parent, (ast.BinOp, ast.Call)) and size_of(node) <= 6
    # In a b c a factor may stand anywhere: the whole product is enough.
    whole_product = not isinstance(parent, (ast.Mult, ast.USub)) and not isinstance(node, ast.UnaryOp)
    whole_sum = not isinstance(parent, (ast.Add, ast.Sub))
    for factor, term, reduced in zip_longest(factors, terms, _reduced(node, names)):
        if factor is not None and whole_product:
            yield ast.BinOp(node, ast.Mult(), factor)
            yield ast.BinOp(node, ast.Div(), factor)
        if factor is not None and small:
            yield factor
        if term is not None and whole_sum:
            yield ast.BinOp(node, ast.Add(), term)
            yield ast.BinOp(node, ast.Sub(), term)
            yield ast.BinOp(term, ast.Sub(), node)
        if reduced is not None:
            yield reduced


def _reduced(node: ast.expr, names: list[str]) -> Iterator[ast.expr]:
    """node divided by its sum, or less its mean; the sum or mean of node, or node transposed or turned round."""
    alone = [[ast.keyword("axis", ast.Constant(axis))] for axis in (0, 1, -1)]
    for axis in axis_choices(names)[:2] if isinstance(node, (ast.Name, ast.Call)) else ():
        yield ast.BinOp(node, ast.Div(), _mean(node, "sum", axis))
        yield ast.BinOp(node, ast.Sub(), _mean(node, "mean", axis))
    yield from (_mean(node, f, axis) for axis in axis_choices(names) for f in ("sum", "mean"))
    for keywords in (*alone, []):
        yield from (ast.Call(ast.Attribute(node, f, ast.Load()), [], keywords) for f in ("sum", "mean"))
    yield transposed(node)
    yield from (method(name_of("xp"), f, node) for f in (*UNARY, "flip", "transpose"))
