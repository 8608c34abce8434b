"""Reverse-mode automatic differentiation, all of it.

Running an op on Tensors records a `Node`: which op, which parent nodes, and the values that its rule will need. `grad`
walks the nodes from the newest to the oldest and calls each rule once. A node is younger than its parents, so reversed
creation order is a valid order: it needs no recursion and no topological sort, at any depth.
"""

from collections.abc import Sequence
from typing import Any, NoReturn

from autograd.arrays import array_module, is_array
from autograd.modes import switched
from autograd.tensor import Node, Tensor


def grad(y: Tensor, xs: Sequence[Tensor], g: Any = None, create_graph: bool = False) -> list:
    """The gradients of sum(g * y) with respect to each of `xs`, as a list aligned with `xs`.

    g: the gradient of the loss with respect to y, in the shape of y; may be left out where y has one element.
    An x that y does not depend on gets None. The results are arrays; with `create_graph` they are Tensors on the tape,
    which can be differentiated again. Only what lies between `xs` and y is visited, and only its gradients are
    computed: grad(D(x).sum(), [x]) computes no weight gradient. Touches no `.grad`. The arrays may share memory with g
    and with each other: copy before writing into them. TypeError for y or xs that are no Tensors, ValueError for g of
    another shape.
    """
    xs = [xs] if isinstance(xs, Tensor) else list(xs)
    for x in (y, *xs):
        if not isinstance(x, Tensor):
            raise TypeError(f"grad(y, xs) takes Tensors, not {type(x).__name__}: a gradient flows only through them")
    targets = {x.node for x in xs if x.node is not None}
    if create_graph:
        with switched(recording=True):  # also inside no_grad()
            found = _sweep(y, targets, _cotangent(y, g, True), True)
    else:
        found = _sweep(y, targets, _cotangent(y, g, False), False)
    return [found.get(x.node) for x in xs]


def backward(y: Tensor, g: Any = None) -> None:
    """Add the gradient of sum(g * y) to `.grad` of every leaf that y depends on.

    g: as in `grad`, with its errors: TypeError and ValueError. ValueError also for y that depends on no leaf.
    """
    if not isinstance(y, Tensor):
        raise TypeError(f"backward(y) takes a Tensor, not {type(y).__name__}")
    if y.node is None:
        raise ValueError("backward on a Tensor that depends on nothing with requires_grad=True")
    for node, value in _sweep(y, _leaves(y.node), _cotangent(y, g, False), False).items():
        node.grad = value.copy() if node.grad is None else array_module(value).asarray(node.grad + value)


Tensor.backward = backward  # y.backward(), as everyone writes it


def _sweep(y: Tensor, targets: set[Node], g: Any, create_graph: bool) -> dict[Node, Any]:
    """The gradient of Σ g y with respect to every node of `targets` that y depends on."""
    if not targets or y.node is None:
        return {}
    grads: dict[Node, Any] = {y.node: g}
    own: set[Node] = set()  # nodes whose gradient we allocated, so we may add to it in place
    for node, need in _path(y.node, targets):
        g = grads[node] if node in targets else grads.pop(node)
        if node.op.joins:  # one of several results: its gradient waits beside those of the others
            grads.setdefault(node.parents[0], {})[node.options["index"]] = g
            continue
        found = node.op.run_rule(node, g, need, create_graph)
        if len(found) != len(need):
            _miscounted(node, found)
        for parent, wanted, gp in zip(node.parents, need, found, strict=False):
            if not wanted:
                continue
            if create_graph or getattr(gp, "shape", None) != parent.shape or gp.dtype != parent.dtype:
                gp = _fitted(gp, parent, node, create_graph)
            if parent not in grads:
                grads[parent] = gp  # not copied: rules never write into g
            elif create_graph or parent not in own:
                grads[parent] = grads[parent] + gp
                own.add(parent)
            else:
                grads[parent] += gp
    return {n: v if isinstance(v, Tensor) else array_module(v).asarray(v) for n, v in grads.items() if n in targets}


def _path(y: Node, targets: set[Node]) -> list[tuple[Node, tuple[bool, ...]]]:
    """The nodes from y down to `targets`, newest first, each with which of its parents depend on a target."""
    oldest = min(n.id for n in targets)
    seen, stack = {y}, [y]
    while stack:
        for p in stack.pop().parents:
            if p is not None and p.id >= oldest and p not in seen:
                seen.add(p)
                stack.append(p)
    path, on_path = [], set()
    for node in sorted(seen, key=_creation):
        need = tuple([p in on_path for p in node.parents])
        if True in need:
            path.append((node, need))
            on_path.add(node)
        elif node in targets:
            on_path.add(node)
    path.reverse()
    return path


def _creation(node: Node) -> int:
    return node.id


def _leaves(y: Node) -> set[Node]:
    """The leaves that y depends on."""
    leaves, seen, stack = set(), {y}, [y]
    while stack:
        node = stack.pop()
        if node.op is None:
            leaves.add(node)
        new = {p for p in node.parents if p is not None} - seen
        seen |= new
        stack.extend(new)
    return leaves


# What follows checks what it is given, and says what is wrong.


def _cotangent(y: Tensor, g: Any, create_graph: bool) -> Any:
    """g in the shape and dtype of y: a Tensor with `create_graph`, an array without."""
    if g is None:
        if y.data.size != 1:
            raise ValueError(f"y has shape {y.shape}: give g, the gradient of the loss with respect to y")
        g = array_module(y.data).ones_like(y.data)
    array = g.data if isinstance(g, Tensor) else g
    if not is_array(array):
        array = g = array_module(y.data).asarray(array, dtype=y.dtype)
    if array.shape != y.shape:
        raise ValueError(f"g has shape {tuple(array.shape)}, y has shape {y.shape}")
    if array.dtype.kind == "c":
        raise TypeError(f"g is {array.dtype}: complex numbers are not differentiated here")
    if array.dtype != y.dtype:
        g = g.astype(y.dtype)
    if create_graph:
        return g if isinstance(g, Tensor) else Tensor(g)
    return g.data if isinstance(g, Tensor) else g


def _fitted(gp: Any, p: Node, node: Node, create_graph: bool) -> Any:
    """The gradient that the rule of `node` returned for the input p, in the shape and dtype of p."""
    if getattr(gp, "shape", None) != p.shape or create_graph and not isinstance(gp, Tensor):
        if gp is None:
            _misruled(node, "returned None for an input that needs a gradient")
        if isinstance(gp, (list, tuple)):
            _misruled(node, f"returned {type(gp).__name__} for an input of shape {p.shape}: return an array")
        if create_graph and not isinstance(gp, Tensor):
            _misruled(node, f"was given Tensors and returned {type(gp).__name__}: it treats something as a constant")
        if not hasattr(gp, "shape"):
            _misruled(node, f"returned {type(gp).__name__} for an input of shape {p.shape}")
        try:
            gp = sum_to(gp, p.shape)
        except ValueError as e:
            _misruled(node, f"{e}{_usual_cause(tuple(gp.shape), p, node)}")
    return gp if gp.dtype == p.dtype else gp.astype(p.dtype)


def _usual_cause(shape: tuple[int, ...], p: Node, node: Node) -> str:
    """What most often gives the gradient of p another shape."""
    if sorted(shape) == sorted(p.shape):
        return ": transposed?"
    if any(other is not None and other.shape == shape for other in node.parents):
        return ", which is the shape of another input: are two gradients exchanged?"
    if len(shape) == len(p.shape):
        return ""
    return ": is a sum missing?" if len(shape) > len(p.shape) else ": is there a sum too many?"


def sum_to(g: Any, shape: tuple[int, ...]) -> Any:
    """Undo broadcasting: sum `g` (array or Tensor) over the axes along which `shape` was stretched.

    ValueError if broadcasting cannot have made the shape of g.
    """
    extra = len(g.shape) - len(shape)
    if extra < 0 or any(n not in (1, g.shape[i + extra]) for i, n in enumerate(shape)):
        raise ValueError(f"returned a gradient of shape {tuple(g.shape)} for an input of shape {shape}")
    axes = tuple(range(extra)) + tuple(i + extra for i, n in enumerate(shape) if n == 1 and g.shape[i + extra] != 1)
    return g.sum(axis=axes, keepdims=True).reshape(shape) if axes else g.reshape(shape)


def _miscounted(node: Node, found: Sequence) -> NoReturn:
    if len(found) == 1 and isinstance(found[0], list):
        _misruled(node, f"returned a list of {len(found[0])}: return a tuple, one gradient for each input")
    wanted = f"{len(node.parents)} inputs: return a tuple, one for each"
    _misruled(node, f"returned {len(found)} gradients for {wanted}")


def _misruled(node: Node, what: str) -> NoReturn:
    raise ValueError(f"the rule of {node.op.name} {what}") from None
