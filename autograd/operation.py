"""What an op is: a forward and its rule side by side, checked when it is defined and recorded when it is run."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autograd.arrays import MODULES, host_array, is_array
from autograd.messages import caller, located
from autograd.modes import HOOKS, hooked, state
from autograd.registry import OPS, TWINS, ops
from autograd.tensor import Node, Seen, Tensor
from autograd.writes import WRITES, arrays_in, check_unwritten, checksums

HOST = np.ndarray
FLOAT32, FLOAT64 = map(np.dtype, ("float32", "float64"))
SCALARS = (int, float, bool, type(None), np.generic)  # inputs that pass as they are; None is an input left out
PLAIN = frozenset({int, float, bool, type(None)})  # types without a dtype
FIXED = frozenset({int, float, bool, str, slice, type(None), type(Ellipsis)})  # types of options that cannot change
RESERVED = ("g", "shapes", "need")  # names by which a rule means something else


class Rule:
    """`backward` or `fused` of an op: the values and the options that its signature names.

    A rule names, after (xp, g), inputs by their forward names, `y` (the output), `shapes` (of the inputs), `need`
    (which inputs want a gradient), `residuals` that forward returned, and options after *.
    """

    def __init__(self, op: "Op", name: str, f: Callable, residuals: tuple[str, ...]):
        self.f, self.op = f, op
        self.values: list[str] = []
        self.options: list[str] = []
        parameters = list(inspect.signature(f).parameters.values())
        if [p.name for p in parameters[:2]] != ["xp", "g"]:
            op._fail(f"{name} must begin with (xp, g)")
        known = ["y", "shapes", "need", *op.inputs, *residuals]
        for p in parameters[2:]:
            if p.kind is inspect.Parameter.KEYWORD_ONLY:
                if p.name not in op.defaults:
                    op._fail(f"{name} names option {p.name!r}; forward has {list(op.defaults)}")
                self.options.append(p.name)
            elif p.name in known:
                self.values.append(p.name)
            else:
                op._fail(f"{name} names {p.name!r}; it may name {known}, and options after *")
        self.kept = [name for name in self.values if name not in ("need", "shapes")]  # arrays

    def run(self, xp: Any, g: Any, saved: dict[str, Any], need: tuple[bool, ...], node: Node) -> Sequence:
        """The gradients of the inputs of a node, from g and from what it saved (arrays, or Tensors)."""
        values = [need if name == "need" else saved[name] for name in self.values] if self.values else ()
        options = {k: node.options.get(k, self.op.defaults[k]) for k in self.options} if self.options else {}
        try:
            if HOOKS:
                grads = hooked(self.op, "backward", functools.partial(self.f, xp, g, *values, **options))
            else:
                grads = self.f(xp, g, *values, **options)
        except Exception as e:
            raise located(e, self.op, [g, *values], options, node) from None
        return grads if type(grads) is tuple else (grads,)

    def check(self, node: Node) -> None:
        """RuntimeError if an array that this rule reads was written to since the node was recorded."""
        for name in self.kept:
            check_unwritten(node, name, arrays_in(node.saved[name]))
        for name in self.options:
            check_unwritten(node, name, arrays_in(node.options.get(name)))


class Op:
    """A differentiable function: `forward` on arrays, and `backward` on arrays or on Tensors.

    What `backward` names after (xp, g) is what the tape keeps: see `Rule`. `fused` is an optional fast form of
    `backward` for first-order passes, on arrays only; it may also name the `residuals` that forward returns after y.
    `call`, optional, is the public face where PyTorch's argument order is not (inputs..., options...).
    TypeError, which says what to write, for a class that breaks the contract, and for arguments that do not fit.
    """

    joins = False  # True of `one_of`, whose rule hands its gradient over to the node of all results

    def __init__(self, cls: type):
        self.name = cls.__name__.rstrip("_")
        self.doc = cls.__doc__ or ""
        self.definition = cls
        if not self.doc:
            self._fail("has no docstring: write its formula and the formula of its gradient")
        self.forward = self._function("forward")
        self.backward = self._function("backward")
        self.fused: Any = cls.__dict__.get("fused")
        self.call: Any = cls.__dict__.get("call")
        self.residuals: tuple[str, ...] = getattr(cls, "residuals", ())
        if isinstance(self.residuals, str):
            self._fail(f'residuals is a string, and should be a tuple of names: residuals = ("{self.residuals}",)')
        self.half: bool = getattr(cls, "half", False)  # takes float16 as it is

        parameters = list(inspect.signature(self.forward).parameters.values())
        if not parameters or parameters[0].name != "xp":
            self._fail("forward must begin with xp: def forward(xp, x, *, option=default)")
        self.variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        self.inputs = [p.name for p in parameters[1:] if p.kind is not p.KEYWORD_ONLY]
        self.arity = len(self.inputs)
        self.defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

        for p in parameters:
            if p.kind is p.VAR_KEYWORD:
                self._fail(f"forward takes **{p.name}: name each option after *, (xp, x, *, option=default)")
        if not self.inputs:
            self._fail("forward has no inputs: give it at least one array, def forward(xp, x)")
        if self.variadic and self.arity > 1:
            self._fail(f"forward takes {', '.join(self.inputs[:-1])} beside *{self.inputs[-1]}: take them all as *xs")
        for what, names, taken in (
            ("an input", self.inputs, RESERVED),
            ("an option", self.defaults, (*RESERVED, "y")),
            ("a residual", self.residuals, (*RESERVED, "y", *self.inputs, *self.defaults)),
        ):
            for name in {*names} & {*taken}:
                self._fail(
                    f"{what} may not be called {name!r}: a rule means something else by it, so choose another name"
                )

        for p in parameters[1:]:
            if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is not p.empty:
                self._fail(f"{p.name} has a default, so it is an option: write options after *, (xp, x, *, {p.name}=…)")

        self.rule = Rule(self, "backward", self.backward, ())
        self.fused_rule = Rule(self, "fused", self.fused, self.residuals) if self.fused else None
        named = {*self.rule.values, *(self.fused_rule.values if self.fused_rule else ())}
        self.kept_inputs = [(i, name) for i, name in enumerate(self.inputs) if name in named]
        self.kept_residuals = [(i, name) for i, name in enumerate(self.residuals) if name in named]
        self.keeps_y = "y" in named - {*self.inputs}  # an input called y is that input
        self.keeps_shapes = "shapes" in named
        self.keeps = bool(named - {"need"})

        self.__name__, self.__qualname__, self.__module__ = self.name, self.name, cls.__module__
        self.__signature__ = self._signature(parameters)
        self.__doc__ = f"{self.name}{self.__signature__}\n\n{inspect.cleandoc(self.doc)}"

    def _fail(self, why: str) -> None:
        raise TypeError(f"op {self.name}: {why}")

    def _function(self, name: str) -> Callable:
        f = self.definition.__dict__.get(name)
        if f is None:
            self._fail(f"has no {name}; an op is a class with a docstring, forward(xp, ...) and backward(xp, g, ...)")
        return f  # type: ignore[return-value]

    def _signature(self, parameters: list[inspect.Parameter]) -> inspect.Signature:
        """How the op is called: its inputs and then its options, by position or by name."""
        if self.call:
            return inspect.Signature(list(inspect.signature(self.call).parameters.values())[1:])
        both = inspect.Parameter.POSITIONAL_OR_KEYWORD
        return inspect.Signature([p if self.variadic else p.replace(kind=both) for p in parameters[1:]])

    def __repr__(self) -> str:
        return f"<op {self.name}: {inspect.cleandoc(self.doc)}>"

    def apply(self, *inputs: Any, **options: Any) -> Tensor:
        """Run forward on the arrays of `inputs`, and record a node if one of them is being differentiated."""
        if len(inputs) != self.arity and not self.variadic:
            inputs, options = self._by_name(inputs, options)
        # 1. The arrays of the inputs, their places on the tape, and the module that works on them
        arrays, parents, recorded, half, plain, xp = [], [], False, False, True, np
        for x in inputs:  # one loop: comprehensions would read better, and cost a third of the call
            parent = None
            if isinstance(x, Tensor):
                parent, x = x.node, x._data
                recorded = recorded or parent is not None
            if type(x) is HOST:
                plain = False
                if x.dtype.char == "e":  # by value: the dtype of an unpickled array is another object
                    half = True
            else:
                x = _input(x)
                plain = plain and type(x) in PLAIN
                half = half or _is_half(x)
                xp = MODULES.get(type(x), np) if xp is np else xp
            arrays.append(x)
            parents.append(parent)
        if plain and arrays:  # forward may ask its inputs for their dtype
            arrays[0] = arrays[0] if arrays[0] is None else np.asarray(arrays[0])
        if half and not self.half:
            return self._in_float32(inputs, arrays, options)
        # 2. The forward, by the fastest form of the op
        op = self
        if TWINS and (twins := TWINS.get(xp)) and self.name in twins:
            op = self._fastest(twins, arrays, options)
        try:
            if HOOKS:
                y = hooked(op, "forward", functools.partial(op.forward, xp, *arrays, **options))
            else:
                y = op.forward(xp, *arrays, **options)
        except Exception as e:
            raise located(e, op, arrays, options) from None
        # 3. The result as a Tensor, with a node if its rule may be asked for
        kept: Sequence = ()
        if op.residuals:
            y, *kept = _with_residuals(op, y)
        if type(y) not in MODULES:  # NumPy returns scalars where an array has no axes
            y = _output(op, xp, y)
        dtype = y.dtype
        if dtype.char == "O":
            raise TypeError(f"{op.name} made an array of Python objects: is None among its inputs?")
        result = Tensor.__new__(Tensor)  # no checks: y is an array
        result._data = y
        if not (recorded and state.recording):
            result.node = None
            return result
        if dtype is not FLOAT32 and dtype is not FLOAT64 and not _differentiable(op, dtype):
            result.node = None
            return result
        saved = op._saved(arrays, y, kept) if op.keeps else {}
        if options:
            options = {k: v if type(v) in FIXED else _copied(v) for k, v in options.items()}
        result.node = node = Node(op, tuple(parents), saved, options, y, xp)
        if state.debug:
            remember(node, arrays, y, {**saved, **options})
        return result

    __call__ = apply

    def inside(self, xp: Any, *inputs: Any, **options: Any) -> Any:
        """This op inside the rule of another one: its forward on arrays, recorded on Tensors."""
        if xp is ops:
            return self.apply(*inputs, **options)
        op = self._fastest(TWINS.get(xp, {}), inputs, options)
        y = op.forward(xp, *inputs, **options)
        return y[0] if op.residuals else y

    def _fastest(self, twins: dict[str, Any], arrays: Sequence, options: dict) -> "Op":
        """The twin of this op, where there is one and it fits; else this op."""
        faster = twins.get(self.name)
        return faster if faster is not None and state.fused and faster.fits(arrays, options) else self

    def _in_float32(self, inputs: tuple, arrays: list, options: dict) -> Tensor:
        """The op on float16 inputs: computed in float32, its rule too, and rounded once at the end."""
        wide = [ops.astype(x, dtype="float32") if _is_half(a) else x for x, a in zip(inputs, arrays, strict=True)]
        y = self.apply(*wide, **options)
        alone = y.dtype == FLOAT32 and all(getattr(a, "dtype", None) != FLOAT32 for a in arrays)
        return ops.astype(y, dtype="float16") if alone else y

    def _by_name(self, inputs: tuple, options: dict) -> tuple[tuple, dict]:
        """The inputs, and the options: sum(x, 1) gives an option by its place, mul(x, b=y) an input by its name."""
        n = len(self.inputs)
        if len(inputs) < n:
            missing = [name for name in self.inputs[len(inputs) :] if name not in options]
            if missing:
                raise TypeError(f"{self.name}{self.__signature__} was called without {', '.join(missing)}")
            return (*inputs, *[options.pop(name) for name in self.inputs[len(inputs) :]]), options
        if len(inputs) - n > len(self.defaults):
            raise TypeError(f"{self.name}() takes at most {n + len(self.defaults)} arguments, got {len(inputs)}")
        for name, value in zip(self.defaults, inputs[n:], strict=False):
            if name in options:
                raise TypeError(f"{self.name}() got two values of {name}")
            options[name] = value
        return inputs[:n], options

    def _saved(self, arrays: list, y: Any, residuals: Sequence) -> dict[str, Any]:
        """What the rules name, by name: all that the tape keeps."""
        saved: dict[str, Any] = {}
        for i, name in self.kept_inputs:
            saved[name] = tuple(arrays) if self.variadic else arrays[i]
        for i, name in self.kept_residuals:
            saved[name] = residuals[i]
        if self.keeps_y:
            saved["y"] = y
        if self.keeps_shapes:
            saved["shapes"] = tuple([a.shape if type(a) in MODULES else np.shape(a) for a in arrays])
        return saved

    def _on_tensors(self, node: Node) -> dict[str, Any]:
        """What a node saved, with arrays put back in their place in the graph."""

        def lift(a, parent):
            return Tensor(a, node=parent) if is_array(a) else a

        saved = dict(node.saved)
        for i, name in self.kept_inputs:
            value = saved[name]
            saved[name] = tuple(map(lift, value, node.parents)) if self.variadic else lift(value, node.parents[i])
        if self.keeps_y:
            saved["y"] = Tensor(saved["y"], node=node)
        return saved

    def run_rule(self, node: Node, g: Any, need: tuple[bool, ...], create_graph: bool) -> Sequence:
        """The gradients of a node's inputs: its rule on arrays, or the same rule on Tensors."""
        if create_graph:
            if node.id < WRITES.last:
                self.rule.check(node)
            return self.rule.run(ops, g, self._on_tensors(node), need, node)
        rule = self.rule if self.fused_rule is None or not state.fused else self.fused_rule
        if node.id < WRITES.last:
            rule.check(node)
        return rule.run(node.xp, g, node.saved, need, node)


class OpWithCall(Op):
    """An op whose arguments are those of its `call`, which passes them on to `apply`."""

    def __call__(self, *args: Any, **options: Any) -> Tensor:
        return self.call(self.apply, *args, **options)


def op(cls: type) -> Op:
    """Class decorator: turn a class with a formula, a forward and a backward into an Op, and register it.

    TypeError, which says what to write, for a definition that breaks the contract or a name that is taken.
    """
    new = OpWithCall(cls) if "call" in cls.__dict__ else Op(cls)
    old = OPS.get(new.name)
    if old is not None and not old.definition.__module__ == cls.__module__ == "__main__":  # a session may try again
        raise TypeError(
            f"op {new.name} is defined twice, first in {old.definition.__module__}: give yours another name, or remove "
            f"the first with autograd.registry.OPS.pop({new.name!r})"
        )
    if not isinstance(vars(ops).get(new.name, new), Op):  # rules on Tensors call it by this name
        raise TypeError(f"op {new.name}: autograd.ops has a function of this name, so choose another name")
    OPS[new.name] = new
    setattr(ops, new.name, new)
    return new


def _input(x: Any) -> Any:
    """An input that is no NumPy array: a number, None or a device's array as it is, anything else as an array."""
    return x if isinstance(x, SCALARS) or type(x) in MODULES else host_array(x)


def _output(op: Op, xp: Any, y: Any) -> Any:
    """What forward returned in place of an array: a number as an array, else TypeError."""
    if isinstance(y, (int, float, np.generic)):
        return xp.asarray(y)
    if isinstance(y, Tensor):
        why = "a Tensor: forward works on arrays, so call the functions of xp in it, not those of autograd.ops"
    elif y is None:
        why = "None: a `return` is missing"
    else:
        why = f"{type(y).__name__}: it returns one array"
    raise TypeError(f"forward of {op.name} returned {why}")


def _with_residuals(op: Op, y: Any) -> tuple:
    if type(y) is not tuple or len(y) != 1 + len(op.residuals):
        raise TypeError(f"forward of {op.name} has residuals: it returns the tuple (y, {', '.join(op.residuals)})")
    return y


def _differentiable(op: Op, dtype: Any) -> bool:
    """Whether a result is recorded: integers and booleans are constant wherever they have a derivative."""
    if dtype.kind == "c":
        raise TypeError(f"{op.name} returned complex numbers, which are not differentiated here")
    return dtype.kind == "f"


def _is_half(x: Any) -> bool:
    """Whether x is a float16 array or number, whatever the order of its bytes."""
    return getattr(getattr(x, "dtype", None), "char", "") == "e"


def _copied(option: Any) -> Any:
    """An option for the tape: lists and host arrays are copied, so that a later change of an index hurts no rule."""
    if type(option) is HOST:
        return option.copy()
    if type(option) in (tuple, list):
        return type(option)(v if type(v) in FIXED else _copied(v) for v in option)
    return option


def remember(node: Node, inputs: Sequence, y: Any, kept: dict[str, Any]) -> None:
    """In debug mode: what `Seen` says of a node that keeps these values by name. From a GPU this copies and waits."""
    seal = {name: checksums(arrays_in(value)) for name, value in kept.items()}
    node.seen = Seen(caller(), state.scope, tuple(inputs), y, seal)
    WRITES.check_always()
