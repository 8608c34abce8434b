"""How a module looks in a notebook: a tree that folds."""

from html import escape

from autograd import Tensor
from nn.module import Module, Parameter


def module_html(module: Module, name: str = "", open_: bool = True, around: tuple[Module, ...] = ()) -> str:
    """The class, the number of parameters, and inside it the tensors and the modules by name.

    `around`: the modules that this one stands in, which a reference from a child to its parent does not enter again.
    """
    label = f"{escape(name)}: " if name else ""
    if any(module is each for each in around):
        return f"<div style='margin-left: 1.2em'>{label}…</div>"
    summary = f"{label}<b>{type(module).__name__}</b>({escape(module.extra_repr())}) {module.count():,} parameters"
    lines = []
    for key, value in module.members():
        if isinstance(value, Tensor):
            kind = "" if isinstance(value, Parameter) else " (buffer)"
            facts = f"{value.dtype} {list(value.shape)}{kind}"
            lines.append(f"<div style='margin-left: 1.2em'>{escape(key)}: {facts}</div>")
    lines += [module_html(child, key, False, (*around, module)) for key, child in module.named_children()]
    state = ' open=""' if open_ else ""
    return f"<details{state} style='margin-left: 1.2em'><summary>{summary}</summary>{''.join(lines)}</details>"


Module._repr_html_ = module_html  # type: ignore[attr-defined]
