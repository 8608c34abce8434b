"""Edits that put something in: a factor, a term, another expression, a sum.

`insertions(places, names)` yields them, the likely ones first.
"""

import ast
import copy
from collections.abc import Iterator
from itertools import combinations, zip_longest

from autograd.gradcheck.places import Place, axis_choices, is_value, method, name_of, transposed

UNARY = ("exp", "log", "sin", "cos", "tanh", "sqrt", "sign", "abs", "sigmoid")


def insertions(everywhere: list[Place], names: list[str]) -> Iterator[tuple[Place, ast.expr]]:
    """The first insertion at every place, then the second, and so on. names: the values that may be put in."""
    factors, terms = _pools(everywhere, names)
    values = [p for p in everywhere if p.numeric and is_value(p.node)]
    rows = [(place, _inserted(place, factors, terms, names)) for place in values]
    while rows:
        some = [(place, row, next(row, None)) for place, row in rows]
        yield from ((place, new) for place, _, new in some if new is not None)
        rows = [(place, row) for place, row, new in some if new is not None]


def _pools(everywhere: list[Place], names: list[str]) -> tuple[list[ast.expr], list[ast.expr]]:
    """What may be put in as a factor, and as a term: values by name, functions of them, and parts of the rule."""
    values = [name_of(n) for n in names if n not in ("axis", "axes", "keepdims", "shape")]
    parts: dict[str, ast.expr] = {}
    for place in everywhere:
        node = place.node
        if is_value(node) and place.numeric and sum(1 for _ in ast.walk(node)) <= 30:
            parts.setdefault(ast.unparse(node), copy.deepcopy(node))  # a copy may stand inside the original
    small = sorted(parts.values(), key=lambda node: sum(1 for _ in ast.walk(node)))
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
    factors = [*values, two, *forms, *small, *reductions, *compared, *rests, *squares, *functions, *products]
    return factors, [one, *values, *reductions, *small, *products, *others, *functions]


def _mean(value: ast.expr, f: str, axis: ast.keyword) -> ast.expr:
    spread = ast.keyword("keepdims", ast.Constant(True))
    return ast.Call(ast.Attribute(value, f, ast.Load()), [], [axis, spread])


def _forms(v: ast.expr, one: ast.expr) -> list[ast.expr]:
    square = ast.BinOp(v, ast.Mult(), v)
    return [square, *(ast.BinOp(one, op, e) for e in (v, square) for op in (ast.Sub(), ast.Add()))]


def _inserted(place: Place, factors: list, terms: list, names: list[str]) -> Iterator[ast.expr]:
    """A factor more, a term more, something else in its place, a sum of it; each time the next one."""
    node, parent = place.node, getattr(place.parent, "op", None)
    small = isinstance(place.parent, (ast.BinOp, ast.Call)) and sum(1 for _ in ast.walk(node)) <= 6
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
    """The sum or mean of node, or node transposed or turned round."""
    alone = [[ast.keyword("axis", ast.Constant(axis))] for axis in (0, 1, -1)]
    yield from (_mean(node, f, axis) for axis in axis_choices(names) for f in ("sum", "mean"))
    for keywords in (*alone, []):
        yield from (ast.Call(ast.Attribute(node, f, ast.Load()), [], keywords) for f in ("sum", "mean"))
    yield transposed(node)
    yield from (method(name_of("xp"), f, node) for f in (*UNARY, "flip", "transpose"))
