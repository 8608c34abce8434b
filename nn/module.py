"""Module: a tree of layers. Attributes are the tree, in the order they were set."""

import copy
import reprlib
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from autograd import Tensor
from autograd.arrays import array_module, device_module, to_device, to_host
from autograd.modes import scope, state
from autograd.writes import WRITES


class Parameter(Tensor):
    """A Tensor that is trained. Without `requires_grad` it is frozen: an optimiser leaves it as it is."""

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True):
        super().__init__(data, requires_grad=requires_grad)


class Buffer(Tensor):
    """A Tensor that belongs to the state of a layer (and to checkpoints) but is not trained."""

    __slots__ = ()


class Running:
    """One call of a module, as debug mode remembers it: str() is its name in the module around it, and its class."""

    def __init__(self, module: "Module", around: "Running | None"):
        self.module = module
        siblings = around.module.named_children() if around else ()
        self.name = next((name for name, child in siblings if child is module), "")

    def __str__(self) -> str:
        return f"{self.name} {type(self.module).__name__}".strip()


class Module:
    """Base class of layers: set Parameters, Buffers and Modules as attributes, and define `forward`.

    They may also stand in lists, tuples, deques and dicts, nested as you like: `self.heads = {"a": Linear(2, 2)}` has
    the parameter `heads.a.weight`. Nothing else is looked into: what stands in an array of objects, a dataclass or a
    function is not found, and so not trained. TypeError is raised when an attribute is set to a plain Tensor that
    requires gradients, or to a set or a dict without dotted names that hold such parts; and for parts that are
    attributes of the class.
    """

    training = True

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, value in vars(cls).items():
            if any(True for _ in _members(f"{cls.__name__}.{name}", value)):
                raise TypeError(f"{cls.__name__}.{name} would belong to the class: set self.{name} in __init__")

    def __setattr__(self, name: str, value: Any) -> None:
        for _ in _members(f"{type(self).__name__}.{name}", value):  # TypeError for what would not be found
            pass
        super().__setattr__(name, value)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not state.debug:
            return self.forward(*args, **kwargs)
        with scope(Running(self, state.scope[-1] if state.scope else None)):
            return self.forward(*args, **kwargs)

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """The modules that stand directly in this one, by attribute name."""
        return ((name, m) for name, m in self.members() if isinstance(m, Module))

    def members(self) -> Iterator[tuple[str, Any]]:
        """The Tensors and Modules that are attributes of this module or stand in its lists, tuples and dicts."""
        for name, value in vars(self).items():
            if isinstance(value, (Module, Parameter, Buffer)):
                yield name, value
            elif isinstance(value, (Tensor, _CONTAINERS)):
                yield from _members(name, value)

    def modules(self) -> list["Module"]:
        """This module and all below it, parents first, each once."""
        found: dict[int, Module] = {}
        self._collect(found)
        return list(found.values())

    def _collect(self, found: dict[int, "Module"]) -> None:
        """Put this module and all below it into `found`, by id."""
        if id(self) in found:
            return
        found[id(self)] = self
        for value in vars(self).values():  # not by members(): a training step comes here several times
            if isinstance(value, Module):
                value._collect(found)
            elif isinstance(value, _CONTAINERS):
                for _, child in _members("", value):
                    if isinstance(child, Module):
                        child._collect(found)

    def named_tensors(
        self, kind: type = Tensor, prefix: str = "", around: tuple["Module", ...] = ()
    ) -> Iterator[tuple[str, Any]]:
        """The Tensors of a kind by dotted name, under every name where layers share one. `around`: the modules that
        this one stands in, which a reference from a child to its parent does not enter again."""
        members, around = list(self.members()), (*around, self)
        for name, value in members:
            if isinstance(value, kind):
                yield prefix + name, value
        for name, child in members:
            if isinstance(child, Module) and not any(child is module for module in around):
                yield from child.named_tensors(kind, f"{prefix}{name}.", around)

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Every Parameter of this module and of those in it, by dotted name."""
        return self.named_tensors(Parameter)

    def parameters(self) -> list[Parameter]:
        """Each once, also where layers share one."""
        return list(dict.fromkeys(p for _, p in self.named_parameters()))

    def buffers(self) -> list[Buffer]:
        """Each once, also where layers share one."""
        return list(dict.fromkeys(b for _, b in self.named_tensors(Buffer)))

    def count(self) -> int:
        """How many numbers are trained."""
        return sum(p.size for p in self.parameters())

    def train(self, mode: bool = True) -> "Module":
        """Set `training` here and in all modules inside: dropout draws, batch norm uses the batch. Returns self."""
        for m in self.modules():
            m.training = mode
        return self

    def eval(self) -> "Module":
        """Leave training: `train(False)`. Returns self."""
        return self.train(False)

    def to(self, device: str) -> "Module":
        """Move every Parameter and Buffer to `device`, in place."""
        xp = device_module(device)
        for _, t in self.named_tensors():
            if array_module(t.data) is not xp:
                t.data = to_device(to_host(t.data), device)
        return self

    def copy(self) -> "Module":
        """A module of the same state that shares nothing with this one."""
        return copy.deepcopy(self)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Host copies of every Parameter and Buffer by dotted name."""
        return {name: np.array(to_host(t.data)) for name, t in self.named_tensors()}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Fill every Parameter and Buffer from `state`; ValueError unless names and shapes agree exactly."""
        own = dict(self.named_tensors())
        missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
        if missing or unknown:
            raise ValueError(
                f"the state does not fit this {type(self).__name__}: "
                f"missing {', '.join(missing) or 'nothing'}; unknown {', '.join(unknown) or 'nothing'}"
            )
        for name, t in own.items():
            if tuple(state[name].shape) != t.shape:
                raise ValueError(f"{name}: the state has shape {tuple(state[name].shape)}, the model {t.shape}")
        values = {name: array_module(t.data).asarray(state[name], dtype=t.dtype) for name, t in own.items()}
        for name, t in own.items():
            t.data[...] = values[name]
            WRITES.note(t.data)

    def extra_repr(self) -> str:
        """What a layer shows of itself in its repr, such as its sizes."""
        return ""

    @reprlib.recursive_repr("…")  # a child may refer to its parent
    def __repr__(self) -> str:
        lines = [f"{type(self).__name__}({self.extra_repr()})  {self.count():,} parameters"]
        for name, value in self.members():
            if isinstance(value, Tensor):
                kind = "" if isinstance(value, Parameter) else "  (buffer)"
                lines.append(f"  {name}: {value.dtype} {list(value.shape)}{kind}")
        for name, child in self.named_children():
            first, *rest = repr(child).split("\n")
            lines += [f"  {name}: {first}", *("  " + r for r in rest)]
        return "\n".join(lines)


_CONTAINERS = (list, tuple, deque, dict, set, frozenset)


def _members(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The Tensors and Modules in a value, by dotted name: itself, or what stands in lists, tuples and dicts.

    A result of an op is none of them: it is kept to be looked at. TypeError for what no name or training could reach.
    """
    if isinstance(value, (Module, Parameter, Buffer)):
        yield name, value
    elif isinstance(value, Tensor):
        if value.node is None:
            yield name, value
        elif value.node.op is None:
            raise TypeError(
                f"{name} is a Tensor that requires gradients, which no optimiser would find: make it nn.Parameter(…) "
                "to train it, or x.detach() to keep it as it is"
            )
    elif isinstance(value, (list, tuple, deque)):
        for i, each in enumerate(value):
            yield from _members(f"{name}.{i}", each)
    elif isinstance(value, dict):
        named: set[str] = set()
        for key, each in value.items():
            found = list(_members(f"{name}.{key}", each))
            if found and not (isinstance(key, int | str) and "." not in str(key)):
                raise TypeError(f"{name}[{key!r}] has no dotted name: use words or numbers without a dot as keys")
            if found and str(key) in named:
                raise TypeError(f"{name} has two keys of the dotted name {name}.{key}: a number and a word")
            named |= {str(key)} if found else set()
            yield from found
    elif isinstance(value, (set, frozenset)):
        for each in value:
            if any(True for _ in _members(name, each)):
                raise TypeError(f"{name} is a set, which has no order: use a list or a dict")


class Sequential(Module):
    """Layers (or plain functions) applied one after the other, to x of the shape that the first one takes.

    `model[0]` is a layer, `model[:2]` the Sequential of the first two, which it shares.
    """

    def __init__(self, *layers: Any):
        self.layers = list(layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.layers)

    def __getitem__(self, index: int | slice) -> Any:
        return Sequential(*self.layers[index]) if isinstance(index, slice) else self.layers[index]

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x
