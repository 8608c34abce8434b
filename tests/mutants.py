"""Wrong rules made from the right ones, one token at a time: are they caught, named, located?

    python tests/mutants.py                    every mutant of every op; a table by kind
    python tests/mutants.py --op tanh softmax  of these ops
    python tests/mutants.py --sample 60        of 60 taken at random, with what gradcheck says about each

Each mutant is checked on the examples of its op (autograd/ops/examples.py) until one fails.
caught: a check failed. named: the message says what is wrong. raised: the rule failed, and the message names the op
and the shapes. located: one edit was found that makes the rule right, in the line that was changed; elsewhere: in
another line.
told: named or located.
"""

import argparse
import ast
import collections
import inspect
import linecache
import random
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from autograd import GradcheckError, Tensor, gradcheck
from autograd.engine import grad
from autograd.gradcheck.diagnosis import UNNAMED
from autograd.operation import Op
from autograd.ops.examples import EXAMPLES, Example
from autograd.registry import OPS

REDUCTIONS = {"sum": "mean", "mean": "sum", "max": "min"}
FUNCTIONS = {"sin": "cos", "cos": "sin", "exp": "log", "log": "exp", "sign": "abs", "tanh": "exp", "sqrt": "abs"}


class Mutant(NamedTuple):
    """One changed rule, which stands alone in a file of its own."""

    op: Op  # with the changed rule
    kind: str
    line: int
    before: str
    after: str


def mutants(op: Op) -> Iterator[Mutant]:
    """Every one-token change of the rule of an op; two that come to the same code are one."""
    lines, _ = inspect.getsourcelines(op.backward)
    source = "class _:\n" + "".join(lines)
    tree = ast.parse(source)
    seen = {ast.unparse(tree)}
    for node, kind, after in _changes(tree, [n for n in [*op.rule.values] if n not in ("need", "shapes")]):
        before = ast.get_source_segment(source, node) or ""
        try:
            changed = _replaced(source, node, after)
            code = ast.unparse(ast.parse(changed))
        except SyntaxError:
            continue
        if code not in seen:
            seen.add(code)
            made = _compiled(op, changed, f"<mutant {len(seen)} of {op.name}>")
            yield Mutant(made, kind, node.lineno - 1, before, after)


def _changes(tree: ast.AST, names: list[str]) -> Iterator[tuple[ast.expr, str, str]]:
    """(expression, kind of change, text to put in its place)"""
    text = ast.unparse
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp):
            a, b = f"({text(node.left)})", f"({text(node.right)})"
            if isinstance(node.op, (ast.Mult, ast.Div)):
                yield node, "factor dropped", a
                if isinstance(node.op, ast.Mult):
                    yield node, "factor dropped", b
                yield node, "operator changed", f"{a} {'/' if isinstance(node.op, ast.Mult) else '*'} {b}"
                yield node, "operator changed", f"{a} + {b}"
            elif isinstance(node.op, (ast.Add, ast.Sub)):
                yield node, "term dropped", a
                yield node, "term dropped", b if isinstance(node.op, ast.Add) else f"-{b}"
                yield node, "sign flipped", f"{a} {'-' if isinstance(node.op, ast.Add) else '+'} {b}"
                yield node, "operator changed", f"{a} * {b}"
            elif isinstance(node.op, ast.Pow):
                yield node, "factor dropped", a
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            yield node, "sign flipped", text(node.operand)
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Gt, ast.Lt, ast.GtE, ast.LtE)):
            other = "<" if isinstance(node.ops[0], (ast.Gt, ast.GtE)) else ">"
            yield node, "comparison changed", f"{text(node.left)} {other} {text(node.comparators[0])}"
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.value not in (-1,):
            yield node, "number changed", str(2 * node.value if isinstance(node.value, float) else node.value + 1)
        elif isinstance(node, ast.Name) and node.id in names:
            yield from ((node, "name changed", other) for other in names if other != node.id)
        elif isinstance(node, ast.Tuple):
            elements = [text(e) for e in node.elts]
            for i in range(len(elements) - 1):
                swapped = [*elements[:i], elements[i + 1], elements[i], *elements[i + 2 :]]
                yield node, "gradients swapped", f"({', '.join(swapped)})"
        elif isinstance(node, ast.Attribute) and node.attr == "T":
            yield node, "transposed", text(node.value)
        elif isinstance(node, ast.Call):
            yield from _changed_calls(node)
        if isinstance(node, ast.Return) and isinstance(node.value, (ast.BinOp, ast.Call, ast.Name)):
            yield node.value, "sign flipped", f"-({text(node.value)})"


def _changed_calls(node: ast.Call) -> Iterator[tuple[ast.expr, str, str]]:
    text = ast.unparse
    f = (
        node.func.attr
        if isinstance(node.func, ast.Attribute)
        else node.func.id
        if isinstance(node.func, ast.Name)
        else ""
    )
    first = 1 if node.args and text(node.args[0]) == "xp" else 0
    arguments = [text(a) for a in node.args]
    if f in REDUCTIONS and isinstance(node.func, ast.Attribute) and text(node.func.value) != "xp":
        yield node, "sum dropped", text(node.func.value)
        yield node.func, "function changed", f"({text(node.func.value)}).{REDUCTIONS[f]}"
        for k in node.keywords:
            for axis in ("0", "1", "-1") if k.arg in ("axis", "axes") else ():
                yield k.value, "axis changed", axis
    if f in FUNCTIONS and isinstance(node.func, ast.Attribute):
        yield node.func, "function changed", f"{text(node.func.value)}.{FUNCTIONS[f]}"
        yield node, "function dropped", arguments[0]
    if f in ("swapaxes", "_t", "transpose"):
        yield node, "transposed", arguments[1] if first else arguments[0]
    if f == "matmul":
        for i in range(first, first + 2):
            yield node.args[i], "transposed", f"xp.swapaxes({arguments[i]}, -1, -2)"
    if f in ("matmul", "where", "inside") and len(arguments) >= first + 2:
        for i in range(first, len(arguments) - 1):
            swapped = [*arguments[:i], arguments[i + 1], arguments[i], *arguments[i + 2 :]]
            options = [f"**{text(k.value)}" if k.arg is None else f"{k.arg}={text(k.value)}" for k in node.keywords]
            yield node, "arguments swapped", f"{text(node.func)}({', '.join([*swapped, *options])})"


def _replaced(source: str, node: ast.expr, after: str) -> str:
    """source with the text of a node replaced; its line breaks stay, so that lines keep their numbers."""
    lines = [line.encode() for line in source.splitlines(keepends=True)]
    assert node.end_lineno is not None and node.end_col_offset is not None
    start = sum(map(len, lines[: node.lineno - 1])) + node.col_offset
    end = sum(map(len, lines[: node.end_lineno - 1])) + node.end_col_offset
    whole = b"".join(lines)
    breaks = "\n" * (node.end_lineno - node.lineno)
    new = f"({after}{breaks})" if breaks or not isinstance(node, (ast.Attribute, ast.Constant, ast.Name)) else after
    return (whole[:start] + new.encode() + whole[end:]).decode()


def _compiled(op: Op, source: str, file: str) -> Op:
    """The op with the rule of `source`, which stands in a file of its own, as a cell of a notebook does."""
    lines = source.splitlines(keepends=True)[1:]
    linecache.cache[file] = (len(source), None, lines, file)
    code = compile(source, file, "exec")
    scope = dict(vars(sys.modules[op.definition.__module__]))
    exec(code, scope)
    body = {**vars(op.definition), "backward": _relined(scope["_"].backward)}
    return Op(type(op.definition.__name__, (), body))


def _relined(f: Callable) -> Callable:
    """The function one line further up: the source has a line before it that the file has not."""
    f.__code__ = f.__code__.replace(co_firstlineno=f.__code__.co_firstlineno - 1)
    return f


class Outcome(NamedTuple):
    """What gradcheck said about a mutant."""

    mutant: Mutant
    verdict: str  # "caught", "equivalent" (no gradient changes) or "missed"
    hints: list[str]
    named: bool
    raised: bool
    located: bool
    elsewhere: bool  # mended by an edit of another line
    seconds: tuple[float, float]  # of the check and of the search

    @property
    def told(self) -> bool:
        return self.named or self.located

    @property
    def told_or_raised(self) -> bool:
        return self.told or self.raised


def judge(mutant: Mutant) -> Outcome:
    """Check a mutant on the examples of its op."""
    start = time.process_time()
    for example in EXAMPLES[mutant.op.name]:
        f, xs = _checkable(mutant.op, example)
        if not xs or example.options.get("dtype") == "float32":  # gradcheck works in float64 only
            continue
        try:
            gradcheck(f, *xs)
        except GradcheckError as error:
            checked = time.process_time()
            hints = error.hints
            seconds = checked - start, time.process_time() - checked
            raised = "wrong" not in hints[0] and "different on Tensors" not in hints[0]
            named = not raised and UNNAMED not in hints[0] and not hints[0].endswith("right in part")
            there = error.edit is not None and error.edit.line == mutant.line
            return Outcome(mutant, "caught", hints, named, raised, there, bool(error.edit) and not there, seconds)
    verdict = "missed" if _changed(mutant.op) else "equivalent"
    return Outcome(mutant, verdict, [], False, False, False, False, (time.process_time() - start, 0.0))


def _checkable(op: Op, example: Example) -> tuple[Callable, list]:
    """A function of the inputs that get a gradient, and these inputs."""
    inputs = example.inputs()

    def f(*xs):
        full = list(inputs)
        for i, x in zip(example.wrt, xs, strict=True):
            full[i] = x
        return op.apply(*full, **example.options)

    return f, [inputs[i] for i in example.wrt]


def _changed(op: Op) -> bool:
    """Whether the rule of op gives another gradient than that of the library, on any example."""
    for example in EXAMPLES[op.name]:
        results = []
        for some in (op, OPS[op.name]):
            f, xs = _checkable(some, example)
            tensors = [Tensor(x, requires_grad=True) for x in xs]
            y = f(*tensors)
            g = np.random.default_rng(0).standard_normal(y.shape)
            try:
                results.append([a.data for a in grad(y, tensors, Tensor(g), create_graph=True) if a is not None])
            except Exception:
                return True
        if len(results[0]) != len(results[1]) or not all(map(np.allclose, *results)):
            return True
    return False


def table(outcomes: list[Outcome]) -> str:
    """One line a kind, and one for all."""
    kinds = collections.defaultdict(list)
    for o in outcomes:
        kinds[o.mutant.kind].append(o)
    heads = ("named", "raised", "located", "elsewhere", "told", "told_or_raised")
    rows = [("kind", "made", "equal", "missed", "caught", *(h.replace("_", " ") for h in heads))]
    for kind, some in [*sorted(kinds.items()), ("all", outcomes)]:
        verdicts = collections.Counter(o.verdict for o in some)
        counts = [sum(getattr(o, h) for o in some) for h in heads]
        shares = [f"{100 * n / max(verdicts['caught'], 1):.0f} %" for n in counts[-2:]]
        whole = [len(some), verdicts["equivalent"], verdicts["missed"], verdicts["caught"], *counts[:-2]]
        rows.append((kind, *map(str, whole), *shares))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    )


def told(outcome: Outcome) -> str:
    """One outcome as text."""
    m = outcome.mutant
    head = f"{m.op.name}: {m.kind}, line {m.line}: `{m.before}` → `{m.after}`   [{outcome.verdict}]"
    return "\n".join([head, *(f"    {hint}" for hint in outcome.hints)])


def all_mutants(names: list[str]) -> list[Mutant]:
    return [m for name in names for m in mutants(OPS[name]) if name in EXAMPLES]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--op", nargs="*", default=sorted(OPS))
    parser.add_argument("--sample", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--untold", action="store_true", help="print those that are neither named nor located")
    args = parser.parse_args()
    found = all_mutants(args.op)
    if args.sample:
        found = random.Random(args.seed).sample(found, min(args.sample, len(found)))
    start = time.process_time()
    outcomes = []
    for mutant in found:
        outcome = judge(mutant)
        outcomes.append(outcome)
        if (
            args.sample
            and args.sample <= 100
            or outcome.verdict == "missed"
            or outcome.elsewhere
            or args.untold
            and not outcome.told
        ):
            print(told(outcome), flush=True)
    print(table(outcomes))
    searches = sorted((o.seconds[1], o.mutant.op.name) for o in outcomes if o.verdict == "caught")
    if searches:
        median, (longest, name) = searches[len(searches) // 2][0], searches[-1]
        print(f"search: median {median:.2f} s, longest {longest:.2f} s of processor time ({name})")
    print(f"{len(outcomes)} mutants in {time.process_time() - start:.0f} s of processor time")


if __name__ == "__main__":
    main()
