"""Inputs for every op: what the contract tests and the op's page run it on. An op without an entry fails the suite.

An input is a recipe (a function of a random generator, which makes a float64 array) or a constant passed as it is.
Values keep away from kinks and ties, where there is no one derivative: test_ops_kinks.py tests those.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from autograd.operation import Op
from autograd.registry import OPS


class Example(NamedTuple):
    """op.apply(*inputs(...), **options); `wrt` are the positions of the inputs that get a gradient."""

    op: Op
    recipes: tuple
    options: dict
    wrt: tuple[int, ...]
    syncs: bool  # the shape of the result depends on values (boolean masks), so a GPU must wait for it

    def inputs(self, dtype: str = "float64", seed: int = 0) -> list:
        """Fresh inputs: arrays of `dtype` where the recipe makes floats, constants as they are."""
        rng = np.random.default_rng(seed)
        out = [recipe(rng) if callable(recipe) else recipe for recipe in self.recipes]
        return [x.astype(dtype) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in out]

    def options_on(self, to_device: Callable) -> dict:
        """The options, index arrays moved by `to_device`."""
        return {name: on_device(value, to_device) for name, value in self.options.items()}


def on_device(value: Any, to_device: Callable) -> Any:
    """Every NumPy array in a nest of tuples and lists, moved."""
    if isinstance(value, np.ndarray):
        return to_device(value)
    if isinstance(value, (tuple, list)):
        return type(value)(on_device(v, to_device) for v in value)
    return value


# Recipes


def normal(*shape: int) -> Callable:
    return lambda rng: np.asarray(rng.standard_normal(shape))


def uniform(low: float, high: float, *shape: int) -> Callable:
    return lambda rng: np.asarray(rng.uniform(low, high, shape))


def away_from_0(*shape: int) -> Callable:
    """0.3 ≤ |x| ≤ 2, either sign."""
    return lambda rng: np.asarray(rng.uniform(0.3, 2, shape) * rng.choice([-1.0, 1.0], shape))


def distinct(*shape: int, offset: float = 0.0) -> Callable:
    """Multiples of 0.1 around 0, no two the same, plus `offset`: with 0.05 apart from all those without."""
    n = math.prod(shape)
    return lambda rng: np.asarray((rng.permutation(n) - n // 2) * 0.1 + offset).reshape(shape)


def integers(high: int, *shape: int) -> Callable:
    return lambda rng: rng.integers(high, size=shape)


def mask(*shape: int) -> Callable:
    return lambda rng: rng.random(shape) < 0.5


EXAMPLES: dict[str, list[Example]] = {}


def example(name: str, *recipes: Any, wrt: tuple[int, ...] | None = None, syncs: bool = False, **options: Any) -> None:
    """Register one; `wrt` defaults to every input that is a float array. KeyError if there is no op of this name."""
    if name not in OPS:
        raise KeyError(f"an example for op {name!r}, which does not exist")
    made = Example(OPS[name], recipes, options, (), syncs)
    if wrt is None:
        wrt = tuple(i for i, x in enumerate(made.inputs()) if isinstance(x, np.ndarray) and x.dtype.kind == "f")
    EXAMPLES.setdefault(name, []).append(made._replace(wrt=wrt))


# Element by element

for _name in ("add", "sub", "mul"):
    example(_name, normal(3, 4), normal(3, 4))
    example(_name, normal(2, 3, 4), normal(3, 1))  # both ways of broadcasting: a new axis, a stretched one
    example(_name, normal(3, 1), normal(1, 4))
    example(_name, normal(), normal(2, 3))
    example(_name, normal(), normal())
    example(_name, normal(3), 2.5)
    example(_name, -1.5, normal(2, 2))
example("div", normal(3, 4), away_from_0(3, 4))
example("div", normal(4), away_from_0(2, 3, 1))
example("div", normal(2, 3), away_from_0())
example("div", normal(3), 2.0)
example("div", 3, away_from_0(3))
example("power", uniform(0.5, 2, 3, 4), normal(3, 4))
example("power", uniform(0.5, 2, 3, 1), normal(4))
for _exponent in (0, 1, 2, 3, 0.5, -1, -1.5):
    example("power", uniform(0.5, 2, 5), _exponent)
example("power", away_from_0(2, 3), 2)
example("power", 2.5, normal(2, 3))
example("power", 2, normal())
for _name in ("neg", "exp", "expm1", "square", "sin", "cos", "tanh", "sigmoid", "softplus", "silu", "gelu"):
    example(_name, normal(3, 4))
    example(_name, normal())
example("gelu", normal(3, 4), approximate="tanh")
example("bias_gelu", normal(2, 3, 4), normal(4))
example("bias_gelu", normal(3, 4), normal(4), approximate="tanh")
example("bias_sine", normal(2, 3, 4), normal(4), omega=3.0)
example("bias_sine", normal(4), normal(4))
example("erf", uniform(-3, 3, 4, 5))
example("erf", uniform(3.9, 5, 6))
example("erf", normal())
for _name in ("log", "log1p", "sqrt"):
    example(_name, uniform(0.5, 2, 3, 4))
    example(_name, uniform(0.5, 2))
for _name in ("abs", "relu", "leaky_relu"):
    example(_name, away_from_0(3, 4))
    example(_name, away_from_0())
example("leaky_relu", away_from_0(3, 4), negative_slope=0.2)
for _name in ("maximum", "minimum"):
    example(_name, distinct(3, 4), distinct(3, 4, offset=0.05))
    example(_name, distinct(2, 3, 1), distinct(4, offset=0.05))
    example(_name, distinct(3, 4, offset=0.05), 0.0)
    example(_name, 0.1, distinct(5, offset=0.05))
example("clip", distinct(3, 4, offset=0.05), min=-0.2, max=0.3)
example("clip", distinct(3, 4, offset=0.05), min=0.1)
example("clip", distinct(3, 4, offset=0.05), max=0.1)
example("where", mask(3, 4), normal(3, 4), normal(3, 4))
example("where", mask(3, 1), normal(4), normal(2, 3, 4))
example("where", mask(3, 4), normal(3, 4), 0.0)
example("where", mask(4), 1.0, normal())
example("astype", normal(2, 3), dtype="float32")
example("astype", normal(2, 3), dtype="float64")

# Reductions

AXES: tuple[dict, ...] = (
    {},
    {"axis": 0},
    {"axis": -1},
    {"axis": 1, "keepdims": True},
    {"axis": (0, 2)},
    {"axis": (-1, 0), "keepdims": True},
    {"axis": None, "keepdims": True},
    {"axis": (0, 1, 2)},
)
for _name in ("sum", "mean", "max", "min", "var", "logsumexp"):
    for _options in AXES:
        example(_name, distinct(2, 3, 4), **_options)
    example(_name, normal(1, 3), axis=0)
for _name in ("sum", "mean", "max", "min", "logsumexp"):
    example(_name, normal())
example("var", normal(3, 4), ddof=1)
example("var", normal(3, 4), axis=0, ddof=1, keepdims=True)
example("var", normal(2, 3, 4), axis=(0, -1), ddof=2)

for _options in AXES[:5]:
    example("std", distinct(2, 3, 4), **_options)
    example("norm", distinct(2, 3, 4, offset=0.05), **_options)
example("std", normal(3, 4), axis=0, ddof=1, keepdims=True)
for _axis in (0, 1, -1):
    example("cumsum", normal(2, 3, 4), axis=_axis)

# Shapes

example("roll", normal(2, 3), shift=1)
example("roll", normal(2, 3, 4), shift=-2, axis=-1)
example("roll", normal(2, 3, 4), shift=(1, -3), axis=(0, 2))
example("reshape", normal(2, 6), shape=(3, 4))
example("reshape", normal(2, 6), shape=(2, -1, 3))
example("reshape", normal(2, 6), shape=-1)
example("reshape", normal(1, 1), shape=())
example("reshape", normal(), shape=(1, 1))
example("transpose", normal(2, 3))
example("transpose", normal(2, 3, 4))
example("transpose", normal(2, 3, 4), axes=(1, 2, 0))
example("transpose", normal(2, 3, 4), axes=(-1, 0, -2))
example("swapaxes", normal(2, 3, 4), axis1=0, axis2=2)
example("swapaxes", normal(2, 3, 4), axis1=-1, axis2=-2)
example("broadcast_to", normal(3, 1), shape=(2, 3, 4))
example("broadcast_to", normal(), shape=(2, 2))
example("broadcast_to", normal(2, 3), shape=(2, 3))
example("concatenate", normal(2, 3), normal(1, 3))
example("concatenate", normal(2, 3), normal(2, 1), normal(2, 2), axis=1)
example("concatenate", normal(2, 3), normal(2, 2), axis=-1)
example("stack", normal(2, 3), normal(2, 3))
example("stack", normal(2, 3), normal(2, 3), normal(2, 3), axis=-1)
example("stack", normal(), normal(), axis=0)
example("pad", normal(2, 3), pad_width=((1, 0), (2, 1)))
example("pad", normal(2, 3), pad_width=((0, 0), (1, 1)), constant_values=-1.5)
example("pad", normal(2, 3), pad_width=2)
example("pad", normal(2, 3), pad_width=(1, 2))
example("flip", normal(2, 3, 4))
example("flip", normal(2, 3, 4), axis=1)
example("flip", normal(2, 3, 4), axis=(0, -1))

INDICES: tuple[Any, ...] = (  # into (4, 5)
    1,
    -1,
    (slice(1, 3), slice(None, None, 2)),
    (slice(None, None, -1), slice(4, 0, -2)),
    (Ellipsis, 2),
    (None, 3, Ellipsis, None),
    (2, 3),
    np.array([0, 2, 2, 3]),  # repeats
    (np.array([[0, -1], [0, 2]]), np.array([1, 4])),
    (slice(None), np.array([4, 4, 0])),
    (np.array([1, 1]), slice(1, 4)),
)
MASKS: tuple[Any, ...] = (
    np.arange(20).reshape(4, 5) % 3 == 0,
    (np.array([True, False, True, False]), slice(1, None)),
)
for _index in INDICES:
    example("getitem", normal(4, 5), index=_index)
    example("scatter_add", normal(*np.empty((4, 5))[_index].shape), index=_index, shape=(4, 5))
for _index in MASKS:
    example("getitem", normal(4, 5), index=_index, syncs=True)
    example("scatter_add", normal(*np.empty((4, 5))[_index].shape), index=_index, shape=(4, 5), syncs=True)

# Matrix products

example("matmul", normal(2, 3), normal(3, 4))
example("matmul", normal(2, 2, 3), normal(2, 3, 2))
example("matmul", normal(2, 1, 2, 3), normal(4, 3, 2))  # batches broadcast
example("matmul", normal(2, 3), normal(2, 3, 1))
example("linear", normal(5, 3), normal(2, 3), normal(2))
example("linear", normal(2, 4, 3), normal(2, 3), normal(2))
example("linear", normal(3), normal(2, 3), normal(2))
example("linear", normal(5, 3), normal(2, 3), None)
EINSUMS = (
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("bij,bkj->bik", (2, 3, 4), (2, 2, 4)),
    ("bhid,bhjd->bhij", (2, 2, 3, 2), (2, 2, 2, 2)),
    ("i,j->ij", (2,), (3,)),
    ("i,i->", (3,), (3,)),
    ("ij->ji", (2, 3)),
    ("ij->i", (2, 3)),  # a letter summed away alone
    ("ij->", (2, 3)),
    ("ij,k->ik", (2, 3), (2,)),
    ("ij,jk,kl->il", (2, 3), (3, 2), (2, 4)),
    ("i,,j->ji", (2,), (), (3,)),
)
for _subscripts, *_shapes in EINSUMS:
    example("einsum", *(normal(*s) for s in _shapes), subscripts=_subscripts)

# Normalisations

for _name in ("softmax", "log_softmax"):
    example(_name, normal(3, 4))
    example(_name, normal(2, 3, 4), axis=1)
    example(_name, normal(2, 3, 4), axis=(1, 2))
    example(_name, normal(5), axis=0)
example("cross_entropy", normal(4, 3), integers(3, 4))
example("cross_entropy", normal(1, 2), integers(2, 1))
example("normalize", normal(2, 3, 4), normal(4), normal(4), axes=-1, eps=1e-5)
example("normalize", normal(3, 5), None, None, axes=(-1,), eps=1e-5)
example("normalize", normal(2, 3, 4), normal(2, 1, 4), normal(2, 1, 4), axes=(-1,), eps=1e-5)  # self-modulated
example("normalize", normal(1, 3, 4), normal(2, 1, 4), normal(2, 1, 4), axes=(-1,), eps=1e-5)  # one x, many w
example("normalize", normal(3, 2, 2, 2), normal(1, 2, 1, 1), normal(1, 2, 1, 1), axes=(0, 2, 3), eps=1e-3)
example("normalize", normal(3, 4), normal(4), None, axes=-1, eps=1e-5)
example("normalize", normal(3, 4), None, normal(4), axes=(0, 1), eps=1e-5)
example("spectral_normalize", normal(3, 4), normal(3), normal(4), 1.7, wrt=(0,))
example("spectral_normalize", normal(2, 5), normal(2), normal(5), normal(), wrt=(0,))

# Attention


def around(*shape: int) -> Callable:
    """Keys alternately above and below all queries made by `distinct`: with all on one side l1 gradients cancel."""
    sides = np.resize([1.0, -1.0], (shape[-2], 1))
    return lambda rng: distinct(*shape, offset=0.05)(rng) + 2 * sides


for _similarity in ("dot", "l2", "l1", "l2_printed"):
    example("attention", distinct(2, 1, 3, 2), around(2, 1, 4, 2), normal(2, 1, 4, 3), similarity=_similarity)
    example(
        "attention", distinct(1, 2, 2, 3), around(1, 2, 2, 3), normal(1, 2, 2, 3), similarity=_similarity, scale=0.7
    )

    causal = np.tri(4, dtype=bool)
    example(
        "attention", distinct(2, 1, 4, 2), around(2, 1, 4, 2), normal(2, 1, 4, 3), similarity=_similarity, mask=causal
    )
    padding = np.array([[True, True, False], [False, True, True]])[:, None, None, :]
    example(
        "attention", distinct(2, 2, 2, 2), around(2, 2, 3, 2), normal(2, 2, 3, 2), similarity=_similarity, mask=padding
    )

# Convolution, pooling, resampling: images (N, C, H, W)

example("conv2d", normal(2, 3, 5, 4), normal(2, 3, 3, 2), normal(2))
example("conv2d", normal(2, 2, 5, 6), normal(3, 2, 3, 3), None, stride=2, padding=1)  # a column is left over
example("conv2d", normal(1, 1, 6, 5), normal(2, 1, 2, 2), normal(2), stride=(2, 1), padding=(0, 1), dilation=(1, 2))
example("conv2d", normal(2, 3, 2, 2), normal(2, 3, 1, 1), None)
example("conv_transpose2d", normal(2, 3, 3, 2), normal(3, 2, 3, 2), normal(2))
example("conv_transpose2d", normal(1, 2, 3, 3), normal(2, 2, 3, 3), None, stride=2, padding=1, output_padding=1)
example("conv_transpose2d", normal(1, 1, 2, 3), normal(1, 2, 2, 2), normal(2), stride=(2, 3), dilation=(1, 2))
example("conv2d_weight", normal(2, 3, 5, 4), normal(2, 2, 3, 3), weight_size=(2, 3, 3, 2))
example("conv2d_weight", normal(2, 1, 5, 6), normal(2, 2, 3, 3), weight_size=(2, 1, 3, 3), stride=2, padding=1)
example("unfold", normal(2, 2, 4, 5), kernel_size=(2, 3))
example("unfold", normal(1, 2, 5, 5), kernel_size=3, stride=2, padding=1, dilation=(1, 2))
example("fold", normal(2, 12, 9), output_size=(4, 5), kernel_size=(2, 3))
example("fold", normal(1, 18, 6), output_size=5, kernel_size=3, stride=2, padding=1, dilation=(1, 2))
example("avg_pool2d", normal(2, 2, 4, 6), kernel_size=2)
example("avg_pool2d", normal(1, 2, 5, 5), kernel_size=(3, 2), stride=(2, 1), padding=1)
example("max_pool2d", distinct(2, 2, 4, 6), kernel_size=2)
example("max_pool2d", distinct(1, 2, 5, 5), kernel_size=3, stride=2, padding=1)
example("upsample_nearest", normal(2, 2, 3, 2), scale_factor=2)
example("upsample_nearest", normal(1, 1, 2, 2), scale_factor=(3, 1))
example("pixel_shuffle", normal(2, 8, 3, 2), upscale_factor=2)
example("pixel_shuffle", normal(1, 9, 2, 1), upscale_factor=3)
example("pixel_unshuffle", normal(2, 2, 4, 6), downscale_factor=2)
example("pixel_unshuffle", normal(1, 1, 3, 6), downscale_factor=3)
example("upsample_bilinear", normal(2, 2, 3, 2), scale_factor=2)
example("upsample_bilinear", normal(1, 1, 2, 3), scale_factor=(3, 1))
