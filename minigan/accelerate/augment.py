"""DiffAug in one launch each way. Twin: `minigan.augment`."""

from collections.abc import Sequence
from typing import Any

from autograd.accelerate.gpu import launch

STEPS = ("brightness", "saturation", "contrast", "translation", "cutout", "flip")  # numbered from 1 in augment.cu


def pack_policy(names: Sequence[str]) -> int:
    """The names of the steps in their order as one integer, four bits each, the first in the lowest."""
    return sum(STEPS.index(name) + 1 << 4 * t for t, name in enumerate(names))


def draw(state: Any, ahead: int, names: Sequence[str], p: float, shape: Sequence[int]) -> Any:
    """The numbers of each step and image (steps, 2, B) for images of `shape` (B, C, H, W); p: how often a step is on.

    state and ahead as in `autograd.accelerate.gpu.random`; it takes 3 · steps · B words.
    """
    batch, _, height, width = shape
    numbers = launch.empty(state, (len(names), 2, batch))
    grid, policy = (launch.ceil_div(batch, 256),), pack_policy(names)
    launch.launch("augment_draw", grid, (256,), state, ahead, numbers, batch, height, width, policy, p)
    return numbers


def augment(x: Any, names: Sequence[str], numbers: Any, fill: float = 0.0) -> Any:
    """x (B, C, H, W), C ≤ 4, through the steps; ValueError for more channels, or numbers that do not fit x."""
    return _run(x, names, numbers, fill, 0)


def augment_backward(g: Any, names: Sequence[str], numbers: Any) -> Any:
    """The gradient of x from g (B, C, H, W). The steps are affine in x, so it does not depend on x; ValueError as
    from `augment`."""
    return _run(g, names, numbers, 0.0, 1)


def _run(x: Any, names: Sequence[str], numbers: Any, fill: float, backward: int) -> Any:
    batch, channels, height, width = x.shape
    launch.require(channels <= 4, f"augmentation: {channels} channels are more than 4")
    launch.require(numbers.shape == (len(names), 2, batch), f"augmentation: numbers {numbers.shape} beside {x.shape}")
    y = launch.empty(x, x.shape)
    args = (x, numbers, y, batch, channels, height, width, pack_policy(names), fill, backward)
    launch.launch("augment_images", (batch,), (32, 8), *args)
    return y
