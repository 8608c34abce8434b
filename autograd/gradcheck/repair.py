"""The search for one edit of a wrong rule that makes it right."""

import ast
import contextlib
import inspect
import io
import sys
import time
import tokenize
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from autograd import modes
from autograd.gradcheck.edits import edits
from autograd.gradcheck.insertions import parts_of
from autograd.gradcheck.places import Place
from autograd.operation import Op, Rule

WORK = 30_000  # calls of ops in one search: as a rule less than two seconds, and the same end on every machine
SECONDS = 2.0  # of processor time: the most that one search takes, whatever a call costs
A_TRIAL = 10  # calls: what it costs to compile an edit
WIDE = 50  # characters: the most that is shown around an edit


class Edit(NamedTuple):
    """One edit of the source of a rule."""

    file: str  # the name of the file, without its folder, or "the cell"
    line: int
    before: str
    after: str
    named: str = ""  # what the signature must name besides

    @property
    def where(self) -> str:
        return f"look at line {self.line} of {self.file}"

    @property
    def what(self) -> str:
        also = f", and the signature names {self.named}" if self.named else ""
        return f"line {self.line}: `{self.before}` becomes `{self.after}`{also}"


class OutOfTime(BaseException):
    """SECONDS are over. No Exception, so that nothing takes it for the error of a nonsensical edit."""


@np.errstate(all="ignore")
@modes.switched(recording=True)
def search(
    ops: Sequence[Op],
    agrees: Callable[[], bool],
    right: Callable[[], bool],
    clock: Callable[[], float] = time.thread_time,
) -> Edit | None:
    """The first edit of a rule of one of `ops` with which the check holds; None after WORK, or after SECONDS.

    agrees: whether the comparison that failed holds now; it is asked for each edit. right: whether the whole check
    does, at other points too; it is asked where `agrees` holds. What the rules print meanwhile is not shown.
    clock: in seconds; it is read before every op and every rule, so the search is late by one of them at most.
    """
    end = clock() + SECONDS

    def watch(op, kind, call):
        if clock() > end:
            raise OutOfTime
        return call()

    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.suppress(OutOfTime),
        modes.hook(watch),
    ):
        warnings.simplefilter("ignore")
        return _first(ops, agrees, right)
    return None


def _first(ops: Sequence[Op], agrees: Callable[[], bool], right: Callable[[], bool]) -> Edit | None:
    def holds(test):
        try:
            return test()
        except Exception:  # whatever a nonsensical edit does
            return False

    every = [(op, rule) for op in ops for rule in (op.rule, op.fused_rule) if rule is not None]
    rules = [(op, rule, lines) for op, rule in every if (lines := _lines(rule, agrees))]
    trials = WORK // (A_TRIAL + _calls(agrees))
    for op, rule, lines in rules:
        source = Source.of(rule.f)
        if source is None:
            continue
        names = [n for n in _usable(op, rule) if n not in ("shapes", "need")]
        forward = Source.of(op.forward)
        given = parts_of(forward.function, names) if forward else []
        candidates = edits(source.function, names, source.whole(lines), given)
        for _, (place, new) in zip(range(trials // len(rules)), candidates, strict=False):
            try:
                with source.edited(place, new):
                    f, named = source.compiled(_usable(op, rule))
            except (SyntaxError, ValueError):  # such as a name that is assigned and global
                continue
            with _ruled(op, rule, f, named):
                if holds(agrees) and holds(right):
                    return source.describe(place, new, named)
    return None


def _lines(rule: Rule, agrees: Callable[[], bool]) -> set[int]:
    """The lines of a rule that the comparison runs."""
    code, lines, before = getattr(rule.f, "__code__", None), set(), sys.gettrace()

    def trace(frame, event, arg):
        if frame.f_code is not code:
            return None
        lines.add(frame.f_lineno)
        return trace

    sys.settrace(trace)
    try:
        agrees()
    finally:
        sys.settrace(before)
    return lines


def _calls(agrees: Callable[[], bool]) -> int:
    """How many ops and rules one comparison runs."""
    count = 0

    def note(op, kind, call):
        nonlocal count
        count += 1
        return call()

    with modes.hook(note):
        agrees()
    return count


def _usable(op: Op, rule: Rule) -> list[str]:
    """The values that a rule may name."""
    return [*dict.fromkeys(["g", *rule.values, *rule.options, *op.inputs, "y"])]


@contextlib.contextmanager
def _ruled(op: Op, rule: Rule, f: Callable, named: tuple[str, ...]) -> Iterator[None]:
    """Inside, f is the rule of op. named: what its signature names besides, so the tape must keep it too."""
    saved, original = vars(op).copy(), rule.f
    if named:
        which = "fused" if rule is op.fused_rule else "backward"
        vars(op).update(vars(Op(type(op.definition.__name__, (), {**vars(op.definition), which: f}))))
    else:
        rule.f = f
    try:
        yield
    finally:
        rule.f = original
        vars(op).update(saved)


def _simple(node: ast.stmt | ast.Lambda) -> bool:
    """Whether it is a statement without statements inside."""
    return isinstance(node, ast.Lambda) or not hasattr(node, "body")


def _file_name(path: str) -> str:
    """A file without its folder. Jupyter's name for a cell tells nobody anything."""
    return "the cell" if "ipykernel_" in path or "<ipython-input" in path else Path(path).name


class Source:
    """The source of a function as a syntax tree, to edit and to compile again."""

    def __init__(self, f: Any, tree: ast.Module, file: str):
        self.f, self.file = f, file
        self.function = next(n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.Lambda)))
        self.parents = {id(child): n for n in ast.walk(self.function) for child in ast.iter_child_nodes(n)}
        self.names = {*f.__code__.co_names, *f.__code__.co_varnames, *f.__code__.co_freevars}
        inner = self.function
        if isinstance(inner, ast.FunctionDef):
            inner.decorator_list = []
        # Compiled inside another function, which holds the variables that this one closes over.
        outer = ast.parse(f"def outer({', '.join(f.__code__.co_freevars)}): pass").body[0]
        assert isinstance(outer, ast.FunctionDef)
        outer.body = [inner if isinstance(inner, ast.FunctionDef) else ast.copy_location(ast.Expr(inner), inner)]
        self._module = ast.Module([outer], [])

    @classmethod
    def of(cls, f: Callable) -> "Source | None":
        """None where the source is not known, as for a function typed at the prompt."""
        try:
            lines, start = inspect.getsourcelines(f)
            indented = lines[0][:1].isspace()
            tree = ast.parse(("class _:\n" if indented else "") + "".join(lines))
            ast.increment_lineno(tree, start - 1 - indented)
            return cls(f, tree, _file_name(inspect.getsourcefile(f) or "?"))
        except (OSError, TypeError, SyntaxError, tokenize.TokenError, StopIteration):
            return None

    def whole(self, lines: set[int]) -> set[int]:
        """These lines, and those of the statements that they belong to."""
        parts = [n for n in ast.walk(self.function) if isinstance(n, (ast.stmt, ast.Lambda)) and _simple(n)]
        spans = [range(n.lineno, (n.end_lineno or n.lineno) + 1) for n in parts]
        return {*lines, *(line for span in spans if lines & {*span} for line in span)}

    @contextlib.contextmanager
    def edited(self, place: Place, new: ast.expr) -> Iterator[None]:
        """Inside, `new` stands at the place."""
        old = place.node
        place.put(ast.fix_missing_locations(ast.copy_location(new, old) if not hasattr(new, "lineno") else new))
        try:
            yield
        finally:
            place.put(old)

    def compiled(self, usable: Sequence[str]) -> tuple[Callable, tuple[str, ...]]:
        """The function as its tree now stands, and which of the `usable` values it had to name in addition."""
        code, arguments = self._code(), self.function.args.args
        named: tuple[str, ...] = ()
        if not self.names.issuperset(code.co_names):
            named = tuple(n for n in usable if n in code.co_names and n not in self.names)
            arguments += [ast.arg(n, lineno=1, col_offset=0) for n in named]
            code = self._code()
            del arguments[len(arguments) - len(named) :]
        f = self.f
        cells = dict(zip(f.__code__.co_freevars, f.__closure__ or (), strict=True))
        closure = tuple(cells[n] for n in code.co_freevars)
        new = types.FunctionType(code, f.__globals__, f.__name__, f.__defaults__, closure)
        new.__kwdefaults__ = f.__kwdefaults__
        return new, named

    def _code(self) -> types.CodeType:
        outer = next(c for c in compile(self._module, self.file, "exec").co_consts if isinstance(c, types.CodeType))
        return next(c for c in outer.co_consts if isinstance(c, types.CodeType))

    def describe(self, place: Place, new: ast.expr, named: Sequence[str]) -> Edit:
        """An edit in words, with enough of the expression around it to be recognised."""
        around: ast.AST = place.parent
        shown: ast.AST | None = None
        while isinstance(around, (ast.expr, ast.keyword)) and not isinstance(around, ast.Tuple):
            if len(ast.unparse(around)) > WIDE and shown:
                break
            shown, around = around if isinstance(around, ast.expr) else shown, self.parents[id(around)]
        line, before = place.node.lineno, ast.unparse(shown or place.node)
        with self.edited(place, new):
            return Edit(self.file, line, before, ast.unparse(shown or new), ", ".join(named))
