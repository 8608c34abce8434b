"""`nn.Shampoo` in PyTorch: each gradient of a matrix is whitened on one side, and then Adam takes its step."""

from typing import Any

import torch
from torch import Tensor


class Shampoo(torch.optim.Adam):
    """The arguments of torch.optim.Adam; every, smallest and largest as in `nn.Shampoo`, and so its results.

    Who clips gradients before `step` clips them before they are whitened; `nn.Shampoo` clips afterwards. A closure
    would compute new gradients after that, so there is none.
    """

    def __init__(self, params: Any, *, every: int = 50, smallest: int = 32, largest: int = 256, **options: Any):
        super().__init__(params, **options)
        self.every, self.steps = every, 0
        self.factors: dict[Tensor, Tensor] = {}
        self.roots: dict[Tensor, Tensor] = {}
        (group,) = self.param_groups
        self.beta = group["betas"][1]
        for w in group["params"]:
            if w.ndim == 2 and min(w.shape) >= smallest:
                size = w.shape[1] if w.shape[1] <= largest else w.shape[0]
                if size <= largest:
                    self.factors[w] = w.new_zeros(size, size)
                    self.roots[w] = torch.eye(size, dtype=w.dtype, device=w.device)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        t = self.steps
        if t and t % self.every == 0:
            for size in {len(c) for c in self.factors.values()}:  # those of one size at once
                alike = [w for w, c in self.factors.items() if len(c) == size]
                values, vectors = torch.linalg.eigh(torch.stack([self.factors[w] for w in alike]))
                mean = values.mean(1, keepdim=True)
                relative = torch.where(mean > 0, values / mean, 1.0)
                scale = (relative.clamp(min=0) + 1e-4).rsqrt()
                for w, root in zip(alike, (vectors * scale[:, None]) @ vectors.mT, strict=True):
                    self.roots[w].copy_(root)
        for w, c in self.factors.items():
            g: Any = w.grad
            if g is None:
                continue
            right = len(c) == w.shape[1]
            c.lerp_((g.mT @ g) / len(g) if right else (g @ g.mT) / g.shape[1], 1 - self.beta)
            w.grad = g @ self.roots[w] if right else self.roots[w] @ g
        self.steps += 1
        return super().step()


OPTIMIZERS: dict[str, Any] = {"adam": torch.optim.Adam, "shampoo": Shampoo}
