"""Every choice of a run in one flat dataclass, the presets, and the models they build.

A field is a flag of the same name (`g_width` is `--g-width`), with its help beside it. A configuration is resolved in
this order: defaults, kind of image, preset, variant, flags.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from autograd.random import RandomStream
from minigan.augment import Augment
from minigan.cnn import ConvDiscriminator, ConvGenerator
from minigan.errors import InputError
from minigan.losses import LOSSES
from minigan.vitgan import ACTIVATIONS, GELUS, Discriminator, Generator
from nn import Module


def option(default: Any, help: str, choices: Any = None) -> Any:
    return dataclasses.field(default=default, metadata={"help": help, "choices": choices and list(choices)})


@dataclass
class Config:
    """One run. The defaults are the `small` preset of the full ViTGAN."""

    variant: str = option("vitgan", "which pair of networks", ["vitgan", "vanilla", "relu", "cnn"])
    preset: str = option("small", "sizes and schedule to start from", ["small", "poster", "paper"])
    seed: int = option(0, "fixes the data, the weights and every random number")
    steps: int = option(8000, "updates of each network; the schedules are laid over them")
    batch: int = option(32, "real images per update")

    image_size: int = option(28, "pixels along a side")
    channels: int = option(1, "1 grey, 3 RGB", [1, 3])
    background: float = option(-1.0, "pixel value of the background: G starts near it, D's zero frame continues it")
    latent: int = option(64, "length of z")
    g_width: int = option(64, "G: features of a token")
    g_depth: int = option(3, "G: transformer blocks")
    g_heads: int = option(4, "G: attention heads")
    g_mlp_ratio: float = option(2.0, "G: hidden features of an MLP over its width")
    g_patch: int = option(7, "G: pixels along a patch (not given: a quarter of the image)")
    g_modulated: bool = option(True, "G: self-modulated layer norm (SLN); without it w enters as tokens")
    g_position: str = option("learned", "G: position embedding", ["learned", "sine"])
    g_mapping: int = option(2, "G: layers of the mapping network")
    g_head: str = option("siren", "G: from token to pixels", ["siren", "fourier", "linear"])
    g_head_width: int = option(64, "G: features of the coordinate network")
    g_omega: float = option(8.0, "G: frequency factor of the SIREN layer")
    d_width: int = option(64, "D: features of a token")
    d_depth: int = option(3, "D: transformer blocks")
    d_heads: int = option(4, "D: attention heads")
    d_mlp_ratio: float = option(2.0, "D: hidden features of an MLP over its width")
    d_patch: int = option(7, "D: stride between patches (not given: a quarter of the image)")
    d_overlap: int = option(3, "D: pixels by which a patch reaches over each side")
    d_similarity: str = option("l2", "D: attention", ["l2", "dot", "l1", "l2_printed"])
    d_norm: str = option("isn", "D: spectral norm of every linear map", ["isn", "sn", "none"])
    d_position: str = option("learned", "D: position embedding", ["learned", "sine"])
    activation: str = option("gelu_tanh", "inside the transformers' MLPs", [*GELUS, *ACTIVATIONS])
    cnn_width: int = option(24, "CNN: channels next to the image")
    cnn_batch_norm: bool = option(False, "CNN: batch norm in G")

    loss: str = option("relativistic", "the game", LOSSES)
    penalty: str = option(
        "fd", "gradient penalty: finite differences or exact (double backward)", ["fd", "exact", "none"]
    )
    r1: float = option(4.0, "weight gamma of R1, gamma/2 E|grad D(real)|^2")
    r2: float = option(4.0, "weight gamma of R2, the same on generated images")
    penalty_start: float = option(0.125, "share of r1 and r2 at the start")
    penalty_ramp: float = option(0.075, "share of the run over which they grow to full weight, geometrically")
    penalty_end: float = option(0.25, "share to which they fall by the end, geometrically")
    penalty_every: int = option(1, "steps between penalties (their weight grows by the same factor)")
    fd_sigma: float = option(0.05, "length of the finite differences, in pixel values")
    bcr: float = option(0.0, "weight of balanced consistency, on real and on generated images")
    augment: str = option("", "DiffAug: any of translation,cutout,brightness,contrast,saturation,color,flip")
    augment_p: float = option(1.0, "probability that an image is augmented")

    g_lr: float = option(3e-3, "G: learning rate")
    d_lr: float = option(3e-3, "D: learning rate")
    beta1: float = option(0.0, "Adam: decay of the mean")
    beta2: float = option(0.99, "Adam: decay of the variance")
    warmup: int = option(100, "steps over which the learning rates rise")
    decay: str = option("cosine", "how the learning rates fall afterwards", ["cosine", "linear", "constant"])
    g_final_lr: float = option(0.05, "G: share of the learning rate that is left at the end")
    d_final_lr: float = option(0.3, "D: share of the learning rate that is left at the end")
    max_norm: float = option(0.0, "longest gradient of each network, 0 for any")
    ema: float = option(0.999, "decay of the averaged generator")
    ema_ramp: float = option(16.0, "the average covers at most the last 1/ema_ramp of the run so far")

    log_every: int = option(50, "steps between lines of the log")
    sample_every: int = option(200, "steps between sample grids")
    eval_every: int = option(1000, "steps between evaluations, 0 for the end only")
    eval_samples: int = option(5000, "generated images in an evaluation, and in samples.h5")
    eval_reference: int = option(10000, "real images at most that they are compared with")
    save_every: int = option(500, "steps between checkpoints")


PRESETS: dict[str, dict[str, Any]] = {
    "small": {},
    # The poster: 4 blocks of 4 heads, about 30 M parameters, lr 2e-5, 100 epochs of 60,000. Its code trained the
    # non-saturating loss without penalty, consistency or augmentation; the average of G is ours.
    "poster": {
        "batch": 128,
        "steps": 46_900,
        "latent": 1024,
        **{
            f"{net}_{k}": v for net in "gd" for k, v in {"width": 512, "depth": 4, "mlp_ratio": 4.0, "lr": 2e-5}.items()
        },
        "g_omega": 15.0,
        "g_head_width": 512,
        "activation": "gelu",
        "loss": "nonsaturating",
        "penalty": "none",
        "warmup": 1,
        "decay": "constant",
    },
    # The paper, section 4 and its appendix: width 384, MLP 1536, 6 heads, P = 4, o = 2, non-saturating loss with bCR 10
    # and DiffAug at 0.8, Adam (0, 0.99) at 2e-3. It used equalised learning rates, which are not here: see --g-lr.
    "paper": {
        "batch": 128,
        "steps": 100_000,
        "latent": 384,
        **{
            f"{net}_{k}": v
            for net in "gd"
            for k, v in {"width": 384, "depth": 4, "heads": 6, "mlp_ratio": 4.0, "patch": 4, "position": "sine"}.items()
        },
        "d_overlap": 2,
        "g_head": "fourier",
        "g_head_width": 384,
        "activation": "gelu",
        "loss": "nonsaturating",
        "penalty": "none",
        "bcr": 10.0,
        "augment": "translation,cutout,brightness,contrast",
        "augment_p": 0.8,
        "g_lr": 2e-3,
        "d_lr": 2e-3,
        "decay": "constant",
    },
}

# Colour images have no background to start from. With the weaker penalty D sees their details; it must not fade at the
# end, or D runs away.
COLOUR: dict[str, Any] = {"background": 0.0, "r1": 2.0, "r2": 2.0, "penalty_end": 1.0}

VARIANTS: dict[str, dict[str, Any]] = {
    "vitgan": {},
    "vanilla": {"g_modulated": False, "d_similarity": "dot", "d_norm": "none"},
    "relu": {"activation": "relu"},
    "cnn": {
        "d_norm": "none",
        "g_lr": 2e-3,
        "d_lr": 2e-3,
        "r1": 3.0,
        "r2": 3.0,
        "penalty_start": 1 / 3,
    },
}


def resolve(**flags: Any) -> Config:
    """A configuration from the flags given (None: not given), over variant, preset, kind of image and defaults."""
    given = {k: v for k, v in flags.items() if v is not None}
    quarter = given.get("image_size", Config.image_size) // 4
    image = {"g_patch": quarter, "d_patch": quarter, **(COLOUR if given.get("channels") == 3 else {})}
    preset = PRESETS.get(given.get("preset", "small"), {})
    variant = VARIANTS.get(given.get("variant", "vitgan"), {})
    return check(Config(**{**image, **preset, **variant, **given}))


def check(c: Config) -> Config:
    """InputError, in one sentence, for values that cannot be trained with."""
    for field in dataclasses.fields(c):
        value, choices = getattr(c, field.name), field.metadata["choices"]
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"--{field.name.replace('_', '-')} must be a finite number, not {value}")
        if choices and value not in choices:
            raise InputError(f"--{field.name.replace('_', '-')} {value}: use one of {', '.join(map(str, choices))}")
    counts = "steps batch image_size latent penalty_every log_every sample_every save_every cnn_width g_mapping"
    counts += " g_head_width g_width d_width g_heads d_heads g_patch d_patch g_depth d_depth"
    for name in counts.split():
        if getattr(c, name) < 1:
            raise InputError(f"--{name.replace('_', '-')} must be at least 1, not {getattr(c, name)}")
    for name in ("g_mlp_ratio", "d_mlp_ratio", "g_omega", "fd_sigma", "ema_ramp"):
        if getattr(c, name) <= 0:
            raise InputError(f"--{name.replace('_', '-')} must be greater than 0, not {getattr(c, name)}")
    for name in "r1 r2 bcr g_lr d_lr warmup max_norm penalty_start penalty_end penalty_ramp eval_every seed".split():
        if getattr(c, name) < 0:
            raise InputError(f"--{name.replace('_', '-')} must not be negative, not {getattr(c, name)}")
    for name in ("ema", "penalty_start", "penalty_end", "g_final_lr", "d_final_lr"):
        if not 0 <= getattr(c, name) <= 1:
            raise InputError(f"--{name.replace('_', '-')} must be from 0 to 1, not {getattr(c, name)}")
    for name in ("eval_samples", "eval_reference"):
        if getattr(c, name) < 2:
            raise InputError(f"--{name.replace('_', '-')} must be at least 2, not {getattr(c, name)}")
    for name in ("beta1", "beta2"):
        if not 0 <= getattr(c, name) < 1:
            raise InputError(f"--{name} must be at least 0 and less than 1, not {getattr(c, name)}")
    Augment(c.augment, c.augment_p).draw(
        RandomStream(), (1, c.channels, c.image_size, c.image_size)
    )  # names and channels
    if c.d_overlap < 0:
        raise InputError(f"--d-overlap must be at least 0, not {c.d_overlap}")
    if c.variant != "cnn":
        for net in ("g", "d"):
            width, heads, patch = (getattr(c, f"{net}_{what}") for what in ("width", "heads", "patch"))
            if width % heads:
                raise InputError(f"--{net}-width {width} must be a multiple of --{net}-heads {heads}")
            if c.image_size % patch:
                fits = ", ".join(str(p) for p in range(2, c.image_size // 2 + 1) if c.image_size % p == 0)
                raise InputError(
                    f"--{net}-patch {patch} does not divide the image size {c.image_size}: use one of {fits}"
                )
    return c


def build(c: Config) -> tuple[Module, Module]:
    """The generator and the discriminator of a configuration, on the host, with weights drawn by its seed."""
    g_rng, d_rng = RandomStream(2 * c.seed), RandomStream(2 * c.seed + 1)
    image: dict[str, Any] = {"image_size": c.image_size, "channels": c.channels, "background": c.background}
    g, d = _fields(c, "g_"), _fields(c, "d_")
    norm = d["norm"] = None if c.d_norm == "none" else c.d_norm
    try:
        if c.variant == "cnn":
            return (
                ConvGenerator(**image, latent=c.latent, **_fields(c, "cnn_"), rng=g_rng),
                ConvDiscriminator(**image, width=c.cnn_width, norm=norm, rng=d_rng),
            )
        return (
            Generator(**image, latent=c.latent, activation=c.activation, **g, rng=g_rng),
            Discriminator(**image, activation=c.activation, **d, rng=d_rng),
        )
    except ValueError as e:
        raise InputError(str(e)) from e


def _fields(c: Config, prefix: str) -> dict[str, Any]:
    """The fields `prefix…` without their prefix: the arguments of a network (those of its optimiser are not)."""
    fields = {k.removeprefix(prefix): v for k, v in dataclasses.asdict(c).items() if k.startswith(prefix)}
    return {k: v for k, v in fields.items() if k not in ("lr", "final_lr")}
