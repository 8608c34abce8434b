"""A batch of images from a set of bytes on the device. Twin: `minigan.step.gather_batch`."""

from typing import Any

from autograd.accelerate.gpu import launch


def gather_images(images: Any, index: Any) -> Any:
    """images uint8 (N, H, W) or (N, H, W, C), index int64 (B), each in 0 … N − 1 -> float32 (B, C, H, W) in [−1, 1]."""
    _, height, width, channels = images.shape if images.ndim == 4 else (*images.shape, 1)
    y = launch.empty(images, (len(index), channels, height, width))
    launch.launch("gather_images", (len(index),), (256,), images, index, y, channels, height * width)
    return y
