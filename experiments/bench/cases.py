"""The table of cases, and the sides of overhead and hot ops: functions of a library and of arrays."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from autograd import Tensor, grad, ops
from autograd.arrays import to_device, to_host
from experiments.bench import distances, inception, memory, ranks, steps
from experiments.bench.case import Case, Side
from minigan.config import Config
from minigan.presets import resolve

LIBRARIES: dict[str, Any] = {"ours": ops}  # by kind; PyTorch has nearly all our ops by the same names
with contextlib.suppress(ImportError):  # without PyTorch our side is measured alone
    import torch

    from experiments.pytorch.models import best_attention, plain_attention, plain_norm

    known = {**vars(torch.nn.functional), **vars(torch), "layer_norm": plain_norm, "attention": plain_attention}
    LIBRARIES |= {"plain": SimpleNamespace(**known), "best": SimpleNamespace(**{**known, "attention": best_attention})}

CHAIN = 200  # calls of an op, one after the other, when its overhead is timed
OVERHEAD: dict[str, Callable] = {  # what an op costs beside its arithmetic, on two elements
    "add": lambda lib, x, w: lib.add(x, w),
    "mul": lambda lib, x, w: lib.mul(x, w),
    "tanh": lambda lib, x, w: lib.tanh(x),
    "relu": lambda lib, x, w: lib.relu(x),
    "reshape": lambda lib, x, w: lib.reshape(x, (1, 2)),
    "softmax": lambda lib, x, w: lib.softmax(x, -1),
    "linear": lambda lib, x, w: lib.linear(x, w),
}
MODELS = ("small, batch 32", "poster, batch 32", "paper 32², batch 32", "CNN 28²", "CNN 64²")  # of the hot ops


def every_case() -> list[Case]:
    parts = steps.cases(), hot_ops(), inception.cases(), distances.cases(), memory.cases(), ranks.cases()
    return [*overhead(), *itertools.chain(*parts)]


def overhead() -> Iterator[Case]:
    for name, op in OVERHEAD.items():
        w = [[0.9, 0.1], [-0.1, 0.9]] if name == "linear" else [[0.99, 1.01]]
        inputs = [np.array(a, np.float32) for a in ([[0.3, 0.7]], w)]
        for way in ("forward", "backward"):
            make = partial(side, partial(chain, op), way, lambda inputs=inputs: inputs, 1)
            sides = {kind: partial(make, kind) for kind in ("ours", "plain")}
            yield Case("overhead", f"{name} {way}", sides, calls=CHAIN, quick=True)


def chain(op: Callable, lib: Any, x: Any, w: Any) -> Any:
    for _ in range(CHAIN):
        x = op(lib, x, w)
    return x


class HotOp(NamedTuple):
    """An op on which a training step spends its time, at the shapes of the step."""

    name: str
    shapes: list[tuple[int, ...]]
    op: Callable  # of the library and arrays of these shapes
    kinds: tuple[str, ...] = ("ours", "plain")
    scale: float = 1.0  # of the arrays

    def inputs(self) -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        return [np.float32(self.scale) * rng.standard_normal(shape, np.float32) for shape in self.shapes]


def hot_ops() -> Iterator[Case]:
    for model in MODELS:
        for hot in hot_ops_of(resolve(**steps.STEPS[model])):
            for way in ("forward", "both"):
                name = f"{model.partition(',')[0]}: {hot.name} {'×'.join(map(str, hot.shapes[0]))}, {way}"
                sides = {kind: partial(side, hot.op, way, hot.inputs, None, kind) for kind in hot.kinds}
                yield Case("ops", name, sides, quick=model == MODELS[0] and way == "both")


def hot_ops_of(c: Config) -> list[HotOp]:
    n, b = 2 * c.batch * (1 + (c.penalty == "fd") + (c.bcr > 0)), c.batch  # images for the updates of D and of G
    if c.variant == "cnn":
        w, full, half = c.cnn_width, c.image_size, c.image_size // 2
        return [
            HotOp("conv 4×4 down", [(n, c.channels, full, full), (w, c.channels, 4, 4), (w,)], conv_down),
            HotOp("conv 4×4 down", [(n, w, half, half), (2 * w, w, 4, 4), (2 * w,)], conv_down),
            HotOp("conv 3×3", [(b, w, full, full), (w, w, 3, 3), (w,)], lambda lib, *xs: lib.conv2d(*xs, padding=1)),
            HotOp("leaky ReLU", [(n, w, half, half)], lambda lib, x: lib.leaky_relu(x, 0.2)),
            HotOp("nearest ×2", [(b, w, half, half)], lambda lib, x: lib.interpolate(x, scale_factor=2)),
        ]
    width, g_width, hidden = c.d_width, c.g_width, int(c.d_width * c.d_mlp_ratio)
    d_tokens, g_tokens = (c.image_size // c.d_patch) ** 2 + 1, (c.image_size // c.g_patch) ** 2
    stream, wide, one = (n, d_tokens, width), (n, d_tokens, hidden), (b, 1, g_width)
    d_heads, g_heads = (n, c.d_heads, d_tokens, width // c.d_heads), (b, c.g_heads, g_tokens, g_width // c.g_heads)
    gelu = {"gelu": ("GELU (erf)", "none"), "gelu_tanh": ("GELU (tanh)", "tanh")}[c.activation]
    near = d_heads[-1] ** -0.25  # tokens at a distance of about 2: tokens far apart would not see each other
    every = ("ours", "plain", "best")
    return [
        HotOp("linear", [stream, (hidden, width), (hidden,)], lambda lib, x, w, b: lib.linear(x, w, b)),
        HotOp("linear", [wide, (width, hidden), (width,)], lambda lib, x, w, b: lib.linear(x, w, b)),
        HotOp("attention l2", [d_heads] * 2, lambda lib, q, v: lib.attention(q, q, v, similarity="l2"), every, near),
        HotOp("attention dot", [g_heads] * 3, lambda lib, *qkv: lib.attention(*qkv, similarity="dot"), every, near),
        HotOp("layer norm", [stream, (width,), (width,)], lambda lib, x, w, b: lib.layer_norm(x, (width,), w, b)),
        HotOp("SLN", [(b, g_tokens, g_width), one, one], lambda lib, x, w, b: lib.layer_norm(x, (g_width,), w, b)),
        HotOp(gelu[0], [wide], lambda lib, x: lib.gelu(x, approximate=gelu[1])),
        HotOp("softmax", [(*d_heads[:3], d_tokens)], lambda lib, x: lib.softmax(x, -1)),
        HotOp("sine", [stream], lambda lib, x: lib.sin(x)),
    ]


def conv_down(lib: Any, x: Any, weight: Any, bias: Any) -> Any:
    return lib.conv2d(x, weight, bias, stride=2, padding=1)


def side(op: Callable, way: str, inputs: Callable, wrt: int | None, kind: str, device: str) -> Side:
    """An op of a library forward, its gradient for the first `wrt` inputs (None: all) "backward", or "both"."""
    ours = kind == "ours"

    def tensor(a: np.ndarray) -> Any:
        if ours:
            return Tensor(to_device(a, device), requires_grad=True)
        return torch.tensor(a, device=device, requires_grad=True)

    def on_host(x: Any) -> np.ndarray:
        return to_host(x.data if isinstance(x, Tensor) else x) if ours else x.detach().cpu().numpy()

    def backward(y: Any) -> Any:
        return grad(y, xs[:wrt], g) if ours else torch.autograd.grad(y, xs[:wrt], g, retain_graph=way == "backward")

    def results() -> dict[str, np.ndarray]:
        y = f()
        return {"y": on_host(y), **{f"gradient {i}": on_host(x) for i, x in enumerate(backward(y))}}

    xs = [tensor(a) for a in inputs()]
    f = partial(op, LIBRARIES[kind], *xs)
    tape = f()
    g = tensor(np.random.default_rng(1).standard_normal(tuple(tape.shape), np.float32))
    runs: dict[str, Callable] = {"forward": f, "backward": lambda: backward(tape), "both": lambda: backward(f())}
    return Side(runs[way], results)
