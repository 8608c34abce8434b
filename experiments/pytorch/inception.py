"""The Inception network in PyTorch, from the published table (Szegedy et al., 1512.00567)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from minigan.metrics.inception import BN_EPS, fold


class TorchInception:
    """`used` collects the names of the tensors it reads.

    folded: batch norm is part of the weights, and these are in channels-last order.
    """

    def __init__(self, tensors: dict[str, np.ndarray], folded: bool = False, device: str = "cpu"):
        self.p = {name: torch.tensor(a, device=device) for name, a in tensors.items()}
        self.used: set[str] = set()
        self.folded = folded
        for name in [key.removesuffix(".conv.weight") for key in tensors if folded and key.endswith(".conv.weight")]:
            weight, bias = (torch.tensor(a, device=device) for a in fold(tensors, name, BN_EPS))
            self.p[f"{name}.conv.weight"] = weight.to(memory_format=torch.channels_last)
            self.p[f"{name}.bn.bias"] = bias

    def get(self, name: str) -> Tensor:
        self.used.add(name)
        return self.p[name]

    def conv(self, x: Tensor, name: str, padding: Any = 0, stride: int = 1) -> Tensor:
        weight, bias = self.get(f"{name}.conv.weight"), self.get(f"{name}.bn.bias")
        if self.folded:
            return F.conv2d(x, weight, bias, stride, padding).relu_()
        mean, var, gamma = (self.get(f"{name}.bn.{part}") for part in ("running_mean", "running_var", "weight"))
        x = F.conv2d(x, weight, None, stride, padding)
        return F.relu(F.batch_norm(x, mean, var, gamma, bias, training=False, eps=0.001))

    def branch(self, x: Tensor, name: str, paddings: Sequence, stride: int = 1) -> Tensor:
        """Convolutions one after the other, numbered from 1 if there are several; the stride is that of the last."""
        for i, padding in enumerate(paddings, 1):
            numbered = f"{name}_{i}" if len(paddings) > 1 else name
            x = self.conv(x, numbered, padding, stride if i == len(paddings) else 1)
        return x

    def block(self, x: Tensor, name: str, *branches: tuple) -> Tensor:
        """Branches (name, padding of each convolution…) and a pooled one side by side; block "a" halves the size."""
        halves = name.endswith("a")
        parts = [self.branch(x, f"{name}.branch{n}", paddings, 2 if halves else 1) for n, *paddings in branches]
        parts.append(F.max_pool2d(x, 3, 2) if halves else self.conv(average(x), f"{name}.branch_pool"))
        return torch.cat(parts, 1)

    def wide_block(self, x: Tensor, name: str, pooled: Tensor) -> Tensor:
        """Blocks 7b and 7c, in which two branches end in a convolution 1×3 beside one 3×1."""
        three, double = self.conv(x, f"{name}.branch3x3_1"), self.branch(x, f"{name}.branch3x3dbl", (0, 1))
        parts = [self.conv(x, f"{name}.branch1x1")]
        for y, n in ((three, "branch3x3_2"), (double, "branch3x3dbl_3")):
            parts += [self.conv(y, f"{name}.{n}a", (0, 1)), self.conv(y, f"{name}.{n}b", (1, 0))]
        return torch.cat([*parts, self.conv(pooled, f"{name}.branch_pool")], 1)

    def taps(self, x: Tensor) -> dict[int, Tensor]:
        """Images (n, 3, 299, 299) → the maps whose means are the features, by their length."""
        taps, flat, tall = {}, (0, 3), (3, 0)  # padding of kernels 1×7 and 7×1
        x = self.conv(self.conv(x, "Conv2d_1a_3x3", stride=2), "Conv2d_2a_3x3")
        taps[64] = x = F.max_pool2d(self.conv(x, "Conv2d_2b_3x3", 1), 3, 2)
        x = self.conv(self.conv(x, "Conv2d_3b_1x1"), "Conv2d_4a_3x3")
        taps[192] = x = F.max_pool2d(x, 3, 2)
        for letter in "bcd":
            x = self.block(x, f"Mixed_5{letter}", ("1x1", 0), ("5x5", 0, 2), ("3x3dbl", 0, 1, 1))
        x = self.block(x, "Mixed_6a", ("3x3", 0), ("3x3dbl", 0, 1, 0))
        for letter in "bcde":
            sevens = ("7x7", 0, flat, tall), ("7x7dbl", 0, tall, flat, tall, flat)
            x = self.block(x, f"Mixed_6{letter}", ("1x1", 0), *sevens)
        taps[768] = x
        x = self.block(x, "Mixed_7a", ("3x3", 0, 0), ("7x7x3", 0, flat, tall, 0))
        x = self.wide_block(x, "Mixed_7b", average(x))
        taps[2048] = self.wide_block(x, "Mixed_7c", F.max_pool2d(x, 3, 1, 1))  # a maximum: a quirk of the 2015 graph
        return taps

    def features(self, x: Tensor) -> Tensor:
        return self.taps(x)[2048].mean((2, 3))

    def __call__(self, x: np.ndarray) -> dict[Any, np.ndarray]:
        """An array of images → the four feature vectors by their length, and the "logits"."""
        found: dict[Any, Tensor] = {length: y.mean((2, 3)) for length, y in self.taps(torch.tensor(x)).items()}
        found["logits"] = found[2048] @ self.get("fc.weight").T
        return {key: value.numpy() for key, value in found.items()}


def average(x: Tensor) -> Tensor:
    """Over 3 × 3 pixels, without the zeros of the padding."""
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
