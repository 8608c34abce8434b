"""Docstrings of public names: every class, function and method has one, it names the errors and gives the shapes.

Errors are read from the source: those that a function raises itself, or by a private function of its module; what it
calls besides has its own docstring. An op is left out: its docstring is its formula.
"""

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd
import minigan
import nn
from autograd import Tensor
from experiments.docs.api import reference
from minigan.errors import InputError, NoSuchSplit

UNNAMED = ("__init__", "__post_init__", "__call__")  # methods that the docstring of their class describes
TURN = ("reading", "reading_hdf5", "guarded")  # inside such a block every error becomes an InputError
NEVER_MEANT = (NotImplementedError, AssertionError)  # of methods that subclasses have, and of what cannot happen
# Modules whose docstring gives the shapes of all that stands in them.
SHAPED = ("nn.activation", "minigan.data.stored", "minigan.losses", "minigan.vitgan")
LENGTH = r"[\w…²·+/−|\[\] ]"
SHAPE = re.compile(  # (N,), (B, C, H, W), (n, latent), (steps + 1, H, W[, 3]), (…): lengths, one of them well known
    rf"(?<!\w)\((?=[^()]*(?<!\w)(?:[A-Znmd]|…|numel|out|in|height)(?!\w))(?:{LENGTH}+(?:,{LENGTH}*)+|…|[A-Z])\)"
)
WORDS = re.compile(r"(any|one|this) shape|the shape (that|of)|last axis|0-d|scalar|`shapes(\(\))?`")


@cache
def shown() -> dict[str, Any]:
    """Dotted name -> each class and function of the site's reference."""
    modules = [pair for package in reference().values() for pair in package.items()]
    return {f"{module}.{name}": value for module, names in modules for name, value in names.items()}


@cache
def defined() -> dict[str, Any]:
    """Dotted name -> each class and function without an underscore, those of inner modules too; but fast twins."""
    found = [m.name for p in (autograd, nn, minigan) for m in pkgutil.walk_packages(p.__path__, f"{p.__name__}.")]
    modules = [importlib.import_module(name) for name in found if "__main__" not in name and ".accelerate." not in name]
    return {
        f"{module.__name__}.{name}": value
        for module in modules
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
        if inspect.isclass(value) or inspect.isfunction(value)
    }


def members(values: dict[str, Any]) -> dict[str, tuple[Any, str, type | None]]:
    """Dotted name -> each function and method of these, the docstrings that describe it, and its class."""
    found: dict[str, tuple[Any, str, type | None]] = {}
    for name, value in values.items():
        if inspect.isclass(value):
            found |= {f"{name}.{inner}": (*pair, value) for inner, pair in methods(value).items()}
        else:
            found[name] = value, value.__doc__ or "", None
    return found


def methods(owner: type) -> dict[str, tuple[Any, str]]:
    """The methods and properties that a class defines, with its docstring and theirs, and those of its base classes."""
    whole = [base.__doc__ or "" for base in owner.__mro__ if base is owner or base not in (nn.Module, object)]
    found = {}
    for name, member in vars(owner).items():
        if (f := function(member)) and (not name.startswith("_") or name in UNNAMED):
            found[name] = f, "\n".join([*whole, *own_docs(owner, name)])
    return found


def own_docs(owner: type, name: str) -> list[str]:
    return [doc for base in owner.__mro__ if (doc := getattr(vars(base).get(name), "__doc__", None))]


def function(member: Any) -> Any:
    """The function of a method or a property, written in Python; None for anything else."""
    for kind, inside in ((classmethod | staticmethod, "__func__"), (property, "fget"), (cached_property, "func")):
        member = getattr(member, inside) if isinstance(member, kind) else member
    member = inspect.unwrap(member) if callable(member) else None
    return member if inspect.isfunction(member) and member.__code__.co_filename.endswith(".py") else None


# The errors that a function raises ---------------------------------------------------------------------------


def errors(f: Any, owner: type | None = None, above: tuple[Any, ...] = ()) -> set[type[Exception]]:
    """What a function raises and does not catch, itself or by a private function of its module or its class."""
    f = inspect.unwrap(f)
    if f in above:
        return set()
    private = any(name.startswith("_") for name in f.__code__.co_names)

    def value(expression: ast.expr) -> Any:
        try:
            return eval(ast.unparse(expression), f.__globals__, {"self": owner, "cls": owner})
        except Exception:  # of a local name
            return None

    def made(expression: ast.expr) -> Any:
        """The class of what is raised: Error, Error("…") or what_is_wrong("…") -> Error."""
        called = value(expression.func if isinstance(expression, ast.Call) else expression)
        return called if inspect.isclass(called) else getattr(called, "__annotations__", {}).get("return")

    def within(nodes: list[Any]) -> set[type[Exception]]:
        return {error for node in nodes for error in of(node)}

    def of(node: Any) -> set[type[Exception]]:
        if isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):  # it is called elsewhere
            return set()
        if isinstance(node, ast.expr) and not private:  # it calls no helper
            return set()
        if isinstance(node, ast.Raise) and node.exc is not None:
            error = made(node.exc)
            return {error} - {Exception} if inspect.isclass(error) and issubclass(error, Exception) else set()
        if isinstance(node, ast.Try):
            caught = tuple(c for h in node.handlers for c in classes(value(h.type) if h.type else Exception))
            passed = {error for error in within(node.body) if not issubclass(error, caught)}
            return passed | within([*node.handlers, *node.orelse, *node.finalbody])
        if isinstance(node, ast.With) and any(last(getattr(i.context_expr, "func", None)) in TURN for i in node.items):
            return {InputError} if within(node.body) else set()
        found = within(list(ast.iter_child_nodes(node)))
        if isinstance(node, ast.Call) and last(node.func).startswith("_"):
            helper = function(value(node.func))
            if helper is not None and helper.__module__ == f.__module__:
                found |= errors(helper, owner, (*above, f))
        return found

    return within(bodies(f.__code__.co_filename)[f.__code__.co_firstlineno]) - {*NEVER_MEANT}


@cache
def bodies(file: str) -> dict[int, list[ast.stmt]]:
    """The functions of a file by their first line, that of a decorator where there is one."""

    def within(node: Any) -> Iterator[ast.FunctionDef]:
        for child in [*getattr(node, "body", []), *getattr(node, "orelse", [])]:
            if isinstance(child, ast.FunctionDef):
                yield child
            yield from within(child)

    found = within(ast.parse(Path(file).read_text(encoding="utf-8")))
    return {min(line.lineno for line in (node, *node.decorator_list)): node.body for node in found}


def classes(caught: Any) -> tuple[type, ...]:
    """The exceptions of an except clause: one class or a tuple of them."""
    return tuple(c for c in (caught if isinstance(caught, tuple) else (caught,)) if inspect.isclass(c))


def last(name: Any) -> str:
    """b of a.b, and of b."""
    return getattr(name, "attr", getattr(name, "id", ""))


def names(docs: str, error: type[Exception]) -> bool:
    """Whether docstrings name an exception, or a kind of exceptions that it is of."""
    kinds = [kind.__name__ for kind in error.__mro__ if kind not in (Exception, BaseException, object)]
    return any(re.search(rf"\b{kind}s?\b", docs) for kind in [*kinds, "any exception"])


def test_errors_are_named():
    missing = {
        name: sorted(error.__name__ for error in errors(f, owner) if not names(docs, error))
        for name, (f, docs, owner) in members(defined()).items()
    }
    assert {name: some for name, some in missing.items() if some} == {}


# Shapes ------------------------------------------------------------------------------------------------------


def has_arrays(f: Any) -> bool:
    """Whether an argument or the result is an array, by the annotations. Arrays by name have a shape each."""
    signature = inspect.signature(f)
    kinds = [signature.return_annotation, *(p.annotation for p in signature.parameters.values())]
    text = re.sub(r"(dict|tuple)\[str, (dict\[str, )?[\w.]*(ndarray|Tensor)\]", "", " ".join(map(str, kinds)))
    return bool(re.search(r"\b(ndarray|Tensor)\b", text))


def gives_shape(docs: str) -> bool:
    return bool(SHAPE.search(re.sub(r"len\(\w+\)", "n", docs)) or WORDS.search(docs))


def test_arrays_have_a_shape():
    """In nn and minigan. The docstrings of autograd are those of NumPy's and PyTorch's functions of the same name."""
    described = [(name, f, docs) for name, (f, docs, _) in members(shown()).items()]
    described += [(name, v, v.__doc__ or "") for name, v in shown().items() if dataclasses.is_dataclass(v)]
    own = [(name, f, docs) for name, f, docs in described if name.startswith(("nn.", "minigan."))]
    without = [name for name, f, docs in own if has_arrays(f) and not gives_shape(docs)]
    assert [name for name in without if not name.startswith(SHAPED)] == []
    assert all(any(name.startswith(module) for name in without) for module in SHAPED), "a module is listed for nothing"


# That there are docstrings -----------------------------------------------------------------------------------


def test_every_public_name_has_a_docstring():
    """A dataclass or a NamedTuple without one gets its signature from Python: that says nothing to a reader."""
    found = shown()
    bare = [name for name, v in found.items() if not v.__doc__ or v.__doc__.startswith(f"{v.__name__}(")]
    assert bare == []
    assert {"autograd.Tensor", "nn.linear.Linear", "minigan.losses.gradient_penalty"} <= set(found)


def test_every_public_method_is_described():
    """In nn and minigan; `forward` is described by its class, and some methods of many classes by their module."""
    bare = []
    for name, (f, _, owner) in members(shown()).items():
        inner = name.rsplit(".", 1)[-1]
        if owner and name.startswith(("nn.", "minigan.")) and inner not in ("forward", *UNNAMED):
            if not own_docs(owner, inner) and f"`{inner}`" not in (inspect.getmodule(f).__doc__ or ""):
                bare.append(name)
    assert bare == []


# That faults are noticed -------------------------------------------------------------------------------------


def loud(n):
    if n:
        raise ValueError(n)


def _private(n):
    raise NoSuchSplit(n)


def by_a_helper(n):
    _private(n)


def quiet(n):
    try:
        raise ValueError(n)
    except (ValueError, TypeError):
        raise InputError(n) from None


def made_elsewhere(n):
    raise told(n)


def told(n) -> InputError:
    return InputError(n)


def turned(n):
    with reading(n):
        raise ValueError(n)


def reading(n): ...


def inner(n):
    def later():
        raise ValueError(n)

    return later


@pytest.mark.parametrize(
    "f, expected",
    [
        (loud, {ValueError}),
        (by_a_helper, {NoSuchSplit}),
        (quiet, {InputError}),
        (made_elsewhere, {InputError}),
        (turned, {InputError}),
        (inner, set()),
    ],
)
def test_the_errors_of_a_function(f, expected):
    assert errors(f) == expected


def test_an_error_is_named_by_its_class_or_a_kind_of_it():
    assert names("InputError for other splits.", NoSuchSplit)
    assert not names("Raises an error.", NoSuchSplit) and not names("MyInputErrors", InputError)


@pytest.mark.parametrize(
    "docs",
    ["x (N,)", "(B, C, H, W) in [−1, 1]", "z (n, latent)", "uint8 (steps + 1, H, W[, 3])", "rows (…)", "(len(t), d)"],
)
def test_a_shape_is_seen(docs):
    assert gives_shape(docs)


@pytest.mark.parametrize(
    "docs", ["y = max(x, 0)", "N(0, std²)", "from U(0, 2)", "SLN(h, w)", "(Lim & Ye, 1705.02894)", "(value, error)"]
)
def test_a_formula_or_a_citation_is_no_shape(docs):
    assert not gives_shape(docs)


def test_arrays_are_seen_in_annotations():
    def one(x: Tensor) -> None: ...
    def state(x: dict[str, np.ndarray]) -> None: ...

    assert has_arrays(one) and not has_arrays(state)
