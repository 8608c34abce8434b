"""Small configurations and models that the model tests share."""

from typing import Any

import numpy as np

from autograd.random import RandomStream
from minigan.config import Config, build
from minigan.presets import resolve
from minigan.step import GAN, STATS
from nn import Module

VARIANTS = ("vitgan", "vanilla", "relu", "cnn")

TINY: dict[str, Any] = {
    **{f"{net}_{k}": v for net in "gd" for k, v in {"width": 16, "depth": 1, "heads": 2, "patch": 7}.items()},
    **{"latent": 6, "g_head_width": 12, "cnn_width": 4, "d_overlap": 3},
    **{"batch": 4, "steps": 10, "warmup": 3, "log_every": 5, "penalty_every": 1, "augment": ""},
}


def tiny(variant: str = "vitgan", **options: Any) -> Config:
    """A configuration of width 16 and depth 1, with tied L2 attention and ISN unless the variant is about those."""
    regularised = {} if variant.startswith("vanilla") else {"d_norm": "isn", "d_similarity": "l2"}
    return resolve(variant=variant, **{**TINY, **regularised, **options})


def networks(*args: Any, **options: Any) -> tuple[Any, Any]:
    """The generator and the discriminator of `tiny(...)`, every parameter moved off its initial value."""
    generator, discriminator = build(tiny(*args, **options))
    return shake(generator), shake(discriminator)


def shake(module: Any, seed: int = 0, std: float = 0.1) -> Any:
    """Noise on every parameter: no bias is 0 and no gain is 1 any more."""
    rng = np.random.default_rng(seed)
    for p in module.parameters():
        p.data[...] += (std * rng.standard_normal(p.shape)).astype(p.dtype)
    return module


def in_float64(module: Any) -> Any:
    """The same module with every Parameter and Buffer in float64."""
    for _, t in module.named_tensors():
        trained = t.requires_grad
        t.requires_grad = False
        t.data = t.data.astype("float64")
        t.requires_grad = trained
    return module


def draw_images(config: Config, n: int = 16, seed: int = 0) -> np.ndarray:
    """RandomStream uint8 images (n, H, W) or (n, H, W, 3)."""
    shape = (n, config.image_size, config.image_size) + ((3,) if config.channels == 3 else ())
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def image_batch(config: Config, n: int = 4, dtype: str = "float32", seed: int = 0) -> np.ndarray:
    """What D sees: (n, C, H, W) in [−1, 1]."""
    shape = (n, config.channels, config.image_size, config.image_size)
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(dtype)


def latents(config: Config, n: int = 4, dtype: str = "float32", seed: int = 0) -> np.ndarray:
    return RandomStream(seed).normal((n, config.latent)).astype(dtype)


def tiny_gan(*args: Any, device: str = "cpu", graph: bool = False, **options: Any) -> GAN:
    config = tiny(*args, **options)
    images = draw_images(config)
    labels = np.arange(len(images)) % config.classes if config.classes else None
    return GAN(config, images, device, labels=labels, graph=graph)


def layers(module: Module, kind: Any) -> list:
    return [m for m in module.modules() if isinstance(m, kind)]


def row(gan: GAN, k: int = 0) -> dict[str, float]:
    """What step k has logged."""
    return dict(zip(STATS, gan.stats[k].tolist(), strict=True))
