"""The ops that a training step spends its time in, at the shapes that it gives them; forward, and with its rule."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd import Tensor, grad, ops
from autograd.arrays import to_device, to_host
from experiments.bench.case import KINDS, Case, Side
from experiments.bench.steps import STEPS
from minigan.config import Config, resolve

MODELS = ("small, batch 32", "poster, batch 32", "paper 32², batch 32", "CNN 28²", "CNN 64²")


@dataclass
class HotOp:
    """A function of arrays of these shapes; `theirs` gives PyTorch's by kind and is called only where it is there."""

    name: str
    shapes: list[tuple[int, ...]]
    ours: Callable[..., Tensor]
    theirs: Callable[[], dict[str, Callable]]
    scale: float = 1.0  # of the inputs


def cases() -> list[Case]:
    made = []
    for model in MODELS:
        for hot in hot_ops(resolve(**STEPS[model])):
            kinds = KINDS if hot.name.startswith("attention") else ("ours", "plain")
            for way in ("forward", "both"):
                label = f"{model.partition(',')[0]}: {hot.name} {'×'.join(map(str, hot.shapes[0]))}, {way}"
                made.append(Case("ops", label, maker(hot, way), kinds, quick=model == MODELS[0] and way == "both"))
    return made


def judged(c: Config) -> int:
    """Images in the batch that D judges for its update."""
    return 2 * c.batch * (1 + (c.penalty == "fd") + (c.bcr > 0))


def hot_ops(c: Config) -> list[HotOp]:
    return _convolutions(c) if c.variant == "cnn" else _transformer(c)


def _transformer(c: Config) -> list[HotOp]:
    n, b = judged(c), c.batch
    d_tokens, g_tokens = (c.image_size // c.d_patch) ** 2 + 1, (c.image_size // c.g_patch) ** 2
    hidden = int(c.d_width * c.d_mlp_ratio)
    stream, wide = (n, d_tokens, c.d_width), (n, d_tokens, hidden)
    heads, g_heads = (n, c.d_heads, d_tokens, c.d_width // c.d_heads), (b, c.g_heads, g_tokens, c.g_width // c.g_heads)
    tanh = "tanh" if c.activation == "gelu_tanh" else "none"
    own = (b, 1, c.g_width)
    near = (c.d_width // c.d_heads) ** -0.25  # tokens at a distance of about 2: farther ones would not see each other

    def attention(similarity: str) -> Callable[[], dict[str, Callable]]:
        def theirs() -> dict[str, Callable]:
            from experiments.bench import torch_models as t

            tied = similarity == "l2"  # they are the queries
            return {
                "plain": lambda q, k, v: t.plain_attention(q, q if tied else k, v, similarity),
                "best": lambda q, k, v: t.best_attention(q, q if tied else k, v, similarity),
            }

        return theirs

    return [
        HotOp("linear", [stream, (hidden, c.d_width), (hidden,)], ops.linear, _functional("linear")),
        HotOp("linear", [wide, (c.d_width, hidden), (c.d_width,)], ops.linear, _functional("linear")),
        HotOp(
            "attention l2", [heads] * 3, lambda q, k, v: ops.attention(q, q, v, similarity="l2"), attention("l2"), near
        ),
        HotOp("attention dot", [g_heads] * 3, ops.attention, attention("dot"), near),
        HotOp(
            "layer norm",
            [stream, (c.d_width,), (c.d_width,)],
            lambda x, w, b: ops.layer_norm(x, x.shape[-1], w, b),
            lambda: {"plain": lambda x, w, b: _torch().layer_norm(x, x.shape[-1:], w, b)},
        ),
        HotOp(
            "SLN",
            [(b, g_tokens, c.g_width), own, own],
            lambda x, w, b: ops.layer_norm(x, x.shape[-1], w, b),
            lambda: {"plain": lambda x, w, b: w * _torch().layer_norm(x, x.shape[-1:]) + b},
        ),
        HotOp(
            f"GELU ({'tanh' if tanh == 'tanh' else 'erf'})",
            [wide],
            lambda x: ops.gelu(x, approximate=tanh),
            lambda: {"plain": lambda x: _torch().gelu(x, approximate=tanh)},
        ),
        HotOp("softmax", [(*heads[:3], d_tokens)], ops.softmax, lambda: {"plain": lambda x: _torch().softmax(x, -1)}),
        HotOp("sine", [stream], ops.sin, lambda: {"plain": lambda x: x.sin()}),
    ]


def _convolutions(c: Config) -> list[HotOp]:
    n, b, w, half, full = judged(c), c.batch, c.cnn_width, c.image_size // 2, c.image_size
    down = {"stride": 2, "padding": 1}
    return [
        HotOp(
            "conv 4×4 down",
            [(n, c.channels, full, full), (w, c.channels, 4, 4), (w,)],
            lambda x, k, b: ops.conv2d(x, k, b, **down),
            lambda: {"plain": lambda x, k, b: _torch().conv2d(x, k, b, **down)},
        ),
        HotOp(
            "conv 4×4 down",
            [(n, w, half, half), (2 * w, w, 4, 4), (2 * w,)],
            lambda x, k, b: ops.conv2d(x, k, b, **down),
            lambda: {"plain": lambda x, k, b: _torch().conv2d(x, k, b, **down)},
        ),
        HotOp(
            "conv 3×3",
            [(b, w, full, full), (w, w, 3, 3), (w,)],
            lambda x, k, b: ops.conv2d(x, k, b, padding=1),
            lambda: {"plain": lambda x, k, b: _torch().conv2d(x, k, b, padding=1)},
        ),
        HotOp(
            "leaky ReLU",
            [(n, w, half, half)],
            lambda x: ops.leaky_relu(x, 0.2),
            lambda: {"plain": lambda x: _torch().leaky_relu(x, 0.2)},
        ),
        HotOp(
            "nearest ×2",
            [(b, w, half, half)],
            lambda x: ops.interpolate(x, scale_factor=2),
            lambda: {"plain": lambda x: _torch().interpolate(x, scale_factor=2)},
        ),
    ]


def _torch() -> Any:
    import torch

    return torch.nn.functional


def _functional(name: str) -> Callable[[], dict[str, Callable]]:
    return lambda: {"plain": getattr(_torch(), name)}


def maker(hot: HotOp, way: str) -> Callable[[str, str], Side]:
    def make(kind: str, device: str) -> Side:
        rng = np.random.default_rng(0)
        arrays = [np.float32(hot.scale) * rng.standard_normal(s, np.float32) for s in hot.shapes]
        return _our_side(hot, way, arrays, device) if kind == "ours" else _torch_side(hot, way, arrays, device, kind)

    return make


def _cotangent(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape, np.float32)


def _our_side(hot: HotOp, way: str, arrays: list[np.ndarray], device: str) -> Side:
    xs = [Tensor(to_device(a, device), requires_grad=True) for a in arrays]
    g = to_device(_cotangent(hot.ours(*xs).shape), device)

    def both() -> list:
        y = hot.ours(*xs)
        return [y, *grad(y, xs, g)]

    def results() -> dict[str, Any]:
        y, *grads = both()
        found = {f"gradient {i}": to_host(x) for i, x in enumerate(grads) if x is not None}
        return {"y": to_host(y.data), **found}

    return Side(both if way == "both" else lambda: hot.ours(*xs), results)


def _torch_side(hot: HotOp, way: str, arrays: list[np.ndarray], device: str, kind: str) -> Side:
    import torch

    f = hot.theirs()[kind]
    xs = [torch.tensor(a, device=device, requires_grad=True) for a in arrays]
    g = torch.tensor(_cotangent(tuple(f(*xs).shape)), device=device)

    def both() -> list:
        y = f(*xs)
        return [y, *torch.autograd.grad(y, xs, g, allow_unused=True)]

    def results() -> dict[str, Any]:
        y, *grads = both()
        found = {f"gradient {i}": x.cpu().numpy() for i, x in enumerate(grads) if x is not None}
        return {"y": y.detach().cpu().numpy(), **found}

    return Side(both if way == "both" else lambda: f(*xs), results)
