"""`nn.Shampoo` in PyTorch: each gradient of a matrix is whitened on one side, and then Adam takes its step."""

from typing import Any

import torch
from torch import Tensor

from nn.shampoo import DAMPING, LARGEST, SMALLEST


class Shampoo(torch.optim.Adam):
    """The arguments of torch.optim.Adam; every, smallest and largest as in `nn.Shampoo`, and so its results.

    Who clips gradients before `step` clips them before they are whitened; `nn.Shampoo` clips afterwards. A closure
    would compute new gradients after that, so there is none.
    """

    def __init__(
        self, params: Any, *, every: int = 50, smallest: int = SMALLEST, largest: int = LARGEST, **options: Any
    ):
        super().__init__(params, **options)
        self.every, self.steps = every, 0
        (group,) = self.param_groups
        self.beta = group["betas"][1]
        alike: dict[tuple[int, int], list[Any]] = {}
        for w in group["params"]:
            if w.ndim == 2 and smallest <= min(w.shape) <= largest:
                alike.setdefault(tuple(w.shape), []).append(w)
        self.alike: list[tuple[list[Any], bool, Tensor, Tensor]] = []  # weights of one shape, whether C is (in, in)
        for (rows, columns), weights in alike.items():
            right = columns <= largest
            eye = torch.eye(columns if right else rows, dtype=weights[0].dtype, device=weights[0].device)
            roots = eye.repeat(len(weights), 1, 1)
            self.alike.append((weights, right, torch.zeros_like(roots), roots))

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        t = self.steps
        for weights, right, c, roots in self.alike:
            if t and t % self.every == 0:
                values, vectors = torch.linalg.eigh(c)
                mean = values.mean(1, keepdim=True)
                relative = torch.where(mean > 0, values / mean, 1.0)
                scale = (relative.clamp(min=0) + DAMPING).rsqrt()
                roots.copy_((vectors * scale[:, None]) @ vectors.mT)
            there = [i for i, w in enumerate(weights) if w.grad is not None]
            if not there:
                continue
            g = torch.stack([weights[i].grad for i in there])
            moments = (g.mT @ g) / g.shape[1] if right else (g @ g.mT) / g.shape[2]
            which = there if len(there) < len(weights) else slice(None)
            c[which] = c[which].lerp(moments, 1 - self.beta)
            for i, white in zip(there, g @ roots[which] if right else roots[which] @ g, strict=True):
                weights[i].grad = white
        self.steps += 1
        return super().step()


OPTIMIZERS: dict[str, Any] = {"adam": torch.optim.Adam, "shampoo": Shampoo}
