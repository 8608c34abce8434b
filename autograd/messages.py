"""What an error says: the op, the shapes it ran on, the usual cause; and, in debug mode, the line."""

import os
import traceback
from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd.arrays import is_array
from autograd.tensor import Node, Tensor


def located(e: Exception, op: Any, values: Sequence, options: dict, node: Node | None = None) -> Exception:
    """The same exception, its message led by the op, the shapes it ran on, and in debug mode the line."""

    def show(v):
        return f"{v.dtype}{list(v.shape)}" if hasattr(v, "dtype") else type(v).__name__

    def show_option(v):  # an index may hold arrays on the device: printing their values would wait for it
        if isinstance(v, tuple):
            return f"({', '.join(map(show_option, v))})"
        return show(v) if is_array(v) else repr(v)

    what = ", ".join([*map(show, values), *(f"{k}={show_option(v)}" for k, v in options.items())])
    where = f" recorded at {node.seen.site}" if node is not None and node.seen else ""
    tensors = [
        k for k, v in options.items() if any(isinstance(a, Tensor) for a in (v if isinstance(v, tuple) else (v,)))
    ]
    if tensors and node is None:
        why = f"{tensors[0]} holds a Tensor, and no gradient flows through an option: give its .data"
    else:
        why = _hinted(str(e), node is None)
    message = f"in {'the rule of ' if node is not None else ''}{op.name}({what}){where}: {why}"
    e.args = (message,)
    if message not in str(e):  # NumPy's AxisError and out-of-memory errors write their own
        builtin = next(c for c in type(e).__mro__ if c.__module__ == "builtins")
        return builtin(message).with_traceback(e.__traceback__)
    return e


def _hinted(text: str, forward: bool) -> str:
    """The text of an error with what to do about it, where a mistake has a typical text."""
    if " in the rule of " in text or text.startswith(("in ", "autograd.ops has no")):  # an op inside said it
        return text
    if "of a Tensor is not differentiated" in text or "a Tensor is not turned into an array" in text:
        if forward:
            return "forward works on arrays and met a Tensor: call the functions of xp in it, not those of autograd.ops"
        return f"{text.split(':')[0]}; under create_graph a rule runs on Tensors, and calls the functions of xp"
    if "'Tensor' object has no attribute" in text and not forward:
        methods = [m for m in dir(Tensor) if not m.startswith("_") and hasattr(np.ndarray, m) and m != "data"]
        return f"{text}; rules run on Tensors under create_graph, which have of an array's methods {', '.join(methods)}"
    if "mismatch in its core dimension" in text:
        return f"the matrices do not fit: {text.split('(')[-1].rstrip(')')}; is one of them transposed?"
    if "could not be broadcast" in text and "is one transposed" not in text:
        return f"{text.strip()}: is one transposed, or does a sum lack keepdims=True?"
    return text


_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def caller() -> str:
    """The line that ran the op: the innermost one outside this package."""
    for frame in reversed(traceback.extract_stack()):
        if not frame.filename.startswith(_PACKAGE):
            return f"{frame.filename}:{frame.lineno}: {frame.line}"
    return "?"
