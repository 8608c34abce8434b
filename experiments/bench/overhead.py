"""What an op costs beside its arithmetic: two elements, recorded forward, and backward over the tape."""

from collections.abc import Callable
from typing import Any

import numpy as np

from autograd import Tensor, grad, ops
from autograd.arrays import to_device, to_host
from experiments.bench.case import Case, Side

LENGTH = 200  # ops in a chain

OURS: dict[str, Callable] = {
    "add": lambda x, w: ops.add(x, w),
    "mul": lambda x, w: ops.mul(x, w),
    "tanh": lambda x, w: ops.tanh(x),
    "relu": lambda x, w: ops.relu(x),
    "reshape": lambda x, w: ops.reshape(x, (1, 2)),
    "softmax": lambda x, w: ops.softmax(x),
    "linear": lambda x, w: ops.linear(x, w),
}


def theirs() -> dict[str, Callable]:
    import torch

    return {
        "add": lambda x, w: x + w,
        "mul": lambda x, w: x * w,
        "tanh": lambda x, w: torch.tanh(x),
        "relu": lambda x, w: torch.relu(x),
        "reshape": lambda x, w: x.reshape(1, 2),
        "softmax": lambda x, w: torch.softmax(x, -1),
        "linear": lambda x, w: torch.nn.functional.linear(x, w),
    }


def cases() -> list[Case]:
    made = []
    for name in OURS:
        for way in ("forward", "backward"):
            make = maker(name, way)
            made.append(Case("overhead", f"{name} {way}", make, ("ours", "plain"), calls=LENGTH, quick=True))
    return made


def maker(name: str, way: str) -> Callable[[str, str], Side]:
    x = np.array([[0.3, 0.7]], np.float32)
    w = np.array([[0.9, 0.1], [-0.1, 0.9]], np.float32) if name == "linear" else np.array([[0.99, 1.01]], np.float32)
    g = np.array([[1.0, -0.5]], np.float32)

    def make(kind: str, device: str) -> Side:
        a: Any
        b: Any
        if kind == "ours":
            f = OURS[name]
            a, b = (Tensor(to_device(v, device), requires_grad=True) for v in (x, w))
            slope = to_device(g, device)
        else:
            import torch

            f = theirs()[name]
            a, b = (torch.tensor(v, device=device, requires_grad=True) for v in (x, w))
            slope = torch.tensor(g, device=device)

        def forward() -> Any:
            y: Any = a
            for _ in range(LENGTH):
                y = f(y, b)
            return y

        tape = forward()

        def backward() -> Any:
            if kind == "ours":
                return grad(tape, [a], slope)[0]
            return torch.autograd.grad(tape, [a], slope, retain_graph=True)[0]

        def results() -> dict[str, Any]:
            if kind == "ours":
                return {"y": to_host(tape.data), "gradient": to_host(backward())}
            return {"y": tape.detach().cpu().numpy(), "gradient": backward().cpu().numpy()}

        return Side(forward if way == "forward" else backward, results)

    return make
