"""How a module looks in a notebook: a tree that folds."""

from html import escape

from autograd import Tensor
from nn.module import Module, Parameter


def module_html(module: Module, name: str = "", open_: bool = True) -> str:
    """The class, the number of parameters, and inside it the tensors and the modules by name."""
    label = f"{name}: " if name else ""
    summary = f"{label}<b>{type(module).__name__}</b>({escape(module.extra_repr())}) {module.count():,} parameters"
    lines = []
    for key, value in module.members():
        if isinstance(value, Tensor):
            kind = "" if isinstance(value, Parameter) else " (buffer)"
            lines.append(f"<div style='margin-left: 1.2em'>{key}: {value.dtype} {list(value.shape)}{kind}</div>")
    lines += [module_html(child, key, open_=False) for key, child in module.named_children()]
    state = ' open=""' if open_ else ""
    return f"<details{state} style='margin-left: 1.2em'><summary>{summary}</summary>{''.join(lines)}</details>"


Module._repr_html_ = module_html  # type: ignore[attr-defined]
