"""Values at the edge, for every op: infinities, NaN, empty arrays, no axes, one element, broadcasting, ties, indices.

`op.apply(*inputs, **options)`, as in autograd/ops/examples.py. Arrays are float64; tests cast them.
"""

import itertools
from typing import Any, NamedTuple

import numpy as np

from autograd.ops import SIMILARITIES
from autograd.registry import OPS

inf, nan = np.inf, np.nan
LINE = np.array([-inf, -1e30, -1e4, -90.0, -20.0, -1.0, -0.0, 0.0, 1.0, 20.0, 90.0, 1e4, 1e30, inf, nan])
PAIRS = np.array(list(itertools.product(LINE, LINE))).T
ROWS = np.array([
    [-inf, -inf, -inf], [inf, 0, 1], [inf, inf, 0], [-inf, 0, 1], [nan, 0, 1], [nan, inf, -inf], [inf, -inf, 0],
    [1e30, -1e30, 0], [1e4, 1e4, -1e4], [-inf, -inf, 2],
])  # fmt: skip


class Edge(NamedTuple):
    name: str
    inputs: tuple
    options: dict
    limits: bool  # PyTorch returns NaN here, we return the limit or the value: test_edges.py writes it down

    def __str__(self) -> str:
        shown = ["x".join(map(str, x.shape)) or "()" if isinstance(x, np.ndarray) else str(x) for x in self.inputs]
        return f"{self.name}-{'-'.join(shown)}-{'-'.join(f'{k}={v}' for k, v in self.options.items())}"


EDGES: list[Edge] = []


def edge(name: str, *inputs: Any, limits: bool = False, **options: Any) -> None:
    EDGES.append(Edge(OPS[name].name, inputs, options, limits))


def filled(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape)


def spoilt(*shape: int) -> np.ndarray:
    """Normal numbers, with an infinity first and a NaN last."""
    x = filled(*shape)
    x.flat[0], x.flat[-1] = inf, nan
    return x


def image(row: Any, *shape: int) -> np.ndarray:
    return np.broadcast_to(np.array(row, float), shape or (1, 1, 2, 4)).copy()


EMPTY = np.zeros((0, 3))
NUMBER = np.array(3.0)

# Element by element

for _name in ("neg", "exp", "log", "sqrt", "sin", "cos", "tanh", "sigmoid", "softplus", "erf", "relu", "leaky_relu"):
    edge(_name, LINE)
for _name in ("expm1", "log1p", "square"):
    edge(_name, LINE)
    edge(_name, EMPTY)
    edge(_name, NUMBER)
edge("abs", LINE[:-1])  # NaN is tested apart: PyTorch's slope there is 0
for _name in ("silu", "gelu"):
    edge(_name, LINE[1:-2])
    edge(_name, LINE, limits=True)
edge("gelu", LINE[2:-3], approximate="tanh")
edge("gelu", LINE, approximate="tanh", limits=True)
edge("bias_gelu", np.stack([LINE, LINE]), np.zeros(len(LINE)), limits=True)
edge("bias_sine", np.stack([LINE, LINE]), np.zeros(len(LINE)), omega=3.0)
for _name in ("neg", "exp", "log", "sqrt", "abs", "sin", "cos", "tanh", "sigmoid", "softplus", "erf", "relu"):
    edge(_name, EMPTY)
    edge(_name, NUMBER)
for _name in ("leaky_relu", "silu", "gelu"):
    edge(_name, EMPTY)
    edge(_name, NUMBER)
for _name in ("bias_gelu", "bias_sine"):
    edge(_name, EMPTY, filled(3))
    edge(_name, np.zeros((2, 0)), np.zeros(0))
for _name in ("add", "sub", "mul", "div", "power", "maximum", "minimum"):
    edge(_name, *PAIRS)
    edge(_name, EMPTY, filled(3))
    edge(_name, np.zeros((0, 1)), filled(1, 3))
    edge(_name, NUMBER, NUMBER)
for _exponent in (2.0, -1.0, 0.0, 3, 2, 0, -2.0):
    edge("power", LINE, _exponent)
edge("power", np.array([0.0, 1e-300, 2.0, inf]), np.zeros(4))
edge("power", LINE[7:], 0.5)  # C's pow(−0, ½) is not its sqrt, which PyTorch calls
for _base in (-2.0, 0.0, -0.0, 1.0, 2.0, -2, 0, 2):
    edge("power", _base, LINE)
for _bound in (-inf, inf, 0.0):
    edge("maximum", LINE, _bound)
    edge("minimum", _bound, LINE)
edge("clip", LINE, min=-1.0, max=1.0)
edge("clip", LINE, min=-inf, max=inf)
edge("clip", LINE, min=0.0)
edge("clip", EMPTY, min=0.0)
edge("where", np.array([True, False]), np.array([1.0, inf]), np.array([nan, 2.0]))
edge("where", np.zeros((0, 3), bool), EMPTY, EMPTY)
for _dtype in ("float32", "float64"):
    edge("astype", LINE, dtype=_dtype)
    edge("astype", EMPTY, dtype=_dtype)

# Reductions, and what is normalised along an axis

for _name in ("sum", "mean", "max", "min", "logsumexp", "softmax", "log_softmax"):
    for _axis in (1, -1, 0):
        edge(_name, ROWS, axis=_axis)
    for _axis in (0, -1):
        edge(_name, NUMBER, axis=_axis)
    for _shape, _axes in (((0,), (0, -1)), ((0, 3), (0, 1)), ((3, 0), (0, -1)), ((2, 0, 3), (1,))):
        for _axis in _axes:
            if _name not in ("max", "min") or 0 not in np.atleast_1d(_shape)[[_axis]]:
                edge(_name, np.zeros(_shape), axis=_axis)
for _name in ("sum", "mean", "max", "min", "logsumexp"):
    edge(_name, ROWS)
    edge(_name, ROWS[7:9])
    edge(_name, ROWS, axis=1, keepdims=True)
    edge(_name, NUMBER, axis=0, keepdims=True)
    edge(_name, NUMBER, keepdims=True)
for _name in ("sum", "mean", "logsumexp"):
    edge(_name, EMPTY)
for _ddof in (0, 1, 2):
    edge("var", np.array([1.0, 2.0]), ddof=_ddof)
    edge("var", ROWS, axis=1, ddof=_ddof)
    for _shape, _axis in (((0,), None), ((0, 3), 0), ((0, 3), 1), ((3, 0), 1)):
        edge("var", np.ones(_shape), axis=_axis, ddof=_ddof)
for _ddof in (0, 1):  # of one number; PyTorch divides by n − ddof below 0 too, where NumPy's variance is infinite
    edge("var", np.ones(1), ddof=_ddof)
    edge("var", np.ones((2, 1)), axis=1, ddof=_ddof)
    edge("var", NUMBER, ddof=_ddof)
    edge("var", NUMBER, axis=0, ddof=_ddof)
for _ddof in (0, 1, 2):
    edge("std", np.array([1.0, 2.0]), ddof=_ddof)
    edge("std", np.array([2.0, 2.0, 2.0]), ddof=_ddof)  # no spread: gradient 0
    edge("std", ROWS[:7], axis=1, ddof=_ddof)
    edge("std", np.ones((2, 1)), axis=1, ddof=_ddof)
edge("std", np.ones((3, 0)), axis=0)
edge("std", NUMBER)
for _axis in (None, 0, 1):
    edge("norm", ROWS[:7], axis=_axis)
    edge("norm", np.zeros((2, 3)), axis=_axis)  # gradient 0
edge("norm", EMPTY, axis=0)
edge("norm", EMPTY, axis=1, keepdims=True)
edge("norm", NUMBER)
for _axis in (0, 1, -1):
    edge("cumsum", ROWS, axis=_axis)
    edge("cumsum", EMPTY, axis=_axis)
edge("cross_entropy", ROWS[[3, 8]], np.array([0, 2]))
edge("cross_entropy", ROWS[[0, 1]], np.array([0, 2]))
edge("cross_entropy", ROWS[[4, 5]], np.array([0, 2]))
edge("cross_entropy", np.array([[-inf, 0, 1], [0, -inf, 1]]), np.array([0, 2]))
edge("cross_entropy", np.array([[1e30, 0, 1], [0, -1e30, 1]]), np.array([1, 0]))
edge("cross_entropy", EMPTY, np.zeros(0, int))
edge("cross_entropy", np.zeros((2, 1)), np.zeros(2, int))
for _shape, _axes in (((0, 3), (-1,)), ((3, 1), (-1,)), ((3, 0), (-1,)), ((0, 3, 4), (-1,)), ((1, 2, 1, 1), (0, 2, 3))):
    edge("normalize", filled(*_shape), None, None, axes=_axes, eps=1e-5)
edge("normalize", EMPTY, filled(3), filled(3), axes=(-1,), eps=1e-5)
edge("normalize", ROWS, np.ones(3), np.ones(3), axes=(-1,), eps=1e-5)
edge("normalize", np.ones((2, 3)), None, None, axes=(-1,), eps=0.0)
edge("spectral_normalize", np.zeros((3, 4)), filled(3), filled(4), 1.0)

# Shapes and indices

edge("reshape", EMPTY, shape=(3, 0))
edge("reshape", EMPTY, shape=-1)
edge("transpose", EMPTY)
edge("transpose", np.zeros((2, 0, 3)), axes=(1, 2, 0))
edge("transpose", NUMBER)
edge("transpose", NUMBER, axes=())
edge("swapaxes", EMPTY, axis1=0, axis2=1)
edge("broadcast_to", np.zeros((1, 3)), shape=(0, 3))
edge("broadcast_to", np.zeros((0, 1)), shape=(0, 3))
edge("concatenate", EMPTY, filled(2, 3))
edge("concatenate", EMPTY, EMPTY)
edge("concatenate", np.zeros((2, 0)), filled(2, 3), axis=-1)
edge("stack", EMPTY, EMPTY, axis=-1)
edge("stack", NUMBER, NUMBER)
edge("flip", EMPTY)
edge("flip", NUMBER)
edge("flip", spoilt(3), axis=-1)
edge("roll", EMPTY, shift=1)
edge("roll", NUMBER, shift=1)
edge("roll", spoilt(3, 2), shift=-4, axis=-2)
edge("pad", EMPTY, pad_width=1)
edge("pad", spoilt(2), pad_width=(1, 2), constant_values=-inf)
for _index in (
    np.zeros(0, int), np.array([-1, -1, 0, 2]), np.zeros(3, bool), (np.array([0, -3, 0]), np.array([1, 1, -1])),
    np.array(-1), slice(2, 1), (Ellipsis,), None,
):  # fmt: skip
    edge("getitem", spoilt(3, 2), index=_index)
edge("getitem", EMPTY, index=(slice(None), np.array([1, 1])))
edge("getitem", NUMBER, index=())
edge("getitem", NUMBER, index=Ellipsis)
edge("scatter_add", np.zeros(0), index=np.zeros(0, int), shape=(3,))
edge("scatter_add", np.array([1.0, 2, nan]), index=np.array([-1, -1, 0]), shape=(3,))
edge("scatter_add", np.array([1.0, inf, -inf]), index=np.array([-1, -1, -1]), shape=(3,))

# Products

for _a, _b in (((0, 3), (3, 2)), ((2, 3), (3, 0)), ((2, 0), (0, 3)), ((0, 2, 3), (3, 2)), ((2, 2, 0), (2, 0, 2))):
    edge("matmul", filled(*_a), filled(*_b))
edge("matmul", spoilt(2, 2), np.eye(2))
for _x, _w in (((0, 3), (2, 3)), ((5, 0), (2, 0)), ((5, 3), (0, 3)), ((0, 4, 3), (2, 3)), ((3,), (2, 3))):
    edge("linear", filled(*_x), filled(*_w), filled(_w[0]))
for _subscripts, *_shapes in (
    ("ij,jk->ik", (2, 3), (1, 4)), ("ij,jk->ik", (2, 1), (3, 4)), ("bi,bi->b", (1, 3), (2, 3)),
    ("bi,bi->bi", (1, 3), (2, 3)), ("ab,ab,ab->b", (1, 1), (3, 1), (3, 2)), ("i,i->", (1,), (3,)),
    ("ij,jk->ik", (0, 3), (3, 2)), ("ij,jk->ik", (2, 0), (0, 2)), ("i->", (0,)),
):  # fmt: skip
    edge("einsum", *(filled(*s) for s in _shapes), subscripts=_subscripts)
for _similarity in SIMILARITIES:
    zero_distance = _similarity == "l2_printed"  # PyTorch's norm has no slope there, ours is 0
    for _q, _k in (((0, 1, 3, 2), (0, 1, 3, 2)), ((1, 1, 0, 2), (1, 1, 3, 2)), ((1, 0, 3, 2), (1, 0, 3, 2))):
        edge("attention", filled(*_q), filled(*_k), filled(*_k), similarity=_similarity)
    edge("attention", filled(1, 1, 3, 2), np.zeros((1, 1, 0, 2)), np.zeros((1, 1, 0, 2)), similarity=_similarity)
    q = filled(1, 1, 3, 2)
    edge("attention", q, -q, np.zeros((1, 1, 3, 0)), similarity=_similarity)
    edge("attention", q, -q, spoilt(1, 1, 3, 2), similarity=_similarity)
    edge("attention", spoilt(1, 1, 3, 2), -q, q, similarity=_similarity, limits=zero_distance)
    edge("attention", 1e3 * q, -1e3 * q, q, similarity=_similarity)
    edge("attention", 1e3 * q, -1e3 * q, q, similarity=_similarity, mask=np.tri(3, dtype=bool))
    edge("attention", filled(1, 1, 0, 2), q, q, similarity=_similarity, mask=np.zeros((0, 3), bool))
edge("attention", q, -q, q, mask=np.array([[True, False, True], [False] * 3, [True] * 3]))  # one looks nowhere

# Images

for _name in ("max_pool2d", "avg_pool2d"):
    for _row in (-inf, inf, nan, [1, -inf, nan, 2], [1, inf, inf, -inf], [nan, nan, 1, 1]):
        edge(_name, image(_row), kernel_size=2)
        edge(_name, image(_row), kernel_size=2, padding=1)
        edge(_name, image(_row, 8, 1, 2, 4), kernel_size=(2, 3), stride=1, padding=1)  # as many images as loops want
    edge(_name, np.zeros((0, 2, 4, 4)), kernel_size=2)
for _bias in (True, False):
    edge("conv2d", np.zeros((0, 3, 5, 5)), filled(2, 3, 3, 3), filled(2) if _bias else None)
    edge("conv_transpose2d", np.zeros((0, 2, 5, 5)), filled(2, 3, 3, 3), filled(3) if _bias else None)
edge("conv2d", spoilt(1, 1, 4, 4), filled(2, 1, 3, 3), None, padding=1)
edge("conv2d", spoilt(8, 1, 4, 4), filled(2, 1, 3, 3), filled(2), padding=1)
edge("conv2d", spoilt(1, 1, 4, 4), np.zeros((2, 1, 3, 3)), None)
edge("conv_transpose2d", spoilt(1, 1, 4, 4), filled(1, 2, 3, 3), None)
edge("conv2d_weight", spoilt(1, 1, 4, 4), filled(1, 2, 2, 2), weight_size=(2, 1, 3, 3))
edge("unfold", np.zeros((0, 2, 4, 5)), kernel_size=2)
edge("unfold", spoilt(1, 1, 4, 4), kernel_size=2, padding=1)
edge("fold", np.zeros((0, 8, 12)), output_size=(4, 5), kernel_size=2)
edge("fold", spoilt(1, 8, 12), output_size=(4, 5), kernel_size=2)
for _name in ("upsample_nearest", "upsample_bilinear"):
    edge(_name, np.zeros((0, 4, 2, 2)), scale_factor=2)
    edge(_name, spoilt(1, 4, 2, 3), scale_factor=2)
    edge(_name, filled(1, 1, 1, 1), scale_factor=3)
edge("pixel_shuffle", spoilt(1, 4, 2, 2), upscale_factor=2)
edge("pixel_unshuffle", spoilt(1, 4, 2, 2), downscale_factor=2)

# What PyTorch refuses or, for an empty batch, cannot differentiate: ours has the shape that the formula gives

ALONE: list[Edge] = []
for _name, _options in (
    ("pixel_shuffle", {"upscale_factor": 2}), ("pixel_unshuffle", {"downscale_factor": 2}),
    ("upsample_nearest", {"scale_factor": 2}), ("upsample_bilinear", {"scale_factor": 2}),
    ("max_pool2d", {"kernel_size": 2}), ("avg_pool2d", {"kernel_size": 2}), ("unfold", {"kernel_size": 2}),
):  # fmt: skip
    for _shape in ((0, 4, 2, 2), (2, 0, 2, 2)):
        ALONE.append(Edge(_name, (np.zeros(_shape),), _options, False))
ALONE.append(Edge("fold", (np.zeros((2, 0, 12)),), {"output_size": (4, 5), "kernel_size": 2}, False))
ALONE.append(Edge("conv2d", (filled(1, 3, 5, 5), np.zeros((0, 3, 3, 3)), None), {}, False))
ALONE.append(Edge("conv2d", (np.zeros((1, 0, 5, 5)), np.zeros((2, 0, 3, 3)), filled(2)), {}, False))
ALONE.append(Edge("conv_transpose2d", (filled(1, 2, 5, 5), np.zeros((2, 0, 3, 3)), None), {}, False))
ALONE.append(
    Edge("conv2d_weight", (np.zeros((0, 3, 5, 4)), np.zeros((0, 2, 3, 3))), {"weight_size": (2, 3, 3, 2)}, False)
)
