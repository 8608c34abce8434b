"""Optimisation over flat storage: the parameters of a model are views of one array, so a step is a few operations."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from autograd import Tensor
from autograd.arrays import Numbers, array_module, to_host
from autograd.ops.numerics import matmul
from autograd.registry import routine
from autograd.writes import WRITES
from nn.module import Module, Parameter


class FlatParameters:
    """The parameters of a model as one array `data` (n,): each parameter's own array becomes a view of it.

    ValueError if there are none, or one stands there twice; TypeError for anything but a list of parameters, for
    float16 and for several dtypes.
    """

    def __init__(self, parameters: Sequence[Parameter]):
        self.parameters = list(parameters)
        if isinstance(parameters, Tensor) or not all(isinstance(p, Tensor) for p in self.parameters):
            raise TypeError("an optimiser takes a list of parameters, such as model.parameters()")
        if not self.parameters:
            raise ValueError("there are no parameters to train: the module has none, or an iterator was used up")
        if len(set(map(id, self.parameters))) < len(self.parameters):
            raise ValueError("a parameter stands in the list twice: module.parameters() has each once")
        if any(p.dtype.itemsize < 4 for p in self.parameters):
            raise TypeError("float16 weights would lose small updates: keep the weights in float32")
        if len(dtypes := sorted({str(p.dtype) for p in self.parameters})) > 1:
            raise TypeError(f"the parameters are {' and '.join(dtypes)}: give all of them one dtype")
        xp = array_module(*(p.data for p in self.parameters))
        self.data = xp.concatenate([p.data.reshape(-1) for p in self.parameters])
        ends = list(itertools.accumulate(p.size for p in self.parameters))
        self.parts = [slice(end - p.size, end) for p, end in zip(self.parameters, ends, strict=True)]
        for p, part in zip(self.parameters, self.parts, strict=True):
            p.data = self.data[part].reshape(p.shape)
        self.views = [p.data for p in self.parameters]

    def spread(self, numbers: Sequence[float]) -> Any:
        """An array like `data` that holds one number throughout each parameter; ValueError unless each has one."""
        if len(numbers) != len(self.parts):
            raise ValueError(f"got {len(numbers)} scales for {len(self.parts)} parameters: give one for each")
        flat = array_module(self.data).empty_like(self.data)
        for part, number in zip(self.parts, numbers, strict=True):
            flat[part] = number
        return flat

    def check(self) -> None:
        """RuntimeError if the parameters are no longer views of `data`."""
        if any(p.data is not view for p, view in zip(self.parameters, self.views, strict=True)):
            raise RuntimeError(
                "a parameter was given another array, by .to(), by .data = or by another optimiser: move it first, and "
                "then give it to one optimiser"
            )

    def check_gradients(self, grads: Sequence[Any]) -> None:
        """ValueError unless there is one for each parameter, in its shape, or None."""
        if len(grads) != len(self.parameters):
            raise ValueError(
                f"got {len(grads)} gradients for {len(self.parameters)} parameters: give one for each, or None"
            )
        for i, (view, g) in enumerate(zip(self.views, grads, strict=True)):
            if g is not None and g.shape != view.shape:
                raise ValueError(f"gradient {i} has shape {tuple(g.shape)}, and its parameter {view.shape}")

    def gather(self, grads: Sequence[Any]) -> Any:
        """The gradients, aligned with the parameters, as one array; None counts as zero."""
        # Not by concatenate: CuPy's uploads the addresses of more than 8 arrays, which a CUDA graph may not capture.
        flat = array_module(self.data).empty_like(self.data)
        for part, g in zip(self.parts, grads, strict=True):
            flat[part] = 0 if g is None else g.reshape(-1)
        return flat

    def split(self, flat: Any) -> list[Any]:
        """The inverse of `gather`: views of an array like `data`, aligned with the parameters, in their shapes."""
        return [flat[part].reshape(view.shape) for part, view in zip(self.parts, self.views, strict=True)]

    def blocks(self) -> Iterator[slice]:
        """Slices of the flat array. On the host a block fits into the cache with its gradient and its moments."""
        size = 16384 if array_module(self.data) is np else len(self.data)
        return (slice(i, i + size) for i in range(0, len(self.data), size))


def refuse_negative(**values: float) -> None:
    """ValueError for a value below 0, and for NaN."""
    for name, value in values.items():
        if not value >= 0:
            raise ValueError(f"{name} must not be negative, but is {value}")


class Optimizer:
    """What optimisers share: parameters in one flat array, `lr`, and how many steps `t` were made.

    `optimizer.step()` after `loss.backward()`, and `optimizer.zero_grad()` before the next one; or, without touching
    any `.grad`, `optimizer.step(grad(loss, model.parameters()))`. A parameter whose gradient is None stays as it is,
    and so do its moments. `t` counts the steps for all parameters together, where PyTorch counts those of each.
    """

    def __init__(self, parameters: Sequence[Parameter], lr: float):
        refuse_negative(lr=lr)
        self.flat = FlatParameters(parameters)
        self.lr, self.t = lr, 0

    def step(self, grads: Sequence[Any] | None = None) -> Any:
        """One update in place from gradients aligned with the parameters, as `autograd.grad` returns them.

        Without `grads` it takes the gradients that loss.backward() left in the parameters; TypeError if there are none.
        Returns the norm of the whole gradient before clipping, a 0-d array on the device.
        """
        if grads is None:
            grads = [p.grad for p in self.flat.parameters]
            if all(g is None for g in grads):
                raise TypeError(
                    "step() takes the gradients that loss.backward() left, and there are none: call it first, or give "
                    "one for each parameter, step(grad(loss, model.parameters()))"
                )
        self.prepare()
        norm = self.update(grads)
        self.t += 1
        return norm

    def zero_grad(self) -> None:
        """Forget the gradients: backward() adds to what is there."""
        for p in self.flat.parameters:
            p.grad = None

    def prepare(self) -> None:
        """Before an update: write what depends on t and on `lr` where a captured step finds it."""
        raise NotImplementedError

    def update(self, grads: Sequence[Any]) -> Any:
        """The part of `step` that runs on the device. ValueError unless the gradients fit the parameters."""
        self.flat.check()  # here, so that no twin can forget it
        self.flat.check_gradients(grads)
        WRITES.note(self.flat.data)
        still = [part for part, g in zip(self.flat.parts, grads, strict=True) if g is None]
        # A state may also hold arrays of other shapes, as the factors of Shampoo: they have no such parts.
        aligned = [a for a in (self.flat.data, *self.state().values()) if a.shape == self.flat.data.shape]
        kept = [(a, part, a[part].copy()) for a in aligned for part in still]
        norm = self.move(grads)
        for a, part, before in kept:
            a[part] = before
        return norm

    def move(self, grads: Sequence[Any]) -> Any:
        """Move all parameters at once, and return the norm. What has no gradient, `update` puts back."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """The arrays that an optimiser remembers from step to step, by name."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, np.ndarray]:
        """Host copies of `state()` by name, and the number of steps as "t": what a checkpoint keeps."""
        return {**{name: np.array(to_host(a)) for name, a in self.state().items()}, "t": np.asarray(self.t)}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """ValueError unless it has the arrays of `state` in their shapes, and t."""
        ours = self.state()
        if missing := sorted({*ours, "t"} - state.keys()):
            raise ValueError(f"the state does not fit this {type(self).__name__}: missing {', '.join(missing)}")
        for name, a in ours.items():
            if np.shape(state[name]) != a.shape:
                raise ValueError(f"{name}: the state has shape {np.shape(state[name])}, the optimiser {a.shape}")
        for name, a in ours.items():
            a[...] = array_module(a).asarray(state[name])
        self.t = int(state["t"])


class Adam(Optimizer):
    """Adam (Kingma & Ba, 1412.6980) with bias correction.

    m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²,   θ ← θ − lr · m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + ε)
    `max_norm`: gradients of a longer Euclidean norm are scaled down to it.
    `scales`: a number c for each parameter, which is then trained as θ = c φ: g is the gradient c ∂L/∂θ of φ, and θ
    moves by c times the step of φ (see `nn.equalised`). ValueError unless each parameter has one.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        max_norm: float | None = None,
        scales: Sequence[float] | None = None,
    ):
        super().__init__(parameters, lr)
        refuse_negative(eps=eps)
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas must be at least 0 and below 1, but are {betas}")
        self.betas, self.eps, self.max_norm = betas, eps, max_norm
        self.scales = None if scales is None else self.flat.spread(scales)
        self.m, self.v = 0 * self.flat.data, 0 * self.flat.data
        self.numbers = Numbers(2, array_module(self.m))
        self.prepare()

    def prepare(self) -> None:
        t, (beta1, beta2) = self.t + 1, self.betas
        self.numbers.set(self.lr / (1 - beta1**t), 1 / math.sqrt(1 - beta2**t))

    def move(self, grads: Sequence[Any]) -> Any:
        xp, constants = array_module(self.m), (self.betas, self.eps, self.max_norm, self.scales)
        return adam_update(xp, self.flat, grads, self.m, self.v, self.numbers, *constants)

    def state(self) -> dict[str, Any]:
        return {"m": self.m, "v": self.v}


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter, 1711.05101): before each step θ ← (1 − lr · λ) θ."""

    def __init__(
        self,
        parameters: Sequence[Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        max_norm: float | None = None,
        scales: Sequence[float] | None = None,
    ):
        refuse_negative(weight_decay=weight_decay)
        self.weight_decay = weight_decay
        self.shrink: Any = None
        super().__init__(parameters, lr, betas, eps, max_norm, scales)

    def prepare(self) -> None:
        super().prepare()
        self.shrink = self.shrink or Numbers(1, array_module(self.m))
        self.shrink.set(1 - self.lr * self.weight_decay)

    def move(self, grads: Sequence[Any]) -> Any:
        (factor,) = self.shrink
        self.flat.data *= factor
        return super().move(grads)


@routine
def adam_update(
    xp: Any,
    flat: FlatParameters,
    grads: Sequence[Any],
    m: Any,
    v: Any,
    numbers: Numbers,
    betas: tuple[float, float],
    eps: float,
    max_norm: float | None,
    scales: Any = None,
) -> Any:
    """The equations of Adam, in place; returns the norm. numbers: lr/(1 − β₁ᵗ) and 1/√(1 − β₂ᵗ); scales: flat."""
    (beta1, beta2), (rate, root) = betas, numbers
    g = flat.gather(grads)
    if scales is not None:
        g *= scales
    norm = xp.sqrt(matmul(xp, g, g))
    if max_norm is not None:
        g *= xp.minimum(max_norm / (norm + 1e-12), 1.0)
    for block in flat.blocks():
        weights, slope, mean, square = flat.data[block], g[block], m[block], v[block]
        mean *= beta1
        mean += (1 - beta1) * slope
        square *= beta2
        square += (1 - beta2) * (slope * slope)
        step = mean / (xp.sqrt(square) * root + eps) * rate
        weights -= step if scales is None else scales[block] * step
    return norm


class EMA:
    """θ̄ ← θ̄ + (1 − d) (θ − θ̄): an averaged copy of a model, `ema.model`; buffers are copied as they are."""

    def __init__(self, model: Module):
        self.model = model.copy().eval()
        self.flat = FlatParameters(self.model.parameters())
        self.buffers = list(zip(self.model.buffers(), model.buffers(), strict=True))
        self.share = Numbers(1, array_module(self.flat.data))

    def step(self, weights: FlatParameters, share: float) -> None:
        """Move the average towards `weights`, the parameters of the model that it was made from; share = 1 − d."""
        self.prepare(share)
        self.update(weights)

    def prepare(self, share: float) -> None:
        """Before an update: write the share where a captured step finds it."""
        self.share.set(share)

    def update(self, weights: FlatParameters) -> None:
        """The part of `step` that runs on the device."""
        move_average(array_module(self.flat.data), self.flat, weights, self.share)
        WRITES.note(self.flat.data)
        self.copy_buffers()

    def copy_buffers(self) -> None:
        """Copy the buffers of the model, such as running statistics, without averaging."""
        for copy, buffer in self.buffers:
            copy.data[...] = buffer.data
            WRITES.note(copy.data)


@routine
def move_average(xp: Any, average: FlatParameters, weights: FlatParameters, share: Numbers) -> None:
    """average ← average + share (weights − average), in place."""
    (move,) = share
    for block in average.blocks():
        average.data[block] += move * (weights.data[block] - average.data[block])


def learning_rate(step: int, steps: int, warmup: int, decay: str, final: float = 0.0) -> float:
    """The factor on the learning rate before update `step` (from 0) of `steps`.

    A linear rise over `warmup` steps times a fall from 1 to `final`: `decay` "constant", "linear" or "cosine".
    ValueError for others.
    """
    done = min(step / max(steps, 1), 1.0)
    falls = {"constant": 1.0, "linear": 1 - done, "cosine": 0.5 * (1 + math.cos(math.pi * done))}
    if decay not in falls:
        raise ValueError(f"decay {decay!r}: use {', '.join(falls)}")
    return min(1.0, (step + 1) / max(warmup, 1)) * (final + (1 - final) * falls[decay])
