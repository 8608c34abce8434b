"""Edits of a rule, one at a time: an operand dropped, an operator changed, a factor put in, and so on.

`edits(function, names)` yields them from small to large. Each is a place in the syntax tree and what to put there.
"""

import ast
import copy
from collections.abc import Callable, Container, Iterator, Sequence
from itertools import combinations, zip_longest
from typing import Any, NamedTuple

REDUCTIONS = ("sum", "mean", "max", "min")
UNARY = ("exp", "log", "sin", "cos", "tanh", "sqrt", "sign", "abs", "sigmoid")
BINARY = ("maximum", "minimum", "add", "subtract", "multiply", "divide")
PRODUCTS = ("matmul", "dot")
OPERATORS: tuple[type[ast.operator], ...] = (ast.Add, ast.Sub, ast.Mult, ast.Div)
COMPARISONS = (ast.Gt, ast.Lt, ast.GtE, ast.LtE)


class Place(NamedTuple):
    """Where an expression stands in the tree."""

    parent: ast.AST
    field: str
    at: int | None  # in a list
    numeric: bool  # a value that a gradient is computed from: no index, no condition, no option

    @property
    def node(self) -> ast.expr:
        value = getattr(self.parent, self.field)
        return value if self.at is None else value[self.at]

    def put(self, node: ast.expr) -> None:
        if self.at is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.at] = node


def places(node: ast.AST, numeric: bool = True) -> Iterator[Place]:
    """Every expression under node, those of loops without a certain end left out."""
    for field, value in ast.iter_fields(node):
        if field in ("targets", "target"):
            continue
        for i, child in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(child, ast.AST) or isinstance(child, (ast.While, ast.arguments)):
                continue
            if called(child) == "isinstance":
                continue
            below = numeric and not _is_option(node, field, i)
            if isinstance(child, ast.expr) and field != "func":
                yield Place(node, field, i if isinstance(value, list) else None, below)
            yield from places(child, below)


def _is_option(node: ast.AST, field: str, i: int) -> bool:
    """Whether a child of node is an index, a condition, an option, or the array whose shape is asked for."""
    if field in ("slice", "test", "keywords", "iter", "ifs"):
        return True
    if isinstance(node, ast.Attribute):
        return node.attr in ("shape", "ndim", "size", "dtype")
    if isinstance(node, ast.Call) and field == "args":
        return called(node) in ("range", "len", "reshape", "transpose", "enumerate", "zip") and i > 0
    return isinstance(node, ast.Compare)


def called(node: ast.AST) -> str:
    """The last name of the function that a call calls."""
    f = node.func if isinstance(node, ast.Call) else None
    return f.attr if isinstance(f, ast.Attribute) else f.id if isinstance(f, ast.Name) else ""


def edits(function: ast.AST, names: Sequence[str], lines: Container[int]) -> Iterator[tuple[Place, ast.expr]]:
    """Edits of a function, the likely ones first. names: the values that it may use. lines: the lines that ran."""
    everywhere = [p for p in places(function) if p.node.lineno in lines]
    assigned = {n.id: None for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    used = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    # What is named or computed, and then not used, was probably forgotten.
    unused = {n for n in [*assigned, *_parameters(function)] if n not in used}
    names = sorted(dict.fromkeys([*names, *assigned]), key=lambda n: n not in unused)
    for rewrite in (_exchanged, _operators, _drop, _values, _functions, _axes, _negated):
        for place in everywhere:
            for new in rewrite(place, names):
                yield place, new
    factors, terms = _pools(everywhere, names)
    values = [p for p in everywhere if p.numeric and _is_value(p.node)]
    rows = [(place, _inserted(place, factors, terms, names)) for place in values]
    while rows:  # the first insertion at every place, then the second, and so on
        some = [(place, row, next(row, None)) for place, row in rows]
        yield from ((place, new) for place, _, new in some if new is not None)
        rows = [(place, row) for place, row, new in some if new is not None]


def _parameters(function: ast.AST) -> list[str]:
    assert isinstance(function, (ast.FunctionDef, ast.Lambda))
    return [a.arg for a in [*function.args.args, *function.args.kwonlyargs]]


# Without new material


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
        yield from (_name(other) for other in names if other != node.id)
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        v: Any = node.value
        near: list = [v - 1, v + 1] if isinstance(v, int) else []
        near = [*near, *([2 * v, v / 2] if place.numeric else []), -v]
        yield from (ast.Constant(n) for n in near if n != v)


def _exchanged(place: Place, names: list[str]) -> Iterator[ast.expr]:
    """Two gradients, or the two branches of a condition, exchanged."""
    node = place.node
    if isinstance(node, ast.Tuple):
        yield from _swaps(node.elts, lambda elts: ast.Tuple(elts, ast.Load()))
    elif isinstance(node, ast.IfExp) and "need" not in ast.unparse(node.test):
        yield ast.IfExp(node.test, node.orelse, node.body)


def _negated(place: Place, names: list[str]) -> Iterator[ast.expr]:
    if place.numeric and _is_value(place.node) and not isinstance(place.node, ast.UnaryOp):
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
        if isinstance(node.func, ast.Attribute) and not _is_module(node.func.value):
            yield node.func.value
        yield from (a for a in node.args if not _is_module(a) and not isinstance(a, ast.Starred))


def _functions(place: Place, names: list[str]) -> Iterator[ast.expr]:
    """Another function, other places of its arguments, or a transposed factor of a matrix product."""
    node = place.node
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        for a, b in ((_transposed(node.left), node.right), (node.left, _transposed(node.right))):
            yield ast.BinOp(a, node.op, b)
        yield ast.BinOp(_transposed(node.right), node.op, _transposed(node.left))
    if not isinstance(node, ast.Call):
        return
    first = 1 if node.args and _is_module(node.args[0]) else 0

    def call(arguments):
        return ast.Call(node.func, [*node.args[:first], *arguments], node.keywords)

    arguments = node.args[first:]
    yield from _swaps(arguments[:5], lambda swapped: call([*swapped, *arguments[5:]]))
    if called(node) in PRODUCTS and len(arguments) >= 2:
        a, b, *rest = arguments
        yield from (call([*pair, *rest]) for pair in ((_transposed(a), b), (a, _transposed(b))))
        yield call([_transposed(b), _transposed(a), *rest])
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
    for keyword in _axis_choices(names):
        yield ast.Call(node.func, node.args, [k for k in node.keywords if k.arg != "axis"] + [keyword])
    if "keepdims" not in given:
        yield ast.Call(node.func, node.args, [*node.keywords, ast.keyword("keepdims", ast.Constant(True))])
    yield from (ast.Call(node.func, node.args, [k for k in node.keywords if k is not drop]) for drop in node.keywords)


# With new material


def _pools(everywhere: list[Place], names: list[str]) -> tuple[list[ast.expr], list[ast.expr]]:
    """What may be put in as a factor, and as a term: values by name, functions of them, and parts of the rule."""
    values = [_name(n) for n in names if n not in ("axis", "axes", "keepdims", "shape")]
    parts: dict[str, ast.expr] = {}
    for place in everywhere:
        node = place.node
        if _is_value(node) and place.numeric and sum(1 for _ in ast.walk(node)) <= 30:
            parts.setdefault(ast.unparse(node), copy.deepcopy(node))  # a copy may stand inside the original
    small = sorted(parts.values(), key=lambda node: sum(1 for _ in ast.walk(node)))
    one, two = ast.Constant(1), ast.Constant(2)
    functions = [_method(_name("xp"), f, v) for f in UNARY for v in values]
    forms = [form for v in values for form in _forms(v, one)]
    compared = [ast.Compare(v, [ast.Gt()], [ast.Constant(0)]) for v in values]
    squares = [ast.BinOp(p, ast.Mult(), p) for p in small[:20] if not isinstance(p, (ast.Name, ast.Constant))]
    rests = [ast.BinOp(one, ast.Sub(), p) for p in [*small[:20], *squares] if not isinstance(p, ast.Name)]
    products = [ast.BinOp(a, ast.Mult(), b) for a, b in combinations([*values, *small[:12]], 2)]
    axes = _axis_choices(names)
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
    yield from (_mean(node, f, axis) for axis in _axis_choices(names) for f in ("sum", "mean"))
    for keywords in (*alone, []):
        yield from (ast.Call(ast.Attribute(node, f, ast.Load()), [], keywords) for f in ("sum", "mean"))
    yield _transposed(node)
    yield from (_method(_name("xp"), f, node) for f in (*UNARY, "flip", "transpose"))


def _axis_choices(names: Sequence[str]) -> list[ast.keyword]:
    own = [_name(n) for n in names if n in ("axis", "axes")]
    return [ast.keyword("axis", axis) for axis in (*own, *map(ast.Constant, (-1, 0, 1, 2, None)))]


def _swaps(items: Sequence, build: Callable[[list], ast.expr]) -> Iterator[ast.expr]:
    """The same items, every two of them exchanged in turn."""
    for i, j in combinations(range(len(items)), 2):
        swapped = list(items)
        swapped[i], swapped[j] = items[j], items[i]
        yield build(swapped)


def _is_value(node: ast.expr) -> bool:
    if ast.unparse(node).startswith("np."):  # xp computes values; np computes shapes and indices
        return False
    if isinstance(node, ast.Name):
        return not _is_module(node)
    if isinstance(node, ast.Attribute):
        return node.attr == "T"
    return isinstance(node, (ast.BinOp, ast.UnaryOp, ast.Call, ast.Constant)) and not (
        isinstance(node, ast.Constant) and type(node.value) not in (int, float)
    )


def _is_module(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in ("xp", "np", "numerics", "math", "ops")


def _name(name: str) -> ast.expr:
    return ast.Name(name, ast.Load())


def _method(value: ast.expr, f: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(ast.Attribute(value, f, ast.Load()), list(arguments), [])


def _transposed(node: ast.expr) -> ast.expr:
    return _method(_name("xp"), "swapaxes", node, ast.Constant(-1), ast.Constant(-2))
