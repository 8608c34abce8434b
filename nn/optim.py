"""Optimisation over flat storage: the parameters of a model are views of one array, so a step is a few operations."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from autograd import backend
from autograd.capture import Numbers
from autograd.kernels import launch
from autograd.kernels.adam import adam_settings, adam_step
from nn.module import Module, Parameter


class FlatParameters:
    """The parameters of a model as one array `data`: each parameter's own array becomes a view of it."""

    def __init__(self, parameters: Sequence[Parameter]):
        self.parameters = list(parameters)
        xp = backend.array_module(*(p.data for p in self.parameters))
        self.data = xp.concatenate([p.data.reshape(-1) for p in self.parameters])
        ends = list(itertools.accumulate(p.size for p in self.parameters))
        self.parts = [slice(end - p.size, end) for p, end in zip(self.parameters, ends, strict=True)]
        for p, part in zip(self.parameters, self.parts, strict=True):
            p.data = self.data[part].reshape(p.shape)
        self.views = [p.data for p in self.parameters]

    def check(self) -> None:
        """RuntimeError if the parameters are no longer views of `data`."""
        if any(p.data is not view for p, view in zip(self.parameters, self.views, strict=True)):
            raise RuntimeError("a parameter was given another array (by .to() or .data =): move first, then optimise")

    def has_loops(self) -> bool:
        """Whether compiled loops may run over it."""
        return backend.LOOPS is not None and isinstance(self.data, np.ndarray) and self.data.dtype == np.float32

    def gather(self, grads: Sequence[Any]) -> Any:
        """The gradients, aligned with the parameters, as one array; None counts as zero."""
        self.check()
        # No concatenate: CuPy's uploads the addresses of more than 8 arrays, which no graph may capture.
        flat = backend.array_module(self.data).empty_like(self.data)
        for part, g in zip(self.parts, grads, strict=True):
            flat[part] = 0 if g is None else g.reshape(-1)
        return flat

    def blocks(self) -> Iterator[slice]:
        """The flat array in pieces: on the host they fit into the cache with all that goes with them."""
        size = 16384 if backend.array_module(self.data) is np else len(self.data)
        return (slice(i, i + size) for i in range(0, len(self.data), size))


class Adam:
    """Adam (Kingma & Ba, 1412.6980) with bias correction.

    m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²,   θ ← θ − lr · m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + ε)
    `max_norm`: gradients of a longer Euclidean norm are scaled down to it.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        max_norm: float | None = None,
    ):
        self.flat = FlatParameters(parameters)
        self.lr, self.betas, self.eps, self.max_norm = lr, betas, eps, max_norm
        self.m = 0 * self.flat.data
        self.v = 0 * self.flat.data
        self.t = 0
        xp = backend.array_module(self.m)
        self.numbers = Numbers(3, xp)
        self.settings, self.count = Numbers(6, xp, "float64"), xp.zeros(1, dtype="int32")  # as the kernels read them
        self.prepare()

    def prepare(self, share: float = 0.0) -> None:
        """Before an update: what depends on its number t, on `lr` and on `share`, the part of the new weights in their
        average, is put where `update` finds it."""
        t, (beta1, beta2) = self.t + 1, self.betas
        if self._on_gpu():
            self.settings.set(*adam_settings(self.lr, self.betas, self.eps, self.max_norm, share).tolist())
            self.count[0] = self.t
        else:
            self.numbers.set(self.lr / (1 - beta1**t), 1 / math.sqrt(1 - beta2**t), share)

    def step(self, grads: Sequence[Any]) -> Any:
        """One update in place from gradients aligned with the parameters, as `autograd.grad` returns them.

        Returns the norm of the whole gradient before clipping, a 0-d array on the device.
        """
        self.prepare()
        norm = self.update(grads)
        self.t += 1
        return norm

    def update(self, grads: Sequence[Any], average: "EMA | None" = None) -> Any:
        """What `step` does on the device, all of it between `prepare` and t + 1; it moves the average of the weights
        too."""
        if self._on_gpu():
            return self._update_on_gpu(grads, average)
        norm = self._update_by_loops(grads) if self.flat.has_loops() else self._update_by_blocks(grads)
        if average is not None:
            _, _, share = self.numbers
            average.update(self.flat.data, share)
        return norm

    def _update_on_gpu(self, grads: Sequence[Any], average: "EMA | None") -> Any:
        xp = backend.array_module(self.flat.data)
        norm = xp.empty(1, dtype="float32")
        state = (
            self.flat.data,
            self.flat.gather(grads),
            self.m,
            self.v,
            None if average is None else average.flat.data,
        )
        adam_step(*state, self.settings.array, self.count, norm, xp.empty(9, dtype="float32"))
        if average is not None:
            average.copy_buffers()
        return norm.reshape(())

    def _update_by_blocks(self, grads: Sequence[Any]) -> Any:
        xp, g = backend.array_module(self.flat.data), self.flat.gather(grads)
        norm = xp.sqrt(backend.matmul(xp, g, g))
        if self.max_norm is not None:
            g *= xp.minimum(self.max_norm / (norm + 1e-12), 1.0)
        for block in self.flat.blocks():
            self._update(xp, self.flat.data[block], g[block], self.m[block], self.v[block])
        return norm

    def _update(self, xp: Any, data: Any, g: Any, m: Any, v: Any) -> None:
        """The equations above, in place; g is used up."""
        (beta1, beta2), (rate, root, _) = self.betas, self.numbers
        change = (1 - beta1) * g
        m *= beta1
        m += change
        g *= g
        g *= 1 - beta2
        v *= beta2
        v += g
        denominator = xp.sqrt(v, out=g)
        denominator *= root
        denominator += self.eps
        xp.divide(m, denominator, out=change)
        change *= rate
        data -= change

    def _update_by_loops(self, grads: Sequence[Any]) -> Any:
        """Each parameter from its own gradient: nothing is gathered."""
        self.flat.check()
        norm = np.sqrt(np.asarray(sum(np.vdot(g, g) for g in grads if g is not None), np.float32))
        clip = 1.0 if self.max_norm is None else min(self.max_norm / (float(norm) + 1e-12), 1.0)
        rate, root, _ = self.numbers
        for part, g in zip(self.flat.parts, grads, strict=True):
            data, m, v = self.flat.data[part], self.m[part], self.v[part]
            backend.LOOPS.adam.adam(
                data, np.zeros_like(data) if g is None else g, m, v, clip, self.betas, rate, root, self.eps
            )
        return norm

    def _on_gpu(self) -> bool:
        return launch.runs_on(backend.array_module(self.m)) and self.m.dtype == np.float32

    def state_dict(self) -> dict[str, np.ndarray]:
        return {"m": np.array(backend.to_host(self.m)), "v": np.array(backend.to_host(self.v)), "t": np.asarray(self.t)}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        xp = backend.array_module(self.m)
        self.m[...], self.v[...] = xp.asarray(state["m"]), xp.asarray(state["v"])
        self.t = int(state["t"])


def learning_rate(step: int, steps: int, warmup: int, decay: str, final: float = 0.0) -> float:
    """The factor on the learning rate before update `step` (from 0) of `steps`.

    A linear rise over `warmup` steps times a fall from 1 to `final`: `decay` "constant", "linear" or "cosine".
    """
    done = min(step / max(steps, 1), 1.0)
    falls = {"constant": 1.0, "linear": 1 - done, "cosine": 0.5 * (1 + math.cos(math.pi * done))}
    if decay not in falls:
        raise ValueError(f"decay {decay!r}: use {', '.join(falls)}")
    return min(1.0, (step + 1) / max(warmup, 1)) * (final + (1 - final) * falls[decay])


class EMA:
    """θ̄ ← θ̄ + (1 − d) (θ − θ̄): an averaged copy of a model, `ema.model`; buffers are copied as they are."""

    def __init__(self, model: Module):
        self.model = model.copy().eval()
        self.flat = FlatParameters(self.model.parameters())
        self.buffers = list(zip(self.model.buffers(), model.buffers(), strict=True))

    def update(self, flat: Any, share: Any) -> None:
        """`flat`: the flat data of the source's parameters, in the same order; `share`: 1 − d, a number."""
        if self.flat.has_loops():
            backend.LOOPS.adam.average(self.flat.data, flat, share)
        else:
            for block in self.flat.blocks():
                average = self.flat.data[block]
                change = flat[block] - average
                change *= share
                average += change
        self.copy_buffers()

    def copy_buffers(self) -> None:
        for copy, buffer in self.buffers:
            copy.data[...] = buffer.data
