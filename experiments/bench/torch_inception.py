"""The Inception network in PyTorch's functions, from the published table; tests compare ours with it."""

from typing import Any

import torch

from minigan.metrics.inception import BN_EPS, fold

F = torch.nn.functional


class TorchInception:
    """`used` collects the names of its tensors. `folded`: batch norm is in the weights, and these are channels-last."""

    def __init__(
        self, tensors: dict, padded_average=False, average_in_7c=False, folded: bool = False, device: str = "cpu"
    ):
        self.tensors = {name: torch.tensor(a, device=device) for name, a in tensors.items()}
        self.used: set[str] = set()
        self.padded_average, self.average_in_7c, self.folded = padded_average, average_in_7c, folded
        for name in [key.removesuffix(".conv.weight") for key in tensors if folded and key.endswith(".conv.weight")]:
            weight, bias = (torch.tensor(a, device=device) for a in fold(tensors, name, BN_EPS))
            self.tensors[f"{name}.conv.weight"] = weight.to(memory_format=torch.channels_last)
            self.tensors[f"{name}.bn.bias"] = bias

    def get(self, name):
        self.used.add(name)
        return self.tensors[name]

    def conv(self, x, name, stride=1, padding=0):
        if self.folded:
            weight, bias = self.get(f"{name}.conv.weight"), self.get(f"{name}.bn.bias")
            return F.conv2d(x, weight, bias, stride, padding).relu_()
        bn = [self.get(f"{name}.bn.{part}") for part in ("running_mean", "running_var", "weight", "bias")]
        x = F.conv2d(x, self.get(f"{name}.conv.weight"), None, stride, padding)
        return F.relu(F.batch_norm(x, *bn, training=False, eps=0.001))

    def average(self, x):
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=self.padded_average)

    def mixed_5(self, x, n):
        one = self.conv(x, f"{n}.branch1x1")
        five = self.conv(self.conv(x, f"{n}.branch5x5_1"), f"{n}.branch5x5_2", padding=2)
        three = self.conv(self.conv(x, f"{n}.branch3x3dbl_1"), f"{n}.branch3x3dbl_2", padding=1)
        three = self.conv(three, f"{n}.branch3x3dbl_3", padding=1)
        return torch.cat([one, five, three, self.conv(self.average(x), f"{n}.branch_pool")], 1)

    def mixed_6a(self, x, n):
        three = self.conv(x, f"{n}.branch3x3", 2)
        double = self.conv(self.conv(x, f"{n}.branch3x3dbl_1"), f"{n}.branch3x3dbl_2", padding=1)
        double = self.conv(double, f"{n}.branch3x3dbl_3", 2)
        return torch.cat([three, double, F.max_pool2d(x, 3, 2)], 1)

    def mixed_6(self, x, n):
        flat, tall = (0, 3), (3, 0)
        one = self.conv(x, f"{n}.branch1x1")
        seven = self.conv(self.conv(x, f"{n}.branch7x7_1"), f"{n}.branch7x7_2", padding=flat)
        seven = self.conv(seven, f"{n}.branch7x7_3", padding=tall)
        double = self.conv(x, f"{n}.branch7x7dbl_1")
        for i, padding in [(2, tall), (3, flat), (4, tall), (5, flat)]:
            double = self.conv(double, f"{n}.branch7x7dbl_{i}", padding=padding)
        return torch.cat([one, seven, double, self.conv(self.average(x), f"{n}.branch_pool")], 1)

    def mixed_7a(self, x, n):
        three = self.conv(self.conv(x, f"{n}.branch3x3_1"), f"{n}.branch3x3_2", 2)
        seven = self.conv(self.conv(x, f"{n}.branch7x7x3_1"), f"{n}.branch7x7x3_2", padding=(0, 3))
        seven = self.conv(self.conv(seven, f"{n}.branch7x7x3_3", padding=(3, 0)), f"{n}.branch7x7x3_4", 2)
        return torch.cat([three, seven, F.max_pool2d(x, 3, 2)], 1)

    def mixed_7(self, x, n, pooled):
        flat, tall = (0, 1), (1, 0)
        one = self.conv(x, f"{n}.branch1x1")
        three = self.conv(x, f"{n}.branch3x3_1")
        double = self.conv(self.conv(x, f"{n}.branch3x3dbl_1"), f"{n}.branch3x3dbl_2", padding=1)
        parts = [one, self.conv(three, f"{n}.branch3x3_2a", padding=flat)]
        parts += [self.conv(three, f"{n}.branch3x3_2b", padding=tall)]
        parts += [self.conv(double, f"{n}.branch3x3dbl_3a", padding=flat)]
        parts += [self.conv(double, f"{n}.branch3x3dbl_3b", padding=tall)]
        return torch.cat([*parts, self.conv(pooled, f"{n}.branch_pool")], 1)

    def taps(self, x: torch.Tensor) -> dict[int, torch.Tensor]:
        """Images (n, 3, 299, 299) → the maps whose means are the features, by their length."""
        taps = {}
        x = self.conv(self.conv(x, "Conv2d_1a_3x3", 2), "Conv2d_2a_3x3")
        taps[64] = x = F.max_pool2d(self.conv(x, "Conv2d_2b_3x3", padding=1), 3, 2)
        x = self.conv(self.conv(x, "Conv2d_3b_1x1"), "Conv2d_4a_3x3")
        taps[192] = x = F.max_pool2d(x, 3, 2)
        for n in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
            x = self.mixed_5(x, n)
        x = self.mixed_6a(x, "Mixed_6a")
        for n in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
            x = self.mixed_6(x, n)
        taps[768] = x
        x = self.mixed_7a(x, "Mixed_7a")
        x = self.mixed_7(x, "Mixed_7b", self.average(x))
        pooled = self.average(x) if self.average_in_7c else F.max_pool2d(x, 3, 1, 1)
        taps[2048] = self.mixed_7(x, "Mixed_7c", pooled)
        return taps

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self.taps(x)[2048].mean((2, 3))

    def __call__(self, x: Any) -> dict[Any, Any]:
        """An array of images → the four feature vectors by their length, and the "logits"."""
        found: dict[Any, Any] = {
            length: F.adaptive_avg_pool2d(x, 1).flatten(1) for length, x in self.taps(torch.tensor(x)).items()
        }
        found["logits"] = found[2048] @ self.get("fc.weight").T
        return {key: value.numpy() for key, value in found.items()}
