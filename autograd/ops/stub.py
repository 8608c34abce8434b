"""Writes `__init__.pyi` beside this file: the ops as type checkers and editors see them.

`@op` turns a class into a function, which type checkers do not follow. So each op stands in the stub with its
signature, its formula, and its result, mostly Tensor. Run `python -m autograd.ops.stub` after an op has changed; a test
compares.
"""

import inspect
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from autograd import ops
from autograd.operation import Op

HEAD = '''"""Every op by its public name, with signature and formula. Written by `python -m autograd.ops.stub`."""

from typing import Any

from autograd.tensor import Tensor

'''
RESULTS = {"split": "list[Tensor]", "isnan": "Any", "isinf": "Any", "isfinite": "Any"}  # where it is no Tensor
PATH = Path(__file__).with_name("__init__.pyi")


def stub() -> str:
    """The text of the stub."""
    parts = []
    for name, value in sorted(vars(ops).items()):
        if name.startswith("_") or isinstance(value, ModuleType):
            continue
        if isinstance(value, (Op, FunctionType)):
            parts.append(_function(name, value))
        else:
            parts.append(f"{name}: {_type(value)}\n")
    return HEAD + "\n".join(parts)


def _function(name: str, f: Any) -> str:
    parameters = [p.replace(annotation=Any) for p in inspect.signature(f).parameters.values()]
    signature = str(inspect.Signature(parameters)).replace("typing.", "")
    result = RESULTS.get(name, "Tensor")
    text = inspect.cleandoc(f.doc if isinstance(f, Op) else f.__doc__ or "")
    lines = "\n".join(f"    {line}".rstrip() for line in text.splitlines())
    return f'def {name}{signature} -> {result}:\n    """{lines.strip()}"""\n'


def _type(value: Any) -> str:
    return f"tuple[{type(value[0]).__name__}, ...]" if isinstance(value, tuple) else type(value).__name__


if __name__ == "__main__":
    PATH.write_text(stub(), encoding="utf-8")
