"""The reference of all public names of autograd, nn and minigan, from signatures and docstrings, as Markdown (MyST).

The docstrings are plain English with `names` and indented formulas, and no markup language: what is indented stays
as it is, and no other character is markup.
"""

import dataclasses
import importlib
import inspect
import pkgutil
import re
from types import FunctionType, ModuleType
from typing import Any

import autograd
import autograd.accelerate
import autograd.random
import minigan
import nn
from autograd import ops
from autograd.operation import Op

ALONE = "---\norphan: true\n---"  # not in the sidebar, which Sphinx would write into every page
MARKUP = re.compile(r"([\\*_\[\]<>$|#{}~^])")


def reference() -> dict[str, dict[str, dict[str, Any]]]:
    """Package -> module -> public name -> class or function."""
    face = {name: getattr(autograd, name) for name in autograd.__all__}
    engine: dict[str, dict[str, Any]] = {"autograd": {n: f for n, f in face.items() if not isinstance(f, ModuleType)}}
    engine["autograd.ops"] = {n: f for n, f in _public(vars(ops)).items() if isinstance(f, FunctionType)}
    for module in (autograd.random, autograd.accelerate):
        engine[module.__name__] = _defined(module)
    layers: dict[str, dict[str, Any]] = {}
    for name in nn.__all__:
        layers.setdefault(getattr(nn, name).__module__, {})[name] = getattr(nn, name)
    found = [m.name for m in pkgutil.walk_packages(minigan.__path__, "minigan.") if ".accelerate" not in m.name]
    models = {name: _defined(importlib.import_module(name)) for name in found if "__main__" not in name}
    return {
        "autograd": engine,
        "nn": dict(sorted(layers.items())),
        "minigan": {name: names for name, names in models.items() if names},
    }


def page(module: str, names: dict[str, Any]) -> str:
    """The page of a module: its own docstring, and an entry for each name."""
    doc = importlib.import_module(module).__doc__ or ""
    entries = [_entry(f"{module}.{name}", value) for name, value in names.items()]
    return "\n\n".join([ALONE, f"# {module}", "[All modules](index.md)", prose(doc), *entries]) + "\n"


def index(modules: dict[str, dict[str, dict[str, Any]]]) -> str:
    """The list of all modules with the first sentence of each."""
    parts = [
        "# Reference",
        "Every public name of the three packages, from its docstring. Ops have [their own pages](../ops/index.md).",
    ]
    for package, of_package in modules.items():
        parts.append(f"## The package {package}")
        parts.append("\n".join(f"- [{module}]({module}.md): {_escaped(_first(module))}" for module in of_package))
    return "\n\n".join(parts) + "\n"


def prose(doc: str) -> str:
    """A docstring as Markdown: blocks with indented or aligned lines as they are, others as paragraphs."""
    blocks = re.split(r"\n[ \t]*\n", inspect.cleandoc(doc))
    return "\n\n".join(_block(block) for block in blocks if block.strip())


def _block(block: str) -> str:
    if re.search(r"^ {2,}|\S {3,}\S", block, re.M):
        return f"```text\n{block}\n```"
    return _escaped(block)


def _escaped(text: str) -> str:
    """Plain text as Markdown, `names` in backticks kept."""
    parts = re.split(r"(`[^`\n]+`)", text)
    parts = [part if i % 2 else MARKUP.sub(r"\\\1", part) for i, part in enumerate(parts)]
    return re.sub(r"^(\s*\d+)([.)])", r"\1\\\2", "".join(parts), flags=re.M)


def _entry(dotted: str, value: Any) -> str:
    kind = "class" if inspect.isclass(value) else "function"
    parts = [prose(value.__doc__ or "")]
    if kind == "class":
        told = fields(value).items()
        parts += [_directive(3, "attribute", f"{dotted}.{name}", _escaped(what)) for name, what in told]
        methods = {n: f for n, f in _public(vars(value)).items() if isinstance(f, FunctionType) and f.__doc__}
        parts += [
            _directive(3, "method", f"{dotted}.{n}{_signature(f)}", prose(f.__doc__ or "")) for n, f in methods.items()
        ]
    return _directive(4, kind, dotted + _signature(value), "\n\n".join(parts))


def fields(value: type) -> dict[str, str]:
    """What a dataclass says of its own fields: the help of a flag, or the comment at the end of the line."""
    if not dataclasses.is_dataclass(value):
        return {}
    source = inspect.getsource(value)
    comments = dict(re.findall(r"^    (\w+): [^#\n]*  # (.+)$", source, re.M))
    said = {f.name: f.metadata.get("help") or comments.get(f.name, "") for f in dataclasses.fields(value)}
    return {name: what for name, what in said.items() if what and not name.startswith("_")}


def _directive(ticks: int, kind: str, signature: str, body: str) -> str:
    fence = ":" * (ticks + 1)
    return f"{fence}{{py:{kind}}} {signature}\n\n{body}\n{fence}"


def _signature(value: Any) -> str:
    """(x: Tensor, n: int = 1) -> Tensor, on one line; "" where Python knows none."""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    parameters = [p for p in signature.parameters.values() if p.name != "self"]
    text = str(signature.replace(parameters=parameters))
    return re.sub(r"<[^<>]*>", "…", re.sub(r"(?:\w+\.)+(?=[A-Z])|numpy\.|collections\.abc\.|typing\.", "", text))


def _public(names: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in names.items() if not name.startswith("_") and not isinstance(value, Op)}


def _defined(module: ModuleType) -> dict[str, Any]:
    """The public classes and functions that a module defines itself, in order."""
    own = {n: v for n, v in _public(vars(module)).items() if getattr(v, "__module__", "") == module.__name__}
    return {n: v for n, v in own.items() if inspect.isclass(v) or inspect.isfunction(v)}


def _first(module: str) -> str:
    doc = inspect.cleandoc(importlib.import_module(module).__doc__ or "")
    return re.split(r"(?<=[.:])\s|\n\n", doc, maxsplit=1)[0].replace("\n", " ").rstrip(":")
