"""Every choice of a run in one flat dataclass, the values it allows, and the models that it builds.

Each field is a flag of the same name: `g_width` is `--g-width`. What a field is where no flag gives it: presets.py.
"""

import dataclasses
import math
import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd.random import RandomStream
from minigan.augment import Augment
from minigan.cnn import PLANS, ConvDiscriminator, ConvGenerator
from minigan.data.stored import StoredImages
from minigan.errors import InputError
from minigan.losses import LOSSES
from minigan.vitgan import ACTIVATIONS, GELUS, Discriminator, Generator
from nn import Module, shampoo

# Seeds of runs: 0 … SEEDS − 1. The weights come from the random streams 2 · seed and 2 · seed + 1, and everything else
# from streams of 2³² and above, so no two streams of a run are one.
SEEDS = 1 << 31
MOST = 1 << 53  # the largest number of steps: whole numbers up to here are exact in the schedules
SMALLEST_SIZE, LARGEST_SIZE = 4, 4096  # pixels along an image
MOST_CLASSES = 1 << 12  # of the labels; each image of a batch has a vector of this length
MOST_WEIGHTS = 1 << 31  # of the blocks of a network, or of another part; more do not fit into memory

BOUNDS = {  # name of a bound: its words, and the test of a value against it
    "least": ("at least", operator.ge),
    "above": ("greater than", operator.gt),
    "most": ("at most", operator.le),
    "below": ("less than", operator.lt),
}


def option(default: Any, help: str, choices: Iterable[Any] = (), **bounds: float) -> Any:
    """A field with its help, the values to choose from, and its bounds by their names in BOUNDS."""
    return dataclasses.field(default=default, metadata={"help": help, "choices": [*choices] or None, "bounds": bounds})


@dataclass
class Config:
    """One run. The defaults are the `small` preset of the full ViTGAN."""

    variant: str = option("vitgan", "which pair of networks", ["vitgan", "vanilla", "vanilla-paper", "relu", "cnn"])
    preset: str = option("small", "sizes and schedule to start from", ["small", "poster", "paper"])
    seed: int = option(0, "fixes the data, the weights and every random number", least=0, below=SEEDS)
    steps: int = option(9_000, "updates of each network; the schedules are laid over them", least=1, most=MOST)
    batch: int = option(32, "real images per update", least=1, most=1 << 20)
    accumulate: int = option(
        1, "parts of a batch, one after the other, which need less memory; with mpiexec, of each share", least=1
    )

    image_size: int = option(28, "pixels along a side", least=SMALLEST_SIZE, most=LARGEST_SIZE)
    channels: int = option(1, "1 grey, 3 RGB", [1, 3])
    classes: int = option(0, "classes that both networks are told, 0 for none", least=0, most=MOST_CLASSES)
    background: float = option(
        -1.0, "pixel value of the background: G starts near it, and D pads images with it", least=-1, most=1
    )
    latent: int = option(64, "length of z", least=1, most=1 << 16)
    g_width: int = option(64, "G: features of a token", least=1, most=1 << 14)
    g_depth: int = option(3, "G: transformer blocks", least=1, most=1000)
    g_heads: int = option(4, "G: attention heads", least=1, most=1 << 14)
    g_mlp_ratio: float = option(2.0, "G: hidden features of an MLP over its width", above=0)
    g_patch: int = option(7, "G: pixels along a patch (not given: a quarter of the image)", least=1, most=LARGEST_SIZE)
    g_modulated: bool = option(True, "G: self-modulated layer norm (SLN); without it, w enters as tokens")
    g_tokens: bool = option(True, "G: with SLN, w enters as tokens too")
    g_tokens_alike: bool = option(False, "G: all tokens get the same map of w, not each its own")
    g_style_rate: float = option(0.1, "G: SLN's gamma and beta begin and learn at this share of their pace", above=0)
    g_overlap: int = option(2, "G: pixels by which a patch overlaps each neighbour", least=0, most=LARGEST_SIZE)
    g_reach: float = option(2.0, "G: pixels are g_reach tanh(...), clipped to [-1, 1]", least=1)
    g_points: int = option(2, "G: a pixel is the mean of N x N points", least=1, most=16)
    g_level: bool = option(True, "G: its images are, on average, as bright as the real ones; not in training")
    g_position: str = option("learned", "G: position embedding", ["learned", "sine"])
    g_mapping: int = option(2, "G: layers of the mapping network", least=1, most=100)
    g_head: str = option("siren", "G: from token to pixels", ["siren", "fourier", "linear"])
    g_head_width: int = option(64, "G: features of the coordinate network", least=1, most=1 << 14)
    g_omega: float = option(8.0, "G: frequency factor of the SIREN layer", above=0)
    d_width: int = option(64, "D: features of a token", least=1, most=1 << 14)
    d_depth: int = option(3, "D: transformer blocks", least=1, most=1000)
    d_heads: int = option(4, "D: attention heads", least=1, most=1 << 14)
    d_mlp_ratio: float = option(2.0, "D: hidden features of an MLP over its width", above=0)
    d_patch: int = option(
        7, "D: stride between patches (not given: a quarter of the image)", least=1, most=LARGEST_SIZE
    )
    d_overlap: int = option(6, "D: pixels by which a patch overlaps each neighbour", least=0, most=LARGEST_SIZE)
    d_similarity: str = option("l2", "D: attention", ["l2", "dot", "l1", "l2_printed"])
    d_norm: str = option("isn", "D: spectral norm of every linear map", ["isn", "sn", "bound", "none"])
    d_position: str = option("learned", "D: position embedding", ["learned", "sine"])
    activation: str = option("gelu_tanh", "inside the transformers' MLPs", [*GELUS, *ACTIVATIONS])
    cnn_width: int = option(24, "CNN: channels of the layers next to the image", least=2, most=1 << 12)
    cnn_batch_norm: bool = option(False, "CNN: batch norm in G")

    loss: str = option("relativistic", "the loss of both networks", LOSSES)
    penalty: str = option(
        "fd", "gradient penalty: finite differences or exact (double backward)", ["fd", "exact", "none"]
    )
    r1: float = option(4.0, "weight gamma of R1, gamma/2 E|grad D(real)|^2", least=0)
    r2: float = option(4.0, "weight gamma of R2, the same on generated images", least=0)
    penalty_start: float = option(
        0.125, "weight of the penalties at the start, as a share of r1 and r2", above=0, most=1
    )
    penalty_ramp: float = option(
        0.075, "share of the run in which the weight of the penalties grows to 1, geometrically", least=0
    )
    penalty_end: float = option(
        1.0, "weight of the penalties at the end, to which it falls geometrically from 1", above=0, most=1
    )
    penalty_every: int = option(1, "steps between penalties; their weight is multiplied by it", least=1, most=MOST)
    fd_sigma: float = option(0.05, "length of the finite differences, in pixel values", above=0)
    bcr: float = option(0.0, "weight of balanced consistency, on real and on generated images", least=0)
    augment: str = option("", "DiffAug: any of translation,cutout,brightness,contrast,saturation,color,flip")
    augment_p: float = option(1.0, "probability that an image is augmented")

    optimizer: str = option("shampoo", "shampoo: Adam on whitened gradients of matrices", ["shampoo", "adam"])
    lookahead: int = option(
        10, "steps after which both networks go back half of their way, 0 for never", least=0, most=MOST
    )
    g_lr: float = option(4.5e-3, "G: learning rate", least=0)
    d_lr: float = option(4.5e-3, "D: learning rate", least=0)
    equalised: bool = option(
        False,
        "the learning rate of a weight is multiplied by He's constant, the standard deviation that it was drawn with",
    )
    beta1: float = option(0.0, "Adam: decay of the mean", least=0, below=1)
    beta2: float = option(0.99, "Adam: decay of the variance", least=0, below=1)
    warmup: int = option(100, "steps over which the learning rates rise", least=0, most=MOST)
    decay: str = option("cosine", "how the learning rates fall after warmup", ["cosine", "linear", "constant"])
    g_final_lr: float = option(0.15, "G: learning rate at the end, as a share of the highest", least=0, most=1)
    d_final_lr: float = option(0.3, "D: learning rate at the end, as a share of the highest", least=0, most=1)
    max_norm: float = option(0.0, "the gradient of a network is scaled down to at most this norm, 0 for never", least=0)
    ema: float = option(0.9995, "decay of the averaged generator", least=0, most=1)
    ema_ramp: float = option(6.0, "the average reaches back over at most 1/ema_ramp of the run so far", above=0)

    log_every: int = option(50, "steps between lines of the log", least=1, most=1_000_000)
    sample_every: int = option(200, "steps between sample grids", least=1, most=MOST)
    eval_every: int = option(1000, "steps between evaluations, 0 for one at the end", least=0, most=MOST)
    eval_samples: int = option(5000, "generated images in an evaluation, and in samples.h5", least=2, most=10_000_000)
    eval_reference: int = option(10000, "the most real images to compare them with", least=2, most=10_000_000)
    spectra_every: int = option(0, "steps between measurements of D's spectra and slopes, 0 for never", least=0)
    save_every: int = option(500, "steps between checkpoints", least=1, most=MOST)


def check(c: Config) -> Config:
    """The configuration itself; InputError, one sentence, if it cannot be trained with."""
    if not SMALLEST_SIZE <= c.image_size <= LARGEST_SIZE:  # no flag of its own: the data decide
        raise InputError(
            f"images of {c.image_size} × {c.image_size} pixels cannot be trained on: the networks take "
            f"{SMALLEST_SIZE} to {LARGEST_SIZE}"
        )
    check_values(dataclasses.asdict(c))
    # The names of augmentations, and the channels that they need.
    Augment(c.augment, c.augment_p).draw(RandomStream(), (1, c.channels, c.image_size, c.image_size))
    if c.variant != "cnn":
        check_sizes("g", c.g_width, c.g_heads, c.g_patch, c.image_size)
        check_sizes("d", c.d_width, c.d_heads, c.d_patch, c.image_size)
        check_features("g", c.g_width, c.g_depth, c.g_mlp_ratio)
        check_features("d", c.d_width, c.d_depth, c.d_mlp_ratio)
    check_optimizer(c)
    check_ends(c)
    return c


def check_optimizer(c: Config) -> None:
    """InputError for Shampoo where it would leave most matrices to Adam."""
    if c.optimizer != "shampoo":
        return
    if c.variant == "cnn":
        raise InputError("--optimizer shampoo is for the transformers, not for the CNN: use --optimizer adam")
    for flag, width in (("--g-width", c.g_width), ("--d-width", c.d_width)):
        if not fits_shampoo(width):
            raise InputError(
                f"--optimizer shampoo whitens matrices of {shampoo.SMALLEST} to {shampoo.LARGEST} features, not of "
                f"{flag} {width}: use --optimizer adam"
            )


def fits_shampoo(width: int) -> bool:
    """Whether Shampoo whitens the matrices of a network of this width."""
    return shampoo.SMALLEST <= width <= shampoo.LARGEST


def check_values(fields: dict[str, Any]) -> None:
    """InputError for a value that its field does not allow, whatever the data and the other fields are."""
    for field in dataclasses.fields(Config):
        if field.name not in fields:
            continue
        value, flag = fields[field.name], flag_of(field.name)
        choices, bounds = field.metadata["choices"], field.metadata["bounds"]
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{flag} must be a finite number, not {value}")
        if choices and value not in choices:
            raise InputError(f"{flag} {value}: use one of {', '.join(map(str, choices))}")
        for name, bound in bounds.items():
            words, holds = BOUNDS[name]
            if not holds(value, bound):
                raise InputError(f"{flag} must be {words} {bound}, not {value}")


def check_shares(c: Config, ranks: int) -> None:
    """InputError unless so many ranks can take a batch in equal parts."""
    parts = ranks * c.accumulate
    if c.batch % parts:
        how = " and ".join([f"{ranks} ranks"] * (ranks > 1) + [f"--accumulate {c.accumulate}"] * (c.accumulate > 1))
        raise InputError(f"--batch {c.batch} cannot be divided equally by {how}: give a multiple of {parts}")
    if parts > 1 and c.variant == "cnn" and c.cnn_batch_norm:
        raise InputError("--cnn-batch-norm needs the statistics of a whole batch: use one rank, and no --accumulate")


def check_images(c: Config, images: np.ndarray | StoredImages) -> None:
    """InputError unless there are images, uint8 (N, H, W[, 3]), of the size and the channels of the configuration."""
    one = (c.image_size, c.image_size, *([3] if c.channels == 3 else []))
    if images.dtype != np.uint8 or tuple(images.shape[1:]) != one or not len(images):
        each = ", ".join(map(str, one))
        cure = ": of values in [0, 1], (255 * x).astype('uint8') makes them" if images.dtype.kind == "f" else ""
        raise InputError(
            f"this run takes images uint8 (N, {each}), at least one, not {images.dtype} {tuple(images.shape)}{cure}"
        )


def check_ends(c: Config) -> None:
    """InputError if what stands around the blocks, or the CNN, has more weights than fit into memory."""
    found: dict[tuple[str, ...], Any]
    if c.variant == "cnn":
        grid, doublings = PLANS.get(c.image_size, (0, 0))
        found = {("cnn_width",): (c.cnn_width * 2**doublings // 2 * grid) ** 2}  # the first linear map of D
    else:
        patch = (c.g_points * (c.g_patch + 2 * c.g_overlap)) ** 2 * c.channels  # numbers that a token draws
        patches = (c.image_size // c.g_patch) ** 2
        maps = 1 if c.g_tokens_alike else patches
        tokens = maps * c.g_width**2 if c.g_tokens or not c.g_modulated else 0
        found = {
            ("g_width", "g_head_width", "g_patch", "g_overlap", "g_points"): c.g_head_width * (c.g_width + patch),
            ("g_width", "g_patch", "g_overlap", "g_points"): c.g_width * patch + tokens,
            ("g_patch", "g_overlap", "g_points"): patches * patch,  # the weights of overlapping patches
            ("g_width", "g_mapping", "latent"): c.g_width * (c.latent + c.g_mapping * c.g_width),
            ("d_width", "d_patch", "d_overlap"): c.d_width * c.channels * (c.d_patch + 2 * c.d_overlap) ** 2,
        }
    for names, weights in found.items():
        if weights > MOST_WEIGHTS:
            flags = [f"{flag_of(name)} {getattr(c, name)}" for name in names]
            listed = ", ".join(flags[:-1]) + " and " + flags[-1] if len(flags) > 1 else flags[0]
            raise InputError(f"{listed} make a network of more than {MOST_WEIGHTS:,} weights")


def check_features(net: str, width: int, depth: int, mlp_ratio: float) -> None:
    """InputError if the MLPs of a transformer have no features, or its blocks more weights than fit into memory."""
    if width * mlp_ratio < 1:
        raise InputError(
            f"--{net}-mlp-ratio {mlp_ratio:g} leaves the MLPs of --{net}-width {width} without features: "
            f"at least {1 / width:.3g}"
        )
    if depth * width**2 * (4 + 2 * mlp_ratio) > MOST_WEIGHTS:
        raise InputError(
            f"--{net}-width {width}, --{net}-depth {depth} and --{net}-mlp-ratio {mlp_ratio:g} make a network of more "
            f"than {MOST_WEIGHTS:,} weights"
        )


def check_sizes(net: str, width: int, heads: int, patch: int, image_size: int) -> None:
    """InputError if heads do not divide the width of a transformer, or patches the image."""
    if width % heads:
        raise InputError(f"--{net}-width {width} must be a multiple of --{net}-heads {heads}")
    if image_size % patch:
        sizes = ", ".join(str(p) for p in range(1, image_size + 1) if image_size % p == 0)
        raise InputError(f"--{net}-patch {patch} does not divide the image size {image_size}: use one of {sizes}")


def flag_of(field: str) -> str:
    """The flag of a field: `g_width` is `--g-width`."""
    return f"--{field.replace('_', '-')}"


def build(c: Config) -> tuple[Module, Module]:
    """The generator and the discriminator of a configuration, on the host, with weights drawn from its seed.

    InputError if there is no such network, as a CNN for other image sizes than its own.
    """
    g_rng, d_rng = RandomStream(2 * c.seed), RandomStream(2 * c.seed + 1)
    image: dict[str, Any] = {"image_size": c.image_size, "channels": c.channels, "background": c.background}
    image["classes"] = c.classes
    norm = None if c.d_norm == "none" else c.d_norm
    try:
        if c.variant == "cnn":
            return (
                ConvGenerator(**image, latent=c.latent, width=c.cnn_width, batch_norm=c.cnn_batch_norm, rng=g_rng),
                ConvDiscriminator(**image, width=c.cnn_width, norm=norm, rng=d_rng),
            )
        g, d = arguments(c, "g_"), arguments(c, "d_")
        return (
            Generator(**image, latent=c.latent, activation=c.activation, **g, rng=g_rng),
            Discriminator(**image, activation=c.activation, **{**d, "norm": norm}, rng=d_rng),
        )
    except ValueError as e:
        raise InputError(str(e)) from e


def arguments(c: Config, prefix: str) -> dict[str, Any]:
    """The fields `prefix…` without the prefix, as arguments of a network: all but those of its optimiser."""
    fields = {k.removeprefix(prefix): v for k, v in dataclasses.asdict(c).items() if k.startswith(prefix)}
    return {k: v for k, v in fields.items() if k not in ("lr", "final_lr")}
