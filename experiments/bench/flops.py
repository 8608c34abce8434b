"""Arithmetic counted from shapes, and the most of it that this machine does in a second."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from autograd.arrays import device_module, to_host
from autograd.operation import Op
from autograd.registry import OPS, TWINS

# By op: the arithmetic of its forward from the shapes of its inputs by name and of its output, a product and a sum
# counted each; only what a matrix product or a convolution does, which is nearly all there is. A gradient of one of
# the named inputs costs as much again.
Shapes = dict[str, tuple[int, ...]]


def _matmul(s: Shapes, y: tuple[int, ...]) -> float:
    return 2 * math.prod(y) * s["a"][-1]


def _linear(s: Shapes, y: tuple[int, ...]) -> float:
    return 2 * math.prod(y) * s["weight"][1]


def _conv2d(s: Shapes, y: tuple[int, ...]) -> float:
    return 2 * math.prod(y) * math.prod(s["weight"][1:])


def _conv_transpose2d(s: Shapes, y: tuple[int, ...]) -> float:
    return 2 * math.prod(s["x"]) * math.prod(s["weight"][1:])


def _attention(s: Shapes, y: tuple[int, ...]) -> float:
    scores = math.prod(s["q"][:-1]) * s["k"][-2]
    return 2 * scores * (s["q"][-1] + s["v"][-1])


FORWARD: dict[str, Callable[[Shapes, tuple[int, ...]], float]] = {
    "matmul": _matmul,
    "linear": _linear,
    "attention": _attention,
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
}


def backward_flops(op: str, shapes: Shapes, y: tuple[int, ...], need: tuple[bool, ...]) -> float:
    """Two factors have a gradient each, as costly as the product. Attention has two products, so four gradients."""
    forward = FORWARD[op](shapes, y)
    if op != "attention":
        return forward * sum(need[:2])
    scores = math.prod(shapes["q"][:-1]) * shapes["k"][-2]
    d, e = shapes["q"][-1], shapes["v"][-1]
    to_scores = need[0] or need[1]
    return 2 * scores * (e * (to_scores + need[2]) + d * (need[0] + need[1]))


class Total:
    flops = 0.0
    depth = 0  # of ops inside a rule: their arithmetic is the rule's


@contextlib.contextmanager
def counted() -> Iterator[Total]:
    """Inside, the total grows by what every op and every rule of it does."""
    total = Total()
    tables = (OPS, *TWINS.values())
    every = [table[name] for name in FORWARD for table in tables if name in table]
    forwards = {op: op.forward for op in every}
    run_rule = Op.run_rule

    def counting(op: Op, forward: Callable) -> Callable:
        def f(xp: Any, *inputs: Any, **options: Any) -> Any:
            y = forward(xp, *inputs, **options)
            if not total.depth:
                first = y[0] if type(y) is tuple else y
                total.flops += FORWARD[op.name](_shapes(op.inputs, inputs), first.shape)
            return y

        return f

    def rule(self: Op, node: Any, g: Any, need: tuple[bool, ...], create_graph: bool) -> Any:
        if self.name in FORWARD and not create_graph:
            total.flops += backward_flops(self.name, _shapes(list(node.saved), node.saved.values()), node.shape, need)
        total.depth += not create_graph
        try:
            return run_rule(self, node, g, need, create_graph)
        finally:
            total.depth -= not create_graph

    for op, forward in forwards.items():
        op.forward = counting(op, forward)
    Op.run_rule = rule  # type: ignore[method-assign]
    try:
        yield total
    finally:
        Op.run_rule = run_rule  # type: ignore[method-assign]
        for op, forward in forwards.items():
            op.forward = forward


def _shapes(names: list[str], values: Any) -> Shapes:
    return {name: tuple(v.shape) for name, v in zip(names, values, strict=False) if hasattr(v, "shape")}


def peak(device: str, with_torch: bool, size: int = 1024, repeats: int = 20) -> float:
    """Operations a second of the best of some float32 matrix products, ours or PyTorch's."""
    xp = device_module(device)
    a = xp.asarray(np.random.default_rng(0).standard_normal((size, size)).astype(np.float32))
    products: list[Callable[[], Any]] = [lambda: to_host(xp.matmul(a, a)[:1])]
    if with_torch:
        import torch

        b = torch.tensor(to_host(a), device=device)
        products.append(lambda: (b @ b)[:1].cpu())
    best = math.inf
    for product in products * repeats:
        start = time.perf_counter()
        product()
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best
