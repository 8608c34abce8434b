"""Where an edit of a rule may be made, and the pieces of syntax that edits are built of."""

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple

AXES = (-1, 0, 1, 2, None)


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


def is_value(node: ast.expr) -> bool:
    if ast.unparse(node).startswith("np."):  # xp computes values; np computes shapes and indices
        return False
    if isinstance(node, ast.Name):
        return not is_module(node)
    if isinstance(node, ast.Attribute):
        return node.attr == "T"
    return isinstance(node, (ast.BinOp, ast.UnaryOp, ast.Call, ast.Compare, ast.Constant)) and not (
        isinstance(node, ast.Constant) and type(node.value) not in (int, float)
    )


def size_of(node: ast.AST) -> int:
    """How many nodes a tree has."""
    return sum(1 for _ in ast.walk(node))


def is_module(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in ("xp", "np", "numerics", "math", "ops")


def name_of(name: str) -> ast.expr:
    return ast.Name(name, ast.Load())


def method(value: ast.expr, f: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(ast.Attribute(value, f, ast.Load()), list(arguments), [])


def transposed(node: ast.expr) -> ast.expr:
    return method(name_of("xp"), "swapaxes", node, ast.Constant(-1), ast.Constant(-2))


def axis_choices(names: Sequence[str]) -> list[ast.keyword]:
    own = [name_of(n) for n in names if n in ("axis", "axes")]
    return [ast.keyword("axis", axis) for axis in (*own, *map(ast.Constant, AXES))]
