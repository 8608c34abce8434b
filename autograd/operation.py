"""What an op is: a forward and its rule side by side, checked when it is defined and recorded when it is run."""

import functools
import inspect
import os
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autograd.backend import MODULES, is_array
from autograd.engine import Node
from autograd.modes import HOOKS, state
from autograd.tensor import Tensor

OPS: dict[str, "Op"] = {}  # every op by name, in order of definition
OUTPUT, SHAPES, KEPT, INPUTS, LATER = -1, -2, -3, -4, -5  # what a node saves besides single inputs: see `Op._save`
FLOAT32 = np.dtype("float32")
OPS_NAMESPACE: Any = None  # autograd.ops, set there: the xp of a rule that runs on Tensors


class Op:
    """A differentiable function: `forward` on raw arrays, `backward` on arrays or Tensors, side by side.

    What `backward` names after (xp, g) is what the tape keeps: inputs by their forward names, `y` (the output),
    `shapes` (of the inputs), `need` (which inputs want a gradient), and options. `fused` is an optional fast twin
    of `backward` for first-order passes; it may also name the `residuals` that forward returns after y.
    `call`, optional, is the public face where PyTorch's argument order is not (inputs..., options...).
    """

    def __init__(self, cls: type):
        self.name = cls.__name__.rstrip("_")
        self.doc = cls.__doc__ or ""
        self.__doc__, self.__name__, self.__module__ = cls.__doc__, self.name, cls.__module__
        self.definition = cls
        self.forward = self._function(cls, "forward")
        self.backward = self._function(cls, "backward")
        self.fused = self._function(cls, "fused", required=False)
        self.call = self._function(cls, "call", required=False)
        self.residuals: tuple[str, ...] = getattr(cls, "residuals", ())
        if not self.doc:
            self._fail("has no docstring: write its formula and the formula of its gradient")
        parameters = list(inspect.signature(self.forward).parameters.values())
        if not parameters or parameters[0].name != "xp":
            self._fail("forward must begin with xp: def forward(xp, x, *, option=default)")
        kinds = inspect.Parameter
        self.variadic = any(p.kind is kinds.VAR_POSITIONAL for p in parameters)
        self.inputs = [p.name for p in parameters[1:] if p.kind is not kinds.KEYWORD_ONLY]
        self.defaults = {p.name: p.default for p in parameters if p.kind is kinds.KEYWORD_ONLY}
        self.slots: list[str] = []  # what a node saves, inputs and outputs first
        self.rule_picks, self.rule_options = self._rule(self.backward, ())
        if self.fused:
            self.fused_picks, self.fused_options = self._rule(self.fused, self.residuals)
        self.need_slot = self.slots.index("need") if "need" in self.slots else None
        self.sources = [self._source(name) for name in self.slots]
        self.option_names = tuple(self.defaults)
        self.kernels: Op | None = None  # its stand-in on a GPU, for the inputs that it `fits`: autograd/kernels/ops.py
        self.loops: Op | None = None  # and on the CPU: autograd/loops/ops.py
        self.fits: Any = None  # of a stand-in: (xp, arrays, options) -> bool
        n = len(self.slots)
        self._identity = self.rule_picks == list(range(n)) and not self.fused

    def _fail(self, why: str) -> None:
        raise TypeError(f"op {self.name}: {why}")

    def _function(self, cls: type, name: str, required: bool = True) -> Any:
        f = cls.__dict__.get(name)
        if f is None and required:
            self._fail(f"has no {name}; an op is a class with a docstring, forward(xp, ...) and backward(xp, g, ...)")
        return f

    def _rule(self, rule: Callable, residuals: Sequence[str]) -> tuple[list[int], list[str]]:
        """Check a rule's signature; returns the slots it takes (in its order) and the options it names."""
        parameters = list(inspect.signature(rule).parameters.values())
        if [p.name for p in parameters[:2]] != ["xp", "g"]:
            self._fail(f"{rule.__name__} must begin with (xp, g)")
        known = ["y", "shapes", "need", *self.inputs, *residuals]
        picks, options = [], []
        for p in parameters[2:]:
            if p.kind is inspect.Parameter.KEYWORD_ONLY:
                if p.name not in self.defaults:
                    self._fail(f"{rule.__name__} names option {p.name!r}; forward has {list(self.defaults)}")
                options.append(p.name)
            elif p.name in known:
                if p.name not in self.slots:
                    self.slots.append(p.name)
                picks.append(self.slots.index(p.name))
            else:
                self._fail(f"{rule.__name__} names {p.name!r}; it may name {known}, and options after *")
        return picks, options

    def __repr__(self) -> str:
        return f"<op {self.name}: {inspect.cleandoc(self.doc)}>"

    def apply(self, *inputs, **options) -> Tensor:
        """Run forward on the arrays of `inputs` and record it if any of them is being differentiated."""
        if len(inputs) > len(self.inputs) and not self.variadic:  # NumPy allows sum(x, 1): the rest are options
            n = len(self.inputs)
            if len(inputs) - n > len(self.defaults):
                raise TypeError(f"{self.name}() takes at most {n + len(self.defaults)} arguments, got {len(inputs)}")
            for name, value in zip(self.option_names, inputs[n:], strict=False):
                if name in options:
                    raise TypeError(f"{self.name}() got two values of {name}")
                options[name] = value
            inputs = inputs[:n]
        arrays, parents = [], []
        recorded = False
        xp = np
        for x in inputs:
            parent = None
            if isinstance(x, Tensor):
                parent, x = x.node, x.data
                recorded = recorded or parent is not None
            arrays.append(x)
            parents.append(parent)
            if xp is np and type(x) is not np.ndarray:
                xp = MODULES.get(type(x), np)
        op = self
        faster = self.loops if xp is np else self.kernels
        if faster is not None and state.fused and faster.fits(xp, arrays, options):
            op = faster
        try:
            if HOOKS:
                y = _hooked(op, "forward", functools.partial(op.forward, xp, *arrays, **options))
            else:
                y = op.forward(xp, *arrays, **options)
        except Exception as e:
            raise _located(e, op, arrays, options) from None
        kept: tuple = ()
        if op.residuals:
            y, *kept = y
        if type(y) not in MODULES:  # NumPy returns scalars where an array has no axes
            y = xp.asarray(y)
        result = Tensor.__new__(Tensor)  # no checks: y is an array
        result.data = y
        if not (recorded and state.recording):
            result.node = None
            return result
        result.node = node = Node(op, tuple(parents), op._save(arrays, y, kept), options, y, xp)
        if state.debug:
            node.site = _caller()
        return result

    __call__ = apply

    def _source(self, slot: str) -> int:
        """Where `_save` finds what goes into a slot: the number of an input, or one of the constants below."""
        if slot in self.inputs and not self.variadic:
            return self.inputs.index(slot)
        return {"y": OUTPUT, "shapes": SHAPES, "need": LATER}.get(slot, INPUTS) if slot not in self.residuals else KEPT

    def _save(self, arrays: list, y: Any, kept: Sequence) -> tuple:
        saved = []
        for i, source in enumerate(self.sources):
            if source >= 0:
                saved.append(arrays[source])
            elif source == OUTPUT:
                saved.append(y)
            elif source == SHAPES:
                saved.append(tuple([a.shape if type(a) in MODULES else np.shape(a) for a in arrays]))
            elif source == KEPT:
                saved.append(kept[self.residuals.index(self.slots[i])])
            else:
                saved.append(tuple(arrays) if source == INPUTS else None)  # None: known when the rule runs
        return tuple(saved)

    def as_tensors(self, node: Node) -> list:
        """What a node saved, with arrays put back in their place in the graph (for create_graph)."""

        def lift(a, parent):
            return Tensor(a, parent) if is_array(a) else a

        out = []
        for name, value in zip(self.slots, node.saved, strict=True):
            if name == "y":
                value = Tensor(value, node)
            elif name in self.inputs:
                if self.variadic:
                    value = tuple(lift(a, p) for a, p in zip(value, node.parents, strict=True))
                elif self.inputs.index(name) < len(node.parents):
                    value = lift(value, node.parents[self.inputs.index(name)])
            out.append(value)
        return out

    def run_rule(self, node: Node, g: Any, need: tuple[bool, ...], create_graph: bool) -> Sequence:
        """The gradients of one node's inputs: its rule on arrays, or the same rule on Tensors."""
        saved: Sequence = node.saved
        if create_graph:
            saved = self.as_tensors(node)
        elif self._identity and self.need_slot is None and not HOOKS and not self.rule_options:
            try:  # the short way, for most ops of a first-order pass
                grads = self.backward(node.xp, g, *saved)
            except Exception as e:
                raise _located(e, self, [g, *saved], {}, node) from None
            return grads if type(grads) is tuple else (grads,)
        if self.need_slot is not None:
            saved = (*saved[: self.need_slot], need, *saved[self.need_slot + 1 :])
        use_fused = self.fused is not None and not create_graph and state.fused
        rule, names = (self.fused, self.fused_options) if use_fused else (self.backward, self.rule_options)
        if not self._identity:
            saved = [saved[i] for i in (self.fused_picks if use_fused else self.rule_picks)]
        options = {k: node.options.get(k, self.defaults[k]) for k in names} if names else {}
        xp = OPS_NAMESPACE if create_graph else node.xp
        try:
            if HOOKS:
                grads = _hooked(self, "backward", functools.partial(rule, xp, g, *saved, **options))
            else:
                grads = rule(xp, g, *saved, **options)
        except Exception as e:
            raise _located(e, self, [g, *saved], options, node) from None
        return grads if type(grads) is tuple else (grads,)


class OpWithCall(Op):
    """An op whose arguments are those of its `call`, which passes them on to `apply`."""

    def __call__(self, *args, **options):
        return self.call(self.apply, *args, **options)


def op(cls: type) -> Op:
    """Class decorator: turn a class with a formula, a forward and a backward into an Op, and register it."""
    new = OpWithCall(cls) if "call" in cls.__dict__ else Op(cls)
    old = OPS.get(new.name)
    if old is not None and not old.definition.__module__ == cls.__module__ == "__main__":  # a session may try again
        raise TypeError(f"op {new.name} is defined twice")
    OPS[new.name] = new
    return new


def stand_in(op: Op, cls: type) -> Op:
    """A faster Op for some inputs of `op`, whose formula and rule stay. cls: `fits`, `forward`, `fused`, on raw arrays.

    fits(inputs…, *, options): whether it is for these, besides that all are float32 and none is empty.
    """
    new = Op(type(op.name, (), {**cls.__dict__, "backward": op.backward, "__doc__": op.doc}))
    fits = cls.__dict__["fits"]

    def all_fit(xp, arrays, options):
        for a in arrays:
            if a is not None and (getattr(a, "dtype", None) != FLOAT32 or a.size == 0):
                return False
        options = {**op.defaults, **options}
        known = len(options) == len(op.defaults)  # what is not, the op itself refuses
        return known and arrays[0].ndim > 0 and fits(*arrays, **options)

    new.fits = all_fit
    return new


def _hooked(op: Op, kind: str, call: Callable[[], Any]) -> Any:
    for hook in reversed(HOOKS):
        call = functools.partial(hook, op, kind, call)
    return call()


def _located(e: Exception, op: Op, values: Sequence, options: dict, node: Node | None = None) -> Exception:
    """The same exception, its message led by the op, the shapes it ran on, and in debug mode the line."""

    def show(v):
        return f"{v.dtype}{list(v.shape)}" if hasattr(v, "dtype") else type(v).__name__

    def show_option(v):  # an index may hold arrays on the device: printing their values would wait for it
        if isinstance(v, tuple):
            return f"({', '.join(map(show_option, v))})"
        return show(v) if is_array(v) else repr(v)

    what = ", ".join([*map(show, values), *(f"{k}={show_option(v)}" for k, v in options.items())])
    where = f" recorded at {node.site}" if node is not None and node.site else ""
    hint = "; call the function of xp, not of np" if "__array_ufunc__" in str(e) else ""
    message = f"in {'the rule of ' if node is not None else ''}{op.name}({what}){where}: {e}{hint}"
    e.args = (message,)
    if message not in str(e):  # NumPy's AxisError and out-of-memory errors write their own
        builtin = next(c for c in type(e).__mro__ if c.__module__ == "builtins")
        return builtin(message).with_traceback(e.__traceback__)
    return e


_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def _caller() -> str:
    """The line that ran the op: the innermost one outside this package."""
    for frame in reversed(traceback.extract_stack()):
        if not frame.filename.startswith(_PACKAGE):
            return f"{frame.filename}:{frame.lineno}: {frame.line}"
    return "?"
