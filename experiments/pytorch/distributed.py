"""The training step of `gan.TorchGAN` by several processes, with DistributedDataParallel."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from experiments.pytorch.gan import TorchGAN
from experiments.pytorch.shampoo import OPTIMIZERS


class Wrapped(nn.Module):
    """One of our PyTorch networks as a module, whose parameters it then uses."""

    def __init__(self, network: Any):
        super().__init__()
        self.run = network
        for name, w in network.weights.items():
            network.p[name] = network.weights[name] = nn.Parameter(w.detach())
            self.register_parameter(name.replace(".", "_"), network.p[name])

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x)


class DistributedGAN(TorchGAN):
    """Each process has its share of the batch as `gan.config.batch`; its random numbers are PyTorch's own.

    The gradients are averaged while `backward` runs, bucket by bucket, as a user of DistributedDataParallel gets it.
    """

    def __init__(self, gan: Any, best: bool = True):
        super().__init__(gan, best)
        self.rng = None
        self.shared_d, self.shared_g = (DistributedDataParallel(Wrapped(n)) for n in (self.d, self.g))
        self.run_d: Callable = self.shared_d
        self.run_g = self.shared_g
        c, fused = self.c, True if best else None
        self.adam_d, self.adam_g = (
            OPTIMIZERS[c.optimizer](n.parameters(), betas=(c.beta1, c.beta2), fused=fused)
            for n in (self.shared_d, self.shared_g)
        )

    def update(self, adam: torch.optim.Optimizer, lr: float, loss: Tensor) -> None:
        adam.zero_grad()
        loss.backward()
        if self.c.max_norm:
            nn.utils.clip_grad_norm_(adam.param_groups[0]["params"], self.c.max_norm)
        adam.param_groups[0]["lr"] = lr
        adam.step()
        judging = adam is self.adam_g  # after G's update comes D's, and G's needs no gradient of D's weights
        self.run_d = self.shared_d if judging else self.d
        for w in self.d.weights.values():
            w.requires_grad_(judging)
