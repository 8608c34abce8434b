"""Arithmetic counted from shapes, and the most of it that this machine does in a second.

A product and a sum are one operation each. Only matrix products and convolutions are counted: nearly all there is.
"""

import contextlib
import functools
import inspect
import math
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from autograd import Tensor, hook
from autograd.arrays import device_module, to_device, to_host

# The operations of a forward pass by op, from its inputs by name and from its output.
FORWARD: dict[str, Callable[[dict[str, Any], Any], float]] = {
    "matmul": lambda x, y: 2 * y.size * x["a"].shape[-1],
    "linear": lambda x, y: 2 * y.size * x["weight"].shape[1],
    "conv2d": lambda x, y: 2 * y.size * math.prod(x["weight"].shape[1:]),
    "conv_transpose2d": lambda x, y: 2 * x["x"].size * math.prod(x["weight"].shape[1:]),
    "attention": lambda x, y: 2 * (x["q"].size + y.size) * x["k"].shape[-2],
}


@contextlib.contextmanager
def counted() -> Iterator[SimpleNamespace]:
    """Inside, `flops` of what it yields grows by the operations of every op and of every rule.

    The gradient of each factor of a product costs as much as the product. The rule of attention computes all of its
    gradients; the other rules compute only the gradients in `need`.
    """
    total = SimpleNamespace(flops=0.0)

    def count(op: Any, kind: str, call: Any) -> Any:
        y = call()
        name = op.name.removesuffix(".each")
        if name != op.name and name in FORWARD:  # many calls at once: (xp, calls), or (xp, gs, calls, kept, need)
            calls = call.args[1 if kind == "forward" else 2]
            results, needs = (y, [(True, False)] * len(calls)) if kind == "forward" else (call.args[1], call.args[4])
            for inputs, result, need in zip(calls, results, needs, strict=False):
                total.flops += FORWARD[name](dict(zip(op.op.inputs, inputs, strict=True)), result) * sum(need[:2])
        elif op.name in FORWARD:
            # call is functools.partial(forward or rule, xp, arrays…, options…): here its arguments by name
            x = inspect.signature(call.func).bind(*call.args, **call.keywords).arguments
            if kind == "forward":
                total.flops += FORWARD[op.name](x, y[0] if op.residuals else y)
            elif not isinstance(x["g"], Tensor):  # a rule on Tensors runs ops, which are counted themselves
                total.flops += FORWARD[op.name](x, x["g"]) * sum(x.get("need", (True, True))[:2])
        return y

    with hook(count):
        yield total


def peak(device: str, with_torch: bool, size: int | None = None, repeats: int = 20) -> float:
    """Operations a second of the fastest of some float32 matrix products, ours or PyTorch's.

    size: of the matrices. A GPU needs large ones (8192): a product of 1024 takes it less time than starting it does.
    """
    size = size or (1024 if device == "cpu" else 8192)
    a = to_device(np.random.default_rng(0).standard_normal((size, size), np.float32), device)
    products: list[Callable[[], Any]] = [lambda: a @ a]
    if with_torch:
        import torch

        b = torch.tensor(to_host(a), device=device)
        products.append(lambda: b @ b)
    seconds = seconds_on_cpu if device == "cpu" else functools.partial(seconds_on_gpu, device_module(device).cuda)
    return 2 * size**3 / min(seconds(product) for product in products * repeats)


def seconds_on_cpu(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def seconds_on_gpu(cuda: Any, run: Callable[[], Any]) -> float:
    """By two events on the device: the time of the host, which only starts the work, is not in it."""
    start, end = cuda.Event(), cuda.Event()
    start.record()
    run()
    end.record()
    end.synchronize()
    return cuda.get_elapsed_time(start, end) / 1e3
