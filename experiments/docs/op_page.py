"""The page of an op, as Markdown: everything on it comes from the op, its examples and the lectures.

Formulas are the docstring's, written as MathML. The code is the class as it stands in its file.
"""

import re
from html import escape
from pathlib import Path
from textwrap import dedent

import numpy as np

from autograd import Tensor, explain
from autograd.explain import formulas
from autograd.formula import mathml
from autograd.operation import Op
from autograd.ops.examples import EXAMPLES
from autograd.registry import OPS
from autograd.source import source_of
from experiments.docs.api import ALONE
from experiments.docs.elsewhere import ELSEWHERE, LIBRARIES
from experiments.docs.pictures import curves, difference_error, differences, is_curve, jacobian_map, shown_example

ROOT = Path(__file__).parents[2]
LECTURES = ROOT / "docs" / "lectures"


def library_ops() -> dict[str, Op]:
    """The names of the ops of the library, sorted. Ops that a user defined in this process are left out."""
    return {name: OPS[name] for name in sorted(EXAMPLES) if OPS[name].__module__.startswith("autograd.ops.")}


def page(op: Op) -> str:
    """Markdown (MyST) with the formulas as HTML."""
    parts = [
        ALONE,
        f"# {op.name}",
        "[All ops](index.md)",
        mathematics(op),
        f"Called as `ops.{op.name}{op.__signature__}`.",
        _picture(op),
        "## The code",
        f"```python\n{code(op)}\n```",
        f"From [{_file(op)}](../{_file(op)}). " + _reads(op),
        "## On the tape",
        f"```text\n{tape_row(op)}\n```",
        "## The gradient, checked",
        f'<figure class="picture">{difference_error(op)}</figure>',
        "A central difference along a random direction, against the rule above, for a random g: "
        f"at the best step they {_best(op)}. The formula's error falls with h², rounding grows "
        "with 1/h; `gradcheck` looks for the step between. An op that is a polynomial of low degree has no right arm.",
        "## Elsewhere",
        elsewhere(op),
    ]
    if lectures := named_in(op):
        links = "\n".join(f"- [{title}](../{path})" for path, title in lectures.items())
        parts += ["## In the lectures", links]
    return "\n\n".join(parts) + "\n"


def index() -> str:
    """The list of all ops with their formulas, by the file that they stand in."""
    parts = ["# The ops", "Every op has a page: formula, code, picture, tape, check, and its name elsewhere."]
    files: dict[str, list[Op]] = {}
    for op in library_ops().values():
        files.setdefault(op.__module__.rpartition(".")[2], []).append(op)
    for file, of_file in sorted(files.items()):
        rows = [f"| [{op.name}]({op.name}.md) | {mathml(formulas(op)[0][0])} |" for op in of_file]
        parts += [f"## {file}", "\n".join(["| op | formula |", "|---|---|", *(row.replace("\n", " ") for row in rows)])]
    return "\n\n".join(parts) + "\n"


def mathematics(op: Op) -> str:
    """The docstring's lines, each as a <div> with one formula or two."""
    rows = []
    for pair in formulas(op):
        cells = "".join(f"<span>{mathml(text)}</span>" for text in pair if text)
        rows.append(f"<div>{cells}</div>")
    return '<div class="formula">\n' + "\n".join(rows) + "\n</div>"


def code(op: Op) -> str:
    return dedent(source_of(op.definition))


def tape_row(op: Op) -> str:
    """`explain` of one call, on the example that the page shows: shapes, what is kept, the order of the rule."""
    example = shown_example(op)
    tensors = [Tensor(x, requires_grad=True) if i in example.wrt else x for i, x in enumerate(example.inputs())]
    names = {op.inputs[i] if not op.variadic else f"x{i + 1}": tensors[i] for i in example.wrt}
    table = str(explain(op.apply(*tensors, **example.options), names=names, sweep=True))
    header = table.splitlines()[0]
    width = re.search(r"gives *", header)
    assert width, "explain has a column called gives"
    return "\n".join(line[: width.end()].rstrip() for line in table.splitlines()[: 2 + len(names)])


def elsewhere(op: Op) -> str:
    """The names in other libraries as a table, and the differences."""
    names = ELSEWHERE[op.name]
    cells = [f"`{getattr(names, library)}`" if getattr(names, library) else "–" for library in LIBRARIES]
    table = f"| {' | '.join(LIBRARIES.values())} |\n|---|---|---|\n| {' | '.join(cells)} |"
    return f"{table}\n\n{escape(names.differs, quote=False)}".rstrip()


def named_in(op: Op) -> dict[str, str]:
    """The lectures whose text or code names the op, as ops.NAME or `NAME`: path in the repository -> title."""
    found = {}
    for path in sorted(LECTURES.glob("[0-9][0-9]-*.md")):
        text = path.read_text(encoding="utf-8")
        if re.search(rf"\bops\.{op.name}\b|`{op.name}`", text):
            found[path.relative_to(ROOT).as_posix()] = text.splitlines()[0].lstrip("# ")
    return found


def _picture(op: Op) -> str:
    svg, about = (curves(op), "f and its slope f′") if is_curve(op) else (jacobian_map(op), "the Jacobian, by input")
    return f'<figure class="picture">{svg}<figcaption>{op.name}: {about}</figcaption></figure>'


def _reads(op: Op) -> str:
    kept = [f"`{name}`" for name in op.rule.kept]
    what = (
        f"The rule reads {', '.join(kept)}, and the tape keeps what a rule reads"
        if kept
        else "The rule reads no array, so the tape keeps none"
    )
    fast = " `fused` is a faster form of the same gradient, for first order." if op.fused else ""
    return f"{what}.{fast}"


def _file(op: Op) -> str:
    return op.__module__.replace(".", "/") + ".py"


def _best(op: Op) -> str:
    best = float(np.nanmin(differences(op)))
    return f"differ by {best:.0e} of the slope" if best else "agree in every bit"
