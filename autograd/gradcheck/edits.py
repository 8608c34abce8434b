"""Edits of a rule, one at a time: an operand dropped, an operator changed, a factor put in, and so on.

`edits(function, names, lines, given)` yields them from small to large. Each is a place in the syntax tree and what to
put there. Those that put something in stand in insertions.py.
"""

import ast
from collections.abc import Callable, Container, Iterator, Sequence
from itertools import combinations
from typing import Any, TypeGuard

from autograd.gradcheck.insertions import UNARY, insertions
from autograd.gradcheck.places import Place, axis_choices, called, is_module, is_value, name_of, places, transposed

REDUCTIONS = ("sum", "mean", "max", "min")
BINARY = ("maximum", "minimum", "add", "subtract", "multiply", "divide")
PRODUCTS = ("matmul", "dot")
OPERATORS: tuple[type[ast.operator], ...] = (ast.Add, ast.Sub, ast.Mult, ast.Div)
AXES_TOGETHER = ((0, 1), (0, 2), (1, 2), (0, 2, 3))
COMPARISONS = (ast.Gt, ast.Lt, ast.GtE, ast.LtE)


def edits(
    function: ast.AST, names: Sequence[str], lines: Container[int], given: list[ast.expr]
) -> Iterator[tuple[Place, ast.expr]]:
    """Edits of a function, the likely ones first.

    names: the values that it may use. lines: the lines that ran. given: what is likely to be missing.
    """
    everywhere = [p for p in places(function) if p.node.lineno in lines]
    assigned = {n.id: None for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    used = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    # What is named or computed, and then not used, was probably forgotten.
    unused = {n for n in [*assigned, *_parameters(function)] if n not in used}
    names = sorted(dict.fromkeys([*names, *assigned]), key=lambda n: n not in unused)
    for rewrite in (_exchanged, _axes, _operators, _drop, _values, _functions, _negated):
        for place in everywhere:
            for new in rewrite(place, names):
                yield place, new
    yield from insertions(everywhere, names, given)


def _parameters(function: ast.AST) -> list[str]:
    assert isinstance(function, (ast.FunctionDef, ast.Lambda))
    return [a.arg for a in [*function.args.args, *function.args.kwonlyargs]]


def _operators(place: Place, names: list[str]) -> Iterator[ast.expr]:
    """Another operator, sign or comparison."""
    node = place.node
    if isinstance(node, ast.BinOp):
        for operator in OPERATORS if isinstance(node.op, OPERATORS) else ():
            if not isinstance(node.op, operator):
                yield ast.BinOp(node.left, operator(), node.right)
        if isinstance(node.op, (ast.Sub, ast.Div, ast.Pow, ast.MatMult)):
            yield ast.BinOp(node.right, node.op, node.left)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Invert, ast.Not)):
        yield node.operand
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        yield from (ast.Compare(node.left, [c()], node.comparators) for c in COMPARISONS if type(node.ops[0]) is not c)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and node.value == 1:
        yield ast.Constant(-1)


def _values(place: Place, names: list[str]) -> Iterator[ast.expr]:
    """Another name or number."""
    node = place.node
    if isinstance(node, ast.Name) and node.id in names and not isinstance(place.parent, ast.IfExp):
        yield from (name_of(other) for other in names if other != node.id)
    elif not _is_minus(place.parent) and type(v := _number(node)) in (int, float):
        near: list = [v - 1, v + 1] if isinstance(v, int) else []
        near = [*near, *([2 * v, v / 2] if place.numeric else []), -v]
        yield from (ast.Constant(n) for n in near if n != v)


def _number(node: ast.AST) -> Any:
    """The value of a constant, or of one with a minus before it; None for anything else."""
    if _is_minus(node) and type(value := _number(node.operand)) in (int, float):
        return -value
    return node.value if isinstance(node, ast.Constant) else None


def _is_minus(node: ast.AST) -> TypeGuard[ast.UnaryOp]:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)


def _exchanged(place: Place, names: list[str]) -> Iterator[ast.expr]:
    """Two gradients, or the two branches of a condition, exchanged."""
    node = place.node
    if isinstance(node, ast.Tuple):
        yield from _swaps(node.elts, lambda elts: ast.Tuple(elts, ast.Load()))
    elif isinstance(node, ast.IfExp) and "need" not in ast.unparse(node.test):
        yield ast.IfExp(node.test, node.orelse, node.body)


def _negated(place: Place, names: list[str]) -> Iterator[ast.expr]:
    if place.numeric and is_value(place.node) and not isinstance(place.node, ast.UnaryOp):
        yield ast.UnaryOp(ast.USub(), place.node)


def _drop(place: Place, names: list[str]) -> Iterator[ast.expr]:
    """A factor, a term or a function less."""
    node = place.node
    if isinstance(node, ast.BinOp):
        yield node.left
        yield ast.UnaryOp(ast.USub(), node.right) if isinstance(node.op, ast.Sub) else node.right
        yield node.right
    elif isinstance(node, ast.IfExp):
        yield node.body
        yield node.orelse
    elif isinstance(node, ast.Attribute) and node.attr == "T" or isinstance(node, ast.Subscript):
        yield node.value
    elif isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and not is_module(node.func.value):
            yield node.func.value
        yield from (a for a in node.args if not is_module(a) and not isinstance(a, ast.Starred))


def _functions(place: Place, names: list[str]) -> Iterator[ast.expr]:
    """Another function, other places of its arguments, or a transposed factor of a matrix product."""
    node = place.node
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        for a, b in ((transposed(node.left), node.right), (node.left, transposed(node.right))):
            yield ast.BinOp(a, node.op, b)
        yield ast.BinOp(transposed(node.right), node.op, transposed(node.left))
    if not isinstance(node, ast.Call):
        return
    first = 1 if node.args and is_module(node.args[0]) else 0

    def call(arguments):
        return ast.Call(node.func, [*node.args[:first], *arguments], node.keywords)

    arguments = node.args[first:]
    yield from _swaps(arguments[:5], lambda swapped: call([*swapped, *arguments[5:]]))
    if called(node) in PRODUCTS and len(arguments) >= 2:
        a, b, *rest = arguments
        yield from (call([*pair, *rest]) for pair in ((transposed(a), b), (a, transposed(b))))
        yield call([transposed(b), transposed(a), *rest])
    for family in (REDUCTIONS, UNARY, BINARY):
        if isinstance(node.func, ast.Attribute) and node.func.attr in family:
            others = (ast.Attribute(node.func.value, other, ast.Load()) for other in family if other != node.func.attr)
            yield from (ast.Call(other, node.args, node.keywords) for other in others)


def _axes(place: Place, names: list[str]) -> Iterator[ast.expr]:
    """A reduction over other axes, or with other keepdims."""
    node = place.node
    if not isinstance(node, ast.Call) or called(node) not in (*REDUCTIONS, "var", "flip", "swapaxes", "squeeze"):
        return
    given = {k.arg: k for k in node.keywords}
    several = [ast.Tuple([ast.Constant(a) for a in axes], ast.Load()) for axes in AXES_TOGETHER]
    for keyword in [*axis_choices(names), *(ast.keyword("axis", axes) for axes in several)]:
        kept = {**given, "axis": keyword}  # in its place, or at the end
        yield ast.Call(node.func, node.args, list(kept.values()))
    if "keepdims" not in given:
        yield ast.Call(node.func, node.args, [*node.keywords, ast.keyword("keepdims", ast.Constant(True))])
    yield from (ast.Call(node.func, node.args, [k for k in node.keywords if k is not drop]) for drop in node.keywords)


def _swaps(items: Sequence, build: Callable[[list], ast.expr]) -> Iterator[ast.expr]:
    """The same items, every two of them exchanged in turn."""
    for i, j in combinations(range(len(items)), 2):
        swapped = list(items)
        swapped[i], swapped[j] = items[j], items[i]
        yield build(swapped)
